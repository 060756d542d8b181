"""No order of commands passes a policy by: of every message that is taken all stages were asked, what each of them then found
counts once, and nothing that was found about another client, name or message does."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from smtp_fakes import World
from zope.interface import implementer

from mailnode.interfaces.policy import IPolicyChain
from mailnode.smtp.wire.limits import Limits
from mailnode.values.policy import PolicyRequest, ScoredReason, Verdict

TEXT = b"Subject: hi\r\nFrom: a@x.test\r\n\r\nbody\r\n"

COMMANDS: dict[str, bytes] = {
    "EHLO": b"EHLO one.test\r\n",
    "EHLO other": b"EHLO two.test\r\n",
    "HELO": b"HELO three.test\r\n",
    "MAIL": b"MAIL FROM:<a@x.test>\r\n",
    "MAIL other": b"MAIL FROM:<b@y.test>\r\n",
    "MAIL null": b"MAIL FROM:<>\r\n",
    "MAIL PRDR": b"MAIL FROM:<a@x.test> PRDR\r\n",
    "MAIL binary": b"MAIL FROM:<a@x.test> BODY=BINARYMIME\r\n",
    "RCPT alice": b"RCPT TO:<alice@us.test>\r\n",
    "RCPT bob": b"RCPT TO:<bob@us.test>\r\n",
    "RCPT nobody": b"RCPT TO:<nobody@us.test>\r\n",
    "DATA": b"DATA\r\n",
    "BDAT": b"BDAT %d\r\n%s" % (len(TEXT), TEXT),
    "BDAT empty": b"BDAT 0\r\n",
    "BDAT LAST": b"BDAT %d LAST\r\n%s" % (len(TEXT), TEXT),
    "BDAT empty LAST": b"BDAT 0 LAST\r\n",
    "BDAT bare CR": b"BDAT 3\r\na\rb",
    "RSET": b"RSET\r\n",
    "NOOP": b"NOOP\r\n",
    "VRFY": b"VRFY \xc3\xa4\r\n",
    "nonsense": b"XYZZY\r\n",
    "STARTTLS": b"STARTTLS\r\n",
    "XCLIENT": b"XCLIENT ADDR=192.0.2.7\r\n",
    "XCLIENT other": b"XCLIENT ADDR=192.0.2.8 HELO=five.test\r\n",
    "group": b"MAIL FROM:<a@x.test>\r\nRCPT TO:<alice@us.test>\r\nRCPT TO:<bob@us.test>\r\n",
    "group DATA": b"MAIL FROM:<b@y.test>\r\nRCPT TO:<bob@us.test>\r\nDATA\r\n",
    "group two": b"RSET\r\nMAIL FROM:<c@z.test>\r\nRCPT TO:<alice@us.test>\r\nBDAT 0\r\n" * 2,
}
TROUBLE = ("writer", "accept")  # what the store may fail with at a step
WHAT = [*COMMANDS, *(f"trouble {name}" for name in TROUBLE), "no trouble"]


@implementer(IPolicyChain)
@dataclass
class Counting:
    """Finds something else each time it is asked, and refuses where it is told to."""

    refuses: dict[str, str] = field(default_factory=dict)  # stage -> action
    asked: list[tuple[PolicyRequest, Verdict]] = field(default_factory=list)

    def judges(self, stage: str, known: bool) -> bool:
        return True

    async def ask(self, request: PolicyRequest) -> Verdict:
        reason = ScoredReason("counting", f"{request.stage} {len(self.asked)}", 1.0)
        verdict = Verdict(self.refuses.get(request.stage, "pass"), reasons=(reason,))
        self.asked.append((request, verdict))
        return verdict


def run(steps: list[tuple[str, str, str]]) -> tuple[World, Counting]:
    """Say commands. :param steps: command, a stage, and what the policies of that stage say from then on."""
    chain = Counting()
    limits = Limits(errors_slow=10_000, errors_max=10_000)
    world = World(policies=chain, limits=limits, relay_from="10.0.0.0/32")
    client: Any = world.client("10.2.0.1")
    for what, stage, action in steps:
        chain.refuses = {stage: action}
        if what.startswith("trouble "):
            world.delivery.fails[what.removeprefix("trouble ")] = ZeroDivisionError()
            continue
        if what == "no trouble":
            world.delivery.fails.clear()
            continue
        answer = client.say(COMMANDS[what])
        if answer.endswith("354 End data with <CR><LF>.<CR><LF>\r\n"):
            client.say(TEXT + b".\r\n")
        elif what == "STARTTLS" and answer.startswith("220"):
            client.secure()
        if client.closed:
            break
    return world, chain


def check(world: World, chain: Counting) -> None:
    """Look at each message that was taken, and find who was asked about it."""
    ends = {request.envelope.id: at for at, (request, _) in enumerate(chain.asked) if request.envelope is not None}
    for envelope, _, _ in world.delivery.accepted:
        at = ends[envelope.id]
        request, _ = chain.asked[at]
        assert request.envelope is not None
        before = chain.asked[:at]
        begun = last(before, "mail")
        assert chain.asked[begun][0].reverse_path == envelope.reverse_path
        during = before[begun + 1 :]
        assert not [one for one, said in during if one.stage in ("connect", "helo") and said.action == "pass"]
        connected, greeted = last(before[:begun], "connect"), last(before[:begun], "helo")
        assert connected < greeted < begun
        assert chain.asked[connected][0].origin.peer == envelope.origin.peer
        assert chain.asked[greeted][0].origin.helo == envelope.origin.helo
        named = [(one.recipient, said) for one, said in during if one.stage == "rcpt" and said.action == "pass"]
        data = last(before, "data")
        assert data > begun
        found = [chain.asked[number][1].reasons[0].text for number in (connected, greeted, begun, data)]
        assert [reason.text for reason in request.found.reasons] == found
        for recipient in envelope.recipients:
            first = next(said for one, said in named if one is not None and one.address == recipient.address)
            assert request.own[recipient.address] == first.reasons
        assert set(request.own) == {recipient.address for recipient in request.envelope.recipients}
    assert max(Counter(one.envelope.id for one, _ in chain.asked if one.envelope is not None).values(), default=1) == 1


def last(asked: list[tuple[PolicyRequest, Verdict]], stage: str) -> int:
    """Where it was asked last and said nothing against going on."""
    return max(at for at, (one, said) in enumerate(asked) if one.stage == stage and said.action == "pass")


STEPS = st.lists(
    st.tuples(
        st.sampled_from(WHAT),
        st.sampled_from(["none"] * 5 + ["connect", "helo", "mail", "rcpt", "data", "end"]),
        st.sampled_from(["refuse", "defer"]),
    ),
    min_size=5,
    max_size=25,
)


@settings(max_examples=150)
@given(STEPS)
def test_any_order(steps: list[tuple[str, str, str]]) -> None:
    check(*run([("EHLO", "none", "refuse"), *steps, ("RSET", "none", ""), *ONE]))


ONE = [(what, "none", "") for what in ("MAIL", "RCPT alice", "BDAT LAST")]


ORDERS = {
    "a second message": "EHLO MAIL RCPT-alice DATA EHLO MAIL RCPT-alice DATA",
    "a second message without EHLO": "EHLO MAIL RCPT-alice DATA MAIL RCPT-bob BDAT-LAST",
    "DATA refused, tried again": "EHLO MAIL RCPT-alice DATA!data DATA",
    "BDAT after a refused DATA": "EHLO MAIL RCPT-alice DATA!data BDAT BDAT-LAST",
    "BDAT of nothing after a refused DATA": "EHLO MAIL RCPT-alice DATA!data BDAT-empty-LAST",
    "chunks behind a refused one": "EHLO MAIL RCPT-alice BDAT!data BDAT BDAT-LAST MAIL RCPT-alice BDAT-LAST",
    "a faulty chunk": "EHLO MAIL RCPT-alice BDAT-bare-CR BDAT-LAST MAIL RCPT-alice DATA",
    "RSET": "EHLO MAIL RCPT-alice BDAT RSET MAIL-other RCPT-bob BDAT-LAST",
    "EHLO in a message": "EHLO MAIL RCPT-alice EHLO-other MAIL RCPT-alice DATA",
    "a refused EHLO in a message": "EHLO MAIL RCPT-alice EHLO-other!helo DATA",
    "a refused MAIL in front": "EHLO MAIL!mail MAIL-other RCPT-alice DATA",
    "a refused recipient": "EHLO MAIL RCPT-alice!rcpt RCPT-bob RCPT-nobody DATA",
    "a recipient twice": "EHLO MAIL RCPT-alice RCPT-alice RCPT-alice DATA",
    "STARTTLS": "EHLO MAIL RCPT-alice RSET STARTTLS EHLO MAIL RCPT-alice DATA",
    "XCLIENT": "EHLO XCLIENT EHLO-other MAIL RCPT-alice DATA RSET XCLIENT-other EHLO MAIL RCPT-alice DATA",
    "no room for what comes": "EHLO MAIL RCPT-alice trouble-writer DATA no-trouble DATA",
    "trouble at the end": "EHLO MAIL RCPT-alice trouble-accept DATA no-trouble MAIL RCPT-alice DATA",
    "refused at its end": "EHLO MAIL RCPT-alice DATA!end MAIL RCPT-alice DATA",
    "groups": "EHLO group DATA group-DATA group-two BDAT-LAST",
    "VRFY between": "EHLO MAIL VRFY RCPT-alice nonsense VRFY DATA",
    "binary": "EHLO MAIL-binary RCPT-alice DATA BDAT BDAT-empty-LAST MAIL RCPT-alice DATA",
}


# SMTP trap 13: after a refused end of DATA, a failed BDAT, VRFY with UTF-8, RSET: no policy is passed by
@pytest.mark.parametrize("words", ORDERS.values(), ids=ORDERS)
def test_an_order(words: str) -> None:
    steps = []
    for word in words.split():
        what, _, stage = word.partition("!")
        steps.append((what.replace("-", " "), stage or "none", "refuse"))
    world, chain = run(steps)
    check(world, chain)
    assert world.delivery.accepted


def test_a_message_that_passes_a_stage_by_is_found() -> None:
    """The check can fail."""
    world, chain = run([(what, "none", "") for what in ("EHLO", "MAIL", "RCPT alice", "DATA")])
    check(world, chain)
    chain.asked = [one for one in chain.asked if one[0].stage != "data"]
    with pytest.raises((AssertionError, ValueError)):
        check(world, chain)
