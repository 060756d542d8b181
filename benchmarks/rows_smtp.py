"""SMTP in, until the message is in a mailbox: sizes, sessions, connections kept open or not, plain and TLS."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial

from benchmarks.lab import Lab
from benchmarks.report import Measurement
from benchmarks.rows import Row, in_turn

KIB = 1024


@dataclass(frozen=True)
class _SmtpIn:
    size: int
    sessions: int
    options: tuple[str, ...] = ()
    delivery: str = "maildir"

    def __call__(self, lab: Lab, made: Measurement) -> None:
        node, postfix = lab.mailnode(), lab.postfix(self.delivery)

        def ours() -> float:
            return lab.rate(node, self.sessions, self.size, *self.options)

        def theirs() -> float:
            return lab.rate(postfix, self.sessions, self.size, *self.options)

        in_turn(lab, made, ours, theirs)
        made.notes["cpu_us"] = round(node.cpu_seconds_of(ours) * 1e6)
        made.notes["log_pages"] = node.log_pages()  # checkpoint work left behind
        if self.size <= 4 * KIB and not self.options:
            made.notes["syncs"] = lab.syncs(
                *((server.pid, partial(lab.delivered, server, self.sessions, self.size)) for server in (node, postfix))
            )


def _row(label: str, sessions: int, options: tuple[str, ...] = (), delivery: str = "maildir") -> Row:
    how = "reconnecting" if "reconnect" in options else "kept open"
    tls = ", TLS" if "tls" in options else ""
    plural = "session" if sessions == 1 else "sessions"
    name = f"smtp {label}, {sessions} {plural}, {how}{tls}" + (", by LMTP" if delivery == "lmtp" else "")
    return Row(
        name,
        "msg/s",
        _SmtpIn(SIZES[label], sessions, options, delivery),
        "Postfix+Dovecot" if delivery == "lmtp" else "Postfix",
        BARS.get(name),
        slow=name not in QUICK,
        large=SIZES[label] >= 64 * KIB and "tls" not in options,
    )


SIZES = {"4 KiB": 4 * KIB, "64 KiB": 64 * KIB, "1 MiB": 1024 * KIB}
SESSIONS = (1, 20, 100)
WAYS = ((), ("tls",), ("reconnect",), ("reconnect", "tls"))
BARS = {
    "smtp 4 KiB, 1 session, kept open": 1.5,
    "smtp 4 KiB, 20 sessions, kept open": 2.5,
    "smtp 4 KiB, 100 sessions, kept open": 3.0,
    "smtp 4 KiB, 20 sessions, reconnecting, TLS": 0.6,
    **{f"smtp 1 MiB, {sessions}, kept open": 0.8 for sessions in ("1 session", "20 sessions", "100 sessions")},
}
QUICK = {*BARS, "smtp 64 KiB, 20 sessions, kept open"} - {
    "smtp 1 MiB, 1 session, kept open",
    "smtp 1 MiB, 100 sessions, kept open",
}

ROWS = [
    *(_row(size, sessions, way) for size in SIZES for sessions in SESSIONS for way in WAYS),
    *(_row("4 KiB", sessions, delivery="lmtp") for sessions in SESSIONS),
]
