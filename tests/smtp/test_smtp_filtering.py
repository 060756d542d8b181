"""What a session does with what scripts make of a message."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from smtp_fakes import World
from zope.interface import implementer

from mailnode.errors import StoreUnavailable
from mailnode.interfaces.sieve import IFiltering
from mailnode.values.address import parse_address
from mailnode.values.envelope import Envelope, Origin
from mailnode.values.filtered import Filtered, ScriptMail
from mailnode.values.plan import Judgement
from mailnode.values.remembered import SEEN, ScriptMemory
from mailnode.values.smtp_reply import Reply

ALICE, BOB = parse_address("alice@us.test"), parse_address("bob@us.test")
REFUSAL = Reply(550, "5.7.1", ("not today", "nor tomorrow"))
MESSAGE = "Subject: hi\n\nbody\n.\n"


@implementer(IFiltering)
class Decided:
    """Says of every message what it was made to."""

    def __init__(self, nowhere: tuple[str, ...] = (), **made: Any) -> None:
        self.made = made
        self.nowhere = nowhere
        self.error: Exception | None = None
        self.asked: list[tuple[bytes, bool, float | None]] = []

    async def filtered(self, envelope, judgement, size, read, answers_each=False, score=None):  # type: ignore[no-untyped-def]
        self.asked.append((await read(0, size), answers_each, score))
        if self.error is not None:
            raise self.error
        judgement = judgement._replace(accounts=dict.fromkeys(self.nowhere, ()))
        return replace(Filtered(judgement), **self.made)


def sent(decided: Decided, kind: str = "smtp", *to: str) -> tuple[World, Any]:
    world = World(kind, tls="none", filtering=decided)
    client = world.client()
    client.say("LHLO x\n" if kind == "lmtp" else "EHLO x\n")
    client.say("MAIL FROM:<a@x.test>\n")
    for recipient in to or ("alice@us.test",):
        client.say(f"RCPT TO:<{recipient}>\n")
    client.say("DATA\n")
    return world, client


def test_scripts_are_shown_what_is_stored() -> None:
    decided = Decided()
    world, client = sent(decided)
    assert client.codes(MESSAGE) == ["250"]
    [(content, answers_each, score)] = decided.asked
    assert content == world.delivery.accepted[0][2]
    assert (answers_each, score) == (False, None)


def test_a_refusal_of_the_only_recipient_is_the_reply() -> None:
    world, client = sent(Decided(refused={ALICE: REFUSAL}))
    assert client.say(MESSAGE).splitlines() == ["550-5.7.1 not today", "550 5.7.1 nor tomorrow"]
    assert world.delivery.accepted == world.delivery.filtered == []
    assert world.delivery.writers[0].aborted


@pytest.mark.parametrize("kind", ["smtp", "lmtp"])
def test_what_goes_with_a_refusal_goes_out(kind: str) -> None:
    mail = (ScriptMail(Envelope("e2", None, (), Origin("s", "local"), 0.0), Judgement((), {}), b"other"),)
    decided = Decided(refused={ALICE: REFUSAL}, mail=mail)
    world, client = sent(decided, kind)
    assert client.say(MESSAGE).splitlines()[-1] == "550 5.7.1 nor tomorrow"
    [(envelope, filtered, blob)] = world.delivery.filtered
    assert (envelope.recipients, filtered.judgement.recipients, blob) == ((), (), None)
    assert filtered.mail == mail
    world.delivery.fails["accept"] = StoreUnavailable()
    client.say("MAIL FROM:<a@x.test>\nRCPT TO:<alice@us.test>\nDATA\n")
    assert client.codes(MESSAGE) == ["451"]


def test_over_lmtp_each_hears_its_own() -> None:
    decided = Decided(refused={ALICE: REFUSAL})
    world, client = sent(decided, "lmtp", "alice@us.test", "bob@us.test")
    answers = client.say(MESSAGE).splitlines()
    assert [answer[:4] for answer in answers] == ["550-", "550 ", "250 "]
    envelope, _, _ = world.delivery.accepted[0]
    assert [one.address for one in envelope.recipients] == [BOB]
    assert world.delivery.judgements[0].recipients == (BOB,)
    assert decided.asked[0][1]


def test_what_scripts_send_goes_the_same_way_as_the_message() -> None:
    remembered = (ScriptMemory("alice", SEEN, "k", 1.0),)
    world, client = sent(Decided(remembered=remembered))
    assert client.codes(MESSAGE) == ["250"]
    assert world.delivery.accepted == []
    [(_, filtered, blob)] = world.delivery.filtered
    assert filtered.remembered == remembered
    assert blob is not None and b"body" in blob.data


def test_trouble_is_temporary_and_nothing_is_kept() -> None:
    decided = Decided(remembered=(ScriptMemory("alice", SEEN, "k", 1.0),))
    world, client = sent(decided)
    world.delivery.fails["accept"] = StoreUnavailable()
    assert client.codes(MESSAGE) == ["451"]
    decided.error = StoreUnavailable()
    client.say("MAIL FROM:<a@x.test>\nRCPT TO:<alice@us.test>\nDATA\n")
    assert client.codes(MESSAGE) == ["451"]
    assert world.delivery.accepted == world.delivery.filtered == []


@pytest.mark.parametrize("sends", [False, True])
def test_a_message_that_nobody_gets_is_not_stored(sends: bool) -> None:
    other = Envelope("e2", None, (), Origin("s", "local"), 0.0)
    mail = (ScriptMail(other, Judgement((), {}), b"other"),) if sends else ()
    world, client = sent(Decided(("id-alice",), mail=mail))
    assert client.codes(MESSAGE) == ["250"]
    assert world.delivery.accepted == []
    assert world.delivery.writers[0].aborted
    assert [blob for _, _, blob in world.delivery.filtered] == ([None] if sends else [])
