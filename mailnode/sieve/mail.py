"""The message as a script sees it, and as it leaves it: header fields as text, parts, edits."""

from __future__ import annotations

from functools import lru_cache
from typing import NamedTuple

from mailnode.message.entity import Entity
from mailnode.message.headers import scan_fields, unfold
from mailnode.message.scanner import scan_entity
from mailnode.message.words import decode_words
from mailnode.sieve.actions import EditedContent


class HeaderLine(NamedTuple):
    """One header field: its name as written, and all of it with its line ends."""

    name: bytes
    raw: bytes
    body: bytes

    @property
    def value(self) -> str:
        """Its body in one line, encoded words decoded (RFC 5228 2.7.2)."""
        return _decoded(self.body)


@lru_cache(maxsize=256)  # the tests of a script ask for the same few again and again
def _decoded(body: bytes) -> str:
    return decode_words(unfold(body))


def header_lines(block: bytes) -> list[HeaderLine]:
    """Return the fields of a header block."""
    return [HeaderLine(name, block[start:end], block[body:end]) for start, name, body, end in scan_fields(block)]


def end_of_header(data: bytes) -> int:
    """Return where the body of a message begins, behind the empty line."""
    if data.startswith(b"\r\n"):
        return 2
    found = data.find(b"\r\n\r\n")
    return found + 4 if found >= 0 else len(data)


class EditedMail:
    """One message. What was changed is seen by all that looks at it afterwards (RFC 5293 3)."""

    def __init__(self, data: bytes) -> None:
        self._original = data
        self._header_changed = False
        self._body_changed = False
        self._content: EditedContent | None = None
        self._sent_on: tuple[EditedContent | None] | None = None
        self._take(data)

    def _take(self, data: bytes) -> None:
        self.data = data
        self._root: Entity | None = None
        self._body_start = end_of_header(data)
        self.lines = header_lines(data[: self._body_start])
        self._by_name: dict[bytes, list[HeaderLine]] | None = None
        self.texts: dict[tuple[str, ...], list[str]] = {}  # of the body, by the way they were read

    @property
    def size(self) -> int:
        """Octets, as it is now."""
        if not self._header_changed:
            return len(self.data)
        return len(self._header()) + len(self.data) - self._body_start

    @property
    def body(self) -> bytes:
        """All behind the header."""
        return self.data[self._body_start :]

    @property
    def root(self) -> Entity:
        """Its tree of parts; offsets are those of ``data``."""
        if self._root is None:
            self._root = scan_entity(self.data)
        return self._root

    def named(self, name: str) -> list[HeaderLine]:
        """Return the fields of a name, in order."""
        if self._by_name is None:
            self._by_name = {}
            for line in self.lines:
                self._by_name.setdefault(line.name.lower(), []).append(line)
        return self._by_name.get(name.encode("utf-8", "replace").lower(), [])

    def values(self, name: str) -> list[str]:
        """Return what stands in the fields of a name."""
        return [line.value for line in self.named(name)]

    def settled(self) -> bytes:
        """Return ``data`` with the header as it was edited, in which the parts of ``root`` are found from then on."""
        if self._header_changed and self._header() != self.data[: self._body_start]:
            self.set_data(self.whole())
        return self.data

    def part_lines(self, entity: Entity) -> list[HeaderLine]:
        """Return the header of a part; that of the whole as it was edited."""
        if entity.header_start == 0:
            return self.lines
        return header_lines(self.data[entity.header_start : entity.body_start])

    def set_lines(self, lines: list[HeaderLine]) -> None:
        """Have these fields in place of all."""
        self.lines = lines
        self._by_name = None
        self._header_changed = True
        self._content = None

    def set_data(self, data: bytes) -> None:
        """Have another message in its place."""
        self._header_changed = self._body_changed = True
        self._content = None
        self._take(data)

    def enclose(self, data: bytes) -> None:
        """Have a message in its place of which it is a part. What is sent on stays as it is (RFC 5703 6)."""
        if self._sent_on is None:
            self._sent_on = (self.content(),)
        self.set_data(data)

    def content_sent_on(self) -> EditedContent | None:
        """Return as :meth:`content` what goes to somebody else."""
        return self.content() if self._sent_on is None else self._sent_on[0]

    def _header(self) -> bytes:
        block = b"".join([line.raw if line.raw.endswith(b"\n") else line.raw + b"\r\n" for line in self.lines])
        return block + b"\r\n"

    def whole(self) -> bytes:
        """Return it as it is now."""
        return self._header() + self.body if self._header_changed else self.data

    def content(self) -> EditedContent | None:
        """Return what is other than in the message that came; None for nothing."""
        if not self._header_changed:
            return None
        if self._content is None:
            self._content = EditedContent(self._header(), self.body if self._body_changed else None)
        return self._content
