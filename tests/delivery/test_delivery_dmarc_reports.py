"""Reports of DMARC: who gets them."""

from __future__ import annotations

import gzip
from email import message_from_bytes
from typing import Any

from delivery_fakes import Blobs, Directory, Zone
from test_delivery_tls_reports import DUE, LAST, NOW, SETTINGS, Hints, Queue, Scan, Signer
from twisted.internet.task import Clock
from twisted.logger import globalLogPublisher
from twisted.trial.unittest import SynchronousTestCase

from mailnode.delivery.daily_reports import ReportMail
from mailnode.delivery.dmarc_reports import MAX_PLACES, DmarcReports
from mailnode.delivery.routing import RoutingTable
from mailnode.errors import NoSuchName, ResolverFailure
from mailnode.net.no_reactor import CallingThread, run_now
from mailnode.values.dmarc import DmarcRecord, FoundRecord
from mailnode.values.dmarc_report import CountedSeen, DmarcSeen
from mailnode.values.tls_report import DueReport

SEEN = DmarcSeen(FoundRecord("d.example", DmarcRecord("reject")), "192.0.2.1", "d.example", "", "reject", False, False)


class Results:
    """What is due, and what was done with it."""

    def __init__(self) -> None:
        self.due: list[DueReport] = []
        self.finished: list[str] = []

    async def take_due(self, now: float, limit: int) -> list[DueReport]:
        taken, self.due = self.due[:limit], self.due[limit:]
        return taken

    async def results(self, day: int, domain: str) -> list[CountedSeen]:
        return [CountedSeen(SEEN, 3)]

    async def finish(self, day: int, domain: str) -> None:
        self.finished.append(domain)


class DmarcReportsCase(SynchronousTestCase):
    def setUp(self) -> None:
        self.zone, self.results, self.queue, self.signer = Zone(), Results(), Queue(), Signer()
        self.blobs, self.hints = Blobs(), Hints()
        clock = Clock()
        clock.advance(NOW)
        mail: Any = ReportMail(
            Directory(ann="ann"), self.queue, self.blobs, Scan(), self.signer, self.hints, RoutingTable()
        )
        results: Any = self.results
        self.reports = DmarcReports(
            SETTINGS, "mail.sender.example", "mailnode 1", results, self.zone, mail, CallingThread(), clock
        )
        self.events: list[tuple[str, dict[str, Any]]] = []
        globalLogPublisher.addObserver(self.observe)
        self.addCleanup(globalLogPublisher.removeObserver, self.observe)

    def observe(self, event: Any) -> None:
        if str(event.get("event")).startswith("dmarc_report."):
            self.events.append((event["event"].removeprefix("dmarc_report."), event["fields"]))

    def say(self, **records: str) -> None:
        for name, text in records.items():
            self.zone.txt_data[name] = [text.encode()]

    def want(self, *places: str) -> None:
        self.say(**{"_dmarc.d.example": "v=DMARC1; p=reject; rua=" + ",".join(places)})

    def send(self, due: DueReport = DUE) -> list[str]:
        self.results.due = [due]
        run_now(self.reports.send_due(NOW))
        return [fields["to"] for name, fields in self.events if name == "sent"]

    def test_by_mail_signed(self) -> None:
        self.want("mailto:reports@mail.d.example", "https://d.example/reports")
        assert self.send() == ["mailto:reports@mail.d.example"]
        assert self.results.finished == ["d.example"]
        assert self.signer.domains == ["sender.example"]
        [queued] = self.queue.added
        assert queued.envelope.reverse_path == ""
        assert [one.address for one in queued.envelope.recipients] == ["reports@mail.d.example"]
        raw = queued.blob.content
        mail = message_from_bytes(raw)
        assert b"<count>3</count>" in gzip.decompress(mail.get_payload()[1].get_payload(decode=True))
        [(_, fields)] = self.events
        assert (fields["messages"], fields["failures"], fields["day"]) == (3, 3, "2024-10-03")

    def test_nobody_wants_any(self) -> None:
        for record in ("v=DMARC1; p=none", "v=spf1 -all", "v=DMARC1; p=none; rua=https://d.example/"):
            self.say(**{"_dmarc.d.example": record})
            assert self.send() == []
        self.zone.txt_data["_dmarc.d.example"] = NoSuchName
        assert self.send() == []
        assert self.results.finished == ["d.example"] * 4 and not self.queue.added

    def test_a_place_outside_must_agree(self) -> None:
        self.want("mailto:d@red.example.net")
        assert self.send() == []
        self.say(**{"d.example._report._dmarc.red.example.net": "something else"})
        assert self.send() == []
        self.say(**{"d.example._report._dmarc.red.example.net": "v=DMARC1;"})
        assert self.send() == ["mailto:d@red.example.net"]

    def test_it_may_name_another_address_there_and_nowhere_else(self) -> None:
        self.want("mailto:d@red.example.net", "mailto:own@d.example")
        self.say(**{"d.example._report._dmarc.red.example.net": "v=DMARC1; rua=mailto:new@red.example.net"})
        assert self.send() == ["mailto:new@red.example.net", "mailto:own@d.example"]
        self.events.clear()
        self.say(**{"d.example._report._dmarc.red.example.net": "v=DMARC1; rua=mailto:victim@blue.example"})
        assert self.send() == ["mailto:own@d.example"]

    def test_what_is_no_address_and_what_is_too_many(self) -> None:
        self.want("mailto:nobody", "mailto:a@[127.0.0.1]", "mailto:%0d%0a@d.example", "mailto:@d.example")
        assert self.send() == []
        self.want(*[f"mailto:a{number}@d.example" for number in range(10)])
        assert len(self.send()) == MAX_PLACES

    def test_dns_that_does_not_answer_is_asked_again(self) -> None:
        self.zone.txt_data["_dmarc.d.example"] = ResolverFailure
        assert self.send() == [] and self.results.finished == []
        self.want("mailto:d@red.example.net")
        self.zone.txt_data["d.example._report._dmarc.red.example.net"] = ResolverFailure
        assert self.send() == [] and self.results.finished == []
        assert [name for name, _ in self.events] == ["failed", "failed"]
        assert self.send(LAST) == [] and self.results.finished == ["d.example"]

    def test_without_a_key_nothing_is_sent(self) -> None:
        self.signer.signature = b""
        self.want("mailto:own@d.example")
        assert self.send() == [] and not self.results.finished
        [(name, fields)] = self.events
        assert name == "failed" and "no key of sender.example" in fields["reason"]
