"""What stands between marks in a header field, with backslash escapes: quoted strings and domain literals
(RFC 5322 3.2.4 and 3.4.1).
"""

from __future__ import annotations

import re

# Without an end in sight each escape would cost the expression memory: it takes a bounded number at a time.
_RUNS = {
    b'"': re.compile(rb'[^\\"]*(?:\\.[^\\"]*){0,500}', re.DOTALL),
    b"]": re.compile(rb"[^\\\]]*(?:\\.[^\\\]]*){0,500}", re.DOTALL),
}
_ESCAPED = re.compile(rb"\\(.?)", re.DOTALL)


def find_end(value: bytes, start: int, closing: bytes) -> int:
    """Return the offset of the closing mark of what begins at ``start``, or of the end of the value without one.

    :param closing: a quote or a closing bracket.
    """
    run = _RUNS[closing]
    while (found := run.match(value, start)) is not None and found.end() > start:
        start = found.end()
    return start if value.startswith(closing, start) else len(value)


def read_quoted(value: bytes, start: int) -> tuple[bytes, int]:
    """Return a quoted string without its quotes and escapes, and the offset behind it; one that never ends goes to the
    end of the value. ``start`` is behind the opening quote."""
    end = find_end(value, start, b'"')
    text = value[start:end]
    if b"\\" in text:
        text = unescape(text)
    return text, min(end + 1, len(value))


def unescape(text: bytes) -> bytes:
    """Return a text with its quoted pairs resolved; a backslash at the end that escapes nothing is left out."""
    return _ESCAPED.sub(rb"\1", text)
