"""How the end of a line announces a literal: ``{n}``, ``{n+}`` (RFC 7888), ``~{n}`` (RFC 3516)."""

from __future__ import annotations

import re
from dataclasses import dataclass

from mailnode.imap.wire.lexer import MAX_NUMBER

LONGEST_MARK = 32  # octets of a line's end that tell

_MARK = re.compile(rb"(~?)\{([0-9]+)(\+?)\}\Z")
_ENDLESS_MARK = re.compile(rb"[0-9]{20}(\+?)\}\Z")


@dataclass(frozen=True, slots=True)
class LiteralMark:
    """What a line announces. ``start`` is where the mark begins in the line; ``size`` may be above every limit."""

    start: int
    binary: bool
    size: int
    synchronising: bool


def literal_mark(line: bytes) -> LiteralMark | None:
    """Return what a line announces at its end, or None. :param line: whole, or its last ``LONGEST_MARK`` octets.

    A size of more digits than any number has comes as one above ``MAX_NUMBER``: its octets must not pass for commands.
    """
    if not line.endswith(b"}"):
        return None
    window = max(len(line) - LONGEST_MARK, 0)
    found = _MARK.search(line, window)
    if found is None:
        endless = _ENDLESS_MARK.search(line, window)
        return None if endless is None else LiteralMark(len(line), False, MAX_NUMBER + 1, not endless.group(1))
    digits = found.group(2)
    size = int(digits) if len(digits) <= 10 else MAX_NUMBER + 1
    return LiteralMark(found.start(), bool(found.group(1)), size, not found.group(3))
