"""The queue's contract, on every engine."""

from __future__ import annotations

import random
import re
from dataclasses import replace
from pathlib import Path

import pytest
from queue_support import NOW, Post, claimed, outcomes, settle
from twisted.internet.task import Clock
from twisted.logger import globalLogPublisher

from mailnode.errors import BlobDamaged, StoreUnavailable
from mailnode.net.no_reactor import CallingThread
from mailnode.store.blobs.local import LocalBlobs
from mailnode.store.engines.engine import QUEUE
from mailnode.store.facades.queue import Queue
from mailnode.store.units import queue_leases, queue_rows, queue_steering
from mailnode.store.units.stored_facts import decode_facts, encode_facts
from mailnode.values.blob import BlobRef
from mailnode.values.envelope import MailOptions, RcptOptions
from mailnode.values.facts import MessageFacts, Part, SortKeys, encode
from mailnode.values.queue import (
    DELIVERED,
    DROPPED,
    FAILED,
    LEASED,
    LOCAL_DESTINATION,
    WAITING,
    DueDestination,
    QueuedRecipient,
    Settlement,
    Steering,
)

FACTS = encode(
    MessageFacts(
        9,
        5,
        b"(env)",
        b"(bs\n)",
        b"",
        b"From: a\r\n",
        (Part("", "leaf", 0, 5, 9, 1, "text/plain", "utf-8", "7bit", filename="é.txt"),),
        SortKeys(5, 60, "Hé", references=("a@b", "c@d")),
    )
)


@pytest.fixture
def blobs(tmp_path):
    clock = Clock()
    clock.advance(NOW)
    blobs = LocalBlobs(tmp_path / "blobs", CallingThread(), clock, inline=1000)
    blobs.prepare()
    return blobs


def tables(tx):
    names = ("envelope", "recipient", "facts", "blob")
    return {name: tx.execute(f"SELECT COUNT(*) FROM {name}")[0][0] for name in names}


def empty(engine, loop):
    return set(loop.run(engine.read(QUEUE, tables)).values()) == {0}


# values


def test_facts_survive_their_encoding():
    assert decode_facts(encode_facts(FACTS)) == FACTS


# into the queue and out again


def test_an_envelope_is_kept_whole(queue, post, loop):
    asked = RcptOptions(frozenset({"SUCCESS", "FAILURE"}), "rfc822;X@a.example")
    never = RcptOptions(frozenset({"NEVER"}))
    one = QueuedRecipient(7, "x@a.example", "a.example", options=asked, next_try=NOW + 5)
    two = QueuedRecipient(9, "y@z.example", LOCAL_DESTINATION, "A1", '{"mailbox":"INBOX"}', never, next_try=NOW)
    sent = post(
        "e1",
        [one, two],
        facts=FACTS,
        reverse_path="",
        options=MailOptions(0, "8BITMIME", True, "HDRS", "env+1", -3),
        session="s1",
        account_id="A0",
        account="alice@a.example",
        notices="failures",
        internaldate=1_800_000_000_000_001,
    )
    assert loop.run(queue.envelope("e1")) == sent.envelope
    assert loop.run(queue.envelopes()) == [sent.envelope]
    assert loop.run(queue.envelope("e2")) is None
    assert loop.run(queue.read(sent.envelope.blob)) == b"Hello\r\n"
    assert loop.run(queue.read(sent.envelope.blob, 1, 3)) == b"ell"
    assert loop.run(queue.staged(sent.envelope.blob)) == sent.blob


def test_a_large_message_lies_in_a_file(queue, post, engine, loop, blobs):
    content = random.Random(1).randbytes(300_000)
    sent = post("e1", ["a.example"], content=content)
    assert sent.blob.ref.place == "file"
    assert loop.run(queue.read(sent.envelope.blob, 70_000, 300)) == content[70_000:70_300]
    assert loop.run(queue.staged(sent.envelope.blob)) == sent.blob
    assert loop.run(queue.blobs_in_use([sent.envelope.blob.blob_id, "other"])) == {sent.envelope.blob.blob_id}
    path = blobs.path(sent.envelope.blob.blob_id)
    path.rename(path.with_suffix(".away"))
    with pytest.raises(BlobDamaged, match=path.name):  # before a mailbox refers to it
        loop.run(queue.staged(sent.envelope.blob))
    settle(queue, loop, claimed(queue, loop), DELIVERED)
    assert loop.run(queue.blobs_in_use([sent.envelope.blob.blob_id])) == set()


def test_a_missing_blob_is_damage(queue, loop):
    ref = BlobRef("nothing", 3, "inline", "plain", b"")
    with pytest.raises(BlobDamaged):
        loop.run(queue.read(ref))
    with pytest.raises(BlobDamaged):
        loop.run(queue.staged(ref))


def test_the_same_envelope_twice_is_one(queue, post, engine, loop):
    post("e1", ["a.example"])
    post("e1", ["a.example", "b.example"])
    assert [r.destination for r in loop.run(queue.envelope("e1")).recipients] == ["a.example"]
    settle(queue, loop, claimed(queue, loop), DELIVERED)
    assert empty(engine, loop)


def test_a_page_holds_open_recipients_only(queue, post, loop):
    for name in ("e3", "e1", "e2"):
        post(name, ["a.example", "b.example"])
    settle(queue, loop, claimed(queue, loop), DELIVERED)  # e1: the oldest due
    page = loop.run(queue.envelopes(limit=2))
    assert [(e.id, [r.destination for r in e.recipients]) for e in page] == [
        ("e1", ["b.example"]),
        ("e2", ["a.example", "b.example"]),
    ]
    assert [e.id for e in loop.run(queue.envelopes("e2"))] == ["e3"]
    assert [r.state for r in loop.run(queue.envelope("e1")).recipients] == [DELIVERED, WAITING]


# due and claim


def test_due_destinations_come_oldest_first(queue, post, loop):
    post("e1", [QueuedRecipient(0, "u@b.example", "b.example", next_try=NOW - 10), "a.example", "a.example"])
    post("e2", [QueuedRecipient(0, "u@c.example", "c.example", next_try=NOW + 10)])
    assert loop.run(queue.due(NOW, 10)) == [
        DueDestination("b.example", NOW - 10),
        DueDestination("a.example", NOW),
    ]
    assert loop.run(queue.due(NOW, 1)) == [DueDestination("b.example", NOW - 10)]
    assert loop.run(queue.due(NOW - 11, 10)) == []
    assert loop.run(queue.next_due(NOW)) == NOW + 10
    assert loop.run(queue.next_due(NOW - 5)) == NOW
    assert loop.run(queue.next_due(NOW + 10)) is None


def test_a_claim_takes_one_destination_of_one_envelope(queue, post, loop):
    post("e1", ["a.example", "b.example", "a.example", "a.example"])
    post("e2", ["a.example"])
    claim = claimed(queue, loop, limit=2)
    assert (claim.envelope.id, [r.index for r in claim.envelope.recipients]) == ("e1", [0, 2])
    assert {r.state for r in claim.envelope.recipients} == {LEASED}
    assert claim.lease_until == NOW + 60
    assert claim.facts is None
    assert [r.index for r in claimed(queue, loop).envelope.recipients] == [3]
    assert claimed(queue, loop).envelope.id == "e2"
    assert claimed(queue, loop) is None
    assert claimed(queue, loop, "nowhere.example") is None


def test_facts_go_with_local_plans(queue, post, loop):
    plan = QueuedRecipient(0, "u@x.example", LOCAL_DESTINATION, "A1", "{}", next_try=NOW)
    post("e1", [plan, "a.example"], facts=FACTS)
    assert claimed(queue, loop, LOCAL_DESTINATION).facts == FACTS
    assert claimed(queue, loop).facts is None


def test_a_deferred_recipient_waits_for_its_time(queue, post, engine, loop):
    post("e1", ["a.example"])
    claim = claimed(queue, loop)
    assert settle(
        queue,
        loop,
        claim,
        WAITING,
        next_try=NOW + 300,
        status="4.2.0",
        reply="later \udcff\0",
        host="mx",
        delay_told=True,
    )
    (recipient,) = loop.run(queue.envelope("e1")).recipients
    assert (recipient.state, recipient.attempts, recipient.next_try) == (WAITING, 1, NOW + 300)
    assert (recipient.last_status, recipient.last_reply, recipient.last_host) == ("4.2.0", "later ??", "mx")
    assert recipient.delay_told
    assert claimed(queue, loop) is None
    again = claimed(queue, loop, now=NOW + 300)
    assert settle(queue, loop, again, WAITING, next_try=NOW + 600, counts_as_attempt=False)
    (recipient,) = loop.run(queue.envelope("e1")).recipients
    assert (recipient.attempts, recipient.last_reply, recipient.delay_told) == (1, "later ??", True)
    assert settle(queue, loop, claimed(queue, loop, now=NOW + 600), FAILED, status="5.0.0", reply="no")
    assert empty(engine, loop)


def test_a_deferred_recipient_may_wait_under_another_destination(queue, post, loop):
    post("e1", ["a.example", "a.example"])
    move = {"moved": ("a.example", "smart.example:587"), "next_try": NOW}
    assert settle(queue, loop, claimed(queue, loop), WAITING, **move)
    assert claimed(queue, loop) is None
    again = claimed(queue, loop, "smart.example:587")
    assert [one.destination for one in again.envelope.recipients] == ["smart.example:587"] * 2
    assert settle(queue, loop, again, WAITING, moved=("b.example", "c.example"), next_try=NOW)
    assert claimed(queue, loop, "smart.example:587") is not None, "somebody moved it meanwhile"


def test_an_envelope_goes_with_its_last_recipient(queue, post, engine, loop):
    post("e1", ["a.example", "b.example"], facts=FACTS)
    assert settle(queue, loop, claimed(queue, loop), DELIVERED)
    assert [r.state for r in loop.run(queue.envelope("e1")).recipients] == [DELIVERED, WAITING]
    assert settle(queue, loop, claimed(queue, loop, "b.example"), FAILED)
    assert loop.run(queue.envelope("e1")) is None
    assert empty(engine, loop)


def test_a_bounce_enters_with_the_failure(queue, post, engine, loop):
    post("e1", ["a.example"])
    bounce = post.submission("b1", ["back.example"], reverse_path="", content=b"sorry\r\n")
    assert settle(queue, loop, claimed(queue, loop), FAILED, bounces=(bounce,))
    assert [e.id for e in loop.run(queue.envelopes())] == ["b1"]
    assert loop.run(queue.read(bounce.envelope.blob)) == b"sorry\r\n"
    assert loop.run(engine.read(QUEUE, tables)) == {"envelope": 1, "recipient": 1, "facts": 0, "blob": 1}


# leases


def test_a_lease_that_ran_out_is_given_again_and_fences_the_old(queue, post, loop):
    post("e1", ["a.example", "a.example"])
    old = claimed(queue, loop, lease=60.0)
    assert loop.run(queue.due(NOW + 59, 10)) == []
    assert loop.run(queue.next_due(NOW)) == NOW + 60
    assert loop.run(queue.due(NOW + 60, 10)) == [DueDestination("a.example", NOW + 60)]
    new = claimed(queue, loop, now=NOW + 60)
    assert new.token != old.token
    bounce = post.submission("b1", ["back.example"])
    assert not settle(queue, loop, old, DELIVERED, bounces=(bounce,))
    assert loop.run(queue.envelope("b1")) is None
    assert {r.state for r in loop.run(queue.envelope("e1")).recipients} == {LEASED}
    assert settle(queue, loop, new, DELIVERED)
    assert not settle(queue, loop, new, DELIVERED)


def test_a_late_settlement_stands_while_nobody_else_has_it(queue, post, loop):
    post("e1", ["a.example"])
    claim = claimed(queue, loop, lease=1.0)
    assert loop.run(queue.due(NOW + 100, 10))
    assert settle(queue, loop, claim, DELIVERED)
    assert loop.run(queue.due(NOW + 100, 10)) == []


def test_leases_of_the_dead_end_and_their_recipients_are_due_as_before(queue, post, loop, monkeypatch):
    monkeypatch.setattr("mailnode.store.facades.queue.UNIT_ROWS", 2)
    post("e1", ["a.example"] * 3)
    post("e2", ["b.example"])
    dead = claimed(queue, loop, lease=60.0)
    held = claimed(queue, loop, "b.example")
    loop.run(queue.hold("e2", True))
    loop.run(queue.end_leases())
    assert loop.run(queue.due(NOW, 10)) == [DueDestination("a.example", NOW)]
    assert not settle(queue, loop, dead, DELIVERED)
    assert not loop.run(queue.renew(held.token, NOW + 90))
    assert len(claimed(queue, loop).envelope.recipients) == 3
    loop.run(queue.hold("e2", False))
    assert claimed(queue, loop, "b.example").token != held.token


def test_a_lost_lease_on_one_undoes_all(queue, post, loop):
    post("e1", ["a.example", "a.example"])
    claim = claimed(queue, loop)
    assert loop.run(queue.settle(Settlement(claim.token, outcomes(claim, DELIVERED)[1:])))
    assert not settle(queue, loop, claim, FAILED)
    assert [r.state for r in loop.run(queue.envelope("e1")).recipients] == [LEASED, DELIVERED]


def test_a_lease_is_renewed_while_it_is_held(queue, post, loop):
    post("e1", ["a.example"])
    claim = claimed(queue, loop, lease=60.0)
    assert loop.run(queue.renew(claim.token, NOW + 600))
    assert loop.run(queue.due(NOW + 599, 10)) == []
    assert loop.run(queue.due(NOW + 600, 10))
    new = claimed(queue, loop, now=NOW + 600)
    assert not loop.run(queue.renew(claim.token, NOW + 900))
    assert settle(queue, loop, new, DELIVERED)
    assert not loop.run(queue.renew(new.token, NOW + 900))


def test_claims_at_the_same_time_take_no_recipient_twice(queue, post, loop):
    for name in ("e1", "e2"):
        post(name, ["a.example"] * 10)
    claims = loop.together(*(queue.claim("a.example", NOW, 60.0, 3) for _ in range(10)))
    taken = [(claim.envelope.id, r.index) for one in claims for claim in one for r in claim.envelope.recipients]
    assert len(taken) == len(set(taken)) == 20


def test_the_oldest_envelopes_are_claimed_together_each_with_its_content(queue, post, engine, loop):
    due = [QueuedRecipient(0, "u@a.example", "a.example", next_try=NOW - 4 + number) for number in range(4)]
    post("new", [due[3]], content=b"new" * 2)
    post("large", [due[2], "a.example"], content=random.Random(1).randbytes(5000))
    post("old", [due[0]], content=b"old" * 2)
    post("middle", [due[1], "b.example", "a.example"], content=b"middle" * 2)
    post("held", [due[0]])
    assert loop.run(queue.hold("held", True))
    claims = loop.run(queue.claim("a.example", NOW, 60.0, 10, 3))
    found = [(claim.envelope.id, [r.index for r in claim.envelope.recipients]) for claim in claims]
    assert found == [("old", [0]), ("middle", [0, 2]), ("large", [0, 1])]
    assert {r.state for claim in claims for r in claim.envelope.recipients} == {LEASED}
    assert len({claim.token for claim in claims}) == 3
    contents = [loop.run(queue.read(claim.envelope.blob, stored=claim.stored)) for claim in claims]
    assert contents == [b"oldold", b"middlemiddle", random.Random(1).randbytes(5000)]
    assert [claim.stored is None for claim in claims] == [False, False, True]
    [last] = loop.run(queue.claim("a.example", NOW, 60.0, 10, 3))
    assert last.envelope.id == "new"
    for claim in (*claims, last):
        assert loop.run(queue.renew(claim.token, NOW + 90))
        assert settle(queue, loop, claim, DELIVERED)
    assert settle(queue, loop, claimed(queue, loop, "b.example"), DELIVERED)
    assert loop.run(queue.drop("held"))
    assert empty(engine, loop)


def test_envelopes_with_more_recipients_than_one_claim_may_have_are_claimed_alone(queue, post, loop):
    post("e1", ["a.example"] * 3)
    post("e2", ["a.example"] * 3)
    sizes = []
    while claims := loop.run(queue.claim("a.example", NOW, 60.0, 5, 4)):
        sizes.append([(claim.envelope.id, len(claim.envelope.recipients)) for claim in claims])
    assert sizes == [[("e1", 3)], [("e2", 3)]]


def test_local_plans_claimed_together_have_their_own_facts(queue, post, loop):
    local = QueuedRecipient(0, "u@a.example", LOCAL_DESTINATION, "A1", "{}", next_try=NOW)
    for number in range(3):
        post(f"e{number}", [local], facts=FACTS._replace(size=number))
    claims = loop.run(queue.claim(LOCAL_DESTINATION, NOW, 60.0, 5, 4))
    assert [(claim.envelope.id, claim.facts.size) for claim in claims] == [("e0", 0), ("e1", 1), ("e2", 2)]


# units that run together


def test_settlements_together_do_what_each_alone_does(queue, post, engine, loop):
    for number in range(5):
        post(f"e{number}", ["a.example", "b.example"])
    post("one", ["a.example"])
    claims = loop.run(queue.claim("a.example", NOW, 60.0, 10, 10))
    others = {claim.envelope.id: claim for claim in loop.run(queue.claim("b.example", NOW, 60.0, 10, 3))}
    settlements = [Settlement(claim.token, outcomes(claim, DELIVERED)) for claim in claims]
    settlements[1] = Settlement(claims[1].token, outcomes(claims[1], WAITING, next_try=NOW + 9, status="4.1.1"))
    settlements.append(
        Settlement(others["e0"].token, outcomes(others["e0"], FAILED))
    )  # with claims[0] its envelope's end
    settlements.append(Settlement(others["e2"].token, outcomes(others["e2"], WAITING, next_try=NOW + 5)))
    done = loop.run(engine.write(QUEUE, queue_leases.settle_together, [(0, one) for one in settlements]))
    assert done == [{}, {}, {}, {}, {}, {"one": False}, {"e0": False}, {}]
    states = {e.id: [(r.state, r.next_try, r.last_status) for r in e.recipients] for e in loop.run(queue.envelopes())}
    assert states == {
        "e1": [(WAITING, NOW + 9, "4.1.1"), (LEASED, NOW, "")],
        "e2": [(WAITING, NOW + 5, "")],
        "e3": [(WAITING, NOW, "")],
        "e4": [(WAITING, NOW, "")],
    }
    assert loop.run(engine.read(QUEUE, tables)) == {"envelope": 4, "recipient": 8, "facts": 0, "blob": 4}


def test_settlements_together_end_with_the_first_lost_lease(queue, post, engine, loop):
    post("e1", ["a.example"])
    post("e2", ["a.example"])
    claims = loop.run(queue.claim("a.example", NOW, 60.0, 10, 10))
    lost = Settlement("another token", outcomes(claims[1], DELIVERED))
    for together in ([Settlement(claims[0].token, outcomes(claims[0], DELIVERED)), lost], [lost]):
        with pytest.raises(queue_leases.LeaseLost):
            loop.run(engine.write(QUEUE, queue_leases.settle_together, [(0, one) for one in together]))
    assert loop.run(queue.tally(NOW)).by_state[LEASED] == 2
    twice = Settlement(claims[0].token, outcomes(claims[0], DELIVERED) * 2)
    assert not loop.run(queue.settle(twice))
    results = loop.together(
        *(queue.settle(Settlement(c.token, outcomes(c, DELIVERED))) for c in claims), queue.settle(lost)
    )
    assert results == [True, True, False]


def test_envelopes_together_enter_as_each_alone_would(queue, post, engine, loop):
    local = QueuedRecipient(0, "u@a.example", LOCAL_DESTINATION, "A1", "{}", next_try=NOW)
    calls = [
        (0, post.submission("e1", ["a.example", "b.example"])),
        (0, post.submission("e1", ["a.example"] * 9)),  # the same once more: it is there already
        (0, post.submission("e2", [local], facts=FACTS)),
        (0, post.submission("e3", ["a.example"], held=True)),
        (1, post.submission("e1", ["a.example"])),
    ]
    loop.run(engine.write(QUEUE, queue_rows.add_together, calls))
    assert [(e.id, len(e.recipients)) for e in loop.run(queue.envelopes())] == [("e1", 2), ("e2", 1), ("e3", 1)]
    due = sorted(loop.run(queue.due(NOW, 10)), key=lambda one: one.destination)
    assert due == [DueDestination(name, NOW) for name in (".", "a.example", "b.example")]
    assert loop.run(engine.read(QUEUE, tables)) == {"envelope": 4, "recipient": 5, "facts": 1, "blob": 4}


# commands


def test_a_held_envelope_is_not_handed_out(queue, post, loop):
    post("e1", ["a.example", "b.example"])
    post("e2", ["a.example"])
    leased = claimed(queue, loop, "b.example")
    assert loop.run(queue.hold("e1", True))
    assert loop.run(queue.envelope("e1")).held
    assert claimed(queue, loop).envelope.id == "e2"
    assert claimed(queue, loop) is None
    assert loop.run(queue.due(NOW + 1000, 10)) == [DueDestination("a.example", NOW + 60)]  # e2's lease
    assert loop.run(queue.renew(leased.token, NOW + 90))
    assert settle(queue, loop, leased, WAITING, next_try=NOW + 5)
    assert claimed(queue, loop, "b.example", now=NOW + 10) is None
    assert loop.run(queue.retry(None, NOW)) == 0
    assert loop.run(queue.hold("e1", False))
    assert claimed(queue, loop).envelope.id == "e1"
    assert claimed(queue, loop, "b.example", now=NOW + 4) is None
    assert claimed(queue, loop, "b.example", now=NOW + 5).envelope.id == "e1"
    assert not loop.run(queue.hold("e9", True))


def test_a_lease_outlives_a_hold(queue, post, loop):
    post("e1", ["a.example"])
    claim = claimed(queue, loop, lease=60.0)
    loop.run(queue.hold("e1", True))
    loop.run(queue.hold("e1", False))
    assert claimed(queue, loop, now=NOW + 59) is None
    assert settle(queue, loop, claim, DELIVERED)


def test_an_envelope_enters_held(queue, post, loop):
    post("e1", ["a.example"], held=True)
    assert claimed(queue, loop) is None
    loop.run(queue.hold("e1", False))
    assert claimed(queue, loop) is not None


def test_a_dropped_envelope_is_gone_for_its_runner_too(queue, post, engine, loop):
    post("e1", ["a.example"], facts=FACTS)
    claim = claimed(queue, loop)
    assert loop.run(queue.drop("e1"))
    assert empty(engine, loop)
    assert not settle(queue, loop, claim, DELIVERED)
    assert not loop.run(queue.drop("e1"))


def test_retry_makes_waiting_recipients_due(queue, post, loop):
    later = [QueuedRecipient(n, f"u@{d}", d, next_try=NOW + 99) for n, d in enumerate(("a.example", "b.example"))]
    post("e1", later)
    post("e2", [*later, "c.example"])
    claimed(queue, loop, "c.example")
    assert loop.run(queue.retry("a.example", NOW)) == 2
    assert loop.run(queue.retry(None, NOW)) == 2
    assert loop.run(queue.retry(None, NOW)) == 0
    assert [d.destination for d in loop.run(queue.due(NOW, 10))] == ["a.example", "b.example"]
    assert loop.run(queue.next_due(NOW)) == NOW + 60  # the lease


def test_shards_do_not_see_each_other(engine, blobs, loop):
    one, two = Queue(engine, blobs, 1), Queue(engine, blobs, 2)
    Post(one, blobs, loop)("e1", ["a.example"])
    assert loop.run(two.due(NOW, 10)) == []
    assert claimed(two, loop) is None
    assert not loop.run(two.drop("e1"))
    blob = loop.run(one.envelope("e1")).blob
    assert loop.run(two.blobs_in_use([blob.blob_id])) == {blob.blob_id}  # the sweep asks any of them
    with pytest.raises(BlobDamaged):
        loop.run(two.read(blob))
    assert loop.run(one.drop("e1"))


# many recipients


def crowd(number, **fields):
    return [QueuedRecipient(n, f"u{n}@a.example", "a.example", **{"next_try": NOW, **fields}) for n in range(number)]


def test_a_crowd_is_queued_held_released_and_dropped(queue, post, engine, loop):
    post("e1", crowd(1201))
    assert loop.run(queue.due(NOW, 10)) == [DueDestination("a.example", NOW)]
    assert loop.run(queue.tally(NOW)).by_state[WAITING] == 1201
    leased = claimed(queue, loop, limit=10_000)
    assert len(leased.envelope.recipients) == queue_rows.UNIT_ROWS
    loop.run(queue.hold("e1", True))
    assert claimed(queue, loop) is None
    assert loop.run(queue.due(NOW + 1000, 10)) == []
    loop.run(queue.hold("e1", False))
    assert len(claimed(queue, loop, limit=10_000).envelope.recipients) == queue_rows.UNIT_ROWS
    assert settle(queue, loop, leased, DELIVERED)
    assert loop.run(queue.drop("e1"))
    assert empty(engine, loop)


def test_a_crowd_goes_when_its_last_is_settled(queue, post, engine, loop):
    post("e1", crowd(1100))
    while (claim := claimed(queue, loop, limit=400)) is not None:
        assert settle(queue, loop, claim, DELIVERED)
    assert empty(engine, loop)


class Failing:
    """An engine whose writes fail from the Nth on."""

    def __init__(self, engine, after):
        self.engine, self.left = engine, after

    async def write(self, *args):
        self.left -= 1
        if self.left < 0:
            raise StoreUnavailable("full")
        return await self.engine.write(*args)

    async def read(self, *args):
        return await self.engine.read(*args)


@pytest.mark.parametrize("writes", range(8))
def test_a_crowd_is_whole_or_absent_wherever_it_stops(engine, blobs, loop, writes):
    """stage, three pieces, publish, four times spread: acknowledged from the fifth write on."""
    broken = Queue(Failing(engine, writes), blobs)
    submission = Post(broken, blobs, loop).submission("e1", crowd(1100))
    if writes < 5:
        with pytest.raises(StoreUnavailable):
            loop.run(broken.enqueue(submission))
    else:
        loop.run(broken.enqueue(submission))
    queue = Queue(engine, blobs)  # after the crash
    assert len(loop.run(queue.envelopes())) == (writes >= 5)
    due = loop.run(queue.due(NOW, 10))
    if writes < 5:
        assert due == []
        assert empty(engine, loop)
    else:
        assert due == [DueDestination("a.example", NOW)]
        found = []
        while (claim := claimed(queue, loop, limit=500)) is not None:
            found += [r.index for r in claim.envelope.recipients]
        assert found == list(range(1100))


@pytest.mark.parametrize("writes", [1, 2])
def test_an_interrupted_removal_is_finished(engine, queue, post, blobs, loop, writes):
    post("e1", crowd(1600))
    broken = Queue(Failing(engine, writes), blobs)
    assert loop.run(broken.drop("e1"))
    assert loop.run(queue.envelope("e1")) is None
    assert claimed(queue, loop) is None
    assert not empty(engine, loop)
    assert loop.run(Queue(engine, blobs).due(NOW, 10)) == []
    assert empty(engine, loop)


def test_an_interrupted_hold_holds_already(engine, queue, post, blobs, loop):
    post("e1", crowd(1100))
    assert loop.run(Queue(Failing(engine, 2), blobs).hold("e1", True))
    assert claimed(queue, loop) is None
    assert loop.run(Queue(engine, blobs).due(NOW, 10)) == []


def test_a_repeated_enqueue_completes_what_failed(engine, blobs, loop):
    broken = Queue(Failing(engine, 3), blobs)
    submission = Post(broken, blobs, loop).submission("e1", crowd(1100))
    with pytest.raises(StoreUnavailable):
        loop.run(broken.enqueue(submission))
    queue = Queue(engine, blobs)
    loop.run(queue.enqueue(submission))
    assert len(loop.run(queue.envelope("e1")).recipients) == 1100


def test_a_crowd_does_not_hide_other_destinations(queue, post, loop):
    post("e1", crowd(2100, next_try=NOW - 100))
    post("e2", ["b.example", QueuedRecipient(1, "u@c.example", "c.example", next_try=NOW + 1)])
    post("e3", ["b.example"])
    assert loop.run(queue.due(NOW, 10)) == [
        DueDestination("a.example", NOW - 100),
        DueDestination("b.example", NOW),
    ]
    assert loop.run(queue.due(NOW, 1)) == [DueDestination("a.example", NOW - 100)]


def test_what_has_a_higher_priority_goes_first(queue, post, loop):
    for number, priority in enumerate((-9, 0, -1, 9, 0, 1, 9)):
        row = QueuedRecipient(0, "u@a.example", "a.example", next_try=NOW + number)
        post(f"e{number}", [row], options=MailOptions(priority=priority))
    post("far", ["b.example"], options=MailOptions(priority=9))
    late = QueuedRecipient(0, "u@a.example", "a.example", next_try=NOW + 50)
    post("not due", [late], options=MailOptions(priority=9))
    first = loop.run(queue.claim("a.example", NOW + 10, 60.0, 10, 3))
    assert [claim.envelope.id for claim in first] == ["e3", "e6", "e5"]
    rest = loop.run(queue.claim("a.example", NOW + 10, 60.0, 10, 9))
    assert [claim.envelope.id for claim in rest] == ["e1", "e4", "e2", "e0"]


def test_the_newest_are_claimed_first_where_that_is_asked_for(queue, post, loop):
    for number in range(5):
        post(f"e{number}", [QueuedRecipient(0, "u@a.example", "a.example", next_try=NOW + number)])
    post("far", ["b.example"])
    newest = loop.run(queue.claim("a.example", NOW + 3, 60.0, 10, 2, (), True))
    assert [claim.envelope.id for claim in newest] == ["e3", "e2"]
    oldest = loop.run(queue.claim("a.example", NOW + 3, 60.0, 10, 2))
    assert [claim.envelope.id for claim in oldest] == ["e0", "e1"]


def test_a_low_priority_hides_no_other_and_does_not_wait_for_ever(queue, post, loop, monkeypatch):
    monkeypatch.setattr(queue_leases, "PRIORITY_SAMPLE", 3)
    for number, priority in enumerate((-4, -4, -4, -4, 0, 4)):
        row = QueuedRecipient(0, "u@a.example", "a.example", next_try=NOW + number)
        post(f"e{number}", [row], options=MailOptions(priority=priority))
    order = [loop.run(queue.claim("a.example", NOW + 10, 60.0, 10, 1))[0].envelope.id for _ in range(6)]
    assert order == ["e5", "e0", "e1", "e4", "e2", "e3"]


def as_by_schema_1(tx, blob_id):
    """Write an envelope as a version does that knows no priorities."""
    tx.execute(
        "INSERT INTO envelope (shard, id, phase, held, remaining, reverse_path, blob_id, created, expires, body, smtputf8,"
        " ret, envid, session, account_id, internaldate)"
        " VALUES (0, 'old', 'open', 0, 1, '', ?, ?, ?, '8BITMIME', 1, 'FULL', 'e', '', '', 0)",
        (blob_id, NOW, NOW + 9),
    )
    tx.execute(
        "INSERT INTO recipient (shard, envelope_id, number, destination, due_at, state, token, lease_until, next_try,"
        " attempts, address, account_id, plan, notify, orcpt, last_status, last_reply, last_host, delay_told)"
        " VALUES (0, 'old', 0, 'a.example', ?, 'waiting', '', 0, ?, 0, 'u@a.example', '', '', 'NEVER', '', '', '', '', 0)",
        (NOW, NOW),
    )


def test_what_an_older_version_wrote_has_no_priority(queue, post, engine, loop):
    blob = post("e1", ["b.example"]).blob.ref
    loop.run(engine.write(QUEUE, as_by_schema_1, blob.blob_id))
    envelope = claimed(queue, loop).envelope
    assert (envelope.id, envelope.options) == ("old", MailOptions(0, "8BITMIME", True, "FULL", "e"))
    assert envelope.recipients[0].options == RcptOptions(frozenset({"NEVER"}))


@pytest.mark.parametrize("count", [3, 1201])
def test_a_plan_that_many_have_is_written_once_and_each_has_it(queue, post, engine, loop, count):
    signed, other = '{"prefix":"DKIM-Signature: s\\r\\n"}', '{"sender":"a@b.example"}'
    rows = [
        QueuedRecipient(n, f"u{n}@a.example", f"{n % 2}.example", plan="" if n == 2 else other if n == 1 else signed)
        for n in range(count)
    ]
    post("e1", [replace(row, next_try=NOW) for row in rows])
    [(octets,)] = loop.run(engine.read(QUEUE, lambda tx: tx.execute("SELECT SUM(LENGTH(plan)) FROM recipient")))
    assert octets == len(signed) + len(other)
    wanted = {row.index: row.plan for row in rows}
    assert {one.index: one.plan for one in loop.run(queue.envelope("e1")).recipients} == wanted
    [listed] = loop.run(queue.envelopes())
    assert {one.index: one.plan for one in listed.recipients} == wanted
    found = {}
    for destination in ("0.example", "1.example"):
        while (claim := claimed(queue, loop, destination, limit=500)) is not None:
            found |= {one.index: one.plan for one in claim.envelope.recipients}
            assert settle(queue, loop, claim, DELIVERED)  # who has the plan written may have got the message already
    assert found == wanted
    assert empty(engine, loop)


@pytest.mark.parametrize("wanted", ["required", "optional"])
def test_what_is_wanted_of_tls_is_kept(queue, post, loop, wanted):
    options = MailOptions(0, "8BITMIME", True, "HDRS", "e", -1, wanted)
    post("e1", ["a.example"], options=options)
    post("e2", crowd(501), options=options)
    assert {claim.envelope.options for claim in loop.run(queue.claim("a.example", NOW, 60.0, 1000))} == {options}
    assert [loop.run(queue.envelope(one)).options for one in ("e1", "e2")] == [options, options]


def test_priority_of_an_envelope_that_enters_in_pieces(queue, post, loop):
    post("e1", ["a.example"])
    post("e2", crowd(501), options=MailOptions(priority=1))
    assert [claim.envelope.id for claim in loop.run(queue.claim("a.example", NOW, 60.0, 500, 1))] == ["e2"]


class Recording:
    """A transaction that keeps what it was asked."""

    def __init__(self, tx):
        self.tx = tx
        self.asked = []

    def execute(self, sql, parameters=()):
        self.asked.append((sql, parameters))
        return self.tx.execute(sql, parameters)

    def many(self, sql, rows):
        self.tx.many(sql, rows)


def plans(tx, unit, *args):
    """Run a unit and return (statement, query plan) of each statement it ran."""
    recording = Recording(tx)
    unit(recording, *args)
    return [
        (sql, [row[3] for row in tx.execute("EXPLAIN QUERY PLAN " + sql, parameters)])
        for sql, parameters in recording.asked
    ]


@pytest.mark.parametrize("engine", ["sqlite-memory"], indirect=True)
def test_no_statement_of_the_runner_scans_a_table(queue, post, engine, loop):
    post("e1", crowd(2100), facts=FACTS)
    post("e2", ["b.example"])
    for number in range(3, 9):
        post(f"e{number}", ["c.example"], facts=FACTS)
    for priority in (-1, 0, 1):
        post(f"p{priority}", ["d.example"], options=MailOptions(priority=priority))
    claim = claimed(queue, loop, limit=3)
    [few] = loop.run(queue.claim("c.example", NOW, 60.0, 10, 1))
    run = [
        (queue_leases.claim, 0, "c.example", NOW, NOW + 60, 10, 4, "token"),
        (queue_leases.claim_newest, 0, "c.example", NOW, NOW + 60, 10, 4, "token", ()),
        (queue_leases.settle, 0, Settlement(few.token, outcomes(few, WAITING, next_try=NOW))),
        (queue_leases.due, 0, NOW, 10),
        (queue_leases.next_due, 0, NOW),
        (queue_leases.claim, 0, "d.example", NOW, NOW + 60, 10, 4, "token"),
        (queue_leases.claim, 0, "a.example", NOW, NOW + 60, 10, 1, "token"),
        (queue_leases.claim, 0, "a.example", NOW, NOW + 60, 10, 4, "token"),
        (queue_leases.renew, 0, claim.token, NOW + 90),
        (queue_leases.settle, 0, Settlement(claim.token, outcomes(claim, DELIVERED, is_kept=True))),
        (queue_steering.steer, 0, "e1", [4, 5], Steering(NOW, "z.example")),
        (queue_steering.steer, 0, "e1", [4], Steering(NOW, given_up=DROPPED)),
        (queue_rows.retry, 0, None, NOW - 1),
        (queue_rows.retry, 0, "a.example", NOW - 1),
        (queue_rows.interrupted, 0),
        (queue_rows.drop, 0, "e2"),
    ]
    for unit, *args in run:
        for sql, plan in loop.run(engine.write(QUEUE, plans, unit, *args)):
            for step in plan:
                assert not re.match(r"SCAN (?!name|few|\d+-ROW)", step), (sql, plan)  # not tables
                assert not step.endswith("(shard=?)") or "MIN(" in sql or "unfinished" in step, (sql, plan)
                assert "TEMP B-TREE" not in step or "oldest" in sql, (sql, plan)


@pytest.mark.parametrize("engine", ["sqlite-memory"], indirect=True)
def test_a_plan_is_not_read_again_that_was_claimed_with_its_recipients(queue, post, engine, loop):
    for name, plan in (("e1", ""), ("e2", "signed")):
        rows = [QueuedRecipient(n, f"u{n}@{name}", f"{name}.example", plan=plan, next_try=NOW) for n in range(3)]
        post(name, rows)
    plain, shared = [
        loop.run(engine.write(QUEUE, plans, queue_leases.claim, 0, f"{name}.example", NOW, NOW + 60, 10, 4, "token"))
        for name in ("e1", "e2")
    ]
    assert len(plain) == len(shared)


class Steps:
    """Hundreds of steps of SQLite's virtual machine: work, whatever else the computer does."""

    def __init__(self, engine):
        self.count = 0
        engine._tenancies[QUEUE]._writer.set_progress_handler(self._step, 100)

    def _step(self):
        self.count += 1
        return False

    def taken(self):
        count, self.count = self.count, 0
        return count


def defer_one_claim(queue, loop, limit):
    claim = claimed(queue, loop, limit=limit)
    if claim is None:
        return False
    assert settle(queue, loop, claim, WAITING, next_try=NOW + 300, status="4.0.0", reply="later")
    assert len(loop.run(queue.due(NOW, 10))) <= 1
    return True


@pytest.mark.parametrize("engine", ["sqlite-memory"], indirect=True)
def test_ten_thousand_recipients_of_one_envelope_are_deferred_in_linear_work(queue, post, engine, loop):
    post("e1", crowd(10_000))
    steps = Steps(engine)
    costs = []
    while defer_one_claim(queue, loop, 100):
        costs.append(steps.taken())
    assert len(costs) == 100
    assert max(costs[90:]) < 2 * max(costs[2:12])


@pytest.mark.parametrize("engine", ["sqlite-memory"], indirect=True)
def test_thousands_of_envelopes_to_one_destination_are_claimed_in_linear_work(queue, post, engine, loop):
    steps = Steps(engine)

    def cost_of_a_claim():
        steps.taken()
        assert settle(queue, loop, claimed(queue, loop), WAITING, next_try=NOW, status="4.0.0", reply="later")
        return steps.taken()

    for number in range(10):
        post(f"e{number}", ["a.example"])
    few = max(cost_of_a_claim() for _ in range(5))
    for number in range(10, 2000):
        post(f"e{number}", ["a.example"])
    assert max(cost_of_a_claim() for _ in range(5)) < 3 * few + 5


# what is told about it


@pytest.mark.parametrize("engine", ["sqlite-memory"], indirect=True)
def test_the_end_of_an_envelope_is_logged_after_the_commit(queue, post, engine, loop):
    events = []

    def observe(event):
        if "fields" in event:
            envelope_id = event["fields"]["envelope"]
            events.append((event["event"], envelope_id, loop.run(queue.envelope(envelope_id))))

    globalLogPublisher.addObserver(observe)
    try:
        post("e1", ["a.example", "b.example"])
        post("e2", ["c.example"])
        settle(queue, loop, claimed(queue, loop), DELIVERED)
        assert events == []
        settle(queue, loop, claimed(queue, loop, "b.example"), FAILED)
        loop.run(queue.drop("e2"))
        loop.run(queue.drop("e2"))
    finally:
        globalLogPublisher.removeObserver(observe)
    assert events == [("queue.removed", "e1", None), ("queue.dropped", "e2", None)]


def test_the_states_are_documented():
    text = (Path(__file__).parents[2] / "docs" / "queue.rst").read_text()
    words = {WAITING, LEASED, DELIVERED, FAILED, queue_rows.STAGED, queue_rows.OPEN, queue_rows.SPREAD, queue_rows.GONE}
    assert {word for word in words if f"``{word}``" not in text} == set()
    steps = [int(number) for number in re.findall(r"^\*\*T(\d+) \w+(?:,| and|:)", text, re.M)]
    assert steps == sorted(steps)
    assert f"at most {queue_rows.UNIT_ROWS} recipients" in text
