"""One at a time, or a few: however many wait, and however they end."""

import pytest
from twisted.internet.defer import CancelledError, Deferred

from mailnode.interfaces.turns import Places, Turns

MANY = 5000


def begin(coroutine):
    return Deferred.fromCoroutine(coroutine)


@pytest.mark.parametrize("by_key", [False, True])
def test_any_number_may_end_at_once(by_key):
    """As when what they waited for is there, or the service has stopped: none stands on the stack of the one before."""
    gate, places, turns, done = Deferred(), Places(), Turns(), []

    def one():
        return turns.of("ann") if by_key else places

    async def holds():
        async with one():
            await gate

    async def fails(number):
        async with one():
            done.append(number)
            raise ValueError

    began = begin(holds())
    waiting = [begin(fails(number)) for number in range(MANY)]
    gate.callback(None)
    assert began.called and done == list(range(MANY))
    for some in waiting:
        assert some.addErrback(lambda failure: failure.trap(ValueError)).result is ValueError
    assert places.idle and not turns


def test_so_many_at_a_time_and_in_order():
    gates, at_work = [Deferred() for _ in range(5)], []
    places = Places(2)

    async def work(number):
        async with places:
            at_work.append(number)
            await gates[number]
            at_work.remove(number)

    for number in range(5):
        begin(work(number))
    assert at_work == [0, 1]
    gates[1].callback(None)
    assert at_work == [0, 2]
    gates[0].callback(None)
    assert at_work == [2, 3]
    for gate in gates[2:]:
        gate.callback(None)
    assert at_work == [] and places.idle


def test_who_is_cancelled_leaves_the_line():
    gate, turns, done = Deferred(), Turns(), []

    async def work(name):
        async with turns.of("ann"):
            done.append(name)
            await gate

    begin(work("first"))
    gone = begin(work("gone"))
    begin(work("last"))
    gone.cancel()
    assert gone.addErrback(lambda failure: failure.trap(CancelledError)).result is CancelledError
    gate.callback(None)
    assert done == ["first", "last"]
    assert not turns


def test_who_begins_anew_while_others_end_is_alone_all_the_same():
    """The one that ended last has come again: those before it must not take its turn out of the book."""
    gates, turns, at_work, most = {name: Deferred() for name in "abc"}, Turns(), [], []

    async def work(name):
        async with turns.of("ann"):
            at_work.append(name)
            most.append(len(at_work))
            await gates[name]
            at_work.remove(name)

    async def twice():
        async with turns.of("ann"):
            pass
        await work("b")

    begin(work("a"))
    begin(twice())
    gates["a"].callback(None)
    assert at_work == ["b"]
    begin(work("c"))
    assert at_work == ["b"]
    gates["b"].callback(None)
    gates["c"].callback(None)
    assert max(most) == 1
    assert not turns
