"""The collation i;unicode-casemap."""

import time

import pytest

from mailnode.values.casemap import casemap


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("Hello", "hELLO"),
        ("Ärger", "ärger"),
        ("Ärger", "A\u0308rger"),
        ("ΣΙΓΜΑ", "σιγμα"),
        ("ﬁn", "ﬁN"),
        ("ǆ", "ǅ"),
        ("Ⅳ", "ⅳ"),
        ("é", "É"),
        ("σ", "ς"),
    ],
)
def test_case_and_composition_make_no_difference(one, other):
    # RFC 5051 2
    assert casemap(one) == casemap(other)


@pytest.mark.parametrize(("one", "other"), [("a", "b"), ("a", "ä"), ("ß", "ss"), ("", " ")])
def test_other_texts_are_others(one, other):
    assert casemap(one) != casemap(other)


def test_what_characters_become():
    # Title case first, by the mapping of one character to one; then the decomposition, which is not put into title case.
    assert casemap("aZ_1") == "AZ_1"
    assert casemap("ǆ") == "Dz\u030c"
    assert casemap("ß") == "ß"
    assert casemap("ﬁ") == "fi"
    assert casemap("１") == "1"


def test_marks_in_any_number_take_no_time():
    text = "e" + "\u0327\u0301" * 200_000
    before = time.process_time()
    assert len(casemap(text)) == len(text)
    assert time.process_time() - before < 5  # to put so many marks in order would take minutes
