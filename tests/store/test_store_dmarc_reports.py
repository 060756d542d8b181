"""What came of mail by DMARC: counted, written now and then, and forgotten."""

from __future__ import annotations

from dataclasses import replace

import pytest
from twisted.internet.task import Clock
from zope.interface.verify import verifyObject

from mailnode.interfaces.dmarc import IDmarcResults
from mailnode.store.facades import day_counts
from mailnode.store.facades.day_counts import FIRST, SPREAD
from mailnode.store.facades.dmarc_results import DmarcResults
from mailnode.store.units import dmarc_reports, report_days
from mailnode.values.dmarc import DmarcRecord, FoundRecord, Identifier
from mailnode.values.dmarc_report import CountedSeen, DmarcDay, DmarcSeen
from mailnode.values.tls_report import DAY, DueReport

TODAY = 20_000
NOW = float(TODAY * DAY + 3600)
DUE = (TODAY + 1) * DAY + FIRST + SPREAD / 2
RECORD = DmarcRecord("reject", "none", strict_spf=True, rua=("mailto:a@d.example",), faults=("t twice",))
GOOD = DmarcSeen(
    FoundRecord("d.example", RECORD),
    "192.0.2.1",
    "mail.d.example",
    "bounces.example",
    "pass",
    True,
    False,
    identifiers=(Identifier("dkim", "d.example", "pass", "s1"), Identifier("spf", "bounces.example", "fail")),
)
BAD = replace(GOOD, source="2001:db8::1", disposition="none", dkim=False, override="local_policy", comment="why")


@pytest.fixture
def clock():
    clock = Clock()
    clock.advance(NOW)
    return clock


@pytest.fixture
def make(engine, clock):
    return lambda **more: DmarcResults(engine, clock, random=lambda: 0.5, **more)


@pytest.fixture
def results(make):
    return make()


def test_contract(results):
    verifyObject(IDmarcResults, results)


def test_a_domain_and_its_day(results, make, loop):
    other = make()
    for where, seen in ((results, GOOD), (results, BAD), (other, GOOD), (results, GOOD)):
        where.note(seen)
    loop.run(other.write())
    assert loop.run(results.collected()) == [DmarcDay(TODAY, "d.example", DUE, 0, 3, 1, 0)]
    assert loop.run(results.collected("e.example")) == []
    assert loop.run(results.results(TODAY, "d.example")) == [CountedSeen(GOOD, 3), CountedSeen(BAD, 1)]


def test_the_last_record_counts(results, loop):
    results.note(GOOD)
    loop.run(results.write())
    newer = replace(GOOD, found=FoundRecord("d.example", replace(RECORD, p="none")))
    results.note(newer)
    loop.run(results.write())
    assert loop.run(results.results(TODAY, "d.example")) == [CountedSeen(newer, 2)]


def test_who_wants_no_reports_is_not_counted(results, make, loop):
    for rua in ((), ("https://d.example/reports",)):
        results.note(replace(GOOD, found=FoundRecord("d.example", replace(RECORD, rua=rua))))
    off = make(reports=False)
    off.note(GOOD)
    assert loop.run(results.collected()) == loop.run(off.collected()) == []


def test_what_is_too_much_is_a_number(results, loop, monkeypatch):
    monkeypatch.setattr(dmarc_reports, "MOST_RESULTS", 2)
    for number in range(5):
        results.note(replace(GOOD, source=f"192.0.2.{number}"))
    [day] = loop.run(results.collected())
    assert (day.passed, day.failed, day.left_out) == (2, 0, 3)
    assert [one.count for one in loop.run(results.results(TODAY, "d.example")) if not one.seen.source] == [3]


def test_memory_is_bounded(results, loop, monkeypatch):
    monkeypatch.setattr(day_counts, "WAITING", 3)
    for number in range(10):
        results.note(replace(GOOD, source=f"192.0.2.{number}"))
    assert [day.passed for day in loop.run(results.collected())] == [3]


def test_a_report_is_due_on_the_next_day_and_forgotten_when_it_was_sent(results, loop, clock):
    results.note(GOOD)
    loop.run(results.write())
    assert loop.run(results.take_due(DUE - 1, 5)) == []
    assert loop.run(results.take_due(DUE, 5)) == [DueReport(TODAY, "d.example", DUE, 1, DUE + report_days.RETRY)]
    loop.run(results.finish(TODAY, "d.example"))
    assert loop.run(results.collected()) == loop.run(results.results(TODAY, "d.example")) == []


def test_what_nobody_sent_is_swept(results, loop):
    results.note(GOOD)
    loop.run(results.write())
    assert loop.run(results.sweep(NOW + 7 * DAY)) == 0
    assert loop.run(results.sweep(NOW + 9 * DAY)) == 1
    assert loop.run(results.collected()) == []
