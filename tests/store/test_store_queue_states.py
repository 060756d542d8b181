"""The queue: every step in every state a recipient may be in comes to what docs/queue.rst says of it, and to nothing else."""

from __future__ import annotations

import re
from itertools import product
from pathlib import Path

import pytest
from queue_support import NOW, claimed, settle

from mailnode.store.engines.engine import QUEUE
from mailnode.values.queue import (
    BOUNCED,
    DELIVERED,
    DROPPED,
    FAILED,
    LAST_TRY,
    LEASED,
    WAITING,
    Outcome,
    Settlement,
    Steering,
)

PAGE = (Path(__file__).parents[2] / "docs" / "queue.rst").read_text()
# "S1   ``waiting``": what the page calls the states that rows say; S0 is no row.
NUMBERS = {"": "S0", **{word: number for number, word in re.findall(r"^ (S\d) +``(\w+)``", PAGE, re.M)}}
# "**T4 settle: S2 to S1, S3 or S4.**"
HEADINGS = dict(re.findall(r"^\*\*T\d+ ([\w ]+): ([^.]+)\.\*\*", PAGE, re.M))
HEADINGS["end all leases"] = re.search(r"the next start ends all leases, from (S2) back (to S1)", PAGE).expand(r"\1 \2")


def said(step):
    """Return the pairs (from, to) of states that a heading names. With its envelope (E0) a recipient is gone."""
    pairs = set()
    for part in re.split(r", (?=(?:or )?(?:S\d|any) to)", HEADINGS[step].replace("E0", "S0")):
        begin, _, ends = part.partition(" to ")
        begins = NUMBERS.values() if "any" in begin else re.findall(r"S\d", begin)
        pairs |= set(product(begins, re.findall(r"S\d", ends)))
    return pairs


class Recipient:
    """The first recipient of e1, whose other one keeps the envelope there."""

    def __init__(self, state, engine, queue, post, loop):
        self.engine, self.queue, self.post, self.loop = engine, queue, post, loop
        self.token = "nobody's"
        if state:
            post("e1", ["a.example", "b.example"])
        if state not in ("", WAITING):
            claim = claimed(queue, loop)
            self.token = claim.token
            if state != LEASED:
                assert settle(queue, loop, claim, state)
        assert self.state == state

    @property
    def state(self):
        rows = self.loop.run(
            self.engine.read(
                QUEUE, lambda tx: tx.execute("SELECT state FROM recipient WHERE envelope_id = 'e1' AND number = 0")
            )
        )
        return rows[0][0] if rows else ""

    def settle(self, state):
        outcome = Outcome("e1", 0, state, next_try=NOW + 9)
        self.loop.run(self.queue.settle(Settlement(self.token, (outcome,))))

    def steer(self, **how):
        self.loop.run(self.queue.steer("e1", (0,), Steering(NOW, **how)))


# The words of a heading -> the ways in which it is done.
STEPS = {
    "enqueue": [lambda one: one.post("e1", ["a.example", "b.example"])],
    "claim": [
        lambda one: claimed(one.queue, one.loop),
        lambda one: claimed(one.queue, one.loop, now=NOW + 1000),
    ],
    "renew": [lambda one: one.loop.run(one.queue.renew(one.token, NOW + 500))],
    "settle": [lambda one, state=state: one.settle(state) for state in (WAITING, DELIVERED, FAILED)],
    "hold and release": [lambda one, held=held: one.loop.run(one.queue.hold("e1", held)) for held in (True, False)],
    "drop": [lambda one: one.loop.run(one.queue.drop("e1")), lambda one: one.steer(given_up=DROPPED)],
    "retry": [lambda one: one.loop.run(one.queue.retry(None, NOW))],
    "pause and resume": [
        lambda one: one.loop.run(one.queue.pause("a.example", NOW)),
        lambda one: one.loop.run(one.queue.resume("a.example")),
    ],
    "steer": [
        lambda one: one.steer(),
        lambda one: one.steer(destination="c.example"),
        lambda one: one.steer(given_up=LAST_TRY),
        lambda one: one.steer(given_up=BOUNCED),
    ],
    "end all leases": [lambda one: one.loop.run(one.queue.end_leases())],
}


@pytest.fixture
def came_to(engine, queue, post, loop):
    """What comes of a step, where a recipient stood."""

    def do(state, way):
        loop.run(queue.drop("e1"))
        loop.run(queue.resume("a.example"))
        one = Recipient(state, engine, queue, post, loop)
        way(one)
        return one.state

    return do


def test_the_page_has_all_states_and_steps():
    assert NUMBERS == {"": "S0", WAITING: "S1", LEASED: "S2", DELIVERED: "S3", FAILED: "S4"}
    assert set(HEADINGS) - set(STEPS) == {"for a crowd", "for several", "remove"}
    assert said("settle") == {("S2", "S1"), ("S2", "S3"), ("S2", "S4")}
    assert said("drop") == {("S1", "S4"), *((number, "S0") for number in NUMBERS.values())}


@pytest.mark.parametrize("step", STEPS)
def test_every_step_in_every_state(came_to, step):
    for state, begin in NUMBERS.items():
        led_to = {NUMBERS[came_to(state, way)] for way in STEPS[step]}
        documented = {end for start, end in said(step) if start == begin}
        assert led_to - {begin} == documented - {begin}, state
