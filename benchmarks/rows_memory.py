"""Memory of the process at rest and at its peak; and how long another session waits meanwhile."""

from __future__ import annotations

import contextlib
import socket
import threading
import time
from functools import lru_cache

from benchmarks.imap_client import Imap
from benchmarks.lab import BIG_USER, Lab
from benchmarks.mailboxes import content
from benchmarks.messages import Messages
from benchmarks.peers import PASSWORD, MailNodeForLoad
from benchmarks.report import Measurement
from benchmarks.rows import Row
from benchmarks.rows_imap import noop_delays
from benchmarks.rows_sessions import pss_kib

LARGE = 48 * 1024 * 1024  # octets; below the default limit of 50 MiB


class Peak:
    """Watches the PSS of a process while a block runs; ``mib`` is the most it saw, over what was before."""

    def __init__(self, pid: int) -> None:
        self._pid = pid
        self._before = pss_kib(pid)
        self._most = self._before
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._watch)

    def _watch(self) -> None:
        while not self._ended.wait(0.1):
            self._most = max(self._most, pss_kib(self._pid))

    def __enter__(self) -> Peak:
        self._thread.start()
        return self

    def __exit__(self, *error: object) -> None:
        self._ended.set()
        self._thread.join()

    @property
    def mib(self) -> float:
        """MiB over what it was before."""
        return (self._most - self._before) / 1024


def _idle_process(lab: Lab, made: Measurement) -> None:
    node = lab.mailnode("idle")
    time.sleep(1)
    made.ours.append(pss_kib(node.pid) / 1024)
    lab.drop("idle")


@lru_cache(maxsize=1)
def large_message(octets: int) -> bytes:
    """Compose a message; before anything is timed, because that keeps this process busy."""
    return Messages(5).message(octets).replace(b"\r\n.", b"\r\n..")


def send_large(node: MailNodeForLoad, octets: int) -> None:
    """Send one large message over SMTP."""
    message = large_message(octets)
    with contextlib.closing(socket.create_connection((node.address, node.ports["smtp"]), 120)) as peer:
        file = peer.makefile("rb")
        for command in (
            b"",
            b"HELO load.test\r\n",
            b"MAIL FROM:<o@side.test>\r\n",
            b"RCPT TO:<bob@a.test>\r\n",
            b"DATA\r\n",
        ):
            peer.sendall(command)
            line = file.readline()
            if line[:1] not in b"23":
                raise RuntimeError(line.decode())
        peer.sendall(message)
        peer.sendall(b".\r\n")
        line = file.readline()
        if line[:3] != b"250":
            raise RuntimeError(line.decode())


def _large_message(lab: Lab, made: Measurement) -> None:
    node = lab.mailnode()
    before = node.count()
    for _ in range(lab.rounds):
        with Peak(node.pid) as peak:
            send_large(node, LARGE)
        made.ours.append(peak.mib)
    if node.count() - before != lab.rounds:
        lab.errors.append(f"{made.name}: {node.count() - before} of {lab.rounds} there")


def _noop_beside_large(lab: Lab, made: Measurement) -> None:
    node = lab.mailnode()
    large_message(LARGE)
    with contextlib.closing(Imap(node.address, node.ports["imaps"], node.user, PASSWORD, tls=True)) as client:
        for _ in range(lab.rounds):
            delays = noop_delays(client, lambda: send_large(node, LARGE))
            made.ours.append(delays[min(len(delays) - 1, len(delays) * 99 // 100)])
            made.notes["max"] = f"{max(delays[-1], float(made.notes.get('max', 0))):.1f}"


def _import(lab: Lab, made: Measurement) -> None:
    """Messages appended by one client, many in flight."""
    node = lab.big("mailnode")
    assert isinstance(node, MailNodeForLoad)
    count = 2000 if lab.quick else 200_000
    with contextlib.closing(Imap(node.address, node.ports["imaps"], BIG_USER, PASSWORD, tls=True)) as client:
        client.command(b"CREATE Imported")
        with Peak(node.pid) as peak:
            tags: list[bytes] = []
            for message in content(count, 13):
                tags.append(client.append(b"Imported", message))
                if len(tags) == 20:
                    for tag in tags:
                        client.answer(tag)
                    tags.clear()
            for tag in tags:
                client.answer(tag)
        made.ours.append(peak.mib)
        if client.count("Imported") != count:
            lab.errors.append(f"{made.name}: {client.count('Imported')} of {count} there")


ROWS = [
    Row("memory of the idle process", "MiB", _idle_process, ceiling=100.0),
    Row("memory, peak while 48 MiB pass", "MiB", _large_message),
    Row("imap NOOP p99 beside 48 MiB over SMTP", "ms", _noop_beside_large, ceiling=20.0),
    Row("memory, peak of an import", "MiB", _import, slow=True),
]
