"""Dynamic updates of a zone (RFC 2136), signed with a shared key (RFC 8945), over TCP.

An answer that is not signed with the key that signed the update is not believed when it says that all is done.
"""

from __future__ import annotations

import ipaddress
from base64 import b64decode
from collections.abc import Callable, Sequence
from socket import SOCK_STREAM
from typing import TypeVar

import dns.exception
import dns.inet
import dns.message
import dns.name
import dns.rcode
import dns.rdata
import dns.rdataclass
import dns.rdatatype
import dns.tsig
import dns.update
from dns.asyncbackend import StreamSocket  # type: ignore[attr-defined]
from dns.rcode import Rcode
from twisted.internet.error import ConnectError
from zope.interface import implementer

from mailnode.errors import DomainError, UpdateFailed
from mailnode.interfaces.dns_update import IZoneUpdates
from mailnode.interfaces.outbound import IResolver
from mailnode.interfaces.reactor import IServerReactor
from mailnode.net.dns_backend import TwistedBackend
from mailnode.values.dns_update import TsigKey, UpdateServer, ZoneChange
from mailnode.values.published import DnsRecord

SECONDS = 15.0  # for one address of a server, connection and answer together
AT_ONCE = 4  # connections at a time
MAX_STRING = 255  # octets of one string of a TXT record, RFC 1035 3.3.14
T = TypeVar("T")

ALGORITHMS = ("hmac-sha256", "hmac-sha384", "hmac-sha512", "hmac-sha224", "hmac-sha1", "hmac-md5")

_WORDS = {
    dns.rcode.FORMERR: "it does not understand the update",
    dns.rcode.SERVFAIL: "it has trouble of its own; its log says more",
    dns.rcode.NOTIMP: "it takes no updates",
    dns.rcode.REFUSED: "it refuses the update: this key, or this address, may not change this zone or these names",
    dns.rcode.NOTAUTH: "it does not have the zone, or does not know the key",
    dns.rcode.NOTZONE: "a name is not in the zone",
}
NONSENSE = "its answer makes no sense"
_DOUBTS: tuple[tuple[type[Exception] | tuple[type[Exception], ...], str], ...] = (
    (dns.tsig.PeerBadTime, "its clock and ours differ by too much for the key"),
    (dns.tsig.PeerBadKey, "it does not know the key, or the key may not change this zone or these names"),
    (dns.tsig.PeerBadSignature, "the secret of the key is another one there"),
    (dns.tsig.PeerError, "it does not accept the signature"),
    (dns.tsig.BadTime, "its clock and ours differ by too much for the key"),
    (dns.tsig.BadSignature, "its answer is not signed with the key"),
    (dns.message.UnknownTSIGKey, "its answer is signed with another key"),
    (dns.exception.Timeout, "no answer in time"),
    (EOFError, "it closed the connection without an answer"),
    ((OSError, ConnectError), "it cannot be reached"),
)


@implementer(IZoneUpdates)
class ZoneUpdates:
    """Sends updates, each over a connection of its own."""

    def __init__(self, reactor: IServerReactor, resolver: IResolver, seconds: float = SECONDS) -> None:
        """:param resolver: for servers that are named. :param seconds: for one address of a server."""
        self._backend = TwistedBackend(reactor, AT_ONCE)
        self._resolver = resolver
        self._seconds = seconds

    async def update(self, server: UpdateServer, change: ZoneChange) -> None:
        """See :class:`IZoneUpdates`. Another address of the server is tried where nobody answers at one."""
        message = update_message(change, server.key)
        wrong = "it has no address"
        for address in await self._addresses(server.host):
            try:
                wire = await self._backend.wait_for(self._exchange(message, address, server.port), self._seconds)
            except (dns.exception.Timeout, ConnectError, OSError, EOFError) as error:
                wrong = _doubt(error)
                continue
            wrong = refusal(message, wire)
            break
        if wrong:
            raise UpdateFailed(f"the name server {server.host} did not take a change of {change.zone}: {wrong}")

    async def _exchange(self, message: dns.message.Message, address: str, port: int) -> bytes:
        """Return the octets of the answer. :raises EOFError: there is none."""
        family = dns.inet.af_for_address(address)
        stream = await self._backend.make_socket(family, SOCK_STREAM, 0, None, (address, port), self._seconds)
        assert isinstance(stream, StreamSocket)
        async with stream:
            await stream.sendall(message.to_wire(prepend_length=True), None)
            length = int.from_bytes(await _exactly(stream, 2), "big")
            return await _exactly(stream, length)

    async def _addresses(self, host: str) -> Sequence[str]:
        try:
            return [str(ipaddress.ip_address(host))]
        except ValueError:
            pass
        try:
            return await self._resolver.addresses(host)
        except DomainError:
            raise UpdateFailed(f"the address of the name server {host} is not known: DNS does not tell it") from None


def update_message(change: ZoneChange, key: TsigKey | None) -> dns.update.UpdateMessage:
    """Return the update. :raises UpdateFailed: a key or a record that cannot be written."""
    zone = _read(dns.name.from_text, change.zone, "not a domain name")
    message = dns.update.UpdateMessage(zone)
    if key is not None:
        message.use_tsig(_keyring(key), algorithm=_algorithm(key))
    for record in change.replace:
        name, _ = _record(record, zone)
        message.delete(name, record.type)
    for record in change.remove:
        name, data = _record(record, zone)
        message.delete(name, data)
    for record in (*change.replace, *change.add):
        name, data = _record(record, zone)
        message.add(name, change.ttl, data)
    return message


def key_mistake(key: TsigKey) -> str:
    """Return what is wrong with a key, "" when nothing is."""
    try:
        _algorithm(key)
        _keyring(key)
    except UpdateFailed as error:
        return str(error)
    return ""


def _keyring(key: TsigKey) -> dict[dns.name.Name, dns.tsig.Key]:
    words = "the secret of the TSIG key is not Base64, or its name no name"
    return _read(
        lambda name: {dns.name.from_text(name): dns.tsig.Key(name, _secret(key), _algorithm(key))}, key.name, words
    )


def _secret(key: TsigKey) -> bytes:
    return b64decode("".join(key.secret.split()), validate=True)


def _algorithm(key: TsigKey) -> dns.name.Name:
    name = key.algorithm.lower().rstrip(".")
    if name not in ALGORITHMS:
        raise UpdateFailed(f"{key.algorithm}: not an algorithm of TSIG keys; they are {', '.join(ALGORITHMS)}")
    return dns.tsig.HMAC_MD5 if name == "hmac-md5" else dns.name.from_text(name)


def _record(record: DnsRecord, zone: dns.name.Name) -> tuple[dns.name.Name, dns.rdata.Rdata]:
    name = _read(dns.name.from_text, record.name, "not a domain name")
    if not name.is_subdomain(zone):
        raise UpdateFailed(f"{record.name} is not in the zone {zone.to_text(omit_final_dot=True)}")
    words = f"{record.name} {record.type}: not the data of such a record"
    return name, _read(lambda text: _data(record.type, text), record.value, words)


def _data(kind: str, value: str) -> dns.rdata.Rdata:
    if kind == "TXT":
        octets = value.encode("utf-8")
        pieces = [octets[start : start + MAX_STRING] for start in range(0, len(octets), MAX_STRING)] or [b""]
        value = " ".join('"' + "".join(f"\\{octet:03d}" for octet in piece) + '"' for piece in pieces)
    return dns.rdata.from_text(
        dns.rdataclass.IN, dns.rdatatype.from_text(kind), value, origin=dns.name.root, relativize=False
    )


def _read(read: Callable[[str], T], text: str, words: str) -> T:
    try:
        return read(text)
    except (dns.exception.DNSException, ValueError, UnicodeError):
        raise UpdateFailed(words if words.startswith(("the ", text)) else f"{text}: {words}") from None


async def _exactly(stream: StreamSocket, count: int) -> bytes:
    octets = b""
    while len(octets) < count:
        more = await stream.recv(count - len(octets), None)  # type: ignore[no-untyped-call]
        if not more:
            raise EOFError
        octets += more
    return octets


def refusal(message: dns.message.Message, wire: bytes) -> str:
    """Return why the answer does not mean that all is done, "" when it does. Who knows no key of ours signs with none."""
    unsigned = "its answer is not signed with the key"
    try:
        response = dns.message.from_wire(wire, keyring=message.keyring, request_mac=message.mac)
        unsigned = unsigned if message.keyring and not response.had_tsig else ""
    except dns.exception.FormError as error:
        try:
            response = dns.message.from_wire(wire, keyring=False)
        except dns.exception.DNSException:
            return _doubt(error)
    except dns.exception.DNSException as error:
        return _doubt(error)
    if not message.is_response(response):
        return NONSENSE
    code = response.rcode()
    return unsigned if code == Rcode.NOERROR else _WORDS.get(code, f"it answers {dns.rcode.to_text(code)}")


def _doubt(error: Exception) -> str:
    return next((words for kind, words in _DOUBTS if isinstance(error, kind)), NONSENSE)
