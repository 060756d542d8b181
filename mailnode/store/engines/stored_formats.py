"""Which schema each database has, and which this version knows: of a store in use, and of files that nobody could open."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

import apsw

from mailnode.errors import StoreDamaged, StoreUnavailable
from mailnode.store.engines import migrate
from mailnode.store.engines.engine import DIRECTORY, QUEUE, Engine, mail_tenancy
from mailnode.store.engines.sqlite_files import MALFORMED
from mailnode.store.engines.sqlite_transaction import SqliteTransaction
from mailnode.values.stored_format import StoredFormat


def tenancies(partitions: int) -> list[str]:
    """Return the names of all that is to last."""
    return [DIRECTORY, QUEUE, *map(mail_tenancy, range(partitions))]


async def formats_in_use(engine: Engine, names: Iterable[str]) -> list[StoredFormat]:
    """Return those of tenancies that are served."""
    found = []
    for name in names:
        try:
            schema = await engine.read(name, migrate.number, "schema")
        except (StoreUnavailable, StoreDamaged):
            continue  # others tell that
        found.append(StoredFormat(name, schema, migrate.newest(name)))
    return found


def formats_of_files(directory: Path, names: Iterable[str]) -> list[StoredFormat]:
    """Return those of SQLite files that nobody in this process has open: what cannot be read is left out. Blocks."""
    found = []
    for name in names:
        path = directory / f"{name}.db"
        try:
            connection = apsw.Connection(str(path), flags=apsw.SQLITE_OPEN_READONLY)
        except apsw.Error:
            continue
        try:
            schema = migrate.number(SqliteTransaction(connection), "schema")
        except (apsw.Error, StoreDamaged, *MALFORMED):
            continue
        finally:
            connection.close()
        found.append(StoredFormat(name, schema, migrate.newest(name)))
    return found
