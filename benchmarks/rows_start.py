"""The start with a large store, and what a large store costs a mailbox in it."""

from __future__ import annotations

import contextlib

from benchmarks.imap_client import Imap
from benchmarks.lab import LIMITS, USER, Lab
from benchmarks.mailboxes import content, fill_mailnode, repeat_in_mailnode
from benchmarks.peers import PASSWORD, MailNodeForLoad
from benchmarks.report import Measurement
from benchmarks.rows import Row, seconds

OTHER = "other@a.test"  # has the rest of the store
MAILBOX = 10_000
SMALL, MIDDLE, LARGE = range(3)


def _store(lab: Lab, size: int) -> MailNodeForLoad:
    """Return a server whose store holds ``size`` messages of one account, and the mailbox of USER; one partition, so that
    they share a file."""

    def make() -> MailNodeForLoad:
        node = MailNodeForLoad(
            lab.folder / f"store-{size}", USER, extra=LIMITS, partitions=1, workers=lab.workers
        ).start()
        node.add_account(USER)
        node.add_account(OTHER)
        node.stop()
        lab.progress(f"filling a store with {size}")
        fill_mailnode(node.config, USER, content(1000 if lab.quick else MAILBOX))
        repeat_in_mailnode(node.config, OTHER, size)
        return node

    node: MailNodeForLoad = lab.once(f"store {size}", make)
    return node


def _sizes(lab: Lab) -> tuple[int, int, int]:
    return (1000, 5000, 20_000) if lab.quick else (10_000, lab.store_size // 10, lab.store_size)


def _start(lab: Lab, made: Measurement) -> None:
    node = _store(lab, _sizes(lab)[LARGE])
    for _ in range(lab.rounds):
        made.ours.append(seconds(node.start))
        node.stop()
    made.notes["messages"] = _sizes(lab)[LARGE]


def _select_large(lab: Lab, made: Measurement) -> None:
    node = _store(lab, _sizes(lab)[LARGE])
    node.start()
    try:
        with contextlib.closing(_client(node, OTHER)) as client:
            for _ in range(lab.rounds):
                made.ours.append(client.timed(b"SELECT INBOX") * 1000)
                client.command(b"UNSELECT")
        made.notes["messages"] = _sizes(lab)[LARGE]
    finally:
        node.stop()


def _client(node: MailNodeForLoad, user: str) -> Imap:
    return Imap(node.address, node.ports["imaps"], user, PASSWORD, tls=True)


def _grown(command: bytes | None, to: int):  # type: ignore[no-untyped-def]
    """Compare one operation in a small store ("theirs") and in a larger one."""

    def measure(lab: Lab, made: Measurement) -> None:
        sizes = _sizes(lab)[SMALL], _sizes(lab)[to]
        small, large = (_store(lab, size) for size in sizes)
        for node in (small, large):
            node.start()
        try:
            for _ in range(lab.rounds):
                made.ours.append(_once(lab, large, command))
                made.theirs.append(_once(lab, small, command))
        finally:
            for node in (small, large):
                node.stop()
        made.notes["messages"] = "/".join(map(str, sizes))

    return measure


def _once(lab: Lab, node: MailNodeForLoad, command: bytes | None) -> float:
    if command is None:
        return lab.rate(node, 20, 4096)
    with contextlib.closing(_client(node, USER)) as client:
        if not command.startswith(b"SELECT"):
            client.command(b"SELECT INBOX")
        client.command(command)
        return client.timed(command) * 1000


# Deliveries come last: they make the mailbox grow that the others look at.
OPERATIONS = (
    ("imap SELECT", "ms", b"SELECT INBOX"),
    ("imap FETCH 1:* envelope", "ms", b"FETCH 1:* (ENVELOPE)"),
    ("smtp 4 KiB, 20 sessions", "msg/s", None),
)

# A store of a million messages may cost 1.5 times one of ten thousand: a ratio of 0.67.
ROWS = [
    Row("start with a large store", "s", _start),
    Row("imap SELECT of a very large mailbox", "ms", _select_large, ceiling=300.0),
    *(
        Row(f"growth to {label} store: {name}", unit, _grown(command, to), "small store", 0.67)
        for name, unit, command in OPERATIONS
        for to, label in ((MIDDLE, "a middling"), (LARGE, "a large"))
    ),
]
