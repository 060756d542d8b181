"""One flag of many messages at a time says what looking at each says."""

from array import array

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mailnode.imap.view.bitmaps import carriers, with_bit

FLAGS = st.lists(st.integers(0, (1 << 64) - 1), max_size=50).map(lambda values: array("Q", values))


@given(FLAGS, st.integers(0, 63).map((1).__lshift__), st.booleans())
def test_who_carries_a_flag(flags, bit, on):
    assert list(carriers(flags, bit, on)) == [bool(value & bit) == on for value in flags]


@given(FLAGS, st.integers(0, 63).map((1).__lshift__))
def test_all_get_a_flag(flags, bit):
    before = array("Q", flags)
    assert with_bit(flags, bit) == array("Q", [value | bit for value in flags])
    assert flags == before


@pytest.mark.parametrize("bit", [1, 1 << 63])
def test_none_at_all(bit):
    assert carriers(array("Q"), bit) == b""
    assert with_bit(array("Q"), bit) == array("Q")
