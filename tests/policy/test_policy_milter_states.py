"""Every step that a milter is told with every reply there is, whatever octet it begins with, and with what is none."""

import pytest
from program_fakes import ALICE, ORIGIN, SENDER, at_end, judged
from test_policy_milter import CONTINUE, World, agrees

from mailnode.interfaces.programs import ProgramFailed
from mailnode.policy.milter_session import MilterOptions
from mailnode.policy.wire import milter
from mailnode.values.envelope import Origin, Recipient
from mailnode.values.policy import PolicyRequest, Verdict

# The stage of the policy at which each step is said.
STAGES = {
    milter.NEGOTIATE: "connect",
    milter.CONNECT: "connect",
    milter.HELO: "helo",
    milter.MAIL: "mail",
    milter.RCPT: "rcpt",
    milter.DATA: "data",
    milter.HEADER: "end",
    milter.END_OF_HEADER: "end",
    milter.BODY: "end",
    milter.END: "end",
}
ORDER = tuple(dict.fromkeys(STAGES.values()))
KINDS = [bytes([number]) for number in range(256)]
DATA = {
    milter.NEGOTIATE: agrees()[5:],
    milter.REPLY: b"451 4.7.0 later\0",
    milter.ADD_FIELD: b"X-A\0b\0",
    milter.INSERT_FIELD: bytes(4) + b"X-A\0b\0",
    milter.QUARANTINE: b"odd\0",
}
ANYWHERE = {
    milter.CONTINUE: "pass",
    milter.ACCEPT: "pass",
    milter.DISCARD: "pass",
    milter.PROGRESS: "pass",  # and then it goes on
    milter.REJECT: "refuse",
    milter.TEMPFAIL: "defer",
    milter.REPLY: "defer",
    milter.SHUTDOWN: "defer",
    milter.CONNECTION_FAILED: "defer",
}
AT_THE_END = {milter.ADD_FIELD: "pass", milter.INSERT_FIELD: "pass", milter.QUARANTINE: "quarantine", b"m": "pass"}
UNFINISHED = {*AT_THE_END, milter.PROGRESS}  # another reply follows these


def expected(step, kind):
    """Return what comes of a reply."""
    if step == milter.NEGOTIATE:
        return "pass" if kind == milter.NEGOTIATE else "failed"
    if kind == milter.DISCARD and STAGES[step] == "end":
        return "quarantine"
    if kind == milter.SKIP and step == milter.BODY:
        return "pass"
    return ANYWHERE.get(kind) or (AT_THE_END.get(kind) if step == milter.END else None) or "failed"


def asked(stage):
    if stage == "end":
        return at_end()
    origin = Origin("s1", "SMTP", ORIGIN.peer) if stage == "connect" else ORIGIN
    return PolicyRequest(stage, origin, SENDER, Recipient(ALICE) if stage == "rcpt" else None)


def what_comes_of(step, said):
    """Answer a step so, and others well; return the world and what comes of its stage: an action, or "failed"."""
    world = World(replies={step: said})
    for stage in ORDER[: ORDER.index(STAGES[step]) + 1]:
        outcome = []
        judged(world.policy, asked(stage)).addBoth(outcome.append)
        world.clock.advance(MilterOptions.model_fields["timeout"].default + 1)
    (found,) = outcome
    if isinstance(found, Verdict):
        return world, found.action
    assert found.check(ProgramFailed), found.getTraceback()
    return world, "failed"


@pytest.mark.parametrize("step", STAGES)
def test_every_reply_at_every_step(step):
    for kind in KINDS:
        said = milter.octets(kind, DATA.get(kind, b"")) + (CONTINUE if kind in UNFINISHED else b"")
        world, action = what_comes_of(step, said)
        assert action == expected(step, kind), kind
        link = world.programs.links[-1]
        ended = action == "failed" or kind in (milter.SHUTDOWN, milter.CONNECTION_FAILED)
        assert link.aborted == ended, kind
        if action == "failed":  # nothing more of this message is told it
            heard = len(world.heard)
            later = []
            judged(world.policy, asked("end")).addBoth(later.append)
            assert later[0].check(ProgramFailed) and len(world.heard) == heard


JUNK = {
    "nothing": b"",
    "half a length": b"\0\0",
    "half a packet": b"\0\0\0\5y45",
    "an empty packet": bytes(4),
    "one without an end": b"\xff\xff\xff\xff" + b"c" * 100,
    "words": b"220 mx.test ESMTP\r\n",
    "a reply that says nothing": milter.octets(milter.REPLY),
    "a reply with a code of another kind": milter.octets(milter.REPLY, b"250 fine\0"),
    "a reply that is no text": milter.octets(milter.REPLY, b"\xff\xfe\0"),
}


@pytest.mark.parametrize("junk", JUNK)
@pytest.mark.parametrize("step", STAGES)
def test_what_is_no_reply_is_a_failure_at_every_step(step, junk):
    world, action = what_comes_of(step, JUNK[junk])
    assert action == "failed"
    assert world.programs.links[-1].aborted
