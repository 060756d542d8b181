"""IMAP on a large mailbox, raw sockets, everything read: metadata, content, search, changes, and what others notice."""

from __future__ import annotations

import itertools
import os
import re
import selectors
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass

from benchmarks.imap_client import Imap
from benchmarks.lab import Lab
from benchmarks.messages import Messages
from benchmarks.report import Measurement
from benchmarks.rows import Row, best_of, in_turn, seconds
from benchmarks.searched import words

THUNDERBIRD = (
    b"BODY.PEEK[HEADER.FIELDS (From To Cc Bcc Subject Date Message-ID Priority X-Priority References Newsgroups"
    b" In-Reply-To Content-Type Reply-To)]"
)
BULK = 2000  # bodies


@dataclass(frozen=True)
class _Timed:
    """One command, timed; both mailboxes are selected. ``once``: only the first time is measured."""

    command: bytes
    times: int = 1
    once: bool = False

    def __call__(self, lab: Lab, made: Measurement) -> None:
        [ours], [theirs] = lab.imaps()
        sizes = {len(client.command(self.command)) for client in (ours, theirs)} if not self.once else set()
        made.notes["octets"] = "/".join(str(size) for size in sorted(sizes)) if sizes else "first time"
        rounds, lab.rounds = lab.rounds, 1 if self.once else lab.rounds
        scale = 1000 if made.unit == "ms" else 1
        try:
            in_turn(
                lab,
                made,
                lambda: best_of(self.times, lambda: ours.command(self.command)) * scale,
                lambda: best_of(self.times, lambda: theirs.command(self.command)) * scale,
            )
        finally:
            lab.rounds = rounds


def _select(lab: Lab, made: Measurement) -> None:
    def once(client: Imap) -> float:
        client.command(b"UNSELECT")
        return seconds(lambda: client.command(b"SELECT INBOX")) * 1000

    [ours], [theirs] = lab.imaps()
    in_turn(lab, made, lambda: once(ours), lambda: once(theirs))


def _change(before: bytes, timed: bytes, after: bytes = b"") -> Callable[[Lab, Measurement], None]:
    """Time one command between others; a command may hold several, one a line."""

    def measure(lab: Lab, made: Measurement) -> None:
        def once(client: Imap) -> float:
            for command in before.split(b"\n") if before else ():
                client.command(command)
            took = seconds(lambda: client.command(timed)) * 1000
            for command in after.split(b"\n") if after else ():
                client.command(command)
            return took

        [ours], [theirs] = lab.imaps()
        in_turn(lab, made, lambda: once(ours), lambda: once(theirs))

    return measure


RESYNCED = 500  # messages that are flagged, and as many that are expunged
_OWN = 90  # the number of a connection that has QRESYNC enabled, which would alter what the others are told


def _resynchronise(lab: Lab, made: Measurement) -> None:
    """SELECT with QRESYNC after 1,000 changes: half of them flags all over the mailbox, half messages that are gone."""
    step = max(lab.size // RESYNCED, 1)
    flagged = b",".join(b"%d" % uid for uid in range(1, step * RESYNCED, step))

    def once(client: Imap) -> float:
        client.command(b"ENABLE QRESYNC")
        client.command(b"SELECT INBOX")
        copied = client.command(b"UID COPY 1:%d INBOX" % RESYNCED)
        gone = re.search(rb"COPYUID \d+ \S+ (\S+)\]", copied)
        selected = client.command(b"SELECT INBOX")
        known = re.search(rb"UIDVALIDITY (\d+)", selected), re.search(rb"HIGHESTMODSEQ (\d+)", selected)
        assert gone and known[0] and known[1]
        for sign in b"-", b"+":
            client.command(b"UID STORE %b %bFLAGS.SILENT ($Resynced)" % (flagged, sign))
        client.command(b"UID STORE %b +FLAGS.SILENT (\\Deleted)" % gone[1])
        client.command(b"UID EXPUNGE %b" % gone[1])
        client.command(b"UNSELECT")
        resync = b"SELECT INBOX (QRESYNC (%b %b))" % (known[0][1], known[1][1])
        answer = b""

        def ask() -> None:
            nonlocal answer
            answer = client.command(resync)

        took = seconds(ask) * 1000
        client.command(b"UNSELECT")
        lines = answer.count(b" FETCH (")
        made.notes[f"changes {lines} and"] = (re.search(rb"VANISHED \(EARLIER\) (\S+)", answer) or [b"", b"none"])[
            1
        ].decode()
        return took

    ours, theirs = lab.imap("mailnode", _OWN), lab.imap("dovecot", _OWN)
    in_turn(lab, made, lambda: once(ours), lambda: once(theirs))


Send = Callable[[Imap, int], bytes]  # sends the command of this number; returns its tag


def turns(clients: list[Imap], send: Send, duration: float) -> tuple[int, float]:
    """Keep one command in flight on each client; return how many were answered, and in how many seconds."""
    selector = selectors.DefaultSelector()
    for client in clients:
        selector.register(client.socket, selectors.EVENT_READ, client)
    numbers = itertools.count()
    started = time.perf_counter()
    waiting = {client: send(client, next(numbers)) for client in clients}
    done = 0
    while waiting:
        for key, _ in selector.select(30):
            client = key.data
            client.answer(waiting.pop(client))
            done += 1
            if time.perf_counter() - started < duration:
                waiting[client] = send(client, next(numbers))
    return done, time.perf_counter() - started


def rate(counted: tuple[int, float]) -> float:
    """Return what was done a second."""
    return counted[0] / counted[1]


def _nothing(client: Imap, _number: int) -> bytes:
    return client.send(b"NOOP")


def _one_body(client: Imap, number: int) -> bytes:
    return client.send(b"FETCH %d (BODY.PEEK[])" % (number * 37 % BULK + 1))


def _store(client: Imap, number: int) -> bytes:
    sign = b"+-"[number // 500 % 2 : number // 500 % 2 + 1]
    return client.send(b"UID STORE %d %bFLAGS.SILENT (\\Flagged)" % (number % 500 + 1, sign))


def _rate(clients: int, send: Send) -> Callable[[Lab, Measurement], None]:
    def measure(lab: Lab, made: Measurement) -> None:
        ours, theirs = lab.imaps(clients)
        in_turn(lab, made, lambda: rate(turns(ours, send, lab.seconds)), lambda: rate(turns(theirs, send, lab.seconds)))

    return measure


def _store_one(clients: int) -> Callable[[Lab, Measurement], None]:
    def measure(lab: Lab, made: Measurement) -> None:
        ours, _ = lab.imaps(clients)
        in_turn(lab, made, lambda: rate(turns(ours, _store, lab.seconds)), lambda: synced_appends(lab))
        made.notes["syncs"] = lab.syncs((lab.big("mailnode").pid, lambda: turns(ours, _store, lab.seconds)[0]))

    return measure


def synced_appends(lab: Lab) -> float:
    """Return appends of 8 KiB with fdatasync a second, on the disk that the stores lie on."""
    block = os.urandom(8192)
    descriptor = os.open(lab.folder / "appends", os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    started, count = time.perf_counter(), 0
    try:
        while time.perf_counter() - started < lab.seconds:
            os.write(descriptor, block)
            os.fdatasync(descriptor)
            count += 1
    finally:
        os.close(descriptor)
    return count / (time.perf_counter() - started)


def _append(pipelined: int = 1, clients: int = 1) -> Callable[[Lab, Measurement], None]:
    """APPEND over one connection with so many commands in flight, or over several with one each."""

    def measure(lab: Lab, made: Measurement) -> None:
        source = Messages(11)
        messages = [source.message(4096) for _ in range(200)]

        def append(client: Imap, number: int) -> bytes:
            return client.append(b"Drafts", messages[number % 200])

        def counted(peer: list[Imap]) -> tuple[int, float]:
            before = peer[0].count("Drafts")
            if pipelined > 1:
                done, took = _pipelined(peer[0], append, pipelined, lab.seconds)
            else:
                done, took = turns(peer, append, lab.seconds)
            found = peer[0].count("Drafts") - before
            if found != done:
                lab.errors.append(f"{made.name}: {done} appended, {found} there")
            return done, took

        ours, theirs = lab.imaps(clients)
        in_turn(lab, made, lambda: rate(counted(ours)), lambda: rate(counted(theirs)))
        made.notes["syncs"] = lab.syncs(
            (lab.big("mailnode").pid, lambda: counted(ours)[0]), (lab.big("dovecot").pid, lambda: counted(theirs)[0])
        )

    return measure


def _pipelined(client: Imap, send: Send, in_flight: int, duration: float) -> tuple[int, float]:
    """Send so many commands at a time, then read all answers; return how many were answered, and in how many seconds."""
    done, started = 0, time.perf_counter()
    while time.perf_counter() - started < duration:
        for tag in [send(client, done + number) for number in range(in_flight)]:
            client.answer(tag)
        done += in_flight
    return done, time.perf_counter() - started


def _idle(lab: Lab, made: Measurement) -> None:
    def delay(idler: Imap, storer: Imap) -> float:
        idler.command(b"SELECT INBOX")
        idler.socket.sendall(b"idle IDLE\r\n")
        idler.until(b"\r\n")
        took = []
        for number in range(21):
            started = time.perf_counter()
            storer.socket.sendall(b"s STORE %d FLAGS (\\Answered)\r\n" % (number + 1000))
            idler.line_with(b"FETCH")
            took.append(time.perf_counter() - started)
            storer.answer(b"s")
            storer.command(b"STORE %d FLAGS ()" % (number + 1000))
            idler.line_with(b"FETCH")
        idler.socket.sendall(b"DONE\r\n")
        idler.answer(b"idle")
        return sorted(took)[10] * 1000

    (ours, our_storer), (theirs, their_storer) = lab.imaps(2)
    in_turn(lab, made, lambda: delay(ours, our_storer), lambda: delay(theirs, their_storer))


def noop_delays(client: Imap, work: Callable[[], object]) -> list[float]:
    """Return the milliseconds of NOOPs, one every 5 ms, while ``work`` runs in a thread, ascending."""
    worker = threading.Thread(target=work)
    delays = []
    worker.start()
    while worker.is_alive():
        delays.append(client.timed(b"NOOP") * 1000)
        time.sleep(0.005)
    worker.join()
    return sorted(delays)


def _noop_beside_fetch(lab: Lab, made: Measurement) -> None:
    (reader, noops), _ = lab.imaps(2)
    for _ in range(lab.rounds):
        delays = noop_delays(noops, lambda: reader.command(b"FETCH 1:* (FLAGS ENVELOPE RFC822.SIZE)"))
        made.ours.append(delays[min(len(delays) - 1, len(delays) * 99 // 100)])
        made.notes["max"] = f"{max(delays[-1], float(made.notes.get('max', 0))):.1f}"


def _noop_beside(command: Callable[[int], bytes]) -> Callable[[Lab, Measurement], None]:
    """NOOP beside a command of a number, another each round: nothing of it is remembered."""

    def measure(lab: Lab, made: Measurement) -> None:
        (other, noops), _ = lab.imaps(2)
        for number in range(1, lab.rounds + 1):
            asked = command(number)
            delays = noop_delays(noops, lambda asked=asked: other.command(asked))
            made.ours.append(delays[min(len(delays) - 1, len(delays) * 99 // 100)])
            made.notes["max"] = f"{max(delays[-1], float(made.notes.get('max', 0))):.1f}"

    return measure


def _timed(name: str, command: bytes, unit: str = "ms", bar: float | None = None, **more: object) -> Row:
    timed = _Timed(command, int(str(more.get("times", 1))), bool(more.get("once")))
    large = name.startswith(("FETCH 1:*", "FETCH bodies")) and not more.get("once")
    return Row(f"imap {name}", unit, timed, "Dovecot", bar, slow=bool(more.get("slow")), large=large)


# What is asked, and the bar of the first time.
ORDERED = [
    ("SORT by arrival", b"SORT (ARRIVAL) UTF-8 ALL", 1.0),
    ("SORT by size", b"SORT (SIZE) UTF-8 ALL", 1.0),
    ("SORT by date", b"SORT (DATE) UTF-8 ALL", 1.0),
    ("SORT by subject", b"SORT (SUBJECT) UTF-8 ALL", 0.5),
    ("THREAD by references", b"THREAD REFERENCES UTF-8 ALL", 0.2),
    ("THREAD by subject", b"THREAD ORDEREDSUBJECT UTF-8 ALL", 0.2),
]

TO_DELETE = b"CREATE Junk2\nCOPY 1:10000 Junk2\nSELECT Junk2\nSTORE 1:* +FLAGS.SILENT (\\Deleted)"

ROWS = [
    Row("imap SELECT", "ms", _select, "Dovecot", 1.0),
    Row("imap SELECT with QRESYNC, 1,000 changes", "ms", _resynchronise, "Dovecot", ceiling=50.0),
    _timed("STATUS", b"STATUS Sent (MESSAGES UNSEEN UIDNEXT)", times=21),
    _timed("FETCH 1:* flags", b"FETCH 1:* (UID FLAGS)", bar=1.0),
    _timed("FETCH 1:* envelope and size, first", b"FETCH 1:* (ENVELOPE RFC822.SIZE)", once=True),
    _timed("FETCH 1:* envelope and size", b"FETCH 1:* (ENVELOPE RFC822.SIZE)", bar=1.0),
    _timed("FETCH 1:* header fields, first", b"FETCH 1:* (%b)" % THUNDERBIRD, once=True, bar=3.0),
    _timed("FETCH 1:* header fields", b"FETCH 1:* (%b)" % THUNDERBIRD, bar=0.5),
    _timed("FETCH 1:* body structure, first", b"FETCH 1:* (BODYSTRUCTURE)", once=True),
    _timed("FETCH 1:* body structure", b"FETCH 1:* (BODYSTRUCTURE)", bar=0.8),
    _timed("FETCH bodies in bulk", b"FETCH 1:%d (BODY.PEEK[])" % BULK, bar=0.5),
    _timed("FETCH one body", b"FETCH 1234 (BODY.PEEK[])", bar=0.5, times=101),
    _timed("FETCH one part", b"FETCH 1220 (BODY.PEEK[1])", times=101),
    _timed("SEARCH by flag", b"SEARCH FLAGGED"),
    # Dovecot reads the messages themselves the first time, and what it kept of them from then on.
    *[
        _timed(f"{what}, {when}", command, once=when == "first", bar=first if when == "first" else 1.0)
        for what, command, first in ORDERED
        for when in ("first", "again")
    ],
    *[
        Row(f"imap NOOP p99 beside {what}", "ms", _noop_beside(command), ceiling=20.0)
        for what, command in (
            ("THREAD", lambda number: b"THREAD REFERENCES UTF-8 NOT %d" % number),
            ("SORT", lambda number: b"SORT (SUBJECT DATE) UTF-8 NOT %d" % number),
            ("SEARCH of texts", lambda number: b"SEARCH TEXT %b" % words(number)[0]),
        )
    ],
    Row("imap FETCH one body, 20 clients", "cmd/s", _rate(20, _one_body), "Dovecot", 0.5),
    Row("imap NOOP, 1 client", "cmd/s", _rate(1, _nothing), "Dovecot", 0.5),
    Row("imap NOOP, 20 clients", "cmd/s", _rate(20, _nothing), "Dovecot", 0.5),
    Row("imap NOOP p99 beside FETCH 1:*", "ms", _noop_beside_fetch, ceiling=20.0, large=True),
    Row("imap STORE one, 1 client", "cmd/s", _store_one(1), "fdatasync", 0.4),
    Row("imap STORE one, 20 clients", "cmd/s", _store_one(20), "fdatasync", 2.0),
    Row(
        "imap STORE all",
        "ms",
        _change(b"", b"STORE 1:* +FLAGS.SILENT (\\Seen)", b"STORE 1:* -FLAGS.SILENT (\\Seen)"),
        "Dovecot",
    ),
    Row("imap COPY 1,000", "ms", _change(b"", b"COPY 1:1000 Archive"), "Dovecot"),
    Row(
        "imap MOVE 1,000",
        "ms",
        _change(b"COPY 1:1000 Trash\nSELECT Trash", b"MOVE 1:1000 Junk", b"SELECT INBOX"),
        "Dovecot",
    ),
    Row(
        "imap EXPUNGE 10,000", "ms", _change(TO_DELETE, b"EXPUNGE", b"SELECT INBOX\nDELETE Junk2"), "Dovecot", slow=True
    ),
    Row("imap APPEND one at a time", "msg/s", _append(), "Dovecot", 1.5),
    Row("imap APPEND, 20 clients", "msg/s", _append(clients=20), "Dovecot"),
    Row("imap APPEND pipelined", "msg/s", _append(pipelined=20), "Dovecot", 1.5),
    Row("imap STORE seen by IDLE", "ms", _idle, "Dovecot"),
]
