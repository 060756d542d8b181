"""The SMTP load: a process of its own that keeps a number of sessions busy for a time and counts what was acknowledged.

``python -m benchmarks.smtp_load HOST PORT SESSIONS SECONDS SIZE [reconnect] [tls] [implicit] [lmtp] [users=N] [header=LINE]
[login=USER:PASSWORD] [author=ADDRESS] [key=FILE]`` prints the count and the seconds it took; the line is sent before anything
else, the author stands in From, the key signs for the author's domain. One message in flight a session: MAIL, RCPT
and DATA in one segment, then the content.
"""

from __future__ import annotations

import base64
import contextlib
import re
import selectors
import socket
import ssl
import sys
import time
from pathlib import Path

from benchmarks.messages import Messages
from mailnode.message.dkim import BodyHash, load, signatures
from mailnode.values.dkim import DkimKey

RECIPIENT = "bob@a.test"
SELECTOR = "load"
POOL = 200  # messages composed before the clock starts; each is sent with a number of its own


class Session:
    """One connection and where it stands."""

    def __init__(self, load: Load) -> None:
        self.load = load
        self.connect()

    def connect(self) -> None:
        """Open a connection; blocking, as the time of a connection is part of what is measured."""
        self.buffer = b""
        self.shaking = False
        self.expected = 0
        self.sent = 0
        self.socket = socket.create_connection(self.load.address, 30)
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.socket.sendall(self.load.header)
        if self.load.implicit:
            self.socket = self.load.context.wrap_socket(self.socket)
        self.step = self.greeted
        self.load.watch(self)

    def send(self, data: bytes, replies: int, step) -> None:  # type: ignore[no-untyped-def]
        """Send and wait for a number of final reply lines."""
        self.step, self.expected = step, replies
        self.socket.setblocking(True)
        self.socket.sendall(data)
        self.socket.setblocking(False)

    def readable(self) -> None:
        """Take what has come; go on when all replies are there."""
        if self.shaking:
            self.shake()
            return
        try:
            data = self.socket.recv(65536)
        except (ssl.SSLWantReadError, BlockingIOError):
            return
        if not data:
            raise ConnectionError("the server closed the connection")
        self.buffer += data
        *lines, self.buffer = self.buffer.split(b"\r\n")
        for line in lines:
            if line[3:4] == b" ":
                if line[:1] not in b"23":
                    raise RuntimeError(f"refused: {line!r}")
                self.expected -= 1
        if self.expected <= 0:
            self.step()

    def greeted(self) -> None:
        """EHLO, through STARTTLS where asked."""
        after = self.starttls if self.load.tls else self.login if self.load.credentials else self.mail
        self.send(b"LHLO load.test\r\n" if self.load.lmtp else b"EHLO load.test\r\n", 1, after)

    def starttls(self) -> None:
        """Encrypt, then greet again."""
        self.send(b"STARTTLS\r\n", 1, self.encrypted)

    def encrypted(self) -> None:
        """Shake hands, beside the other sessions."""
        self.load.unwatch(self)
        self.socket.setblocking(False)
        self.socket = self.load.context.wrap_socket(self.socket, do_handshake_on_connect=False)
        self.load.watch(self)
        self.shaking = True
        self.shake()

    def shake(self) -> None:
        """Go on with the handshake as far as it goes now; what we send of it fits into the socket's buffer."""
        with contextlib.suppress(ssl.SSLWantReadError):
            self.socket.do_handshake()
            self.shaking = False
            self.send(b"EHLO load.test\r\n", 1, self.mail)

    def login(self) -> None:
        """AUTH PLAIN (RFC 4616)."""
        self.send(b"AUTH PLAIN " + base64.b64encode(self.load.credentials) + b"\r\n", 1, self.mail)

    def mail(self) -> None:
        """The envelope in one segment."""
        self.send(b"MAIL FROM:<out@side.test>\r\nRCPT TO:<%b>\r\nDATA\r\n" % self.load.recipient(), 3, self.content)

    def content(self) -> None:
        """The message, made unique by one more field."""
        self.send(self.load.next_message(), 1, self.acknowledged)

    def acknowledged(self) -> None:
        """Count; go on or stop."""
        self.load.count += 1
        self.sent += 1
        if time.monotonic() >= self.load.deadline:
            self.load.close(self)
        elif self.load.reconnect:
            self.send(b"QUIT\r\n", 1, self.again)
        else:
            self.mail()

    def again(self) -> None:
        """A new connection."""
        self.load.unwatch(self)
        self.socket.close()
        self.connect()


class Load:
    """All sessions of this process."""

    def __init__(self, host: str, port: int, sessions: int, seconds: float, size: int, options: list[str]) -> None:
        self.address = (host, port)
        self.reconnect, self.tls, self.lmtp = ("reconnect" in options, "tls" in options, "lmtp" in options)
        self.users = next((int(option[6:]) for option in options if option.startswith("users=")), 0)
        self.implicit = "implicit" in options
        self.header = next((option[7:].encode() + b"\r\n" for option in options if option.startswith("header=")), b"")
        login = next((option[6:] for option in options if option.startswith("login=")), "")
        self.credentials = b"\0" + login.replace(":", "\0", 1).encode() if login else b""
        author = next((option[7:].encode() for option in options if option.startswith("author=")), b"")
        self.context = ssl.create_default_context()
        self.context.check_hostname = False
        self.context.verify_mode = ssl.CERT_NONE
        source = Messages(time.time_ns())
        self.pool = [source.message(size, RECIPIENT) for _ in range(POOL if size < 100_000 else 20)]
        if author:
            self.pool = [re.sub(rb"^(From: [^<]*)<[^>]*>", rb"\1<%b>" % author, message) for message in self.pool]
        key = next((option[4:] for option in options if option.startswith("key=")), "")
        if key:
            self.pool = signed(self.pool, author.decode().rpartition("@")[2], Path(key).read_text())
        self.pool = [message.replace(b"\r\n.", b"\r\n..") for message in self.pool]
        self.count = self.number = 0
        self.selector = selectors.DefaultSelector()
        self.open = sessions
        self.deadline = time.monotonic() + seconds
        started = time.monotonic()
        for _ in range(sessions):
            Session(self)
        while self.open:
            for key, _ in self.selector.select(30):
                key.data.readable()
        self.seconds = time.monotonic() - started

    def recipient(self) -> bytes:
        """Return whom the next message is for."""
        return b"u%d@a.test" % (self.number % self.users) if self.users else RECIPIENT.encode()

    def next_message(self) -> bytes:
        """Return the next message with its end of data."""
        self.number += 1
        return b"X-Number: %d\r\n" % self.number + self.pool[self.number % len(self.pool)] + b".\r\n"

    def watch(self, session: Session) -> None:
        """Wait for input of a session."""
        self.selector.register(session.socket, selectors.EVENT_READ, session)

    def unwatch(self, session: Session) -> None:
        """Stop waiting for it."""
        self.selector.unregister(session.socket)

    def close(self, session: Session) -> None:
        """End a session."""
        self.unwatch(session)
        session.socket.close()
        self.open -= 1


def signed(messages: list[bytes], domain: str, key: str) -> list[bytes]:
    """Return messages with a signature on top (RFC 6376)."""
    keys = load([DkimKey(domain, SELECTOR, "rsa", "active", 0.0, "", key)])
    made = []
    for message in messages:
        header, between, body = message.partition(b"\r\n\r\n")
        hashed = BodyHash()
        hashed.update(body)
        made.append(signatures(header + between, hashed.digest(), keys, time.time()) + message)
    return made


def main() -> None:
    """Run the load of the command line."""
    host, port, sessions, seconds, size, *options = sys.argv[1:]
    load = Load(host, int(port), int(sessions), float(seconds), int(size), options)
    print(load.count, round(load.seconds, 4))


if __name__ == "__main__":
    main()
