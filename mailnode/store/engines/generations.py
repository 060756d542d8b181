"""Whether a SQLite file is the one that was in use last: its generation and the number of its commits.

Every start draws a generation and writes it into every file, the directory's last; the directory notes what it wrote into
the others. A file counts its commits in a row of its own. docs/store.rst tells what follows from it.
"""

from __future__ import annotations

import secrets
from collections.abc import Mapping
from typing import NamedTuple

from mailnode.errors import StoreDamaged
from mailnode.store.engines.engine import Transaction
from mailnode.values.rows import NamedValues

COUNT = "INSERT INTO meta (key, value) VALUES ('commits', ?) ON CONFLICT (key) DO UPDATE SET value = excluded.value"
_SET = "INSERT INTO meta (key, value) VALUES (?, ?) ON CONFLICT (key) DO UPDATE SET value = excluded.value"
_KNOWN = "known "


class Mark(NamedTuple):
    """What a file says of itself."""

    generation: str
    before: str  # the generation that the directory knew when this one was written
    commits: int
    name: str = ""  # of its tenancy; "": written by a version that did not say


class Known(NamedTuple):
    """What the directory says of a file."""

    generation: str
    commits: int


def drawn_after(*generations: str) -> str:
    """Draw a generation that is later than these."""
    return f"{max(map(number, generations), default=0) + 1}-{secrets.token_hex(8)}"


def number(generation: str) -> int:
    """Return which start a generation is of; 0: none."""
    text = generation.partition("-")[0]
    return int(text) if text.isdecimal() and text.isascii() else 0


def read_mark(tx: Transaction) -> Mark | None:
    """What this file says of itself; None: nothing, it is new or was not in use since versions have counted.

    :raises StoreDamaged:"""
    found: NamedValues = dict(
        tx.execute("SELECT key, value FROM meta WHERE key IN ('generation', 'before', 'commits', 'tenancy')")
    )
    if "generation" not in found:
        return None
    return Mark(
        found["generation"], found.get("before", ""), count(found.get("commits", "0")), found.get("tenancy", "")
    )


def require_own(tx: Transaction, name: str) -> None:
    """:raises StoreDamaged: this is not the file of the tenancy of this name."""
    mark = read_mark(tx)
    if mark is not None and mark.name not in ("", name):
        raise StoreDamaged(f"it is the file {mark.name}.db, put the right one here")


def count(text: object) -> int:
    """Read a number that stands in ``meta``. :raises StoreDamaged: it is none."""
    if isinstance(text, str) and text.isascii() and text.isdecimal() and len(text) < 19:
        return int(text)
    raise StoreDamaged("a row of table meta is damaged")


def write_mark(tx: Transaction, mark: Mark) -> None:
    """Have this file say so."""
    rows = [("generation", mark.generation), ("before", mark.before), ("commits", str(mark.commits))]
    tx.many(_SET, [*rows, ("tenancy", mark.name)])


def read_known(tx: Transaction) -> dict[str, Known]:
    """What the directory knows of the other files, by tenancy. :raises StoreDamaged:"""
    found = {}
    for key, value in tx.execute("SELECT key, value FROM meta WHERE key >= ? AND key < 'known!'", (_KNOWN,)):
        generation, _, commits = value.partition(" ")
        found[key.removeprefix(_KNOWN)] = Known(generation, count(commits))
    return found


def write_known(tx: Transaction, known: Mapping[str, Known]) -> None:
    """Have the directory know it."""
    tx.many(_SET, [(_KNOWN + name, f"{one.generation} {one.commits}") for name, one in known.items()])


def what_is_older(own: Mark | None, known: Known | None, counted: int | None) -> str:
    """Say by what a file shows that it is older than the one that was in use; "": it does not.

    :param counted: what stands beside the files.
    """
    if own is None:
        return "it was never in use, another file of this name was" if known is not None or counted else ""
    if (
        known is not None
        and known.generation not in (own.generation, own.before)
        and number(own.generation) <= number(known.generation)
    ):
        return f"it is of start {number(own.generation)}, the last was {number(known.generation)}"
    most = max(known.commits if known is not None else 0, counted or 0)
    return f"{most - own.commits} commits are missing" if own.commits < most else ""


def is_unknown(own: Mark | None, known: Known | None) -> bool:
    """Whether it is the directory that is older: it knows nothing of this file's last two starts."""
    if own is None:
        return False
    return known is None or (
        known.generation not in (own.generation, own.before) and number(own.generation) > number(known.generation)
    )
