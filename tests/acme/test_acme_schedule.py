"""When certificates are renewed, and when what failed is tried again."""

from __future__ import annotations

import pytest

from mailnode.acme.schedule import (
    ASK_AGAIN,
    DAY,
    FIRST_RETRY,
    LONGEST_RETRY,
    LONGEST_WAIT,
    RenewalWindow,
    ask_again_after,
    is_due,
    renew_at,
    retry_after,
)

NOW = 1.8e9


def middle(low: float, high: float) -> float:
    return (low + high) / 2


@pytest.mark.parametrize(("days", "left"), [(90, 30), (6, 2), (0.25, 1 / 12)])
def test_a_third_of_the_lifetime_is_left(days, left):
    end = NOW + days * DAY
    assert end - renew_at(NOW, end) == pytest.approx(left * DAY)


def test_the_authority_may_want_it_earlier_but_never_too_late():
    end = NOW + 90 * DAY
    assert renew_at(NOW, end, NOW + DAY) == NOW + DAY
    assert renew_at(NOW, end, NOW - DAY) == NOW - DAY
    assert renew_at(NOW, end, NOW + 70 * DAY) == NOW + 70 * DAY
    assert renew_at(NOW, end, NOW + 900 * DAY) == NOW + 90 * DAY * 7 / 8


def test_a_certificate_that_ends_before_it_begins_is_renewed_then():
    assert renew_at(NOW, NOW - DAY) == NOW


def test_waits_double_up_to_a_day():
    waits = [retry_after(failures, 90 * DAY, 0.0, middle) for failures in range(1, 12)]
    assert waits[:3] == [FIRST_RETRY, 2 * FIRST_RETRY, 4 * FIRST_RETRY]
    assert waits[-1] == LONGEST_RETRY
    assert retry_after(10_000, 0.0, 0.0, middle) == LONGEST_RETRY


def test_at_most_three_tries_fall_into_the_first_hour():
    at, tries = 0.0, 0
    for failures in range(1, 10):
        tries += at < 3600
        at += retry_after(failures, 0.0, 0.0, lambda low, high: low)
    assert tries == 3


def test_a_certificate_for_days_is_not_waited_for_as_long_as_one_for_months():
    assert retry_after(20, 6 * DAY, 0.0, middle) == DAY / 2
    assert retry_after(20, 3600.0, 0.0, middle) == FIRST_RETRY


def test_the_authority_may_ask_for_longer_within_reason():
    assert retry_after(1, 0.0, 5000.0, middle) == 5000.0
    assert retry_after(1, 0.0, 1.0, middle) == FIRST_RETRY
    assert retry_after(1, 0.0, 1e12, middle) == LONGEST_WAIT


def test_a_time_from_a_clock_that_was_wrong_has_come():
    assert is_due(NOW, NOW, DAY) and is_due(NOW - 1, NOW, DAY)
    assert not is_due(NOW + 1, NOW, DAY) and not is_due(NOW + DAY, NOW, DAY)
    assert is_due(NOW + DAY + 1, NOW, DAY)


def test_how_often_the_authority_is_asked():
    assert [ask_again_after(said) for said in (None, 0.0, 21_600.0, 1e9)] == [ASK_AGAIN, 60.0, 21_600.0, DAY]


def test_a_time_in_the_window_is_chosen():
    assert RenewalWindow(NOW, NOW + 10).choose(middle) == NOW + 5
