"""Reports of TLS with other servers: who gets them, and what is tried again."""

from __future__ import annotations

import gzip
import json
from collections.abc import Callable
from email import message_from_bytes, policy
from typing import Any

from delivery_fakes import Blobs, Directory, Zone
from twisted.internet.task import Clock
from twisted.logger import globalLogPublisher
from twisted.trial.unittest import SynchronousTestCase
from zope.interface import implementer
from zope.interface.verify import verifyObject

from mailnode.delivery.daily_reports import ReportMail
from mailnode.delivery.routing import RoutingTable
from mailnode.delivery.tls_reports import TlsReports
from mailnode.errors import NoSuchName, ResolverFailure, StoreUnavailable
from mailnode.interfaces.tls_reports import IReportHost, ReportNotTaken
from mailnode.net.no_reactor import CallingThread, run_now
from mailnode.values.tls_report import CountedSession, DueReport, ReportedPolicy, ReportSettings, TlsSession

TODAY = 20_000
NOW = TODAY * 86_400.0
SETTINGS = ReportSettings("tls@sender.example", "Sender", "tls@sender.example")
DUE = DueReport(TODAY - 1, "d.example", NOW, 1, NOW + 900)
LAST = DueReport(TODAY - 1, "d.example", NOW, 8, None)
SESSIONS = [CountedSession(TlsSession("d.example", ReportedPolicy("d.example")), 3)]


class Results:
    """What is due, and what was done with it."""

    def __init__(self) -> None:
        self.due: list[DueReport] = []
        self.finished: list[str] = []
        self.error: Exception | None = None

    async def take_due(self, now: float, limit: int) -> list[DueReport]:
        taken, self.due = self.due[:limit], self.due[limit:]
        return taken

    async def results(self, day: int, domain: str) -> list[CountedSession]:
        if self.error is not None:
            raise self.error
        return SESSIONS

    async def finish(self, day: int, domain: str) -> None:
        self.finished.append(domain)


@implementer(IReportHost)
class Web:
    def __init__(self) -> None:
        self.posted: list[tuple[str, bytes, str]] = []
        self.fails = ""
        self.meanwhile: Callable[[], None] = lambda: None

    async def post(self, url: str, content: bytes, kind: str) -> None:
        self.meanwhile()
        if self.fails:
            raise ReportNotTaken(self.fails)
        self.posted.append((url, content, kind))


class Queue:
    def __init__(self) -> None:
        self.added: list[Any] = []

    async def enqueue(self, submission: Any) -> None:
        self.added.append(submission)


class Signer:
    def __init__(self) -> None:
        self.signature = b"DKIM-Signature: d=sender.example\r\n"
        self.domains: list[str] = []

    async def sign(self, domains: Any, envelope_id: str, header: bytes, body: bytes) -> bytes:
        self.domains += domains
        return self.signature


class Scan:
    async def scan(self, blob: Any) -> str:
        return "facts"


class Hints:
    def __init__(self) -> None:
        self.woken: list[str] = []

    def wake_queue(self, destinations: Any) -> None:
        self.woken += destinations


class ReportsCase(SynchronousTestCase):
    def setUp(self) -> None:
        self.zone, self.results, self.web, self.queue = Zone(), Results(), Web(), Queue()
        self.signer, self.hints, self.blobs, self.directory = Signer(), Hints(), Blobs(), Directory(ann="ann")
        self.clock = Clock()
        self.clock.advance(NOW)
        mail: Any = ReportMail(self.directory, self.queue, self.blobs, Scan(), self.signer, self.hints, RoutingTable())
        self.reports = TlsReports(
            SETTINGS, "mail.sender.example", self.results, self.zone, mail, self.web, CallingThread(), self.clock
        )
        self.events: list[tuple[str, dict[str, Any]]] = []
        globalLogPublisher.addObserver(self.observe)
        self.addCleanup(globalLogPublisher.removeObserver, self.observe)

    def observe(self, event: Any) -> None:
        if str(event.get("event")).startswith("tls_report."):
            self.events.append((event["event"].removeprefix("tls_report."), event["fields"]))

    def want(self, *places: str) -> None:
        self.zone.txt_data["_smtp._tls.d.example"] = [b"v=TLSRPTv1; rua=" + ",".join(places).encode()]

    def send(self, *due: DueReport) -> None:
        self.results.due = list(due)
        run_now(self.reports.send_due(NOW))

    def failures(self) -> list[str]:
        return [fields["reason"] for name, fields in self.events if name == "failed"]


class SendTests(ReportsCase):
    def test_contract(self) -> None:
        verifyObject(IReportHost, self.web)

    def test_by_mail(self) -> None:
        self.want("mailto:re%70orts@d.example?subject=x")
        self.send(DUE)
        (added,) = self.queue.added
        envelope = added.envelope
        self.assertEqual((envelope.reverse_path, envelope.expires), ("", NOW + 86_400))
        self.assertEqual(envelope.options.tls, "optional")
        self.assertEqual(
            [(one.address, one.destination) for one in envelope.recipients], [("reports@d.example", "d.example")]
        )
        self.assertEqual((self.hints.woken, self.signer.domains), (["d.example"], ["sender.example"]))
        content = run_now(self.blobs.read_staged(added.blob, 0, added.blob.ref.size))
        self.assertTrue(content.startswith(self.signer.signature))
        message = message_from_bytes(content, policy=policy.default)
        _, attached = message.iter_parts()
        made = json.loads(gzip.decompress(attached.get_content()))
        self.assertEqual(made["policies"][0]["summary"]["total-successful-session-count"], 3)
        self.assertEqual(self.results.finished, ["d.example"])
        ((name, event),) = self.events
        self.assertEqual((name, event["day"], event["sessions"], event["failures"]), ("sent", "2024-10-03", 3, 0))
        self.assertEqual(event["envelope"], envelope.id)

    def test_to_a_mailbox_here(self) -> None:
        self.want("mailto:ann@here.example")
        self.send(DUE)
        (added,) = self.queue.added
        self.assertEqual((added.facts, added.envelope.recipients[0].account_id), ("facts", "id-ann"))

    def test_by_https(self) -> None:
        self.want("https://r.example/x")
        self.send(DUE)
        ((url, content, kind),) = self.web.posted
        self.assertEqual((url, kind), ("https://r.example/x", "application/tlsrpt+gzip"))
        self.assertEqual(json.loads(gzip.decompress(content))["report-id"], "2024-10-03.d.example@mail.sender.example")
        self.assertEqual((self.results.finished, self.queue.added), (["d.example"], []))

    def test_to_all_that_are_named_of_whom_one_is_enough(self) -> None:
        self.want("https://r.example/x", "mailto:reports@d.example")
        self.web.fails = "503"
        self.send(DUE)
        self.assertEqual((len(self.queue.added), self.results.finished), (1, ["d.example"]))
        self.assertEqual([name for name, _ in self.events], ["failed", "sent"])

    def test_nobody_wants_it(self) -> None:
        for records in (NoSuchName, [], [b"v=spf1 -all"], [b"v=TLSRPTv1; rua=ftp://x.example"]):
            self.zone.txt_data["_smtp._tls.d.example"] = records
            self.send(DUE)
            self.assertEqual((self.results.finished.pop(), self.events), ("d.example", []))

    def test_many_at_a_time(self) -> None:
        self.want("https://r.example/x")
        self.send(*[DUE] * 23)
        self.assertEqual(len(self.web.posted), 23)

    def test_none_is_begun_after_the_end(self) -> None:
        self.reports.stop()
        self.send(DUE)
        self.assertEqual(self.results.due, [DUE])

    def end_meanwhile(self, fails: str) -> None:
        self.web.meanwhile, self.web.fails = self.reports.stop, fails
        self.want("https://r.example/x", "https://r.example/y", "mailto:reports@d.example")
        self.send(LAST)

    def test_the_end_waits_for_one_place_of_those_named(self) -> None:
        self.end_meanwhile("")
        self.assertEqual((len(self.web.posted), self.queue.added, self.results.finished), (1, [], ["d.example"]))

    def test_what_nobody_has_taken_at_the_end_is_not_dropped(self) -> None:
        self.end_meanwhile("503")
        self.assertEqual((self.failures(), self.queue.added, self.results.finished), (["503"], [], []))


class FailureTests(ReportsCase):
    def test_what_failed_is_tried_again_and_dropped_at_last(self) -> None:
        self.web.fails = "r.example answered with 503"
        self.want("https://r.example/x")
        self.send(DUE)
        self.assertEqual(self.results.finished, [])
        self.send(LAST)
        self.assertEqual(self.results.finished, ["d.example"])
        self.assertEqual(self.failures(), [self.web.fails] * 2)
        self.assertEqual([bool(fields["again"]) for _, fields in self.events], [True, False])

    def test_a_record_that_cannot_be_looked_up(self) -> None:
        self.zone.txt_data["_smtp._tls.d.example"] = ResolverFailure
        self.send(DUE)
        self.assertEqual((self.results.finished, len(self.failures())), ([], 1))
        self.send(LAST)
        self.assertEqual(self.results.finished, ["d.example"])

    def test_mail_that_nothing_signs_is_not_sent(self) -> None:
        """RFC 8460 3: it would be ignored."""
        self.signer.signature = b""
        self.want("mailto:reports@d.example")
        self.send(DUE)
        self.assertEqual((self.queue.added, self.results.finished), ([], []))
        self.assertIn("no key of sender.example", self.failures()[0])

    def test_addresses_that_are_none(self) -> None:
        for place in (
            "mailto:",
            "mailto:nobody",
            "mailto:a%0Ab@d.example",
            "mailto:%C3%A9@d.example",
            "mailto:nobody@here.example",
        ):
            self.want(place)
            self.send(DUE)
            self.assertEqual((self.queue.added, self.failures()[-1]), ([], "there is no such address"), place)

    def test_one_that_fails_leaves_the_others_alone(self) -> None:
        self.want("https://r.example/x")
        other = DueReport(TODAY - 1, "e.example", NOW, 1, NOW + 900)
        self.results.error = StoreUnavailable()
        self.send(DUE, other)
        self.assertEqual(self.results.finished, ["e.example"])  # which wants none
        self.assertEqual(self.failures(), ["StoreUnavailable"])
