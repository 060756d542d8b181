"""An IMAP client that shows every line, so that a test sees what a mail program would."""

from __future__ import annotations

import re
import select
import ssl
import time
from typing import ClassVar

from servers import PASSWORD, MailNode
from ways import Dial

_LITERAL = re.compile(rb"\{(\d+)\}\r\n\Z")


class Wire:
    """One connection to a server's implicit TLS port, or in another way, logged in."""

    opened: ClassVar[list[Wire]] = []

    def __init__(self, node: MailNode, user: str, select: str = "", *, dial: Dial | None = None) -> None:
        """:param dial: how to connect."""
        if dial is None:
            dial = Dial(node, "implicit", False, node.ports["imaps"])
        self.socket = dial.secured("imap")
        self._file = self.socket.makefile("rb")
        self._tags = 0
        self.opened.append(self)
        self.ask(f"LOGIN {user} {{{len(PASSWORD)}+}}\r\n{PASSWORD}")
        if select:
            self.ask(f"SELECT {select}")

    def send(self, data: bytes) -> None:
        """Send octets as they are."""
        self.socket.sendall(data)

    def line(self) -> bytes:
        """Return one response, literals included, without its last CRLF. :raises ConnectionError: the server closed."""
        whole = b""
        while True:
            line = self._file.readline()
            if not line:
                raise ConnectionError("closed")
            whole += line
            literal = _LITERAL.search(line)
            if literal is None:
                return whole[:-2]
            whole += self._file.read(int(literal[1]))

    def silent(self) -> bool:
        """Whether nothing has come that was not read."""
        held = self.socket.pending() if isinstance(self.socket, ssl.SSLSocket) else 0
        return not held and not select.select([self.socket], [], [], 0)[0]

    def begin(self, command: str) -> bytes:
        """Send a command; return its tag."""
        self._tags += 1
        tag = b"t%d" % self._tags
        self.send(tag + b" " + command.encode() + b"\r\n")
        return tag

    def finish(self, tag: bytes) -> tuple[bytes, list[bytes]]:
        """Return the tagged response without its tag, and the untagged ones before it."""
        untagged = []
        while not (line := self.line()).startswith(tag + b" "):
            untagged.append(line)
        return line[len(tag) + 1 :], untagged

    def ask(self, command: str, ok: bool = True) -> list[bytes]:
        """Send a command and return the untagged responses; without ``ok`` the tagged one stands at their end."""
        answer, untagged = self.finish(self.begin(command))
        if not ok:
            return [*untagged, answer]
        assert answer.startswith(b"OK"), (command, answer)
        return untagged

    def append(self, mailbox: str, message: bytes, flags: str = "") -> bytes:
        """APPEND; return the tagged response."""
        tag = self.begin(f"APPEND {mailbox} ({flags}) {{{len(message)}}}")
        assert self.line().startswith(b"+ ")
        self.send(message + b"\r\n")
        return self.finish(tag)[0]

    def idle(self) -> bytes:
        """Begin IDLE; return its tag."""
        tag = self.begin("IDLE")
        assert self.line() == b"+ idling"
        return tag

    def close(self) -> None:
        """Close without a word."""
        self._file.close()
        self.socket.close()

    def __enter__(self) -> Wire:
        return self

    def __exit__(self, *error: object) -> None:
        self.close()


def seconds(action) -> float:
    """Return how long an action takes."""
    began = time.monotonic()
    action()
    return time.monotonic() - began
