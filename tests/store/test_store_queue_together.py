"""Envelopes that go into the queue together, and what is remembered with them."""

import pytest
from queue_support import NOW, claimed

from mailnode.errors import StoreUnavailable
from mailnode.store.engines.engine import QUEUE
from mailnode.store.units import queue_rows
from mailnode.values.queue import LOCAL_DESTINATION, EnqueuedTogether, GuardedEnvelope
from mailnode.values.remembered import ANSWERED, SEEN, ScriptMemory, key_of

DAY = 86_400.0
ANSWER = ScriptMemory("ann", ANSWERED, key_of("handle", "bob@there.example"), NOW + DAY)


def together(post, *envelopes, remembered=(), now=NOW):
    guarded = [GuardedEnvelope(post.submission(name, recipients), once) for name, recipients, once in envelopes]
    return EnqueuedTogether(tuple(guarded), tuple(remembered), now)


def ids(queue, loop):
    return [one.id for one in loop.run(queue.envelopes())]


def test_all_of_them_are_there(queue, post, loop):
    step = together(post, ("e1", [LOCAL_DESTINATION], None), ("e2", ["a.example"], ANSWER))
    assert loop.run(queue.enqueue_together(step)) == frozenset()
    assert ids(queue, loop) == ["e1", "e2"]
    assert claimed(queue, loop).envelope.id == "e2"


def test_what_was_answered_is_not_answered_again_in_time(queue, post, loop):
    assert loop.run(queue.enqueue_together(together(post, ("e1", ["a.example"], ANSWER)))) == frozenset()
    again = ANSWER._replace(until=NOW + 2 * DAY)
    second = together(post, ("e2", ["a.example"], None), ("e3", ["a.example"], again), now=NOW + 60)
    assert loop.run(queue.enqueue_together(second)) == {"e3"}
    assert ids(queue, loop) == ["e1", "e2"]
    later = together(post, ("e4", ["a.example"], again), now=NOW + DAY)
    assert loop.run(queue.enqueue_together(later)) == frozenset()


def test_of_two_at_once_one_is_sent(queue, post, loop):
    steps = [together(post, (f"e{number}", ["a.example"], ANSWER)) for number in range(6)]
    left = loop.together(*[queue.enqueue_together(step) for step in steps])
    assert sum(len(one) for one in left) == 5
    assert len(ids(queue, loop)) == 1


def test_what_goes_only_with_another_stays_with_it(queue, post, loop):
    for first, second in (("e1", "e2"), ("f1", "f2")):
        loop.run(
            queue.enqueue_together(together(post, (first, ["a.example"], ANSWER), (second, ["b.example"], ANSWER)))
        )
        assert ids(queue, loop) == ["e1", "e2"]


def test_the_same_once_more_is_the_same(queue, post, loop):
    step = together(post, ("e1", ["a.example"], None), ("e2", ["a.example"], ANSWER))
    loop.run(queue.enqueue_together(step))
    loop.run(queue.enqueue_together(step))
    assert ids(queue, loop) == ["e1", "e2"]


def test_two_envelopes_may_have_one_content(queue, post, loop):
    first = post.submission("e1", ["a.example"])
    second = post.submission("e2", ["b.example"])
    shared = GuardedEnvelope(
        type(second)(second.envelope.__class__(**{**fields(second.envelope), "blob": first.blob.ref}), first.blob)
    )
    loop.run(queue.enqueue_together(EnqueuedTogether((GuardedEnvelope(first), shared), (), NOW)))
    loop.run(queue.drop("e1"))
    assert loop.run(queue.read(first.blob.ref)) == b"Hello\r\n"
    loop.run(queue.drop("e2"))
    assert loop.run(queue.blobs_in_use([first.blob.ref.blob_id])) == set()


def fields(envelope):
    return {name: getattr(envelope, name) for name in type(envelope).__dataclass_fields__}


def test_what_is_remembered_holds_until_its_time_and_is_forgotten(queue, post, loop):
    seen = ScriptMemory("ann", SEEN, key_of("", "<1@there.example>"), NOW + 10)
    loop.run(queue.enqueue_together(together(post, ("e1", ["a.example"], None), remembered=[seen, seen])))
    asked = seen[:3]
    assert loop.run(queue.is_remembered(*asked, NOW + 9))
    assert not loop.run(queue.is_remembered(*asked, NOW + 10))
    assert not loop.run(queue.is_remembered("bob", *asked[1:], NOW))
    later = seen._replace(until=NOW + 100)
    loop.run(queue.enqueue_together(together(post, remembered=[later])))
    assert loop.run(queue.is_remembered(*asked, NOW + 50)), "it came again"
    assert loop.run(queue.forget_remembered(NOW + 50)) == 0
    assert loop.run(queue.forget_remembered(NOW + 100)) == 1


@pytest.mark.parametrize("remembered", [False, True])
def test_more_than_fit_into_one_unit_are_there_all_at_once_or_not_at_all(queue, post, loop, remembered):
    if remembered:
        loop.run(queue.enqueue_together(together(post, ("e0", ["z.example"], ANSWER))))
        loop.run(queue.drop("e0"))
    many = ["a.example"] * (queue_rows.UNIT_ROWS + 1)
    step = together(post, ("e1", many, None), ("e2", ["b.example"], ANSWER))
    left = loop.run(queue.enqueue_together(step))
    assert left == ({"e2"} if remembered else frozenset())
    assert ids(queue, loop) == (["e1"] if remembered else ["e1", "e2"])
    assert (claimed(queue, loop, "b.example") is None) == remembered
    phases = loop.run(queue._engine.read(QUEUE, queue_rows.interrupted, 0))
    assert phases == [], "nothing is left half-made"


def test_what_a_failure_interrupts_is_nowhere(queue, post, loop, engine, monkeypatch):
    many = ["a.example"] * (queue_rows.UNIT_ROWS + 1)
    step = together(post, ("e1", many, None), ("e2", ["b.example"], ANSWER))
    write = engine.write

    async def failing(tenancy, unit, *args, **kwargs):
        if unit.__name__ == "publish_together":
            raise StoreUnavailable
        return await write(tenancy, unit, *args, **kwargs)

    monkeypatch.setattr(engine, "write", failing)
    with pytest.raises(StoreUnavailable):
        loop.run(queue.enqueue_together(step))
    monkeypatch.setattr(engine, "write", write)
    loop.run(queue.due(NOW, 10))
    assert ids(queue, loop) == []
    assert not loop.run(queue.is_remembered(*ANSWER[:3], NOW))
