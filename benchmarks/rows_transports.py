"""Large messages over every way to connect, beside the same without TLS: what TLS and the PROXY protocol cost, and that nothing
hangs in them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmarks.lab import Lab
from benchmarks.messages import Messages
from benchmarks.peers import PASSWORD, MailNodeForLoad
from benchmarks.report import Measurement
from benchmarks.rows import Row, in_turn, seconds
from tests.end_to_end.ways import WAYS, Dial, Way, listeners, ways

SIZE = 10 * 1024 * 1024
PLAIN: Way = ("none", False)
USER = "bob@a.test"


class AllWays(MailNodeForLoad):
    """A mailnode with a listener for each way."""

    password = PASSWORD

    def __init__(self, folder: Path, user: str, *, extra: str = "", **options: Any) -> None:
        self.ways = ways()
        super().__init__(folder, user, extra=extra + listeners(self.ways), **options)


def _submit(dial: Dial, octets: bytes) -> float:
    mine = b"From: %b\r\nSubject: large\r\n\r\n%b" % (USER.encode(), octets.partition(b"\r\n\r\n")[2])
    with dial.submission(USER) as client:
        return seconds(lambda: client.sendmail(USER, [USER], mine))


def _append(dial: Dial, octets: bytes) -> float:
    client = dial.imap(USER)
    try:
        return seconds(lambda: client.append("INBOX", "", None, octets))  # type: ignore[arg-type]
    finally:
        client.logout()


def _fetch(dial: Dial, octets: bytes) -> float:
    client = dial.imap(USER)
    try:
        client.append("INBOX", "", None, octets)  # type: ignore[arg-type]
        client.select("INBOX")
        return seconds(lambda: client.fetch("*", "(BODY.PEEK[])"))
    finally:
        client.logout()


def _retrieve(dial: Dial, octets: bytes) -> float:
    client = dial.imap(USER)
    client.append("INBOX", "", None, octets)  # type: ignore[arg-type]
    client.logout()
    box = dial.pop3(USER)
    try:
        return seconds(lambda: box.retr(len(box.list()[1])))
    finally:
        box.quit()


@dataclass(frozen=True)
class _Moved:
    """MiB a second of one large message."""

    work: Callable[[Dial, bytes], float]
    way: Way

    def __call__(self, lab: Lab, made: Measurement) -> None:
        node = lab.all_ways(AllWays)
        source = Messages(len(made.name))

        def rate(way: Way) -> float:
            return SIZE / 2**20 / self.work(Dial(node, *way), source.message(SIZE, USER))

        in_turn(lab, made, lambda: rate(self.way), None if self.way == PLAIN else lambda: rate(PLAIN))


WORK = {"submission": _submit, "imap APPEND": _append, "imap FETCH": _fetch, "pop3 RETR": _retrieve}

ROWS = [
    Row(
        f"{what} of 10 MiB, TLS {name}",
        "MiB/s",
        _Moved(work, way),
        "" if way == PLAIN else "TLS none",
        slow=way not in (PLAIN, ("implicit", False), ("implicit", True)),
    )
    for what, work in WORK.items()
    for name, way in WAYS.items()
]
