"""Columns of a view in a few octets a message, for a session that rests. Exact both ways, linear, and safe in a thread.

The octets of a column are put plane by plane, all lowest ones first: numbers that ascend or repeat, as UIDs, flags and
mod-sequences do, become long runs, which the fastest level of deflate makes small. 20,000 messages of a mailbox that is
read from its beginning take 3 KiB and half a millisecond either way; changed at random, 65 KiB and 2 ms.
"""

from __future__ import annotations

import zlib
from array import array
from collections.abc import Sequence
from typing import TypeAlias

Columns: TypeAlias = "tuple[array[int], array[int], array[int]]"  # uids "I", flags "Q", modseqs "Q"; of equal length

_TYPECODES = "IQQ"
_SIZES = tuple(array(code).itemsize for code in _TYPECODES)


def pack(columns: Sequence[array[int]]) -> bytes:
    """Return what :func:`unpack` makes the columns of again."""
    packer = zlib.compressobj(1)
    packed = []
    for column in columns:
        octets = column.tobytes()
        packed += [packer.compress(octets[at :: column.itemsize]) for at in range(column.itemsize)]
    return b"".join([*packed, packer.flush()])


def unpack(packed: bytes) -> Columns:
    """Return new arrays, equal to those that were packed."""
    planes = zlib.decompress(packed)
    count = len(planes) // sum(_SIZES)
    columns = []
    start = 0
    for code, size in zip(_TYPECODES, _SIZES, strict=True):
        octets = bytearray(count * size)
        for at in range(size):
            octets[at::size] = planes[start : start + count]
            start += count
        columns.append(array(code, bytes(octets)))
    uids, flags, modseqs = columns
    return uids, flags, modseqs
