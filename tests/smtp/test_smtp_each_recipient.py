"""A message that policies refuse for some of its recipients: each hears its own reply, by LMTP and by SMTP with PRDR."""

from __future__ import annotations

from typing import Any

import pytest
from smtp_fakes import World
from twisted.internet.task import Clock
from zope.interface import implementer

from mailnode.interfaces.policy import IPolicy
from mailnode.policy.chain import ChainedPolicy, PolicyChain
from mailnode.values.address import parse_address
from mailnode.values.plan import JUNK
from mailnode.values.policy import PASS, PolicyRequest, Verdict

ALICE, BOB = parse_address("alice@us.test"), parse_address("bob@us.test")
NOT_BOB = Verdict(own={BOB: Verdict("refuse", "5.7.1", "not for bob"), ALICE: Verdict()})
MESSAGE = "Subject: hi\n\nbody\n.\n"


def client(kind: str, parameter: str, verdict: Verdict) -> tuple[World, Any]:
    world = World(kind, tls="none")
    world.policies.verdicts["end"] = verdict
    made = world.client()
    made.say("LHLO x\n" if kind == "lmtp" else "EHLO x\n")
    made.say(f"MAIL FROM:<a@x.test>{parameter}\n")
    for recipient in ("alice@us.test", "bob@us.test", "nobody@us.test", "alice@us.test"):
        made.say(f"RCPT TO:<{recipient}>\n")
    made.say("DATA\n")
    return world, made


@pytest.mark.parametrize(("kind", "parameter"), [("lmtp", ""), ("smtp", " PRDR")])
def test_who_is_refused_gets_no_copy_and_the_others_do(kind: str, parameter: str, log: Any) -> None:
    world, sender = client(kind, parameter, NOT_BOB)
    answers = sender.say(MESSAGE).splitlines()
    if kind == "smtp":
        assert answers.pop(0).startswith("353 ")
        assert answers.pop().startswith("250 2.0.0 queued as")
    assert answers[0] == answers[2]
    assert answers[0].startswith("250 2.0.0 queued as")
    assert answers[1] == "550 5.7.1 not for bob"
    assert len(answers) == 3
    (envelope, _, _) = world.delivery.accepted[0]
    assert [one.address for one in envelope.recipients] == [ALICE]
    assert world.delivery.judgements[0].recipients == (ALICE,)
    refused = [fields for name, fields in log if name == "recipient.refused"][-1]
    assert (refused["recipient"], refused["reason"], refused["envelope"]) == (str(BOB), "not for bob", envelope.id)
    assert [fields["recipients"] for name, fields in log if name == "message.accepted"] == [1]
    assert world.policies.requests[-1].answers_each


@pytest.mark.parametrize(("kind", "parameter", "each"), [("lmtp", "", 3), ("smtp", " PRDR", 1)])
@pytest.mark.parametrize(
    "verdict",
    [
        Verdict("refuse", "5.7.1", "for nobody"),
        Verdict(own={ALICE: Verdict("refuse", "5.7.1", "for nobody"), BOB: Verdict("refuse", "5.7.1", "for nobody")}),
    ],
)
def test_what_is_for_nobody_is_refused_as_a_whole(kind: str, parameter: str, each: int, verdict: Verdict) -> None:
    world, sender = client(kind, parameter, verdict)
    assert sender.say(MESSAGE).splitlines() == ["550 5.7.1 for nobody"] * each
    assert world.delivery.accepted == []
    assert sender.codes("MAIL FROM:<a@x.test>\n") == ["250"]


def test_trouble_is_everybodys() -> None:
    world, sender = client("smtp", " PRDR", NOT_BOB)
    world.delivery.fails["accept"] = ZeroDivisionError()
    assert sender.codes(MESSAGE) == ["451"]


def test_without_prdr_nobodys_copy_is_lost_by_anothers_verdict() -> None:
    """The chain says so itself; a chain that would not must not lose mail."""
    world, sender = client("smtp", "", NOT_BOB)
    assert sender.codes(MESSAGE) == ["250"]
    assert not world.policies.requests[-1].answers_each
    assert len(world.delivery.accepted[0][0].recipients) == 2


def test_the_next_message_of_the_session_asks_again() -> None:
    world, sender = client("smtp", " PRDR", NOT_BOB)
    sender.say(MESSAGE)
    assert sender.codes("MAIL FROM:<a@x.test>\nRCPT TO:<bob@us.test>\nRCPT TO:<alice@us.test>\nDATA\n")[-1] == "354"
    world.policies.verdicts.clear()
    assert sender.codes(MESSAGE) == ["250"]
    assert not world.policies.requests[-1].answers_each


@pytest.mark.parametrize("last", ["BDAT 2 LAST\n", "BDAT 0 LAST\n"])
def test_chunks_too(last: str) -> None:
    world, sender = client("smtp", " PRDR", NOT_BOB)
    sender.say(MESSAGE)
    sender.say("MAIL FROM:<a@x.test> PRDR\nRCPT TO:<alice@us.test>\nRCPT TO:<bob@us.test>\n")
    assert sender.codes("BDAT 5\nx\n\n") == ["250"]
    assert sender.codes(last + ("\n" if "2" in last else "")) == ["353", "250", "550", "250"]
    assert len(world.delivery.accepted) == 2


@implementer(IPolicy)
class OfBob:
    """At RCPT it finds 20 points against what is for bob, and for everybody else nothing."""

    name = "of-bob"
    stages = frozenset(["rcpt"])
    only_strangers = False

    async def judge(self, request: PolicyRequest) -> Verdict:
        assert request.recipient is not None
        return Verdict(score=20.0, reason="known for it") if request.recipient.address == BOB else PASS


@pytest.mark.parametrize(("kind", "parameter"), [("lmtp", ""), ("smtp", " PRDR"), ("smtp", "")])
def test_the_chain_refuses_for_one_where_that_one_can_hear_it(kind: str, parameter: str) -> None:
    chain = PolicyChain([ChainedPolicy(OfBob())], Clock(), "us.test")
    world = World(kind, tls="none", policies=chain)
    sender = world.client()
    sender.say("LHLO x\n" if kind == "lmtp" else "EHLO x\n")
    sender.say(f"MAIL FROM:<a@x.test>{parameter}\nRCPT TO:<alice@us.test>\nRCPT TO:<bob@us.test>\nDATA\n")
    codes = sender.codes(MESSAGE)
    (judgement,) = world.delivery.judgements
    if kind == "lmtp" or parameter:
        assert codes == (["250", "550"] if kind == "lmtp" else ["353", "250", "550", "250"])
        assert judgement.recipients == (ALICE,)
    else:
        assert codes == ["250"]
        assert judgement.plan(BOB).special_use == JUNK
    assert judgement.plan(ALICE).special_use == ""
