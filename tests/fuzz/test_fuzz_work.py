"""Every target: work and memory that grow with the input and no faster, counted in lines of Python and in octets.

What the interpreter does within one line is not counted: of the regular expressions it is said beside them why they are linear. Of
the control socket the octets are counted that it goes through besides.
"""

from functools import partial

import pytest

from mailnode.values.composed import compose
from tests.fuzz.mutations import Mutator
from tests.fuzz.registry import TARGETS, known
from tests.fuzz.target import Target
from tests.fuzz.work import lines_run, octets_looked_at, octets_taken

SHAPES = 4  # of inputs of each target that are made longer
SIZES = (2048, 4096, 8192)  # octets
AT_LEAST = 3000  # lines that any input may run
LINES = 300  # that it may for each octet, which may be a whole line of the control socket, and is answered
FASTER = 1.4  # than in the first half an octet may cost in the second
LITTLE = 2  # lines more that an octet may cost there besides
OCTETS = 400  # of memory for each octet
LOOKS = 20  # at an octet of a line of the control socket


def check_work(target, shapes):
    mutator = Mutator(2, target.words)
    compose("\u0300" * 300)  # what is made once is not counted
    target.attempt(known(target)[0])
    for _ in range(shapes):
        make = mutator.pumped(known(target))
        check_shape(target, [make(size) for size in SIZES])


def check_shape(target, inputs):
    """:param inputs: three that differ in their length alone, the longest last."""
    longest = inputs[-1]
    assert octets_taken(lambda: target.attempt(longest)) <= target.held + OCTETS * len(longest), longest
    if target.swells:
        return
    ran = lines_of(target, inputs)
    if not grows_evenly(ran, inputs):  # perhaps something was made anew meanwhile: what happens once is not counted
        ran = [min(two) for two in zip(ran, lines_of(target, inputs), strict=True)]
    assert ran[-1] <= AT_LEAST + LINES * len(longest), longest
    assert grows_evenly(ran, inputs), (ran, longest)


def lines_of(target, inputs):
    return [lines_run(partial(target.attempt, data)) for data in inputs]


def grows_evenly(ran, inputs):
    """Whether an octet of the second half costs about as many lines as one of the first."""
    first, second = ((ran[at + 1] - ran[at]) / max(1, len(inputs[at + 1]) - len(inputs[at])) for at in (0, 1))
    return second <= FASTER * max(first, 0) + LITTLE


@pytest.mark.parametrize("target", TARGETS.values(), ids=TARGETS)
def test_work_grows_with_the_input(target):
    check_work(target, SHAPES)


def test_a_line_that_comes_in_tiny_pieces_is_looked_at_once():
    long = b'{"command": "' + b"x" * 20_000 + b'", "arguments": {}}\n'
    assert octets_looked_at(lambda: TARGETS["control"].attempt(long)) <= LOOKS * len(long)


def test_work_that_grows_faster_is_found():
    def again_and_again(data):
        for _ in data:
            for _ in data[::40]:
                pass

    check_work(Target("linear", bytes.split, (b"abc",)), 1)
    with pytest.raises(AssertionError):
        check_work(Target("quadratic", again_and_again, (b"abc",)), 1)


def test_memory_that_grows_faster_is_found():
    with pytest.raises(AssertionError):
        check_work(Target("swollen", lambda data: bytes(1000 * len(data)), (b"abc",)), 1)
