"""DSN: whom it is offered, and what becomes of its parameters where it is not."""

from typing import Any

import pytest
from smtp_fakes import World

from mailnode.values.envelope import MailOptions, RcptOptions

ASKED = "RET=HDRS ENVID=x"
WANTED = "ORCPT=rfc822;b@there.test"


def sent(kind: str, notify: str, **options: Any) -> tuple[bool, MailOptions, RcptOptions]:
    """Return whether DSN was offered, and the options of an envelope that asked for it."""
    world = World(kind, tls="implicit" if kind == "submission" else "starttls")
    client = world.client(**options)
    if kind == "submission":
        client.secure()
        client.heard()
    offered = "250-DSN\r\n" in client.say(f"{'LHLO' if kind == 'lmtp' else 'EHLO'} x\n")
    if kind == "submission":
        client.say("AUTH PLAIN AGFsaWNlAHNlY3JldA==\n")
    assert client.codes(f"MAIL FROM:<alice@us.test> {ASKED}\n") == ["250"]
    assert client.codes(f"RCPT TO:<bob@us.test> NOTIFY={notify} {WANTED}\n") == ["250"]
    client.say("DATA\n")
    client.say("Subject: x\nFrom: alice@us.test\n\nbody\n.\n")
    envelope, _, _ = world.delivery.accepted[0]
    return offered, envelope.options, envelope.recipients[0].options


@pytest.mark.parametrize(
    ("kind", "options"),
    [("submission", {}), ("lmtp", {}), ("smtp", {"peer": "10.0.0.1"})],
    ids=["submission", "lmtp", "relay"],
)
def test_users_and_hosts_of_ours_are_offered_it_and_have_all_they_ask_for(kind: str, options: dict[str, Any]) -> None:
    offered, mail, rcpt = sent(kind, "SUCCESS,DELAY", **options)
    assert offered
    assert (mail.ret, mail.envid) == ("HDRS", "x")
    assert rcpt == RcptOptions(frozenset({"SUCCESS", "DELAY"}), "rfc822;b@there.test")


@pytest.mark.parametrize(
    ("asked", "granted"),
    [
        ("SUCCESS,FAILURE,DELAY", {"FAILURE", "DELAY"}),
        ("SUCCESS,FAILURE", {"FAILURE"}),
        ("SUCCESS", {"NEVER"}),
        ("FAILURE", {"FAILURE"}),
        ("NEVER", {"NEVER"}),
        ("nonsense", set()),
    ],
)
def test_a_stranger_is_not_and_has_no_more_notices_than_without(asked: str, granted: set[str]) -> None:
    offered, mail, rcpt = sent("smtp", asked)
    assert not offered
    assert (mail.ret, mail.envid) == ("HDRS", "x")
    assert rcpt == RcptOptions(frozenset(granted), "rfc822;b@there.test")


def test_who_is_spoken_for_is_who_counts() -> None:
    client = World(relay_from="10.0.0.0/8", xclient_from="10.2.0.0/16").client(peer="10.2.0.1")
    assert "250-DSN" in client.say("EHLO x\n")
    client.say("XCLIENT ADDR=192.0.2.9\n")
    assert "250-DSN" not in client.say("EHLO x\n")
    client.say("XCLIENT ADDR=10.0.0.9\n")
    assert "250-DSN" in client.say("EHLO x\n")
