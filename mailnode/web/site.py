"""The http listener: /health and /metrics, and nothing else.

A connection is for one request, and lasts for so long at most: who sends requests and reads no answers, or sends one
slowly, is let go.
"""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable
from typing import Any

from twisted.internet.defer import Deferred
from twisted.internet.protocol import connectionDone
from twisted.logger import Logger
from twisted.protocols.policies import ThrottlingFactory, ThrottlingProtocol
from twisted.python.failure import Failure
from twisted.web.http import HTTPChannel
from twisted.web.resource import Resource
from twisted.web.server import NOT_DONE_YET, Request, Site

from mailnode.interfaces.runtime import IClock, IDelayed
from mailnode.values.events import emit

NOT_HERE = 404, b"text/plain; charset=utf-8", b"not here\n"
MAX_BODY = 65_536  # octets of a request, which none of these needs
MAX_SHOWN = 200  # octets of a path that are logged
REQUEST_SECONDS = 30.0  # from the connection to the end of the answer

_log = Logger()


class OneRequest(HTTPChannel):
    """Takes one request of each connection."""

    def checkPersistence(self, request: Any, version: bytes) -> bool:
        """Whether another request may follow: none."""
        request.responseHeaders.setRawHeaders(b"Connection", [b"close"])
        return False


class Brief(ThrottlingProtocol):
    """A connection that ends in time, whatever is sent."""

    _end: IDelayed | None = None

    def connectionMade(self) -> None:
        """Set its end; go on if there is room for it."""
        factory: Any = self.factory
        self._end = factory.clock.callLater(REQUEST_SECONDS, self._too_late)
        super().connectionMade()  # type: ignore[no-untyped-call]

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        """It has ended."""
        if self._end is not None:
            self._end.cancel()
            self._end = None
        super().connectionLost(reason)  # type: ignore[no-untyped-call]

    def _too_late(self) -> None:
        self._end = None
        transport: Any = self.transport
        transport.abortConnection()


class BriefFactory(ThrottlingFactory):
    """Bounds how many connections there are, and how long each lasts."""

    noisy = False

    protocol = Brief  # type: ignore[assignment]

    def __init__(self, factory: Site, connections: int, clock: IClock) -> None:
        super().__init__(factory, maxConnectionCount=connections)  # type: ignore[no-untyped-call]
        self.clock = clock


class ShortRequest(Request):
    """A request whose body is bounded."""

    _taken = 0

    def handleContentChunk(self, data: bytes) -> None:
        """Take a piece of a body that nobody reads, up to a limit."""
        self._taken += len(data)
        if self._taken > MAX_BODY:
            channel: Any = self.channel
            channel.forceAbortClient()
            return
        super().handleContentChunk(data)  # type: ignore[no-untyped-call]


class Page(Resource):
    """One page from a coroutine that returns (status, content type, body)."""

    isLeaf = True

    def __init__(self, make: Callable[[], Awaitable[tuple[int, bytes, bytes]]]) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self._make = make

    def render(self, request: Request) -> int:
        """Answer GET and HEAD, and nothing else."""
        if request.method not in (b"GET", b"HEAD"):
            request.setHeader(b"allow", b"GET, HEAD")  # type: ignore[no-untyped-call]
            self._answer((405, b"text/plain; charset=utf-8", b"GET or HEAD\n"), request)
            return NOT_DONE_YET
        if request.postpath:
            self._answer(NOT_HERE, request)
            return NOT_DONE_YET
        gone: list[Any] = []
        request.notifyFinish().addErrback(gone.append)
        made = Deferred.fromCoroutine(_as_coroutine(self._make))
        made.addErrback(self._failed)
        made.addCallback(lambda page: None if gone else self._answer(page, request))
        return NOT_DONE_YET

    def _failed(self, failure: Failure) -> tuple[int, bytes, bytes]:
        _log.failure("a page could not be made", failure)
        return 500, b"text/plain; charset=utf-8", b"unknown trouble; see the log\n"

    def _answer(self, page: tuple[int, bytes, bytes], request: Any) -> None:
        status, content_type, body = page
        request.setResponseCode(status)
        request.setHeader(b"content-type", content_type)
        request.setHeader(b"content-length", b"%d" % len(body))
        request.setHeader(b"cache-control", b"no-store")
        if request.method != b"HEAD":
            request.write(body)
        request.finish()


class Pages(Site):
    """The pages, each request of which is an event of our log."""

    noisy = False

    def log(self, request: Any) -> None:
        """A request was answered."""
        client = request.getClientAddress()
        emit(
            _log,
            "web.request",
            peer=str(getattr(client, "host", "") or ""),
            method=_shown(request.method),
            path=_shown(request.uri),
            code=request.code,
            size=request.sentLength,
        )


def _shown(octets: bytes) -> str:
    return octets[:MAX_SHOWN].decode("ascii", "replace")


class Root(Resource):
    """Where the pages hang; anything else is not here."""

    def getChild(self, path: bytes, request: Request) -> Resource:
        """Return the page of a name nobody has."""
        return Page(_not_here)


async def _not_here() -> tuple[int, bytes, bytes]:
    return NOT_HERE


async def _as_coroutine(make: Callable[[], Awaitable[tuple[int, bytes, bytes]]]) -> tuple[int, bytes, bytes]:
    return await make()


def web_factory(
    health: Callable[[], Awaitable[dict[str, Any]]],
    metrics: Callable[[], Awaitable[tuple[bytes, bytes]]],
    clock: Any,
    max_connections: int = 100,
) -> BriefFactory:
    """Return the factory of the http listener.

    :param health: returns what /health shows; its ``status`` "ok" is HTTP status 200, any other 503.
    :param metrics: returns content type and text of /metrics.
    :param clock: for timeouts.
    """

    async def health_page() -> tuple[int, bytes, bytes]:
        state = await health()
        return 200 if state["status"] == "ok" else 503, b"application/json", json.dumps(state).encode() + b"\n"

    async def metrics_page() -> tuple[int, bytes, bytes]:
        return 200, *(await metrics())

    root = Root()  # type: ignore[no-untyped-call]
    root.putChild(b"health", Page(health_page))
    root.putChild(b"metrics", Page(metrics_page))
    site = Pages(root, requestFactory=ShortRequest, timeout=None, reactor=clock)  # type: ignore[no-untyped-call]
    site.protocol = OneRequest  # type: ignore[assignment,method-assign]
    site.displayTracebacks = False
    return BriefFactory(site, max_connections, clock)
