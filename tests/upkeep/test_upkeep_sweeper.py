"""The sweep comes again and again, one at a time, whatever happens to one of them."""

from twisted.internet.defer import Deferred
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from mailnode.upkeep.sweeper import FIRST, INTERVAL, Sweeper


class SweeperTests(SynchronousTestCase):
    def setUp(self):
        self.clock = Clock()
        self.sweeps = []
        self.sweeper = Sweeper(self.sweep, self.clock)
        self.sweeper.start()

    async def sweep(self, now):
        self.sweeps.append((now, Deferred()))
        await self.sweeps[-1][1]

    def stop(self):
        return Deferred.fromCoroutine(self.sweeper.stop())

    def test_one_at_a_time(self):
        self.clock.advance(FIRST)
        self.assertEqual([now for now, _ in self.sweeps], [FIRST])
        self.clock.advance(INTERVAL * 3)
        self.assertEqual(len(self.sweeps), 1)
        self.sweeps[0][1].callback(None)
        self.clock.advance(INTERVAL)
        self.assertEqual(len(self.sweeps), 2)

    def test_other_times(self):
        clock, calls = Clock(), []

        async def call(now):
            calls.append(now)

        Sweeper(call, clock, first=5.0, interval=20.0).start()
        clock.pump([5.0, 19.0, 1.0])
        self.assertEqual(calls, [5.0, 25.0])

    def test_a_failure_does_not_end_it(self):
        self.clock.advance(FIRST)
        self.sweeps[0][1].errback(RuntimeError("disk"))
        self.assertEqual(len(self.flushLoggedErrors(RuntimeError)), 1)
        self.clock.advance(INTERVAL)
        self.assertEqual(len(self.sweeps), 2)

    def test_stop_before_the_first(self):
        self.successResultOf(self.stop())
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_stop_waits_for_one_under_way_and_begins_no_other(self):
        self.clock.advance(FIRST)
        stopping = self.stop()
        self.assertNoResult(stopping)
        self.sweeps[0][1].callback(None)
        self.successResultOf(stopping)
        self.assertEqual(self.clock.getDelayedCalls(), [])
