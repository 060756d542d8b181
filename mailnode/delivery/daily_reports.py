"""Sends what is to be reported of a day to the domains that want it: by whom it is taken, and when it is tried again."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from math import inf
from urllib.parse import unquote

from twisted.internet.defer import Deferred, gatherResults
from twisted.logger import Logger

from mailnode.delivery.own_mail import OwnMail
from mailnode.errors import BadAddress, DomainError, StoreUnavailable
from mailnode.interfaces.runtime import IClock, IThreads
from mailnode.interfaces.tls_reports import IDueReports, ReportNotTaken
from mailnode.message.compose import message_id
from mailnode.message.report_mail import ReportForm, report_mail
from mailnode.values.address import Address, parse_address
from mailnode.values.envelope import PLAIN_MAIL, Envelope, MailOptions, Origin, Recipient
from mailnode.values.events import EventFields, emit, moment
from mailnode.values.ids import new_id
from mailnode.values.tls_report import DAY, DueReport, ReportSettings, day_name

AT_ONCE = 5  # reports that are sent at the same time

_log = Logger()


class ReportMail(OwnMail):
    """Puts reports that go by mail into the queue."""

    async def send(self, content: bytes, domain: str, to: Address, now: float, options: MailOptions) -> str:
        """Sign a message with the keys of a domain and queue it for a day; return the envelope's id.

        :raises ReportNotTaken: it cannot be signed, or leads nowhere. :raises mailnode.errors.DomainError:"""
        envelope = Envelope(new_id(now), None, (Recipient(to),), Origin(session="", protocol="local"), now, options)
        signature = await self._signature(domain, envelope, content)
        if not signature:
            raise ReportNotTaken(f"no key of {domain} signs it, so nobody would read it")
        made = await self._copies(envelope)
        if not made.local and not made.remote:
            raise ReportNotTaken("there is no such address")
        await self._enqueue(envelope, made, signature + content, lambda created, null_sender: created + DAY)
        return envelope.id


@dataclass(frozen=True, slots=True)
class Report:
    """One as it is sent, packed, and how much it tells of. ``counted``: messages or connections, ``failures`` among them."""

    content: bytes
    counted: int
    failures: int


@dataclass(frozen=True, slots=True)
class ReportKind:
    """What is the same in all reports of a kind. ``events``: what their events begin with; ``counts``: what of there is a number in
    them. ``form``: as mail, which has ``options``. ``largest``: octets of a report, packed."""

    events: str
    counts: str
    form: ReportForm
    options: MailOptions = PLAIN_MAIL
    largest: float = inf


class DailyReports(ABC):
    """Sends those that are due; what they say and who wants them is said by each kind."""

    def __init__(
        self,
        kind: ReportKind,
        settings: ReportSettings,
        hostname: str,
        due: IDueReports,
        mail: ReportMail,
        threads: IThreads,
        clock: IClock,
    ) -> None:
        """:param hostname: of this server. :param clock: UTC."""
        self._kind = kind
        self._settings = settings
        self._hostname = hostname
        self._due = due
        self._mail = mail
        self._threads = threads
        self._clock = clock
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
    async def _report(self, due: DueReport) -> Report:
        """Return the report. :raises mailnode.errors.DomainError:"""

    async def _hand_over(self, due: DueReport, place: str, report: Report) -> str:
        """Send a report to one place; return the envelope's id where it goes by mail. :raises ReportNotTaken:"""
        kind = self._kind
        if len(report.content) > kind.largest:
            raise ReportNotTaken("it is too large")
        to, now = mail_address(place), self._clock.seconds()
        identifier = message_id(new_id(now), self._hostname)

        def made() -> bytes:
            return report_mail(
                kind.form,
                due.domain,
                due.day,
                report.content,
                self._settings,
                self._hostname,
                to=str(to),
                message_id=identifier,
                seconds=now,
            )

        content = await self._threads.run("cpu", made)
        return await self._mail.send(content, self._settings.domain, to, now, kind.options)

    def _tell_sent(self, due: DueReport, place: str, report: Report, envelope: str) -> None:
        counts: EventFields = {self._kind.counts: report.counted, "failures": report.failures}
        emit(
            _log,
            f"{self._kind.events}.sent",
            domain=due.domain,
            day=day_name(due.day),
            to=place,
            envelope=envelope,
            **counts,
        )

    def _tell_failed(self, due: DueReport, place: str, reason: str) -> None:
        emit(
            _log,
            f"{self._kind.events}.failed",
            warning=due.again is None,
            domain=due.domain,
            day=day_name(due.day),
            to=place,
            reason=reason,
            again="" if due.again is None else moment(due.again),
        )


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
