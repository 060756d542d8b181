"""HTTP both ways: what strangers ask of the pages we serve, and what web servers that others name answer over TLS."""

from __future__ import annotations

import re
from collections.abc import Callable, Coroutine
from functools import cache
from typing import Any, cast
from xml.etree import ElementTree

import trustme
from twisted.internet.defer import Deferred
from twisted.internet.error import ConnectionDone
from twisted.internet.protocol import Factory, Protocol
from twisted.internet.ssl import Certificate, PrivateCertificate, trustRootFromCertificates
from twisted.internet.testing import MemoryReactorClock, StringTransport
from twisted.protocols.tls import TLSMemoryBIOFactory
from twisted.python.failure import Failure

from mailnode.errors import IssuerUnavailable
from mailnode.interfaces.outbound import PolicyNotFetched, Records
from mailnode.interfaces.tls_reports import ReportNotTaken
from mailnode.net.client_tls import ClientTls
from mailnode.net.https_request import WebClient
from mailnode.net.no_reactor import CallingThread
from mailnode.net.policy_host import LARGEST as LARGEST_POLICY
from mailnode.net.policy_host import PolicyHost
from mailnode.net.report_host import ReportHost
from mailnode.net.token_issuer import IssuerPlaces, TokenIssuer
from mailnode.values.published import Published
from mailnode.web.clients.autodiscover import MAX_VALUE, BadRequest, asked_address
from mailnode.web.clients.pages import ClientPages
from mailnode.web.page import PageContent, PageRequest
from mailnode.web.site import REQUEST_SECONDS, SiteContent, web_factory
from tests.fuzz.target import Target, pieces, variant
from tests.fuzz.watched import watched

POLICY = "version: STSv1\r\nmode: none\r\nmax_age: 86400\r\n"
CONTENT = {
    b"200": {b'{"status": "ok"}\n', b"x 1\n", POLICY.encode()},
    b"404": {b"not here\n"},
    b"405": {b"GET or HEAD\n", b"POST\n", b"GET or HEAD or POST\n"},
}
HEAD = re.compile(rb"HTTP/1\.[01] ([2-5][0-9]{2}) [ -~]*(?:\r\n[A-Za-z-]+: [ -~]*)*")


class _Transport(StringTransport):
    """A connection that ends when it is told to."""

    def loseConnection(self) -> None:
        super().loseConnection()  # type: ignore[no-untyped-call]
        self.over = True

    abortConnection = loseConnection
    over = False

    def setTcpNoDelay(self, enabled: bool) -> None:
        """There is no delay."""


async def _health() -> dict[str, object]:
    return {"status": "ok"}


async def _metrics() -> tuple[bytes, bytes]:
    return b"text/plain; version=1", b"x 1\n"


async def _policy(domain: str) -> str | None:
    return POLICY if domain == "x.test" else None


async def _is_local(domain: str) -> bool:
    return domain == "y.test"


def autodiscover(data: bytes) -> None:
    """Read what a program asks Autodiscover, and answer it: what is written can be read."""
    address, schema = asked_address(data)
    assert max(len(address), len(schema)) <= MAX_VALUE
    pages = ClientPages(
        lambda: Published("mx.y.test", services={"imaps": 993}), _is_local, lambda profile: profile, CallingThread()
    )
    page = _now(pages.autodiscover(PageRequest("y.test", "y.test", body=data)))
    assert page.status == 200
    ElementTree.fromstring(page.body)
    query = PageRequest("y.test", "y.test", fields={"emailaddress": address})
    for made in (pages.autoconfig, pages.profile, pages.person):
        assert _now(made(query)).status in (200, 404)


def _now(coroutine: Coroutine[Any, Any, PageContent]) -> PageContent:
    found: list[Any] = []
    Deferred.fromCoroutine(coroutine).addBoth(found.append)
    if isinstance(found[0], Failure):
        found[0].raiseException()
    page: PageContent = found[0]
    return page


def site(data: bytes) -> None:
    """Ask for pages: there is one answer at most, of ours, and the connection ends in time whatever comes."""
    clock = MemoryReactorClock()
    clients = ClientPages(lambda: Published("mx.x.test"), _is_local, lambda profile: profile, CallingThread())
    pages = ("health", "metrics", "mta-sts", "clients")
    factory = web_factory(SiteContent(_health, _metrics, _policy, clients), pages, clock)
    protocol, transport = cast(Protocol, factory.buildProtocol(None)), _Transport()
    transport.protocol = protocol
    with watched():
        protocol.makeConnection(transport)
        for piece in pieces(data):
            if transport.over:
                break
            protocol.dataReceived(piece)
        clock.advance(REQUEST_SECONDS)
        assert transport.over
        protocol.connectionLost(Failure(ConnectionDone()))
    _check_answer(transport.value())
    assert not clock.getDelayedCalls()


def _check_answer(answer: bytes) -> None:
    while answer.startswith(b"HTTP/1.1 100 Continue\r\n\r\n"):
        answer = answer[25:]
    if not answer:
        return
    head, _, body = answer.partition(b"\r\n\r\n")
    found = HEAD.fullmatch(head)
    assert found is not None, head
    assert not body or body in CONTENT.get(found.group(1), ()), answer


# What is fetched


@cache
def _authority() -> tuple[ClientTls, Any]:
    authority = trustme.CA()
    server = authority.issue_cert("mta-sts.x.test", "issuer.test", "reports.test")
    options = PrivateCertificate.loadPEM(server.private_key_and_cert_chain_pem.bytes()).options()
    return ClientTls(trustRootFromCertificates([Certificate.loadPEM(authority.cert_pem.bytes())])), options


class _Addresses:
    async def addresses(self, host: str) -> Records[str]:
        return Records(("192.0.2.1",))


class _Answering(Protocol):
    """Says what it has once it was asked for anything, a piece at a time, and then goodbye."""

    def __init__(self, answer: bytes, ends: bool) -> None:
        self._answer, self._ends, self._asked = answer, ends, False

    def dataReceived(self, data: bytes) -> None:
        if not self._asked:
            self._asked = True
            for piece in pieces(self._answer):
                self.transport.write(piece)  # type: ignore[union-attr]
            if self._ends:
                self.transport.loseConnection()  # type: ignore[union-attr]


def _over_tls(reactor: MemoryReactorClock, answer: bytes, ends: bool) -> None:
    """Connect what the reactor was asked to connect, and carry octets both ways until there are no more."""
    ours = cast(Protocol, reactor.tcpClients[-1][2].buildProtocol(None))
    factory = TLSMemoryBIOFactory(
        _authority()[1], False, Factory.forProtocol(lambda: _Answering(answer, ends)), reactor
    )
    theirs = cast(Protocol, factory.buildProtocol(None))
    ends_of: list[tuple[Protocol, _Transport]] = [(ours, _Transport()), (theirs, _Transport())]
    for protocol, transport in ends_of:
        protocol.makeConnection(transport)
    moved = True
    while moved:
        moved = False
        reactor.advance(0)
        for (_, transport), (other, others) in (ends_of, ends_of[::-1]):
            octets = transport.value()
            transport.clear()
            if octets and not others.over:
                moved = True
                other.dataReceived(octets)
    for protocol, _ in ends_of:
        protocol.connectionLost(Failure(ConnectionDone()))


def https(data: bytes) -> None:
    """Be the web server of a domain's policy, of the issuer of tokens, or one that takes reports."""
    bits, answer = variant(data)
    url = "https://reports.test/x"
    if bits & 8:  # what a domain says where reports go
        line, _, answer = answer.partition(b"\n")
        url = line.decode("latin-1")
    reactor = MemoryReactorClock()
    parts: tuple[Any, Any, Any] = reactor, _Addresses(), _authority()[0]
    issuer = TokenIssuer(
        WebClient(*parts), CallingThread(), IssuerPlaces("https://issuer.test/keys", None, "https://issuer.test/ask")
    )
    asked: tuple[Callable[[], Coroutine[Any, Any, object]], ...] = (
        lambda: PolicyHost(*parts).fetch("x.test"),
        lambda: issuer.keys(),
        lambda: issuer.introspect("a.b.c"),
        lambda: ReportHost(*parts).post(url, b"{}", "application/tlsrpt+json"),
    )
    outcome: list[Any] = []
    with watched():
        Deferred.fromCoroutine(asked[bits % 4]()).addBoth(outcome.append)
        if not outcome:
            _over_tls(reactor, answer, not bits & 4)
        reactor.advance(60)
    assert not reactor.getDelayedCalls()
    if isinstance(outcome[0], Failure):
        outcome[0].raiseException()
    assert outcome[0] is None or isinstance(outcome[0], dict) or len(outcome[0]) <= LARGEST_POLICY


TEXT = b"HTTP/1.1 200 OK\r\nContent-Type: text/plain; charset=utf-8\r\n"
JSON = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n"

OUTLOOK = b"""<?xml version="1.0" encoding="utf-8"?>
<Autodiscover xmlns="http://schemas.microsoft.com/exchange/autodiscover/outlook/requestschema/2006"><Request>
<EMailAddress>anna@y.test</EMailAddress><AcceptableResponseSchema>%s</AcceptableResponseSchema></Request></Autodiscover>"""

TARGETS = (
    Target(
        "autodiscover",
        autodiscover,
        (
            OUTLOOK % b"http://schemas.microsoft.com/exchange/autodiscover/outlook/responseschema/2006a",
            OUTLOOK % b"http://schemas.microsoft.com/exchange/autodiscover/mobilesync/responseschema/2006",
            b"<a><EMailAddress>&quot;&lt;&amp;&quot;@y.test</EMailAddress></a>",
            b'<!DOCTYPE a [<!ENTITY b "c">]><a>&b;</a>',
            b"<a>" * 9,
            b"",
        ),
        errors=(BadRequest,),
        words=(
            b"<EMailAddress>",
            b"</EMailAddress>",
            b"anna@y.test",
            b'"a b"@y.test',
            b"<AcceptableResponseSchema>",
            b"&#xFFFE;",
            b"&#0;",
            b"<![CDATA[",
            b"]]>",
            b"<!DOCTYPE a [<!ENTITY b SYSTEM 'file:///x'>]>",
            b'encoding="utf-16"',
            b" xmlns:a='b'",
            b"\xff\xfe",
        ),
    ),
    Target(
        "site",
        site,
        (
            b"GET /health HTTP/1.1\r\nHost: x\r\n\r\n",
            b"HEAD /metrics HTTP/1.0\r\n\r\nGET /health HTTP/1.0\r\n\r\n",
            b"GET /.well-known/mta-sts.txt HTTP/1.1\r\nHost: mta-sts.x.test:80\r\nConnection: keep-alive\r\n\r\n",
            b"POST /health HTTP/1.1\r\nHost: x\r\nExpect: 100-continue\r\nContent-Length: 4\r\n\r\nbody",
            b"POST /a%2fb?c=d&e HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n5;x=y\r\nhello\r\n0\r\nX: y\r\n\r\n",
            b"PUT / HTTP/1.1\r\nContent-Type: multipart/form-data; boundary=b\r\nContent-Length: 9\r\n\r\n--b--\r\n\r\n",
            b"POST / HTTP/1.1\r\nContent-Type: application/x-www-form-urlencoded\r\nContent-Length: 7\r\n\r\na=1&b=%",
            b"GET http://x/health HTTP/1.1\r\nAuthorization: Basic Og==\r\nCookie: a=b; c\r\n\r\n",
            b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
            b"GET /../../x\0 HTTP/9.9\r\n folded\r\n\r\n",
        ),
        words=(
            b"\r\n",
            b"\r\n\r\n",
            b"HTTP/1.1",
            b"GET ",
            b"HEAD ",
            b"POST ",
            b"/.well-known/mta-sts.txt",
            b"Host: mta-sts.x.test\r\n",
            b"Content-Length: 10\r\n",
            b"Content-Length: -1\r\n",
            b"Transfer-Encoding: chunked\r\n",
            b"ffffffffffffffff\r\n",
            b"Expect: 100-continue\r\n",
            b"Content-Type: multipart/form-data; boundary=b\r\n",
            b"Connection: upgrade\r\nUpgrade: h2c\r\n",
            b"Range: bytes=0-\r\n",
            b"If-Modified-Since: x\r\n",
            b"%2e%2e/",
            b"\0",
            b"\xff",
        ),
    ),
    Target(
        "https",
        https,
        (
            b"\0" + TEXT + b"Content-Length: 7\r\n\r\nversion",
            b"\0" + TEXT + b"\r\nversion: STSv1\r\n",
            b"\4" + TEXT + b"Transfer-Encoding: chunked\r\n\r\n5;x\r\nhello\r\n0\r\nX: y\r\n\r\n",
            b"\1" + JSON + b'Content-Length: 12\r\n\r\n{"keys": []}',
            b"\2" + JSON + b'\r\n{"active": true, "x": [1, null]}',
            b"\6" + JSON + b'Content-Length: 900\r\n\r\n{"active": true}',
            b"\3HTTP/1.1 201 Created\r\nContent-Length: 0\r\n\r\n",
            b"\x0bhttps://reports.test:8443/x?y=%z\nHTTP/1.1 204 No\r\n\r\n",
            b"\x0bhttps://[::1]/x\n",
            b"\0HTTP/1.1 301 Moved\r\nLocation: https://y.test/\r\nContent-Length: 0\r\n\r\n",
            b"\2HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 401 No\r\nWWW-Authenticate: Basic\r\n\r\n",
            b"\1HTTP/1.0 204 No\r\nContent-Encoding: gzip\r\n\r\n",
            b"\1" + JSON + b"\r\n" + b"[" * 3000,
        ),
        errors=(PolicyNotFetched, IssuerUnavailable, ReportNotTaken),
        words=(
            b"\r\n",
            b"\r\n\r\n",
            TEXT,
            JSON,
            b"HTTP/1.1 ",
            b"Content-Length: 5\r\n",
            b"Content-Length: 99999999999999999999\r\n",
            b"Transfer-Encoding: chunked\r\n",
            b"ffffffff\r\n",
            b"0\r\n\r\n",
            b"Content-Type: text/plain\r\n",
            b"Connection: close\r\n",
            b"Location: https://y.test/\r\n",
            b"HTTP/1.1 101 Switching\r\n\r\n",
            b" folded\r\n",
            b"\x0bhttps://",
            b":443/",
            b"@",
            b'{"a":',
            b"\xff",
        ),
        held=2 * 1024 * 1024,
    ),
)
