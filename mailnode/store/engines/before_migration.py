"""What is kept before databases are brought up to date: copies of all that will change, made before any is changed.

They stand in ``before-migration``, each under a name with its schema; ``last.json`` says which of them belong to the last
time. Everything here blocks.
"""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import apsw

from mailnode.durable import sync_directory
from mailnode.errors import ConfigurationError
from mailnode.store.disk.directories import make_directory
from mailnode.store.engines import migrate
from mailnode.store.engines.generations import require_own
from mailnode.store.engines.sqlite_files import MALFORMED, is_damage
from mailnode.store.engines.sqlite_transaction import SqliteTransaction

FOLDER = "before-migration"
LAST = "last.json"


@dataclass(frozen=True, slots=True)
class _Due:
    name: str
    path: Path
    schema: int

    @property
    def copy(self) -> str:
        return f"{self.name}-schema-{self.schema}.db"


class KeptCopies:
    """The copies in one data directory."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self.folder = directory / FOLDER
        self.uncopied: dict[str, apsw.Error] = {}  # tenancies that are damaged so that no copy could be made

    def last(self) -> dict[str, str]:
        """Which copies were made the last time, by tenancy; nothing where none were."""
        return self._read()[0]

    def _read(self) -> tuple[dict[str, str], bool]:
        """Return them, and whether all that was due then was also done."""
        try:
            told = json.loads((self.folder / LAST).read_bytes())
            files = {str(name): str(copy) for name, copy in told["files"].items()}
            return {name: copy for name, copy in files.items() if (self.folder / Path(copy).name).is_file()}, told[
                "done"
            ]
        except (FileNotFoundError, ValueError, KeyError, TypeError, AttributeError):
            return {}, True

    def make(self, names: Iterable[str]) -> bool:
        """Copy what will be changed; return whether something will be.

        What cannot be read, or is another's file, is left for who opens it, what cannot be copied is in ``uncopied``.

        :raises ConfigurationError: no room for copies and rewriting, or a database is newer than this program.
        :raises OSError: :raises apsw.Error:
        """
        due = [one for name in names if (one := self._look(name)) is not None]
        if not due:
            return False
        before, done = self._read()
        self._require_room(due)
        make_directory(self.folder)
        files = {one.name: one.copy for one in due if self._copy(one)}
        # A start that failed half-way had changed others already: these belong to the same upgrade.
        self._write(files if done else {**before, **files}, done=False)
        return True

    def done(self) -> None:
        """All that was due is up to date. :raises OSError:"""
        self._write(self._read()[0], done=True)

    def forget(self) -> None:
        """They are in use again. :raises OSError:"""
        (self.folder / LAST).unlink(missing_ok=True)
        sync_directory(self.folder)

    def _copy(self, one: _Due) -> bool:
        try:
            _write_copy(one.path, self.folder / one.copy)
        except apsw.Error as error:
            if not is_damage(error):
                raise
            self.uncopied[one.name] = error
        return one.name not in self.uncopied

    def _look(self, name: str) -> _Due | None:
        path = self._directory / f"{name}.db"
        if not path.exists() or not path.stat().st_size:
            return None
        try:
            connection = apsw.Connection(str(path), flags=apsw.SQLITE_OPEN_READONLY)
            try:
                tx = SqliteTransaction(connection)
                require_own(tx, name)
                schema, oldest = migrate.number(tx, "schema"), migrate.read_by(tx)
            finally:
                connection.close()
        except (apsw.Error, *MALFORMED):
            return None
        return _Due(name, path, schema) if schema and migrate.pending(name, schema, oldest) else None

    def _require_room(self, due: Iterable[_Due]) -> None:
        needed = 2 * sum(one.path.stat().st_size for one in due)
        free = shutil.disk_usage(self._directory).free
        if free < needed:
            names = ", ".join(one.name for one in due)
            raise ConfigurationError([f"server.data: {needed} octets must be free to migrate {names}, {free} are"])

    def _write(self, files: dict[str, str], done: bool) -> None:
        new = self.folder / (LAST + ".new")
        with open(os.open(new, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w", encoding="ascii") as file:
            json.dump({"files": files, "done": done}, file)
            file.flush()
            os.fsync(file.fileno())
        new.rename(self.folder / LAST)
        sync_directory(self.folder)


def _write_copy(path: Path, target: Path) -> None:
    """Write a compact copy of a whole database, readable by its owner alone."""
    target.unlink(missing_ok=True)
    os.close(os.open(target, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600))  # SQLite takes an empty one
    connection = apsw.Connection(str(path), flags=apsw.SQLITE_OPEN_READONLY)
    try:
        connection.execute("VACUUM INTO ?", (str(target),))
    finally:
        connection.close()
    with target.open("rb") as copy:
        os.fsync(copy.fileno())
