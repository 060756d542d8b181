"""Handing TLS reports to the web servers that domains name for them (RFC 8460 5.4)."""

from __future__ import annotations

from urllib.parse import urlsplit

from zope.interface import implementer

from mailnode.errors import BadAddress
from mailnode.interfaces.outbound import IResolver
from mailnode.interfaces.reactor import IServerReactor
from mailnode.interfaces.tls_reports import IReportHost, ReportNotTaken
from mailnode.net.client_tls import ClientTls
from mailnode.net.https_request import WebClient, WebFailed, WebRequest
from mailnode.values.address import domain_key, looks_like_ip

SECONDS = 20.0  # for one report; a server that ends waits for it


@implementer(IReportHost)
class ReportHost:
    """Posts. Their certificates are checked, though RFC 8460 3 would let us pass over that: who may change what passes on the
    network learns nothing of us so."""

    def __init__(self, reactor: IServerReactor, resolver: IResolver, tls: ClientTls, seconds: float = SECONDS) -> None:
        """:param seconds: for one report."""
        self._web = WebClient(reactor, resolver, tls)
        self._seconds = seconds

    async def post(self, url: str, content: bytes, kind: str) -> None:
        """See :class:`IReportHost`."""
        host, port, path = _place(url)
        headers = {b"Content-Type": kind.encode("ascii"), b"User-Agent": b"mailnode"}
        request = WebRequest(host, path, port, b"POST", headers, content, 0)
        try:
            answer = await self._web.ask(request, self._seconds)
        except WebFailed as failed:
            raise ReportNotTaken(failed.text) from None
        if answer.code // 100 != 2:
            raise ReportNotTaken(f"{host} answered with {answer.code}")


def _place(url: str) -> tuple[str, int, str]:
    """Return host, port and path of a URL. :raises ReportNotTaken: it is none that is posted to."""
    try:
        parts = urlsplit(url)
        host, port = domain_key(parts.hostname or ""), parts.port or 443
    except (ValueError, BadAddress):
        raise ReportNotTaken("there is no such URL") from None
    if parts.scheme != "https" or looks_like_ip(host) or not url.isascii() or not url.isprintable() or " " in url:
        raise ReportNotTaken("there is no such URL")
    path = parts.path or "/"
    return host, port, f"{path}?{parts.query}" if parts.query else path
