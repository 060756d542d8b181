"""Clients that say hardly anything, or read nothing, in each phase of each protocol of a whole server: each is let go at its
deadline, with the words that the documentation has, while another client is served.

The clock of the server leaps, so that every deadline is the one it has in use.
"""

from __future__ import annotations

import contextlib
import select
import socket
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

from imap_wire import Wire
from leaping_clock import LeapingClock
from servers import PASSWORD, MailNode
from ways import Dial, EveryWay, large

from mailnode.admin.control_client import short_path
from mailnode.admin.control_socket import IDLE
from mailnode.config.schema import Limits
from mailnode.imap.session import IDLE_TIMEOUT, LOGIN_TIMEOUT
from mailnode.net.proxy import HEADER_TIMEOUT
from mailnode.net.pump import HANDSHAKE_SECONDS
from mailnode.smtp.session import WATCH_SECONDS
from mailnode.smtp.wire.limits import DEFAULT_TIMEOUTS
from mailnode.web.site import REQUEST_SECONDS

STEP = 10  # seconds from piece to piece, less than any deadline
LOGIN, SILENCE, POP3 = Limits().login_timeout, Limits().smtp_timeout, Limits().pop3_timeout
START, ENVELOPE, GRACE = DEFAULT_TIMEOUTS.start, DEFAULT_TIMEOUTS.envelope, DEFAULT_TIMEOUTS.data_grace
HELLO = bytes.fromhex("16030102000100 01fc0303") + bytes(range(200))
TIMED_OUT = b"421 4.4.2 "
NO_LOGIN, TOO_LONG = b"* BYE No login in time", b"* BYE Idle for too long"
ENTER = (f'a LOGIN alice@a.test "{PASSWORD}"', "b SELECT INBOX")
MAIL, RCPT = "MAIL FROM:<x@b.test>", "RCPT TO:<alice@a.test>"


def enter(user: str) -> tuple[str, ...]:
    return f"USER {user}@a.test", f"PASS {PASSWORD}"


@dataclass(frozen=True)
class Slow:
    """One such client: where it comes, what it says and is answered, what it begins, and of what then an octet is sent with each
    step; silence, where that is empty. It is let go ``within`` these seconds from its connection on, with these words.

    ``proxied``: it comes by the listener that waits for a balancer's header. ``reads``: whether it reads what it is answered then.
    """

    place: str
    within: tuple[float, float]
    words: bytes = b""
    says: tuple[str, ...] = ()
    then: bytes = b""
    tls: str = "none"
    proxied: bool = False
    reads: bool = True
    begins: bytes = b""


def smtp(at: float, *says: str, then: bytes = b"", place: str = "smtp") -> Slow:
    """Its deadlines are looked at now and then."""
    hello = "LHLO x.test" if place == "lmtp" else "EHLO x.test"
    return Slow(place, (at, at + WATCH_SECONDS), TIMED_OUT, (hello, *says) if says else (), then)


# Exactly so many seconds, and between these two.
HEADER, HANDSHAKE, PAGE, COMMAND = ((at, at) for at in (HEADER_TIMEOUT, HANDSHAKE_SECONDS, REQUEST_SECONDS, IDLE))
AT_LOGIN, IN_POP3, IN_IMAP = ((at, at) for at in (LOGIN, POP3, IDLE_TIMEOUT))
UNTIL_LOGIN = LOGIN_TIMEOUT, LOGIN  # octets begin the silence anew
# Of a command that is not finished, and of an answer of which the kernels may yet take something.
UNFINISHED, POP3_UNFINISHED = (IDLE_TIMEOUT, 2 * IDLE_TIMEOUT), (POP3, 2 * POP3)

SLOW = {
    "the PROXY header, silent": Slow("imap", HEADER, proxied=True),
    "the PROXY header": Slow("imap", HEADER, then=b"PROXY TCP4", proxied=True),
    "the handshake of TLS, silent": Slow("imap", HANDSHAKE, tls="implicit"),
    "the handshake of TLS": Slow("submission", HANDSHAKE, then=HELLO, tls="implicit"),
    "the handshake after STARTTLS": Slow("smtp", HANDSHAKE, b"", ("EHLO x.test", "STARTTLS"), HELLO, "starttls"),
    "the handshake after STLS": Slow("pop3", HANDSHAKE, b"", ("STLS",), HELLO, "starttls"),
    "SMTP, nothing behind the greeting": Slow("smtp", (SILENCE, SILENCE), TIMED_OUT),
    "SMTP, EHLO": smtp(START, then=b"EHLO " + b"x" * 99),
    "LMTP, LHLO": smtp(START, then=b"LHLO " + b"x" * 99, place="lmtp"),
    "SMTP, MAIL": smtp(START, "NOOP", then=b"MAIL FROM:<" + b"x" * 99),
    "SMTP, RCPT": smtp(ENVELOPE, MAIL, then=b"RCPT TO:<" + b"x" * 300),
    "SMTP, DATA": smtp(GRACE, MAIL, RCPT, "DATA", then=b"x" * 300),
    "SMTP, BDAT": replace(smtp(GRACE, MAIL, RCPT, then=b"x" * 300), begins=b"BDAT 100000\r\n"),
    "submission, silent before AUTH": Slow("submission", AT_LOGIN, TIMED_OUT),
    "submission, the AUTH exchange": Slow("submission", AT_LOGIN, TIMED_OUT, ("EHLO x.test", "AUTH LOGIN"), b"A" * 99),
    "IMAP, silent before login": Slow("imap", (LOGIN_TIMEOUT, LOGIN_TIMEOUT), NO_LOGIN),
    "IMAP, a command before login": Slow("imap", UNTIL_LOGIN, NO_LOGIN, then=b"a NO" + b"O" * 99),
    "IMAP, a literal before login": Slow("imap", UNTIL_LOGIN, NO_LOGIN, ("a LOGIN {99}",), b"x" * 99),
    "IMAP, AUTHENTICATE": Slow("imap", UNTIL_LOGIN, NO_LOGIN, ("a AUTHENTICATE PLAIN",), b"A" * 99),
    "IMAP, silent": Slow("imap", IN_IMAP, TOO_LONG, ENTER),
    "IMAP, a command": Slow("imap", UNFINISHED, TOO_LONG, ENTER, b"c NO" + b"O" * 999),
    "IMAP, a literal": Slow("imap", UNFINISHED, TOO_LONG, (*ENTER, "c APPEND INBOX {9999}"), b"x" * 999),
    "IMAP, FETCH is not read": Slow(
        "imap", UNFINISHED, b"", ENTER, b"x" * 999, begins=b"c FETCH 1:* BODY.PEEK[]\r\n", reads=False
    ),
    "POP3, silent before login": Slow("pop3", AT_LOGIN),
    "POP3, USER": Slow("pop3", AT_LOGIN, then=b"USER " + b"x" * 99),
    "POP3, PASS": Slow("pop3", AT_LOGIN, b"", ("USER x@a.test",), b"PASS " + b"x" * 99),
    "POP3, silent": Slow("pop3", IN_POP3, b"", enter("bob")),
    "POP3, a command": Slow("pop3", POP3_UNFINISHED, b"", enter("carol"), b"NO" + b"O" * 999),
    "POP3, RETR is not read": Slow(
        "pop3", POP3_UNFINISHED, b"", enter("dave"), b"x" * 99, begins=b"RETR 1\r\n", reads=False
    ),
    "HTTP, silent": Slow("http", PAGE),
    "HTTP, a request": Slow("http", PAGE, then=b"GET /health HTTP/1.1\r\n"),
    "the control socket, silent": Slow("control", COMMAND),
    "the control socket, a request": Slow("control", COMMAND, then=b'{"command": "'),
}


class Node(EveryWay, MailNode):
    """One that takes logins without TLS, too."""


class Client:
    """One of them, at work."""

    def __init__(self, node: Node, what: Slow, now: Callable[[], float]) -> None:
        self.what, self.said = what, b""
        self._now, self._began = now, now()
        self.socket = self._connect(node)
        self.socket.settimeout(60)
        if what.place not in ("http", "control") and what.tls != "implicit" and not what.proxied:
            assert self.socket.recv(1000), "greeted"
        for line in what.says:
            self.socket.sendall(line.encode() + b"\r\n")
            self.said = self._answer()
        self.socket.sendall(what.begins)
        self._pieces = iter([bytes([octet]) for octet in what.then])
        self.seconds = 0.0  # until it was let go

    def _connect(self, node: Node) -> socket.socket:
        if self.what.place == "control":
            one = socket.socket(socket.AF_UNIX)
            with short_path(node.data / "control.sock") as path:
                one.connect(path)
            return one
        one = socket.socket()
        if not self.what.reads:
            one.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        key = self.what.place, self.what.tls, self.what.proxied
        one.connect((node.address, node.ports["http"] if self.what.place == "http" else node.ways[key]))
        return one

    def _answer(self) -> bytes:
        said = b""
        while not said.endswith(b"\n") or said.splitlines()[-1][3:4] == b"-" or said.splitlines()[-1][:2] == b"* ":
            octets = self.socket.recv(4096)
            assert octets, (self.what, said)
            said += octets
        return said

    def go_on(self) -> None:
        """Send the next piece, if there is one."""
        self.socket.sendall(next(self._pieces, b""))

    def is_let_go(self) -> bool:
        """Look, and read what is said, if it reads."""
        poll = select.poll()
        poll.register(self.socket, select.POLLIN | select.POLLRDHUP)
        for _, happened in poll.poll(0):
            if self.what.reads:
                octets = b""
                with contextlib.suppress(ConnectionResetError):
                    octets = self.socket.recv(4096)
                self.said += octets
                if octets:
                    return self.is_let_go()
            elif not happened & (select.POLLHUP | select.POLLERR):
                continue
            self.seconds = self._now() - self._began
            self.socket.close()
            return True
        return False


def is_right(client: Client, late: float) -> bool:
    """Whether it was let go in time, with the words that it should be. :param late: seconds that were ours; a leap may take each of
    two looks, and ours, beyond their time."""
    least, most = client.what.within
    return least <= client.seconds <= most + 3 * STEP + late and client.what.words in client.said


# SMTP trap 31: in each phase, on a whole server
def test_who_is_slow_is_let_go_at_each_deadline_while_others_are_served(tmp_path):
    clock = LeapingClock(tmp_path / "clock", STEP)
    node = Node(tmp_path / "node", path=(clock.folder,))
    node.start()
    try:
        for name in ("alice", "bob", "carol", "dave"):
            node.add_account(f"{name}@a.test")
        with Dial(node, "none", False).submission() as client:
            client.sendmail("alice@a.test", ["alice@a.test", "dave@a.test"], large("long", 16_000_000))
        served = Wire(node, "alice@a.test", "INBOX")

        def now() -> float:
            return time.monotonic() + clock.ahead

        began = time.monotonic()
        # Those first who do not read: what they are sent has stopped by the time that the clock leaps.
        slow = {name: Client(node, SLOW[name], now) for name in sorted(SLOW, key=lambda name: SLOW[name].reads)}
        left = dict(slow)
        while left and clock.ahead < 3 * IDLE_TIMEOUT:
            for name, client in list(left.items()):
                if client.is_let_go():
                    del left[name]
                else:
                    with contextlib.suppress(BrokenPipeError, ConnectionResetError):
                        client.go_on()
            clock.leap(node.process)
            for _ in range(3):  # behind what the leap had done at once
                assert served.ask("NOOP") is not None
        assert not left
        late = time.monotonic() - began
        wrong = {
            name: (client.seconds, client.said[-80:]) for name, client in slow.items() if not is_right(client, late)
        }
        assert not wrong
        served.ask("FETCH 1 FLAGS")
        served.close()
        with Wire(node, "dave@a.test", "INBOX"):
            pass
    finally:
        assert node.stop() == 0
    assert not [line for line in node.process.lines if "Traceback" in line]


def on_the_page(name: str, slow: Slow) -> str:
    """Return the line of a phase in docs/security.rst."""
    least, most = map(round, slow.within)
    when = f"{least}" if least == most else f"{least} to {most}"
    return f"   {name:<33}  {when:<12}  {slow.words.decode()}".rstrip()


def test_each_phase_is_on_the_page():
    lines = (Path(__file__).parents[2] / "docs" / "security.rst").read_text().splitlines()
    missing = [line for name, slow in SLOW.items() if (line := on_the_page(name, slow)) not in lines]
    assert not missing, "\n".join(missing)
