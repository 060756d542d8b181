"""One large message at a time: what a byte costs, and with ``--ways`` what TLS and the PROXY protocol add to it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from benchmarks.lab import Lab
from benchmarks.messages import Messages
from benchmarks.peers import Dovecot, MailNodeForLoad
from benchmarks.report import Measurement
from benchmarks.rows import Row, in_turn, seconds
from tests.end_to_end.ways import Dial, Way

SIZE = 10 * 1024 * 1024
USER = "bob@a.test"


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
    beside: bool

    def __call__(self, lab: Lab, made: Measurement) -> None:
        node = lab.mailnode()
        dovecot = lab.dovecot() if self.beside else None
        way: Way = lab.way or ("none", False)
        source = Messages(len(made.name))

        def rate(server: MailNodeForLoad | Dovecot) -> float:
            return SIZE / 2**20 / self.work(Dial(server, *way), source.message(SIZE, USER))

        in_turn(lab, made, lambda: rate(node), (lambda: rate(dovecot)) if dovecot else None)


ROWS = [
    Row("submission of 10 MiB", "MiB/s", _Moved(_submit, beside=False), large=True),
    Row("imap APPEND of 10 MiB", "MiB/s", _Moved(_append, beside=True), "Dovecot", large=True),
    Row("imap FETCH of 10 MiB", "MiB/s", _Moved(_fetch, beside=True), "Dovecot", large=True),
    Row("pop3 RETR of 10 MiB", "MiB/s", _Moved(_retrieve, beside=True), "Dovecot", large=True),
]
