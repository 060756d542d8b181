"""The log alone says how each message was judged: who refused it, at which stage, and why."""

from __future__ import annotations

from typing import Any

import pytest
from smtp_fakes import World
from twisted.internet.task import Clock
from twisted.logger import globalLogPublisher
from zope.interface import implementer

from mailnode.interfaces.policy import IPolicy
from mailnode.policy.chain import ChainedPolicy, PolicyChain
from mailnode.policy.decision import Thresholds
from mailnode.server.plugins import policy_factories
from mailnode.values.address import parse_address
from mailnode.values.policy import PASS, Verdict

MAIL = "MAIL FROM:<a@x.test>\n"
RCPT = "RCPT TO:<alice@us.test>\n"
MESSAGE = "DATA\nFrom: a@x.test\n\nhello\n.\n"
REFUSE = Verdict("refuse", "5.7.1", "No", reason="listed in z.test")


@implementer(IPolicy)
class Answers:
    """A policy that answers by stage."""

    only_strangers = True

    def __init__(self, name: str, **verdicts: Any) -> None:
        self.name = name
        self.verdicts = verdicts
        self.stages = frozenset(verdicts)

    async def judge(self, request: Any) -> Verdict:
        verdict = self.verdicts[request.stage]
        if isinstance(verdict, Exception):
            raise verdict
        return verdict  # type: ignore[no-any-return]


@pytest.fixture
def log() -> Any:
    events: list[tuple[str, dict[str, Any]]] = []

    def observe(event: Any) -> None:
        if "event" in event and "fields" in event:
            events.append((event["event"], event["fields"]))

    globalLogPublisher.addObserver(observe)
    yield events
    globalLogPublisher.removeObserver(observe)


def client(*policies: Answers) -> Any:
    chain = PolicyChain([ChainedPolicy(one) for one in policies], Clock(), "us.test", Thresholds(5.0, 15.0))
    made = World(policies=chain).client()
    made.say("EHLO far.test\n")
    return made


def of(log: Any, name: str) -> list[dict[str, Any]]:
    return [fields for event, fields in log if event == name]


def test_a_message_that_is_taken_has_one_line_with_all_answers(log: Any) -> None:
    lists = Answers("dnsbl", connect=PASS, rcpt=Verdict(score=2.5, reason="listed in z.test"))
    spf = Answers("spf", helo=Verdict(score=1.0, reason="no HELO"), mail=Verdict(score=-0.5, reason="SPF pass"))
    one = client(lists, spf)
    assert one.codes(MAIL + RCPT + MESSAGE) == ["250", "250", "354", "250"]
    [told] = of(log, "message.judged")
    assert told["outcome"] == "inbox" and told["score"] == 0.5 and told["sender"] == "a@x.test"
    assert told["verdicts"] == (
        "dnsbl@connect pass; spf@helo suspect +1.0 (no HELO); spf@mail trust -0.5 (SPF pass); "
        "dnsbl@rcpt suspect +2.5 (listed in z.test)"
    )
    [accepted] = of(log, "message.accepted")
    assert told["envelope"] == accepted["envelope"] and told["session"] == accepted["session"]
    assert one.codes(MAIL + RCPT + MESSAGE)[-1] == "250"
    assert len(of(log, "message.judged")) == 2


@pytest.mark.parametrize("stage", ["mail", "data", "end"])
def test_who_refused_a_message_and_why(log: Any, stage: str) -> None:
    one = client(Answers("dnsbl", helo=Verdict(score=1.0, reason="odd"), **{stage: REFUSE}))
    assert one.codes(MAIL + RCPT + MESSAGE.replace(".\n", "") + ".\n").count("550") >= 1
    [told] = of(log, "message.judged")
    assert (told["outcome"], told["policy"], told["stage"], told["reason"]) == (
        "refuse",
        "dnsbl",
        stage,
        "listed in z.test",
    )
    assert f"dnsbl@{stage} refuse (listed in z.test)" in told["verdicts"] and "dnsbl@helo suspect" in told["verdicts"]
    [refused] = of(log, "message.refused")
    assert (refused["policy"], refused["stage"], refused["reason"]) == ("dnsbl", stage, "listed in z.test")
    assert refused["envelope"] == told["envelope"]


def test_refused_recipients_name_the_policy_and_the_message_has_its_line_when_it_is_given_up(log: Any) -> None:
    one = client(Answers("dnsbl", rcpt=REFUSE))
    assert one.codes(MAIL + RCPT * 3) == ["250", "550", "550", "550"]
    refused = of(log, "recipient.refused")
    assert [(line["policy"], line["stage"], line["reason"]) for line in refused] == [
        ("dnsbl", "rcpt", "listed in z.test")
    ] * 3
    assert of(log, "message.judged") == []
    one.say("RSET\nQUIT\n")
    [told] = of(log, "message.judged")
    assert (told["outcome"], told["policy"], told["stage"]) == ("refuse", "dnsbl", "rcpt")


def test_the_client_that_is_refused(log: Any) -> None:
    client(Answers("dnsbl", connect=REFUSE))
    [ended] = of(log, "session.ended")
    assert ended["reason"] == "policy dnsbl at connect: listed in z.test"
    client(Answers("dnsbl", helo=Verdict("defer", "4.7.1", "Later")))
    [refused] = of(log, "command.refused")
    assert (refused["policy"], refused["stage"], refused["reason"]) == ("dnsbl", "helo", "Later")
    assert of(log, "message.judged") == []


def test_the_score_of_all_together_is_a_policy_that_refuses(log: Any) -> None:
    one = client(Answers("a", mail=Verdict(score=10.0, reason="x")), Answers("b", end=Verdict(score=7.0, reason="y")))
    assert one.codes(MAIL + RCPT + MESSAGE)[-1] == "550"
    [told] = of(log, "message.judged")
    assert (told["policy"], told["stage"], told["reason"]) == ("judgement", "end", "score 17.0 of 15.0")
    assert told["score"] == 17.0


def test_junk_for_one_of_two_is_mixed(log: Any) -> None:
    own = {parse_address("alice@us.test"): Verdict("quarantine", reason="words"), parse_address("bob@us.test"): PASS}
    one = client(Answers("words", end=Verdict(own=own)))
    assert one.codes(MAIL + RCPT + "RCPT TO:<bob@us.test>\n" + MESSAGE)[-1] == "250"
    [told] = of(log, "message.judged")
    assert told["outcome"] == "mixed" and "words@end quarantine (words)" in told["verdicts"]


def test_one_that_fails_says_so(log: Any) -> None:
    one = client(Answers("broken", mail=RuntimeError("on fire\n")))
    one.say(MAIL + RCPT + MESSAGE)
    [told] = of(log, "message.judged")
    assert told["verdicts"] == "broken@mail failed (RuntimeError: on fire?)"


def test_where_nobody_was_asked_nothing_is_said(log: Any) -> None:
    client().say(MAIL + RCPT + MESSAGE)
    assert of(log, "message.judged") == [] and len(of(log, "message.accepted")) == 1


def test_all_that_come_with_the_server_have_room_in_one_line(log: Any) -> None:
    names = list(policy_factories())
    at_length = {"helo": Verdict(score=0.1, reason="x" * 200), "end": Verdict(score=0.1, reason="y" * 200)}
    client(*(Answers(name, **at_length) for name in names)).say(MAIL + RCPT + MESSAGE)
    [told] = of(log, "message.judged")
    assert len(names) >= 15
    assert [name for name in names for stage in at_length if f"{name}@{stage} suspect" not in told["verdicts"]] == []
