"""A message that is tried: every policy is asked at every stage, whatever one before it said, and the first refusal decides."""

from __future__ import annotations

from typing import Any

import pytest
from smtp_fakes import FakeDelivery, FakeRouter
from twisted.internet.defer import Deferred
from twisted.internet.task import Clock
from zope.interface import implementer

from mailnode.interfaces.policy import IPolicy
from mailnode.policy.chain import ChainedPolicy, PolicyChain
from mailnode.policy.decision import Thresholds
from mailnode.smtp.trial import PIECE, MailTrial
from mailnode.values.address import parse_address
from mailnode.values.policy import PASS, Verdict
from mailnode.values.trial import Tried, TriedMail

MESSAGE = b"From: a@x.test\nSubject: x\n\nhello\n"
REFUSE = Verdict("refuse", "5.7.1", "No", reason="listed in z.test", score=1.0)
DEFER = Verdict("defer", "4.7.1", "Later")


@implementer(IPolicy)
class Answers:
    """A policy that answers by stage, and keeps what it was asked."""

    only_strangers = True

    def __init__(self, name: str, **verdicts: Any) -> None:
        self.name = name
        self.verdicts = verdicts
        self.stages = frozenset(verdicts)
        self.asked: list[Any] = []

    async def judge(self, request: Any) -> Verdict:
        self.asked.append(request)
        said = self.verdicts[request.stage]
        return said.get(str(request.recipient.address), PASS) if isinstance(said, dict) else said  # type: ignore[no-any-return]


def tried(
    *policies: Answers, message: bytes = MESSAGE, rcpt: tuple[str, ...] = ("alice@us.test",), claimed: int = 0
) -> Tried:
    clock = Clock()
    links = [ChainedPolicy(one) for one in policies]
    chain = PolicyChain(links, clock, "us.test", Thresholds(5.0, 15.0), past_refusals=True)

    async def read(at: int, length: int) -> bytes:
        assert length <= PIECE
        return message[at : at + length]

    recipients = tuple(map(parse_address, rcpt))
    mail = TriedMail("192.0.2.7", "mail.x.test", parse_address("a@x.test"), recipients, claimed or len(message), read)
    trial = MailTrial(mail, chain, FakeRouter(), clock, "us.test")
    done: list[Tried] = []
    Deferred.fromCoroutine(trial.run(FakeDelivery())).addCallback(done.append)  # type: ignore[arg-type]
    clock.pump([0] * (3 + len(message) // PIECE))
    [told] = done
    return told


def refusals(told: Tried) -> list[tuple[str, str, str, str]]:
    return [(one.stage, one.policy, one.recipient, one.reply[:3]) for one in told.refusals]


def test_who_is_refused_before_the_greeting_is_judged_to_the_end() -> None:
    first = Answers("first", connect=DEFER, mail=REFUSE, end=REFUSE)
    second = Answers("second", connect=Verdict(score=1.5), helo=PASS, rcpt=PASS, data=PASS, end=Verdict(score=2.0))
    told = tried(first, second)
    assert [one.stage for one in second.asked] == ["connect", "helo", "rcpt", "data", "end"]
    assert second.asked[-1].found.score == 3.5  # what was found before the refusals, and with them, counts on
    assert refusals(told) == [
        ("connect", "first", "", "421"),
        ("mail", "first", "", "550"),
        ("end", "first", "", "550"),
    ]
    assert (told.outcome, told.policy, told.stage, told.reply[:3]) == ("defer", "first", "connect", "421")
    assert [(one.outcome, one.reply[:3]) for one in told.recipients] == [("defer", "421")]
    assert (told.score, told.header) == (5.5, b"")


def test_behind_a_refusal_the_others_of_its_stage_are_asked_and_the_first_one_decides() -> None:
    told = tried(Answers("first", end=REFUSE), Answers("second", end=DEFER), Answers("third", end=Verdict(score=1.0)))
    assert [(one.answer.policy, one.answer.answer) for one in told.answers] == [
        ("first", "refuse"),
        ("second", "defer"),
        ("third", "suspect"),
    ]
    assert (told.outcome, told.policy, told.stage) == ("refuse", "first", "end")


def test_recipients_that_are_refused_are_left_out_while_others_are_there() -> None:
    policy = Answers("rates", rcpt={"bob@us.test": DEFER}, end=PASS)
    told = tried(policy, rcpt=("nobody@us.test", "bob@us.test", "alice@us.test"))
    assert [str(one.address) for one in policy.asked[-1].envelope.recipients] == ["alice@us.test"]
    assert refusals(told) == [("rcpt", "", "nobody@us.test", "550"), ("rcpt", "rates", "bob@us.test", "451")]
    assert [one.outcome for one in told.recipients] == ["refuse", "defer", "inbox"]
    assert (told.outcome, told.policy, told.stage) == ("inbox", "", "")


def test_where_policies_refuse_all_of_them_the_message_is_judged_for_these() -> None:
    policy = Answers("rates", rcpt=DEFER, end=REFUSE)
    told = tried(policy)
    assert [str(one.address) for one in policy.asked[-1].envelope.recipients] == ["alice@us.test"]
    assert refusals(told) == [("rcpt", "rates", "alice@us.test", "451"), ("end", "rates", "", "550")]
    assert (told.outcome, told.stage, told.policy) == ("defer", "rcpt", "rates")


def test_without_recipients_and_with_unknown_ones_the_message_is_judged_too() -> None:
    for rcpt, outcome in (((), "inbox"), (("nobody@us.test",), "refuse")):
        policy = Answers("says", end=Verdict(score=0.5))
        told = tried(policy, rcpt=rcpt)
        assert told.outcome == outcome and not told.policy
        assert policy.asked[-1].envelope.recipients == ()
        assert told.score == 0.5


def test_a_message_of_many_pieces_is_judged_whole_with_its_lines_ending_as_they_should() -> None:
    body = b"x" * 70 + b"\n"
    policy = Answers("says", end=PASS)
    told = tried(policy, message=MESSAGE + body * 4000)
    assert told.outcome == "inbox"
    [asked] = policy.asked
    assert asked.size - len(asked.header) == 4000 * 72 + 7
    assert asked.header.endswith(b"Subject: x\r\n\r\n")


@pytest.mark.parametrize("message", [b"", b"\n", b"no header", b"\0\xff\r\r\n", b"From: a@x.test", b"\r\n.\r\n"])
def test_whatever_a_file_holds_is_judged(message: bytes) -> None:
    policy = Answers("says", end=PASS)
    assert tried(policy, message=message).outcome == "inbox"
    assert len(policy.asked) == 1


def test_a_file_that_gets_shorter_meanwhile_is_judged_as_it_is() -> None:
    policy = Answers("says", end=PASS)
    assert tried(policy, claimed=len(MESSAGE) + 1000).outcome == "inbox"
    assert policy.asked[0].size - len(policy.asked[0].header) == len(b"hello\r\n")


def test_what_cannot_be_taken_in_is_said() -> None:
    told = tried(Answers("says", end=PASS), message=b"A: b\n" * 300_000)
    assert told.outcome == "refuse" and not told.policy
    assert [one[0] for one in refusals(told)] == ["end"]
