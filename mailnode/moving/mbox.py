"""The form of an mbox: messages one after another, each behind a line ``From``; lines of a message that begin so bear a ``>``
(mboxrd: also those that begin with ``>`` and that, so that it can be undone); flags in fields of the header."""

from __future__ import annotations

import re
import time
from collections.abc import Sequence

from mailnode.message.dates import parse_date
from mailnode.message.headers import first, remove
from mailnode.values.flags import is_keyword

STATUS, X_STATUS, X_KEYWORDS = b"Status", b"X-Status", b"X-Keywords"
# Fields in which programs keep what they know of a message: they are no part of it.
OWN_FIELDS = frozenset({b"status", b"x-status", b"x-keywords", b"x-uid", b"x-imap", b"x-imapbase"})
_STATUS_FLAGS = {"R": "\\Seen"}
_X_STATUS_FLAGS = {"A": "\\Answered", "F": "\\Flagged", "D": "\\Deleted", "T": "\\Draft"}
_QUOTED = re.compile(rb"^>(>*From )", re.MULTILINE)
_TO_QUOTE = re.compile(rb"^(>*From )", re.MULTILINE)
# "From bob@side.test Sun Feb 12 03:04:05 2023", with or without seconds and zone.
_FROM = re.compile(
    rb"From (?:.{1,1000} )?[A-Z][a-z]{2} +([A-Z][a-z]{2}) +([0-9]{1,2}) +([0-9]{2}:[0-9]{2}(?::[0-9]{2})?)"
    rb"(?: +[A-Z]{1,5})?(?: +[+-][0-9]{4})? +([0-9]{4})(?: +([+-][0-9]{4}))?[ \r]*\Z"
)


def from_line_date(line: bytes) -> tuple[int, int] | None:
    """Return (UTC seconds, minutes east) that a line ``From`` tells; without a zone it is UTC. None: it is no such line.

    :param line: without its end.
    """
    found = _FROM.match(line)
    if found is None:
        return None
    month, day, hour, year, zone = found.groups()
    date = parse_date(b" ".join([day, month, year, hour, zone or b"+0000"]))
    return (date[0] // 1_000_000, date[1]) if date is not None else None


def from_line(sender: str, arrived: int) -> bytes:
    """Return the line before a message. :param arrived: UTC seconds."""
    when = time.asctime(time.gmtime(arrived))
    kept = "".join(c for c in sender if c.isascii() and c.isprintable() and c != " ")
    return f"From {kept or 'MAILER-DAEMON'} {when}\n".encode()


def flags_of(header: bytes) -> tuple[str, ...]:
    """Return names of the flags and keywords that a header block tells of."""
    status = (first(header, STATUS.lower()) or b"").decode("ascii", "replace")
    further = (first(header, X_STATUS.lower()) or b"").decode("ascii", "replace")
    words = (first(header, X_KEYWORDS.lower()) or b"").decode("ascii", "replace").replace(",", " ").split()
    flags = [_STATUS_FLAGS[letter] for letter in status if letter in _STATUS_FLAGS]
    flags += [_X_STATUS_FLAGS[letter] for letter in further if letter in _X_STATUS_FLAGS]
    return (*flags, *(word for word in words if is_keyword(word)))


def flag_fields(flags: Sequence[str]) -> bytes:
    """Return fields that tell of flags, with line ends of LF; those that are there for every message too."""
    status = "".join(letter for letter, flag in _STATUS_FLAGS.items() if flag in flags) + "O"
    further = "".join(letter for letter, flag in _X_STATUS_FLAGS.items() if flag in flags)
    keywords = " ".join(flag for flag in flags if is_keyword(flag))
    lines = [STATUS + b": " + status.encode()]
    if further:
        lines.append(X_STATUS + b": " + further.encode())
    if keywords:
        lines.append(X_KEYWORDS + b": " + keywords.encode())
    return b"".join(line + b"\n" for line in lines)


def without_own_fields(block: bytes) -> bytes:
    """Return a header block without fields of programs."""
    return remove(block, OWN_FIELDS)


def unquoted(lines: bytes) -> bytes:
    """Take one ``>`` off lines that begin with some and ``From``. :param lines: whole ones."""
    return _QUOTED.sub(rb"\1", lines) if b"From " in lines else lines


def quoted(lines: bytes) -> bytes:
    """Undo :func:`unquoted`."""
    return _TO_QUOTE.sub(rb">\1", lines) if b"From " in lines else lines
