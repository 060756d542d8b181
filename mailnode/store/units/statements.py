"""Few statements for many rows, and few different ones, so that their plans are cached.

A statement costs the writer more than a row does: each gives the interpreter's lock away and waits to get it back.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import chain
from typing import TypeVar

from mailnode.store.engines.engine import Transaction
from mailnode.values.rows import StoredRow

T = TypeVar("T")

ROWS_AT_ONCE = 32  # rows of one VALUES at most
KEYS_AT_ONCE = 128  # values of one list at most


def insert_rows(tx: Transaction, into: str, rows: Sequence[Sequence[object]], ending: str = "") -> list[StoredRow]:
    """Insert rows of one width; return what the statements return.

    :param into: table and columns, ``t (a, b)``. :param ending: what follows the values.
    """
    returned: list[StoredRow] = []
    for some in runs(rows):
        values = f"({', '.join('?' * len(some[0]))})"
        statement = f"INSERT INTO {into} VALUES {', '.join([values] * len(some))}{ending}"
        returned += tx.execute(statement, list(chain.from_iterable(some)))
    return returned


def runs(rows: Sequence[T]) -> Iterator[Sequence[T]]:
    """Cut what is to stand in VALUES: as many as a power of two says, so that there are few different statements."""
    start = 0
    while start < len(rows):
        count = min(ROWS_AT_ONCE, 1 << ((len(rows) - start).bit_length() - 1))
        yield rows[start : start + count]
        start += count


def pieces(values: Sequence[T]) -> Iterator[Sequence[T]]:
    """Cut what is to stand in lists."""
    for start in range(0, len(values), KEYS_AT_ONCE):
        yield values[start : start + KEYS_AT_ONCE]


def listed(values: Sequence[object]) -> tuple[str, Sequence[object]]:
    """Return ``(?, ?)`` for a list of values, at least one, and the values, padded to a power of two of them."""
    width = 1 << (len(values) - 1).bit_length()
    return f"({', '.join('?' * width)})", (*values, *[values[0]] * (width - len(values)))
