"""How strings stand in a response: atom, quoted or literal, whichever is the plainest that is right (RFC 3501 4.3)."""

from __future__ import annotations

import re

MAX_QUOTED = 1000  # octets; a longer string goes out as a literal

_QUOTABLE = re.compile(rb"[\x01-\x09\x0b\x0c\x0e-\x7f]*\Z")
_ATOM = re.compile(rb'[^\x00-\x20\x7f-\xff(){%*"\\\]]+\Z')
_SPECIALS = re.compile(rb'(["\\])')


def string(data: bytes) -> bytes:
    """Return a quoted string, or a literal for CR, LF, 8-bit or more than ``MAX_QUOTED`` octets.

    NUL may not stand in any string of RFC 3501 (9, note 3): it goes out as 0x80, which changes no length.
    """
    if len(data) <= MAX_QUOTED and _QUOTABLE.match(data):
        return quoted(data)
    return literal(data)


def quoted(data: bytes) -> bytes:
    """Return a quoted string of what may stand in one: no CR, LF or NUL, 8-bit to those who take UTF-8 there (RFC 6855 3)."""
    return b'"' + _SPECIALS.sub(rb"\\\1", data) + b'"'


def literal(data: bytes) -> bytes:
    """Return a literal; NUL as in :func:`string`."""
    return b"{%d}\r\n" % len(data) + data.replace(b"\0", b"\x80")


def literal8(data: bytes) -> bytes:
    """Return a literal that may hold NUL (RFC 3516 4.3)."""
    return b"~{%d}\r\n" % len(data) + data


def nstring(data: bytes | None) -> bytes:
    """Return a string, or NIL for None."""
    return b"NIL" if data is None else string(data)


def astring(data: bytes) -> bytes:
    """Return an atom where it can be one, else a string. ``NIL`` is quoted, so that nobody takes it for nothing."""
    if _ATOM.match(data) and data.upper() != b"NIL":
        return data
    return string(data)
