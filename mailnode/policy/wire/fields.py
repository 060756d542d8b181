"""Header fields and words that a program wants told: checked, before they stand in a message or a reply."""

from __future__ import annotations

import re
from collections.abc import Sequence

MAX_FIELDS = 50  # of one program for one message; further ones are left out
MAX_FIELD = 8192  # octets of one, which is left out when it has more
MAX_LINE = 998  # RFC 5322 2.1.1
MAX_TEXT = 200  # characters of what is told in a reply, or as a reason
MOST_NAMED = 6  # rules of a program that a reason names
_NAME = re.compile(rb"[!-9;-~]{1,76}")
_FOLD = re.compile(rb"\r?\n(?=[ \t])")
_BROKEN = re.compile(rb"[\r\n\0]")
_CONTROLS = re.compile(r"[\x00-\x1f\x7f]")
_NOT_SHOWN = re.compile(r"[^ -~]+")
# Said by us alone: they tell whose word the others are.
_OURS = frozenset({b"received", b"return-path", b"x-mailnode-reason"})


def field_line(name: bytes, value: bytes) -> bytes | None:
    """Return a whole field with its CRLF, continued where the value has line ends before white space; None: it is no field."""
    if len(name) + len(value) > MAX_FIELD or not _NAME.fullmatch(name) or name.lower() in _OURS:
        return None
    lines = _FOLD.split(value.strip(b" \t\r\n"))
    if any(_BROKEN.search(line) or len(line) > MAX_LINE - 80 for line in lines):
        return None
    # Of a continuation that is nothing but white space RFC 5322 says that nobody may write it.
    return name + b": " + b"\r\n".join(line for line in lines if line.strip()) + b"\r\n"


def shown(text: str) -> str:
    """Return what a program says as one bounded line of ASCII, for a reply or a reason."""
    return _NOT_SHOWN.sub(" ", text[: 4 * MAX_TEXT])[:MAX_TEXT].strip()


def told(text: str) -> bytes:
    """Return what a program is told, in UTF-8, without anything that could end it early."""
    return _CONTROLS.sub("?", text[:MAX_FIELD]).strip().encode("utf-8", "replace")


def weightiest(scores: Sequence[tuple[str, float]]) -> str:
    """Return the names that count most, with what each counts, as the end of a reason."""
    most = sorted((one for one in scores if one[1]), key=lambda one: -abs(one[1]))[:MOST_NAMED]
    return "".join(f"{',' if at else ':'} {name} {score:+.1f}" for at, (name, score) in enumerate(most))
