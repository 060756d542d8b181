"""SMTP in, until the message is in a mailbox: sizes, sessions, connections kept open or not, plain and TLS."""

from __future__ import annotations

from dataclasses import dataclass

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
            made.notes["syncs"] = lab.syncs_noted(node, self.sessions, self.size)


def _row(label: str, kib: int, sessions: int, *options: str, bar: float | None = None, **more: object) -> Row:
    how = "reconnecting" if "reconnect" in options else "kept open"
    tls = ", TLS" if "tls" in options else ""
    delivery = str(more.get("delivery", "maildir"))
    plural = "session" if sessions == 1 else "sessions"
    return Row(
        f"smtp {label}, {sessions} {plural}, {how}{tls}" + (", by LMTP" if delivery == "lmtp" else ""),
        "msg/s",
        _SmtpIn(kib * KIB, sessions, options, delivery),
        "Postfix+Dovecot" if delivery == "lmtp" else "Postfix",
        bar,
        slow=bool(more.get("slow")),
    )


ROWS = [
    _row("4 KiB", 4, 1, bar=1.5),
    _row("4 KiB", 4, 20, bar=2.5),
    _row("4 KiB", 4, 100, bar=3),
    _row("4 KiB", 4, 20, delivery="lmtp", slow=True),
    _row("4 KiB", 4, 20, "tls", slow=True),
    _row("4 KiB", 4, 20, "reconnect", slow=True),
    _row("4 KiB", 4, 20, "reconnect", "tls", bar=0.6),
    _row("64 KiB", 64, 20),
    _row("1 MiB", 1024, 4, bar=0.8),
]
