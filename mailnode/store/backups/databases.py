"""Copies of SQLite files that are in use, by SQLite's own backup of one snapshot: nobody waits for it, in whatever process.

While a snapshot is held, the log of its file grows and is not begun anew; that is bounded here. Everything here blocks.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import apsw

from mailnode.errors import BackupRefused
from mailnode.store.engines.generations import read_mark
from mailnode.store.engines.sqlite_transaction import SqliteTransaction

PAGES = 256  # that are copied in one go: 1 MiB
LONGEST_LOG = 1024 * 1024 * 1024  # octets the log of one file may have meanwhile
_BUSY = 5_000  # milliseconds


class DatabaseSnapshot:
    """One file as it is at one moment, until :meth:`close`."""

    def __init__(self, path: Path) -> None:
        """Look at it now. :raises BackupRefused: it cannot be opened."""
        self._path = path
        try:
            self._connection = apsw.Connection(str(path), flags=apsw.SQLITE_OPEN_READONLY)
            self._connection.set_busy_timeout(_BUSY)
            self._connection.execute("BEGIN")
            mark = read_mark(SqliteTransaction(self._connection))
        except apsw.Error as error:
            raise BackupRefused(f"{path.name}: {error}") from error
        self.mark = f"{mark.generation} {mark.commits}" if mark is not None else ""

    def close(self) -> None:
        """Let the log begin anew."""
        self._connection.close()

    def copy_to(self, target: Path, pause: Callable[[], None]) -> None:
        """Write a copy, readable by its owner alone; its octets are durable when this returns.

        :param pause: called between pieces. :raises BackupRefused: it cannot be read or written, or takes too long.
        :raises OSError:"""
        os.close(os.open(target, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600))
        copy = apsw.Connection(str(target))
        try:
            copy.pragma("journal_mode", "OFF")  # half of it is none
            copy.pragma("synchronous", "OFF")
            with copy.backup("main", self._connection, "main") as copying:
                while not copying.done:
                    copying.step(PAGES)
                    self._look_after_log()
                    pause()
        except apsw.Error as error:
            raise BackupRefused(f"{self._path.name}: {error}") from error
        finally:
            copy.close()
        with target.open("rb") as written:
            os.fsync(written.fileno())

    def _look_after_log(self) -> None:
        log = Path(f"{self._path}-wal")
        if log.exists() and log.stat().st_size > LONGEST_LOG:
            raise BackupRefused(
                f"{self._path.name}: more was written meanwhile than its log may hold; try when it is quieter"
            )


def opened(path: Path) -> apsw.Connection:
    """Open a copy that nobody writes to, without a file beside it. :raises apsw.Error:"""
    name = str(path).replace("%", "%25").replace("?", "%3f").replace("#", "%23")
    return apsw.Connection(f"file:{name}?immutable=1", flags=apsw.SQLITE_OPEN_READONLY | apsw.SQLITE_OPEN_URI)


def faults(path: Path, lines: int = 20) -> list[str]:
    """Return what SQLite says is wrong with a copy, a line each."""
    try:
        connection = opened(path)
        try:
            found = [str(line) for (line,) in connection.execute(f"PRAGMA quick_check({lines})")]
        finally:
            connection.close()
    except apsw.Error as error:
        found = [str(error) or type(error).__name__]
    return [f"{path.name}: {line}" for line in found if line != "ok"]
