"""What other hosts show and say below the protocols: certificates, as server and as client, and answers of DNS."""

# ruff: noqa: ASYNC109 (the parameter is part of dnspython's contract)
from __future__ import annotations

import ipaddress
import socket
from functools import cache
from typing import Any, cast

import dns.flags
from cryptography import x509
from dns.asyncbackend import Backend, DatagramSocket, StreamSocket  # type: ignore[attr-defined]
from OpenSSL import SSL, crypto
from twisted.internet.defer import Deferred
from twisted.internet.interfaces import ISSLTransport
from twisted.internet.testing import MemoryReactorClock
from zope.interface import implementer

from mailnode.errors import NoSuchName, ResolverFailure
from mailnode.interfaces.outbound import TlsaRecord, TlsRule
from mailnode.net.client_certificate import MAX_NAMES, client_names
from mailnode.net.client_tls import Handshake
from mailnode.net.resolver import Resolver
from tests.fuzz.certificates import PUBLIC_DER, authority, leaf
from tests.fuzz.target import Target, variant

# RFC 8460 4.3
PROBLEMS = {"certificate-expired", "certificate-not-trusted", "certificate-host-mismatch", "validation-failure"}
HOSTS = ("mx.x.test", "mail.y.test", "192.0.2.1")


@cache
def _context() -> SSL.Context:
    context = SSL.Context(SSL.TLS_METHOD)
    store = cast(crypto.X509Store, context.get_cert_store())
    store.add_cert(crypto.X509.from_cryptography(x509.load_der_x509_certificate(authority())))
    store.set_flags(crypto.X509StoreFlags.PARTIAL_CHAIN)
    return context


@implementer(ISSLTransport)
class _Shown:
    """A connection over which certificates were shown, and its transport."""

    def __init__(self, chain: list[bytes]) -> None:
        self._chain = chain

    def get_peer_cert_chain(self, as_cryptography: bool) -> list[x509.Certificate]:
        return [x509.load_der_x509_certificate(one) for one in self._chain]

    def get_peer_certificate(self, as_cryptography: bool) -> x509.Certificate:
        return x509.load_der_x509_certificate(self._chain[0])

    def get_context(self) -> SSL.Context:
        return _context()

    def getHandle(self) -> _Shown:
        return self


def certificates(data: bytes) -> None:
    """Show certificates: to a server, which looks whom they name, and by one, whose rule they are held against."""
    bits, rest = variant(data)
    chain, _, record = rest.partition(b"/tlsa/")
    shown = _Shown(chain.split(b"/and/"))
    host = HOSTS[bits % len(HOSTS)]
    names = client_names(shown)
    assert len(names.emails) <= MAX_NAMES and len(names.common_names) <= MAX_NAMES
    usage, selector, matching = record[:3].ljust(3, b"\0")
    tlsa = TlsaRecord(2 + usage % 2, selector % 2, matching % 3, record[3:])
    for handshake in (
        Handshake(_context(), host, trusted=_context()),
        Handshake(_context(), host, by_name=True),
        Handshake(_context(), host, rule=TlsRule("dane", (tlsa,), (host,))),
    ):
        handshake._connection = cast(SSL.Connection, shown)
        problem = handshake.problem()
        assert problem is None or problem.result in PROBLEMS


# DNS


class _Answers(Backend):
    """Name servers that answer each question with the same octets; then there are none any more."""

    def __init__(self, answer: bytes, whole: bool) -> None:
        self._answer, self._whole = answer, whole

    def name(self) -> str:
        return "answers"

    def datagram_connection_required(self) -> bool:
        return True

    async def make_socket(self, af: int, socktype: int, *_: Any, **__: Any) -> Any:
        return (_Datagrams if socktype == socket.SOCK_DGRAM else _Octets)(af, socktype, self)

    async def sleep(self, interval: float) -> None:
        """Nobody waits."""

    async def wait_for(self, awaitable: Any, timeout: float | None) -> Any:
        return await awaitable

    def to(self, question: bytes) -> bytes:
        """Return the answer with the number of a question, and, unless it is meant whole, with the question itself."""
        if self._whole:
            return question[:2] + self._answer
        end = question.index(b"\0", 12) + 5
        return question[:2] + self._answer[:10].ljust(10, b"\0") + question[12:end] + self._answer[10:]


class _Socket:
    def __init__(self, family: int, kind: int, answers: _Answers) -> None:
        super().__init__(family, kind)
        self._answers = answers
        self._octets = b""

    async def close(self) -> None:
        """There is nothing to close."""

    async def getpeername(self) -> Any:
        return "192.0.2.53", 53

    async def getsockname(self) -> Any:
        return "192.0.2.1", 1053


class _Datagrams(_Socket, DatagramSocket):
    async def sendto(self, what: bytes, destination: object, timeout: float | None) -> int:
        self._octets = self._answers.to(what)
        return len(what)

    async def recvfrom(self, size: int, timeout: float | None) -> Any:
        octets, self._octets = self._octets, b""
        if not octets:
            raise OSError("nobody is there")
        return octets, ("192.0.2.53", 53)


class _Octets(_Socket, StreamSocket):
    async def sendall(self, what: bytes, timeout: float | None) -> None:
        answer = bytearray(self._answers.to(what[2:]))
        answer[2] &= ~(dns.flags.TC >> 8)
        self._octets = len(answer).to_bytes(2, "big") + answer

    async def recv(self, size: int, timeout: float | None) -> bytes:
        taken, self._octets = self._octets[:size], self._octets[size:]
        return taken


def dns_answers(data: bytes) -> None:
    """Answer questions of each kind: what comes of it are records of that kind, in a form that can be used."""
    bits, answer = variant(data)
    resolver = Resolver(cast(Any, MemoryReactorClock()), ["192.0.2.53"])
    resolver._backend = cast(Any, _Answers(answer, bool(bits & 8)))
    asked = (
        resolver.mx("x.test"),
        resolver.a("x.test"),
        resolver.aaaa("x.test"),
        resolver.ptr("192.0.2.7"),
        resolver.txt("x.test"),
        resolver.tlsa("_25._tcp.x.test"),
        resolver.addresses("x.test"),
        resolver.is_validating(),
    )
    number = bits % 8
    outcome: list[Any] = []
    for place, question in enumerate(asked):
        if place == number:
            Deferred.fromCoroutine(question).addBoth(outcome.append)
        else:
            question.close()
    found = outcome[0]
    if hasattr(found, "raiseException"):
        found.raiseException()
    if number == 7:
        assert found is False  # servers elsewhere are not believed
        return
    assert not found.secure and found.ttl >= 0 and found.name.isascii() and found.name.isprintable()
    for one in found:
        _check(number, one)


def _check(number: int, one: Any) -> None:
    if number in (1, 2, 6):
        ipaddress.ip_address(one)
    elif number in (0, 3):
        host = one if number else one.host
        assert host.isascii() and host.isprintable()
    else:
        assert isinstance(one, bytes | TlsaRecord)


def _answer(kind: int, *records: bytes, flags: bytes = b"\x81\x80", owner: bytes = b"\xc0\x0c") -> bytes:
    """Return what stands behind the number of an answer, but for the question."""
    head = flags + b"\0\1" + len(records).to_bytes(2, "big") + bytes(4)
    return head + b"".join(owner + _record(kind, record) for record in records)


def _record(kind: int, octets: bytes) -> bytes:
    """Return a record, but for the name whose it is."""
    return kind.to_bytes(2, "big") + b"\0\1\0\0\1\0" + len(octets).to_bytes(2, "big") + octets


TARGETS = (
    Target(
        "certificates",
        certificates,
        (
            b"\0" + leaf() + b"/and/" + authority() + b"/tlsa/\3\1\0" + PUBLIC_DER,
            b"\1" + leaf() + b"/tlsa/\2\0\0" + authority(),
            b"\2" + leaf() + b"/and/" + authority() + b"/tlsa/\2\0\1" + bytes(32),
            b"\0/tlsa/",
        ),
        words=(
            b"/and/",
            b"/tlsa/",
            b"\3\0\0",
            b"\2\1\1",
            b"\x30\x84\xff\xff\xff\xff",
            b"\x30\x80",
            b"\x06\x03\x55\x1d\x11",
            b"\x06\x03\x55\x1d\x25",
            b"\x82\x01*",
            b"\x81\x03a@b",
            b"\x87\x04\xc0\0\2\1",
            b"\x0c\x01\xff",
            b"\x17\x0d99",
            b"\0",
        ),
        held=1024 * 1024,
    ),
    Target(
        "dns_answers",
        dns_answers,
        (
            b"\0" + _answer(15, b"\0\x0a\4mail\xc0\x0c", b"\0\x14\0"),
            b"\1" + _answer(1, bytes((192, 0, 2, 1))),
            b"\6" + _answer(28, bytes(16)),
            b"\3" + _answer(12, b"\1h\xc0\x0c"),
            b"\4" + _answer(16, b"\6v=spf1\5 -all", b"\0"),
            b"\5" + _answer(52, b"\3\1\1" + bytes(32), b"\3\1"),
            b"\4"
            + _answer(5, b"\1y\xc0\x0c").replace(b"\0\1\0\1", b"\0\1\0\2", 1)
            + b"\1y\xc0\x0c"
            + _record(16, b"\1x"),
            b"\4" + _answer(16, b"\1x", flags=b"\x83\x80"),
            b"\1" + _answer(6, b"\xc0\x0c\xc0\x0c" + bytes(20), flags=b"\x81\x83"),
            b"\7" + _answer(2, b"\1a\0", flags=b"\x81\xa0"),
            b"\x0c" + _answer(16, b"\1x"),
        ),
        errors=(NoSuchName, ResolverFailure),
        words=(
            b"\xc0\x0c",
            b"\xc0\xff",
            b"\0",
            b"\x3f" + b"a" * 63,
            b"\0\x10\0\1",
            b"\0\x05\0\1",
            b"\0\x2e\0\1",
            b"\0\x29\x04\xd0\0\0\0\0\0\0",
            b"\x81\x80",
            b"\x83\x80",
            b"\x81\x82",
            b"\xff\xff",
        ),
        held=1024 * 1024,
    ),
)
