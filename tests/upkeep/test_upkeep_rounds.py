"""Rounds: one at a time, with pauses, until they are stopped."""

import pytest
from twisted.internet.defer import Deferred, ensureDeferred
from twisted.internet.task import Clock

from mailnode.upkeep.rounds import Rounds


@pytest.fixture
def work():
    return Work()


class Work:
    def __init__(self):
        self.clock = Clock()
        self.rounds = Rounds(self.clock, 2.0, self.run)
        self.begun = self.done = 0
        self.until = None
        self.pause = 0.0

    async def run(self):
        self.begun += 1
        await self.rounds.pause(self.pause)
        if self.until is not None:
            await self.until
        self.done += 1


def test_a_round_follows_the_one_before(work):
    work.rounds.start()
    work.clock.advance(1.9)
    assert work.begun == 0
    work.clock.advance(0.2)
    assert work.done == 1
    work.until = Deferred()
    work.clock.advance(2)
    work.clock.advance(20)
    assert (work.begun, work.done) == (2, 1)
    work.until.callback(None)
    work.until = None
    work.clock.advance(2)
    assert work.done == 3


def test_stopping_waits_for_the_round_under_way_and_ends_its_pauses(work):
    work.pause, work.until = 100.0, Deferred()
    work.rounds.start()
    work.clock.advance(2)
    stopped = ensureDeferred(work.rounds.stop())
    assert not stopped.called
    work.until.callback(None)
    assert stopped.called and work.done == 1
    assert not work.clock.getDelayedCalls()


def test_stopping_before_the_first_round(work):
    work.rounds.start()
    assert ensureDeferred(work.rounds.stop()).called
    work.clock.advance(10)
    assert work.begun == 0
