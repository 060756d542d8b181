"""What came of mail by DMARC, counted for reports (RFC 9990)."""

from __future__ import annotations

from collections.abc import Sequence

from zope.interface import Interface

from mailnode.interfaces.tls_reports import IDueReports
from mailnode.values.dmarc_report import CountedSeen, DmarcDay, DmarcSeen


class IDmarcCounts(Interface):
    """Counts that may be lost. Written without sync; no mail waits on it."""

    def note(seen: DmarcSeen) -> None:
        """Count a message."""


class IDmarcResults(IDueReports, IDmarcCounts):
    """The same, and what was counted.

    All but :meth:`note` raise :class:`mailnode.errors.StoreUnavailable`."""

    async def collected(domain: str = "") -> Sequence[DmarcDay]:
        """What is to be reported, to one domain or all, by day and domain; the first 1,000."""

    async def results(day: int, domain: str) -> Sequence[CountedSeen]:
        """What came of messages of a domain on a day."""

    async def sweep(now: float) -> int:
        """Forget what is too old; return how much."""
