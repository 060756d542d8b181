"""DNS for every room: dnspython's resolver on the reactor, with a cache, and failures told apart.

"The name does not exist" is an answer; "nobody knows just now" is a failure and temporary, also when no server can be
reached since the start.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Sequence
from pathlib import Path
from typing import Any, TypeAlias, TypeVar
from weakref import WeakKeyDictionary

import dns.asyncresolver
import dns.exception
import dns.flags
import dns.name
import dns.nameserver
import dns.rdatatype
import dns.resolver
import dns.reversename
import idna
from twisted.internet.defer import Deferred, DeferredList, ensureDeferred
from twisted.python.failure import Failure
from zope.interface import implementer

from mailnode.errors import ConfigurationError, NoSuchName, ResolverFailure
from mailnode.interfaces.outbound import IResolver, MxRecord, Records, TlsaRecord
from mailnode.interfaces.reactor import IServerReactor
from mailnode.net.descriptors import DNS
from mailnode.net.dns_backend import TwistedBackend
from mailnode.net.dns_tlsa import read_tlsa_as_it_is

T = TypeVar("T")
RecordData: TypeAlias = Any  # dnspython's data of a record, whose attributes follow from the type that was asked for

EDNS_PAYLOAD = 1232  # octets that pass every path without fragments
CACHE_ENTRIES = 20_000
FAILURE_SECONDS = 10.0  # a name that just failed is not asked again; RFC 2308 7 allows up to 300
MAX_FAILURES = 5_000  # remembered at a time
AGAIN = 1.0  # seconds in which the same question has the same answer, without dnspython's looking for it: mail of one sender
MAX_JUST_TOLD = 1_000  # of those at a time
RESOLV_CONF = Path("/etc/resolv.conf")
LOOK = 5.0  # seconds between looks whether it has changed: the network may come up, or move, after us
MAX_SERVERS = 8
MAX_RESOLV_CONF = 64 * 1024  # octets


@implementer(IResolver)
class Resolver:
    """DNS look-ups through the configured recursive servers.

    An answer is taken only from the server that was asked; a truncated one is asked for again over TCP.
    """

    def __init__(
        self,
        reactor: IServerReactor,
        servers: Sequence[str] = (),
        *,
        lifetime: float = 12.0,
        timeout: float = 3.0,
        failure_seconds: float = FAILURE_SECONDS,
        at_once: int = DNS,
        validates: str = "auto",
        resolv_conf: Path = RESOLV_CONF,
    ) -> None:
        """:param servers: ``"127.0.0.1"``, ``"127.0.0.1:5353"``, ``"[::1]:5353"``; none: those of ``resolv_conf``.
        :param lifetime: seconds for one look-up, all servers and repetitions together.
        :param timeout: seconds until the next server is asked.
        :param at_once: questions at a time, each with a socket of its own; the others wait.
        :param validates: whether the servers are believed that an answer is validated: "yes", "no", or "auto", when all of
        them are on this machine, since nobody can change an answer between them and us (RFC 4035 4.9.3).
        :raises ConfigurationError: an entry of ``servers`` that is not an address with an optional port.
        """
        read_tlsa_as_it_is()
        self._clock = reactor
        self._backend = TwistedBackend(reactor, at_once)
        self._failure_seconds = failure_seconds
        self._validates = validates
        self._failures: dict[tuple[dns.name.Name, str], float] = {}
        self._just_told: dict[
            tuple[str, str], tuple[float, Records[RecordData] | None]
        ] = {}  # until when; None: no such name
        self._asked: dict[tuple[dns.name.Name, str], list[Deferred[Records[RecordData]]]] = {}  # who waits for what
        self._resolv_conf = None if servers else resolv_conf
        self._stamp: object = None
        self._look_at = 0.0
        resolver = new_resolver(servers or system_servers(resolv_conf), lifetime, timeout)
        self._cache = dns.resolver.LRUCache(CACHE_ENTRIES)
        self._since: WeakKeyDictionary[dns.resolver.Answer, float] = WeakKeyDictionary()  # when each came
        resolver.cache = self._cache
        self._resolver = resolver

    @property
    def servers(self) -> tuple[str, ...]:
        """The addresses of those that are asked now."""
        self._look()
        return tuple(str(server.address) for server in self._resolver.nameservers)  # type: ignore[union-attr]

    @property
    def believed(self) -> bool:
        """Whether the servers are believed when they say that an answer is validated."""
        return believed(self._validates, self.servers)

    async def is_validating(self) -> bool:
        """Whether the servers validate, as the root's signed answer shows. :raises mailnode.errors.ResolverFailure:"""
        return self.believed and (await self._ask(".", "NS")).secure

    def _look(self) -> None:
        """Take over the system's servers when its file has changed."""
        path, now = self._resolv_conf, self._clock.seconds()
        if path is None or now < self._look_at:
            return
        self._look_at = now + LOOK
        try:
            status = path.stat()
            stamp: object = (status.st_mtime_ns, status.st_size, status.st_ino)
        except OSError as error:
            stamp = error.errno
        if stamp != self._stamp:
            self._stamp = stamp
            self._resolver.nameservers = _nameservers(system_servers(path))
            self._failures.clear()
            self._just_told.clear()
            self._cache.flush()  # other servers may not be believed what these are

    async def mx(self, domain: str) -> Records[MxRecord]:
        """MX records in no order; see :class:`IResolver`."""
        answer = await self._ask(domain, "MX")
        return _like(answer, [MxRecord(record.preference, _host(record.exchange)) for record in answer])

    async def addresses(self, host: str) -> Records[str]:
        """IPv6 and IPv4 addresses; what one family lacks or fails to tell does not hide the other."""
        asked = [ensureDeferred(self._ask(host, kind)) for kind in ("AAAA", "A")]
        ended: Sequence[tuple[bool, RecordData]] = await DeferredList(asked, consumeErrors=True)
        answers: list[Records[RecordData]] = [answer for good, answer in ended if good and answer]
        if answers:
            return Records(
                (record.address for answer in answers for record in answer),
                secure=all(answer.secure for answer in answers),
                name=answers[0].name,
                ttl=min(answer.ttl for answer in answers),
            )
        errors = [failure.value for good, failure in ended if not good]
        for error in errors:
            if not isinstance(error, NoSuchName):
                raise error
        if errors:
            raise errors[0]
        return Records()

    async def a(self, host: str) -> Records[str]:
        """IPv4 addresses."""
        answer = await self._ask(host, "A")
        return _like(answer, [record.address for record in answer])

    async def aaaa(self, host: str) -> Records[str]:
        """IPv6 addresses."""
        answer = await self._ask(host, "AAAA")
        return _like(answer, [record.address for record in answer])

    async def ptr(self, address: str) -> Records[str]:
        """Names of an address."""
        answer = await self._ask(dns.reversename.from_address(address).to_text(), "PTR")
        return _like(answer, [_host(record.target) for record in answer])

    async def txt(self, name: str) -> Records[bytes]:
        """TXT records, the strings of each joined."""
        answer = await self._ask(name, "TXT")
        return _like(answer, [b"".join(record.strings) for record in answer])

    async def tlsa(self, name: str) -> Records[TlsaRecord]:
        """TLSA records, as they are."""
        answer = await self._ask(name, "TLSA")
        return _like(answer, [TlsaRecord(one.usage, one.selector, one.mtype, one.cert) for one in answer])

    async def _ask(self, text: str, kind: str) -> Records[RecordData]:
        known = self._just_told.get((text, kind))
        if known is not None and self._clock.seconds() < known[0]:
            if known[1] is None:
                raise NoSuchName("no such name")
            return known[1]
        try:
            answer = await self._ask_once(text, kind)
        except NoSuchName:
            self._remember(text, kind, None, AGAIN)
            raise
        self._remember(text, kind, answer, min(AGAIN, answer.ttl))
        return answer

    def _remember(self, text: str, kind: str, answer: Records[RecordData] | None, seconds: float) -> None:
        if len(self._just_told) >= MAX_JUST_TOLD:
            self._just_told.clear()
        self._just_told[text, kind] = self._clock.seconds() + seconds, answer

    async def _ask_once(self, text: str, kind: str) -> Records[RecordData]:
        name = _name(text)
        self._look()
        if self._clock.seconds() < self._failures.get((name, kind), 0.0):
            raise ResolverFailure("DNS failed a moment ago")
        told: Deferred[Records[RecordData]] = Deferred()
        waiting = self._asked.setdefault((name, kind), [])
        waiting.append(told)
        if len(waiting) == 1:  # who asks the same meanwhile gets this answer, whoever of them is cut off
            Deferred.fromCoroutine(self._resolve(name, kind)).addBoth(self._tell, name, kind)
        return await told

    def _tell(self, answer: Records[RecordData] | Failure, name: dns.name.Name, kind: str) -> None:
        for told in self._asked.pop((name, kind)):
            told.callback(answer)  # a failure too: it goes on as one

    async def _resolve(self, name: dns.name.Name, kind: str) -> Records[RecordData]:
        try:
            answer = await self._resolver.resolve(
                name, kind, backend=self._backend, search=False, raise_on_no_answer=False
            )
        except dns.resolver.NXDOMAIN:
            raise NoSuchName("no such name") from None
        except (dns.exception.DNSException, OSError) as error:
            self._remember_failure(name, kind)
            raise ResolverFailure("DNS gives no answer") from error
        secure = bool(answer.response.flags & dns.flags.AD) and self.believed
        alias = "" if answer.canonical_name == name else _host(answer.canonical_name)
        now = self._clock.seconds()
        age = now - self._since.setdefault(answer, now)
        ttl = max(0.0, answer.chaining_result.minimum_ttl - age)
        return Records(answer.rrset or (), secure=secure, name=alias, ttl=ttl)

    def _remember_failure(self, name: dns.name.Name, kind: str) -> None:
        now = self._clock.seconds()
        if len(self._failures) >= MAX_FAILURES:
            self._failures = {key: until for key, until in self._failures.items() if until > now}
            if len(self._failures) >= MAX_FAILURES:
                self._failures.clear()
        self._failures[name, kind] = now + self._failure_seconds


def new_resolver(servers: Sequence[str], lifetime: float, timeout: float) -> dns.asyncresolver.Resolver:
    """Return dnspython's resolver, set up as we ask, without a cache; see :class:`Resolver`.

    :param servers: none: those of the system. :raises ConfigurationError:
    """
    resolver = dns.asyncresolver.Resolver(configure=False)
    resolver.nameservers = _nameservers(servers or system_servers(RESOLV_CONF))
    # AD in the query asks for the validation result without the signatures that DO would bring (RFC 6840 5.7).
    resolver.flags = dns.flags.RD | dns.flags.AD
    resolver.use_edns(0, 0, EDNS_PAYLOAD)
    resolver.lifetime = lifetime
    resolver.timeout = timeout
    return resolver


def believed(validates: str, servers: Sequence[str]) -> bool:
    """Whether servers are believed when they say that an answer is validated. :param servers: addresses without ports."""
    if validates == "auto":
        return all(ipaddress.ip_address(address).is_loopback for address in servers)
    return validates == "yes"


def asked_addresses(servers: Sequence[str]) -> list[str]:
    """Return the addresses of those that are asked. :param servers: see :class:`Resolver`. Blocks, for a small file."""
    return [_server(text)[0] for text in servers or system_servers(RESOLV_CONF)]


def system_servers(path: Path) -> list[str]:
    """Return the servers a resolv.conf names; as the C library does, the one on this machine when it names none that can be
    used. Blocks, for a small file."""
    try:
        with path.open("rb") as file:
            lines = file.read(MAX_RESOLV_CONF).decode("utf-8", "replace").splitlines()
    except OSError:
        lines = []
    words = [line.split() for line in lines]
    named = [line[1] for line in words if len(line) > 1 and line[0] == "nameserver"]
    return [address for address in named if _is_address(address)][:MAX_SERVERS] or ["127.0.0.1"]


def _is_address(text: str) -> bool:
    try:
        ipaddress.ip_address(text)  # with %interface too, where the address is local to a link
    except ValueError:
        return False
    return True


def _nameservers(servers: Sequence[str]) -> list[dns.nameserver.Nameserver]:
    return [dns.nameserver.Do53Nameserver(*_server(text)) for text in servers]


def _server(text: str) -> tuple[str, int]:
    address, port = text, "53"
    if text.startswith("["):
        address, _, rest = text[1:].partition("]")
        port = rest[1:] if rest.startswith(":") else "53" if not rest else ""
    elif text.count(":") == 1:
        address, _, port = text.partition(":")
    try:
        ipaddress.ip_address(address)
        if not (port.isascii() and port.isdigit() and 0 < int(port[:6]) < 65536):
            raise ValueError
    except ValueError:
        raise ConfigurationError([f"dns.servers: {text!r} is not an address with an optional port"]) from None
    return address, int(port)


def _name(text: str) -> dns.name.Name:
    try:
        if not text.isascii():
            text = idna.encode(text, uts46=True).decode("ascii")
        return dns.name.from_text(text.lower().removesuffix(".") + ".")
    except (dns.exception.DNSException, UnicodeError):
        raise NoSuchName("not a domain name") from None


def _like(answer: Records[RecordData], records: Sequence[T]) -> Records[T]:
    return Records(records, secure=answer.secure, name=answer.name, ttl=answer.ttl)


def _host(name: dns.name.Name) -> str:
    return "" if name == dns.name.root else name.to_text(omit_final_dot=True).lower()
