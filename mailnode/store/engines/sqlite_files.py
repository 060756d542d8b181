"""Files of SQLite that are damaged: how that shows, and putting aside what may be lost."""

from __future__ import annotations

import errno
import os
from contextlib import suppress
from pathlib import Path

import apsw

from mailnode.durable import sync_directory
from mailnode.errors import StoreDamaged

LINES = 20  # about one damaged file
KEPT = 3  # files put aside that are kept, the latest ones

# Also text that is none, and what a unit found that nobody can have written.
MALFORMED = (apsw.CorruptError, apsw.NotADBError, UnicodeDecodeError, StoreDamaged)
_UNREADABLE = (apsw.SQLITE_IOERR_READ, apsw.SQLITE_IOERR_SHORT_READ, apsw.SQLITE_IOERR_CORRUPTFS)
# Errors of one statement that leave transaction and file as they were. All others put the whole batch in doubt.
STATEMENT_ERRORS = (apsw.ConstraintError, apsw.SQLError, apsw.MismatchError, apsw.RangeError, apsw.TooBigError)
_SYNC_ERRORS = (apsw.SQLITE_IOERR_FSYNC, apsw.SQLITE_IOERR_DIR_FSYNC)


def is_of_sync(error: apsw.Error) -> bool:
    """Whether a sync failed."""
    return getattr(error, "extendedresult", 0) in _SYNC_ERRORS


def is_damage(error: BaseException | None) -> bool:
    """Whether an error says that what the file holds cannot be read, and will not be by trying again."""
    return isinstance(error, MALFORMED) or (
        isinstance(error, apsw.IOError) and getattr(error, "extendedresult", 0) in _UNREADABLE
    )


def told(connection: apsw.Connection, error: apsw.Error) -> apsw.Error:
    """Return what an error of this connection, its last one, says: a quota that is used up is a full disk, which SQLite does
    not know."""
    if isinstance(error, apsw.IOError) and connection.system_errno == errno.EDQUOT:
        full = apsw.FullError("the disk quota is used up")
        full.__cause__ = error
        return full
    return error


def quick_check(path: Path) -> list[str]:
    """Return what is wrong with a database, a line each, over a connection of its own that can only read. Blocks."""
    try:
        connection = apsw.Connection(str(path), flags=apsw.SQLITE_OPEN_READONLY)
        try:
            found = [str(line) for (line,) in connection.execute(f"PRAGMA quick_check({LINES})")]
        finally:
            connection.close()
    except apsw.Error as error:
        found = [str(error) or type(error).__name__]
    return [f"{path.name}: {line}" for line in found if line != "ok"]


def _aside(path: Path) -> list[tuple[int, Path]]:
    """What was put aside of a database before, by number."""
    return sorted(
        (int(number), name)
        for name in path.parent.glob(f"{path.name}.damaged-*")
        if (number := name.name.rpartition("-")[2]).isdecimal() and number.isascii()
    )


def next_aside(path: Path) -> Path:
    """Return the name under which a damaged database is kept beside the one that takes its place."""
    before = _aside(path)
    return path.with_name(f"{path.name}.damaged-{before[-1][0] + 1 if before else 1}")


def put_aside(path: Path) -> Path:
    """Rename a database, which nobody has open, with its log to ``<name>.damaged-<number>``; return the new name.
    The oldest above ``KEPT`` go. :raises OSError:"""
    before, aside = _aside(path), next_aside(path)
    os.rename(path, aside)
    with suppress(FileNotFoundError):
        os.rename(f"{path}-wal", f"{aside}-wal")
    with suppress(FileNotFoundError):
        os.unlink(f"{path}-shm")
    for _, name in before[: max(0, len(before) + 1 - KEPT)]:
        for old in (name, Path(f"{name}-wal")):
            with suppress(FileNotFoundError):
                os.unlink(old)
    sync_directory(path.parent)
    return aside
