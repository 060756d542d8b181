"""Reports of others: kept, found again, and forgotten."""

from __future__ import annotations

from dataclasses import replace

import pytest
from zope.interface.verify import verifyObject

from mailnode.interfaces.received_reports import IReceivedReports
from mailnode.store.facades.received_reports import ReceivedReports
from mailnode.store.units import received_reports
from mailnode.values.received_report import DMARC, TLS, ReceivedReport, ReceivedRow, ReportedSource

NOW = 1_700_000_000.0
GOOD = ReceivedRow("192.0.2.1", "d.example", True, "pass", 5, "DKIM aligned")
BAD = ReceivedRow("192.0.2.2", "d.example", False, "none", 2)
REPORT = ReceivedReport(DMARC, "Org", "a@org.example", "id-1", "d.example", 100, 200, "p=none", (GOOD, BAD), 7)


@pytest.fixture
def kept(engine):
    return ReceivedReports(engine)


def test_contract(kept):
    verifyObject(IReceivedReports, kept)


def test_a_report_is_found_again(kept, loop):
    id = loop.run(kept.add(REPORT, "org.example", True, NOW))
    one, rows = loop.run(kept.report(id))
    assert (one.domain, one.organization, one.published, one.left_out) == ("d.example", "Org", "p=none", 7)
    assert (one.sender, one.verified, one.received, one.passed, one.failed) == ("org.example", True, NOW, 5, 2)
    assert rows == [GOOD, BAD]
    assert loop.run(kept.reports(DMARC)) == loop.run(kept.reports(DMARC, "d.example")) == [one]
    assert loop.run(kept.reports(TLS)) == loop.run(kept.reports(DMARC, "e.example")) == []
    assert loop.run(kept.report("nothing")) is None


def test_the_same_again_takes_its_place(kept, loop):
    loop.run(kept.add(REPORT, "org.example", True, NOW))
    loop.run(kept.add(replace(REPORT, rows=(GOOD,)), "org.example", True, NOW + 1))
    [one] = loop.run(kept.reports(DMARC))
    assert (one.passed, one.failed) == (5, 0)
    loop.run(kept.add(REPORT, "liar.example", False, NOW + 2))  # nobody replaces what another one reports
    assert [one.sender for one in loop.run(kept.reports(DMARC))] == ["liar.example", "org.example"]
    loop.run(kept.add(replace(REPORT, rows=(BAD,)), "org.example", False, NOW + 3))  # nor who says that it is that one
    assert [(one.verified, one.passed) for one in loop.run(kept.reports(DMARC))] == [(False, 5), (True, 5)]


def test_who_sends(kept, loop):
    loop.run(kept.add(REPORT, "org.example", True, NOW))
    second = loop.run(
        kept.add(replace(REPORT, identifier="id-2", ended=300, rows=(GOOD,)), "org.example", True, NOW + 1)
    )
    loop.run(kept.add(replace(REPORT, kind=TLS, identifier="id-3"), "org.example", True, NOW))
    failing, good = loop.run(kept.sources())
    assert good == ReportedSource("d.example", "192.0.2.1", 10, 0, 2, 300, second)
    assert (failing.source, failing.passed, failing.failed, failing.reports) == ("192.0.2.2", 0, 2, 1)
    assert loop.run(kept.sources("d.example", True)) == [failing]
    assert loop.run(kept.sources("e.example")) == []


def test_what_is_old_or_too_many_goes(kept, loop, monkeypatch):
    monkeypatch.setattr(received_reports, "MOST", 3)
    for number in range(5):
        loop.run(kept.add(replace(REPORT, identifier=str(number)), "org.example", True, NOW + number))
    assert [one.identifier for one in loop.run(kept.reports(DMARC))] == ["4", "3", "2"]
    assert loop.run(kept.sweep(NOW + 3)) == 1
    assert [one.reports for one in loop.run(kept.sources())] == [2, 2]


def test_what_strangers_send_drives_out_nothing_that_is_known_to_be_somebodys(kept, loop, monkeypatch):
    monkeypatch.setattr(received_reports, "MOST", 3)
    loop.run(kept.add(REPORT, "org.example", True, NOW))
    for number in range(5):
        loop.run(kept.add(replace(REPORT, identifier=str(number)), "liar.example", False, NOW + 1 + number))
    assert [one.identifier for one in loop.run(kept.reports(DMARC))] == ["4", "3", "id-1"]
