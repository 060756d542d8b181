"""A resolver that tells afterwards what was asked."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable
from typing import TypeVar

from zope.interface import implementer

from mailnode.errors import NoSuchName, ResolverFailure
from mailnode.interfaces.outbound import IResolver, MxRecord, Records, TlsaRecord
from mailnode.interfaces.runtime import IClock
from mailnode.values.trial import TriedLookup

MAX_LOOKUPS = 500  # told of
MAX_RECORDS = 20  # of one answer
MAX_RECORD = 500  # characters of one

T = TypeVar("T")


@implementer(IResolver)
class RecordingResolver:
    """Asks another one."""

    def __init__(self, resolver: IResolver, clock: IClock) -> None:
        """:param clock: durations are measured with it."""
        self.lookups: list[TriedLookup] = []  # in the order in which they ended
        self._resolver = resolver
        self._clock = clock

    async def mx(self, domain: str) -> Records[MxRecord]:
        """See :class:`IResolver`."""
        return await self._ask(
            "MX", domain, self._resolver.mx(domain), lambda one: f"{one.preference} {one.host or '.'}"
        )

    async def addresses(self, host: str) -> Records[str]:
        """See :class:`IResolver`."""
        return await self._ask("AAAA, A", host, self._resolver.addresses(host), str)

    async def a(self, host: str) -> Records[str]:
        """See :class:`IResolver`."""
        return await self._ask("A", host, self._resolver.a(host), str)

    async def aaaa(self, host: str) -> Records[str]:
        """See :class:`IResolver`."""
        return await self._ask("AAAA", host, self._resolver.aaaa(host), str)

    async def ptr(self, address: str) -> Records[str]:
        """See :class:`IResolver`."""
        return await self._ask("PTR", address, self._resolver.ptr(address), str)

    async def txt(self, name: str) -> Records[bytes]:
        """See :class:`IResolver`."""
        return await self._ask("TXT", name, self._resolver.txt(name), lambda one: one.decode("utf-8", "replace"))

    async def tlsa(self, name: str) -> Records[TlsaRecord]:
        """See :class:`IResolver`."""
        return await self._ask("TLSA", name, self._resolver.tlsa(name), _tlsa)

    async def _ask(
        self, kind: str, name: str, answer: Awaitable[Records[T]], as_text: Callable[[T], str]
    ) -> Records[T]:
        began, failure = self._clock.seconds(), ""
        texts: tuple[str, ...] = ()
        try:
            records = await answer
            texts = _texts(records, as_text)
        except NoSuchName:
            failure = "no such name"
            raise
        except ResolverFailure as error:
            failure = str(error) or "no answer"
            raise
        except BaseException:  # who asked is not waiting any more
            failure = "given up"
            raise
        finally:
            if len(self.lookups) < MAX_LOOKUPS:
                self.lookups.append(TriedLookup(kind, name, texts, failure, self._clock.seconds() - began))
        return records


def _texts(records: Iterable[T], as_text: Callable[[T], str]) -> tuple[str, ...]:
    return tuple([as_text(one)[:MAX_RECORD] for one in list(records)[:MAX_RECORDS]])


def _tlsa(one: TlsaRecord) -> str:
    return f"{one.usage} {one.selector} {one.matching} {one.data.hex()}"
