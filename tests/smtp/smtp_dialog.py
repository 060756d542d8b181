"""The harness of every server dialog: a client's turns fed whole, byte by byte, and with something behind the last.

A dialog is a text: ``C:`` lines are fed, ``S:`` lines must be what was answered. ``# option: value`` lines set the
connection up. ``\\xNN`` in a line is that octet, ``\\n`` a bare LF, ``\\r`` a bare CR, ``{n*text}`` is a repetition; a line
that ends in ``\\`` is sent without its CRLF. ``T:`` begins TLS. ``M:`` is a message that must have been taken.
"""

from __future__ import annotations

import re
from base64 import b64decode
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from mailnode.smtp.wire import events as ev
from mailnode.smtp.wire.limits import Limits
from mailnode.smtp.wire.profile import Profile
from mailnode.smtp.wire.server import ServerConnection
from mailnode.values.smtp_reply import Reply
from mailnode.values.wire import NEED_DATA, PAUSED

DIALOGS = Path(__file__).parent / "dialogs"
OK = Reply(250, "2.0.0", ("Ok",))


@dataclass
class Answering:
    """The simplest session: takes everything but recipients that begin with ``no`` and senders that begin with ``bad``."""

    connection: ServerConnection
    written: bytes = b""
    messages: list[bytes] = field(default_factory=list)
    events: list[Any] = field(default_factory=list)
    content: bytes = b""
    closed: bool = False
    wants_tls: bool = False
    secrets: list[bytes] = field(default_factory=list)
    login: bool = False
    prdr: bool = False

    def feed(self, data: bytes) -> None:
        self.connection.receive_data(data)
        self.pump()

    def pump(self) -> None:
        while (event := self.connection.next_event()) is not NEED_DATA:
            self.events.append(event)
            assert event is not PAUSED
            if not (isinstance(event, ev.Content) and not event.complete):
                assert self.connection.next_event() is PAUSED
            data = self.answer(event)
            if not self.closed:
                self.written += data
            self.closed = self.closed or isinstance(event, ev.Quit | ev.HangUp)

    def answer(self, event: Any) -> bytes:
        send = self.connection.send
        match event:
            case ev.Helo():
                return send(self.connection.hello_reply("us.test"))
            case ev.Mail(reverse_path=path) if path is not None and path.local.startswith("bad"):
                return send(Reply(550, "5.7.1", ("No",)))
            case ev.Mail():
                self.prdr = event.options.prdr
            case ev.Rcpt(recipient=recipient) if recipient.address.local.startswith("no"):
                return send(Reply(550, "5.1.1", ("Nobody",)))
            case ev.Rcpt(recipient=recipient) if recipient.address.local.startswith("later"):
                return send(Reply(451, "4.3.0", ("Later",)))
            case ev.DataStart():
                return send(Reply(354, "", ("Go on",)))
            case ev.Content():
                return self.take(event)
            case ev.Vrfy():
                return send(Reply(252, "2.0.0", ("Perhaps",)))
            case ev.Help():
                return send(Reply(214, "2.0.0", ("Help",)))
            case ev.Quit():
                return send(Reply(221, "2.0.0", ("Bye",)))
            case ev.StartTls():
                self.wants_tls = True
                return send(Reply(220, "2.0.0", ("Go on",)))
            case ev.AuthStart() | ev.AuthResponse():
                return self.authenticate(event)
            case ev.Refusal() | ev.HangUp() | ev.AuthCancelled():
                self.secrets = []
                return send(event.reply)
            case ev.Xclient():
                return send(Reply(220, "", ("us.test",)))
        return send(OK)

    def take(self, event: ev.Content) -> bytes:
        self.content += event.data
        if not event.complete:
            return b""
        assert event.fault is None or not event.data
        reply = event.fault or OK
        if event.last and event.fault is None:
            self.messages.append(self.content)
        if event.last or event.fault:
            self.content = b""
        if event.last and self.connection._profile.lmtp and event.fault is None:
            return self.connection.send_each([OK] * self.connection.accepted)
        if event.last and self.prdr and event.fault is None:
            return self.connection.send_each([OK] * self.connection.accepted, OK)
        return self.connection.send(reply)

    def authenticate(self, event: Any) -> bytes:
        if isinstance(event, ev.AuthStart):
            self.secrets = []
            self.login = event.mechanism == "LOGIN"
            if event.mechanism == "LOGIN" and event.initial is None:
                return self.connection.challenge(b"Username:")
            if event.initial is None:
                return self.connection.challenge(b"")
            data = event.initial
        else:
            data = event.data
        self.secrets.append(data)
        if self.login and len(self.secrets) == 1:
            return self.connection.challenge(b"Password:")
        good = self.secrets in ([b"\0u\0p"], [b"u", b"p"])
        code, status = (235, "2.7.0") if good else (535, "5.7.8")
        return self.connection.send(Reply(code, status, ("Done",)))


@dataclass
class Dialog:
    """One dialog, read."""

    name: str
    options: dict[str, str]
    turns: list[tuple[str, bytes]]

    def connection(self) -> ServerConnection:
        flags = dict.fromkeys(self.options.get("profile", "").split(), True)
        secure = flags.pop("secure", False)
        limits = Limits(**{k: int(v) for k, v in (w.split("=") for w in self.options.get("limits", "").split())})
        connection = ServerConnection(Profile(**flags, limits=limits), secure=secure)  # type: ignore[arg-type]
        connection.mechanisms = ("PLAIN", "LOGIN") if secure else ()
        connection.known = "auth" in flags or "lmtp" in flags
        return connection


def octets(text: str) -> bytes:
    text = re.sub(r"\{(\d+)\*(.+?)\}", lambda found: found.group(2) * int(found.group(1)), text)
    unfinished = text.endswith("\\")
    raw = (text[:-1] if unfinished else text).encode()
    raw = re.sub(rb"\\x([0-9a-f]{2})", lambda found: bytes([int(found.group(1), 16)]), raw)
    raw = raw.replace(b"\\n", b"\n").replace(b"\\r", b"\r")
    return raw if unfinished else raw + b"\r\n"


def parse(name: str, text: str) -> Dialog:
    dialog = Dialog(name, {}, [])
    for line in text.strip().split("\n"):
        if line.startswith("#"):
            key, colon, value = line[1:].partition(":")
            if colon:
                dialog.options[key.strip()] = value.strip()
            continue
        if not line.strip():
            continue
        side, data = line[:2], octets(line[3:])
        if dialog.turns and dialog.turns[-1][0] == side and side in ("C:", "S:"):
            dialog.turns[-1] = (side, dialog.turns[-1][1] + data)
        else:
            dialog.turns.append((side, data))
    return dialog


def play(dialog: Dialog, pieces: str = "whole", trailing: bytes = b"") -> Answering:
    """Run a dialog. :param pieces: "whole" or "bytewise". :param trailing: fed with the last client turn."""
    session = Answering(dialog.connection())
    last = max(i for i, (side, _) in enumerate(dialog.turns) if side == "C:")
    expected: list[bytes] = []
    for number, (side, data) in enumerate(dialog.turns):
        if side == "S:":
            assert session.written.decode() == data.decode(), f"{dialog.name}, turn {number}"
            session.written = b""
        elif side == "T:":
            assert session.wants_tls
            session.connection.tls_started()
            session.connection.mechanisms = ("PLAIN", "LOGIN")
        elif side == "M:":
            expected.append(data)
        else:
            assert session.written == b"", f"{dialog.name}, turn {number}: unexpected {session.written!r}"
            if number == last:
                data += trailing
            for piece in [data[i : i + 1] for i in range(len(data))] if pieces == "bytewise" else [data]:
                session.feed(piece)
    assert session.written == b"", f"{dialog.name}: unexpected {session.written!r}"
    if expected:
        assert session.messages == [unescape(message) for message in expected], dialog.name
    return session


def unescape(message: bytes) -> bytes:
    """``M:`` lines hold whole messages: ``|`` stands for CRLF."""
    return message[:-2].replace(b"|", b"\r\n")


def load(path: Path) -> Dialog:
    return parse(path.stem, path.read_text())


def decode_challenge(line: bytes) -> bytes:
    assert line.startswith(b"334 ")
    return b64decode(line[4:])
