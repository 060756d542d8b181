"""A resolver that tells what was asked: every kind of question, answers, failures, time, and bounds."""

from __future__ import annotations

from typing import Any

import pytest
from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.task import Clock

from mailnode.errors import NoSuchName, ResolverFailure
from mailnode.interfaces.outbound import MxRecord, Records, TlsaRecord
from mailnode.net.recording import MAX_LOOKUPS, MAX_RECORD, MAX_RECORDS, RecordingResolver
from mailnode.values.trial import TriedLookup

ANSWERS = {
    "mx": ([MxRecord(10, "mx.far.test"), MxRecord(0, "")], "MX", ("10 mx.far.test", "0 .")),
    "addresses": (["2001:db8::1", "192.0.2.1"], "AAAA, A", ("2001:db8::1", "192.0.2.1")),
    "a": (["192.0.2.1"], "A", ("192.0.2.1",)),
    "aaaa": (["2001:db8::1"], "AAAA", ("2001:db8::1",)),
    "ptr": (["mail.far.test"], "PTR", ("mail.far.test",)),
    "txt": ([b"v=spf1 \xff -all"], "TXT", ("v=spf1 \ufffd -all",)),
    "tlsa": ([TlsaRecord(3, 1, 1, b"\x01\xab")], "TLSA", ("3 1 1 01ab",)),
}


class Answering:
    """Every question is answered by what stands in ``says``, once the test fires it."""

    def __init__(self, says: Any = None) -> None:
        self.says = says
        self.waiting: list[Deferred[Any]] = []

    def __getattr__(self, kind: str) -> Any:
        async def ask(name: str) -> Any:
            waiting: Deferred[Any] = Deferred()
            self.waiting.append(waiting)
            await waiting
            if isinstance(self.says, Exception):
                raise self.says
            return Records(self.says)

        return ask


def asked(kind: str, says: Any) -> tuple[list[TriedLookup], Any]:
    clock, under = Clock(), Answering(says)
    recorder = RecordingResolver(under, clock)  # type: ignore[arg-type]
    done: list[Any] = []
    Deferred.fromCoroutine(getattr(recorder, kind)("far.test")).addBoth(done.append)
    assert not recorder.lookups
    clock.advance(1.5)
    under.waiting[0].callback(None)
    return recorder.lookups, done[0]


@pytest.mark.parametrize("kind", ANSWERS)
def test_every_kind_of_question_is_told_with_its_answer(kind: str) -> None:
    records, name, texts = ANSWERS[kind]
    lookups, answer = asked(kind, records)
    assert list(answer) == records
    assert lookups == [TriedLookup(name, "far.test", texts, "", 1.5)]


@pytest.mark.parametrize(
    ("error", "failure"),
    [
        (NoSuchName("far.test"), "no such name"),
        (ResolverFailure("SERVFAIL"), "SERVFAIL"),
        (ResolverFailure(), "no answer"),
    ],
)
def test_a_failure_is_told_and_stays_one(error: Exception, failure: str) -> None:
    lookups, answer = asked("txt", error)
    assert answer.value is error
    assert lookups == [TriedLookup("TXT", "far.test", (), failure, 1.5)]


def test_who_waits_no_more_is_told_too() -> None:
    recorder = RecordingResolver(Answering(), Clock())  # type: ignore[arg-type]
    asking = Deferred.fromCoroutine(recorder.txt("far.test"))
    asking.addErrback(lambda failure: failure.trap(CancelledError))
    asking.cancel()
    assert [one.failure for one in recorder.lookups] == ["given up"]


def test_it_keeps_a_bounded_number_of_bounded_texts() -> None:
    [lookup], answer = asked("txt", [b"x" * 2000] * 50)
    assert len(answer) == 50
    assert lookup.records == ("x" * MAX_RECORD,) * MAX_RECORDS
    under = Answering([])
    recorder = RecordingResolver(under, Clock())  # type: ignore[arg-type]
    for _ in range(MAX_LOOKUPS + 10):
        Deferred.fromCoroutine(recorder.txt("far.test"))
        under.waiting[-1].callback(None)
    assert len(recorder.lookups) == MAX_LOOKUPS
