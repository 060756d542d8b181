"""What a certification authority answers and issues, what is kept of it, and what a name server says to an update."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from contextlib import suppress
from io import BytesIO

import dns.message
import dns.rcode
import requests
from requests.adapters import BaseAdapter
from twisted.internet.task import Clock

from mailnode.acme.authority import Authority
from mailnode.acme.files import PendingOrder, PinnedKey, RenewalState, Suggestion
from mailnode.acme.keys import checked_chain, key_digest, key_pem, read_key, read_leaf
from mailnode.errors import CertificateFailed, UpdateFailed
from mailnode.net.dns_update import key_mistake, refusal, update_message
from mailnode.values.dns_update import TsigKey, ZoneChange
from mailnode.values.published import DnsRecord
from tests.fuzz.certificates import leaf, pem
from tests.fuzz.target import Target, variant

ACCOUNT = pem(
    b"PRIVATE KEY",
    bytes.fromhex(
        "308187020100301306072a8648ce3d020106082a8648ce3d030107046d306b0201010420"
        "c9afa9d845ba75166b5c215767b1d6934e50c3db36e89b127b8a622b120f6721a14403420004"
        "60fed4ba255a9d31c961eb74c6356d68c049b8923b61fa6ce669622e60f29fb67903fe1008b8bc99a41ae9e95628bc64f2f1b20c2d7e9f5177a3c294d4462299"
    ),
)
CA = "https://ca.example"
DIRECTORY = json.dumps({name: f"{CA}/{name}" for name in ("newNonce", "newAccount", "newOrder", "renewalInfo")})
SECRET = TsigKey("key.example", "c2VjcmV0IG9mIHRoZSB0ZXN0cywgMzIgb2N0ZXRzIGFsbA==")
CHANGE = ZoneChange("zone.example", add=(DnsRecord("x.zone.example", "TXT", "x", ""),))


class Answers(BaseAdapter):
    """Answers each request with the same octets, but for the directory and nonces."""

    def __init__(self, status: int, body: bytes, retry_after: str) -> None:
        super().__init__()
        self._status, self._body, self.retry_after = status, body, retry_after

    def send(self, request: requests.PreparedRequest, *args: object, **keys: object) -> requests.Response:
        """Answer."""
        response = requests.Response()
        known = {f"{CA}/newNonce": b"", f"{CA}/directory": DIRECTORY.encode()}.get(request.url or "")
        response.status_code = self._status if known is None else 200
        response.raw = BytesIO(self._body if known is None else known)
        response.url = request.url or ""
        response.headers.update({"Replay-Nonce": "bm9uY2U", "Location": f"{CA}/order", "Retry-After": self.retry_after})
        return response

    def close(self) -> None:
        """Nothing is open."""


def answers(data: bytes) -> None:
    """Take an answer to each request there is: what comes of it is checked, or told in one line."""
    bits, body = variant(data)
    clock = Clock()
    authority = Authority(f"{CA}/directory", ACCOUNT, "", "test", clock, clock)
    status = (200, 201, 400, 403, 409, 429, 500, 302)[bits & 7]
    authority._network.session.mount("https://", Answers(status, body, str(bits)))
    authority.begin()
    steps: Mapping[str, Callable[[], object]] = {
        "register": lambda: authority.register("", None),
        "order": lambda: authority.order(["mx.example"]).authorizations,
        "look": lambda: authority.look_at_order(f"{CA}/order"),
        "authorization": lambda: authority.look_at_authorization(f"{CA}/authorization"),
        "window": lambda: authority.renewal_window("id").choose(lambda low, high: low),
    }
    for ask in steps.values():
        try:
            ask()
        except CertificateFailed as error:
            assert str(error).isprintable() and len(str(error)) < 1500 and error.wait >= 0
    fresh = Authority(f"{CA}/other", ACCOUNT, "", "test", clock, clock)
    fresh._network.session.mount("https://", Answers(200, body, ""))
    with suppress(CertificateFailed):
        fresh.begin()
        assert all(isinstance(one, str) for one in fresh.profiles)


def issued(data: bytes) -> None:
    """Take a chain: nothing that was not ordered passes."""
    names, _, chain = data.partition(b"/")
    wanted = names.decode("latin-1").split() or ["mx.example"]
    try:
        passed = checked_chain(chain, ACCOUNT, wanted, 1.8e9)
    except CertificateFailed as error:
        assert str(error).isprintable()
    else:
        found = read_leaf(passed)
        assert found.names.issuperset(wanted) and found.key_digest == key_digest(ACCOUNT)
    with suppress(ValueError):
        assert key_pem(read_key(chain)).startswith(b"-----BEGIN PRIVATE KEY-----\n")


def remembered(data: bytes) -> None:
    """Read what is remembered, whatever a disk made of it."""
    state = RenewalState.from_json(data)
    assert all(time == time for time in (state.next_try, *state.retired.values()))  # of NaN it is not so
    RenewalState.from_json(state.as_json())


def update(data: bytes) -> None:
    """Take the answer to a signed update: without the signature it does not mean that all is done."""
    bits, wire = variant(data)
    message = update_message(CHANGE, SECRET)
    message.id = 0x6162  # chance would have it end a token now and then: less is read then of the same input
    octets = message.to_wire()
    if bits & 1:
        wire = octets[:2] + wire
    assert refusal(message, wire)
    text = wire.decode("latin-1")
    key_mistake(TsigKey(text[:50], text[50:]))
    with suppress(UpdateFailed):
        update_message(ZoneChange("zone.example", add=(DnsRecord("x.zone.example", "TLSA", text, ""),)), None)


def _response(code: int) -> bytes:
    response = dns.message.make_response(update_message(CHANGE, None))
    response.set_rcode(dns.rcode.Rcode(code))
    return b"\x01" + response.to_wire()[2:]


ORDER = {"status": "valid", "authorizations": [f"{CA}/1"], "finalize": f"{CA}/2", "certificate": f"{CA}/3"}
CHALLENGES = [{"type": "http-01", "url": f"{CA}/4", "token": "t" * 22, "status": "pending", "error": {"type": "x:dns"}}]
WINDOW = {"start": "2027-01-02T04:00:00Z", "end": "2027-01-03T04:00:00Z"}

STATE = RenewalState(
    1,
    2.0,
    "x",
    "y",
    {"ecdsa": PendingOrder(CA, CA, "ab")},
    {"ecdsa": Suggestion("id", 1.0, 2.0, 3.0, 4.0, CA)},
    {"ecdsa": PinnedKey("ab", 1.0, 2.0)},
    {"cd": 5.0},
)

TARGETS = (
    Target(
        "acme_answers",
        answers,
        (
            b"\x00" + json.dumps(ORDER).encode(),
            b"\x01" + json.dumps({"status": "x", "identifier": {"value": "*.x"}, "challenges": CHALLENGES}).encode(),
            b"\x00" + json.dumps({"suggestedWindow": WINDOW, "explanationURL": "x"}).encode(),
            b"\x03" + json.dumps({"type": "urn:ietf:params:acme:error:caa", "detail": "x"}).encode(),
            b"\x00" + DIRECTORY.encode(),
        ),
    ),
    Target("acme_issued", issued, (b"mx.example/" + pem(b"CERTIFICATE", leaf()), b"x/" + ACCOUNT, b"/")),
    Target("acme_state", remembered, (STATE.as_json(), STATE.as_json().replace(b"2.0", b"NaN"), b"{}")),
    Target("dns_update", update, (_response(0), _response(5), _response(9), b"\x00x")),
)
