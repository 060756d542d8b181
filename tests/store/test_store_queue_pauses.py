"""What an operator paused is not handed out, whoever asks, until it is resumed."""

from __future__ import annotations

import pytest
from queue_support import NOW, claimed, settle

from mailnode.errors import StoreUnavailable
from mailnode.store.facades.queue import Queue
from mailnode.values.queue import EVERY_DESTINATION, WAITING


def due(queue, loop, now=NOW, limit=10):
    return sorted(one.destination for one in loop.run(queue.due(now, limit)))


def test_a_paused_destination_is_neither_due_nor_claimed(queue, post, loop):
    post("e1", ["a.example"])
    post("e2", ["b.example"])
    loop.run(queue.pause("a.example", NOW))
    assert due(queue, loop) == due(queue, loop, limit=1) == ["b.example"]
    assert claimed(queue, loop) is None
    assert claimed(queue, loop, "b.example") is not None
    assert loop.run(queue.resume("a.example"))
    assert not loop.run(queue.resume("a.example"))
    assert due(queue, loop) == ["a.example"]
    assert claimed(queue, loop) is not None


def test_a_paused_queue_hands_nothing_out_and_settles_what_it_had(queue, post, loop):
    post("e1", ["a.example", "b.example"])
    claim = claimed(queue, loop)
    loop.run(queue.pause(EVERY_DESTINATION, NOW))
    assert due(queue, loop) == []
    assert claimed(queue, loop, "b.example") is None
    assert settle(queue, loop, claim, WAITING, next_try=NOW + 300)
    loop.run(queue.resume(EVERY_DESTINATION))
    assert due(queue, loop, NOW + 300) == ["a.example", "b.example"]


def test_pauses_outlive_the_server_and_keep_their_beginning(queue, engine, blobs, loop):
    loop.run(queue.pause("a.example", NOW))
    loop.run(queue.pause(EVERY_DESTINATION, NOW + 1))
    loop.run(queue.pause("a.example", NOW + 2))
    again = Queue(engine, blobs)
    assert loop.run(again.paused()) == {"a.example": NOW, EVERY_DESTINATION: NOW + 1}
    assert loop.run(Queue(engine, blobs, 1).paused()) == {}


def test_several_are_held_and_released_and_those_that_are_gone_are_not_counted(queue, post, loop):
    for number in range(5):
        post(f"e{number}", ["a.example"])
    assert loop.run(queue.hold_several(["e0", "e1", "gone", "e2"], True)) == 3
    assert [one.id for one in loop.run(queue.envelopes()) if one.held] == ["e0", "e1", "e2"]
    assert loop.run(queue.hold_several(["e0", "e1"], False)) == 2
    assert [one.id for one in loop.run(queue.envelopes()) if one.held] == ["e2"]


def test_what_cannot_be_held_among_several_is_told(queue, post, loop, monkeypatch):
    hold = queue.hold

    async def failing(envelope_id, held):
        if envelope_id == "e0":
            raise StoreUnavailable("full")
        return await hold(envelope_id, held)

    for number in range(2):
        post(f"e{number}", ["a.example"])
    monkeypatch.setattr(queue, "hold", failing)
    with pytest.raises(StoreUnavailable):
        loop.run(queue.hold_several(["e0", "e1"], True))
    assert [one.id for one in loop.run(queue.envelopes()) if one.held] == ["e1"]
