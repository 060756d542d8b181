"""SCRAM talked down, bound to another connection or altered on the way: over IMAP, POP3 and submission, with both ways of TLS.

The client is our own: it binds by both types, says what a test wants of it, and believes no server that cannot prove itself.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import re
import secrets
import socket
import struct
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from dataclasses import dataclass, replace

import pytest
from man_in_the_middle import ManInTheMiddle
from OpenSSL import SSL
from servers import PASSWORD, MailNode

SERVICES = {  # port: protocol, how TLS begins
    "imap": ("imap", b"s STARTTLS"),
    "imaps": ("imap", b""),
    "pop3": ("pop3", b"STLS"),
    "pop3s": ("pop3", b""),
    "submission": ("smtp", b"STARTTLS"),
    "submissions": ("smtp", b""),
}
LIST = {"imap": b"c CAPABILITY", "pop3": b"CAPA", "smtp": b"EHLO x.test"}  # what there is to log in with
# The last line of an answer, a login that was refused for its secret, and one that stands.
LAST = re.compile(rb"(?m)^(?:[a-z] (?:OK|NO|BAD)|\+|\.|-ERR|\d{3} )[^\n]*\n\Z|^\* OK [^\n]*\n\Z")
REFUSED = re.compile(rb"a NO \[AUTHENTICATIONFAILED\] |-ERR \[AUTH\] |535 5\.7\.8 ")
ENTERED = re.compile(rb"a OK |\+OK |235 ")


class Wire:
    """One connection, with TLS that tells what a login may be bound to."""

    def __init__(self, node: MailNode, service: str, port: int = 0, source: str = "127.0.0.1") -> None:
        """:param port: another one than the service's own."""
        self.protocol, begins = SERVICES[service]
        self.user = f"{service}@a.test".encode()
        self._raw = socket.create_connection(("127.0.0.1", port or node.ports[service]), 60, (source, 0))
        self._raw.setblocking(True)  # as OpenSSL wants it; the kernel bounds the wait
        self._raw.setsockopt(socket.SOL_SOCKET, socket.SO_RCVTIMEO, struct.pack("ll", 60, 0))
        self._io: socket.socket | SSL.Connection = self._raw
        if begins:
            self._answer()
            if self.protocol == "smtp":
                self.ask(LIST["smtp"])
            self.ask(begins)
        self._io = self.tls = SSL.Connection(SSL.Context(SSL.TLS_CLIENT_METHOD), self._raw)
        self.tls.set_tlsext_host_name(b"localhost")
        self.tls.set_connect_state()
        self.tls.do_handshake()
        if not begins:
            self._answer()
        self.offered = set(re.findall(rb"SCRAM-SHA-[A-Z0-9-]+", self.ask(LIST[self.protocol])))

    def ask(self, line: bytes) -> bytes:
        self._io.sendall(line + b"\r\n")
        return self._answer()

    def _answer(self) -> bytes:
        said = b""
        while not LAST.search(said) or (said.startswith(b"+OK cap") and not said.endswith(b"\n.\r\n")):
            octets = self._io.recv(65536)
            assert octets, (said, "closed")
            said += octets
        return said

    def bindings(self) -> dict[str, bytes]:
        """By type: RFC 9266 2, RFC 5929 4.1."""
        certificate = self.tls.get_peer_certificate(as_cryptography=True)
        return {
            "tls-exporter": self.tls.export_keying_material(b"EXPORTER-Channel-Binding", 32, b""),
            "tls-server-end-point": certificate.fingerprint(certificate.signature_hash_algorithm),
        }

    def close(self) -> None:
        self._raw.close()


@dataclass(frozen=True)
class Scram:
    """RFC 5802, the client's side. ``kind``: the type of its binding. ``alter``: what becomes of client-final-message before its
    proof, which is over what stands there then."""

    mechanism: bytes = b"SCRAM-SHA-256"
    flag: bytes = b"n"
    kind: str = ""
    alter: Callable[[bytes], bytes] = bytes
    least: int = 4096  # iterations, RFC 7677 4

    @property
    def digest(self) -> str:
        return "sha256" if b"256" in self.mechanism else "sha1"

    def log_in(self, wire: Wire) -> bytes:
        """Return the last answer. What the server proves is looked at before it is believed."""
        header = (self.flag + self.kind.encode()) + b",,"
        bare = b"n=" + wire.user + b",r=" + secrets.token_hex(9).encode()
        bound = header + (wire.bindings()[self.kind] if self.kind else b"")
        verb = b"a AUTHENTICATE " if wire.protocol == "imap" else b"AUTH "
        answer = wire.ask(verb + self.mechanism + b" " + base64.b64encode(header + bare))
        if (first := challenge(answer)) is None:
            return answer
        nonce, salt, iterations = re.fullmatch(rb"r=(.+),s=(.+),i=(\d+)", first).groups()
        assert nonce.startswith(bare.partition(b"r=")[2]) and int(iterations) >= self.least
        salted = hashlib.pbkdf2_hmac(self.digest, PASSWORD.encode(), base64.b64decode(salt), int(iterations))
        without = self.alter(b"c=" + base64.b64encode(bound) + b",r=" + nonce)
        key = hmac.digest(salted, b"Client Key", self.digest)
        about = b",".join((bare, first, without))
        signature = hmac.digest(hashlib.new(self.digest, key).digest(), about, self.digest)
        proof = base64.b64encode(bytes(a ^ b for a, b in zip(key, signature, strict=True)))
        answer = wire.ask(base64.b64encode(without + b",p=" + proof))
        if (last := challenge(answer)) is None:
            return answer
        theirs = hmac.digest(hmac.digest(salted, b"Server Key", self.digest), about, self.digest)
        assert last == b"v=" + base64.b64encode(theirs), "this is no server that knows us"
        return wire.ask(b"")


def challenge(answer: bytes) -> bytes | None:
    found = re.fullmatch(rb"(?:\+|334) ([A-Za-z0-9+/=]*)\r\n", answer)
    return base64.b64decode(found[1]) if found else None


@pytest.fixture(scope="module")
def node(tmp_path_factory: pytest.TempPathFactory) -> Iterator[MailNode]:
    """One mailnode that offers SCRAM by both hashes, bound and not."""
    extra = '[auth]\nscram = ["SCRAM-SHA-256", "SCRAM-SHA-1"]\nscram_bound = true\n'
    made = MailNode(tmp_path_factory.mktemp("scram"), extra=extra).start()
    try:
        for service in SERVICES:
            made.add_account(f"{service}@a.test")
        yield made
    finally:
        assert made.stop() == 0


@pytest.fixture
def source(request: pytest.FixtureRequest) -> str:
    """An address in a network of its own: the bounds of guesses are not what is tested."""
    number = request.session.items.index(request.node)
    return f"127.{10 + number // 250}.{number % 250}.1"


def at_all(work: Callable[[str], bytes]) -> dict[str, bytes]:
    """Do something at all services at once: a refusal comes a second late."""
    with ThreadPoolExecutor(len(SERVICES)) as threads:
        return dict(zip(SERVICES, threads.map(work, SERVICES), strict=True))


def log_in(client: Scram, wire: Wire) -> bytes:
    """Return the last answer to a login, the session of which has ended."""
    with closing(wire):
        answer = client.log_in(wire)
        wire.ask(b"z LOGOUT" if wire.protocol == "imap" else b"QUIT")
        return answer


PLUS = Scram(b"SCRAM-SHA-256-PLUS", b"p=", "tls-exporter")
RIGHT = {
    "not bound": Scram(),
    "not bound, SHA-1": Scram(b"SCRAM-SHA-1"),
    "bound to the keys": PLUS,
    "bound to the certificate": replace(PLUS, kind="tls-server-end-point"),
    "bound, SHA-1": replace(PLUS, mechanism=b"SCRAM-SHA-1-PLUS"),
}


def altered(before: bytes, after: bytes) -> Callable[[bytes], bytes]:
    def alter(text: bytes) -> bytes:
        assert re.search(before, text), text
        return re.sub(before, after, text)

    return alter


WRONG = {
    "would bind, and says it was offered nothing": Scram(flag=b"y"),
    "binds where the mechanism does not": replace(PLUS, mechanism=b"SCRAM-SHA-256"),
    "does not bind where the mechanism does": Scram(b"SCRAM-SHA-256-PLUS"),
    "could bind where the mechanism does": Scram(b"SCRAM-SHA-256-PLUS", b"y"),
    "binds by a type there is not": replace(PLUS, flag=b"p=tls-unique-", kind="tls-exporter"),
    "binds to something else": replace(
        PLUS, alter=altered(rb"c=[^,]+", b"c=" + base64.b64encode(b"p=tls-exporter,,x"))
    ),
    "shows no binding in the end": replace(PLUS, alter=altered(rb"c=[^,]+", b"c=biws")),
    "has another nonce in the end": Scram(alter=altered(rb"r=.", b"r=_")),
    "has half of the nonce in the end": Scram(alter=altered(rb"r=(.{20}).+", rb"r=\1")),
    "says in the end that it would have bound": Scram(alter=altered(rb"c=biws", b"c=eSws")),
}


@pytest.mark.parametrize("name", RIGHT)
def test_who_is_right_enters_a_server_that_proves_itself(node, source, name):
    answers = at_all(lambda service: log_in(RIGHT[name], Wire(node, service, source=source)))
    assert all(ENTERED.match(answer) for answer in answers.values()), answers


def are_refused(node: MailNode, work: Callable[[str], bytes]) -> None:
    before = len(node.events("session.login"))
    answers = at_all(work)
    assert all(REFUSED.match(answer) for answer in answers.values()), answers
    assert len(node.events("session.login")) == before


# SMTP trap 30: at each service, over both ways of TLS
@pytest.mark.parametrize("name", WRONG)
def test_a_right_password_is_of_no_use_to_a_client_that(node, source, name):
    are_refused(node, lambda service: log_in(WRONG[name], Wire(node, service, source=source)))


def through(node: MailNode, service: str, source: str, alter: Callable[[bytes], bytes]) -> Wire:
    """Return a connection that goes through somebody who alters what the server says."""
    with closing(ManInTheMiddle(node.ports[service], not SERVICES[service][1], alter)) as middle:
        return Wire(node, service, middle.port, source)


def without_plus(said: bytes) -> bytes:
    return re.sub(rb" (AUTH=)?SCRAM-SHA-[0-9]+-PLUS", b"", said)


def one_iteration(said: bytes) -> bytes:
    text = challenge(said)
    if text is None or b",i=" not in text:
        return said
    return said.split()[0] + b" " + base64.b64encode(re.sub(rb"i=\d+", b"i=1", text)) + b"\r\n"


def another_signature(said: bytes) -> bytes:
    text = challenge(said)
    return said if text is None or not text.startswith(b"v=") else said.split()[0] + b" dj14\r\n"


def test_a_client_that_was_shown_no_plus_tells_that_it_would_bind_and_is_refused(node, source):
    def work(service: str) -> bytes:
        wire = through(node, service, source, without_plus)
        assert wire.offered == {b"SCRAM-SHA-256", b"SCRAM-SHA-1"}
        return log_in(Scram(flag=b"y"), wire)

    are_refused(node, work)


@pytest.mark.parametrize("kind", ["tls-exporter", "tls-server-end-point"])
def test_a_client_that_binds_is_bound_to_whoever_sits_in_between(node, source, kind):
    def work(service: str) -> bytes:
        wire = through(node, service, source, bytes)
        assert PLUS.mechanism in wire.offered
        return log_in(replace(PLUS, kind=kind), wire)

    are_refused(node, work)


def test_a_proof_that_is_made_cheap_to_guess_by_is_none(node, source):
    are_refused(node, lambda service: log_in(Scram(least=1), through(node, service, source, one_iteration)))


def test_a_client_that_does_not_bind_enters_through_anybody_but_learns_who_is_no_server(node, source):
    answers = at_all(lambda service: log_in(Scram(), through(node, service, source, bytes)))
    assert all(ENTERED.match(answer) for answer in answers.values()), answers
    for service in SERVICES:
        with (
            pytest.raises(AssertionError, match="no server"),
            closing(through(node, service, source, another_signature)) as wire,
        ):
            Scram().log_in(wire)
