"""What a client that was away has missed, against plain sets."""

from array import array

from hypothesis import given
from hypothesis import strategies as st

from mailnode.imap.view import changes
from mailnode.imap.view.changes import changed, clipped, known_expunged, last_match, missing
from mailnode.values.sets import merge

UIDS = st.sets(st.integers(1, 60)).map(sorted)
SPANS = st.lists(st.tuples(st.integers(1, 70), st.integers(1, 70)).map(lambda pair: tuple(sorted(pair)))).map(merge)


def expanded(pieces) -> list[int]:
    text = "".join(pieces)
    numbers = []
    for part in text.split(",") if text else []:
        low, _, high = part.partition(":")
        numbers += range(int(low), int(high or low) + 1)
    return numbers


def numbers_of(spans) -> set[int]:
    return {number for low, high in spans for number in range(low, high + 1)}


@given(UIDS, SPANS)
def test_missing_is_all_that_is_not_there(uids, spans):
    assert expanded(missing(array("I", uids), spans)) == sorted(numbers_of(spans) - set(uids))


@given(UIDS, UIDS, SPANS)
def test_expunged_is_what_was_and_is_not_there(gone, uids, spans):
    wanted = (set(gone) - set(uids)) & numbers_of(spans)
    assert expanded(known_expunged(array("I", gone), array("I", uids), spans)) == sorted(wanted)


def test_pieces_are_bounded_and_runs_go_on_from_one_to_the_next(monkeypatch):
    monkeypatch.setattr(changes, "STEP", 3)
    assert "".join(known_expunged(range(1, 11), [5], [(1, 20)])) == "1:4,6:10"
    assert len(list(known_expunged(range(1, 11), [], [(1, 20)]))) > 3
    assert "".join(missing([2, 3, 4, 5, 9, 10, 11], [(1, 6), (8, 20)])) == "1,6,8,12:20"
    assert [list(some) for some in changed([5, 6, 7, 5, 9], [range(5)], 5)] == [[1, 2], [4]]


@given(SPANS, st.integers(0, 80), st.integers(0, 80))
def test_clipped(spans, lowest, highest):
    wanted = {number for number in numbers_of(spans) if lowest <= number <= highest}
    assert numbers_of(clipped(spans, lowest, highest)) == wanted


@given(UIDS, st.lists(st.tuples(st.integers(1, 9), st.integers(1, 9), st.integers(1, 5)), max_size=4))
def test_the_last_match_is_the_highest_pair_that_holds(uids, steps):
    matches, number, uid = [], 0, 0
    for skip, more, count in steps:
        matches.append((number + skip, uid + skip + more - 1, count))
        number, uid = number + skip + count - 1, uid + skip + more - 1 + count - 1
    pairs = [(n + k, u + k) for n, u, count in matches for k in range(count)]
    wanted = max((u for n, u in pairs if n <= len(uids) and uids[n - 1] == u), default=0)
    assert last_match(array("I", uids), matches) == wanted


def test_sets_of_all_numbers_are_not_expanded():
    assert last_match(array("I", [1, 2, 9]), [(1, 1, 2**32 - 1)]) == 2
    assert "".join(missing(array("I", [7]), [(1, 2**32 - 1)])) == "1:6,8:4294967295"
