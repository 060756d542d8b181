"""Reports of others about domains here."""

from __future__ import annotations

from collections.abc import Sequence

from zope.interface import Interface

from mailnode.values.received_report import KeptReport, ReceivedReport, ReceivedRow, ReportedSource


class IReceivedReports(Interface):
    """Those that are kept. They may be lost: each is in a mail too. All raise :class:`mailnode.errors.StoreUnavailable`."""

    async def add(report: ReceivedReport, sender: str, verified: bool, now: float) -> str:
        """Keep a report, in the place of one of the same name from the same sender; return its id. One
        that is not verified takes no place of one that is, whose id is returned then.

        :param sender: the domain of the mail that brought it. :param verified: whether DMARC vouches for it."""

    async def reports(kind: str, domain: str = "", limit: int = 1000) -> Sequence[KeptReport]:
        """Those of a kind, about one domain or all, the latest first."""

    async def report(id: str) -> tuple[KeptReport, Sequence[ReceivedRow]] | None:
        """One report with its rows."""

    async def sources(domain: str = "", failing: bool = False) -> Sequence[ReportedSource]:
        """Who sends as one domain or all, by reports of DMARC; those with most failures first, 1,000 at most.

        :param failing: only those with any."""

    async def sweep(before: float) -> int:
        """Forget what came before; return how much."""
