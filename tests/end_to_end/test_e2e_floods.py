"""Two thousand connections at once from one address or network: they get their share, others are served, nothing of them stays."""

from __future__ import annotations

import contextlib
import errno
import os
import selectors
import signal
import smtplib
import socket
import struct
import threading
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from imap_wire import Wire, seconds
from servers import PASSWORD, wait_for
from ways import Dial, EveryWay
from worker_servers import Workers

FLOOD = 2000
SHARE = 50  # of one address or network at each listener: the default
LONGEST = 30  # seconds for a command or a delivery meanwhile: on a busy machine, and with a clock that a lost packet cannot reach
# How those are greeted who are let in, and who are one too many.
WELCOME = {"smtp": b"220 ", "imap": b"* OK ", "pop3": b"+OK "}
TOO_MANY = {"smtp": b"421 4.7.0 ", "imap": b"* BYE ", "pop3": b"-ERR "}
PROTOCOLS = tuple(WELCOME)


class Served(EveryWay, Workers):
    """A server whose insides are looked at. That strangers have so many connections in a minute is not what is tested."""

    def __init__(self, folder: Path, workers: int, path: tuple[Path, ...] = ()) -> None:
        extra = "[limits]\nconnections_per_minute = 0\ngreet_pause = 0\n"
        super().__init__(folder, workers, extra=extra, path=path)

    def standing(self) -> int:
        """Return how many connections it counts."""
        return int(sum(value for key, value in self.metrics().items() if key[0] == "mailnode_connections"))

    def sockets(self) -> int:
        """Return how many its processes have of TCP. Those of helper processes are none."""
        lines = [line for name in ("tcp", "tcp6") for line in Path(f"/proc/net/{name}").read_text().splitlines()[1:]]
        tcp = {f"socket:[{line.split()[9]}]" for line in lines}
        found = 0
        for pid in self.pids:
            for descriptor in Path(f"/proc/{pid}/fd").iterdir():
                with contextlib.suppress(FileNotFoundError):  # closed meanwhile
                    found += os.readlink(descriptor) in tcp
        return found

    def held(self) -> tuple[int, int]:
        """Return both."""
        return self.standing(), self.sockets()


class Others:
    """Who is served meanwhile: a session asks, and a message arrives, again and again."""

    def __init__(self, node: Served) -> None:
        self._node = node
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._work)
        self.seconds: list[float] = []  # that each took

    def _work(self) -> None:
        with Wire(self._node, "alice@a.test", "INBOX") as wire:
            while not self._over.is_set():
                self.seconds.append(seconds(lambda: wire.ask("NOOP")))
                self.seconds.append(seconds(self._deliver))

    def _deliver(self) -> None:
        with smtplib.SMTP(self._node.address, self._node.ports["smtp"], timeout=60) as client:
            client.sendmail("x@b.test", ["alice@a.test"], "Subject: hello\r\n\r\nhello\r\n")

    def are_served(self) -> None:
        """Return when some more were."""
        already = len(self.seconds)
        wait_for(lambda: len(self.seconds) >= already + 10, "others are served")

    def __enter__(self) -> Others:
        self._thread.start()
        self.are_served()
        return self

    def __exit__(self, *error: object) -> None:
        self._over.set()
        self._thread.join(60)


@dataclass(frozen=True)
class Origin:
    """Where a flood comes from: one IPv4 address, or addresses of one IPv6 network behind a balancer."""

    node: Served
    proxied: bool

    def connect(self, tls: str = "none") -> Iterator[tuple[int, str, socket.socket]]:
        """Connect :data:`FLOOD` times at once. Yield number, protocol and socket of each when it is connected."""
        with selectors.DefaultSelector() as waiting:
            for number in range(FLOOD):
                one = socket.socket()
                one.bind(("127.0.0.1" if self.proxied else "127.5.0.1", 0))
                one.setblocking(False)
                protocol = PROTOCOLS[number % len(PROTOCOLS)]
                begun = one.connect_ex((self.node.address, self.node.ways[protocol, tls, self.proxied]))
                assert begun in (0, errno.EINPROGRESS)
                waiting.register(one, selectors.EVENT_WRITE, (number, protocol))
            while waiting.get_map():
                for key, _ in waiting.select(60):
                    waiting.unregister(key.fileobj)
                    key.fileobj.settimeout(60)
                    yield *key.data, key.fileobj

    def header(self, number: int) -> bytes:
        """Return what a balancer says first."""
        return f"PROXY TCP6 2001:db8::{number:x} 2001:db8:1::1 999 25\r\n".encode() if self.proxied else b""


@pytest.fixture(params=[1, 2], ids=["one process", "two processes"])
def node(tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[Served]:
    made = Served(tmp_path / "node", request.param).start()
    try:
        made.add_account("alice@a.test")
        yield made
    finally:
        code = made.stop()
    assert code == 0 and not [line for line in made.process.lines if "Traceback" in line]


@pytest.fixture(params=[False, True], ids=["one address", "one network"])
def origin(node: Served, request: pytest.FixtureRequest) -> Origin:
    return Origin(node, request.param)


def stand(origin: Origin, ends: contextlib.ExitStack) -> Counter[tuple[str, bool]]:
    """Come and stay. Return how many were let in and how many were told that they are too many, by protocol."""
    heard: Counter[tuple[str, bool]] = Counter()
    for number, protocol, one in origin.connect():
        ends.callback(one.close)
        one.sendall(origin.header(number))
        said = one.recv(1000)
        assert said.startswith((WELCOME[protocol], TOO_MANY[protocol])), said
        heard[protocol, said.startswith(WELCOME[protocol])] += 1
    return heard


def get_their_share(origin: Origin, others: Others) -> None:
    """A flood comes and stays for a while."""
    with contextlib.ExitStack() as ends:
        heard = stand(origin, ends)
        assert heard.total() == FLOOD
        for protocol in PROTOCOLS:  # two processes may each let one in at the same moment
            assert SHARE <= heard[protocol, True] < SHARE + origin.node.workers
        others.are_served()


def is_as_before(node: Served, before: tuple[int, int]) -> None:
    """Return when no connection more is counted, or has a socket."""
    wait_for(lambda: all(now <= then for now, then in zip(node.held(), before, strict=True)), f"{before} as before")


def test_a_flood_gets_its_share_at_a_time_and_leaves_nothing(node, origin):
    with Others(node) as others:
        before = node.held()
        for _ in range(3):
            get_their_share(origin, others)
            is_as_before(node, before)
    assert max(others.seconds) < LONGEST


def leave(number: int, origin: Origin, one: socket.socket) -> None:
    """Go, each in one of several ways."""
    hello = b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03"
    header = origin.header(number)
    way = number // len(PROTOCOLS) % 4
    with contextlib.suppress(ConnectionResetError, BrokenPipeError):
        one.sendall((header[:20], header, header + hello, header)[way])
        if way == 3:
            one.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))  # a reset
    one.close()


def test_who_come_and_go_at_once_leave_nothing(node, origin):
    with Others(node) as others:
        before = node.held()
        for tls in ("none", "implicit") * 2:
            for number, _, one in origin.connect(tls):
                leave(number, origin, one)
            others.are_served()
            is_as_before(node, before)
        assert max(others.seconds) < LONGEST
        get_their_share(origin, others)
    is_as_before(node, before)


# Read by Python itself at the start of the server's process: no cycles are looked for, and a signal has it say what is still there.
_UNCOLLECTED = """
import collections, gc, json, signal
gc.disable()

def tell(*_):
    names = collections.Counter(f"{type(one).__module__}.{type(one).__name__}" for one in gc.get_objects())
    print("still", json.dumps({name: names[name] for name in %r if names[name]}), flush=True)

signal.signal(signal.SIGUSR2, tell)
"""
HELD = (
    "OpenSSL.SSL.Connection",
    "mailnode.imap.session.ImapSession",
    "mailnode.net.direct_tls.DirectTls",
    "mailnode.net.direct_tls.StartedTls",
    "mailnode.net.proxy.LateProxyWrapper",
    "mailnode.net.pump.Pump",
    "mailnode.pop3.session.Pop3Session",
    "mailnode.smtp.reception.Reception",
    "mailnode.smtp.submission.Submission",
)


def come_and_go(dial: Dial, protocol: str, way: str) -> None:
    """One that logs in where that is possible, or not, and goes without a farewell of TLS."""
    one = dial.secured(protocol)
    if way == "in" and protocol == "imap":
        one.sendall(f'a LOGIN alice@a.test "{PASSWORD}"\r\nb SELECT INBOX\r\nc NOOP\r\n'.encode())
        while b"c OK" not in one.recv(65536):
            pass
    elif way == "quit":
        one.sendall(b"a LOGOUT\r\n" if protocol == "imap" else b"QUIT\r\n")
        assert one.recv(1000)
    one.close()


def test_all_that_a_connection_held_is_free_when_it_is_gone(tmp_path):
    """Without a search for cycles, which is seldom: meanwhile thousands of them would be gigabytes."""
    (tmp_path / "site").mkdir()
    (tmp_path / "site" / "sitecustomize.py").write_text(_UNCOLLECTED % (HELD,))
    node = Served(tmp_path / "node", 1, path=(tmp_path / "site",))
    node.start()
    try:
        node.add_account("alice@a.test")
        for dial in node.dials():
            for protocol in ("smtp", "submission", "imap", "pop3"):
                for way in ("close", "quit", "in"):
                    come_and_go(dial, protocol, way)
        wait_for(lambda: not node.standing(), "all are gone")
        after = len(node.process.lines)
        os.kill(node.process.popen.pid, signal.SIGUSR2)
        assert "{}" in node.process.wait_line("still", after=after)
    finally:
        assert node.stop() == 0
