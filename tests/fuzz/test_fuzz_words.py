"""Every target: words of its grammar in any order, by Hypothesis, which makes what fails as short as it can be."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.fuzz.registry import TARGETS, known

EXAMPLES = 25


@pytest.mark.parametrize("target", TARGETS.values(), ids=TARGETS)
def test_words_in_any_order(target):
    words = st.sampled_from((*target.words, *known(target)[:20], b"\r\n", b" ", b"\0"))

    @settings(max_examples=EXAMPLES, derandomize=True, database=None)
    @given(st.lists(st.one_of(words, words, st.binary(max_size=3)), max_size=8).map(b"".join))
    def attempt(data):
        target.attempt(data)

    attempt()
