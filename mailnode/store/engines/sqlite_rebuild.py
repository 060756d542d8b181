"""Makes a database file anew out of what can be read of a damaged one, and puts it in its place.

Nobody has the file open meanwhile. A crash at any point leaves one of the two whole under the name: the new one is synced before it
is renamed, and the log of the old one is empty by then. The damaged file is kept beside. Everything here blocks.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, suppress
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path
from typing import TypeVar, TypeVarTuple

import apsw

from mailnode.durable import sync_directory
from mailnode.errors import ConfigurationError
from mailnode.store.disk.reserve import RESERVE
from mailnode.store.engines.engine import RunUnit, Transaction
from mailnode.store.engines.generations import Mark, write_mark
from mailnode.store.engines.sqlite_files import next_aside, quick_check
from mailnode.store.engines.sqlite_pages import DatabasePages, Value
from mailnode.store.engines.sqlite_transaction import SqliteTransaction

T = TypeVar("T")
Ts = TypeVarTuple("Ts")

ENDING = ".rebuilding"
_ROWS = 200  # that are inserted in one go


@dataclass(slots=True)
class Rebuilt:
    """A file that was made anew."""

    aside: str  # the damaged one
    rows: int = 0
    lost: dict[str, int] = field(default_factory=dict)  # pages and rows that could not be read, by table

    def words(self) -> str:
        """Say so in a line."""
        lost = ", ".join(f"{count} of {table}" for table, count in sorted(self.lost.items())) or "none"
        return (
            f"made anew with {self.rows} rows; pages and rows that were lost: {lost}; the damaged file is {self.aside}"
        )


def rebuild(path: Path, mark: Mark, schema: int, prepare: Callable[[RunUnit, Rebuilt], object]) -> Rebuilt:
    """Put a new file in the place of one that is damaged. :param mark: what it is to say of itself. :param schema: its number.
    :param prepare: runs units on it before: after a crash nobody knows that it was made anew.

    :raises ConfigurationError: it stays as it is, and why. :raises OSError, apsw.Error: it stays as it is."""
    _move_log(path)
    if shutil.disk_usage(path.parent).free < path.stat().st_size + 2 * RESERVE:
        raise ConfigurationError([f"{path}: to make it anew there must be room for another one of its size"])
    new = path.with_name(path.name + ENDING)
    new.unlink(missing_ok=True)
    try:
        os.close(os.open(new, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600))
        made = _fill(path, new, mark, schema)
        _put_right(new, lambda run: prepare(run, made))
        if wrong := quick_check(new):
            raise ConfigurationError([f"{path}: what was made of it is damaged too: {wrong[0]}"])
        with closing(apsw.Connection(str(new))) as connection:
            connection.pragma("journal_mode", "wal")  # as in use: nobody can change it while a backup reads the file
        with new.open("rb") as written:
            os.fsync(written.fileno())
        os.link(path, made.aside)
        for ending in ("-wal", "-shm"):
            with suppress(FileNotFoundError):
                os.unlink(f"{path}{ending}")
        os.replace(new, path)
        sync_directory(path.parent)
    except BaseException:
        new.unlink(missing_ok=True)
        raise
    return made


def _put_right(new: Path, prepare: Callable[[RunUnit], object]) -> None:
    with closing(apsw.Connection(str(new))) as connection:
        connection.pragma("synchronous", "OFF")
        tx = SqliteTransaction(connection)

        def run(unit: Callable[[Transaction, *Ts], T], *args: *Ts) -> T:
            return unit(tx, *args)

        with connection:
            prepare(run)


def _move_log(path: Path) -> None:
    """What is in the log is moved into the file, so that it is the file's; SQLite looks into no page for that."""
    with closing(apsw.Connection(str(path), flags=apsw.SQLITE_OPEN_READWRITE)) as connection:
        connection.pragma("synchronous", "FULL")
        connection.wal_checkpoint(mode=apsw.SQLITE_CHECKPOINT_TRUNCATE)
    log = Path(f"{path}-wal")
    if log.exists() and log.stat().st_size:
        raise ConfigurationError([f"{path}: somebody else has it open"])


def _fill(path: Path, new: Path, mark: Mark, schema: int) -> Rebuilt:
    made = Rebuilt(str(next_aside(path)))
    with (
        closing(apsw.Connection(str(path), flags=apsw.SQLITE_OPEN_READONLY)) as old,
        closing(apsw.Connection(str(new))) as target,
        closing(DatabasePages(path)) as pages,
    ):
        target.pragma("journal_mode", "OFF")  # half of it is none
        target.pragma("synchronous", "OFF")
        objects = list(
            old.execute(
                "SELECT type, name, rootpage, sql FROM sqlite_master WHERE sql IS NOT NULL AND name NOT LIKE 'sqlite%'"
            )
        )
        with target:
            for kind, name, root, sql in objects:
                if kind == "table":
                    target.execute(sql)
                    _copy(target, pages, name, root, made)
            for kind, _, _, sql in objects:
                if kind != "table":
                    target.execute(sql)
            tx = SqliteTransaction(target)
            write_mark(tx, mark)
            tx.execute(
                "INSERT INTO meta (key, value) VALUES ('schema', ?) ON CONFLICT (key) DO NOTHING", (str(schema),)
            )
    return made


def _copy(target: apsw.Connection, pages: DatabasePages, table: str, root: int, made: Rebuilt) -> None:
    columns = _columns(target, table)
    before, found, kept = pages.lost, 0, target.total_changes()
    rows = (row for row in pages.rows(root) if len(row) <= len(columns))
    while some := list(islice(rows, _ROWS)):
        found += len(some)
        for alike in _of_one_length(some):
            names, marks = columns[: len(alike[0])], ", ".join("?" * len(alike[0]))
            target.executemany(f"INSERT OR IGNORE INTO {table} ({', '.join(names)}) VALUES ({marks})", alike)
    kept = target.total_changes() - kept
    made.rows += kept
    if lost := pages.lost - before + found - kept:
        made.lost[table] = lost


def _columns(target: apsw.Connection, table: str) -> list[str]:
    """The columns of a table in the order in which its rows have them: without rowids, its key's first."""
    info = list(target.execute("SELECT name, pk FROM pragma_table_info(?)", (table,)))
    if not target.execute("SELECT wr FROM pragma_table_list WHERE name = ?", (table,)).get:
        return [name for name, _ in info]
    return [name for name, pk in sorted(info, key=lambda one: one[1] or len(info) + 1)]


def _of_one_length(rows: Sequence[tuple[Value, ...]]) -> Iterator[list[tuple[Value, ...]]]:
    for length in sorted({len(row) for row in rows}):
        yield [row for row in rows if len(row) == length]
