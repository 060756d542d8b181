"""How TLS with the servers of other domains fared, counted for reports (RFC 8460) and remembered."""

from __future__ import annotations

from collections.abc import Sequence

from zope.interface import Interface

from mailnode.values.tls_report import CollectedDay, CountedSession, Downgrade, DueReport, Remembered, TlsSession


class ReportNotTaken(Exception):
    """``text``: why, for people."""

    def __init__(self, text: str) -> None:
        super().__init__(text)
        self.text = text


class IReportHost(Interface):
    """Web servers that take reports (RFC 8460 5.4)."""

    async def post(url: str, content: bytes, kind: str) -> None:
        """Hand a report over, bounded in time. :param kind: the media type. :raises ReportNotTaken:"""


class IDueReports(Interface):
    """Days of domains that are to be reported. All raise :class:`mailnode.errors.StoreUnavailable`."""

    async def take_due(now: float, limit: int) -> Sequence[DueReport]:
        """Take reports of past days whose time has come; none of them is due again before its next try."""

    async def finish(day: int, domain: str) -> None:
        """Forget what was to be reported: it was sent, or is wanted by nobody, or given up."""


class ITlsResults(IDueReports):
    """Counts and memory that may be lost. Written without sync; no mail waits on it.

    All but :meth:`note` raise :class:`mailnode.errors.StoreUnavailable`."""

    def note(session: TlsSession) -> None:
        """Count how a connection fared, and remember it."""

    async def collected(domain: str = "") -> Sequence[CollectedDay]:
        """What is to be reported, of one domain or all, by day and domain; the first 1,000."""

    async def results(day: int, domain: str) -> Sequence[CountedSession]:
        """How connections for a domain fared on a day."""

    async def remembered(domain: str = "") -> Sequence[Remembered]:
        """What is remembered of one domain or all, by domain and server; the first 1,000."""

    async def downgrades() -> Sequence[Downgrade]:
        """The last downgrade of each domain, the latest first; 1,000 at most."""

    async def sweep(now: float) -> int:
        """Forget what is too old; return how much."""
