"""Memory of the process at rest and at its peak; and how long another session waits meanwhile."""

from __future__ import annotations

import contextlib
import re
from functools import lru_cache
from pathlib import Path

from benchmarks.imap_client import Imap
from benchmarks.lab import USER, Lab
from benchmarks.mailboxes import content
from benchmarks.messages import Messages
from benchmarks.peers import PASSWORD, MailNodeForLoad, tree
from benchmarks.report import Measurement
from benchmarks.rows import Row
from benchmarks.rows_imap import noop_delays
from benchmarks.rows_sessions import pss_kib
from tests.end_to_end.ways import Dial, Way

LARGE = 48 * 1024 * 1024  # octets; below the default limit of 50 MiB


class Peak:
    """The most memory a server held while a block ran, over what it held before: the kernel's own mark of each process,
    set back at the start, so that no moment is missed. ``mib`` is of the server and its helper processes together."""

    def __init__(self, pid: int) -> None:
        self._pid = pid
        self.mib = self.own_mib = 0.0

    def __enter__(self) -> Peak:
        self._before = {pid: _status_kib(pid, "VmRSS") for pid in tree(self._pid)}
        for pid in self._before:
            Path(f"/proc/{pid}/clear_refs").write_text("5")  # VmHWM begins at VmRSS again
        return self

    def __exit__(self, *error: object) -> None:
        grown = {pid: _status_kib(pid, "VmHWM") - self._before.get(pid, 0) for pid in tree(self._pid)}
        self.own_mib = grown[self._pid] / 1024
        self.mib = sum(grown.values()) / 1024  # a helper that was started meanwhile counts whole


def _status_kib(pid: int, name: str) -> int:
    found = re.search(rf"^{name}:\s+(\d+) kB", Path(f"/proc/{pid}/status").read_text(), re.MULTILINE)
    assert found is not None
    return int(found[1])


def _idle_process(lab: Lab, made: Measurement) -> None:
    node = lab.mailnode("idle")
    made.ours.append(sum(map(pss_kib, tree(node.pid))) / 1024)
    lab.drop("idle")


@lru_cache(maxsize=1)
def large_message(octets: int) -> bytes:
    """Compose a message; before anything is timed, because that keeps this process busy."""
    return Messages(5).message(octets).replace(b"\r\n.", b"\r\n..")


def send_large(node: MailNodeForLoad, octets: int, way: Way | None = None) -> None:
    """Send one large message over SMTP. :param way: how to connect; None: without TLS."""
    send_content(node, large_message(octets), way)


def send_content(node: MailNodeForLoad, message: bytes, way: Way | None = None, *, taken: bool = True) -> None:
    """Send a message over SMTP. :param taken: False: it may be refused."""
    with contextlib.closing(Dial(node, *(way or ("none", False))).secured("smtp")) as peer:
        peer.settimeout(120)
        file = peer.makefile("rb")
        for command in (
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
        if taken and line[:3] != b"250":
            raise RuntimeError(line.decode())


def _large_message(lab: Lab, made: Measurement) -> None:
    """The first large message of a server that was just started: nothing it needs is there yet."""
    large_message(LARGE)
    for _ in range(lab.rounds):
        node = lab.mailnode("large")
        node.stop()
        node.start()
        before = node.count()
        with Peak(node.pid) as peak:
            send_large(node, LARGE, lab.way)
        made.ours.append(peak.mib)
        made.notes["own"] = f"{peak.own_mib:.1f}"
        if node.count() != before + 1:
            lab.errors.append(f"{made.name}: {node.count() - before} of 1 there")


def _noop_beside_large(lab: Lab, made: Measurement) -> None:
    node = lab.mailnode()
    large_message(LARGE)
    with contextlib.closing(Imap(node.address, node.ports["imaps"], node.user, PASSWORD, tls=True)) as client:
        for _ in range(lab.rounds):
            delays = noop_delays(client, lambda: send_large(node, LARGE, lab.way))
            made.ours.append(delays[min(len(delays) - 1, len(delays) * 99 // 100)])
            made.notes["max"] = f"{max(delays[-1], float(made.notes.get('max', 0))):.1f}"


def _import(lab: Lab, made: Measurement) -> None:
    """Messages appended by one client, many in flight, to a server that was just started."""
    node = lab.mailnode("import")
    count = 2000 if lab.quick else 200_000
    with contextlib.closing(lab.login(node, USER)) as client:
        before = 0
        if lab.first("imported"):
            client.command(b"CREATE Imported")
        else:
            before = client.count("Imported")
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
        made.notes |= {"own": f"{peak.own_mib:.1f}", "messages": count}
        if client.count("Imported") - before != count:
            lab.errors.append(f"{made.name}: {client.count('Imported') - before} of {count} there")


ROWS = [
    Row("memory of the idle process", "MiB", _idle_process, ceiling=100.0),
    Row("memory, peak while 48 MiB pass", "MiB", _large_message, large=True),
    Row("imap NOOP p99 beside 48 MiB over SMTP", "ms", _noop_beside_large, ceiling=20.0, large=True),
    Row("memory, peak of an import", "MiB", _import, slow=True, large=True),
]
