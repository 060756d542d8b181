"""Finds out whether the signatures of a message hold, for the policies "dkim" and "arc", and for seals on what is sent on.

What is small is gone over at once: it takes less time than to have a thread do it. Keys are asked for a few at a time.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence

from twisted.internet.defer import Deferred, DeferredSemaphore, ensureDeferred
from zope.interface import implementer

from mailnode.errors import NoSuchName
from mailnode.interfaces.delivery import ISignatureCheck
from mailnode.interfaces.outbound import IResolver
from mailnode.interfaces.runtime import IClock, IThreads
from mailnode.message.digests import Digests
from mailnode.message.verifying import DkimSignatures, SealedChain, has_chain, is_signed
from mailnode.values.authentication import AuthenticationResult, BodyDigest, ChainVerdict
from mailnode.values.policy import PolicyRequest

LOOKUPS_AT_ONCE = 10  # for keys, of one message: a stranger's chain names a hundred
LOOKUP_SECONDS = 8.0  # for the keys of all signatures of a message, or of its chain: less than policies have together
PIECE = 256 * 1024  # octets read and hashed at a time, from multiples on: so the store decompresses them
SMALL_HEADER = 32 * 1024  # octets; larger ones, and longer chains, are for a thread
SMALL_CHAIN = 4  # sets
NOT_SIGNED = (AuthenticationResult("dkim", "none"),)
NO_CHAIN = ChainVerdict(AuthenticationResult("arc", "none"))

Read = Callable[[int, int], Awaitable[bytes]]
Body = Mapping[bytes, BodyDigest]


@implementer(ISignatureCheck)
class SignatureCheck:
    """With the records of DNS."""

    def __init__(self, resolver: IResolver, threads: IThreads, clock: IClock) -> None:
        """:param clock: UTC."""
        self._resolver = resolver
        self._threads = threads
        self._clock = clock

    async def body_of(self, request: PolicyRequest) -> Body:
        """Return the hashes of the body of a message at stage "end"."""
        if request.digests or request.read is None:
            return request.digests
        return await self.hashed(request.header, request.size, request.read)

    async def hashed(self, header: bytes, size: int, read: Read) -> Body:
        """See :class:`ISignatureCheck`."""
        body, offset = Digests(), len(header)
        while offset < size:
            end = min(offset - offset % PIECE + PIECE, size)
            await self._threads.run("cpu", body.update, await read(offset, end - offset))
            offset = end
        return body.finish()

    async def signatures(self, header: bytes, body: Body) -> tuple[AuthenticationResult, ...]:
        """See :class:`ISignatureCheck`."""
        if not is_signed(header):
            return NOT_SIGNED
        if len(header) <= SMALL_HEADER:
            found = DkimSignatures(header)
            return found.verify(body, await self._records(found.records), self._clock.seconds())
        found = await self._threads.run("cpu", DkimSignatures, header)
        keys = await self._records(found.records)
        return await self._threads.run("cpu", found.verify, body, keys, self._clock.seconds())

    async def chain(self, header: bytes, body: Body) -> ChainVerdict:
        """See :class:`ISignatureCheck`."""
        if not has_chain(header):
            return NO_CHAIN
        small = len(header) <= SMALL_HEADER
        found = SealedChain(header) if small else await self._threads.run("cpu", SealedChain, header)
        keys = await self._records(found.records)
        if small and found.sets <= SMALL_CHAIN:
            return found.verify(body, keys, self._clock.seconds())
        return await self._threads.run("cpu", found.verify, body, keys, self._clock.seconds())

    async def _records(self, names: Sequence[str]) -> dict[str, Sequence[bytes] | None]:
        """Return the records by name; of what is not answered in time nothing is known."""
        until = self._clock.seconds() + LOOKUP_SECONDS
        if len(names) <= LOOKUPS_AT_ONCE:
            asked = [self._ask(name, until) for name in names]
        else:
            places = DeferredSemaphore(LOOKUPS_AT_ONCE)
            asked = [places.run(self._ask, name, until) for name in names]
        for answer in asked:
            answer.addErrback(lambda _: None)
        timer = self._clock.callLater(LOOKUP_SECONDS, _give_up, asked)
        try:
            return {name: await answer for name, answer in zip(names, asked, strict=True)}
        finally:
            if timer.active():
                timer.cancel()
            _give_up(asked)

    def _ask(self, name: str, until: float) -> Deferred[Sequence[bytes] | None]:
        return ensureDeferred(self._record(name, until))

    async def _record(self, name: str, until: float) -> Sequence[bytes] | None:
        """:raises mailnode.errors.ResolverFailure:"""
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
