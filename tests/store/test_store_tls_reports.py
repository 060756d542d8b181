"""How TLS with other servers fared: counted, written now and then, reported, and forgotten."""

from __future__ import annotations

from dataclasses import replace

import pytest
from store_support import Loop
from twisted.internet.task import Clock
from zope.interface.verify import verifyObject

from mailnode.errors import StoreUnavailable
from mailnode.interfaces.tls_reports import ITlsResults
from mailnode.store.engines.engine import EPHEMERAL
from mailnode.store.facades import day_counts, tls_results
from mailnode.store.facades.day_counts import FIRST, SPREAD
from mailnode.store.facades.tls_results import TlsResults
from mailnode.store.units import report_days, tls_reports
from mailnode.values.tls_report import DAY, ENCRYPTED, CountedSession, DueReport, ReportedPolicy, TlsSession

TODAY = 20_000
NOW = float(TODAY * DAY + 3600)
POLICY = ReportedPolicy("d.example", "sts", ("version: STSv1", "mode: enforce", "mx: mx.d.example"), ("mx.d.example",))
GOOD = TlsSession("d.example", POLICY, "mx.d.example", "192.0.2.1", "192.0.2.9", level=ENCRYPTED)
BAD = replace(GOOD, result="certificate-expired", reason="it ran out")
DUE = (TODAY + 1) * DAY + FIRST + SPREAD / 2


@pytest.fixture
def clock():
    clock = Clock()
    clock.advance(NOW)
    return clock


@pytest.fixture
def make(engine, clock):
    return lambda **more: TlsResults(engine, clock, random=lambda: 0.5, **more)


@pytest.fixture
def results(make):
    return make()


def test_contract(results):
    verifyObject(ITlsResults, results)


def test_a_domain_and_its_day(results, loop):
    for session in (GOOD, BAD, replace(GOOD, host="other.d.example"), BAD, replace(BAD, address="192.0.2.2")):
        results.note(session)
    [one] = loop.run(results.collected())
    assert (one.day, one.domain, one.due, one.tries) == (TODAY, "d.example", DUE, 0)
    assert (one.succeeded, one.failed) == (2, 3)
    success, *failures = loop.run(results.results(TODAY, "d.example"))
    assert success == CountedSession(TlsSession("d.example", POLICY), 2)
    bad = replace(BAD, level="")
    assert failures == [CountedSession(bad, 2), CountedSession(replace(bad, address="192.0.2.2"), 1)]


def test_what_is_new_is_added_by_several_servers(results, make, loop):
    other = make()
    for one in (results, other, results):
        one.note(GOOD)
        loop.run(one.write())
    assert [one.succeeded for one in loop.run(other.collected("d.example"))] == [3]
    assert not loop.run(other.collected("e.example"))


def test_days_are_kept_apart(results, loop, clock):
    results.note(GOOD)
    clock.advance(DAY)
    results.note(GOOD)
    results.note(GOOD)
    assert [(one.day, one.succeeded) for one in loop.run(results.collected())] == [(TODAY, 1), (TODAY + 1, 2)]


def test_nothing_is_counted_where_nothing_is_reported(make, loop):
    results = make(reports=False)
    results.note(GOOD)
    assert loop.run(results.collected()) == []
    assert [one.host for one in loop.run(results.remembered())] == ["mx.d.example"]


def test_it_is_written_every_few_seconds_and_at_the_end(engine, make, clock, loop):
    results = make()
    results.start()
    results.note(GOOD)
    clock.advance(10)
    while results._write_back.writing:
        loop.run(engine.read(EPHEMERAL, lambda tx: None))
    assert [one.succeeded for one in loop.run(make().collected())] == [1]
    results.note(GOOD)
    loop.run(results.stop())
    assert [one.succeeded for one in loop.run(make().collected())] == [2]
    assert clock.getDelayedCalls() == []


class Sick:
    async def write(self, *arguments):
        raise StoreUnavailable


def test_a_store_that_cannot_be_written_is_no_trouble(clock):
    results = TlsResults(Sick(), clock)
    results.start()
    results.note(GOOD)
    clock.advance(10)
    assert len(clock.getDelayedCalls()) == 1 and results._counted == {}
    Loop().run(results.stop())


def test_words_of_strangers_are_bounded_and_harmless(results, loop):
    results.note(replace(BAD, reason="454 \0\n\ud800é" + "x" * 1000))
    [one] = loop.run(results.collected()) and loop.run(results.results(TODAY, "d.example"))
    assert one.session.reason == "454 ????" + "x" * (tls_results.MAX_REASON - 8)


# bounds


def test_results_of_one_domain(results, loop):
    """Those that are too many lose where they were met, and are counted."""
    for number in range(tls_reports.MOST_RESULTS + 30):
        results.note(replace(BAD, address=f"192.0.2.{number}"))
        if number % 20 == 0:
            loop.run(results.write())
    results.note(replace(BAD, address="192.0.2.0"))  # one of the first is still known
    loop.run(results.write())
    found = loop.run(results.results(TODAY, "d.example"))
    assert len(found) == tls_reports.MOST_RESULTS + 1
    [rest] = [one for one in found if not one.session.address]
    assert rest == CountedSession(TlsSession("d.example", ReportedPolicy("d.example", "sts"), result=BAD.result), 30)
    assert [one.count for one in found if one.session.address == "192.0.2.0"] == [2]


def test_domains_of_one_day(results, loop, monkeypatch):
    monkeypatch.setattr(report_days, "MOST_DOMAINS", 3)
    for _ in range(2):
        for name in "abcde":
            results.note(replace(GOOD, domain=f"{name}.example"))
        loop.run(results.write())
    assert [(one.domain[0], one.succeeded) for one in loop.run(results.collected())] == [("a", 2), ("b", 2), ("c", 2)]


def test_what_waits_to_be_written(results, loop, monkeypatch):
    monkeypatch.setattr(day_counts, "WAITING", 3)
    monkeypatch.setattr(tls_results, "WAITING", 3)
    for _ in range(2):
        for name in "abcde":
            results.note(replace(GOOD, domain=f"{name}.example"))
    assert (len(results._counted), len(results._seen)) == (3, 3)
    assert [one.succeeded for one in loop.run(results.collected())] == [2, 2, 2]


# sending


def take(results, loop, now, limit=10):
    return loop.run(results.take_due(now, limit))


def test_a_report_is_due_some_time_after_its_day(results, loop):
    results.note(GOOD)
    loop.run(results.write())
    assert take(results, loop, DUE - 1) == []
    assert take(results, loop, DUE) == [DueReport(TODAY, "d.example", DUE, 1, DUE + report_days.RETRY)]
    assert take(results, loop, DUE + 1) == []  # somebody is at it
    loop.run(results.finish(TODAY, "d.example"))
    assert loop.run(results.collected()) == loop.run(results.results(TODAY, "d.example")) == []


def test_tries_get_rarer_and_end_after_a_day(results, loop):
    results.note(GOOD)
    loop.run(results.write())
    waits, again = [], DUE
    while again is not None:
        now = again
        [report] = take(results, loop, now)
        assert (report.begun, report.tries) == (DUE, len(waits) + 1)
        again = report.again
        waits.append((again or now) - now)
    assert [wait / 900 for wait in waits] == [1, 2, 4, 8, 16, 32, 32, 0]
    assert now - DUE <= 86_400


def test_a_few_at_a_time_and_the_oldest_first(engine, clock, loop):
    places = iter((0.9, 0.1, 0.5))
    results = TlsResults(engine, clock, random=lambda: next(places))
    for name in ("late", "early", "middle"):
        results.note(replace(GOOD, domain=f"{name}.example"))
    loop.run(results.write())
    names = [[one.domain.partition(".")[0] for one in take(results, loop, DUE + DAY, 2)] for _ in range(3)]
    assert names == [["early", "middle"], ["late"], []]


def test_two_servers_of_one_database_do_not_take_the_same(results, make, loop):
    for number in range(20):
        results.note(replace(GOOD, domain=f"{number}.example"))
    loop.run(results.write())
    both = loop.together(results.take_due(DUE, 20), make().take_due(DUE, 20))
    assert sorted(one.domain for taken in both for one in taken) == sorted(f"{number}.example" for number in range(20))


def test_what_nobody_sent_is_forgotten(results, loop, clock):
    results.note(GOOD)
    loop.run(results.write())
    assert loop.run(results.sweep(NOW + 7 * DAY)) == 0
    assert loop.run(results.sweep(NOW + 8 * DAY)) == 1
    assert loop.run(results.results(TODAY, "d.example")) == []
