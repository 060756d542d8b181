"""Retry arithmetic, by the table of RFC 5321 4.5.4.1 and by steps of the clock."""

from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from mailnode.queue.schedule import DAY, QueueTime, Schedule

NOW = 1_700_000_000.0
MIDDLE = 0.5  # no jitter
SCHEDULE = Schedule()


def middle() -> float:
    return MIDDLE


def test_intervals_grow_and_then_stay() -> None:
    minutes = [SCHEDULE.interval(tries, middle) / 60 for tries in range(1, 9)]
    assert minutes == [5, 10, 20, 40, 60, 60, 60, 60]


@given(st.integers(1, 200), st.floats(0, 1, exclude_max=True))
def test_jitter_is_a_tenth_either_way(tries: int, random: float) -> None:
    base = SCHEDULE.interval(tries, middle)
    assert 0.9 * base <= SCHEDULE.interval(tries, lambda: random) <= 1.1 * base
    assert SCHEDULE.interval(tries, lambda: random) <= SCHEDULE.longest


def test_jitter_is_used() -> None:
    assert SCHEDULE.interval(1, lambda: 0.0) == 270
    assert round(SCHEDULE.interval(1, lambda: 0.999999)) == 330


def test_lifetimes() -> None:
    assert SCHEDULE.expires(NOW, null_sender=False) == NOW + 5 * DAY
    assert SCHEDULE.expires(NOW, null_sender=True) == NOW + 2 * DAY


def walk(schedule: Schedule, created: float, start: float) -> tuple[int, float]:
    """Try until given up; return the number of tries and the age."""
    now, tries, expires = start, 0, schedule.expires(created, False)
    while True:
        tries += 1
        if schedule.is_expired(now, created, expires, tries):
            return tries, now - created
        now = schedule.next_try(now, tries, expires, middle)
        assert tries < 1000


def test_given_up_exactly_at_its_lifetime() -> None:
    tries, age = walk(SCHEDULE, NOW, NOW)
    assert age == 5 * DAY
    assert 115 < tries < 130


def test_a_jump_forward_gives_nothing_up_that_was_hardly_tried() -> None:
    expires = NOW + 5 * DAY
    assert not SCHEDULE.is_expired(NOW + 50 * DAY, NOW, expires, 3)
    assert SCHEDULE.is_expired(NOW + 50 * DAY, NOW, expires, 4)


def test_an_envelope_from_the_future_is_given_up_by_its_tries() -> None:
    """Made by a clock that was a year ahead: it must neither live a year nor end at once."""
    tries, _ = walk(SCHEDULE, NOW, NOW)
    born = NOW + 365 * DAY
    assert not SCHEDULE.is_expired(NOW, born, born + 5 * DAY, tries - 10)
    assert SCHEDULE.is_expired(NOW, born, born + 5 * DAY, tries + 10)


def test_delay_notice_once_after_four_hours() -> None:
    assert not SCHEDULE.is_delay_due(NOW + 4 * 3600 - 1, NOW, told=False)
    assert SCHEDULE.is_delay_due(NOW + 4 * 3600, NOW, told=False)
    assert not SCHEDULE.is_delay_due(NOW + 4 * 3600, NOW, told=True)
    assert not Schedule(delay_after=0).is_delay_due(NOW + 4 * DAY, NOW, told=False)


def test_time_goes_on_over_a_step_back() -> None:
    time = QueueTime()
    assert time.at(NOW) == NOW
    assert time.at(NOW + 10) == NOW + 10
    assert time.at(NOW - 3590) == NOW + 10
    assert time.at(NOW - 3580) == NOW + 20


@given(st.lists(st.integers(0, 10**10), min_size=2))
def test_time_never_runs_back(readings: list[int]) -> None:
    time = QueueTime()
    told = [time.at(reading) for reading in readings]
    assert all(later >= earlier for earlier, later in pairwise(told))
    assert all(queue >= wall for queue, wall in zip(told, readings, strict=True))


def test_a_queue_from_the_future_is_brought_near() -> None:
    time = QueueTime()
    now = time.at(NOW)
    near = time.bring_near(NOW + 30 * DAY, now, SCHEDULE.longest)
    assert near == NOW + 30 * DAY - SCHEDULE.longest
    assert time.at(NOW + 5) == near + 5
    assert time.bring_near(near + 60, near, SCHEDULE.longest) == near
