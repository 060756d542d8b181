"""The link between two processes of one server: calls with answers and words without, both ways, over one stream."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from inspect import isawaitable
from typing import cast

from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IPushProducer
from twisted.internet.protocol import Protocol
from twisted.logger import Logger
from twisted.python.failure import Failure
from zope.interface import implementer

from mailnode.errors import StoreUnavailable
from mailnode.interfaces.reactor import IStreamTransport
from mailnode.net.frames import FrameReader, FrameTooLong, frame
from mailnode.net.pickled import Pickled, dumps
from mailnode.server.processes.pickled import ErrorAsValue, error_as_value, loads, value_as_error

MAX_WAITING = 10_000  # calls that may wait for their answers
MAX_OCTETS = 256 * 1024 * 1024  # of calls that wait for their answers
MAX_UNDER_WAY = 5_000  # calls of the other side that are being answered; then nothing more is read
_TELL, _CALL, _RESULT, _ERROR = range(4)

_log = Logger()


@implementer(IPushProducer)
class ProcessLink(Protocol):
    """One end. ``handlers``: what the other side may call or tell, by name; one that returns an awaitable is awaited.

    A call whose handler fails with a domain error fails with it; any other trouble is :class:`StoreUnavailable`, as is
    the end of the link for everything that waits.
    """

    transport: IStreamTransport

    def __init__(self, handlers: Mapping[str, Callable[..., object]], on_lost: Callable[[], None]) -> None:
        """:param on_lost: called once, when the other side is gone."""
        self._handlers = handlers
        self._on_lost = on_lost
        self._reader = FrameReader()
        self._waiting: dict[int, tuple[Deferred[object], int]] = {}
        self._octets = 0
        self._number = 0
        self._under_way = 0
        self._paused = False
        self._stands = False
        self.congested = False  # what was written waits for the other side to read

    # to the other side

    async def call(self, name: str, *args: object) -> Pickled:
        """Have something done there and return the result. :raises DomainError: its own, or StoreUnavailable.

        :raises Exception: the arguments are not plain data.
        """
        if not self._stands:
            raise StoreUnavailable("the other process is gone")
        if len(self._waiting) >= MAX_WAITING or self._octets >= MAX_OCTETS:
            raise StoreUnavailable("too many calls are waiting")
        self._number = number = self._number + 1
        data = self._framed((_CALL, number, name, args))
        answer: Deferred[object] = Deferred()
        self._waiting[number] = answer, len(data)
        self._octets += len(data)
        self.transport.write(data)
        return await answer

    def tell(self, name: str, *args: object) -> None:
        """Say something that needs no answer; it is lost when the link is."""
        if self._stands:
            self.transport.write(self._framed((_TELL, 0, name, args)))

    @property
    def waiting(self) -> int:
        """Calls that wait for their answers."""
        return len(self._waiting)

    def abort(self) -> None:
        """End the link at once."""
        if self._stands:
            self.transport.abortConnection()

    def _framed(self, message: tuple[int, int, str | None, object]) -> bytes:
        try:
            return frame(dumps(message))
        except FrameTooLong:
            raise StoreUnavailable("too large for one unit") from None

    # from the other side

    def connectionMade(self) -> None:
        """Begin."""
        self._stands = True
        self.transport.registerProducer(self, True)

    def dataReceived(self, data: bytes) -> None:
        """Take what came; anything that cannot be read ends the link."""
        try:
            for payload in self._reader.receive(data):
                kind, number, name, rest = loads(payload)
                if kind in (_RESULT, _ERROR):
                    self._answered(kind, number, rest)
                else:
                    self._asked(kind, number, name, rest)
        except Exception:
            _log.failure("what another process of this server sent cannot be read")
            self.transport.abortConnection()

    def connectionLost(self, reason: Failure | None = None) -> None:
        """Everything that waits fails."""
        self._stands = False
        waiting, self._waiting = self._waiting, {}
        self._octets = 0
        for answer, _ in waiting.values():
            answer.errback(StoreUnavailable("the other process is gone"))
        self._on_lost()

    def _answered(self, kind: int, number: int, rest: object) -> None:
        answer, octets = self._waiting.pop(number)
        self._octets -= octets
        if kind == _RESULT:
            answer.callback(rest)
        else:
            answer.errback(value_as_error(cast(ErrorAsValue, rest)))

    def _asked(self, kind: int, number: int, name: str, args: tuple[object, ...]) -> None:
        self._under_way += 1
        if self._under_way >= MAX_UNDER_WAY and not self._paused:
            self._paused = True
            self.transport.pauseProducing()
        Deferred.fromCoroutine(self._do(name, args)).addBoth(self._done, kind, number)

    async def _do(self, name: str, args: tuple[object, ...]) -> object:
        result = self._handlers[name](*args)
        return await result if isawaitable(result) else result

    def _done(self, result: object, kind: int, number: int) -> None:
        self._under_way -= 1
        if self._paused and self._under_way <= MAX_UNDER_WAY // 2 and self._stands:
            self._paused = False
            self.transport.resumeProducing()
        if isinstance(result, Failure) and _is_unknown(result):
            _log.failure("what another process of this server asked for failed", result)
        if kind == _CALL and self._stands:
            self.transport.write(self._reply(number, result))

    def _reply(self, number: int, result: object) -> bytes:
        try:
            if isinstance(result, Failure):
                return self._framed((_ERROR, number, None, error_as_value(_error(result))))
            return self._framed((_RESULT, number, None, result))
        except Exception:  # not plain data, or too much of it: a mistake in this program; nobody may wait for ever
            _log.failure("an answer cannot be sent")
            return self._framed((_ERROR, number, None, error_as_value(StoreUnavailable("the unit failed"))))

    # the other side reads slowly

    def pauseProducing(self) -> None:
        """What may be lost is not written now."""
        self.congested = True

    def resumeProducing(self) -> None:
        """The other side has read."""
        self.congested = False

    def stopProducing(self) -> None:
        """The link is gone."""
        self.congested = True


def _error(failure: Failure) -> BaseException:
    assert failure.value is not None
    return failure.value


def _is_unknown(failure: Failure) -> bool:
    """Whether the other side will not learn what it was."""
    error = _error(failure)
    return error_as_value(error)[0] is not type(error)
