"""Reception, submission and LMTP on a pump, over fakes: what is taken, what is refused, and that failures keep nothing."""

from __future__ import annotations

from base64 import b64encode
from typing import Any

import pytest
from smtp_fakes import (
    NOW,
    FakeDelivery,
    FakeExchange,
    FakeLogin,
    FakeLogins,
    FakePolicies,
    FakeRouter,
    FakeSubmitter,
    World,
)
from twisted.internet.defer import Deferred
from twisted.internet.testing import StringTransport
from zope.interface.verify import verifyObject

from mailnode.errors import LimitReached, StoreUnavailable
from mailnode.interfaces.delivery import IDelivery, IRouter
from mailnode.interfaces.policy import IPolicyChain
from mailnode.interfaces.sessions import ILogin, ILogins, ISaslExchange, ISessionMind, ISubmitter
from mailnode.interfaces.store import IBlobWriter
from mailnode.interfaces.wire import IConnection, ISession
from mailnode.smtp.intake import MAX_FIELDS
from mailnode.smtp.trace import MAX_FIELD, MAX_READ, MAX_RESULTS, without_forged
from mailnode.smtp.transaction import protocol_keyword
from mailnode.smtp.wire.limits import Limits, Timeouts
from mailnode.smtp.wire.profile import Profile
from mailnode.smtp.wire.server import ServerConnection
from mailnode.values.plan import RecipientPlan
from mailnode.values.policy import PASS, PolicyRequest, Verdict

ENVELOPE = "MAIL FROM:<a@x.test>\nRCPT TO:<alice@us.test>\n"
MESSAGE = "Subject: hi\nFrom: a@x.test\n\nbody\n.\n"


def test_fakes_and_sessions_keep_their_contracts() -> None:
    delivery = FakeDelivery()
    verifyObject(IDelivery, delivery)
    verifyObject(IBlobWriter, delivery.writer(1000))
    verifyObject(IRouter, FakeRouter())
    verifyObject(IPolicyChain, FakePolicies())
    logins = FakeLogins()
    verifyObject(ILogins, logins)
    verifyObject(ISaslExchange, FakeExchange(logins, "PLAIN"))
    verifyObject(ILogin, FakeLogin())
    verifyObject(ISubmitter, FakeSubmitter())
    verifyObject(IConnection, ServerConnection(Profile()))
    for kind in ("smtp", "submission", "lmtp"):
        client = World(kind).client()
        verifyObject(ISession, client.pump._session)
    verifyObject(ISessionMind, World("submission").client().pump._session)


# Reception


@pytest.mark.parametrize("bytewise", [False, True])
def test_a_message_is_taken(bytewise: bool, log: Any) -> None:
    world = World()
    client = world.client(bytewise=bytewise)
    assert client.greeting == "220 us.test ESMTP mailnode\r\n"
    assert client.say("EHLO mx.x.test\n").startswith("250-us.test\r\n")
    assert client.codes(ENVELOPE) == ["250", "250"]
    assert client.codes("DATA\n") == ["354"]
    answer = client.say(MESSAGE)
    (envelope, routes, content) = world.delivery.accepted[0]
    assert answer == f"250 2.0.0 queued as {envelope.id}\r\n"
    assert str(envelope.reverse_path) == "a@x.test"
    assert [str(r.address) for r in envelope.recipients] == ["alice@us.test"]
    assert routes[envelope.recipients[0].address].local == (("id-alice", "alice@us.test"),)
    assert envelope.received_at == NOW
    assert envelope.origin.protocol == "ESMTP"
    assert (envelope.origin.peer, envelope.origin.helo) == ("192.0.2.1", "mx.x.test")
    received, rest = content.split(b"Subject: hi\r\n")
    assert rest == b"From: a@x.test\r\n\r\nbody\r\n"
    assert received.startswith(b"Received: from mx.x.test ([192.0.2.1])\r\n\tby us.test with ESMTP\r\n")
    assert f"id {envelope.id} for <alice@us.test>".encode() in received
    accepted = dict(log)["message.accepted"]
    assert accepted["envelope"] == envelope.id
    assert accepted["session"] == envelope.origin.session
    assert client.codes("QUIT\n") == ["221"]
    assert client.closed


def test_replies_of_a_group_leave_in_one_write() -> None:
    client = World().client()
    client.say("EHLO x\n")
    writes: list[bytes] = []
    original = StringTransport.write
    client.transport.write = lambda data: (writes.append(data), original(client.transport, data))  # type: ignore[method-assign]
    client.say(ENVELOPE + "RCPT TO:<bob@us.test>\nDATA\n")
    assert len(writes) == 1
    assert writes[0].count(b"\r\n") == 4


# SMTP trap 9: a whole group
def test_slow_policies_keep_the_order() -> None:
    world = World()
    client = world.client()
    client.say("EHLO x\n")
    world.policies.wait = wait = Deferred()
    assert client.say(ENVELOPE + "RCPT TO:<nobody@us.test>\nDATA\n") == ""
    world.policies.wait = None
    wait.callback(None)
    assert [line[:3] for line in client.heard().splitlines()] == ["250", "250", "550", "354"]


# SMTP trap 25: to a stranger's session
@pytest.mark.parametrize(
    ("recipient", "start"),
    [
        ("nobody@us.test", "550 5.1.1"),
        ("someone@elsewhere.test", "550 5.7.1"),
        ("full@us.test", "452 4.2.2"),
        ("suspended@us.test", "450 4.2.1"),
        ("broken@us.test", "451 4.3.0"),
        ("unavailable@us.test", "451 4.3.0"),
        ("alice@us.test", "250 2.1.5"),
        ("Postmaster", "250 2.1.5"),
        ("@us.test:someone@elsewhere.test", "550 5.7.1"),
        ("someone%elsewhere.test@us.test", "550 5.1.1"),
        ('"someone@elsewhere.test"@us.test', "550 5.1.1"),
        ("elsewhere.test!someone@us.test", "550 5.1.1"),
        ("someone@elsewhere.test@us.test", "501 5.1.3"),
        ("someone@sub.us.test", "550 5.7.1"),
        ("someone@us.test.", "553 5.1.3"),
        ("someone@[127.0.0.1]", "550 5.7.1"),
    ],
)
def test_recipients(recipient: str, start: str, log: Any) -> None:
    client = World().client()
    client.say("EHLO x\nMAIL FROM:<a@x.test>\n")
    answer = client.say(f"RCPT TO:<{recipient}>\n")
    assert answer.startswith(start)
    assert "secret" not in answer
    if start[0] in "45" and start[:3] not in ("501", "553"):
        refused = dict(log)["recipient.refused"]
        assert refused["status"] == start[4:]


def test_relaying_for_networks_that_may() -> None:
    world = World()
    client = world.client("10.3.0.1")
    client.say("EHLO x\nMAIL FROM:<a@x.test> SIZE=99\n")
    assert client.codes("RCPT TO:<b@elsewhere.test>\n") == ["250"]
    assert world.router.asked == [("b@elsewhere.test", True, 99)]


def test_mail_for_other_servers_alone_is_not_scanned(log: Any) -> None:
    world = World()
    client = world.client("10.3.0.1")
    client.say("EHLO x\n")
    for number, (name, scanned) in enumerate((("b@elsewhere.test", 0), ("alice@us.test", 1))):
        client.say(f"MAIL FROM:<a@x.test>\nRCPT TO:<c@elsewhere.test>\nRCPT TO:<{name}>\nDATA\n")
        assert client.say("Subject: x\nMESSAGE-id: (of)\n <one@x.test>\nMessage-ID: <two>\n\nhi\n.\n").startswith("250")
        assert len(world.delivery.scanned) == scanned
        accepted = [fields for event, fields in log if event == "message.accepted"]
        assert accepted[number]["message_id"] == "one@x.test"


def test_declared_size_and_limits() -> None:
    client = World(limits=Limits(message_size=100, recipients=2)).client()
    client.say("EHLO x\n")
    assert client.codes("MAIL FROM:<a@x.test> SIZE=101\n") == ["552"]
    client.say(ENVELOPE + "RCPT TO:<bob@us.test>\n")
    assert client.codes("RCPT TO:<postmaster@us.test>\n") == ["452"]


# SMTP trap 39: one recipient
def test_null_sender_to_one_recipient_at_a_time() -> None:
    client = World().client()
    client.say("EHLO x\nMAIL FROM:<>\nRCPT TO:<alice@us.test>\n")
    assert client.say("RCPT TO:<bob@us.test>\n").startswith("452 4.5.3")


def test_one_copy_of_a_recipient_given_twice() -> None:
    world = World()
    client = world.client()
    client.say("EHLO x\n")
    assert client.codes(ENVELOPE + "RCPT TO:<alice@us.test>\nDATA\n") == ["250", "250", "250", "354"]
    client.say(MESSAGE)
    assert len(world.delivery.accepted[0][0].recipients) == 1


STAGE_REPLIES = {
    "helo": ("EHLO x\n", "250-"),
    "mail": ("MAIL FROM:<a@x.test>\n", "250"),
    "rcpt": ("RCPT TO:<alice@us.test>\n", "250"),
    "data": ("DATA\n", "354"),
    "end": (MESSAGE, "250"),
}


@pytest.mark.parametrize("stage", STAGE_REPLIES)
@pytest.mark.parametrize(("action", "code"), [("refuse", "550 5.7.9"), ("defer", "451 4.7.9")])
def test_a_policy_refuses_at_each_stage(stage: str, action: str, code: str) -> None:
    world = World()
    world.policies.verdicts[stage] = Verdict(action, code[4:], "says the policy")
    client = world.client()
    for name, (command, ok) in STAGE_REPLIES.items():
        answer = client.say(command)
        if name == stage:
            assert answer == f"{code} says the policy\r\n"
            break
        assert answer.startswith(ok)
    assert world.delivery.accepted == []
    assert all(writer.aborted for writer in world.delivery.writers)


@pytest.mark.parametrize(("action", "code"), [("refuse", "554 5.7.9"), ("defer", "421 4.7.9")])
def test_a_policy_refuses_the_connection(action: str, code: str) -> None:
    world = World()
    world.policies.verdicts["connect"] = Verdict(action, code[4:], "go away")
    client = world.client()
    assert client.greeting == f"{code} go away\r\n"
    assert client.closed


def test_policies_see_what_is_known_and_their_tags_and_fields_go_along() -> None:
    world = World()
    for stage in ("connect", "helo", "mail", "rcpt"):
        world.policies.verdicts[stage] = Verdict(tags={stage: "seen"}, headers=(f"X-{stage}: y\r\n".encode(),))
    world.policies.verdicts["end"] = Verdict(tags={"message": "seen"}, headers=(b"X-message: y\r\n",))
    client = world.client()
    client.say("EHLO x\n")
    client.say(ENVELOPE)
    client.say("DATA\n")
    client.say(MESSAGE)
    stages = [request.stage for request in world.policies.requests]
    assert stages == ["connect", "helo", "mail", "rcpt", "data", "end"]
    message = world.policies.requests[-1]
    assert message.header.startswith(b"X-connect: y\r\nX-helo: y\r\nX-mail: y\r\nX-rcpt: y\r\nReceived:")
    assert message.header.endswith(b"\r\n\r\n")
    assert message.size == len(world.delivery.accepted[0][2])
    assert message.envelope.origin.helo == "x"
    assert not message.submission
    envelope = world.delivery.accepted[0][0]
    assert set(envelope.tags) == {"connect", "helo", "mail", "rcpt", "message"}
    assert envelope.trace == b"X-message: y\r\n"


def test_what_is_wanted_for_one_recipient_is_its_own() -> None:
    world = World()
    client = world.client()
    client.say("EHLO x\n")
    client.say("MAIL FROM:<x@far.test>\n")
    world.policies.verdicts["rcpt"] = Verdict(plan=RecipientPlan("Junk"))
    client.say("RCPT TO:<alice@us.test>\n")
    del world.policies.verdicts["rcpt"]
    client.say("RCPT TO:<bob@us.test>\n")
    world.policies.verdicts["end"] = Verdict(plan=RecipientPlan(keywords=("seen-by-policy",)))
    client.say("DATA\n")
    client.say(MESSAGE)
    alice, bob = (recipient.address for recipient in world.delivery.accepted[0][0].recipients)
    judgement = world.delivery.judgements[0]
    assert judgement.plan(alice) == RecipientPlan("Junk", keywords=("seen-by-policy",))
    assert judgement.plan(bob) == RecipientPlan(keywords=("seen-by-policy",))


@pytest.mark.parametrize("stage", ["connect", "helo", "mail", "rcpt", "data", "end"])
def test_a_policy_has_a_message_held_and_not_the_next(stage: str) -> None:
    world = World()
    world.policies.verdicts[stage] = Verdict(hold=True)
    client = world.client()
    client.say("EHLO x\n")
    for _ in range(2):
        client.say(ENVELOPE)
        client.say("DATA\n")
        assert client.say(MESSAGE).startswith("250 ")
        world.policies.verdicts.clear()
    held = [envelope.held for envelope, _, _ in world.delivery.accepted]
    assert held == [True, stage in ("connect", "helo")]  # these are about the client, who is the same


def test_what_everybody_discards_is_taken_and_kept_nowhere() -> None:
    world = World()
    world.policies.verdicts["end"] = Verdict(plan=RecipientPlan(discard=True))
    client = world.client()
    client.say("EHLO x\n")
    client.say(ENVELOPE)
    client.say("DATA\n")
    assert client.say(MESSAGE).startswith("250 ")
    assert world.delivery.accepted == []
    assert world.delivery.writers[0].aborted and not world.delivery.writers[0].finished


def test_a_policy_reads_the_message_by_offset_and_length() -> None:
    world = World()
    read: list[bytes] = []

    async def ask(request: PolicyRequest) -> Verdict:
        if request.stage == "end":
            assert request.read is not None
            read.extend([await request.read(0, 9), await request.read(request.size - 4, 100), await request.read(0, 0)])
        else:
            assert request.read is None
        return PASS

    world.policies.ask = ask  # type: ignore[method-assign,assignment]
    client = world.client()
    client.say("EHLO x\n")
    client.say(ENVELOPE)
    client.say("DATA\n")
    client.say(MESSAGE)
    content = world.delivery.accepted[0][2]
    assert read == [content[:9], content[-4:], b""]


def test_no_policy_for_some_networks() -> None:
    world = World()
    world.policies.verdicts["mail"] = Verdict("refuse")
    client = world.client("10.1.0.1")
    client.say("EHLO x\n")
    assert client.codes(ENVELOPE) == ["250", "250"]
    assert world.policies.requests == []


# SMTP trap 34: what the client hears
@pytest.mark.parametrize("step", ["writer", "write", "finish", "scan", "accept"])
@pytest.mark.parametrize("error", [StoreUnavailable(), ZeroDivisionError("secret detail")])
@pytest.mark.parametrize("command", ["DATA", "BDAT"])
def test_a_failure_keeps_nothing_and_is_temporary(step: str, error: Exception, command: str, log: Any) -> None:
    world = World()
    world.delivery.fails[step] = error
    client = world.client()
    client.say("EHLO x\n" + ENVELOPE)
    if command == "DATA":
        answer = client.say("DATA\n")
        answer = client.say(MESSAGE) if answer.startswith("354") else answer
    else:
        answer = client.say("BDAT 10 LAST\r\nSubject: x".replace("\r", ""))
        client.say("")
    if not answer:
        answer = client.heard()
    assert answer.startswith("4"), answer
    assert "secret" not in answer
    assert world.delivery.accepted == []
    assert all(writer.aborted for writer in world.delivery.writers)
    world.delivery.fails.clear()
    if client.closed:
        return
    assert client.codes("RSET\n" + ENVELOPE + "DATA\n") == ["250", "250", "250", "354"]
    assert client.say(MESSAGE).startswith("250 2.0.0 queued as")


def test_a_writers_limit_is_permanent() -> None:
    world = World()
    world.delivery.fails["write"] = LimitReached()
    client = world.client()
    client.say("EHLO x\n" + ENVELOPE)
    client.say("DATA\n")
    assert client.say(MESSAGE).startswith("552 5.3.4")


def test_the_message_is_not_acknowledged_before_accept_returns() -> None:
    world = World()
    client = world.client()
    client.say("EHLO x\n" + ENVELOPE)
    client.say("DATA\n")
    for step in ("write", "finish", "scan", "accept"):
        world.delivery.waits[step] = Deferred()
    assert client.say(MESSAGE + "NOOP\n") == ""
    for step in ("write", "finish", "scan", "accept"):
        assert client.heard() == ""
        world.delivery.waits[step].callback(None)
    assert [line[:3] for line in client.heard().splitlines()] == ["250", "250"]


@pytest.mark.parametrize("step", ["write", "finish", "scan"])
def test_a_client_that_is_gone_before_accept_leaves_nothing(step: str) -> None:
    world = World()
    client = world.client()
    client.say("EHLO x\n" + ENVELOPE)
    client.say("DATA\n")
    world.delivery.waits[step] = Deferred()
    client.say(MESSAGE)
    client.hang_up()
    world.delivery.waits[step].callback(None)
    assert world.delivery.accepted == []
    assert world.delivery.writers[0].aborted


def test_a_client_that_is_gone_in_the_message_leaves_nothing() -> None:
    world = World()
    client = world.client()
    client.say("EHLO x\n" + ENVELOPE)
    client.say("DATA\n")
    client.say("Subject: half\n\nhalf a mess")
    client.hang_up()
    assert world.delivery.writers[0].aborted
    assert world.delivery.accepted == []
    assert not world.clock.getDelayedCalls()


def test_policies_hear_of_the_end_once_when_nothing_is_asked_any_more() -> None:
    world = World()
    idle, thinking = world.client(), world.client()
    thinking.say("EHLO x\n")
    world.policies.wait = wait = Deferred()
    thinking.say("MAIL FROM:<a@x.test>\n")
    thinking.hang_up()
    assert world.policies.ended == []
    idle.hang_up()
    assert world.policies.ended == [idle.pump.session]
    wait.callback(None)
    assert world.policies.ended == [idle.pump.session, thinking.pump.session]


# SMTP trap 3: from networks that no policy is asked about, too
@pytest.mark.parametrize("peer", ["192.0.2.1", "10.0.0.1", "10.1.0.1", "10.2.0.1"])
def test_bad_line_ends_keep_nothing(peer: str) -> None:
    """No right of a network is a right to broken line ends: relaying, no policies, XCLIENT."""
    world = World()
    client = world.client(peer)
    client.say("EHLO x\n" + ENVELOPE)
    client.say("DATA\n")
    assert client.say(b"Subject: x\r\n\r\nbody\n.\r\nmore\r\n.\r\n").startswith("550 5.5.2")
    assert world.delivery.writers[0].aborted
    assert client.codes("DATA\n") == ["503"]


@pytest.mark.parametrize("command", ["RSET\n", "EHLO y\n", "MAIL FROM:<b@x.test>\nRSET\n"])
def test_what_came_of_a_message_that_is_given_up_is_not_kept(command: str) -> None:
    world = World()
    client = world.client()
    client.say("EHLO x\n" + ENVELOPE)
    client.say(b"BDAT 9\r\nSubject: ")
    assert not world.delivery.writers[0].aborted
    client.say(command)
    assert world.delivery.writers[0].aborted
    assert world.delivery.accepted == []


@pytest.mark.parametrize("bytewise", [False, True])
def test_chunks(bytewise: bool) -> None:
    world = World()
    client = world.client(bytewise=bytewise)
    client.say("EHLO x\n" + ENVELOPE)
    assert client.say(b"BDAT 9\r\nSubject: ").startswith("250 2.0.0")
    assert client.say(b"BDAT 0\r\n").startswith("250 2.0.0")
    assert client.say(b"BDAT 9 LAST\r\nx\r\n\r\n.hi\r").startswith("550 5.5.2")
    client.say(ENVELOPE)
    assert client.say(b"BDAT 10 LAST\r\nx\r\n\r\n.hi\r\n").startswith("250 2.0.0 queued")
    assert world.delivery.accepted[0][2].endswith(b"\r\n\r\nx\r\n\r\n.hi\r\n")
    client.say(ENVELOPE)
    assert client.say(b"BDAT 0 LAST\r\n").startswith("250 2.0.0 queued")
    assert len(world.delivery.accepted) == 2


@pytest.mark.parametrize("fails", ["", "write", "accept"])
def test_chunks_that_were_on_their_way_hear_what_the_first_one_did(fails: str, log: Any) -> None:
    world = World()
    if fails:
        world.delivery.fails[fails] = StoreUnavailable()
    client = world.client()
    client.say("EHLO x\n" + ENVELOPE)
    header = b"Subject: x\r\n\r\n"
    first = b"BDAT %d\r\n%s" % (len(header), header)
    last = b"BDAT 2 LAST\r\n\r\n"
    said = client.say(first + b"BDAT 1\r\n" + (b"x" if fails else b"\0") + b"BDAT 1\r\nx" * 200 + last + b"NOOP\r\n")
    replies = said.splitlines()
    assert len(replies) == 204 and replies[-1].startswith("250")
    refusal = next(reply for reply in replies if not reply.startswith("250"))
    assert refusal[:9] == ("451 4.3.0" if fails else "550 5.5.2")
    assert replies[replies.index(refusal) : -1] == [refusal] * (203 - replies.index(refusal))
    assert [name for name, _ in log].count("message.refused") == 1
    world.delivery.fails.clear()
    client.say(ENVELOPE)
    assert client.say(b"BDAT 14 LAST\r\n" + header).startswith("250 2.0.0 queued")


CONTENTS = {
    "empty": (b"", b"\r\n"),
    "headers only": (b"Subject: x\r\n", b"Subject: x\r\n\r\n"),
    "body only": (b"\r\nhi\r\n", b"\r\nhi\r\n"),
    "no empty line": (b"Subject: x\r\nthis is a body\r\nSubject: y\r\n", None),
    "From line": (b"From a@x.test Mon\r\nSubject: x\r\n\r\nhi\r\n", None),
    "white space first": (b" folded\r\nSubject: x\r\n\r\nhi\r\n", None),
}


# SMTP trap 7: headers only, a body only, no empty line
# SMTP trap 8: a From line or white space first
@pytest.mark.parametrize("name", CONTENTS)
@pytest.mark.parametrize("bytewise", [False, True])
def test_odd_headers_never_mix_with_ours(name: str, bytewise: bool) -> None:
    content, expected = CONTENTS[name]
    world = World()
    client = world.client(bytewise=bytewise)
    client.say("EHLO x\n" + ENVELOPE)
    client.say("DATA\n")
    assert client.say(content + b".\r\n").startswith("250")
    stored = world.delivery.accepted[0][2]
    trace, _, rest = stored.partition(b" +0000\r\n")
    assert trace.startswith(b"Received: ")
    if expected is not None:
        assert rest == expected
    else:
        header = b"" if rest.startswith(b"\r\n") else rest.partition(b"\r\n\r\n")[0]
        assert b"this is a body" not in header
        assert not rest.startswith((b" ", b"From "))


def test_fields_only_we_may_write_are_taken_out() -> None:
    world = World()
    client = world.client()
    client.say("EHLO x\n" + ENVELOPE)
    client.say("DATA\n")
    client.say(
        "Return-Path: <evil@x.test>\nAuthentication-Results: us.test; spf=pass\nSubject: x\n"
        "AUTHENTICATION-RESULTS: (c)\n US.Test 1; dkim=pass\nAuthentication-Results: other.test; spf=pass\n\nhi\n.\n"
    )
    stored = world.delivery.accepted[0][2]
    assert b"evil" not in stored
    assert stored.endswith(b"\r\nSubject: x\r\nAuthentication-Results: other.test; spf=pass\r\n\r\nhi\r\n")


# SMTP trap 40: several, folded, quoted
@pytest.mark.parametrize("kind", ["smtp", "submission", "lmtp"])
@pytest.mark.parametrize(
    "value",
    [
        "us.test; spf=pass",
        "us.test.; spf=pass",
        " US.Test. 1; spf=pass",
        '"us.test"; spf=pass',
        '"us.test." 1; spf=pass',
        '"us\\.test"; spf=pass',
        "(a (nested) comment)us.test(c); spf=pass",
        "\n us.test.\n (c) ; spf=pass",
        "us. test; spf=pass",
        "us(c).(c)test(c)1(c);spf=pass",
        "us.test spf=pass",
        "us.test",
        "us.test;",
        "us.test\x1c; spf=pass",
        "\x1fus.test; spf=pass",
        "us.test\x0b1; spf=pass",
        "\tUS.TEST\t;\tspf=pass",
        "us.test 1 ; spf=pass",
        "(us.other) us.test (x;y) 1 (z); spf=pass",
        '"us" . "test"; spf=pass',
        "us.test/1; spf=pass",
        "us.test:25; spf=pass",
        "<us.test>; spf=pass",
    ],
)
def test_results_under_our_name_are_taken_out_however_it_is_written(kind: str, value: str) -> None:
    world = World(kind, plain_login=True)
    client = world.client()
    if kind == "submission":
        client.say("EHLO x\nAUTH PLAIN AGFsaWNlAHNlY3JldA==\n")
    client.say(("LHLO x\n" if kind == "lmtp" else "EHLO x\n") + "MAIL FROM:<alice@us.test>\nRCPT TO:<bob@us.test>\n")
    client.say("DATA\n")
    client.say(f"Authentication-Results:{value}\nauthentication-results : {value}\nFrom: alice@us.test\n\nhi\n.\n")
    stored = world.delivery.accepted[0][2]
    assert b"uthentication-" not in stored
    assert stored.endswith(b"\r\nFrom: alice@us.test\r\n\r\nhi\r\n")


# SMTP trap 40: those of others
@pytest.mark.parametrize(
    "value", ["us.test.other.test; spf=pass", "other.test 1; a=us.test", "; us.test", "xus.test", ""]
)
def test_results_of_others_stay(value: str) -> None:
    world = World()
    client = world.client()
    client.say("EHLO x\n" + ENVELOPE)
    client.say("DATA\n")
    client.say(f"Authentication-Results:{value}\nSubject: x\n\nhi\n.\n")
    assert f"\r\nAuthentication-Results:{value}\r\n".encode() in world.delivery.accepted[0][2]


# SMTP trap 40: ten copies, and more than anybody has a good reason for
def test_results_of_others_are_read_up_to_a_bound_and_the_rest_goes() -> None:
    field = b"Authentication-Results: other.test; x=pass reason=" + b"(" * (MAX_FIELD - 100) + b"\r\n"
    block = field * 40 + b"Subject: x\r\n\r\n"
    kept = without_forged(block, frozenset({b"authentication-results", b"subject"}), "mx.us.test")
    assert kept.count(b"Authentication-Results") == MAX_READ // len(field)
    assert kept.endswith(b"Subject: x\r\n\r\n")


@pytest.mark.parametrize(("copies", "others"), [(10, 10), (10, 90), (1, MAX_RESULTS), (0, MAX_RESULTS + 1)])
def test_copies_under_our_name_between_those_of_others(copies: int, others: int) -> None:
    world = World()
    client = world.client()
    client.say("EHLO x\n" + ENVELOPE)
    client.say("DATA\n")
    ours = "Authentication-Results: us.test; spf=pass\n"
    theirs = "Authentication-Results: other.test; spf=pass\n"
    mixed = (ours + theirs) * min(copies, others) + theirs * (others - copies)
    assert client.say(f"{mixed}X-Mailnode-Reason: not junk\nSubject: x\n\nhi\n.\n").startswith("250")
    stored = world.delivery.accepted[0][2]
    assert b"Results: us.test" not in stored and b"X-Mailnode-Reason" not in stored
    assert stored.count(b"Results: other.test") == (others if copies + others <= MAX_RESULTS else 0)


def test_a_header_of_very_many_fields() -> None:
    world = World()
    client = world.client()
    for count, code in ((MAX_FIELDS - 2, "250 2.0.0"), (MAX_FIELDS, "552 5.3.4")):
        client.say("EHLO x\n" + ENVELOPE)
        client.say("DATA\n")
        client.say("A: b\n c\n\td\n" * count)
        assert client.say("Subject: x\n\nhi\n.\n").startswith(code)


def test_a_command_before_the_greeting_is_answered_after_it() -> None:
    world = World()
    wait = world.policies.wait = Deferred()
    client = world.client()
    assert client.greeting == client.say("EHLO early.test\n") == ""
    world.policies.wait = None
    wait.callback(None)
    assert [line[:4] for line in client.heard().splitlines()][:2] == ["220 ", "250-"]


def test_a_loop_is_found() -> None:
    world = World(limits=Limits(hops=3))
    client = world.client()
    for hops, code in ((2, "250 2.0.0"), (3, "554 5.4.6")):
        client.say("EHLO x\n" + ENVELOPE)
        client.say("DATA\n")
        assert client.say("Received: x\n" * hops + MESSAGE).startswith(code)
    assert len(world.delivery.accepted) == 1


@pytest.mark.parametrize("end", ["\n.\n", ".\n"])
def test_a_header_over_its_limit(end: str) -> None:
    world = World(limits=Limits(header_size=1000))
    client = world.client()
    client.say("EHLO x\n" + ENVELOPE)
    client.say("DATA\n")
    for _ in range(110):
        client.say("X: 345678\n")
    assert client.say(end).startswith("552 5.3.4")
    assert world.delivery.writers[0].aborted
    assert world.delivery.writers[0].content == b""


def test_the_envelope_says_what_the_content_is() -> None:
    world = World()
    client = world.client()
    client.say("EHLO x\n")
    for body, parameters, expected in [
        ("plain", " BODY=8BITMIME SMTPUTF8", ("7BIT", False)),
        ("grün", "", ("8BITMIME", False)),
        ("grün", " SMTPUTF8", ("8BITMIME", True)),
    ]:
        client.say(f"MAIL FROM:<a@x.test>{parameters}\nRCPT TO:<alice@us.test>\n")
        client.say("DATA\n")
        client.say(f"Subject: x\n\n{body}\n.\n")
        envelope = world.delivery.accepted[-1][0]
        assert (envelope.options.body, envelope.options.smtputf8) == expected
    assert envelope.origin.protocol == "UTF8SMTP"


def test_what_a_message_says_of_a_list_goes_along() -> None:
    world = World()
    client = world.client()
    client.say("EHLO x\n")
    for said, owed in (
        ("Subject: x\n", "all"),
        ("List-Id: <x>\n", "failures"),
        ("List-Id: <x>\nTo: a@x.test\n", "none"),
    ):
        client.say("MAIL FROM:<a@x.test>\nRCPT TO:<alice@us.test>\nDATA\n")
        client.say(f"{said}\nbody\n.\n")
        assert (world.delivery.accepted[-1][0].notices or "all") == owed


def test_dsn_parameters_go_along() -> None:
    world = World()
    client = world.client(peer="10.0.0.1")
    client.say("EHLO x\nMAIL FROM:<a@x.test> RET=HDRS ENVID=Q+2B1\n")
    client.say("RCPT TO:<Alice@us.test> NOTIFY=SUCCESS,FAILURE ORCPT=rfc822;al+2Bi@us.test\n")
    client.say("DATA\n")
    client.say(MESSAGE)
    envelope = world.delivery.accepted[0][0]
    assert (envelope.options.ret, envelope.options.envid) == ("HDRS", "Q+1")
    recipient = envelope.recipients[0]
    assert (recipient.options.notify, recipient.options.orcpt) == ({"SUCCESS", "FAILURE"}, "rfc822;al+i@us.test")
    assert recipient.address.local == "Alice"


def test_keywords() -> None:
    assert protocol_keyword(False, False, True, False, False) == "SMTP"
    assert protocol_keyword(False, True, False, False, False) == "ESMTP"
    assert protocol_keyword(False, True, True, True, False) == "ESMTPSA"
    assert protocol_keyword(False, True, True, True, True) == "UTF8SMTPSA"
    assert protocol_keyword(True, True, True, False, True) == "UTF8LMTPS"


# SMTP trap 11: EHLO and envelope are forgotten
def test_starttls_forgets_everything() -> None:
    world = World()
    client = world.client()
    client.say("EHLO before.test\n")
    client.start_tls()
    assert world.tls_starts == [client.transport]
    assert client.codes("MAIL FROM:<a@x.test>\n") == ["503"]
    assert "STARTTLS" not in client.say("EHLO after.test\n")
    client.say(ENVELOPE)
    client.say("DATA\n")
    client.say(MESSAGE)
    assert world.delivery.accepted[0][0].origin.protocol == "ESMTPS"
    assert world.delivery.accepted[0][0].origin.helo == "after.test"


def test_other_commands() -> None:
    client = World().client()
    assert client.say("HELP\n").startswith("214-2.0.0 EHLO")
    assert client.say("VRFY alice\n").startswith("252")
    assert client.say("NOOP\nRSET\n").startswith("250")
    assert client.say("AUTH PLAIN x\n").startswith("503")


def test_xclient() -> None:
    world = World()
    client = world.client("10.2.0.1")
    assert "XCLIENT" in client.say("EHLO x\n")
    assert client.codes("XCLIENT ADDR=nonsense\n") == ["501"]
    assert client.say("XCLIENT ADDR=IPV6:2001:db8::1 NAME=[UNAVAILABLE] HELO=far.test\n").startswith("220 us.test")
    assert [r.origin.peer for r in world.policies.requests if r.stage == "connect"] == ["10.2.0.1", "2001:db8::1"]
    client.say("EHLO far.test\nMAIL FROM:<a@x.test>\n")
    assert client.codes("RCPT TO:<b@elsewhere.test>\n") == ["550"]
    client.say("RCPT TO:<alice@us.test>\n")
    client.say("DATA\n")
    client.say(MESSAGE)
    assert b"[IPv6:2001:db8::1]" in world.delivery.accepted[0][2]
    assert "XCLIENT" not in World().client().say("EHLO x\n")


# SMTP trap 13: after refused ends, RSET and BDAT
def test_each_message_is_judged_anew() -> None:
    world = World()
    client = world.client()
    client.say("EHLO x\n")
    per_message = ["mail", "rcpt", "data", "end"]
    for end in (b".\r\n", b"bad\n\r\n.\r\n", b".\r\n"):
        client.say(ENVELOPE)
        client.say("DATA\n")
        client.say(b"Subject: x\r\n\r\n" + end)
        assert client.codes("DATA\n") == ["503"]
    client.say(ENVELOPE + "RSET\n")
    assert client.codes("DATA\n") == ["503"]
    client.say(ENVELOPE)
    client.say(b"BDAT 2 LAST\r\n\0\n")
    stages = [request.stage for request in world.policies.requests][2:]
    assert stages == per_message + per_message[:3] + per_message + ["mail", "rcpt"] * 2
    assert len(world.delivery.accepted) == 2
    ids = {request.envelope.id for request in world.policies.requests if request.envelope}
    assert len(ids) == 2


def test_a_client_that_does_not_read_is_not_read_from() -> None:
    world = World()
    client = world.client()
    client.pump.pauseProducing()
    assert client.say("HELP\n" * 1000) == ""
    for _ in range(100):
        if client.transport.producerState == "producing":
            client.say("HELP\n" * 1000)
    assert client.transport.producerState == "paused"
    assert client.pump._connection.buffered < 300_000
    client.pump.resumeProducing()
    world.clock.advance(301)
    assert client.pump.closed


# SMTP trap 32: RCPT
def test_a_hundred_thousand_recipients() -> None:
    world = World()
    client = world.client()
    client.say("EHLO x\nMAIL FROM:<a@x.test>\n")
    answers: list[str] = []
    for _ in range(100):
        answers += client.codes("RCPT TO:<alice@us.test>\n" * 1000)
    assert answers.count("250") == 1000
    assert answers[-1] == "421"
    assert client.closed
    assert client.pump._connection.buffered == 0


# SMTP trap 32: one header of many octets
def test_a_header_without_end_is_refused_in_bounded_memory() -> None:
    world = World()
    client = world.client()
    client.say("EHLO x\n" + ENVELOPE)
    client.say("DATA\n")
    for _ in range(40):
        client.say(b"X-Line: y\r\n" * 6000)
    transaction = client.pump._session._transaction
    assert world.delivery.writers[0].aborted
    assert transaction.problem is not None
    assert client.say("\n.\n").startswith("552 5.3.4")


# Limits of time and number


def test_silence_ends_the_session() -> None:
    world = World(timeouts=Timeouts(start=1000))
    client = world.client()
    world.clock.advance(299)
    client.say("EHLO x\n")
    world.clock.advance(299)
    assert not client.closed
    world.clock.advance(2)
    assert client.heard().startswith("421 4.4.2")
    assert client.closed


@pytest.mark.parametrize("step", [-7200.0, 7200.0])
def test_a_step_of_the_clock_ends_no_session_and_keeps_none(step: float) -> None:
    world = World(timeouts=Timeouts(command=100))
    client = world.client()
    client.say("EHLO x\n" + ENVELOPE)
    client.say("DATA\n")
    world.stepped = step
    for _ in range(3):
        client.pump.dataReceived(b"x\r\n")
        world.clock.advance(40)
    assert client.codes(".\n") == ["250"]
    assert client.codes(ENVELOPE) == ["250", "250"]
    world.clock.advance(101)
    assert client.heard().startswith("421 4.4.2")
    assert client.closed


# SMTP trap 31: in DATA
def test_a_message_that_drips_in_has_a_minimum_rate() -> None:
    world = World(timeouts=Timeouts(data_grace=600, data_rate=100))
    client = world.client()
    client.say("EHLO x\n" + ENVELOPE)
    client.say("DATA\n")
    for _ in range(20):
        client.pump.dataReceived(b"x")
        world.clock.advance(30)
    assert not client.closed
    client.pump.dataReceived(b"x")
    world.clock.advance(60)
    assert client.closed
    assert world.delivery.writers[0].aborted
    fast = World(timeouts=Timeouts(data_grace=600, data_rate=100)).client()
    fast.say("EHLO x\n" + ENVELOPE)
    fast.say("DATA\n")
    for _ in range(40):
        fast.pump.dataReceived(b"x" * 2998 + b"\r\n")
        fast.world.clock.advance(29)
    assert not fast.closed


def test_many_errors_slow_down_then_end() -> None:
    world = World(limits=Limits(errors_slow=3, errors_max=5))
    client = world.client()
    for _ in range(3):
        assert client.codes("WHAT\n") == ["500"]
    assert client.say("WHAT\n") == ""
    world.clock.advance(1)
    assert client.heard().startswith("500")
    assert client.say("WHAT\nNOOP\n") == ""
    world.clock.advance(1)
    world.clock.advance(1)
    assert [line[:3] for line in client.heard().splitlines()] == ["500", "421"]
    assert client.closed


def test_connections_are_counted() -> None:
    world = World(max_connections=3, max_per_peer=2)
    first, second = world.client("192.0.2.1"), world.client("192.0.2.1")
    assert second.greeting.startswith("220")
    turned_away = world.client("192.0.2.1")
    assert turned_away.greeting.startswith("421 4.7.0")
    assert turned_away.closed
    world.client("192.0.2.2")
    assert world.client("192.0.2.3").greeting.startswith("421 4.7.0")
    first.hang_up()
    assert world.factory.connections == 2
    assert world.client("192.0.2.1").greeting.startswith("220")
    implicit = World("submission", tls="implicit", max_connections=0)
    assert implicit.factory.buildProtocol(None) is None


def test_draining_between_commands_and_in_a_message() -> None:
    world = World()
    idle, busy = world.client(), world.client()
    busy.say("EHLO x\n" + ENVELOPE)
    busy.say("DATA\n")
    world.factory.draining()
    assert idle.heard().startswith("421 4.3.2")
    assert idle.closed
    assert not busy.closed
    answer = busy.say(MESSAGE)
    assert answer.startswith("250 2.0.0 queued as")
    assert answer.splitlines()[1].startswith("421 4.3.2")
    assert busy.closed


def test_draining_while_a_policy_thinks() -> None:
    world = World()
    client = world.client()
    client.say("EHLO x\n")
    world.policies.wait = wait = Deferred()
    client.say("MAIL FROM:<a@x.test>\n")
    world.factory.draining()
    assert client.heard() == ""
    wait.callback(None)
    assert [line[:3] for line in client.heard().splitlines()] == ["250", "421"]


def test_draining_while_a_policy_thinks_about_the_client() -> None:
    world = World()
    world.policies.wait = wait = Deferred()
    client = world.client()
    world.factory.draining()
    wait.callback(None)
    assert client.greeting == "" and client.heard() == "421 4.3.2 The server is shutting down, try again later\r\n"


def test_draining_while_a_client_waits_for_its_mistakes(log: Any) -> None:
    world = World()
    client = world.client()
    client.say("EHLO x\n" + "WHAT\n" * world.service.limits.errors_slow)
    assert client.say("MAIL FROM:<a@x.test>\n") == ""
    world.factory.draining()
    world.clock.advance(1)
    assert [line[:3] for line in client.heard().splitlines()] == ["421"]
    assert [fields["reason"] for name, fields in log if name == "session.ended"] == ["shutdown"]


def test_unknown_trouble_is_temporary_and_generic(log: Any) -> None:
    world = World()
    client = world.client()
    client.say("EHLO x\n")

    async def break_down(event: object) -> None:
        raise ZeroDivisionError("secret detail")

    session = client.pump._session
    session._steps = dict.fromkeys(session._steps, break_down)
    assert client.say("NOOP\n") == "421 4.3.0 Internal trouble, try again later\r\n"
    assert client.closed
    assert "secret detail" in dict(log)["session.error"]["error"]


def test_a_connection_lost_while_opening_leaves_no_timer() -> None:
    world = World()
    world.policies.wait = wait = Deferred()
    client = world.client()
    client.hang_up()
    wait.callback(None)
    assert not world.clock.getDelayedCalls()


# LMTP


@pytest.mark.parametrize("bytewise", [False, True])
def test_lmtp(bytewise: bool) -> None:
    world = World("lmtp", tls="none")
    client = world.client("10.3.0.1", bytewise=bytewise)
    assert client.greeting == "220 us.test LMTP mailnode\r\n"
    assert client.codes("EHLO x\n") == ["500"]
    client.say("LHLO x\n")
    client.say("MAIL FROM:<>\n")
    recipients = ("alice@us.test", "nobody@us.test", "bob@us.test", "alice@us.test", "b@elsewhere.test")
    codes = [client.codes(f"RCPT TO:<{to}>\n")[0] for to in recipients]
    assert codes == ["250", "550", "250", "250", "550"]
    client.say("DATA\n")
    answers = client.say(MESSAGE).splitlines()
    assert len(answers) == 3
    assert all(answer.startswith("250 2.0.0 queued as") for answer in answers)
    assert world.delivery.accepted[0][0].origin.protocol == "LMTP"
    world.delivery.fails["accept"] = StoreUnavailable()
    client.say(ENVELOPE + "RCPT TO:<bob@us.test>\n")
    client.say("DATA\n")
    assert client.codes(MESSAGE) == ["451", "451"]
    client.say(ENVELOPE + "RCPT TO:<bob@us.test>\n")
    client.say("DATA\n")
    assert client.codes(b"x\n\r\n.\r\n") == ["550", "550"]


# Submission

PLAIN = b64encode(b"\0alice\0secret").decode()


def submitter(world: World | None = None, bytewise: bool = False) -> Any:
    world = world or World("submission", tls="implicit")
    client = world.client(bytewise=bytewise)
    client.secure()
    assert client.heard().startswith("220")
    client.say("EHLO laptop\n")
    assert client.say(f"AUTH PLAIN {PLAIN}\n") == "235 2.7.0 Authentication successful\r\n"
    return client


def test_a_user_submits_without_tls_where_the_listener_allows_it() -> None:
    client = World("submission", plain_login=True).client()
    client.heard()
    said = client.say("EHLO laptop\n")
    assert "AUTH PLAIN" in said and "STARTTLS" in said
    assert client.say("MAIL FROM:<alice@us.test>\n") == "530 5.7.0 Authentication required\r\n"
    assert client.say(f"AUTH PLAIN {PLAIN}\n") == "235 2.7.0 Authentication successful\r\n"
    assert client.say("MAIL FROM:<alice@us.test>\n").startswith("250 ")


def test_no_user_submits_without_tls_elsewhere() -> None:
    client = World("submission").client()
    client.heard()
    assert "AUTH" not in client.say("EHLO laptop\n")
    assert client.say(f"AUTH PLAIN {PLAIN}\n").startswith("538 5.7.11 ")
    assert client.say("MAIL FROM:<alice@us.test>\n").startswith("530 5.7.0 Must issue a STARTTLS")


SUBMITTED = "MAIL FROM:<alice@us.test>\nRCPT TO:<b@elsewhere.test>\n"


@pytest.mark.parametrize("bytewise", [False, True])
def test_a_user_submits(bytewise: bool, log: Any) -> None:
    client = submitter(bytewise=bytewise)
    world = client.world
    assert client.codes(SUBMITTED) == ["250", "250"]
    client.say("DATA\n")
    answer = client.say(
        "From: Alice <alice+tag@us.test>\nBcc: secret@x.test\nSubject: x\nSender: alice@us.test\n\nhi\n.\n"
    )
    assert answer.startswith("250")
    envelope, routes, content = world.delivery.accepted[0]
    assert envelope.origin.protocol == "ESMTPSA"
    assert envelope.origin.account_id == "id-alice"
    assert routes[envelope.recipients[0].address].remote == ("b@elsewhere.test",)
    assert b"secret" not in content
    assert b"Sender: alice@us.test\r\n" in content
    assert content.count(b"\r\nDate: ") == 1
    assert content.count(f"\r\nMessage-ID: <{envelope.id}@us.test>\r\n".encode()) == 1
    assert dict(log)["message.accepted"]["account"] == "id-alice"
    assert dict(log)["message.accepted"]["message_id"] == f"{envelope.id}@us.test"
    assert [r.submission for r in world.policies.requests] == [True] * len(world.policies.requests)


class Signer:
    """Signs for us.test with what it was given."""

    def __init__(self) -> None:
        self.began: list[list[str]] = []
        self.body = b""
        self.asked: list[tuple[str, bytes]] = []

    async def begin(self, domains: Any) -> Any:
        self.began.append(list(domains))
        return self if "us.test" in domains else None

    def update(self, data: bytes) -> None:
        self.body += data

    async def fields(self, envelope_id: str, header: bytes) -> bytes:
        self.asked.append((envelope_id, header))
        return b"DKIM-Signature: x\r\n"


@pytest.mark.parametrize("bytewise", [False, True])
def test_what_a_user_submits_is_signed_as_it_is_kept(bytewise: bool) -> None:
    signer: Any = Signer()
    world = World("submission", tls="implicit", signer=signer)
    world.policies.verdicts["end"] = Verdict("pass", headers=(b"X-Seen: yes\r\n",))
    client = submitter(world, bytewise)
    for number in (1, 2):
        signer.body = b""
        client.say(SUBMITTED)
        client.say("DATA\n")
        assert client.say("From: alice@US.test\nBcc: x@y\n\nhi\n..\n.\n").startswith("250")
        envelope, _, content = world.delivery.accepted[-1]
        assert signer.began == [["us.test"]] * number
        assert signer.asked[-1][0] == envelope.id
        assert signer.asked[-1][1] + signer.body == content
        assert b"Bcc" not in content and b"\r\nDate: " in content
        assert envelope.trace == b"DKIM-Signature: x\r\nX-Seen: yes\r\n"


def test_what_is_sent_on_under_another_from_is_not_signed() -> None:
    signer: Any = Signer()
    client = submitter(World("submission", tls="implicit", signer=signer))
    client.say(SUBMITTED)
    client.say("DATA\n")
    assert client.say("Resent-From: alice@us.test\nFrom: x@us.test\n\nhi\n.\n").startswith("250")
    assert signer.began == []
    assert client.world.delivery.accepted[0][0].trace == b""


def test_date_and_message_id_are_kept() -> None:
    client = submitter()
    client.say(SUBMITTED)
    client.say("DATA\n")
    client.say("From: alice@us.test\nDate: then\nMessage-ID: <mine@x>\n\nhi\n.\n")
    content = client.world.delivery.accepted[0][2]
    assert content.count(b"Date:") == 1
    assert content.count(b"Message-ID:") == 1


# SMTP trap 27: who may write as whom
@pytest.mark.parametrize(
    ("sender", "author", "codes"),
    [
        ("alice@us.test", "alice@us.test", ["250", "250"]),
        ("", "alice@us.test", ["250", "250"]),
        ("sales@us.test", "Sales <SALES@us.test>", ["250", "250"]),
        ("bob@us.test", "", ["553"]),
        ("alice@elsewhere.test", "", ["553"]),
        ("alice@us.test", "bob@us.test", ["250", "550"]),
        ("", "bob@us.test", ["250", "550"]),
        ("alice@us.test", "alice@us.test, bob@us.test", ["250", "550"]),
        ("alice@us.test", "alice", ["250", "550"]),
        ("alice@us.test", "alice@us.test\nFrom: bob@us.test", ["250", "550"]),
        ("alice@us.test", "=?utf-8?q?alice=40us.test?= <bob@us.test>", ["250", "550"]),
        ("alice@us.test", "<>", ["250", "550"]),
    ],
)
def test_what_an_account_may_send_as(sender: str, author: str, codes: list[str]) -> None:
    client = submitter()
    answers = client.codes(f"MAIL FROM:<{sender}>\n")
    if answers == ["250"]:
        client.say("RCPT TO:<b@elsewhere.test>\n")
        client.say("DATA\n")
        answers += client.codes(f"From: {author}\n\nhi\n.\n")
    assert answers == codes
    assert len(client.world.delivery.accepted) == (codes[-1] == "250" and len(codes) == 2)


@pytest.mark.parametrize(
    ("header", "answer"),
    [
        ("From: ceo@bank.test <alice@us.test>\n", "550 5.6.0 From field: a display name with @ or brackets"),
        (
            "From: Doe, Alice <alice@us.test>\n",
            "550 5.6.0 From field: a display name with a comma must stand in quotes",
        ),
        ("From: alice@us.test\nFrom: alice@us.test\n", "550 5.6.0 The message has two From fields"),
        ("From: alice@us.test\nSender: bob@us.test\n", "550 5.7.1 Sender address is not one of this account"),
        ("From: alice@us.test\nSender: sales@us.test\n", "250"),
        ("Resent-From: bob@us.test\nFrom: alice@us.test\n", "550 5.7.1 Resent-From address is not one of this account"),
        ("Resent-From: alice@us.test\nResent-Sender: bob@us.test\nFrom: x@y.test\n", "550 5.7.1 Resent-Sender address"),
        ("Resent-From: alice@us.test\nResent-To: x@y.test\nFrom: ceo@bank.test\nSender: z@bank.test\n", "250"),
    ],
)
def test_who_answers_for_a_message_must_be_clear_and_of_the_account(header: str, answer: str) -> None:
    client = submitter()
    client.say(SUBMITTED)
    client.say("DATA\n")
    assert client.say(f"{header}\nhi\n.\n").startswith(answer)
    assert len(client.world.delivery.accepted) == answer.startswith("250")


def test_a_message_without_author_is_refused() -> None:
    client = submitter()
    client.say(SUBMITTED)
    client.say("DATA\n")
    assert client.say("Subject: x\n\nhi\n.\n").startswith("550 5.6.0")


def test_nothing_without_tls_and_login() -> None:
    world = World("submission")
    client = world.client()
    assert "AUTH" not in client.say("EHLO x\n")
    assert client.say("MAIL FROM:<alice@us.test>\n").startswith("530 5.7.0")
    assert client.say(f"AUTH PLAIN {PLAIN}\n").startswith("538")
    client.start_tls()
    assert "AUTH PLAIN LOGIN SCRAM-SHA-256\r\n" in client.say("EHLO x\n")
    assert client.say("MAIL FROM:<alice@us.test>\n").startswith("530 5.7.0")
    assert client.say(f"AUTH PLAIN {PLAIN}\n").startswith("235")
    assert client.codes(SUBMITTED) == ["250", "250"]


@pytest.mark.parametrize(("user", "code"), [("bob", "535 5.7.8"), ("gone", "525 5.7.13"), ("trouble", "454 4.7.0")])
def test_logins_that_fail(user: str, code: str) -> None:
    world = World("submission", tls="implicit")
    client = world.client()
    client.secure()
    client.heard()
    client.say("EHLO x\n")
    wrong = b64encode(f"\0{user}\0secret".encode()).decode()
    assert client.say(f"AUTH PLAIN {wrong}\n").startswith(code)
    assert client.say(f"AUTH PLAIN {PLAIN}\n").startswith("235")


def test_auth_in_steps() -> None:
    world = World("submission", tls="implicit")
    client = world.client()
    client.secure()
    client.heard()
    client.say("EHLO x\n")
    assert client.say("AUTH PLAIN\n") == "334 \r\n"
    assert client.say("*\n").startswith("501 5.7.0")
    assert client.say("AUTH SCRAM-SHA-256 bg==\n") == "334 cj0x\r\n"
    assert client.say("bg==\n") == "334 cj0y\r\n"
    assert client.say("\n").startswith("235")
    assert world.logins.minds[-1].protocol == "submission"
    assert world.logins.minds[-1].peer == "192.0.2.1"


def test_the_realm_ends_a_session_and_its_message_is_not_taken() -> None:
    client = submitter()
    client.say(SUBMITTED)
    client.say("DATA\n")
    client.world.logins.minds[-1].end("password changed")
    assert not client.closed
    answers = client.codes("From: alice@us.test\n\nhi\n.\n")
    assert answers == ["451", "421"]
    assert client.world.delivery.accepted == []
    client.hang_up()
    assert client.world.logins.standing[0].logged_out == 1


@pytest.mark.parametrize("words", ["QUIT\n", "GET / HTTP/1.1\n", ""])
def test_a_peer_that_keeps_its_side_open_keeps_no_login(words: str) -> None:
    client = submitter()
    if words:
        client.say(words)
    else:
        client.world.factory.draining()
    assert client.closed and client.world.factory.connections == 1
    assert client.world.logins.standing[0].logged_out == 1
    client.hang_up()
    assert client.world.logins.standing[0].logged_out == 1


def test_the_realm_ends_an_idle_session_at_once() -> None:
    client = submitter()
    client.world.logins.minds[-1].end("password changed")
    assert client.heard().startswith("421 4.7.0")
    assert client.closed


def test_a_login_that_stands_only_after_the_connection_is_lost_is_given_back() -> None:
    world = World("submission", tls="implicit")
    client = world.client()
    client.secure()
    client.say("EHLO x\n")
    world.logins.wait = wait = Deferred()
    client.say(f"AUTH PLAIN {PLAIN}\n")
    client.hang_up()
    wait.callback(None)
    assert world.logins.standing[0].logged_out == 1


def test_xclient_logs_out() -> None:
    world = World("submission", tls="implicit")
    client = world.client("10.2.0.1")
    client.secure()
    client.say("EHLO x\n")
    client.say(f"AUTH PLAIN {PLAIN}\n")
    assert client.say("XCLIENT ADDR=192.0.2.9\n").startswith("220")
    assert world.logins.standing[0].logged_out == 1
    client.say("EHLO x\n")
    assert client.say("MAIL FROM:<alice@us.test>\n").startswith("530")
    client.say(f"AUTH PLAIN {PLAIN}\n")
    assert world.logins.minds[-1].peer == "192.0.2.9"


def test_wrong_set_up_is_refused() -> None:
    world = World()
    from mailnode.smtp.protocol import SmtpFactory

    with pytest.raises(ValueError, match="start_tls"):
        SmtpFactory("smtp", world.service, tls="starttls")


def test_results_that_take_long_to_read_are_taken_out():
    name = b"authentication-results"
    block = b"Authentication-Results: " + b"(\r\n " * MAX_FIELD + b"\r\nSubject: x\r\n\r\n"
    assert without_forged(block, frozenset({name}), "us.test") == b"Subject: x\r\n\r\n"


# messages that are read by another process


class ReadAhead:
    def __init__(self, content: bytes, header_size: int, accounts: Any) -> None:
        self.about = content, header_size, accounts
        self.reading: Any = None

    async def read(self, keys: Any) -> Any:
        self.reading = "reading"
        return self.reading


class Reader:
    largest = 1000

    def __init__(self) -> None:
        self.begun: list[ReadAhead] = []

    def begin(self, content: bytes, header_size: int, accounts: Any) -> ReadAhead:
        self.begun.append(ReadAhead(content, header_size, accounts))
        return self.begun[-1]


@pytest.mark.parametrize("content, begun", [("From: a@x.test\n\nhello\n", 1), ("X: y\n\n" + "z" * 900 + "\n", 0)])
def test_a_small_message_is_read_by_another_process_for_policies_and_the_store(content: str, begun: int) -> None:
    class Asking(FakePolicies):
        async def ask(self, request: Any) -> Verdict:
            if request.stage == "end":
                read.append(None if request.ahead is None else await request.ahead({}))
            return await super().ask(request)

    read: list[Any] = []
    staged: list[Any] = []
    reader = Reader()
    world = World(policies=Asking(), reader=reader)
    stage = world.delivery.stage

    async def noted(writer: Any, reading: Any = None) -> Any:
        staged.append(reading)
        return await stage(writer)

    world.delivery.stage = noted  # type: ignore[method-assign]
    for peer, asked in (("192.0.2.1", begun), ("10.1.0.1", 0)):  # of the other nobody is asked
        reader.begun.clear()
        staged.clear()
        client = world.client(peer)
        client.say("EHLO far.test\nMAIL FROM:<a@x.test>\nRCPT TO:<bob@us.test>\n")
        assert client.codes(f"DATA\n{content}.\n")[-1] == "250"
        assert len(reader.begun) == asked and staged == (["reading"] if asked else [None])
        taken = world.delivery.accepted[-1][2]
        about = taken, taken.index(b"\r\n\r\n") + 4, ["id-bob"]
        assert [one.about for one in reader.begun] == [about] * asked
    assert read == ["reading" if begun else None]
