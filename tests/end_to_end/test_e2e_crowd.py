"""Ten thousand connections that say nothing: who works is served as before, each costs little memory, and all go when told."""

from __future__ import annotations

import contextlib
import os
import re
import resource
import smtplib
import socket
import time
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from imap_wire import Wire, seconds
from servers import PASSWORD
from ways import Dial, EveryWay
from worker_servers import Workers

CROWD = 10_000
FROM_ONE = 50  # address, which is as many as the default allows
AT_ONCE = 40  # less than the backlog of a listener: what is dropped there comes again a second later
OURS = 1000  # descriptors of this process for other things


@dataclass(frozen=True)
class Kind:
    """Some of the crowd: where they come, what they say and how the last line of each answer begins, what one may cost."""

    protocol: str
    tls: str
    count: int
    kib: float
    says: tuple[tuple[str, bytes], ...] = ()


IDLE = (
    (f'a LOGIN alice@a.test "{PASSWORD}"', b"a OK "),
    ("b SELECT INBOX", b"b OK "),
    ("c IDLE", b"+ idling"),
)
PLAIN, TLS = 20.0, 50.0  # KiB
KINDS = (
    Kind("imap", "none", 2500, PLAIN),
    Kind("imap", "implicit", 500, TLS),
    Kind("imap", "none", 2000, PLAIN, IDLE),
    Kind("imap", "implicit", 500, TLS, IDLE),
    Kind("smtp", "none", 2500, PLAIN, (("EHLO x.test", b"250 "),)),
    Kind("pop3", "none", 1500, PLAIN, (("CAPA", b"."),)),
    Kind("pop3", "implicit", 500, TLS),
)
# What is said to each when the server ends; POP3 has no word for it (RFC 1939 3).
FAREWELL = {"imap": b"* BYE ", "smtp": b"421 ", "pop3": b""}


class Served(EveryWay, Workers):
    """A server that takes as many."""

    def __init__(self, folder: Path) -> None:
        limits = f"[limits]\nconnections = {CROWD}\nsessions_per_account = {CROWD}\nlogin_timeout = 3600\n"
        super().__init__(folder, 2, extra=limits + "smtp_timeout = 3600\n")

    def room(self) -> int:
        """Return for how many connections there are descriptors."""
        return int(sum(value for key, value in self.metrics().items() if key[0] == "mailnode_connections_most"))

    def taken(self) -> int:
        """Return how many stand."""
        return int(sum(value for key, value in self.metrics().items() if key[0] == "mailnode_connections"))

    def kib(self) -> int:
        """Return the memory of the processes that serve, each shared page once."""
        return sum(
            int(re.search(r"^Pss:\s+(\d+)", Path(f"/proc/{pid}/smaps_rollup").read_text(), re.MULTILINE)[1])
            for pid in self.pids
        )

    def cpu_seconds(self) -> float:
        """Return the processor time they have used."""
        fields = [Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split() for pid in self.pids]
        return sum(int(one[11]) + int(one[12]) for one in fields) / os.sysconf("SC_CLK_TCK")


@dataclass
class Crowd:
    """All of them."""

    node: Served
    standing: list[tuple[Kind, socket.socket]] = field(default_factory=list)

    def come(self, kind: Kind, count: int) -> None:
        """So many more connect and say what they say."""
        for first in range(0, count, AT_ONCE):
            came = [self._connect(kind) for _ in range(min(AT_ONCE, count - first))]
            for one in came:
                hear(one, b"")
            for said, last in kind.says:
                for one in came:
                    one.sendall(said.encode() + b"\r\n")
                for one in came:
                    hear(one, last)

    def _connect(self, kind: Kind) -> socket.socket:
        number = len(self.standing) // FROM_ONE
        source = (f"127.1.{number // 250}.{1 + number % 250}", 0)
        made = Dial(self.node, kind.tls, False, source=source).connect(kind.protocol)
        self.standing.append((kind, made))
        return made

    def close(self) -> None:
        """Close all."""
        for _, one in self.standing:
            one.close()


def hear(one: socket.socket, last: bytes) -> None:
    """Read an answer to its last line."""
    answer = b""
    while not (answer.endswith(b"\n") and answer.splitlines()[-1].startswith(last)):
        octets = one.recv(4096)
        assert octets, answer
        answer += octets


def p99(delays: list[float]) -> float:
    """Return what 99 of 100 stay below."""
    return sorted(delays)[len(delays) * 99 // 100]


def raise_limit() -> None:
    """Let this process open as many files as it may. Not enough is a failure that says so."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if hard != resource.RLIM_INFINITY and hard < CROWD + OURS:
        pytest.fail(f"{CROWD:,} connections need {CROWD + OURS:,} open files, and `ulimit -Hn` allows {hard:,} here")
    if soft != hard:
        resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))


def deliver(node: Served) -> None:
    """A message by SMTP."""
    with smtplib.SMTP(node.address, node.ports["smtp"], timeout=60) as client:
        client.sendmail("x@b.test", ["bob@a.test"], "Subject: hello\r\n\r\nhello\r\n")


def log_in(node: Served) -> None:
    """A login, of a password that was not looked at before."""
    with contextlib.closing(Wire(node, "bob@a.test", "INBOX")):
        pass


def hear_the_end(one: socket.socket) -> bytes:
    """Return all that is said until the server closes."""
    said = b""
    while octets := one.recv(4096):
        said += octets
    return said


# SMTP trap 31: ten thousand idle ones, on a whole server
def test_ten_thousand_that_are_silent_cost_little_and_hold_nobody_up(tmp_path):
    raise_limit()
    node = Served(tmp_path / "node")
    node.start()
    crowd = Crowd(node)
    try:
        for name in ("alice", "bob"):
            node.add_account(f"{name}@a.test")
        assert node.room() >= CROWD + OURS, f"descriptors for {node.room():,} connections; see `ulimit -Hn`"
        for kind in KINDS:  # what the first of each brings along is not the crowd's
            crowd.come(kind, AT_ONCE)
        reader = Wire(node, "bob@a.test", "INBOX")
        deliver(node)
        log_in(node)
        costs = {}
        for kind in KINDS:
            before, more = node.kib(), kind.count - AT_ONCE
            crowd.come(kind, more)
            costs[kind] = (node.kib() - before) / more
        assert node.taken() >= CROWD == len(crowd.standing)

        used = node.cpu_seconds()
        pause = seconds(lambda: time.sleep(1))  # in which nothing happens
        idle = (node.cpu_seconds() - used) / pause
        noops = [seconds(lambda: reader.ask("NOOP")) for _ in range(1000)]
        logins = [seconds(lambda: log_in(node)) for _ in range(25)]
        deliveries = [seconds(lambda: deliver(node)) for _ in range(25)]
        assert b"* 26 EXISTS" in reader.ask("NOOP"), "all have arrived"
        figures = {f"{kind.protocol}, {kind.tls}, {len(kind.says)} said, KiB": cost for kind, cost in costs.items()}
        figures |= {"idle": idle, "NOOP": p99(noops), "login": p99(logins), "delivery": p99(deliveries)}
        print({name: float(f"{value:.2g}") for name, value in figures.items()})
        assert all(cost <= kind.kib for kind, cost in costs.items()), figures
        assert idle < 0.2, figures
        assert p99(noops) < 0.25 and p99(logins) < 2 and p99(deliveries) < 2, figures
        reader.close()

        began = time.monotonic()
        assert node.stop() == 0
        assert time.monotonic() - began < 30
        for kind, one in crowd.standing:
            said, wanted = hear_the_end(one), FAREWELL[kind.protocol]
            assert said.startswith(wanted) and bool(said) == bool(wanted), (kind, said)
    finally:
        crowd.close()
        node.stop()
    assert not [line for line in node.process.lines if "Traceback" in line or "EMFILE" in line]
