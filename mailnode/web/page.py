"""One page of an http listener: what was asked, the answer, and the resource between them."""

from __future__ import annotations

import ipaddress
from collections.abc import Awaitable, Callable, Collection, Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple, TypeAlias
from urllib.parse import parse_qsl

from twisted.internet.defer import Deferred
from twisted.logger import Logger
from twisted.python.failure import Failure
from twisted.web.resource import Resource
from twisted.web.server import NOT_DONE_YET, Request

UntypedRequest: TypeAlias = Any  # a Request: hardly a method of it has types
TEXT = b"text/plain; charset=utf-8"
FORM = b"application/x-www-form-urlencoded"
MAX_FIELDS = 20  # of a query or a form
READING = (b"GET", b"HEAD")

_log = Logger()


class PageContent(NamedTuple):
    """An answer."""

    status: int
    content_type: bytes
    body: bytes
    headers: tuple[tuple[bytes, bytes], ...] = ()  # beside those that every answer has


NOT_HERE = PageContent(404, TEXT, b"not here\n")


@dataclass(frozen=True, slots=True)
class PageRequest:
    """A request.

    ``host``: the name it is for, lower case, without port, "" where none is told. ``authority``: the same with the port.
    ``below``: what of the path stands below the page. ``fields``: of the query, the first value of each name, which is in
    lower case; ``form``: the same of a form that was sent. ``private``: nobody can read it on its way here, as far as the
    connection tells.
    """

    host: str
    authority: str = ""
    below: tuple[str, ...] = ()
    fields: Mapping[str, str] = field(default_factory=dict)
    form: Mapping[str, str] = field(default_factory=dict)
    body: bytes = b""
    private: bool = False


Making: TypeAlias = Callable[[PageRequest], Awaitable[PageContent]]


class Page(Resource):
    """One page, from a coroutine of what was asked."""

    isLeaf = True

    def __init__(self, make: Making, methods: Collection[bytes] = READING, *, below: bool = False) -> None:
        """:param below: whether there may be something below it in the path."""
        super().__init__()  # type: ignore[no-untyped-call]
        self._make = make
        self._methods = methods
        self._below = below

    def render(self, request: Request) -> int:
        """Answer, if it is asked in one of its ways."""
        if request.method not in self._methods:
            request.setHeader(b"allow", b", ".join(self._methods))  # type: ignore[no-untyped-call]
            self._answer(PageContent(405, TEXT, b" or ".join(self._methods) + b"\n"), request)
            return NOT_DONE_YET
        if request.postpath and not self._below:
            self._answer(NOT_HERE, request)
            return NOT_DONE_YET
        gone: list[Failure] = []
        request.notifyFinish().addErrback(gone.append)
        made = Deferred.fromCoroutine(_as_coroutine(self._make, _asked(request)))
        made.addErrback(self._failed)
        made.addCallback(lambda page: None if gone else self._answer(page, request))
        return NOT_DONE_YET

    def _failed(self, failure: Failure) -> PageContent:
        _log.failure("a page could not be made", failure)
        return PageContent(500, TEXT, b"unknown trouble; see the log\n")

    def _answer(self, page: PageContent, request: UntypedRequest) -> None:
        request.setResponseCode(page.status)
        request.setHeader(b"content-type", page.content_type)
        request.setHeader(b"content-length", b"%d" % len(page.body))
        request.setHeader(b"cache-control", b"no-store")
        for name, value in page.headers:
            request.setHeader(name, value)
        if request.method != b"HEAD":
            request.write(page.body)
        request.finish()


class Pages(Resource):
    """Where pages hang; anything else is not here."""

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self._in_any_case: dict[bytes, Resource] = {}

    def put_in_any_case(self, path: bytes, child: Resource) -> None:
        """Hang something here by a name in lower case, that is found however it is written."""
        self._in_any_case[path] = child

    def getChild(self, path: bytes, request: Request) -> Resource:
        """Return the page of a name nobody has, as it is written."""
        return self._in_any_case.get(path.lower()) or Page(not_here)

    def render(self, request: Request) -> int:
        """Answer for the folder itself."""
        return Page(not_here).render(request)


def host_of(request: UntypedRequest) -> str:
    """Return the host name a request is for, lower case, without port; "" where none is told."""
    return _authority(request).partition(":")[0]


async def not_here(asked: PageRequest) -> PageContent:
    """Say that there is no such page."""
    return NOT_HERE


def _authority(request: UntypedRequest) -> str:
    name: bytes = request.getHeader(b"host") or b""
    host, _, port = name.decode("ascii", "replace").lower().partition(":")
    return f"{host}:{port}" if port.isdigit() else host


def _asked(request: UntypedRequest) -> PageRequest:
    below = tuple(part.decode("utf-8", "replace") for part in request.postpath or ())
    request.content.seek(0)
    body = request.content.read()
    told = request.getHeader(b"content-type") or b""
    form = body if told.partition(b";")[0].strip().lower() == FORM else b""
    query = request.uri.partition(b"?")[2]
    private = _is_private(request)
    return PageRequest(host_of(request), _authority(request), below, _fields(query), _fields(form), body, private)


def _fields(text: bytes) -> dict[str, str]:
    """Read name=value&name=value; what has more than so many has none."""
    try:
        pairs = parse_qsl(text.decode("ascii", "replace"), errors="replace", max_num_fields=MAX_FIELDS)
    except ValueError:
        return {}
    fields: dict[str, str] = {}
    for name, value in pairs:
        fields.setdefault(name.lower(), value)
    return fields


def _is_private(request: UntypedRequest) -> bool:
    """Whether it came over TLS, or from a program of this machine: a proxy has TLS with the client then."""
    host = getattr(request.getClientAddress(), "host", None)
    if request.isSecure() or host is None:  # the latter: a Unix socket
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


async def _as_coroutine(make: Making, asked: PageRequest) -> PageContent:
    return await make(asked)
