"""Schema versions: numbered files of SQL, applied in order, each in one transaction.

The files of a tenancy stand in ``sql/<kind>/NNNN.sql`` and are written for SQLite in words that PostgreSQL takes after
:func:`to_postgres`. Every tenancy holds a table ``meta`` with its schema's number. The engines call
:func:`pending` and :func:`apply` at start, under their lock, after a copy.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from importlib import resources

from mailnode.errors import ConfigurationError, StoreDamaged
from mailnode.store.engines.engine import Transaction

_META = "CREATE TABLE IF NOT EXISTS meta (key TEXT PRIMARY KEY, value TEXT NOT NULL)"
_SET = "INSERT INTO meta (key, value) VALUES (?, ?) ON CONFLICT (key) DO UPDATE SET value = excluded.value"
_NUMBER = re.compile(r"[0-9]{1,9}")
_READ_BY = re.compile(r"^-- Read by ([0-9]{1,9})\.$", re.MULTILINE)
_READERS = re.compile(r"([0-9]{1,9}) ([0-9]{1,9})")  # a schema, and the lowest whose programs go on with it
_COMMENT = re.compile(r"--[^\n]*")


@dataclass(frozen=True, slots=True)
class Migration:
    """One numbered step of one kind of tenancy."""

    kind: str
    number: int
    statements: tuple[str, ...]
    read_by: int = 0  # the lowest schema whose programs go on with this one too; 0: none but its own


def kind_of(tenancy: str) -> str:
    """Return the kind of a tenancy, which names its folder of SQL: ``mail-03`` is ``mail``."""
    return tenancy.partition("-")[0]


@cache
def known(kind: str) -> tuple[Migration, ...]:
    """Return all steps of a kind that this version of the server has, in order. All partitions of a kind have the same."""
    steps = []
    folder = resources.files("mailnode.store").joinpath("sql", kind)
    for entry in folder.iterdir() if folder.is_dir() else ():
        number, _, ending = entry.name.partition(".")
        if ending == "sql" and number.isdigit():
            steps.append(step(kind, int(number), entry.read_text("utf-8")))
    return tuple(sorted(steps, key=lambda step: step.number))


def newest(tenancy: str) -> int:
    """Return the number of the schema that this version knows last."""
    steps = known(kind_of(tenancy))
    return steps[-1].number if steps else 0


def step(kind: str, number: int, text: str) -> Migration:
    """Read a numbered file. A line ``-- Read by 12.`` in it says that programs that know schema 12 go on with this one: it
    only adds what they need not know."""
    read_by = _READ_BY.search(text)
    return Migration(kind, number, _statements(text), int(read_by[1]) if read_by is not None else 0)


def _statements(text: str) -> tuple[str, ...]:
    parts = (part.strip() for part in _COMMENT.sub("", text).split(";"))
    return tuple(part for part in parts if part)


def to_postgres(statement: str) -> str:
    """Return a statement of the schema in PostgreSQL's words."""
    return re.sub(r"\bBLOB\b", "BYTEA", statement.replace("WITHOUT ROWID", ""))


def version(tx: Transaction) -> int:
    """Return the number of the schema that stands in this tenancy; 0 is an empty one. Makes ``meta`` when missing.

    :raises StoreDamaged: there is none to be read."""
    tx.execute(_META)
    return number(tx, "schema")


def number(tx: Transaction, key: str) -> int:
    """Return a number of ``meta``; 0 where there is none. :raises StoreDamaged:"""
    rows = tx.execute("SELECT value FROM meta WHERE key = ?", (key,))
    if not rows:
        return 0
    if not _NUMBER.fullmatch(str(rows[0][0])):
        raise StoreDamaged("the number of the schema is damaged")
    return int(rows[0][0])


def write_again(tx: Transaction) -> None:
    """Write what stands there."""
    tx.execute("UPDATE meta SET value = value WHERE key = 'schema'")


def is_used(tx: Transaction) -> bool:
    """Whether a SQLite file has tables other than ``meta``."""
    return bool(tx.execute("SELECT 1 FROM sqlite_master WHERE name <> 'meta' AND name NOT LIKE 'sqlite%' LIMIT 1"))


def read_by(tx: Transaction) -> int:
    """Return the lowest schema whose programs go on with this tenancy; 0: none but that of its own. :raises StoreDamaged:"""
    rows = tx.execute("SELECT value FROM meta WHERE key = 'read by'")
    told = _READERS.fullmatch(str(rows[0][0])) if rows else None
    return int(told[2]) if told is not None and int(told[1]) == number(tx, "schema") else 0


def pending(tenancy: str, current: int, oldest: int = 0) -> list[Migration]:
    """Return the steps that lead from schema ``current`` to this version's; none where a newer version wrote it and this one
    may go on with it.

    :param oldest: :func:`read_by`. :raises ConfigurationError: it may not.
    """
    steps, last = known(kind_of(tenancy)), newest(tenancy)
    if current > last and not 0 < oldest <= last:
        raise ConfigurationError(
            [f"store.url: {tenancy} has schema {current}, this version knows {last}: install the newer version again"]
        )
    return [step for step in steps if step.number > current]


def apply(tx: Transaction, step: Migration, translate: Callable[[str], str] = str) -> None:
    """Run one step; the caller's transaction makes it atomic."""
    for statement in step.statements:
        tx.execute(translate(statement))
    # Of several steps each must let an older program in.
    oldest = max(step.read_by or step.number, read_by(tx))
    tx.execute(_SET, ("schema", str(step.number)))
    tx.execute(_SET, ("read by", f"{step.number} {oldest}"))


def settle_partitions(tx: Transaction, partitions: int) -> None:
    """Record the number of mail partitions in the directory tenancy, once and for all.

    :raises ConfigurationError: the data was laid out with another number.
    """
    rows = tx.execute("SELECT value FROM meta WHERE key = 'partitions'")
    if not rows:
        tx.execute(_SET, ("partitions", str(partitions)))
    elif rows[0][0] != str(partitions):
        raise ConfigurationError(
            [f"server.partitions: the data was laid out with {rows[0][0]}, which cannot be changed to {partitions}"]
        )
