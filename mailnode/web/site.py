"""The http listener: /health, /metrics, the MTA-STS policy of each domain, the settings of mail programs, proofs
for certificates, and nothing else.

A connection is for one request, and lasts for so long at most: who sends requests and reads no answers, or sends one
slowly, is let go.
"""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable, Collection, Mapping
from dataclasses import dataclass

from twisted.internet.protocol import connectionDone
from twisted.logger import Logger
from twisted.protocols.policies import ThrottlingFactory, ThrottlingProtocol
from twisted.python.failure import Failure
from twisted.web.http import HTTPChannel
from twisted.web.resource import Resource
from twisted.web.server import Request, Site

from mailnode.interfaces.runtime import IClock, IDelayed
from mailnode.values.events import emit
from mailnode.web.clients.pages import ClientPages
from mailnode.web.page import NOT_HERE, Page, PageContent, PageRequest, Pages, UntypedRequest, host_of, not_here

POLICY_HOST = "mta-sts."  # and the domain, RFC 8461 3.3
MAX_BODY = 65_536  # octets of a request, which none of these needs
MAX_SHOWN = 200  # octets of a path that are logged
REQUEST_SECONDS = 30.0  # from the connection to the end of the answer

_log = Logger()


class OneRequest(HTTPChannel):
    """Takes one request of each connection."""

    def checkPersistence(self, request: Request, version: bytes) -> bool:
        """Whether another request may follow: none."""
        request.responseHeaders.setRawHeaders(b"Connection", [b"close"])
        return False


class Brief(ThrottlingProtocol):
    """A connection that ends in time, whatever is sent."""

    _end: IDelayed | None = None

    def connectionMade(self) -> None:
        """Set its end; go on if there is room for it."""
        factory: BriefFactory = self.factory
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
        self.transport.abortConnection()  # type: ignore[union-attr]


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
            channel: HTTPChannel = self.channel
            channel.forceAbortClient()  # type: ignore[no-untyped-call]
            return
        super().handleContentChunk(data)  # type: ignore[no-untyped-call]


class LoggedSite(Site):
    """The pages, each request of which is an event of our log."""

    noisy = False

    def log(self, request: UntypedRequest) -> None:
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


class RootPages(Pages):
    """The first of them. A policy host has its policy and no other page."""

    def getChildWithDefault(self, path: bytes, request: Request) -> Resource:
        """Return what hangs under a name."""
        if path != b".well-known" and host_of(request).startswith(POLICY_HOST):
            return Page(not_here)
        found: Resource = super().getChildWithDefault(path, request)  # type: ignore[no-untyped-call]
        return found


@dataclass(frozen=True, slots=True)
class SiteContent:
    """What the pages show.

    ``health`` returns what /health shows; its ``status`` "ok" is HTTP status 200, any other 503. ``metrics`` returns content type
    and text of /metrics. ``policy`` returns the MTA-STS policy of a domain; None: it is none of ours. ``clients``
    has the pages by which mail programs set themselves up; None: there are none. ``proof`` returns what a certification authority
    is shown for a token; None: it is none of ours.
    """

    health: Callable[[], Awaitable[Mapping[str, object]]]
    metrics: Callable[[], Awaitable[tuple[bytes, bytes]]]
    policy: Callable[[str], Awaitable[str | None]]
    clients: ClientPages | None = None
    proof: Callable[[str], str | None] = lambda token: None

    async def health_page(self, asked: PageRequest) -> PageContent:
        """Return /health."""
        state = await self.health()
        code = 200 if state["status"] == "ok" else 503
        return PageContent(code, b"application/json", json.dumps(state).encode() + b"\n")

    async def metrics_page(self, asked: PageRequest) -> PageContent:
        """Return /metrics."""
        return PageContent(200, *(await self.metrics()))

    async def policy_page(self, asked: PageRequest) -> PageContent:
        """Return the policy of the domain whose policy host was asked (RFC 8461 3.2)."""
        ours = asked.host.startswith(POLICY_HOST)
        text = await self.policy(asked.host.removeprefix(POLICY_HOST)) if ours else None
        return NOT_HERE if text is None else PageContent(200, b"text/plain", text.encode("ascii"))

    async def proof_page(self, asked: PageRequest) -> PageContent:
        """Return what shows a certification authority that a name leads here (RFC 8555 8.3)."""
        text = self.proof(asked.below[0]) if len(asked.below) == 1 else None
        return NOT_HERE if text is None else PageContent(200, b"application/octet-stream", text.encode("ascii"))


def web_factory(
    content: SiteContent, pages: Collection[str], clock: IClock, max_connections: int = 100
) -> BriefFactory:
    """Return the factory of an http listener. :param pages: "health", "metrics", "mta-sts", "clients": what it shows.
    :param clock: for timeouts."""
    root, well_known = RootPages(), Pages()
    if "health" in pages:
        root.putChild(b"health", Page(content.health_page))
    if "metrics" in pages:
        root.putChild(b"metrics", Page(content.metrics_page))
    if "mta-sts" in pages:
        well_known.putChild(b"mta-sts.txt", Page(content.policy_page))
    if "clients" in pages and content.clients is not None:
        content.clients.hang(root, well_known)
    well_known.putChild(b"acme-challenge", Page(content.proof_page, below=True))
    root.putChild(b".well-known", well_known)
    site = LoggedSite(root, requestFactory=ShortRequest, timeout=None, reactor=clock)  # type: ignore[no-untyped-call]
    site.protocol = OneRequest  # type: ignore[assignment,method-assign]
    site.displayTracebacks = False
    return BriefFactory(site, max_connections, clock)
