"""Addresses raced on a clock of the test's own: when each begins, which counts, and what becomes of the others."""

from __future__ import annotations

from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.task import Clock
from twisted.python.failure import Failure
from twisted.trial.unittest import SynchronousTestCase

from mailnode.interfaces.outbound import TargetFailed
from mailnode.net.race import Race


class RaceCase(SynchronousTestCase):
    def setUp(self) -> None:
        self.clock = Clock()
        self.begun: list[tuple[float, int]] = []
        self.ways: dict[int, Deferred[str]] = {}
        self.cancelled: list[int] = []
        self.discarded: list[str] = []
        self.room = 3

    def race(self, count: int) -> tuple[Race[str], Deferred[str | None]]:
        race = Race(
            self.clock,
            count,
            self.begin,
            stagger=0.25,
            may_begin_beside=lambda under_way: under_way < self.room,
            discard=self.discarded.append,
        )
        return race, race.run()

    def begin(self, index: int) -> Deferred[str]:
        self.begun.append((self.clock.seconds(), index))
        self.ways[index] = Deferred(lambda _: self.cancelled.append(index))
        return self.ways[index]

    def fail(self, index: int) -> None:
        self.ways[index].errback(TargetFailed("connect", f"refused {index}"))


class RaceTests(RaceCase):
    def test_the_first_alone_when_it_is_quick(self) -> None:
        _, result = self.race(4)
        self.clock.advance(0.24)
        self.ways[0].callback("zero")
        self.assertEqual(self.successResultOf(result), "zero")
        self.assertEqual((self.begun, self.cancelled), ([(0.0, 0)], []))
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_the_next_begins_after_a_quarter_of_a_second_and_the_quickest_counts(self) -> None:
        _, result = self.race(4)
        self.clock.advance(0.25)
        self.clock.advance(0.25)
        self.assertEqual(self.begun, [(0.0, 0), (0.25, 1), (0.5, 2)])
        self.ways[1].callback("one")
        self.assertEqual(self.successResultOf(result), "one")
        self.assertEqual(self.cancelled, [0, 2])
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_one_that_failed_gives_way_at_once_and_gives_the_next_its_whole_time(self) -> None:
        race, result = self.race(3)
        self.clock.advance(0.2)
        self.fail(0)
        self.clock.advance(0.2)
        self.assertEqual(self.begun, [(0.0, 0), (0.2, 1)])
        self.clock.advance(0.05)
        self.assertEqual(self.begun, [(0.0, 0), (0.2, 1), (0.45, 2)])
        self.ways[2].callback("two")
        self.assertEqual(self.successResultOf(result), "two")
        self.assertEqual([(index, str(failure.value)) for index, failure in race.failures], [(0, "refused 0")])

    def test_what_lost_has_not_failed(self) -> None:
        race, result = self.race(2)
        self.clock.advance(0.25)
        self.ways[1].callback("one")
        self.successResultOf(result)
        self.assertEqual(race.failures, [])

    def test_all_fail(self) -> None:
        race, result = self.race(3)
        self.clock.advance(0.25)
        for index in (1, 0, 2):
            self.fail(index)
        self.assertIsNone(self.successResultOf(result))
        self.assertEqual([index for index, _ in race.failures], [1, 0, 2])
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_all_fail_before_they_return(self) -> None:
        def refuse(index: int) -> Deferred[str]:
            failed: Deferred[str] = Deferred()
            failed.errback(Failure(TargetFailed("connect", "no route")))
            return failed

        self.begin = refuse  # type: ignore[method-assign]
        race, result = self.race(20)
        self.assertIsNone(self.successResultOf(result))
        self.assertEqual(len(race.failures), 20)

    def test_no_more_at_once_than_may_be(self) -> None:
        _, result = self.race(20)
        for _ in range(20):
            self.clock.advance(0.25)
        self.assertEqual(len(self.begun), 3)
        self.room = 1  # others need the room: what runs goes on, nothing is begun beside it
        self.fail(0)
        self.fail(1)
        self.clock.advance(0.25)
        self.assertEqual(len(self.begun), 3)
        self.fail(2)
        self.assertEqual(len(self.begun), 4)
        self.ways[3].callback("three")
        self.assertEqual(self.successResultOf(result), "three")

    def test_what_comes_too_late_to_be_cancelled_is_discarded(self) -> None:
        _, result = self.race(2)
        self.clock.advance(0.25)
        self.ways[0].cancel = lambda: None  # type: ignore[method-assign]
        self.ways[1].callback("one")
        self.ways[0].callback("zero")
        self.assertEqual(self.discarded, ["zero"])
        self.assertEqual(self.successResultOf(result), "one")

    def test_cancelling_cancels_all(self) -> None:
        _, result = self.race(4)
        self.clock.advance(0.25)
        result.cancel()
        self.failureResultOf(result, CancelledError)
        self.assertEqual(self.cancelled, [0, 1])
        self.assertEqual(self.clock.getDelayedCalls(), [])
