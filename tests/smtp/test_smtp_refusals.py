"""Whatever refuses, at whatever stage: a line with who asked and why, nothing secret, and no flood."""

from __future__ import annotations

from base64 import b64encode
from typing import Any

import pytest
from smtp_fakes import World
from twisted.logger import globalLogPublisher

from mailnode.errors import StoreUnavailable
from mailnode.smtp.refusals import MAX_LINES, MAX_SAID
from mailnode.smtp.wire.limits import Limits
from mailnode.values.policy import Verdict

REFUSE = Verdict("refuse", text="We do not like it", by="taste")
PEER = "192.0.2.1"
MAIL = "MAIL FROM:<a@x.test>\n"
LOGIN = "AUTH PLAIN " + b64encode(b"\0alice\0secret").decode() + "\n"
SECRET = "c2VjcmV0LXBhc3N3b3Jk"


@pytest.fixture
def log() -> Any:
    """Events of the log, as (name, fields)."""
    events: list[tuple[str, dict[str, Any]]] = []

    def observe(event: Any) -> None:
        if "event" in event and "fields" in event:
            events.append((event["event"], event["fields"]))

    globalLogPublisher.addObserver(observe)
    yield events
    globalLogPublisher.removeObserver(observe)


def refusals(log: Any) -> list[dict[str, Any]]:
    return [{"event": name, **fields} for name, fields in log if name.endswith(".refused")]


COMMANDS = [
    # what is said, and of the line: command, code, sender, recipient
    ("MAIL FROM:<a..@x.test> SIZE=99999999999\n", "MAIL", 552, "<a..@x.test> SIZE=99999999999", None),
    ("MAIL FROM:<a@b@c>\n", "MAIL", 501, "<a@b@c>", None),
    ("MAIL FROM:<a@x.test> FOO=1\n", "MAIL", 555, "<a@x.test> FOO=1", None),
    (MAIL + "MAIL FROM:<b@x.test>\n", "MAIL", 503, "<b@x.test>", None),
    ("RCPT TO:<b@x.test>\n", "RCPT", 503, "", "<b@x.test>"),
    (MAIL + "RCPT TO:<\u00fc@x.test>\n", "RCPT", 553, "a@x.test", "<\u00fc@x.test>"),
    (MAIL + "RCPT TO:<alice@us.test>\nRCPT TO:<bob@us.test>\n", "RCPT", 452, "a@x.test", "<bob@us.test>"),
    (MAIL + "DATA\n", "DATA", 503, "a@x.test", None),
    ("MAIL TO <a@x.test>\n", "MAIL", 501, "TO <a@x.test>", None),
    ("STARTTLS now\n", "STARTTLS", 501, "", None),
    ("AUTH PLAIN AAAA\n", "AUTH", 503, "", None),
    ("EXPN list\n", "EXPN", 502, "", None),
    (f"{SECRET}\n", "", 500, "", None),
    ("x" * 5000 + "\n", "", 500, "", None),
]


@pytest.mark.parametrize(("said", "command", "code", "sender", "recipient"), COMMANDS)
def test_a_refused_command_is_logged(
    said: str, command: str, code: int, sender: str, recipient: str | None, log: Any
) -> None:
    client = World(limits=Limits(recipients=1)).client()
    client.say("EHLO there.test\n")
    assert client.codes(said)[-1] == str(code)
    (line,) = refusals(log)
    assert (line["event"], line["command"], line["code"]) == ("command.refused", command, code)
    assert (line["protocol"], line["peer"], line["helo"]) == ("smtp", PEER, "there.test")
    assert (line["sender"], line.get("recipient")) == (sender, recipient)
    assert line["reason"]
    assert line["session"] == client.pump.session
    assert SECRET not in repr(log)


def test_what_judges_refuse_is_logged_with_who_asked(log: Any) -> None:
    world = World()
    client = world.client()
    client.say("EHLO there.test\n" + MAIL + "RCPT TO:<nobody@us.test>\n")
    world.policies.verdicts["mail"] = REFUSE
    client.say("RSET\n" + MAIL)
    world.policies.verdicts["helo"] = REFUSE
    client.say("EHLO other.test\n")
    recipient, message, command = refusals(log)
    assert recipient["event"] == "recipient.refused"
    assert (recipient["sender"], recipient["recipient"], recipient["code"]) == ("a@x.test", "nobody@us.test", 550)
    assert message["event"] == "message.refused"
    assert (message["sender"], message["reason"]) == ("a@x.test", "We do not like it")
    assert (command["command"], command["helo"], command["reason"]) == ("EHLO", "other.test", "We do not like it")
    assert {line["peer"] for line in (recipient, message, command)} == {PEER}
    assert {line["helo"] for line in (recipient, message)} == {"there.test"}


def test_content_that_is_refused_is_logged(log: Any) -> None:
    world = World(limits=Limits(message_size=100))
    client = world.client()
    client.say("EHLO there.test\n")
    for content in (b"a\nb\r\n.\r\n", b"x" * 90 + b"\r\n" + b"x" * 90 + b"\r\n.\r\n"):
        client.say(MAIL + "RCPT TO:<alice@us.test>\n")
        client.say("DATA\n")
        client.say(content)
    world.delivery.fails["finish"] = StoreUnavailable("disk full")
    client.say(MAIL + "RCPT TO:<alice@us.test>\nDATA\n")
    client.say(b"hi\r\n.\r\n")
    lines = refusals(log)
    assert [(line["event"], line["code"]) for line in lines] == [
        ("message.refused", 550),
        ("message.refused", 552),
        ("message.refused", 451),
    ]
    assert all((line["peer"], line["helo"], line["sender"]) == (PEER, "there.test", "a@x.test") for line in lines)
    assert "disk full" in lines[2]["reason"]


def test_a_session_the_server_ends_says_whose_it_was_and_why(log: Any) -> None:
    world = World(limits=Limits(errors_max=2, errors_slow=9))
    client = world.client()
    client.say("FOO\nFOO\nFOO\n")
    world.policies.verdicts["connect"] = REFUSE
    world.client("192.0.2.9")
    ended = [(fields["peer"], fields["reason"]) for name, fields in log if name == "session.ended"]
    assert ended == [(PEER, "Too many errors"), ("192.0.2.9", "policy taste at connect: We do not like it")]


def test_logins_that_come_to_nothing_are_logged_without_what_was_said(log: Any) -> None:
    client = World("submission").client()
    client.say(f"EHLO there.test\nMAIL FROM:<a@x.test>\nAUTH PLAIN {SECRET}\n")
    client.start_tls()
    client.say("EHLO there.test\n")
    client.say("AUTH GSSAPI\n")
    client.say("AUTH PLAIN\n")
    client.say("*\n")
    client.say(f"AUTH PLAIN {SECRET}!\n")
    lines = refusals(log)
    assert [(line["command"], line["code"]) for line in lines] == [
        ("MAIL", 530),
        ("AUTH", 538),
        ("AUTH", 504),
        ("AUTH", 501),
        ("AUTH", 501),
    ]
    assert {line["protocol"] for line in lines} == {"submission"}
    assert SECRET not in repr(log)


def test_trouble_during_a_login_is_logged(log: Any) -> None:
    client = World("submission", plain_login=True).client()
    client.say("EHLO there.test\nAUTH PLAIN " + b64encode(b"\0trouble\0secret").decode() + "\n")
    assert dict(log)["session.error"]["error"] == "ZeroDivisionError"


def test_refusals_of_one_session_are_no_flood(log: Any) -> None:
    world = World(limits=Limits(errors_max=10**6, errors_slow=10**6))
    client = world.client()
    client.say("EHLO there.test\n" + MAIL)
    for _ in range(MAX_LINES + 5):
        client.say("RCPT TO:<nobody@us.test>\n")
    assert len(refusals(log)) == MAX_LINES
    assert [name for name, _ in log if name in ("session.quiet", "recipient.refused")][-1] == "session.quiet"
    client.say("RCPT TO:<alice@us.test>\nDATA\n")
    client.say(b"hi\r\n.\r\n")
    client.say("FOO\n")
    assert refusals(log)[MAX_LINES]["command"] == ""


def test_what_the_client_said_is_bounded(log: Any) -> None:
    client = World().client()
    client.say("EHLO " + "h" * 3000 + "\nMAIL FROM:<" + "a" * 3000 + "@x.test>\n")
    (line,) = refusals(log)
    assert (len(line["sender"]), len(line["helo"])) == (MAX_SAID, 255)


def test_a_message_taken_names_the_client(log: Any) -> None:
    client = World().client()
    client.say("EHLO M\u00fcller\n" + MAIL + "RCPT TO:<alice@us.test>\nDATA\n")
    client.say(b"hi\r\n.\r\n")
    assert dict(log)["message.accepted"]["helo"] == "M?ller"
