"""Which mail is looked at for a report of another server, and what is believed of it."""

from __future__ import annotations

from typing import Any

from delivery_fakes import Blobs, Processes
from twisted.internet.defer import Deferred
from twisted.internet.task import Clock
from twisted.logger import globalLogPublisher
from twisted.trial.unittest import SynchronousTestCase

from mailnode.delivery.received_reports import WAITING, ReportReader
from mailnode.errors import StoreUnavailable
from mailnode.message.scanner import read_facts
from mailnode.net.no_reactor import CallingThread
from mailnode.values.address import parse_address
from mailnode.values.authentication import AuthenticationResult
from mailnode.values.directory import Domain
from mailnode.values.envelope import Envelope, Origin, Recipient
from tests.message.report_samples import NEW

MAIL = b"From: a@org.example\r\nContent-Type: text/xml\r\n\r\n" + NEW.replace("\n", "\r\n").encode()
PASS = AuthenticationResult("dmarc", "pass", (("header.from", "org.example"),))


class Kept:
    def __init__(self) -> None:
        self.added: list[Any] = []
        self.error: Exception | None = None

    async def add(self, report: Any, sender: str, verified: bool, now: float) -> str:
        if self.error is not None:
            raise self.error
        self.added.append((report.domain, sender, verified))
        return "r1"


class Domains:
    def __init__(self) -> None:
        self.names = ["example.com"]
        self.waits: Deferred[None] | None = None

    async def domains(self) -> list[Domain]:
        if self.waits is not None:
            await self.waits
        return [Domain(name, name) for name in self.names]


class ReportReaderCase(SynchronousTestCase):
    def setUp(self) -> None:
        self.blobs, self.kept, self.domains, self.wanted = Blobs(), Kept(), Domains(), ""
        clock: Any = Clock()
        kept: Any = self.kept
        domains: Any = self.domains
        self.reader = ReportReader(
            self.blobs,
            domains,
            CallingThread(),
            Processes(),
            clock,
            kept,
            lambda: self.wanted,  # type: ignore[arg-type]
        )
        self.events: list[tuple[str, dict[str, Any]]] = []
        globalLogPublisher.addObserver(self.observe)
        self.addCleanup(globalLogPublisher.removeObserver, self.observe)

    def observe(self, event: Any) -> None:
        if str(event.get("event")).startswith("report."):
            self.events.append((event["event"], event["fields"]))

    def look(self, *recipients: str, content: bytes = MAIL, found: tuple[AuthenticationResult, ...] = (PASS,)) -> None:
        envelope = Envelope(
            "e1",
            parse_address("bounce@Elsewhere.example"),
            tuple(Recipient(parse_address(one)) for one in recipients),
            Origin("s1", "ESMTP"),
            0.0,
            authentication=found,
        )
        self.reader.look(envelope, self.blobs.stage(content), read_facts(content))

    def test_mail_for_postmaster_is_looked_at(self) -> None:
        self.look("bob@example.com", "Postmaster@example.com")
        assert self.kept.added == [("example.com", "org.example", True)]
        [(name, fields)] = self.events
        assert name == "report.received"
        assert (fields["kind"], fields["passed"], fields["failed"], fields["report"]) == ("dmarc", 123, 2, "r1")

    def test_and_for_the_address_that_is_configured(self) -> None:
        self.wanted = "reports@example.com"
        self.look("postmaster@example.com")
        assert not self.kept.added
        self.look("Reports+dmarc@Example.com")
        assert len(self.kept.added) == 1

    def test_other_mail_is_not(self) -> None:
        self.look("bob@example.com")
        self.look("postmaster@example.com", content=b"From: a@b.test\r\n\r\nhello\r\n")
        assert not self.kept.added and not self.events and not self.blobs.reads

    def test_nothing_is_read_where_nothing_is_kept(self) -> None:
        self.reader._wanted = lambda: None
        self.look("postmaster@example.com")
        assert not self.kept.added

    def test_a_mail_that_nobody_vouches_for_is_told_apart(self) -> None:
        self.look("postmaster@example.com", found=())
        assert self.kept.added == [("example.com", "elsewhere.example", False)]

    def test_what_is_about_others_is_not_kept(self) -> None:
        self.domains.names = ["other.example"]
        self.look("postmaster@example.com")
        self.look("postmaster@example.com", content=MAIL.replace(b"</feedback>", b"<"))
        assert not self.kept.added
        assert [fields["reason"] for _, fields in self.events] == ["it is about another domain", "it is no XML"]

    def test_domains_below_ours_are_ours(self) -> None:
        self.look("postmaster@example.com", content=MAIL.replace(b"<domain>Example.com", b"<domain>a.b.Example.com"))
        assert self.kept.added == [("a.b.example.com", "org.example", True)]

    def test_a_store_that_is_away_costs_the_report_alone(self) -> None:
        self.kept.error = StoreUnavailable("down")
        self.look("postmaster@example.com")
        assert not self.flushLoggedErrors()

    def test_one_is_read_at_a_time_and_few_wait(self) -> None:
        self.domains.waits = Deferred()
        for _ in range(WAITING + 10):
            self.look("postmaster@example.com")
        waits, self.domains.waits = self.domains.waits, None
        waits.callback(None)
        assert len(self.kept.added) == WAITING + 1
