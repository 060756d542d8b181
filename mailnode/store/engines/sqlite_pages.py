"""Reads rows of a SQLite file from its pages, however damaged others are: https://www.sqlite.org/fileformat2.html.

SQLite itself stops at the first page that is malformed. Here a page that is costs the rows on it and, where it is one of a tree's
inner pages, those below it; all others are read. The write-ahead log must have been moved into the file. Everything here blocks.
"""

from __future__ import annotations

import os
import struct
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple, TypeAlias

Value: TypeAlias = "int | float | str | bytes | None"

HEADER = 100  # octets of the file's own, before the first page's
DEEPEST = 40  # pages from a root to its leaves: far more than any file has
_INNER_INDEX, _INNER_TABLE, _LEAF_INDEX, _LEAF_TABLE = 2, 5, 10, 13
_NUMBER_SIZES = (0, 1, 2, 3, 4, 6, 8)
_WRONG = (ValueError, IndexError, struct.error)  # what reading octets as what they are not comes to


class _TreePage(NamedTuple):
    kind: int
    octets: bytes
    cells: tuple[int, ...]  # where they begin
    last: int  # the page below, behind all cells; 0 of a leaf


class DatabasePages:
    """Of one file that nobody writes to."""

    def __init__(self, path: Path) -> None:
        """:raises OSError: :raises ValueError: it is no such file."""
        self._file = path.open("rb")
        head = self._file.read(HEADER)
        if not head.startswith(b"SQLite format 3\0"):
            self._file.close()
            raise ValueError("its first page is lost")
        size = int.from_bytes(head[16:18], "big")
        self._size = 65536 if size == 1 else size
        self._usable = self._size - head[20]
        self._seen = bytearray(os.fstat(self._file.fileno()).st_size // self._size + 1)
        self.lost = 0  # pages that could not be read as what they should be

    def close(self) -> None:
        """Give the descriptor back."""
        self._file.close()

    def rows(self, root: int) -> Iterator[tuple[Value, ...]]:
        """The rows of the tree below a page, in order: of a table as its columns stand, of one without rowids those of its key
        first. A row may be shorter than the table: columns that were added later are as they were declared."""
        return self._below(root, 0)

    def _below(self, number: int, depth: int) -> Iterator[tuple[Value, ...]]:
        try:
            page = self._read(number, depth)
        except (*_WRONG, OSError):
            self.lost += 1
            return
        for cell in page.cells:
            if page.kind in (_INNER_INDEX, _INNER_TABLE):
                yield from self._below(int.from_bytes(page.octets[cell : cell + 4], "big"), depth + 1)
            if page.kind != _INNER_TABLE:
                try:
                    yield self._row(page, cell)
                except (*_WRONG, OSError):
                    self.lost += 1
        if page.last:
            yield from self._below(page.last, depth + 1)

    def _read(self, number: int, depth: int) -> _TreePage:
        if depth > DEEPEST or number < 1 or number >= len(self._seen) or self._seen[number]:
            raise ValueError("no page of this tree")
        self._seen[number] = 1
        octets = self._octets(number)
        start = HEADER if number == 1 else 0
        kind = octets[start]
        if kind not in (_INNER_INDEX, _INNER_TABLE, _LEAF_INDEX, _LEAF_TABLE):
            raise ValueError("no page of a tree")
        inner = kind in (_INNER_INDEX, _INNER_TABLE)
        count = int.from_bytes(octets[start + 3 : start + 5], "big")
        first = start + (12 if inner else 8)
        cells = struct.unpack_from(f">{count}H", octets, first)
        if any(cell < first + 2 * count or cell >= self._usable for cell in cells):
            raise ValueError("cells outside of their page")
        return _TreePage(kind, octets, cells, int.from_bytes(octets[start + 8 : start + 12], "big") if inner else 0)

    def _octets(self, number: int) -> bytes:
        octets = os.pread(self._file.fileno(), self._size, (number - 1) * self._size)
        if len(octets) < self._size:
            raise ValueError("behind the end")
        return octets

    def _row(self, page: _TreePage, cell: int) -> tuple[Value, ...]:
        at = cell + 4 if page.kind == _INNER_INDEX else cell
        size, at = _varint(page.octets, at)
        if page.kind == _LEAF_TABLE:
            _, at = _varint(page.octets, at)  # the rowid
        return _record(self._payload(page, at, size))

    def _payload(self, page: _TreePage, at: int, size: int) -> bytes:
        """1.6 of the format: what does not fit is in a chain of further pages."""
        usable = self._usable
        most = usable - 35 if page.kind == _LEAF_TABLE else (usable - 12) * 64 // 255 - 23
        if size > len(self._seen) * self._size:
            raise ValueError("longer than the file")
        if size <= most:
            here = size
        else:
            least = (usable - 12) * 32 // 255 - 23
            here = least + (size - least) % (usable - 4)
            here = least if here > most else here
        if at + here > usable:
            raise ValueError("behind the end of its page")
        pieces, left = [page.octets[at : at + here]], size - here
        following = int.from_bytes(page.octets[at + here : at + here + 4], "big")
        while left > 0:
            octets = self._octets(following) if following > 0 else b""
            pieces.append(octets[4 : min(usable, 4 + left)])
            following, left = int.from_bytes(octets[:4], "big"), left - (usable - 4)
        return b"".join(pieces)


def _varint(octets: bytes, at: int) -> tuple[int, int]:
    """Return a number, and where it ends."""
    value = 0
    for number in range(8):
        octet = octets[at + number]
        value = value << 7 | octet & 127
        if octet < 128:
            return value, at + number + 1
    return value << 8 | octets[at + 8], at + 9


def _record(payload: bytes) -> tuple[Value, ...]:
    """2.1 of the format. :raises ValueError: it is none."""
    end, at = _varint(payload, 0)
    body, values = end, list[Value]()
    while at < end:
        kind, at = _varint(payload, at)
        value, body = _value(payload, kind, body)
        values.append(value)
    if at != end or body != len(payload):
        raise ValueError("no record")
    return tuple(values)


def _value(payload: bytes, kind: int, at: int) -> tuple[Value, int]:
    if kind == 0:
        return None, at
    if kind in (8, 9):
        return kind - 8, at
    if kind in (10, 11):
        raise ValueError("no kind of value")
    size = _NUMBER_SIZES[kind] if kind < 7 else 8 if kind == 7 else (kind - 12) // 2
    octets = payload[at : at + size]
    if len(octets) < size:
        raise ValueError("behind the end of the record")
    if kind < 7:
        return int.from_bytes(octets, "big", signed=True), at + size
    if kind == 7:
        return float(struct.unpack(">d", octets)[0]), at + size
    return (octets.decode() if kind % 2 else octets), at + size
