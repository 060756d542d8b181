"""Messages a bounded number at a time."""

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mailnode.imap.messages.ranges import at_places, ranges_of

SPANS = st.lists(st.tuples(st.integers(0, 40), st.integers(0, 40)), max_size=12)


@pytest.mark.parametrize(
    ("spans", "expected"),
    [
        ([], []),
        ([range(0)], []),
        ([range(10)], [range(4), range(4, 8), [8, 9]]),
        ([range(2), range(4, 5), range(7, 8)], [[0, 1, 4, 7]]),
        ([range(2), range(4, 8), range(9, 12)], [[0, 1], range(4, 8), [9, 10, 11]]),
        ([range(1), range(3, 7), [9, 11]], [[0], range(3, 7), [9, 11]]),
    ],
)
def test_ranges(spans, expected):
    assert list(ranges_of(spans, 4)) == expected


@given(SPANS, st.integers(1, 9))
def test_nothing_is_lost_and_few_are_asked_for_at_once_but_not_too_few(pieces, size):
    spans, start = [], 0
    for gap, length in pieces:
        spans.append(range(start + gap, start + gap + length))
        start += gap + length
    ranges = list(ranges_of(spans, size))
    assert [index for each in ranges for index in each] == [index for span in spans for index in span]
    assert all(0 < len(each) <= size for each in ranges)
    assert all(len(one) + len(other) > size for one, other in itertools.pairwise(ranges))


@pytest.mark.parametrize(
    ("places", "found"),
    [
        (range(3), [range(2, 4), range(7, 8)]),
        (range(2, 3), [range(7, 8)]),
        (range(1, 6), [range(3, 4), range(7, 10), range(20, 21)]),
        (range(6, 9), []),
        (range(0), []),
    ],
)
def test_places_are_counted_over_all_spans(places, found):
    assert at_places([range(2, 4), range(7, 10), range(20, 21)], places) == found
