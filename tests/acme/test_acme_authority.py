"""An authority that refuses, lies, hangs, says too much or hangs up: said in words, and nothing of it believed."""

from __future__ import annotations

import json

import pytest
from scripted_authority import Script, ScriptedAuthority
from twisted.internet.task import Clock

from mailnode.acme import network
from mailnode.acme.authority import AccountUnknown, Authority, ReplacedAlready
from mailnode.acme.keys import new_key
from mailnode.errors import CertificateFailed
from mailnode.values.acme import ExternalAccount

KEY = new_key("ecdsa")
NAMES = ["mx.example.org"]


class Steady:
    """Seconds that pass with each look."""

    def __init__(self, step: float = 0.0) -> None:
        self.now, self.step = 0.0, step

    def seconds(self) -> float:
        self.now += self.step
        return self.now


@pytest.fixture
def script():
    return Script()


@pytest.fixture
def server(tmp_path, script):
    server = ScriptedAuthority(tmp_path, script)
    script.url = server.url
    yield server
    server.stop()


@pytest.fixture
def authority(server):
    clock = Clock()
    clock.advance(1.8e9)
    authority = Authority(f"{server.url}/directory", KEY, str(server.ca), "test", clock, Steady())
    authority.begin()
    authority.use_account(f"{server.url}/account")
    return authority


def test_all_of_it(authority, script):
    assert authority.register("a@example.org", ExternalAccount("id", "c2VjcmV0")) == f"{script.url}/account"
    order = authority.order(NAMES, "shortlived", "replaced")
    assert (order.url, order.status) == (f"{script.url}/order", "pending")
    found = authority.look_at_authorization(order.authorizations[0])
    assert (found.name, found.status, found.challenges[0].token) == ("mx.example.org", "pending", "t" * 22)
    authority.answer(found.challenges[0])
    assert authority.look_at_order(order.url).status == "ready"
    order = authority.finalize(order, b"request")
    script.chain = b"the chain"
    assert authority.download(order) == b"the chain"
    window = authority.renewal_window("id")
    assert (window.end - window.start, window.ask_again, window.explanation) == (86_400, 21_600, "https://why.example")


STEPS = {
    "/directory": lambda authority, url: authority.begin(),
    "/newaccount": lambda authority, url: authority.register("", None),
    "/neworder": lambda authority, url: authority.order(NAMES),
    "/order": lambda authority, url: authority.look_at_order(f"{url}/order"),
    "/authorization": lambda authority, url: authority.look_at_authorization(f"{url}/authorization"),
    "/renewalinfo/id": lambda authority, url: authority.renewal_window("id"),
}
LIES = {
    "hangs up": lambda: None,
    "no JSON": lambda: (200, dict(Script.NONCE), b"<html>"),
    "a list": lambda: (200, dict(Script.NONCE), b"[]"),
    "nothing in it": lambda: (200, dict(Script.NONCE), b"{}"),
    "deep": lambda: (200, dict(Script.NONCE), b"[" * 100_000),
    "huge": lambda: (200, dict(Script.NONCE), b"x" * (network.MAX_BODY + 1)),
    "trouble": lambda: (500, dict(Script.NONCE), b"trouble"),
    "redirect": lambda: (302, {"Location": "https://127.0.0.1:1/elsewhere", **Script.NONCE}, b""),
    "other types": lambda: (
        200,
        dict(Script.NONCE),
        json.dumps({"status": 1, "newNonce": [], "identifier": 3}).encode(),
    ),
    "not HTTP": lambda: (99999, {}, b""),
}


@pytest.mark.parametrize("lie", LIES)
@pytest.mark.parametrize("path", STEPS)
def test_whatever_it_answers_becomes_words(authority, script, path, lie):
    script.instead[path] = LIES[lie]
    with pytest.raises(CertificateFailed) as caught:
        STEPS[path](authority, script.url)
    assert "\n" not in str(caught.value) and "Traceback" not in str(caught.value)


def test_silence_has_an_end(authority, script, monkeypatch):
    monkeypatch.setattr(network, "SILENCE_SECONDS", 0.2)
    script.instead["/order"] = lambda: (200, {**Script.NONCE, "Content-Length": "1000"}, b"{}")
    with pytest.raises(CertificateFailed, match=r"in time|ended the connection"):
        authority.look_at_order(f"{script.url}/order")


def test_an_answer_that_comes_slowly_has_an_end(server, script):
    clock = Clock()
    authority = Authority(
        f"{server.url}/directory", KEY, str(server.ca), "test", clock, Steady(network.ANSWER_SECONDS + 1)
    )
    with pytest.raises(CertificateFailed, match="in time"):
        authority.begin()


def test_a_head_that_comes_octet_by_octet_has_an_end(tmp_path, monkeypatch):
    server = ScriptedAuthority(tmp_path, lambda method, path, body: (200, {"X-Long": "a" * 40}, b"{}"))
    server.octet_by_octet = True
    authority = Authority(
        f"{server.url}/directory", KEY, str(server.ca), "test", Clock(), Steady(network.ANSWER_SECONDS / 20)
    )
    bodies = []
    monkeypatch.setattr(network, "bytearray", lambda: bodies.append(1) or bytearray(), raising=False)
    with pytest.raises(CertificateFailed, match="in time"):
        authority.begin()
    server.stop()
    assert not bodies, "the head came to its end"


def test_a_server_that_nobody_vouches_for(server):
    with pytest.raises(CertificateFailed, match="not trusted"):
        Authority(f"{server.url}/directory", KEY, "", "test", Clock(), Steady()).begin()


def test_nobody_there(server):
    authority = Authority(f"{server.url}/directory", KEY, str(server.ca), "test", Clock(), Steady())
    server.stop()
    with pytest.raises(CertificateFailed, match="cannot be reached"):
        authority.begin()


def test_nonces_are_tried_again_and_again_and_given_up_at_last(authority, script, server):
    refused = iter([script.problem("badNonce", 400)] * 9)
    script.instead["/neworder"] = lambda: next(refused, None) or script._neworder()
    assert authority.order(NAMES).status == "pending"
    script.instead["/neworder"] = lambda: script.problem("badNonce", 400)
    server.asked.clear()
    with pytest.raises(CertificateFailed, match="badNonce"):
        authority.order(NAMES)
    assert server.asked.count(("POST", "/neworder")) == 2 * network.NONCES


def test_problems_in_words_and_what_they_ask_for(authority, script):
    for answer, kind, words, wait in (
        (script.problem("accountDoesNotExist"), AccountUnknown, "does not know our account", 0),
        (script.problem("alreadyReplaced", 409), ReplacedAlready, "has been replaced", 0),
        (script.problem("caa"), CertificateFailed, "CAA records", 0),
        (script.problem("rateLimited", 429), CertificateFailed, "no more requests", 3600),
        (script.problem("rateLimited", 429, Retry_After="7200"), CertificateFailed, "no more requests", 7200),
        (script.problem("unheardOf"), CertificateFailed, r"it refuses \(unheardOf\)", 0),
        (script.problem("x" * 2000, detail="\x1b[31m\n" * 500), CertificateFailed, r"\?\[31m\?", 0),
    ):
        script.instead["/neworder"] = lambda answer=answer: answer
        with pytest.raises(kind, match=words) as caught:
            authority.order(NAMES)
        assert caught.value.wait == wait
        assert len(str(caught.value)) < 1000 and str(caught.value).isprintable()


@pytest.mark.parametrize(
    "url", ["http://127.0.0.1/x", "file:///etc/passwd", "", 3, None, "https://" + "x" * 3000, "https://ö"]
)
def test_only_urls_of_https_are_followed(authority, script, url):
    for name in ("newOrder", "newNonce", "newAccount"):
        fields = json.loads(script._directory()[2])
        fields[name] = url
        script.instead["/directory"] = lambda fields=fields: script.told(fields)
        with pytest.raises(CertificateFailed, match="https"):
            authority.begin()
    script.instead["/neworder"] = lambda: script.told(
        {**script._fields(), "authorizations": [url]}, 201, Location=f"{script.url}/order"
    )
    with pytest.raises(CertificateFailed):
        authority.order(NAMES)


def test_a_profile_that_is_not_offered(authority):
    with pytest.raises(CertificateFailed, match="it offers shortlived"):
        authority.order(NAMES, "classic")


@pytest.mark.parametrize(
    "window",
    [
        {"start": "2027-01-03T00:00:00Z", "end": "2027-01-02T00:00:00Z"},
        {"start": "2027-01-03T00:00:00Z", "end": "2027-01-03T00:00:00Z"},
        {"start": "yesterday", "end": "2027-01-03T00:00:00Z"},
        {"start": "2027-01-02T00:00:00", "end": "2027-01-03T00:00:00Z"},
        [],
    ],
)
def test_a_window_that_is_none(authority, script, window):
    script.instead["/renewalinfo/id"] = lambda: script.told({"suggestedWindow": window})
    with pytest.raises(CertificateFailed, match="no sense"):
        authority.renewal_window("id")


@pytest.mark.parametrize(
    ("said", "seconds"), [("0", 60), ("99999999", 86_400), ("soon", 21_600), ("Wed, 02 Dec 1970 00:00:00 GMT", 60)]
)
def test_how_often_it_wants_to_be_asked(authority, script, said, seconds):
    window = json.loads(script._renewalinfo()[2])
    script.instead["/renewalinfo/id"] = lambda: script.told(window, Retry_After=said)
    assert authority.renewal_window("id").ask_again == seconds


def test_a_key_of_an_account_that_is_no_key(authority):
    with pytest.raises(CertificateFailed, match="base64url"):
        authority.register("", ExternalAccount("id", "ä"))
