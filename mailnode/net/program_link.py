"""One connection to a program beside the server, which is read from and written to by coroutines."""

from __future__ import annotations

from typing import cast

from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IPushProducer
from twisted.internet.protocol import Protocol, connectionDone
from twisted.python.failure import Failure
from zope.interface import implementer

from mailnode.interfaces.programs import IProgramLink
from mailnode.interfaces.reactor import IStreamTransport

MOST_KEPT = 65_536  # octets that came and nobody has read


@implementer(IProgramLink, IPushProducer)
class ProgramLink(Protocol):
    """See :class:`IProgramLink`. One reader and one writer at a time."""

    def __init__(self) -> None:
        self.ended = False
        self._kept = bytearray()
        self._reader: Deferred[None] | None = None
        self._writer: Deferred[None] | None = None
        self._full = False
        self._stopped = False

    @property
    def answered(self) -> bool:
        """See :class:`IProgramLink`."""
        return self.ended or bool(self._kept)

    async def write(self, data: bytes) -> None:
        """See :class:`IProgramLink`."""
        if self.ended:
            return
        self._transport.write(data)
        if self._full:
            self._writer = Deferred()
            await self._writer

    async def read(self, largest: int) -> bytes:
        """See :class:`IProgramLink`."""
        if not self.answered:
            self._reader = Deferred()
            await self._reader
        taken = bytes(self._kept[:largest])
        del self._kept[:largest]
        if self._stopped and len(self._kept) < MOST_KEPT and not self.ended:
            self._stopped = False
            self._transport.resumeProducing()
        return taken

    def close(self) -> None:
        """See :class:`IProgramLink`."""
        if self._full:
            self.abort()
        elif not self.ended:
            self._transport.unregisterProducer()
            self._transport.loseConnection()

    def abort(self) -> None:
        """See :class:`IProgramLink`."""
        if not self.ended:
            self._transport.abortConnection()

    # Twisted

    @property
    def _transport(self) -> IStreamTransport:
        return cast(IStreamTransport, self.transport)

    def connectionMade(self) -> None:
        """Have it said when the transport takes no more."""
        self._transport.registerProducer(self, True)

    def dataReceived(self, data: bytes) -> None:
        """Keep it for the reader."""
        self._kept += data
        if len(self._kept) >= MOST_KEPT:
            self._stopped = True
            self._transport.pauseProducing()
        _wake(self._reader)

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        """There is nothing more to wait for."""
        self.ended = True
        _wake(self._reader)
        _wake(self._writer)

    def pauseProducing(self) -> None:
        """The transport takes no more."""
        self._full = True

    def resumeProducing(self) -> None:
        """It does again."""
        self._full = False
        _wake(self._writer)

    def stopProducing(self) -> None:
        """The connection is about to be lost."""


def _wake(waiting: Deferred[None] | None) -> None:
    if waiting is not None and not waiting.called:
        waiting.callback(None)
