"""Sends what is to be reported of a day to the domains that want it: by whom it is taken, and when it is tried again."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from contextlib import suppress
from typing import Generic, TypeVar
from urllib.parse import unquote

from twisted.internet.defer import Deferred, gatherResults

from mailnode.delivery.acceptance import queued_envelope
from mailnode.delivery.plans import copies
from mailnode.delivery.routing import RoutingTable
from mailnode.errors import BadAddress, DomainError, StoreUnavailable
from mailnode.interfaces.accounts import IDirectory
from mailnode.interfaces.delivery import IDelivery, ISigner
from mailnode.interfaces.runtime import IHints
from mailnode.interfaces.store import IBlobs, IQueueStore
from mailnode.interfaces.tls_reports import IDueReports, ReportNotTaken
from mailnode.message.headers import header_end
from mailnode.values.address import Address, parse_address
from mailnode.values.envelope import Envelope, MailOptions, Origin, Recipient
from mailnode.values.ids import new_id
from mailnode.values.plan import Judgement
from mailnode.values.queue import NewEnvelope
from mailnode.values.tls_report import DAY, DueReport

AT_ONCE = 5  # reports that are sent at the same time

T = TypeVar("T")


class ReportMail:
    """Puts reports that go by mail into the queue."""

    def __init__(
        self,
        directory: IDirectory,
        queue: IQueueStore,
        blobs: IBlobs,
        delivery: IDelivery,
        signer: ISigner,
        hints: IHints,
        routing: RoutingTable,
    ) -> None:
        self._directory = directory
        self._queue = queue
        self._blobs = blobs
        self._delivery = delivery
        self._signer = signer
        self._hints = hints
        self._routing = routing

    async def send(self, content: bytes, domain: str, to: Address, now: float, options: MailOptions) -> str:
        """Sign a message with the keys of a domain and queue it for a day; return the envelope's id.

        :raises ReportNotTaken: it cannot be signed, or leads nowhere. :raises mailnode.errors.DomainError:"""
        envelope = Envelope(new_id(now), None, (Recipient(to),), Origin(session="", protocol="local"), now, options)
        end = header_end(content)
        signature = await self._signer.sign([domain], envelope.id, content[:end], content[end:])
        if not signature:
            raise ReportNotTaken(f"no key of {domain} signs it, so nobody would read it")
        made = copies(envelope, Judgement((to,), {to: await self._directory.resolve(to)}))
        if not made.local and not made.remote:
            raise ReportNotTaken("there is no such address")
        blob = await self._blobs.put(signature + content)
        facts = await self._delivery.scan(blob) if made.local else None
        queued = queued_envelope(envelope, made, blob, lambda created, null_sender: created + DAY, self._routing)
        await self._queue.enqueue(NewEnvelope(queued, blob, facts))
        self._hints.wake_queue(list(dict.fromkeys(one.destination for one in queued.recipients)))
        return envelope.id


class DailyReports(ABC, Generic[T]):
    """Sends those that are due; what they say and how they go is said by each kind. ``T``: a report."""

    def __init__(self, due: IDueReports) -> None:
        self._due = due
        self._stopped = False

    def stop(self) -> None:
        """Begin no further report, nor hand one under way to a further place."""
        self._stopped = True

    async def send_due(self, now: float) -> None:
        """Send all reports that are due now, a few at a time. :raises mailnode.errors.StoreUnavailable:"""
        while not self._stopped and (due := await self._due.take_due(now, AT_ONCE)):
            await gatherResults([Deferred.fromCoroutine(self._send(one)) for one in due], consumeErrors=True)

    async def _send(self, due: DueReport) -> None:
        try:
            wanted = await self._wanted(due.domain)
            done = not wanted or await self._deliver(due, wanted)
        except DomainError as error:
            self._tell_failed(due, "", str(error) or type(error).__name__)
            done = False
        if done or (due.again is None and not self._stopped):
            with suppress(StoreUnavailable):  # it goes once more then, under the same id
                await self._due.finish(due.day, due.domain)

    async def _deliver(self, due: DueReport, wanted: Sequence[str]) -> bool:
        """Hand a report to everybody who is named; return whether anybody took it, which is enough (RFC 8460 3)."""
        report = await self._report(due)
        taken = False
        for place in wanted:
            if self._stopped:
                break
            try:
                envelope = await self._hand_over(due, place, report)
            except ReportNotTaken as failed:
                self._tell_failed(due, place, failed.text)
            except DomainError as error:
                self._tell_failed(due, place, str(error) or type(error).__name__)
            else:
                taken = True
                self._tell_sent(due, place, report, envelope)
        return taken

    @abstractmethod
    async def _wanted(self, domain: str) -> Sequence[str]:
        """Return the URIs where a domain wants its reports. :raises ResolverFailure: that cannot be told."""

    @abstractmethod
    async def _report(self, due: DueReport) -> T:
        """Return the report. :raises mailnode.errors.DomainError:"""

    @abstractmethod
    async def _hand_over(self, due: DueReport, place: str, report: T) -> str:
        """Send a report to one place; return the envelope's id where it goes by mail. :raises ReportNotTaken:"""

    @abstractmethod
    def _tell_sent(self, due: DueReport, place: str, report: T, envelope: str) -> None:
        """Log that it was taken."""

    @abstractmethod
    def _tell_failed(self, due: DueReport, place: str, reason: str) -> None:
        """Log that it was not."""


def mail_address(place: str) -> Address:
    """Return the address of a mailto URI (RFC 6068 2); what it says beside that is not looked at. :raises ReportNotTaken:"""
    try:
        address = parse_address(unquote(place.partition(":")[2].partition("?")[0]))
    except BadAddress:
        raise ReportNotTaken("there is no such address") from None
    written = str(address)
    if not address.domain or not written.isascii() or not written.isprintable():
        raise ReportNotTaken("there is no such address")
    return address
