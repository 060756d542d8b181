"""Asks DNS many questions at once and remembers nothing, with the reactor or without one: for whoever compares what DNS says now
with what it should."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Collection, Sequence

import dns.asyncbackend
import dns.asyncresolver
import dns.exception
import dns.flags
import dns.name
import dns.rdatatype
import dns.resolver
from dns.asyncbackend import Backend  # type: ignore[attr-defined]
from twisted.internet.defer import ensureDeferred
from zope.interface import implementer

from mailnode.interfaces.dns import DnsAnswer, DnsQuestion, IDnsLookup
from mailnode.interfaces.reactor import IServerReactor
from mailnode.net.dns_backend import TwistedBackend
from mailnode.net.resolver import RecordData, new_resolver

AT_ONCE = 16  # questions of all who ask a server, each with a socket of its own: they are of the descriptors kept back
AT_ONCE_ALONE = 200  # of a command, which needs its descriptors for nothing else
LIFETIME = 6.0  # seconds for one question, all servers and repetitions together
TIMEOUT = 2.0  # seconds until the next server is asked
MAX_VALUES = 100  # of one answer that are looked at

Servers = Callable[[], Sequence[str]]


@implementer(IDnsLookup)
class ReactorLookup:
    """Asks on the reactor."""

    def __init__(self, reactor: IServerReactor, servers: Servers) -> None:
        """:param servers: returns who is asked, as ``[dns] servers`` names them; none: those of the system."""
        self._backend = TwistedBackend(reactor, AT_ONCE)
        self._servers = servers

    async def ask(self, questions: Collection[DnsQuestion]) -> dict[DnsQuestion, DnsAnswer]:
        """See :class:`IDnsLookup`."""
        resolver = new_resolver(self._servers(), LIFETIME, TIMEOUT)
        asked = {question: ensureDeferred(_look_up(resolver, self._backend, question)) for question in questions}
        return {question: await answer for question, answer in asked.items()}


@implementer(IDnsLookup)
class AsyncioLookup:
    """Asks on the event loop of :mod:`asyncio` that runs whoever asks."""

    def __init__(self, servers: Servers) -> None:
        """See :class:`ReactorLookup`."""
        self._servers = servers

    async def ask(self, questions: Collection[DnsQuestion]) -> dict[DnsQuestion, DnsAnswer]:
        """See :class:`IDnsLookup`."""
        resolver = new_resolver(self._servers(), LIFETIME, TIMEOUT)
        backend = dns.asyncbackend.get_backend("asyncio")
        places = asyncio.Semaphore(AT_ONCE_ALONE)

        async def in_turn(asking: Awaitable[DnsAnswer]) -> DnsAnswer:
            async with places:
                return await asking

        asked = [in_turn(_look_up(resolver, backend, question)) for question in questions]
        return dict(zip(questions, await asyncio.gather(*asked), strict=True))


@implementer(IDnsLookup)
class BlockingLookup:
    """Asks where no reactor runs, and blocks meanwhile: for commands."""

    def __init__(self, servers: Servers) -> None:
        """See :class:`ReactorLookup`."""
        self._lookup = AsyncioLookup(servers)

    async def ask(self, questions: Collection[DnsQuestion]) -> dict[DnsQuestion, DnsAnswer]:
        """See :class:`IDnsLookup`."""
        return asyncio.run(self._lookup.ask(questions))


async def _look_up(resolver: dns.asyncresolver.Resolver, backend: Backend, question: DnsQuestion) -> DnsAnswer:
    try:
        name = dns.name.from_text(f"{question.name}.")
        answer = await resolver.resolve(name, question.type, backend=backend, search=False, raise_on_no_answer=False)
    except (dns.resolver.NXDOMAIN, dns.name.LabelTooLong, dns.name.NameTooLong, dns.name.EmptyLabel):
        return DnsAnswer()  # a name that cannot be has no records either
    except (dns.exception.DNSException, OSError):
        return DnsAnswer(failed=True)
    secure = bool(answer.response.flags & dns.flags.AD)
    if answer.rrset is None:
        return DnsAnswer(secure=secure)
    values = list(answer.rrset)[:MAX_VALUES]
    return DnsAnswer(tuple(_text(question.type, one) for one in values), secure=secure, ttl=int(answer.rrset.ttl))


def _text(kind: str, data: RecordData) -> str:
    if kind == "TXT":
        return b"".join(data.strings).decode("utf-8", "replace")
    if kind == "MX":
        return f"{data.preference} {_host(data.exchange)}"
    if kind == "SRV":
        return f"{data.priority} {data.weight} {data.port} {_host(data.target)}"
    if kind == "TLSA":
        return f"{data.usage} {data.selector} {data.mtype} {data.cert.hex()}"
    if kind == "CAA":
        return f'{data.flags} {data.tag.decode("ascii", "replace").lower()} "{data.value.decode("utf-8", "replace")}"'
    if kind in ("CNAME", "NS", "PTR"):
        return _host(data.target)
    return str(data.address)


def _host(name: dns.name.Name) -> str:
    return "." if name == dns.name.root else name.to_text(omit_final_dot=True).lower()
