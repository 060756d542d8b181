"""The texts that the benchmark looks for stand where it looks for them."""

from itertools import islice

import pytest

from benchmarks.mailboxes import content
from benchmarks.searched import rare_texts, words


@pytest.fixture(scope="module")
def bodies():
    return [message.partition(b"\r\n\r\n")[2].lower() for message in islice(content(2000), 2000)]


def holding(bodies, text):
    return sum(text in body for body in bodies) / len(bodies)


def test_a_common_word_stands_in_many_bodies_and_a_rare_one_in_few(bodies):
    assert all(holding(bodies, word) > 1 / 7 for word in words(9))
    assert all(0 < holding(bodies, word) < 1 / 10 for word in words(9, rare=True))


def test_others_stand_in_about_a_thousandth(bodies):
    shares = [holding(bodies, text) for text in rare_texts(40)]
    assert 1 / 4000 < sum(shares) / len(shares) < 1 / 400
