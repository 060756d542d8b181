"""A small SMTP server whose every answer a test can choose."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from twisted.internet import reactor
from twisted.internet.defer import maybeDeferred
from twisted.internet.protocol import Factory
from twisted.protocols.basic import LineReceiver

CLOSE = object()  # close without a word
HANG = object()  # say nothing
EHLO = "250-mx.example\r\n250-PIPELINING\r\n250-8BITMIME\r\n250-SMTPUTF8\r\n250-DSN\r\n250 SIZE 1000000"
DEFAULTS: dict[str, Any] = {
    "banner": "220 mx.example ESMTP",
    "EHLO": EHLO,
    "HELO": "250 mx.example",
    "STARTTLS": "220 2.0.0 go on",
    "AUTH": "235 2.7.0 welcome",
    "MAIL": "250 2.1.0 ok",
    "RCPT": "250 2.1.5 ok",
    "DATA": "354 go on",
    ".": "250 2.0.0 taken",
    "RSET": "250 2.0.0 ok",
    "QUIT": "221 2.0.0 bye",
}


class ScriptedSmtp(LineReceiver):
    """One connection. Answers come from the factory: text, CLOSE, HANG, or a function of the line that returns one."""

    MAX_LENGTH = 100_000
    factory: SmtpScript

    def connectionMade(self) -> None:
        self.in_data = False
        self.factory.connections += 1
        self.factory.open.append(self)
        self.answer("banner", b"")

    def connectionLost(self, reason: Any = None) -> None:
        self.factory.open.remove(self)
        for waiting in self.factory.on_lost:
            waiting()

    def lineReceived(self, line: bytes) -> None:
        if self.in_data:
            if line == b".":
                self.in_data = False
                self.factory.messages.append(b"".join(self.content))
                self.answer(".", line)
            else:
                self.content.append(line.removeprefix(b".") + b"\r\n")
            return
        self.factory.commands.append(line.decode("utf-8", "replace"))
        self.answer(line.split(b" ")[0].upper().decode("ascii", "replace"), line)

    def answer(self, verb: str, line: bytes) -> None:
        reply = self.factory.replies.get(verb, "502 5.5.1 unknown")
        if callable(reply):
            reply = reply(line)
        if reply is CLOSE:
            self.transport.abortConnection()
        elif reply is not HANG:
            self.sendLine(reply.encode())
            if verb == "DATA" and reply.startswith("354"):
                self.in_data = True
                self.content: list[bytes] = []
            elif verb == "STARTTLS" and reply.startswith("220"):
                if self.factory.break_tls:
                    self.transport.write(b"this is no TLS at all, sorry\r\n")
                else:
                    self.transport.startTLS(self.factory.tls)
            elif verb == "QUIT" or reply.startswith("421"):
                self.transport.loseConnection()


class SmtpScript(Factory):
    """A listening server on 127.0.0.1 and what it was told."""

    protocol = ScriptedSmtp

    def __init__(self, **replies: Any) -> None:
        self.replies = DEFAULTS | replies
        self.tls: Any = None
        self.break_tls = False
        self.connections = 0
        self.open: list[ScriptedSmtp] = []
        self.on_lost: list[Callable[[], None]] = []
        self.commands: list[str] = []
        self.messages: list[bytes] = []
        self.listening = reactor.listenTCP(0, self, interface="127.0.0.1")  # type: ignore[attr-defined]
        self.port: int = self.listening.getHost().port

    def said(self, verb: str) -> list[str]:
        """The commands with this verb."""
        return [command for command in self.commands if command.upper().startswith(verb)]

    async def stop(self) -> None:
        await maybeDeferred(self.listening.stopListening)
        for connection in list(self.open):
            connection.transport.abortConnection()
