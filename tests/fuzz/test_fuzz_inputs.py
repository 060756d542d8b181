"""Every target: what it is known to be given, and some thousand inputs made of that, the same in each run."""

from itertools import pairwise

import pytest

from tests.fuzz.mutations import LONGEST, Mutator
from tests.fuzz.registry import CORPUS, TARGETS, known
from tests.fuzz.target import Target

MUTATED = 120  # inputs of each target; by hand there are millions
every_target = pytest.mark.parametrize("target", TARGETS.values(), ids=TARGETS)


@every_target
def test_known_inputs(target):
    for data in known(target):
        target.attempt(data)


@every_target
def test_inputs_made_of_them(target):
    mutator = Mutator(1, target.words)
    for _ in range(MUTATED):
        target.attempt(mutator.make(known(target)))


def test_what_may_not_be_raised_is_told_with_its_input():
    def broken(data):
        if data[:1] == b"x":
            raise IndexError
        int(data)

    target = Target("broken", broken, (b"1",), errors=(ValueError,))
    target.attempt(b"no number")
    with pytest.raises(IndexError) as caught:
        target.attempt(b"x1")
    assert caught.value.__notes__ == ["broken: b'x1'"]


def test_inputs_are_the_same_for_a_seed_and_others_for_another():
    seeds = (b"MAIL FROM:<a@x.test> SIZE=100\r\n", b"QUIT\r\n")

    def made(seed):
        mutator = Mutator(seed, (b"<>",))
        return [mutator.make(seeds) for _ in range(50)]

    assert made(1) == made(1) != made(2)
    assert len(set(made(1))) > 30
    assert all(len(data) <= LONGEST for data in made(1))


def test_pumped_inputs_grow_by_what_is_repeated():
    for number in range(20):
        make = Mutator(number, (b"<>",)).pumped((b"abcdefghij",))
        sizes = [len(make(size)) for size in (100, 200, 400)]
        assert all(abs(2 * small - large) < 20 for small, large in pairwise(sizes))


def test_the_corpus_belongs_to_targets():
    assert {path.name for path in CORPUS.iterdir()} <= set(TARGETS)
    assert all(path.stat().st_size <= LONGEST for path in CORPUS.rglob("*") if path.is_file())
