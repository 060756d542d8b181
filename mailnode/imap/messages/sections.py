"""``BODY[section]`` as octets: which bytes of prefix and blob a section names (RFC 3501 6.4.5).

A message is its prefix (header lines of this copy) followed by its blob. The facts hold one part tree with offsets
into the blob, so that a section is a byte range and nothing is parsed when it is read.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from functools import lru_cache
from itertools import chain, islice
from typing import NamedTuple

from mailnode.imap.messages.fetch_items import Section
from mailnode.message.headers import remove, scan_fields
from mailnode.values.facts import KEPT_FIELDS, Part


class Slice(NamedTuple):
    """Octets of a message: ``head``, then ``blob[start:end]``. ``encoding``: the transfer encoding that is to be undone, ""
    where they are wanted as they stand."""

    head: bytes = b""
    start: int = 0
    end: int = 0
    encoding: str = ""

    @property
    def size(self) -> int:
        """How many octets."""
        return len(self.head) + self.end - self.start

    def cut(self, origin: int, length: int) -> Slice:
        """Return ``<origin.length>`` of it: shorter at the end, empty past it (RFC 3501 6.4.5)."""
        head = self.head[origin : origin + length]
        skipped = max(origin - len(self.head), 0)
        start = min(self.start + skipped, self.end)
        return Slice(head, start, min(start + length - len(head), self.end))


def locate(parts: Sequence[Part], prefix: bytes, section: Section) -> Slice | None:
    """Return the octets of a section; for HEADER.FIELDS(.NOT) those of the header to choose from. None: the message has
    no such part, or the part is not a message and has no HEADER or TEXT (answered NIL).

    :param parts: of the message, in pre-order, the message itself first.
    """
    if not section.part:
        return locate_in_message(parts[0].body_start, parts[0].end, prefix, section)
    index = _find(parts, section.part)
    if index is None:
        return None
    part = parts[index]
    if not section.text:
        return Slice(b"", part.body_start, part.end)
    if section.text == "MIME":
        return Slice(prefix if index == 0 else b"", part.header_start, part.body_start)
    return _inner(parts, index, section.text)


def locate_encoded(parts: Sequence[Part], prefix: bytes, section: Section) -> Slice | None:
    """Return the octets of a part and its transfer encoding (RFC 3516 4.2); a multipart or message has none to be undone."""
    found = locate(parts, prefix, section)
    index = _find(parts, section.part)
    if found is None or index is None or parts[index].kind != "leaf":
        return found
    return found._replace(encoding=parts[index].encoding)


def locate_in_message(header_size: int, size: int, prefix: bytes, section: Section) -> Slice:
    """Return the octets of a section that names no part: of the message whole, its header or its text.

    :param header_size: of the blob, the empty line included. :param size: of the blob.
    """
    if not section.text:
        return Slice(prefix, 0, size)
    if section.text == "TEXT":
        return Slice(b"", header_size, size)
    return Slice(prefix, 0, header_size)


def _find(parts: Sequence[Part], numbers: tuple[int, ...]) -> int | None:
    """Return the index of a numbered part. The root of a message that is not multipart is its part 1."""
    wanted = ".".join(map(str, numbers))
    for index, part in enumerate(parts):
        if part.section == wanted:
            return index
    return 0 if wanted == "1" and parts[0].kind != "multipart" else None


def _inner(parts: Sequence[Part], index: int, text: str) -> Slice | None:
    """Return header or text of the message inside a message/rfc822 part: the entry after it is that message's root."""
    outer = parts[index]
    if outer.kind != "message" or index + 1 >= len(parts):
        return None
    root = parts[index + 1]
    if text == "TEXT":
        return Slice(b"", root.body_start, root.end)
    return Slice(b"", root.header_start, root.body_start)


def from_kept_fields(section: Section) -> bool:
    """Whether a section can be answered from the ``fields`` column, without the blob."""
    return (
        not section.part
        and section.text == "HEADER.FIELDS"
        and all(name.lower() in KEPT_FIELDS for name in section.fields)
    )


class FieldIndex:
    """The fields of one header by name, for many who choose from it: each choice costs what it yields. A header may have
    hundreds of thousands; they are found some at a time."""

    def __init__(self, header: bytes) -> None:
        """:param header: whole, with the blank line if it has one. Nothing can be chosen before :meth:`scan` is done."""
        self._header = header
        self._found = scan_fields(header)
        self._spans: list[tuple[int, int]] = []
        self._named: dict[bytes, list[int]] = {}  # places in the list above, ascending

    def scan(self, most: int) -> bool:
        """Find so many fields more; return whether there may be others."""
        before = len(self._spans)
        for start, name, _, end in islice(self._found, most):
            self._named.setdefault(name.lower(), []).append(len(self._spans))
            self._spans.append((start, end))
        return len(self._spans) - before == most

    def choose(self, section: Section) -> bytes:
        """Return what :func:`field_selector` of the section makes of this header."""
        header, spans = self._header, self._spans
        names = {name.lower() for name in section.fields}
        places = sorted(chain.from_iterable([self._named.get(name, ()) for name in names]))
        if section.text == "HEADER.FIELDS":
            return _ended(header, b"".join([header[start:end] for start, end in map(spans.__getitem__, places)]))
        kept: list[bytes] = []
        position = 0
        for start, end in map(spans.__getitem__, places):
            kept.append(header[position:start])
            position = end
        kept.append(header[position:])
        return _ended(header, b"".join(kept))


def field_selector(section: Section, kept: bool = False) -> Callable[[bytes], bytes]:
    """Return what cuts the named fields out of a header: stored order, folding and duplicates kept, and the blank line
    behind them unless the message has none (RFC 3501 6.4.5). Linear in the header.

    :param kept: the header is the kept fields of the facts, which tell in their own way whether there is a blank line.
    """
    blank = b"\r\n" if kept else b"\r\n\r\n"
    if section.text == "HEADER.FIELDS.NOT":
        return lambda header: _ended(header, remove(header, section.fields), blank)
    wanted = {name.lower() for name in section.fields}
    find: Callable[[bytes], list[bytes]] | None = None

    def choose(header: bytes) -> bytes:
        nonlocal find
        if len(header) > _MAX_LINES and header.count(b"\r") > _MAX_LINES:
            found = b"".join(
                [header[start:end] for start, name, _, end in scan_fields(header) if name.lower() in wanted]
            )
            return _ended(header, found, blank)
        if find is None:
            find = _expression(section.fields).findall
        return _ended(header, b"".join(find(header)), blank)

    return choose


@lru_cache(maxsize=64)
def _expression(names: tuple[bytes, ...]) -> re.Pattern[bytes]:
    """Made when a header is looked through: a command may name hundreds of lists, and most of them for an index."""
    listed = b"|".join(re.escape(name) for name in sorted(names, key=len, reverse=True))
    return re.compile(_LINE_START + rb"(?:" + listed + rb")[ \t]*:" + _UNFOLDED, re.IGNORECASE | re.MULTILINE)


# As ``message.headers`` reads fields, CRLF alone ends one; one expression for all names is twice as fast, but each line of
# a field costs it memory.
_MAX_LINES = 1000
_LINE_START = rb"^(?<![^\r]\n)"
_UNFOLDED = rb"[^\r]*(?:\r(?!\n(?![ \t]))[^\r]*)*(?:\r\n|\Z)"


def _ended(header: bytes, fields: bytes, blank: bytes = b"\r\n\r\n") -> bytes:
    """End what was chosen from a header. Nothing but the blank line stands where there was nothing to choose, whether or not
    the header ends with one: what is kept of a header does not tell that of one without such fields."""
    if not header.endswith(blank) and header not in (b"", b"\r\n"):
        return fields if fields.endswith(b"\r\n") else fields + b"\r\n"
    if fields.endswith(b"\r\n\r\n") or fields == b"\r\n":
        return fields
    return fields + b"\r\n" if not fields or fields.endswith(b"\r\n") else fields + b"\r\n\r\n"
