"""Memory of the process at rest, per idle session, and at its peak; and how long another session waits meanwhile."""

from __future__ import annotations

import contextlib
import re
import socket
import threading
import time
from functools import lru_cache
from pathlib import Path

from benchmarks.imap_client import Imap
from benchmarks.lab import BIG_USER, Lab
from benchmarks.mailboxes import content, fill_mailnode
from benchmarks.messages import Messages
from benchmarks.peers import PASSWORD, MailNodeForLoad
from benchmarks.report import Measurement
from benchmarks.rows import Row
from benchmarks.rows_imap import noop_delays

LARGE = 48 * 1024 * 1024  # octets; below the default limit of 50 MiB
SELECTED = 20_000  # messages of the mailbox idle sessions have selected


def pss_kib(pid: int) -> int:
    """Return the proportional set size of a process in KiB."""
    found = re.search(r"^Pss:\s+(\d+)", Path(f"/proc/{pid}/smaps_rollup").read_text(), re.MULTILINE)
    assert found is not None
    return int(found[1])


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


def _fresh(lab: Lab, name: str, messages: int) -> MailNodeForLoad:
    node = lab.mailnode(name)
    if not node.count():
        node.stop()
        fill_mailnode(node.config, node.user, content(messages))
        node.start()
    return node


def _idle_process(lab: Lab, made: Measurement) -> None:
    node = lab.mailnode("idle")
    time.sleep(1)
    made.ours.append(pss_kib(node.pid) / 1024)
    lab.drop("idle")


def _session(lab: Lab, made: Measurement) -> None:
    """Sessions over TLS, all with one mailbox selected and read once."""
    sessions = 80  # of one account there may be 100
    node = _fresh(lab, "sessions", 2000 if lab.quick else SELECTED)
    opened: list[Imap] = []
    try:
        for _ in range(10):
            opened.append(_reader(node))
        before = pss_kib(node.pid)
        for _ in range(sessions):
            opened.append(_reader(node))
        made.ours.append((pss_kib(node.pid) - before) / sessions)
        made.notes["sessions"] = sessions
    finally:
        for client in opened:
            client.close()
        lab.drop("sessions")


def _reader(node: MailNodeForLoad) -> Imap:
    client = Imap(node.address, node.ports["imaps"], node.user, PASSWORD, tls=True)
    client.command(b"SELECT INBOX")
    client.command(b"FETCH 1:* (FLAGS)")
    return client


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
    Row("memory of an idle IMAP session, TLS", "KiB", _session, ceiling=130.0),
    Row("memory, peak while 48 MiB pass", "MiB", _large_message),
    Row("imap NOOP p99 beside 48 MiB over SMTP", "ms", _noop_beside_large, ceiling=20.0),
    Row("memory, peak of an import", "MiB", _import, slow=True),
]
