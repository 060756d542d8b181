"""Signed and sealed mail from a DNS server and an SMTP session to the header in the mailbox: the examples of the RFCs, what dkimpy
and OpenDKIM sign, and keys as their owners should not publish them."""

import imaplib
import smtplib
import ssl
import time

import dkim
import pytest
from opendkim_signer import OpenDkimSigner
from scripted_dns import FAILS, ScriptedDns
from servers import PASSWORD, MailNode, wait_for

from mailnode.message.arc import seal
from mailnode.message.authres import payload, read_results
from mailnode.message.digests import Digests
from mailnode.message.dkim import load, signatures
from mailnode.message.dkim_keys import make_pair
from mailnode.message.headers import fields
from mailnode.values.authentication import AuthenticationResult
from tests.free_ports import free_port
from tests.source_distribution import read_member

RELEASE = "dkimpy-1.1.8"
DIGEST = "b5f60fb47bbf5d8d762f134bcea0c388eba6b498342a682a21f1686545094b77"
BOB = "bob@here.test"
CLIENT = "192.0.2.7"
PAIR = make_pair("signed.test", "active", time.time())
SEALERS = {domain: make_pair(domain, "active", time.time())[:1] for domain in ("list.test", "other.test")}
RSA, ED = (key.record[1].encode() for key in PAIR)
HEAD = b"From: Alice <alice@signed.test>\r\nTo: bob@here.test\r\nSubject: a  subject\r\nDate: now\r\n\r\n"
BODY = b"A line \t with spaces  \r\n\r\n.a dot\r\n\r\n\r\n"
# RFC 8463 A.2, RFC 6376 C
FOOTBALL_ED = b"v=DKIM1; k=ed25519; p=11qYAYKxCrfVS/7TyWQHOg7hcvPapiMlrwIaaPcHURo="
FOOTBALL_RSA = (
    b"v=DKIM1; k=rsa; p=MIGfMA0GCSqGSIb3DQEBAQUAA4GNADCBiQKBgQDkHlOQoBTzWRiGs5V6NpP3idY6Wk08a5qhdR6wy5bdOKb2jLQiY/J16JYi0Qvx"
    b"/byYzCNb3W91y3FutACDfzwQ/BC/e/8uBsCR+yz1Lxj+PL6lHvqMKrM3rG4hstT5QjvHO9PzoxZyVYLzBfO2EeC3Ip3G+2kryOTIKT+l/K4w3QIDAQAB"
)
BRISBANE = (
    b"v=DKIM1; p=MIGfMA0GCSqGSIb3DQEBAQUAA4GNADCBiQKBgQDwIRP/UC3SBsEmGqZ9ZJW3/DkMoGeLnQg1fWn7/zYtIxN2SnFCjxOCKG9v3b4jYfcTNh5i"
    b"jSsq631uBItLa7od+v/RtdC2UzJ1lWT947qR+Rcac2gbto/NMqJ0fzfVjH4OuKhitdY9tf6mcwGjaNBcWToIMmPSPDdQPNUYckcQ2QIDAQAB"
)
# RFC 6376 A.2, with one space in its body, which is what its hash is of, and the white space of its fields as it was signed
RFC_6376 = b"""DKIM-Signature: v=1; a=rsa-sha256; s=brisbane; d=example.com;
      c=simple/simple; q=dns/txt; i=joe@football.example.com;
      h=Received : From : To : Subject : Date : Message-ID;
      bh=2jUSOH9NhtVGCQWNr9BrIAPreKQjO6Sn7XIkfJVOzv8=;
      b=AuUoFEfDxTDkHlLXSZEpZj79LICEps6eda7W3deTVFOk4yAUoqOB
      4nujc7YopdG5dWLSdNg6xNAZpOPr+kHxt1IrE+NahM6L/LbvaHut
      KVdkLLkpVaVVQPzeRDI009SO2Il5Lu7rDNH6mZckBdrIx0orEtZV
      4bmp/YzhwvcubU4=;
Received: from client1.football.example.com  [192.0.2.1]
      by submitserver.example.com with SUBMISSION;
      Fri, 11 Jul 2003 21:01:54 -0700 (PDT)
From: Joe SixPack <joe@football.example.com>
To: Suzie Q <suzie@shopping.example.net>
Subject: Is dinner ready?
Date: Fri, 11 Jul 2003 21:00:37 -0700 (PDT)
Message-ID: <20030712040037.46341.5F8J@football.example.com>

Hi.

We lost the game. Are you hungry yet?

Joe.
"""
RFC_8463 = b"""DKIM-Signature: v=1; a=ed25519-sha256; c=relaxed/relaxed;
 d=football.example.com; i=@football.example.com;
 q=dns/txt; s=brisbane; t=1528637909; h=from : to :
 subject : date : message-id : from : subject : date;
 bh=2jUSOH9NhtVGCQWNr9BrIAPreKQjO6Sn7XIkfJVOzv8=;
 b=/gCrinpcQOoIfuHNQIbq4pgh9kyIK3AQUdt9OdqQehSwhEIug4D11Bus
 Fa3bT3FY5OsU7ZbnKELq+eXdp1Q1Dw==
DKIM-Signature: v=1; a=rsa-sha256; c=relaxed/relaxed;
 d=football.example.com; i=@football.example.com;
 q=dns/txt; s=test; t=1528637909; h=from : to : subject :
 date : message-id : from : subject : date;
 bh=2jUSOH9NhtVGCQWNr9BrIAPreKQjO6Sn7XIkfJVOzv8=;
 b=F45dVWDfMbQDGHJFlXUNB2HKfbCeLRyhDXgFpEL8GwpsRe0IeIixNTe3
 DhCVlUrSjV4BwcVcOF6+FF3Zo9Rpo1tFOeS9mPYQTnGdaSGsgeefOsk2Jz
 dA+L10TeYt9BgDfQNZtKdN1WO//KgIqXP7OdEFE4LjFYNcUxZQ4FADY+8=
From: Joe SixPack <joe@football.example.com>
To: Suzie Q <suzie@shopping.example.net>
Subject: Is dinner ready?
Date: Fri, 11 Jul 2003 21:00:37 -0700 (PDT)
Message-ID: <20030712040037.46341.5F8J@football.example.com>

Hi.

We lost the game.  Are you hungry yet?

Joe.

"""


def key_at(name):
    return f"{name}._domainkey.signed.test"


ZONE = {
    "brisbane._domainkey.football.example.com": [FOOTBALL_ED],
    "test._domainkey.football.example.com": [FOOTBALL_RSA],
    "brisbane._domainkey.example.com": [BRISBANE],
    **{key.record[0]: [key.record[1].encode()] for key in (*PAIR, *SEALERS["list.test"], *SEALERS["other.test"])},
    "_dmarc.strict.test": [b"v=DMARC1; p=reject"],
    "strict.test": [b"something"],
    key_at("several"): [ED, b"v=spf1 -all", RSA],
    key_at("tried"): [RSA + b"; t=y"],
    key_at("strict"): [RSA + b"; t=s"],
    key_at("revoked"): [b"v=DKIM1; p="],
    key_at("reports"): [RSA + b"; s=tlsrpt"],
    key_at("sha1"): [RSA + b"; h=sha1"],
    key_at("other"): [ED],
    key_at("fails"): FAILS,
    key_at("alias"): f"elsewhere.{PAIR[0].record[0]}",
    f"elsewhere.{PAIR[0].record[0]}": [RSA],
}


def look(name, kind):
    """Keys; an alias is the name that has the records."""
    found, owner = ZONE.get(name), name
    if isinstance(found, str) and found != FAILS:
        owner, found = found, ZONE[found]
    return found if found in (None, FAILS) else (owner, found if kind == "TXT" else [])


class Door:
    """A server and what it told of each message."""

    def __init__(self, folder):
        self.dns = ScriptedDns(look)
        judgement = "[judgement]\njunk_at = 0\nrefuse_at = 0\n[limits]\nmessages_per_minute = 0\ngreet_pause = 0\n"
        self.port = free_port()
        judgement += (
            f'[[listener]]\nprotocol = "smtp"\ntls = "none"\nendpoint = "tcp:{self.port}:interface=127.0.0.1"\n'
            'xclient_from = ["127.0.0.1"]\n'
        )
        judgement += '[[policy]]\nname = "arc"\noptions = { trusted_sealers = ["list.test"] }\n'
        self.node = MailNode(folder / "node", ("here.test",), dns=self.dns, extra=judgement)

    def start(self):
        self.node.start()
        self.node.add_account(BOB)
        return self

    def stop(self):
        self.node.stop()
        self.dns.stop()

    def told(self, message):
        """Return the results of the methods that look at signatures, after a message has come."""
        mark = f"{time.monotonic_ns()}"
        with smtplib.SMTP("127.0.0.1", self.port, timeout=60) as client:
            client.ehlo("load.test")
            assert client.docmd("XCLIENT", f"ADDR={CLIENT}")[0] == 220
            client.ehlo("load.test")
            client.sendmail("x@load.test", [BOB], f"X-Mark: {mark}\r\n".encode() + message)
        header = wait_for(lambda: self._arrived(mark), "delivery")
        ours = [field for field in fields(header) if field.is_named(b"Authentication-Results")][:1]
        return [one for field in ours for one in read_results(field.value) if one.method in ("dkim", "arc")]

    def _arrived(self, mark):
        context = ssl.create_default_context(cafile=self.node.ca)
        with imaplib.IMAP4_SSL("127.0.0.1", self.node.ports["imaps"], ssl_context=context, timeout=60) as client:
            client.login(BOB, PASSWORD)
            client.select("INBOX", readonly=True)
            _, (numbers,) = client.search(None, "HEADER", "X-Mark", mark)
            return client.fetch(numbers, "(BODY.PEEK[HEADER])")[1][0][1] if numbers else None


@pytest.fixture(scope="module")
def door(tmp_path_factory):
    made = Door(tmp_path_factory.mktemp("door"))
    try:
        yield made.start()
    finally:
        made.stop()


def crlf(text):
    return text.replace(b"\r\n", b"\n").replace(b"\n", b"\r\n")


def outcomes(results):
    return [(one.result, one.reason) if one.reason else one.result for one in results]


@pytest.mark.parametrize(
    ("message", "domains"),
    [(RFC_6376, ["example.com"]), (RFC_8463, ["football.example.com"] * 2)],
    ids=["RFC 6376 A", "RFC 8463 A"],
)
def test_the_examples_of_the_standards(door, message, domains):
    found = door.told(crlf(message))
    assert outcomes(found) == ["pass"] * len(domains)
    assert [dict(one.properties)["header.d"] for one in found] == domains
    assert [one.result for one in door.told(crlf(message.replace(b"dinner", b"supper")))] == ["fail"] * len(domains)


def of_dkimpy(name):
    return read_member(RELEASE, DIGEST, f"dkim/tests/data/{name}")


@pytest.mark.parametrize(
    ("name", "found"),
    [
        ("rfc6376.signed.msg", ["pass", "pass"]),
        ("rfc6376.signed.rsa.msg", ["pass"]),
        ("rfc6376.signed.no_t.msg", None),
        ("rfc6376.msg", ["none"]),
        ("test.message.baddomain", None),
    ],
)
def test_the_messages_of_dkimpy(door, name, found):
    told = [one.result for one in door.told(crlf(of_dkimpy(name)))]
    assert told == found if found is not None else "pass" not in told


@pytest.mark.parametrize("form", [b"relaxed", b"simple"])
@pytest.mark.parametrize("head_form", [b"relaxed", b"simple"])
def test_what_dkimpy_signs(door, head_form, form):
    key = PAIR[0]
    signer = dkim.DKIM(HEAD + BODY)
    forms = {"canonicalize": (head_form, form)}
    field = signer.sign(key.selector.encode(), b"signed.test", key.private.encode(), **forms)
    assert outcomes(door.told(field + HEAD + BODY)) == ["pass"]
    assert outcomes(door.told(field + HEAD + b"More.\r\n" + BODY)) == [("fail", "body has changed")]


@pytest.mark.parametrize("form", ["relaxed/relaxed", "simple/simple", "relaxed/simple"])
def test_what_opendkim_signs(door, tmp_path, form):
    signer = OpenDkimSigner(tmp_path / "opendkim", "signed.test", PAIR[0].selector, PAIR[0].private, form)
    try:
        message = signer.signed(HEAD + BODY)
    finally:
        signer.stop()
    assert outcomes(door.told(message)) == ["pass"]
    assert outcomes(door.told(message.replace(b"a  subject", b"another"))) == [("fail", "signature does not match")]


def signed(selector=PAIR[0].selector, change=(b"", b"")):
    """Return a message that we sign with a key of that selector. :param change: to what is not signed yet."""
    hashed = Digests()
    hashed.update(BODY)
    (key, *_) = load(PAIR[:1])
    named = type(key)("signed.test", selector, key.private)
    return signatures(HEAD.replace(*change), hashed.finish()[b"relaxed"].digest, [named], time.time()) + HEAD + BODY


@pytest.mark.parametrize(
    ("selector", "found"),
    [
        (PAIR[0].selector, "pass"),
        ("several", "pass"),
        ("alias", "pass"),
        ("strict", "pass"),
        ("tried", ("pass", "the key is being tried out")),
        ("revoked", ("permerror", "key was revoked")),
        ("reports", ("permerror", "key is not for mail")),
        ("sha1", ("permerror", "key is for another algorithm")),
        ("other", ("permerror", "key of another kind")),
        ("none", ("permerror", "no key")),
        ("fails", ("temperror", "no answer from DNS")),
    ],
)
def test_keys_as_they_are_published(door, selector, found):
    (result,) = door.told(signed(selector))
    assert outcomes([result]) == [found]
    assert [name for name, _ in result.properties] == ["header.d", "header.s", "header.a", "header.b"]


def by_dkimpy(**options):
    return dkim.DKIM(HEAD + BODY).sign(PAIR[0].selector.encode(), b"signed.test", PAIR[0].private.encode(), **options)


@pytest.mark.parametrize(
    ("message", "found"),
    [
        (by_dkimpy(length=True) + HEAD + BODY + b"Buy!\r\n", ("policy", "not all is signed")),
        (by_dkimpy().replace(b"rsa-sha256", b"rsa-sha1") + HEAD + BODY, ("policy", "weak algorithm")),
        (by_dkimpy().replace(b"v=1;", b"v=1; x=2000000000; x=1;") + HEAD + BODY, ("neutral", "cannot be read")),
        (by_dkimpy().replace(b" t=", b" x=1600000000; t=15") + HEAD + BODY, ("neutral", "cannot be read")),
        (b"From: Eve <eve@signed.test>\r\n" + by_dkimpy() + HEAD + BODY, "fail"),
    ],
)
def test_what_is_not_believed(door, message, found):
    (result,) = outcomes(door.told(message))
    assert result == found or result[0] == found


@pytest.mark.parametrize(("sealer", "saw"), [("list.test", "pass"), ("list.test", "fail"), ("other.test", "pass")])
def test_a_list_that_is_trusted_may_change_what_it_sends_on(door, sealer, saw):
    header = HEAD.replace(b"signed.test", b"strict.test").replace(b"Subject: ", b"Subject: [list] ")
    results = [AuthenticationResult("dmarc", saw, (("header.from", "strict.test"),))]
    hashed = Digests()
    hashed.update(BODY)
    (key,) = load(SEALERS[sealer])
    text = payload(f"mx.{sealer}", results)
    message = seal(header, hashed.finish()[b"relaxed"].digest, key, text, "none", time.time()) + header + BODY
    if (sealer, saw) == ("list.test", "pass"):
        dkim, arc = door.told(message)
        assert (dkim.result, arc.result, dict(arc.properties)["policy.trusted"]) == ("none", "pass", "list.test")
    else:
        with pytest.raises(smtplib.SMTPDataError, match=r"550.*strict\.test"):
            door.told(message)
    with pytest.raises(smtplib.SMTPDataError, match=r"550.*strict\.test"):
        door.told(message + b"More.\r\n")


def test_headers_only_and_without_an_end(door):
    """SMTP trap 7: what is the body is clear to whoever signed and to whoever verifies."""
    for body in (b"", b"\r\n", b"no end"):
        field = dkim.DKIM(HEAD + body).sign(PAIR[0].selector.encode(), b"signed.test", PAIR[0].private.encode())
        assert outcomes(door.told(field + HEAD + body)) == ["pass"]
