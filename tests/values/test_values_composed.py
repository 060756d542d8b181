"""Composing text: right for what people write, and linear for what they do not."""

import sys
import unicodedata
from itertools import pairwise

import pytest

from mailnode.values.composed import MOST_MARKS, SHORT, compose


@pytest.mark.parametrize("text", ["", "abc", "e\u0301", "\u212b", "a\u0323\u0307" * 500, "한글" * 200, "\u0f71\u0f72"])
def test_it_is_nfc(text: str) -> None:
    assert compose(text) == unicodedata.normalize("NFC", text)


def test_a_long_run_of_marks_is_parted_so_that_none_takes_long_to_order() -> None:
    marks = "\u0301\u0323"
    composed = compose("a" + marks * SHORT + "b")
    runs = [len(run) for run in composed.replace("\u034f", "|").strip("ab").split("|")]
    assert max(runs) <= MOST_MARKS
    assert compose(marks * 1_000_000).count("\u0301") == 1_000_000  # its square would take hours


def test_every_character_that_stands_for_marks_counts_as_one() -> None:
    for point in range(sys.maxunicode + 1):
        character = chr(point)
        if unicodedata.combining(unicodedata.normalize("NFD", character)[0]):
            run = unicodedata.normalize("NFD", compose("a" + character * (SHORT + 1)))
            starters = [at for at, one in enumerate(run) if not unicodedata.combining(one)]
            assert max(right - left for left, right in pairwise([*starters, len(run)])) <= 4 * MOST_MARKS, hex(point)
