"""Header blocks as raw bytes: where they end, their fields with offsets, and edits that leave all else untouched.

A block ends with the first empty line and with nothing else, so that no field after a broken line is overlooked: what
is neither a field nor a continuation is passed over. CRLF alone ends a line.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Iterable, Iterator
from dataclasses import dataclass

MAX_HEADER = 1024 * 1024  # octets of one header block

# RFC 5322 2.2 and 4.5: field-name, white space that old programs put before the colon, and a body that goes on while
# the next line begins with white space. Each line of it would cost the expression memory: it takes a bounded number at
# a time, and the third group tells whether the end was reached. Nothing that repeats can begin like what follows it.
FIELD_STEP = 1000  # lines
_LINES = rb"[^\r]*(?:\r(?!\n(?![ \t]))[^\r]*){0,%d}" % FIELD_STEP
_FIELD = re.compile(rb"([!-9;-~]+)[ \t]*:(" + _LINES + rb")(\r\n(?![ \t])|\Z)?")
_MORE_LINES = re.compile(_LINES + rb"(\r\n(?![ \t])|\Z)?")
# What begins a line that is neither a field nor the continuation of one; and the names in a block without such lines.
_NO_FIELD = re.compile(rb"\r\n(?![ \t]|[!-9;-~]+[ \t]*:)")
_NAMES = re.compile(rb"\r\n([!-9;-~]+)")
_TO_SPACE = bytes.maketrans(b"\t\r\n\0", b"    ")


def header_end(data: bytes, start: int = 0) -> int:
    """Return the offset just behind the empty line that ends the header block, or -1 when there is none (yet).

    :param start: octets known not to hold the end, when a growing buffer is asked again.
    """
    if data.startswith(b"\r\n"):
        return 2
    found = data.find(b"\r\n\r\n", max(0, start - 3))
    return found + 4 if found >= 0 else -1


@dataclass(frozen=True, slots=True)
class Field:
    """One header field. ``start`` and ``end`` are offsets in the block; ``raw`` is all of it, line ends included."""

    name: bytes  # as written, without the white space before the colon
    raw: bytes
    start: int
    end: int
    value_start: int  # offset of the body in ``raw``

    @property
    def value(self) -> bytes:
        """The body in one line, white space around it cut."""
        return unfold(self.raw[self.value_start :])

    def is_named(self, name: bytes) -> bool:
        """Whether the field has this name, whatever its case."""
        return self.name.lower() == name.lower()


def fields(block: bytes) -> Iterator[Field]:
    """Yield the fields of a block in order. The empty line ends it; broken lines are left out."""
    for start, name, value_start, end in scan_fields(block):
        yield Field(name, block[start:end], start, end, value_start - start)


def scan_fields(block: bytes, position: int = 0, limit: int | None = None) -> Iterator[tuple[int, bytes, int, int]]:
    """Yield ``(start, name, value start, end)`` of each field between two offsets: :func:`fields` without objects."""
    limit = len(block) if limit is None else limit
    match, find = _FIELD.match, block.find
    while position < limit:
        field = match(block, position, limit)
        if field is not None:
            end = field.end() if field[3] is not None else _end_of_field(block, field.end(), limit)
            yield position, field[1], field.start(2), end
            position = end
        elif block.startswith(b"\r\n", position):
            return
        else:
            line_end = find(b"\r\n", position, limit)
            if line_end < 0:
                return
            position = line_end + 2


def _end_of_field(block: bytes, position: int, limit: int) -> int:
    """The offset behind a field of many lines, ``position`` being behind one of them."""
    while (more := _MORE_LINES.match(block, position, limit)) is not None and more[1] is None:
        position = more.end()
    return more.end() if more is not None else limit


def field_names(block: bytes) -> list[bytes]:
    """Return the names of the fields of a block that :func:`repair` has seen, in lower case and in order."""
    return _NAMES.findall(b"\r\n" + block.lower())  # so that each begins alike, which is found three times as fast


def unfold(raw: bytes) -> bytes:
    """Return a field body as one line: line ends are taken out (RFC 5322 2.2.3), tab, bare CR or LF and NUL become
    spaces, white space around it is cut."""
    return raw.replace(b"\r\n", b"").translate(_TO_SPACE).strip(b" ")


def first(block: bytes, name: bytes) -> bytes | None:
    """Return the unfolded body of the first field of that name, or None."""
    wanted = name.lower()
    for _, found, value_start, end in scan_fields(block):
        if found.lower() == wanted:
            return unfold(block[value_start:end])
    return None


def remove(block: bytes, names: Collection[bytes], when: Callable[[Field], bool] = lambda field: True) -> bytes:
    """Return the block without the fields of these names for which ``when`` is true; every other octet stays."""
    wanted = {name.lower() for name in names}
    kept: list[bytes] = []
    position = 0
    for field in fields(block):
        if field.name.lower() in wanted and when(field):
            kept.append(block[position : field.start])
            position = field.end
    kept.append(block[position:])
    return b"".join(kept)


def insert_on_top(block: bytes, lines: Iterable[bytes]) -> bytes:
    """Return the block with complete fields put before it. Call :func:`repair` on a foreign block first.

    :raises ValueError: a line is not exactly one field with its CRLF.
    """
    added = list(lines)
    for line in added:
        whole = _FIELD.fullmatch(line)
        if whole is None or whole[3] is None or not line.endswith(b"\r\n"):
            raise ValueError("not one complete header field")
    return b"".join(added) + block


_CONTROLS = bytes.maketrans(bytes([*range(32), 127]), b" " * 33)


def one_line(text: bytes) -> bytes:
    """Return foreign text as part of one header line: every control character is a space."""
    return text.translate(_CONTROLS).strip(b" ")


def repair(block: bytes) -> bytes:
    """Return a block to which fields can be prepended without changing what it means.

    A leading ``From `` line of a mailbox file becomes ``X-Mailbox-Line``. A line that is neither field nor continuation
    gets the missing empty line before it: it and what follows are body from then on. A block without its empty line
    is given one.
    """
    broken = _NO_FIELD.search(block)
    if broken is not None and broken.end() + 2 == len(block) and block.endswith(b"\r\n\r\n") and _FIELD.match(block):
        return block  # nothing but fields and the empty line
    if block.lstrip(b">").startswith(b"From ") and not _FIELD.match(block):
        block = b"X-Mailbox-Line: " + block
    position = 0
    for field in fields(block):
        if field.start != position:
            break
        position = field.end
    rest = block[position:]
    if rest.startswith(b"\r\n"):
        return block
    if position == len(block) and block and not block.endswith(b"\r\n"):
        return block + b"\r\n\r\n"
    return block[:position] + b"\r\n" + rest
