"""A reader of FETCH responses of its own: it knows the grammar of RFC 3501 9 and nothing of the server."""

from __future__ import annotations

import re
from collections.abc import Iterator

NAME = re.compile(rb"[A-Z0-9.]+(?:\[[^\]]*\])?(?:<[0-9]+>)?")
ATOM = re.compile(rb'[^\x00-\x20\x7f-\xff(){%*"]+')
QUOTED = re.compile(rb'"((?:[^"\\\r\n\x00\x80-\xff]|\\["\\])*)"')
LITERAL = re.compile(rb"(~?)\{([0-9]+)\}\r\n")


class Reader:
    """A cursor over octets that a server sent."""

    def __init__(self, data: bytes) -> None:
        self.data, self.at = data, 0

    def take(self, octets: bytes) -> bool:
        """Read these octets if they come next."""
        found = self.data.startswith(octets, self.at)
        self.at += len(octets) * found
        return found

    def need(self, octets: bytes) -> None:
        """Read these octets."""
        assert self.take(octets), self.data[self.at : self.at + 60]

    def match(self, pattern):
        """Read what matches, or None."""
        found = pattern.match(self.data, self.at)
        if found is not None:
            self.at = found.end()
        return found

    def value(self):
        """Read a string (bytes), NIL (None), a number (int), an atom (str) or a list."""
        if self.take(b"("):
            return list(self._items())
        if found := self.match(LITERAL):
            size = int(found[2])
            text = self.data[self.at : self.at + size]
            assert len(text) == size, "a literal is cut off"
            assert found[1] or b"\0" not in text, "NUL in a literal"
            self.at += size
            return text
        if found := self.match(QUOTED):
            return re.sub(rb"\\(.)", rb"\1", found[1])
        atom = self.match(ATOM)
        assert atom, self.data[self.at : self.at + 60]
        if atom[0] == b"NIL":
            return None
        return int(atom[0]) if atom[0].isdigit() else atom[0].decode()

    def _items(self) -> Iterator[object]:
        """Read what stands in parentheses; only lists may stand side by side without a space."""
        if self.take(b")"):
            return
        while True:
            item = self.value()
            yield item
            if self.take(b")"):
                return
            if not self.take(b" "):
                assert isinstance(item, list) and self.data[self.at : self.at + 1] == b"(", self.data[self.at :][:60]


def fetched(data: bytes, tag: bytes) -> tuple[dict[int, dict[bytes, object]], bytes]:
    """Return what is said of each message, by name, and the tagged line; every octet is read."""
    reader = Reader(data)
    said: dict[int, dict[bytes, object]] = {}
    while not reader.data.startswith(tag + b" ", reader.at):
        number = reader.match(re.compile(rb"\* ([0-9]+) FETCH \("))
        assert number, reader.data[reader.at : reader.at + 80]
        items = said.setdefault(int(number[1]), {})
        while True:
            name = reader.match(NAME)
            assert name, reader.data[reader.at : reader.at + 60]
            reader.need(b" ")
            items[name[0]] = reader.value()
            if reader.take(b")\r\n"):
                break
            reader.need(b" ")
    rest = reader.data[reader.at :]
    assert rest.count(b"\r\n") == 1 and rest.endswith(b"\r\n"), rest
    return said, rest.rstrip()
