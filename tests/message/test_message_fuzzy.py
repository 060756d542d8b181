"""What FUZZY takes for nearly the same (RFC 6203 3)."""

import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mailnode.message import fuzzy
from mailnode.message.fuzzy import ONE_EDIT, PART, TWO_EDITS, WHOLE, LookedInto, edits, edits_allowed, words_of
from mailnode.message.search_text import fold


def into(text: str) -> LookedInto:
    return LookedInto(fold(text))


@pytest.mark.parametrize(
    ("word", "text", "nearness"),
    [
        ("hello", "Say HELLO there", WHOLE),
        ("hello", "othello, hello", WHOLE),
        ("hello", "othello", PART),
        ("hello", "hellos", PART),
        ("cafe", "un caf\u00e9", WHOLE),
        ("strasse", "Stra\u00dfe", WHOLE),
        ("helo", "hello", ONE_EDIT),
        ("helo", "help", ONE_EDIT),
        ("ehllo", "hello", ONE_EDIT),  # two swapped
        ("hello", "hlelo", ONE_EDIT),
        ("hxlxo", "hello", 0),  # two, of five letters
        ("cat", "cut", 0),  # three letters stay as they are
        ("meetings", "meatinks", TWO_EDITS),
        ("meetings", "meatinx", 0),
        ("invoice", "an invioce of", ONE_EDIT),
        ("\u65e5\u672c", "\u3053\u308c\u306f\u65e5\u672c\u8a9e", PART),
        ("x" * 33, "x" * 32, 0),  # so long a word stays as it is
        ("x" * 32, "x" * 31 + "y", ONE_EDIT),
    ],
)
def test_how_nearly_a_word_stands_in_a_text(word, text, nearness):
    assert into(text).nearness(word) == nearness
    assert into(text).has(word) == (nearness > 0)


def test_words_are_those_of_the_text_without_case_and_accents():
    assert words_of(fold("Caf\u00e9, caf\u00e9 & \u0130stanbul -- r\u00e9sum\u00e9_1")) == (
        "cafe",
        "istanbul",
        "resume_1",
    )
    assert words_of(fold("-- !")) == ()


def distance(one: str, other: str) -> int:
    """Optimal string alignment, by the whole table."""
    table = [[max(i, j) if not i or not j else 0 for j in range(len(other) + 1)] for i in range(len(one) + 1)]
    for i in range(1, len(one) + 1):
        for j in range(1, len(other) + 1):
            changed = table[i - 1][j - 1] + (one[i - 1] != other[j - 1])
            table[i][j] = min(table[i - 1][j] + 1, table[i][j - 1] + 1, changed)
            if i > 1 and j > 1 and one[i - 2 : i] == other[j - 2 : j][::-1]:
                table[i][j] = min(table[i][j], table[i - 2][j - 2] + 1)
    return table[-1][-1]


near_words = st.text("abc", min_size=1, max_size=12)


@given(near_words, near_words, st.integers(0, 2))
def test_edits_are_those_of_the_whole_table(one, other, most):
    found = edits(one, other, most)
    wanted = distance(one, other)
    assert found == wanted if wanted <= most else found > most


@given(near_words, st.lists(near_words, max_size=6))
def test_no_near_word_is_passed_over(word, others):
    nearest = min([distance(word, other) for other in others], default=99)
    wanted = word in " ".join(others) or nearest <= edits_allowed(word)
    assert into(" ".join(others)).has(word) == wanted


@given(near_words, st.text("abc \u00e9\u65e5-_1", max_size=30))
def test_a_whole_word_is_one_of_the_words_of_the_text(word, text):
    assert (into(text).nearness(word) == WHOLE) == (word in words_of(fold(text)))


def test_a_word_that_is_a_part_of_many_takes_no_step_for_each():
    text = into("ab" * 1000)
    lines = []

    def trace(frame, event, argument):
        lines.append(event)
        return trace

    before = sys.gettrace()
    sys.settrace(trace)
    try:
        nearness = text.nearness("aba")
    finally:
        sys.settrace(before)
    assert nearness == PART and len(lines) < 1000


def test_work_on_a_text_is_bounded(monkeypatch):
    compared = []
    monkeypatch.setattr(fuzzy, "edits", lambda *args: compared.append(args) or 9)
    monkeypatch.setattr(fuzzy, "DIFFERENT", 3000)
    many = " ".join(f"ab{number:04}xx" for number in range(5000))
    text = into(many)
    assert not text.has("ab-nothing".replace("-", "z"))
    assert len(compared) <= fuzzy.COMPARED
    assert sum(map(len, text._by_length.values())) == 3000
