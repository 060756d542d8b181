"""Strangers: who speaks before the greeting, who waits for it, and who comes too fast."""

from __future__ import annotations

from typing import Any

import pytest
from smtp_fakes import World
from twisted.internet.defer import Deferred
from twisted.internet.task import Clock

from mailnode.policy.decision import TO_JUNK
from mailnode.smtp import strangers
from mailnode.smtp.strangers import KNOWN_SECONDS, Rates, Strangers
from mailnode.smtp.wire.limits import Limits
from mailnode.values.networks import client_key, neighbours_key
from mailnode.values.policy import Verdict

MESSAGE = "EHLO x\nMAIL FROM:<a@x.test>\nRCPT TO:<alice@us.test>\nDATA\n"
TEXT = "Subject: hi\n\nbody\n.\n"


def limited(log: Any) -> list[tuple[str, str, int]]:
    return [(f["peer"], f["what"], f["limit"]) for name, f in log if name == "client.limited"]


# The greeting


# SMTP trap 10: before the greeting
@pytest.mark.parametrize("slow_policy", [False, True])
def test_who_speaks_first_is_refused(slow_policy: bool, log: Any) -> None:
    """There need not be a pause: whenever the greeting is not out yet."""
    world = World(greet_pause=0.0 if slow_policy else 2.0, strict_sync=True)
    world.policies.wait = Deferred() if slow_policy else None
    client = world.client("192.0.2.7")
    assert client.greeting == ""
    assert client.say("EHLO x\n") == ""
    if slow_policy:
        world.policies.wait.callback(None)
    else:
        world.clock.advance(2.0)
    assert client.heard() == "554 5.5.1 SMTP synchronization error: data before our greeting\r\n"
    assert client.closed
    assert [f["reason"] for name, f in log if name == "session.ended"] == ["spoke before the greeting"]
    assert not [r for r in world.policies.requests if r.stage == "helo"]


@pytest.mark.parametrize(
    ("peer", "waits"),
    [
        ("192.0.2.1", True),
        ("2001:db8::1", True),
        ("127.0.0.1", False),
        ("::ffff:127.0.0.1", False),
        ("10.0.0.1", False),
        ("10.1.0.1", False),
        ("10.2.0.1", False),
    ],
)
def test_strangers_alone_wait(peer: str, waits: bool) -> None:
    world = World(greet_pause=2.0, strict_sync=True, relay_from="10.0.0.0/16")
    client = world.client(peer)
    assert (client.greeting == "") == waits
    world.clock.advance(1.9)
    assert (client.heard() == "") == waits or not waits
    world.clock.advance(0.1)
    assert client.say("EHLO x\n").count("\n250 ") == 1


@pytest.mark.parametrize("kind", ["submission", "lmtp"])
def test_users_and_servers_of_ours_do_not_wait(kind: str) -> None:
    assert World(kind, tls="none", greet_pause=2.0, plain_login=True).client("192.0.2.1").greeting.startswith("220 ")


def test_who_may_speak_first_is_answered_after_the_greeting() -> None:
    world = World(greet_pause=2.0, strict_sync=False)
    client = world.client()
    assert client.say("NOOP\n") == ""
    world.clock.advance(2.0)
    assert client.heard() == "220 us.test ESMTP mailnode\r\n250 2.0.0 Ok\r\n"


def test_the_time_that_policies_took_counts() -> None:
    world = World(greet_pause=2.0)
    world.policies.wait = thinking = Deferred[None]()
    client = world.client()
    world.clock.advance(1.5)
    world.policies.wait = None
    thinking.callback(None)
    assert client.heard() == ""
    world.clock.advance(0.5)
    assert client.heard().startswith("220 ")


def test_who_is_gone_meanwhile_leaves_nothing() -> None:
    world = World(greet_pause=2.0)
    client = world.client()
    client.hang_up()
    world.clock.advance(2.0)
    assert not world.clock.getDelayedCalls()


def test_a_server_that_stops_does_not_wait_for_long() -> None:
    world = World(greet_pause=2.0)
    client = world.client()
    client.pump.draining()
    world.clock.advance(2.0)
    assert client.heard().startswith("421 4.3.2")
    assert client.closed


@pytest.mark.parametrize("junk", [False, True])
def test_whose_mail_was_taken_lately_waits_no_more(junk: bool) -> None:
    world = World(greet_pause=2.0)
    if junk:
        world.policies.verdicts["end"] = Verdict(plan=TO_JUNK)
    client = world.client()
    world.clock.advance(2.0)
    client.say(MESSAGE)
    assert client.codes(TEXT) == ["250"]
    assert (world.client().greeting == "") == junk
    assert world.client("192.0.2.2").greeting == ""
    world.clock.advance(KNOWN_SECONDS)
    assert world.client().greeting == ""


# How much


def test_too_many_connections(log: Any) -> None:
    world = World(rates=Rates(connections=2))
    assert [world.client().greeting[:3] for _ in range(4)] == ["220", "220", "421", "421"]
    assert world.client("192.0.2.2").greeting.startswith("220 ")
    assert limited(log) == [("192.0.2.1", "connections", 2)]
    assert [r.stage for r in world.policies.requests] == ["connect"] * 3
    world.clock.advance(30.0)
    assert [world.client().greeting[:3] for _ in range(2)] == ["220", "421"]


def test_too_many_connections_of_neighbours(log: Any) -> None:
    world = World(rates=Rates(connections=2, neighbours=3))
    codes = [world.client(f"192.0.2.{number}").greeting[:3] for number in range(1, 9)]
    assert codes == ["220"] * 6 + ["421"] * 2
    assert limited(log) == [("192.0.2.7", "connections", 6)]


def test_too_many_messages(log: Any) -> None:
    world = World(rates=Rates(messages=2))
    client = world.client()
    for code in ("250", "250", "451"):
        answers = client.say("EHLO x\nMAIL FROM:<a@x.test>\n").splitlines()
        assert answers[-1].startswith(f"{code} ")
    assert answers[-1] == "451 4.7.1 Too many messages from there in a short time, try again later"
    refused = [f for name, f in log if name == "message.refused"]
    assert [(f["status"], f["peer"]) for f in refused] == [("4.7.1", "192.0.2.1")]
    assert len([r for r in world.policies.requests if r.stage == "mail"]) == 2
    assert client.codes("RCPT TO:<alice@us.test>\n") == ["503"]


def test_too_many_recipients() -> None:
    world = World(rates=Rates(recipients=2))
    client = world.client()
    client.say("EHLO x\nMAIL FROM:<a@x.test>\n")
    assert client.codes("RCPT TO:<alice@us.test>\n" * 3) == ["250", "250", "451"]
    client.say("DATA\n")
    assert client.codes(TEXT) == ["250"]


def test_who_has_tried_many_that_there_are_not_learns_of_no_more() -> None:
    world = World(rates=Rates(refused_recipients=2))
    client = world.client()
    client.say("EHLO x\nMAIL FROM:<a@x.test>\n")
    tried = "RCPT TO:<nobody@us.test>\nRCPT TO:<alice@us.test>\nRCPT TO:<no@us.test>\n"
    assert client.codes(tried + tried) == ["550", "250", "550", "451", "451", "451"]
    assert len(world.router.asked) == 3
    other = world.client()
    other.say("EHLO x\nMAIL FROM:<a@x.test>\n")
    assert other.codes("RCPT TO:<bob@us.test>\n") == ["451"]
    world.clock.advance(60.0)
    assert other.codes("RCPT TO:<bob@us.test>\n") == ["250"]


@pytest.mark.parametrize(
    ("kind", "peer"), [("smtp", "127.0.0.1"), ("smtp", "10.0.0.1"), ("smtp", "10.1.0.1"), ("lmtp", "192.0.2.1")]
)
def test_who_is_no_stranger_is_not_counted(kind: str, peer: str) -> None:
    world = World(kind, tls="none", rates=Rates(1, 1, 1, 1))
    hello = "LHLO x\n" if kind == "lmtp" else "EHLO x\n"
    for _ in range(3):
        client = world.client(peer)
        assert client.greeting.startswith("220 ")
        for _ in range(2):
            client.say(hello + "MAIL FROM:<a@x.test>\nRCPT TO:<nobody@us.test>\nRCPT TO:<alice@us.test>\n")
            client.say("DATA\n")
            assert client.codes(TEXT) == ["250"]


def test_recipients_that_there_are_not_are_mistakes_and_slow_a_client_down() -> None:
    world = World(limits=Limits(errors_slow=3, errors_max=5))
    client = world.client()
    client.say("EHLO x\nMAIL FROM:<a@x.test>\n")
    assert client.codes("RCPT TO:<nobody@us.test>\n" * 3) == ["550"] * 3
    assert client.say("RCPT TO:<alice@us.test>\n") == ""
    world.clock.advance(1)
    assert client.heard().startswith("250 ")
    client.say("RCPT TO:<nobody@us.test>\n" * 3)
    world.clock.advance(1)
    world.clock.advance(1)
    world.clock.advance(1)
    assert [line[:3] for line in client.heard().splitlines()] == ["550", "550", "421"]


# SMTP trap 28: by VRFY
@pytest.mark.parametrize("said", ["VRFY alice", "VRFY nobody", "VRFY <alice@us.test>", "VRFY full@us.test"])
def test_vrfy_says_the_same_of_everybody(said: str) -> None:
    world = World()
    client = world.client()
    for command in (said, f"EHLO x\n{said}"):
        assert client.say(f"{command}\n").splitlines()[-1] == "252 2.1.5 Send some mail, and see"
    assert client.codes(said.replace("VRFY", "EXPN") + "\n") == ["502"]
    assert world.router.asked == []


def test_xclient_counts_for_whom_it_is_said() -> None:
    world = World(rates=Rates(connections=1))
    for _ in range(3):
        relay = world.client("10.2.0.1")
        assert relay.greeting.startswith("220 ")
    assert relay.codes("XCLIENT ADDR=192.0.2.9\n") == ["220"]
    assert relay.codes("XCLIENT ADDR=192.0.2.9\n") == ["421"]
    assert relay.closed


def test_whom_xclient_does_not_know_has_no_right() -> None:
    world = World(relay_from="10.2.0.0/16")
    relay = world.client("10.2.0.1")
    assert relay.codes("EHLO x\nMAIL FROM:<a@x.test>\nRCPT TO:<b@far.test>\nRSET\n")[-2:] == ["250", "250"]
    assert relay.codes("XCLIENT ADDR=[UNAVAILABLE]\n") == ["220"]
    assert relay.codes("EHLO x\nMAIL FROM:<a@x.test>\nRCPT TO:<b@far.test>\n")[-1] == "550"
    assert [r.origin.peer for r in world.policies.requests if r.stage == "connect"] == ["10.2.0.1", ""]


def test_counts_are_bounded(monkeypatch: Any) -> None:
    monkeypatch.setattr(strangers, "MAX_COUNTS", 10)
    monkeypatch.setattr(strangers, "MAX_KNOWN", 10)
    kept = Strangers(Clock())
    rates = Rates(connections=1)
    assert kept.add("connections", "192.0.2.1", rates)
    assert not kept.add("connections", "192.0.2.1", rates)
    for number in range(100):
        kept.add("connections", f"10.{number}.0.1", rates)
        kept.taken(f"10.{number}.0.1")
    assert len(kept._counts) == len(kept._known) == 10
    assert kept.add("connections", "192.0.2.1", rates)
    assert kept.is_known("10.99.0.1")
    assert not kept.is_known("10.0.0.1")


@pytest.mark.parametrize(
    ("host", "client", "neighbours"),
    [
        ("192.0.2.77", "192.0.2.77", "192.0.2.0/24"),
        ("::ffff:192.0.2.77", "192.0.2.77", "192.0.2.0/24"),
        ("2001:db8:1:2:3::4", "2001:db8:1:2::/64", "2001:db8:1::/48"),
        ("::2", "::/64", "::/48"),
        ("", "", ""),
    ],
)
def test_by_what_clients_are_counted(host: str, client: str, neighbours: str) -> None:
    assert (client_key(host), neighbours_key(host)) == (client, neighbours)
