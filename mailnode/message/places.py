"""Where the fields of a header block stand, by name: looked for once for all who ask about the same message."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import lru_cache

from mailnode.message.headers import Field, scan_fields

KEPT = 16  # blocks of which it is remembered
LARGEST = 32 * 1024  # octets of one of them

Place = tuple[int, int, int]  # offsets of a field, of its value, and of what follows
Places = Mapping[bytes, Sequence[Place]]


def places(block: bytes) -> Places:
    """Return where the fields stand, in order, by name in lower case. Not for the reactor's thread when the block is large."""
    return _kept(block) if len(block) <= LARGEST else _scanned(block)


def field_at(block: bytes, name: bytes, place: Place) -> Field:
    """Return a field. :param name: in any case."""
    start, value_start, end = place
    return Field(block[start : start + len(name)], block[start:end], start, end, value_start - start)


def _scanned(block: bytes) -> Places:
    found: dict[bytes, list[Place]] = {}
    for start, name, value_start, end in scan_fields(block):
        key = name.lower()
        if key in found:
            found[key].append((start, value_start, end))
        else:
            found[key] = [(start, value_start, end)]
    return found


_kept = lru_cache(maxsize=KEPT)(_scanned)
