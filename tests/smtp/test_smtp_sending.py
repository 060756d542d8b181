"""Submission asks what an account may send, a recipient at a time."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pytest
from smtp_fakes import World
from zope.interface import implementer
from zope.interface.verify import verifyObject

from mailnode.errors import Refused, StoreUnavailable
from mailnode.interfaces.sending import ISending
from mailnode.smtp.wire.limits import Limits
from mailnode.values.sending import Admitted, Counted

LETTER = "Subject: hi\nFrom: alice@us.test\n\nbody\n.\n"


@implementer(ISending)
class Sending:
    """Says what the local part wants, and remembers."""

    def __init__(self) -> None:
        self.asked: list[tuple[str, str]] = []
        self.given_back: list[Counted] = []
        self.taken: list[list[str]] = []
        self.held = False

    async def admit(self, account_id: str, recipient: str, first: bool) -> Admitted:
        self.asked.append((account_id, recipient))
        if recipient.startswith("gone"):
            raise Refused("5.1.1", "It bounced")
        if recipient.startswith("later"):
            raise Refused("4.7.1", "So many")
        return Admitted(Counted(int(first), 1, 1), self.held)

    def give_back(self, account_id: str, counted: Counted) -> None:
        assert account_id
        self.given_back.append(counted)

    def sent(self, account_id: str, recipients: Sequence[str]) -> None:
        assert account_id
        self.taken.append(list(recipients))

    async def bounced(self, account_id: str, recipient: str, status: str, reply: str) -> None:
        raise AssertionError("no session is told of bounces")

    async def returned(self, account_ids: Sequence[str], envelope_ids: Sequence[str], failures: object) -> None:
        raise AssertionError("no session is told of notices")


def submission(**options: Any) -> tuple[Sending, World, Any]:
    sending = Sending()
    world = World("submission", tls="implicit", sending=sending, **options)
    client = world.client()
    client.secure()
    client.heard()
    client.say("EHLO x\n")
    client.say("AUTH PLAIN AGFsaWNlAHNlY3JldA==\n")
    client.say("MAIL FROM:<alice@us.test>\n")
    return sending, world, client


def test_one_recipient_alone_is_refused() -> None:
    sending, world, client = submission()
    verifyObject(ISending, sending)
    assert client.codes("RCPT TO:<Bob@There.test>\n") == ["250"]
    assert client.say("RCPT TO:<gone@there.test>\n") == "550 5.1.1 It bounced\r\n"
    assert client.codes("RCPT TO:<nobody@us.test>\n") == ["550"]
    client.say("DATA\n")
    assert client.say(LETTER).startswith("250")
    envelope, _, _ = world.delivery.accepted[0]
    assert [str(one.address) for one in envelope.recipients] == ["Bob@There.test"]
    account = envelope.origin.account_id
    assert sending.asked == [(account, "bob@there.test"), (account, "gone@there.test")]
    assert (sending.taken, sending.given_back) == ([["bob@there.test"]], [])


def test_a_recipient_named_twice_is_asked_about_once() -> None:
    sending, _, client = submission()
    assert client.codes("RCPT TO:<bob@there.test>\nRCPT TO:<bob@there.test>\n") == ["250", "250"]
    assert len(sending.asked) == 1


def test_an_old_list_does_not_end_the_connection() -> None:
    _, _, client = submission(limits=Limits(errors_max=3))
    assert client.codes("RCPT TO:<gone@there.test>\n" * 10) == ["550"] * 10
    assert client.codes("RCPT TO:<bob@there.test>\n") == ["250"]
    assert client.codes("NOP\n" * 4)[-1] == "421"


def test_a_limit_is_told_as_temporary() -> None:
    _, _, client = submission()
    assert client.say("RCPT TO:<later@there.test>\n") == "450 4.7.1 So many\r\n"


@pytest.mark.parametrize("end", ["reset", "next", "gone", "refused", "store"])
def test_what_comes_to_nothing_is_given_back_once(end: str) -> None:
    sending, world, client = submission()
    client.say("RCPT TO:<bob@there.test>\nRCPT TO:<eve@there.test>\nRCPT TO:<gone@there.test>\n")
    if end == "reset":
        client.say("RSET\n")
    elif end == "next":
        client.say("EHLO again\n")
    elif end == "gone":
        client.hang_up()
    else:
        if end == "store":
            world.delivery.fails["accept"] = StoreUnavailable()
        client.say("DATA\n")
        assert client.codes(LETTER.replace("alice", "alice" if end == "store" else "eve"))[0] in ("451", "550")
    if end != "gone":
        client.say("RSET\nQUIT\n")
    assert (sending.taken, sending.given_back) == ([], [Counted(1, 2, 2)])


def test_what_is_to_be_held_says_so_on_its_way() -> None:
    sending, world, client = submission()
    sending.held = True
    client.say("RCPT TO:<bob@there.test>\nDATA\n")
    client.say(LETTER)
    assert [envelope.held for envelope, _, _ in world.delivery.accepted] == [True]
