"""A transaction on SQLite, as a unit sees it."""

from __future__ import annotations

from array import array
from collections.abc import Iterable, Sequence

import apsw

from mailnode.store.engines.engine import columns
from mailnode.values.rows import StoredRow


class SqliteTransaction:
    """What a unit sees."""

    __slots__ = ("_connection",)

    def __init__(self, connection: apsw.Connection) -> None:
        self._connection = connection

    def execute(self, sql: str, parameters: Sequence[object] = ()) -> list[StoredRow]:
        """Run one statement and return all its rows."""
        return self._connection.execute(sql, parameters).fetchall()

    def many(self, sql: str, rows: Iterable[Sequence[object]]) -> None:
        """Run one statement for each row of parameters."""
        self._connection.executemany(sql, rows)

    def integers(self, typecodes: str, sql: str, parameters: Sequence[object] = ()) -> tuple[array[int], ...]:
        """Run one statement whose columns are integers, and return them as arrays."""
        return columns(typecodes, self._connection.execute(sql, parameters))

    def octets(self, columns: Sequence[str], rest: str, parameters: Sequence[object] = ()) -> tuple[int, bytes]:
        """Run ``SELECT columns rest`` and return how many rows it has and all of them as octets.

        SQLite puts them together in one step, during which other threads have the interpreter's lock; for a row of its
        own each would give it away and wait to get it back. It keeps the order of a subquery for an aggregate that
        depends on it.
        """
        line = " || ".join(columns)
        select = f"SELECT count(line), CAST(group_concat(line, '') AS BLOB) FROM (SELECT {line} AS line {rest})"
        [(count, octets)] = self.execute(select, parameters)
        return count, octets or b""
