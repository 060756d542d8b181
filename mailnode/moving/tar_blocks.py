"""The blocks of a tar (POSIX.1-2017 pax, ustar, and GNU's long names), as far as files with content are told by them. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

BLOCK = 512  # octets
END = bytes(BLOCK)
MAX_EXTENDED = 1024 * 1024  # octets of one extended header
FILES = b"0\0007"  # types whose content is that of a file
EMPTY = b"123456"  # links, devices and directories: nothing comes behind them, whatever size they tell
EXTENDED, LONG_NAME = b"x", b"L"  # what tells of the file behind it

_OCTAL = re.compile(rb" *([0-7]{1,20})[ \0]*")
_LENGTH = re.compile(rb"([1-9][0-9]{0,6}) ")


class BadTar(ValueError):
    """What is no tar, or a damaged one; the text is for a person."""


@dataclass(frozen=True, slots=True)
class TarHeader:
    """One header."""

    name: bytes
    size: int  # octets of what comes behind it
    mtime: int  # UTC seconds
    type: bytes  # one octet

    @property
    def blocks(self) -> int:
        """Octets of what comes behind it, filled up to whole blocks."""
        return 0 if self.type in EMPTY else -(-self.size // BLOCK) * BLOCK


def header(block: bytes) -> TarHeader:
    """Read a block that is a header. :raises BadTar:"""
    if _number(block[148:156]) != sum(block[:148]) + sum(block[156:]) + 8 * ord(" "):
        raise BadTar("the checksum of a header is wrong")
    name = _text(block[:100])
    prefix = _text(block[345:500]) if block[257:263] == b"ustar\0" else b""
    return TarHeader(
        prefix + b"/" + name if prefix else name, _number(block[124:136]), _number(block[136:148]), block[156:157]
    )


def _text(field: bytes) -> bytes:
    return field.partition(b"\0")[0]


def _number(field: bytes) -> int:
    """Read a number in octal digits, or as GNU writes large ones. :raises BadTar:"""
    if field[0] == 0x80:
        return int.from_bytes(field[1:], "big")
    found = _OCTAL.fullmatch(field)
    if found is None:
        if not field.strip(b" \0"):
            return 0
        raise BadTar("a number of a header is none")
    return int(found[1], 8)


def extended(data: bytes) -> dict[bytes, bytes]:
    """Read an extended header: lines ``LENGTH KEY=VALUE``, of which the last of a key counts. :raises BadTar:"""
    return dict(_lines(data))


def _lines(data: bytes) -> Iterator[tuple[bytes, bytes]]:
    at = 0
    while at < len(data):
        found = _LENGTH.match(data, at)
        end = at + int(found[1]) if found is not None else 0
        if found is None or end <= found.end() or data[end - 1 : end] != b"\n":
            raise BadTar("an extended header is damaged")
        key, _, value = data[found.end() : end - 1].partition(b"=")
        yield key, value
        at = end
