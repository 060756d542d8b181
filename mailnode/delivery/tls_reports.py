"""Sends reports of how TLS with the servers of other domains fared to those that want them (RFC 8460)."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from urllib.parse import unquote

from twisted.internet.defer import Deferred, gatherResults
from twisted.logger import Logger

from mailnode.delivery.acceptance import queued_envelope
from mailnode.delivery.plans import copies
from mailnode.delivery.routing import RoutingTable
from mailnode.errors import BadAddress, DomainError, NoSuchName, StoreUnavailable
from mailnode.interfaces.accounts import IDirectory
from mailnode.interfaces.delivery import IDelivery, ISigner
from mailnode.interfaces.outbound import IResolver
from mailnode.interfaces.runtime import IClock, IHints, IThreads
from mailnode.interfaces.store import IBlobs, IQueueStore
from mailnode.interfaces.tls_reports import IReportHost, ITlsResults, ReportNotTaken
from mailnode.message.compose import message_id
from mailnode.message.headers import header_end
from mailnode.message.tls_report import GZIPPED, packed, report, report_mail
from mailnode.values.address import Address, parse_address
from mailnode.values.envelope import TLS_OPTIONAL, Envelope, MailOptions, Origin, Recipient
from mailnode.values.events import emit, moment
from mailnode.values.ids import new_id
from mailnode.values.plan import Judgement
from mailnode.values.queue import NewEnvelope
from mailnode.values.tls_report import DAY, DueReport, ReportSettings, day_name, places

AT_ONCE = 5  # reports that are sent at the same time

_log = Logger()


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

    async def send(self, content: bytes, domain: str, to: Address, now: float) -> str:
        """Sign a message with the keys of a domain and queue it for a day; return the envelope's id.

        :raises ReportNotTaken: it cannot be signed, or leads nowhere. :raises mailnode.errors.DomainError:"""
        envelope = Envelope(
            new_id(now),
            None,
            (Recipient(to),),
            Origin(session="", protocol="local"),
            now,
            MailOptions(tls=TLS_OPTIONAL),  # as the header says
        )
        end = header_end(content)
        signature = await self._signer.sign([domain], envelope.id, content[:end], content[end:])
        if not signature:
            raise ReportNotTaken(f"no key of {domain} signs it, so nobody would read it (RFC 8460 3)")
        made = copies(envelope, Judgement((to,), {to: await self._directory.resolve(to)}))
        if not made.local and not made.remote:
            raise ReportNotTaken("there is no such address")
        blob = await self._blobs.put(signature + content)
        facts = await self._delivery.scan(blob) if made.local else None
        queued = queued_envelope(envelope, made, blob, lambda created, null_sender: created + DAY, self._routing)
        await self._queue.enqueue(NewEnvelope(queued, blob, facts))
        self._hints.wake_queue(list(dict.fromkeys(one.destination for one in queued.recipients)))
        return envelope.id


class TlsReports:
    """Sends those that are due."""

    def __init__(
        self,
        settings: ReportSettings,
        hostname: str,
        results: ITlsResults,
        resolver: IResolver,
        mail: ReportMail,
        web: IReportHost,
        threads: IThreads,
        clock: IClock,
    ) -> None:
        """:param hostname: of this server."""
        self._settings = settings
        self._hostname = hostname
        self._results = results
        self._resolver = resolver
        self._mail = mail
        self._web = web
        self._threads = threads
        self._clock = clock
        self._stopped = False

    def stop(self) -> None:
        """Begin no further report, nor hand one under way to a further place."""
        self._stopped = True

    async def send_due(self, now: float) -> None:
        """Send all reports that are due now, a few at a time. :raises mailnode.errors.StoreUnavailable:"""
        while not self._stopped and (due := await self._results.take_due(now, AT_ONCE)):
            await gatherResults([Deferred.fromCoroutine(self._send(one)) for one in due], consumeErrors=True)

    async def _send(self, due: DueReport) -> None:
        try:
            wanted = await self._wanted(due.domain)
            done = not wanted or await self._deliver(due, wanted)
        except DomainError as error:
            _tell_failed(due, "", str(error) or type(error).__name__)
            done = False
        if done or (due.again is None and not self._stopped):
            with suppress(StoreUnavailable):  # it goes once more then, under the same id
                await self._results.finish(due.day, due.domain)

    async def _wanted(self, domain: str) -> tuple[str, ...]:
        """Return where a domain wants its reports. :raises ResolverFailure: that cannot be told."""
        try:
            return places(await self._resolver.txt(f"_smtp._tls.{domain}"))
        except NoSuchName:
            return ()

    async def _deliver(self, due: DueReport, wanted: Sequence[str]) -> bool:
        """Hand a report to everybody who is named; return whether anybody took it, which is enough (RFC 8460 3)."""
        sessions = await self._results.results(due.day, due.domain)
        content = await self._threads.run(
            "cpu", lambda: packed(report(due.domain, due.day, sessions, self._settings, self._hostname))
        )
        taken = False
        for place in wanted:
            if self._stopped:
                break
            try:
                envelope = await self._hand_over(due, place, content)
            except ReportNotTaken as failed:
                _tell_failed(due, place, failed.text)
            except DomainError as error:
                _tell_failed(due, place, str(error) or type(error).__name__)
            else:
                taken = True
                emit(
                    _log,
                    "tls_report.sent",
                    domain=due.domain,
                    day=day_name(due.day),
                    to=place,
                    sessions=sum(one.count for one in sessions),
                    failures=sum(one.count for one in sessions if one.session.result),
                    envelope=envelope,
                )
        return taken

    async def _hand_over(self, due: DueReport, place: str, content: bytes) -> str:
        """Send a report to one place; return the envelope's id where it goes by mail. :raises ReportNotTaken:"""
        if place.lower().startswith("https:"):
            await self._web.post(place, content, GZIPPED)
            return ""
        to, now = _address(place), self._clock.seconds()
        made = report_mail(
            due.domain,
            due.day,
            content,
            self._settings,
            self._hostname,
            to=str(to),
            message_id=message_id(new_id(now), self._hostname),
            seconds=now,
        )
        return await self._mail.send(made, self._settings.domain, to, now)


def _tell_failed(due: DueReport, place: str, reason: str) -> None:
    emit(
        _log,
        "tls_report.failed",
        warning=due.again is None,
        domain=due.domain,
        day=day_name(due.day),
        to=place,
        reason=reason,
        again="" if due.again is None else moment(due.again),
    )


def _address(place: str) -> Address:
    """Return the address of a mailto URI (RFC 6068 2); what it says beside that is not looked at. :raises ReportNotTaken:"""
    try:
        address = parse_address(unquote(place.partition(":")[2].partition("?")[0]))
    except BadAddress:
        raise ReportNotTaken("there is no such address") from None
    written = str(address)
    if not address.domain or not written.isascii() or not written.isprintable():
        raise ReportNotTaken("there is no such address")
    return address
