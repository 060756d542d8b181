"""Whether rows can be what was written: a bit that flipped on the disk may change a key, or the type of a value."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from itertools import chain, repeat
from operator import ge

from mailnode.errors import StoreDamaged
from mailnode.store.units.arrivals import FACTS_COLUMNS
from mailnode.values.mailbox import COLUMNS

Types = tuple[type, ...]

MANY = 8  # rows that are looked at by columns
NOTHING = type(None)
_BLOB = (str, int, str, str, bytes)
_COLUMNS = {**COLUMNS, "facts_version": int}


@lru_cache(maxsize=256)
def types_of(columns: tuple[str, ...]) -> frozenset[Types]:
    """The types a row of a UID and these columns may have; ``content`` is not looked at."""
    plain: list[type] = [int]
    without_facts: list[type] = [int]  # which are in a blob
    for name in columns:
        if name == "content":
            continue
        types = _BLOB if name == "blob" else (_COLUMNS[name],)
        plain += types
        without_facts += (NOTHING,) if name in FACTS_COLUMNS else types
    return frozenset((tuple(plain), tuple(without_facts)))


def require_types(rows: Sequence[Sequence[object]], types: frozenset[Types]) -> None:
    """:raises StoreDamaged: a row has others."""
    if len(rows) >= MANY and _are_alike(rows, types):
        return
    if types.issuperset(map(tuple, map(map, repeat(type), rows))):  # no step of Python for each row
        return
    damaged = next(row for row in rows if tuple(map(type, row)) not in types)
    raise StoreDamaged(f"the row of UID {damaged[0]!r:.40} is damaged")


def _are_alike(rows: Sequence[Sequence[object]], types: frozenset[Types]) -> bool:
    """Whether all rows have the same types, which they may have: looked at by columns, that takes half the time."""
    found = chain.from_iterable([set(map(type, column)) for column in zip(*rows, strict=True)])
    return tuple(found) in types  # longer than any of them, where a column has several


def require_ascending(uids: Sequence[int]) -> None:
    """:raises StoreDamaged: these UIDs, in the order of the file, are not in order."""
    if any(map(ge, uids, uids[1:])):
        raise StoreDamaged("the list of messages is damaged")
