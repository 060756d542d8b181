"""The sending connection: dialogs, each run whole, byte by byte and with something behind the last line."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from mailnode.smtp.wire import client
from mailnode.smtp.wire.client import ClientConnection, ClientState, Failed, Sent
from mailnode.values.envelope import PLAIN_RCPT, MailOptions, RcptOptions
from mailnode.values.wire import NEED_DATA

TWO = (("a@x.test", PLAIN_RCPT), ("b@x.test", PLAIN_RCPT))


class Sender:
    """A caller of the connection as net would write it: hello, STARTTLS and AUTH when told, then one message."""

    def __init__(self, content: bytes = b"Subject: x\r\n\r\nbody\r\n", *, lmtp: bool = False, **options: Any) -> None:
        self.connection = ClientConnection("us.test", lmtp=lmtp)
        self.content = content
        self.tls = options.pop("tls", False)
        self.login = options.pop("login", None)
        self.rounds = options.pop("rounds", 1)
        self.then_reset = options.pop("then_reset", False)
        self.recipients = options.pop("recipients", TWO)
        self.reverse_path = options.pop("reverse_path", "me@us.test")
        self.options = options
        self.written = b""
        self.events: list[Any] = []
        self.sent: list[list[str]] = []

    def feed(self, data: bytes) -> None:
        self.connection.receive_data(data)
        self.pump()

    def eof(self) -> None:
        self.connection.receive_eof()
        self.pump()

    def pump(self) -> None:
        while (event := self.connection.next_event()) is not NEED_DATA:
            self.events.append(event)
            step: Callable[[Any], bytes] = getattr(self, "on_" + type(event).__name__)
            self.written += step(event)

    def start(self) -> bytes:
        return self.connection.send(self.reverse_path, self.recipients, MailOptions(**self.options))

    def on_Send(self, event: client.Send) -> bytes:
        return event.data

    def on_Greeting(self, event: client.Greeting) -> bytes:
        return self.connection.hello()

    def on_Hello(self, event: client.Hello) -> bytes:
        if self.tls and not self.connection.secure:
            return self.connection.start_tls()
        if self.login:
            return self.connection.authenticate(*self.login)
        return self.start()

    def on_TlsReady(self, event: client.TlsReady) -> bytes:
        self.connection.tls_started()
        return b"<TLS>\r\n" + self.connection.hello()

    def on_TlsRefused(self, event: client.TlsRefused) -> bytes:
        return self.start()

    def on_LoggedIn(self, event: client.LoggedIn) -> bytes:
        return self.start()

    def on_LoginRefused(self, event: client.LoginRefused) -> bytes:
        return self.connection.quit()

    def on_ContentWanted(self, event: client.ContentWanted) -> bytes:
        middle = len(self.content) // 2
        return (
            self.connection.data(self.content[:middle])
            + self.connection.data(self.content[middle:])
            + self.connection.end_data()
        )

    def on_Sent(self, event: Sent) -> bytes:
        self.sent.append([str(reply) for reply in event.replies])
        self.rounds -= 1
        if self.rounds:
            return self.start()
        return self.connection.reset() if self.then_reset else self.connection.quit()

    def on_Reset(self, event: client.Reset) -> bytes:
        return self.connection.quit()

    def on_Closed(self, event: client.Closed) -> bytes:
        return b""

    def on_Failed(self, event: Failed) -> bytes:
        return b""


def play(dialog: str, bytewise: bool = False, trailing: bytes = b"", **options: Any) -> Sender:
    """Run a dialog: ``S:`` is fed, ``C:`` must have been written since the last ``S:``, ``EOF`` ends the input."""
    sender = Sender(**options)
    turns: list[tuple[str, str]] = []
    for line in dialog.strip().split("\n"):
        side, _, text = line.strip(" ").partition(" ")
        if turns and turns[-1][0] == side:
            turns[-1] = (side, turns[-1][1] + text + "\r\n")
        else:
            turns.append((side, text + "\r\n"))
    for number, (side, text) in enumerate(turns):
        if side == "C:":
            assert sender.written.decode() == text
            sender.written = b""
            continue
        assert sender.written == b""
        if side == "EOF":
            sender.eof()
            continue
        octets = text.encode()
        if number == len(turns) - 1:
            octets += trailing
        for piece in [octets[i : i + 1] for i in range(len(octets))] if bytewise else [octets]:
            sender.feed(piece)
    assert sender.written == b""
    return sender


SIMPLE = """
S: 220 mx.test ESMTP
C: EHLO us.test
S: 250-mx.test
S: 250-PIPELINING
S: 250-SIZE 1000
S: 250 8BITMIME
C: MAIL FROM:<me@us.test> SIZE=20
C: RCPT TO:<a@x.test>
C: RCPT TO:<b@x.test>
C: DATA
S: 250 2.1.0 ok
S: 250 2.1.5 ok
S: 550 5.1.1 nobody
S: 354 go on
C: Subject: x
C:
C: body
C: .
S: 250 2.0.0 taken
C: QUIT
S: 221 2.0.0 bye
"""

LINE_BY_LINE = """
S: 220 mx.test
C: EHLO us.test
S: 502 5.5.1 what
C: HELO us.test
S: 250 mx.test
C: MAIL FROM:<me@us.test>
S: 250 ok
C: RCPT TO:<a@x.test>
S: 250 ok
C: RCPT TO:<b@x.test>
S: 452 later
C: DATA
S: 354 go on
C: Subject: x
C:
C: body
C: .
S: 250 taken
C: QUIT
S: 221 bye
"""


@pytest.mark.parametrize("bytewise", [False, True])
@pytest.mark.parametrize("trailing", [b"", b"250 and more\r\n", b"2"])
def test_one_message(bytewise: bool, trailing: bytes) -> None:
    sender = play(SIMPLE, bytewise, trailing, size=20)
    assert sender.sent == [["250 2.0.0 taken", "550 5.1.1 nobody"]]
    assert sender.connection.state is ClientState.CLOSED


# SMTP trap 44: 502 to EHLO
@pytest.mark.parametrize("bytewise", [False, True])
def test_helo_only_server(bytewise: bool) -> None:
    sender = play(LINE_BY_LINE, bytewise)
    assert sender.sent == [["250 taken", "452 later"]]


def ready(*keywords: str) -> str:
    lines = ["mx.test", *keywords]
    reply = [f"S: 250-{line}" for line in lines[:-1]] + [f"S: 250 {lines[-1]}"]
    return "\n".join(["S: 220 mx", "C: EHLO us.test", *reply]) + "\n"


GROUP = """
C: MAIL FROM:<me@us.test>
C: RCPT TO:<a@x.test>
C: RCPT TO:<b@x.test>
C: DATA
"""
BODY = "C: Subject: x\nC:\nC: body\nC: .\n"


def group(text: str) -> str:
    return text.lstrip("\n")


@pytest.mark.parametrize("bytewise", [False, True])
def test_mail_refused_in_a_group(bytewise: bool) -> None:
    sender = play(
        ready("PIPELINING") + group(GROUP) + "S: 451 4.7.1 greylisted\nS: 503 no\nS: 503 no\nS: 503 no\nC: QUIT",
        bytewise,
    )
    assert sender.sent == [["451 4.7.1 greylisted"] * 2]


# SMTP trap 14: as client
def test_354_though_nobody_was_accepted() -> None:
    sender = play(
        ready("PIPELINING")
        + group(GROUP)
        + "S: 250 ok\nS: 550 no\nS: 551 no\nS: 354 go\nC: .\nS: 250 taken\nC: QUIT\nS: 221 x"
    )
    assert sender.sent == [["550 no", "551 no"]]


def test_data_refused() -> None:
    sender = play(
        ready("PIPELINING") + group(GROUP) + "S: 250 ok\nS: 250 ok\nS: 551 no\nS: 452 4.3.1 full\nC: QUIT\nS: 221 x"
    )
    assert sender.sent == [["452 4.3.1 full", "551 no"]]


@pytest.mark.parametrize("bytewise", [False, True])
def test_second_message_on_the_same_connection(bytewise: bool) -> None:
    sender = play(
        ready("PIPELINING")
        + group(GROUP)
        + "S: 250 ok\nS: 550 no\nS: 550 no\nS: 554 nobody\nC: RSET\n"
        + group(GROUP)
        + "S: 250 reset\nS: 250 ok\nS: 250 ok\nS: 250 ok\nS: 354 go\n"
        + BODY
        + "S: 250 taken\n"
        + group(GROUP)
        + "S: 250 ok\nS: 250 ok\nS: 250 ok\nS: 354 go\n"
        + BODY
        + "S: 250 taken too\nC: RSET\nS: 250 ok\nC: QUIT\nS: 221 bye",
        bytewise,
        rounds=3,
        then_reset=True,
    )
    assert sender.sent == [["550 no", "550 no"], ["250 taken"] * 2, ["250 taken too"] * 2]


def test_reset_before_the_next_without_pipelining() -> None:
    one = (("a@x.test", PLAIN_RCPT),)
    sender = play(
        ready("SIZE 0")
        + "C: MAIL FROM:<me@us.test>\nS: 250 ok\nC: RCPT TO:<a@x.test>\nS: 550 no\nC: RSET\nS: 250 ok\n"
        + "C: MAIL FROM:<me@us.test>\nS: 250 ok\nC: RCPT TO:<a@x.test>\nS: 250 ok\nC: DATA\nS: 354 go\n"
        + BODY
        + "S: 250 taken\nC: QUIT\nS: 221 x",
        rounds=2,
        recipients=one,
    )
    assert sender.sent == [["550 no"], ["250 taken"]]


@pytest.mark.parametrize("bytewise", [False, True])
def test_lmtp_one_reply_a_recipient(bytewise: bool) -> None:
    sender = play(
        ready("PIPELINING").replace("EHLO", "LHLO")
        + group(GROUP)
        + "S: 250 ok\nS: 250 ok\nS: 250 ok\nS: 354 go\n"
        + BODY
        + "S: 250 2.0.0 one\nS: 452 4.2.2 full\nC: QUIT\nS: 221 x",
        bytewise,
        lmtp=True,
    )
    assert sender.sent == [["250 2.0.0 one", "452 4.2.2 full"]]


@pytest.mark.parametrize(
    ("end", "second"),
    [("", "451 The server did not answer for this recipient"), ("S: 421 4.3.2 going\n", "421 4.3.2 going")],
)
def test_an_answered_recipient_of_lmtp_stays_answered(end: str, second: str) -> None:
    sender = play(
        ready("PIPELINING").replace("EHLO", "LHLO")
        + group(GROUP)
        + "S: 250 ok\nS: 250 ok\nS: 250 ok\nS: 354 go\n"
        + BODY
        + "S: 250 2.0.0 one\n"
        + end,
        lmtp=True,
    )
    sender.eof()
    [[first, other]] = sender.sent
    assert (first, other.replace(" 4.4.2", "")) == ("250 2.0.0 one", second)


def test_lmtp_has_no_helo() -> None:
    sender = play("S: 220 x\nC: LHLO us.test\nS: 500 what", lmtp=True)
    assert isinstance(sender.events[-1], Failed)
    assert sender.events[-1].scope == "greeting"


def test_starttls() -> None:
    sender = play(
        ready("STARTTLS")
        + "C: STARTTLS\nS: 220 go\nC: <TLS>\nC: EHLO us.test\nS: 250-mx\nS: 250 PIPELINING\n"
        + group(GROUP)
        + "S: 250 ok\nS: 250 ok\nS: 250 ok\nS: 354 go\n"
        + BODY
        + "S: 250 taken\nC: QUIT\nS: 221 x",
        tls=True,
    )
    assert sender.sent == [["250 taken"] * 2]
    assert "STARTTLS" not in sender.connection.extensions


# SMTP trap 44: 454 to STARTTLS
def test_starttls_refused_goes_on() -> None:
    play(ready("STARTTLS") + "C: STARTTLS\nS: 454 4.7.0 no\nC: MAIL FROM:<me@us.test>", tls=True)


# SMTP trap 12: in one segment with 220
@pytest.mark.parametrize("extra", ["S: 250-evil\nS: 250 AUTH PLAIN", "S: 2"])
def test_data_behind_the_220_of_starttls_is_refused(extra: str) -> None:
    sender = play(ready("STARTTLS") + "C: STARTTLS\nS: 220 go\n" + extra, tls=True)
    assert sender.events[-1] == Failed("tls", sender.events[-1].text, sender.events[-1].reply)
    assert sender.connection.state is ClientState.CLOSED


# SMTP trap 12: before the handshake
def test_data_between_220_and_tls_is_refused() -> None:
    connection = ClientConnection("us.test")
    for answer in (b"220 x\r\n", b"250-x\r\n250 STARTTLS\r\n"):
        connection.receive_data(answer)
        event = connection.next_event()
        command = connection.hello() if isinstance(event, client.Greeting) else connection.start_tls()
    assert command == b"STARTTLS\r\n"
    connection.receive_data(b"220 go\r\n")
    assert isinstance(connection.next_event(), client.TlsReady)
    connection.receive_data(b"250 x\r\n")
    event = connection.next_event()
    assert isinstance(event, Failed)
    assert event.scope == "tls"


def test_auth_plain_and_login() -> None:
    play(ready("AUTH PLAIN LOGIN") + "C: AUTH PLAIN AHUAcA==\nS: 235 ok\nC: MAIL FROM:<me@us.test>", login=("u", "p"))
    play(
        ready("AUTH=LOGIN", "AUTH LOGIN CRAM-MD5")
        + "C: AUTH LOGIN\nS: 334 VXNlcm5hbWU6\nC: dQ==\nS: 334 UGFzc3dvcmQ6\nC: cA==\nS: 235 ok\nC: MAIL FROM:<me@us.test>",
        login=("u", "p"),
    )
    sender = play(ready("AUTH PLAIN") + "C: AUTH PLAIN AHUAcA==\nS: 535 5.7.8 no\nC: QUIT\nS: 221 x", login=("u", "p"))
    assert isinstance(sender.events[-2], client.LoginRefused)
    play(ready("AUTH PLAIN") + "C: AUTH PLAIN AHUAcA==\nS: 334 \nC: *\nS: 501 x\nC: QUIT", login=("u", "p"))


def test_no_mechanism_in_common() -> None:
    with pytest.raises(RuntimeError):
        play(ready("AUTH GSSAPI"), login=("u", "p"))


def test_parameters_only_where_the_server_has_them() -> None:
    options: dict[str, Any] = {
        "size": 7,
        "body": "8BITMIME",
        "smtputf8": True,
        "ret": "HDRS",
        "envid": "a+b c",
        "recipients": (
            ("ü@x.test", RcptOptions(frozenset({"SUCCESS", "FAILURE"}), "utf-8;ü@x.test")),
            ("b@x.test", RcptOptions(orcpt="rfc822;b+c@x.test")),
        ),
    }
    play(
        ready("SIZE", "8BITMIME", "SMTPUTF8", "DSN", "PIPELINING")
        + "C: MAIL FROM:<me@us.test> RET=HDRS ENVID=a+2Bb+20c BODY=8BITMIME SIZE=7 SMTPUTF8\n"
        + "C: RCPT TO:<ü@x.test> NOTIFY=FAILURE,SUCCESS ORCPT=utf-8;\\x{FC}@x.test\n"
        + "C: RCPT TO:<b@x.test> ORCPT=rfc822;b+2Bc@x.test\nC: DATA",
        **options,
    )


def test_what_the_server_cannot_take_is_told_without_sending() -> None:
    sender = play(ready("SIZE 10") + "C: QUIT", size=11)
    assert sender.sent[0][0].startswith("552 5.3.4")
    sender = play(ready("SIZE 10") + "C: QUIT", body="8BITMIME")
    assert sender.sent[0][1].startswith("554 5.6.3")
    sender = play(ready("8BITMIME") + "C: QUIT", smtputf8=True)
    assert sender.sent[0][0].startswith("553 5.6.7")
    sender = play(ready("8BITMIME") + "C: QUIT", recipients=(("ü@x.test", PLAIN_RCPT),))
    assert sender.sent[0][0].startswith("553 5.6.7")


# SMTP trap 24: a next hop that has none
def test_a_recipient_who_needs_smtputf8_does_not_hold_up_the_others() -> None:
    sender = play(
        ready("PIPELINING")
        + "C: MAIL FROM:<me@us.test>\nC: RCPT TO:<a@x.test>\nC: RCPT TO:<b@x.test>\nC: DATA\n"
        + "S: 250 ok\nS: 550 no\nS: 250 ok\nS: 354 go\n"
        + BODY
        + "S: 250 taken\nC: QUIT\nS: 221 x",
        recipients=(
            ("ü@x.test", PLAIN_RCPT),
            ("a@x.test", PLAIN_RCPT),
            ("ö@x.test", PLAIN_RCPT),
            ("b@x.test", PLAIN_RCPT),
        ),
    )
    assert [reply[:3] for reply in sender.sent[0]] == ["553", "550", "553", "250"]


# SMTP trap 24: a domain alone is said in A-labels
def test_unicode_domain_becomes_an_a_label_where_smtputf8_is_missing() -> None:
    play(
        ready("PIPELINING") + "C: MAIL FROM:<>\nC: RCPT TO:<a@xn--bcher-kva.test>\nC: DATA",
        recipients=(("a@bücher.test", PLAIN_RCPT),),
        reverse_path="",
    )


def test_no_command_injection_by_an_address() -> None:
    with pytest.raises(ValueError, match="control"):
        play(ready("PIPELINING"), recipients=(("a@x.test>\r\nRSET", PLAIN_RCPT),))


STAGES = {
    "greeting": ("", "greeting", None),
    "hello": ("S: 220 x\nC: EHLO us.test\n", "greeting", None),
    "helo": ("S: 220 x\nC: EHLO us.test\nS: 500 x\nC: HELO us.test\n", "greeting", None),
    "tls": (ready("STARTTLS") + "C: STARTTLS\n", "tls", None),
    "mail": (ready("PIPELINING") + group(GROUP), "lost", None),
    "rcpt": (ready("PIPELINING") + group(GROUP) + "S: 250 ok\nS: 250 ok\n", "lost", None),
    "data": (ready("PIPELINING") + group(GROUP) + "S: 250 ok\nS: 250 ok\nS: 550 no\n", "lost", None),
    "all refused": (
        ready("PIPELINING") + group(GROUP) + "S: 250 ok\nS: 550 no\nS: 551 no\n",
        "lost",
        ["550 no", "551 no"],
    ),
    "mail refused": (ready("PIPELINING") + group(GROUP) + "S: 550 no\n", "lost", ["550 no"] * 2),
    "end": (
        ready("PIPELINING") + group(GROUP) + "S: 250 ok\nS: 250 ok\nS: 250 ok\nS: 354 go\n" + BODY,
        "lost",
        None,
    ),
}


@pytest.mark.parametrize("stage", STAGES)
@pytest.mark.parametrize("how", ["421", "eof", "garbage", "long", "many"])
def test_the_end_at_every_stage(stage: str, how: str) -> None:
    before, scope, sent = STAGES[stage]
    ends = {
        "421": "S: 421 4.3.2 going down",
        "eof": "EOF",
        "garbage": "S: hello?",
        "long": "S: 250 " + "x" * 5000,
        "many": "S: " + "\nS: ".join(["250-x"] * 300),
    }
    sender = play(before + ends[how], tls=stage == "tls")
    failed = sender.events[-1]
    assert isinstance(failed, Failed)
    assert failed.scope == scope
    assert failed.in_doubt == (stage == "end" and how != "421")
    assert sender.connection.state is ClientState.CLOSED
    if stage == "end" and how == "421":
        sent = ["421 4.3.2 going down"] * 2
    if how in ("421", "eof"):
        assert sender.sent == ([sent] if sent else [])


def test_bad_banner() -> None:
    for code in ("554 no", "421 later", "250 what", "354 go"):
        sender = play(f"S: {code}")
        assert [type(event) for event in sender.events] == [Failed]
        assert sender.events[0].scope == "greeting"


# SMTP trap 44: 4yz and 421 to EHLO
@pytest.mark.parametrize("code", ["421 busy", "451 later"])
def test_a_busy_server_gets_no_helo(code: str) -> None:
    sender = play(f"S: 220 x\nC: EHLO us.test\nS: {code}")
    assert sender.events[-1].scope == "greeting"


def test_unsolicited_reply_in_the_content() -> None:
    sender = Sender()
    sender.on_ContentWanted = lambda event: sender.connection.data(b"x\r\n")  # type: ignore[method-assign]
    sender.feed(b"220 x\r\n")
    sender.feed(b"250-x\r\n250 PIPELINING\r\n")
    sender.feed(b"250 x\r\n250 x\r\n250 x\r\n354 x\r\n")
    sender.feed(b"552 5.3.4 enough\r\n")
    assert sender.events[-1].scope == "lost"
    assert sender.events[-1].reply.code == 552


def test_quit_says_nothing_in_the_middle() -> None:
    sender = play(ready("PIPELINING") + group(GROUP))
    assert sender.connection.quit() == b""
    assert sender.connection.state is ClientState.CLOSED


def test_reply_text_cannot_carry_control_characters() -> None:
    sender = play(ready("PIPELINING") + group(GROUP) + "S: 550-5.1.1 a\x07\u2028b\nS: 550 5.1.1 c\x00")
    assert sender.connection._transaction is not None
    reply = sender.connection._transaction.mail_reply
    assert reply is not None
    assert (reply.code, reply.status, reply.lines) == (550, "5.1.1", ("a??b", "c?"))


# SMTP trap 43: the times of RFC 5321 4.5.3.2
def test_timeouts_follow_the_phase() -> None:
    sender = Sender()
    assert sender.connection.timeout == 300
    sender.feed(b"220 x\r\n")
    sender.feed(b"250-x\r\n250 PIPELINING\r\n")
    sender.feed(b"250 x\r\n250 x\r\n250 x\r\n")
    assert sender.connection.timeout == 120
    sender.feed(b"354 x\r\n")
    assert sender.connection.timeout == 600


def test_limits_of_the_server() -> None:
    sender = Sender()
    sender.feed(b"220 x\r\n")
    sender.feed(b"250-x\r\n250-SIZE 77\r\n250 LIMITS MAILMAX=3 RCPTMAX=40 RCPTDOMAINMAX=2\r\n")
    assert (sender.connection.max_mails, sender.connection.max_domains) == (3, 2)
    assert (sender.connection.max_size, sender.connection.max_recipients) == (77, 40)
    sender.connection.extensions = {"SIZE": "x", "LIMITS": "RCPTMAX=-1"}
    assert (sender.connection.max_size, sender.connection.max_recipients) == (0, 0)
