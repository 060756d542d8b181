"""Finds out whether the signatures of a message hold, for the policies "dkim" and "arc", and for seals on what is sent on.

What is small is gone over at once: it takes less time than to have a thread do it. Keys are asked for a few at a time.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import TypeAlias

from twisted.internet.defer import Deferred
from zope.interface import implementer

from mailnode.errors import NoSuchName
from mailnode.interfaces.delivery import ISignatureCheck
from mailnode.interfaces.outbound import IResolver, Records
from mailnode.interfaces.runtime import IClock, IThreads
from mailnode.interfaces.turns import Places
from mailnode.message.digests import Digests
from mailnode.message.verifying import DkimSignatures, SealedChain, has_chain, is_signed, needed_keys
from mailnode.values.authentication import AuthenticationResult, BodyDigest, ChainVerdict
from mailnode.values.policy import PolicyRequest

LOOKUPS_AT_ONCE = 10  # for keys, of one message: a stranger's chain names a hundred
LOOKUP_SECONDS = 8.0  # for the keys of all signatures of a message, or of its chain: less than policies have together
PIECE = 256 * 1024  # octets read and hashed at a time, from multiples on: so the store decompresses them
SMALL_BODY = 8 * 1024  # octets; larger ones are hashed in a thread
SMALL_HEADER = 32 * 1024  # octets; larger ones, and longer chains, are for a thread
SMALL_CHAIN = 4  # sets
AGAIN = 1.0  # seconds in which the records of a message's keys are as they were, or fewer where they may not be kept for so long
MAX_JUST_ASKED = 1_000  # messages' keys, of which that is remembered at a time
NOT_SIGNED = (AuthenticationResult("dkim", "none"),)
NO_CHAIN = ChainVerdict(AuthenticationResult("arc", "none"))

Read = Callable[[int, int], Awaitable[bytes]]
Body = Mapping[bytes, BodyDigest]
Keys: TypeAlias = Mapping[str, Sequence[bytes] | None]


@implementer(ISignatureCheck)
class SignatureCheck:
    """With the records of DNS."""

    def __init__(self, resolver: IResolver, threads: IThreads, clock: IClock) -> None:
        """:param clock: UTC."""
        self._resolver = resolver
        self._threads = threads
        self._clock = clock
        self._just_asked: dict[tuple[str, ...], tuple[float, Keys]] = {}  # until when, of all messages

    async def body_of(self, request: PolicyRequest) -> Body:
        """Return the hashes of the body of a message at stage "end"."""
        if request.digests or request.read is None:
            return request.digests
        return await self.hashed(request.header, request.size, request.read)

    async def read_ahead(self, request: PolicyRequest) -> tuple[AuthenticationResult, ...] | None:
        """Return what came of the signatures of a message at stage "end" that is read in another process; None where it is not, or
        they have to be looked at here."""
        names = needed_keys(request.header) if request.ahead is not None else ()
        if request.ahead is None or not names:
            return None
        reading = await request.ahead(await self._records(names, request.dns_left()))
        return reading.signatures if reading is not None else None

    async def hashed(self, header: bytes, size: int, read: Read) -> Body:
        """See :class:`ISignatureCheck`."""
        body, offset = Digests(), len(header)
        if offset < size <= offset + SMALL_BODY:
            body.update(await read(offset, size - offset))
            return body.finish()
        while offset < size:
            end = min(offset - offset % PIECE + PIECE, size)
            await self._threads.run("cpu", body.update, await read(offset, end - offset))
            offset = end
        return body.finish()

    async def signatures(
        self, header: bytes, body: Body, seconds: float = LOOKUP_SECONDS
    ) -> tuple[AuthenticationResult, ...]:
        """See :class:`ISignatureCheck`."""
        if not is_signed(header):
            return NOT_SIGNED
        if len(header) <= SMALL_HEADER:
            found = DkimSignatures(header)
            return found.verify(body, await self._records(found.records, seconds), self._clock.seconds())
        found = await self._threads.run("cpu", DkimSignatures, header)
        keys = await self._records(found.records, seconds)
        return await self._threads.run("cpu", found.verify, body, keys, self._clock.seconds())

    async def chain(self, header: bytes, body: Body, seconds: float = LOOKUP_SECONDS) -> ChainVerdict:
        """See :class:`ISignatureCheck`."""
        if not has_chain(header):
            return NO_CHAIN
        small = len(header) <= SMALL_HEADER
        found = SealedChain(header) if small else await self._threads.run("cpu", SealedChain, header)
        keys = await self._records(found.records, seconds)
        if small and found.sets <= SMALL_CHAIN:
            return found.verify(body, keys, self._clock.seconds())
        return await self._threads.run("cpu", found.verify, body, keys, self._clock.seconds())

    async def _records(self, names: tuple[str, ...], seconds: float) -> Keys:
        """Return the records by name; of what is not answered in time nothing is known."""
        known = self._just_asked.get(names)
        # A clock that was set back makes nothing stay.
        if known is not None and 0.0 < known[0] - self._clock.seconds() <= AGAIN:
            return known[1]
        began, records = self._clock.seconds(), await self._look_up(names, seconds)
        ttl = min([one.ttl if isinstance(one, Records) else 0.0 for one in records.values()], default=0.0)
        if ttl > 0.0:
            if len(self._just_asked) >= MAX_JUST_ASKED:
                self._just_asked.clear()
            self._just_asked[names] = began + min(ttl, AGAIN), records
        return records

    async def _look_up(self, names: Sequence[str], seconds: float) -> Keys:
        seconds = min(seconds, LOOKUP_SECONDS)
        until = self._clock.seconds() + seconds
        places = Places(LOOKUPS_AT_ONCE)
        asked = [Deferred.fromCoroutine(self._record(name, until, places)) for name in names]
        for answer in asked:
            answer.addErrback(lambda _: None)
        # Nearly always DNS was asked before, and nobody waits.
        timer = None if all(answer.called for answer in asked) else self._clock.callLater(seconds, _give_up, asked)
        try:
            return {name: await answer for name, answer in zip(names, asked, strict=True)}
        finally:
            if timer is not None:
                if timer.active():
                    timer.cancel()
                _give_up(asked)

    async def _record(self, name: str, until: float, places: Places) -> Sequence[bytes] | None:
        """:raises mailnode.errors.ResolverFailure:"""
        async with places:
            if self._clock.seconds() >= until:  # those before it have just been given up
                return None
            try:
                records: Sequence[bytes] = await self._resolver.txt(name)
            except NoSuchName:
                return ()
            return records


def _give_up(asked: Sequence[Deferred[Sequence[bytes] | None]]) -> None:
    """End those that have no answer yet."""
    for answer in asked:
        answer.cancel()
