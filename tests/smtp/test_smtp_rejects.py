"""Those whose mail was refused are told of it, if it was a policy that refused it."""

from __future__ import annotations

import pytest
from smtp_fakes import World
from zope.interface import implementer

from mailnode.interfaces.delivery import IRejects
from mailnode.values.policy import Verdict
from mailnode.values.refused import RefusedMail

ENVELOPE = "MAIL FROM:<a@far.test>\nRCPT TO:<alice@us.test>\n"
MESSAGE = "Subject: hi\n\nbody\n.\n"


@implementer(IRejects)
class Shown:
    def __init__(self) -> None:
        self.noted: list[RefusedMail] = []

    def note(self, refused: RefusedMail) -> None:
        self.noted.append(refused)


def send(stage: str, verdict: Verdict) -> list[RefusedMail]:
    shown = Shown()
    world = World(rejects=shown)
    world.policies.verdicts[stage] = verdict
    client = world.client()
    client.say("EHLO far.test\n")
    client.say(ENVELOPE)
    client.say("DATA\n")
    client.say(MESSAGE)
    return shown.noted


def test_at_the_end_with_the_header() -> None:
    (one,) = send("end", Verdict("refuse", "5.7.1", "no, thanks", reason="cheap", by="words"))
    assert [str(address) for address in one.recipients] == ["alice@us.test"]
    assert (one.helo, one.reply, one.why) == ("far.test", "550 5.7.1 no, thanks", "words: cheap")
    assert b"Subject: " in one.header


def test_at_rcpt_and_data_without_one() -> None:
    for stage in ("rcpt", "data"):
        noted = send(stage, Verdict("refuse", "5.7.1", "no"))
        assert [(one.header, [str(to) for to in one.recipients]) for one in noted] == [(b"", ["alice@us.test"])]


@pytest.mark.parametrize("stage", ["connect", "helo", "mail"])
def test_before_the_recipients_are_known_nobody_is_told(stage: str) -> None:
    assert send(stage, Verdict("refuse", "5.7.1", "no")) == []


def test_what_is_put_off_comes_again() -> None:
    assert send("end", Verdict("defer", "4.7.1", "later")) == []


def test_what_no_policy_refuses_is_not_shown() -> None:
    shown = Shown()
    world = World(rejects=shown)
    client = world.client()
    client.say("EHLO far.test\n")
    client.say("MAIL FROM:<a@far.test>\n")
    assert client.say("RCPT TO:<nobody@elsewhere.test>\n").startswith("5")
    assert shown.noted == []
