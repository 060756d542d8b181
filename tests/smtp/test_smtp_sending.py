"""Submission asks what an account may send, a recipient at a time."""

from __future__ import annotations

from typing import Any

from smtp_fakes import World

from mailnode.errors import Refused
from mailnode.smtp.wire.limits import Limits

LETTER = "Subject: hi\nFrom: alice@us.test\n\nbody\n.\n"


class Sending:
    """Knows of one recipient that bounced."""

    def __init__(self) -> None:
        self.asked: list[tuple[str, str]] = []

    async def admit(self, account_id: str, recipient: str) -> None:
        self.asked.append((account_id, recipient))
        if recipient.startswith("gone"):
            raise Refused("5.1.1", "It bounced")


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
    assert client.codes("RCPT TO:<Bob@There.test>\n") == ["250"]
    assert client.say("RCPT TO:<gone@there.test>\n") == "550 5.1.1 It bounced\r\n"
    assert client.codes("RCPT TO:<nobody@us.test>\n") == ["550"]
    client.say("DATA\n")
    assert client.say(LETTER).startswith("250")
    envelope, _, _ = world.delivery.accepted[0]
    assert [str(one.address) for one in envelope.recipients] == ["Bob@There.test"]
    account = envelope.origin.account_id
    assert sending.asked == [(account, "bob@there.test"), (account, "gone@there.test")]


def test_a_recipient_named_twice_is_asked_about_once() -> None:
    sending, _, client = submission()
    assert client.codes("RCPT TO:<bob@there.test>\nRCPT TO:<bob@there.test>\n") == ["250", "250"]
    assert len(sending.asked) == 1


def test_an_old_list_does_not_end_the_connection() -> None:
    _, _, client = submission(limits=Limits(errors_max=3))
    assert client.codes("RCPT TO:<gone@there.test>\n" * 10) == ["550"] * 10
    assert client.codes("RCPT TO:<bob@there.test>\n") == ["250"]
    assert client.codes("NOP\n" * 4)[-1] == "421"
