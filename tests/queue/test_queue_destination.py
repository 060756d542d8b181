"""How many tries a destination is given at once, by how tries end."""

from __future__ import annotations

import pytest

from mailnode.queue.destination import Destination, DestinationSettings
from mailnode.values.attempt import DEFERRED, Attempt

NOW = 1_700_000_000.0
WHY = Attempt(0, DEFERRED, "4.4.1", "connection refused")


class Learner:
    """A destination and a clock: each try ends a second after it began."""

    def __init__(self, learns: bool = True) -> None:
        self.destination = Destination("a.example", DestinationSettings(), learns)
        self.now = NOW

    def tries(self, count: int, reached: bool = True, slow_down: bool = False) -> int:
        """Let tries come to their ends, one a second; return how many may run at once."""
        for _ in range(count):
            self.now += 1
            self.destination.learn(self.now, self.now - 1, reached, slow_down, None if reached else WHY)
        return self.destination.limit(self.now)

    def at_once(self, count: int, reached: bool = True, slow_down: bool = False) -> int:
        """Let tries come to their ends that ran at the same time."""
        self.now += 1
        began = self.now
        self.now += 1
        for _ in range(count):
            self.destination.learn(self.now, began, reached, slow_down, None if reached else WHY)
        return self.destination.limit(self.now)


@pytest.fixture
def learner():
    return Learner()


def test_a_window_of_successes_is_one_more_up_to_the_cap(learner):
    assert learner.destination.limit(NOW) == 5
    assert learner.tries(4) == 5
    assert learner.tries(2) == 6
    assert learner.tries(1000) == 20


def test_a_window_of_failures_is_one_less(learner):
    learner.tries(1000)
    assert learner.tries(5, reached=False) == 19
    assert learner.tries(1) == 19
    assert learner.tries(15, reached=False) == 19


@pytest.mark.parametrize("reached", [True, False])
def test_a_request_for_less_halves_the_window_and_the_cap_for_ten_minutes(learner, reached):
    assert learner.tries(1, reached, slow_down=True) == 2
    learner = Learner()
    learner.tries(1000)
    assert learner.tries(1, reached, slow_down=True) == 10
    assert learner.tries(400) == 10
    learner.now += 600
    assert learner.tries(1) == 20


def test_tries_that_ran_together_halve_it_once_later_ones_again(learner):
    learner.tries(1000)
    assert learner.at_once(20, slow_down=True) == 10
    assert learner.at_once(10, slow_down=True) == 5
    assert learner.at_once(5, slow_down=True) == 2
    assert [learner.at_once(2, slow_down=True) for _ in range(3)] == [1, 1, 1]


def test_three_windows_of_failures_are_death_and_one_probe_at_a_time_follows(learner):
    tries = 0
    while not learner.destination.is_dead(learner.now):
        learner.tries(1, reached=False)
        tries += 1
    assert 5 < tries < 15
    assert learner.destination.why == WHY
    assert learner.destination.limit(learner.now) == 1
    learner.now += 300
    assert not learner.destination.is_dead(learner.now)
    assert learner.destination.limit(learner.now) == 1
    assert learner.tries(1, reached=False) == 1
    assert learner.destination.is_dead(learner.now)
    learner.now += 300
    assert learner.tries(1) >= 1
    assert not learner.destination.is_dead(learner.now)
    assert learner.tries(1000) == 20


def test_a_destination_that_only_ever_says_421_is_dead_too(learner):
    learner.tries(10, reached=False, slow_down=True)
    assert learner.destination.is_dead(learner.now)


def test_one_of_our_own_learns_nothing():
    learner = Learner(learns=False)
    assert learner.tries(100, reached=False, slow_down=True) == 20


def test_what_is_to_be_forgotten(learner):
    assert learner.destination.has_learned_nothing(NOW)
    learner.tries(1, slow_down=True)
    assert not learner.destination.has_learned_nothing(learner.now)
    learner.now += 601
    learner.tries(1000)
    assert learner.destination.has_learned_nothing(learner.now)
