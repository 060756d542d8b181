"""Reads reports of others that come to the address for them: the mail is delivered as any other, and what it says is kept besides.

Nobody waits for it, and what goes wrong with one is told in the log alone.
"""

from __future__ import annotations

from collections.abc import Callable

from twisted.internet.defer import Deferred, DeferredSemaphore
from twisted.logger import Logger
from twisted.python.failure import Failure

from mailnode.errors import BadAddress, BlobDamaged, Busy, StoreUnavailable
from mailnode.interfaces.accounts import IDirectory
from mailnode.interfaces.received_reports import IReceivedReports
from mailnode.interfaces.runtime import IClock, IProcesses, IThreads
from mailnode.interfaces.store import IBlobs
from mailnode.message.received_reports import locate_report, read_report
from mailnode.message.report_text import UnreadableReport
from mailnode.values.address import Address, parse_address
from mailnode.values.authentication import AuthenticationResult
from mailnode.values.blob import StagedBlob
from mailnode.values.envelope import Envelope
from mailnode.values.events import emit
from mailnode.values.facts import EncodedFacts
from mailnode.values.received_report import ReceivedReport

WAITING = 50  # mails that wait to be looked at; more are not

_log = Logger()


class ReportReader:
    """Reads one at a time, in another process."""

    def __init__(
        self,
        blobs: IBlobs,
        directory: IDirectory,
        threads: IThreads,
        processes: IProcesses,
        clock: IClock,
        kept: IReceivedReports,
        wanted: Callable[[], str | None],
    ) -> None:
        """:param wanted: returns the address that reports come to, "" for each domain's postmaster, None while none are read."""
        self._blobs = blobs
        self._directory = directory
        self._threads = threads
        self._processes = processes
        self._clock = clock
        self._kept = kept
        self._wanted = wanted
        self._one = DeferredSemaphore(1)

    def look(self, envelope: Envelope, blob: StagedBlob, facts: EncodedFacts) -> None:
        """Look at a message that was taken for mailboxes here."""
        address = self._wanted()
        if address is None or len(self._one.waiting) >= WAITING:
            return
        for recipient in envelope.recipients:
            if _is_for(recipient.address, address):
                self._one.run(lambda: Deferred.fromCoroutine(self._look(envelope, blob, facts))).addErrback(_failed)
                return

    async def _look(self, envelope: Envelope, blob: StagedBlob, facts: EncodedFacts) -> None:
        found = await self._threads.run("cpu", locate_report, facts.parts)
        if found is None:
            return
        offset, length, encoding = found
        sender, verified = _sender(envelope)
        try:
            data = await self._blobs.read_staged(blob, offset, length)
            report = await self._processes.run(read_report, data, encoding)
            await self._check(report)
        except UnreadableReport as error:
            emit(_log, "report.unreadable", envelope=envelope.id, sender=sender, reason=str(error))
            return
        id = await self._kept.add(report, sender, verified, self._clock.seconds())
        emit(
            _log,
            "report.received",
            envelope=envelope.id,
            kind=report.kind,
            report=id,
            domain=report.domain,
            organization=report.organization,
            passed=sum(row.count for row in report.rows if row.passed),
            failed=sum(row.count for row in report.rows if not row.passed),
        )

    async def _check(self, report: ReceivedReport) -> None:
        """:raises UnreadableReport: it is about no domain of ours, nor one below."""
        ours = {domain.name for domain in await self._directory.domains()}
        labels = report.domain.split(".")
        if not any(".".join(labels[index:]) in ours for index in range(len(labels))):
            raise UnreadableReport("it is about another domain")


def _is_for(recipient: Address, wanted: str) -> bool:
    if not wanted:
        return recipient.local.lower() == "postmaster"
    try:
        return recipient.base().key == parse_address(wanted).key
    except BadAddress:
        return False


def _sender(envelope: Envelope) -> tuple[str, bool]:
    """Return the domain a mail comes from, and whether DMARC vouches for that; where it does not, that of the reverse-path."""
    for result in envelope.authentication:
        if (result.method, result.result) == ("dmarc", "pass"):
            return _author(result), True
    return (envelope.reverse_path.domain.lower() if envelope.reverse_path is not None else ""), False


def _author(result: AuthenticationResult) -> str:
    return dict(result.properties).get("header.from", "")


def _failed(failure: Failure) -> None:
    if not isinstance(failure.value, BlobDamaged | Busy | StoreUnavailable):  # it may be gone already; nobody waits
        _log.failure("a report could not be looked at", failure)
