"""What a search has found, kept as marks of a view's messages: what ``$`` stands for (RFC 5182), and results whose changes are
told (RFC 5267). One octet a message, and some for all of them while the session rests."""

from __future__ import annotations

import re
import zlib
from array import array
from collections.abc import Callable, Sequence

_RUNS = re.compile(rb"\x01+")


class Saved:
    """A mark for each message of a view that was there when it was saved; messages that came later have none. Expunged ones
    are cut out of it together with their numbers (RFC 5182 2.1)."""

    __slots__ = ("_marks", "_packed")

    def __init__(self, marks: bytes = b"") -> None:
        """:param marks: by index, 1 for a message that ``$`` stands for, else 0; those behind its end have none."""
        self._marks = array("B", marks)
        self._packed: bytes | None = None

    def spans(self, exists: int) -> list[range]:
        """Return the messages, of the first ``exists``, as ascending ranges of indexes."""
        self.unpack()
        return [range(*found.span()) for found in _RUNS.finditer(self._marks, 0, exists)]

    def holds(self) -> Callable[[int], bool]:
        """Return what says whether a message is among them, by its index."""
        self.unpack()
        marks = self._marks
        count = len(marks)
        return lambda index: index < count and marks[index] == 1

    def put(self, index: int, on: bool) -> None:
        """Mark a message, or take its mark away."""
        self.unpack()
        if index >= len(self._marks):
            self._marks.extend(bytes(index + 1 - len(self._marks)))
        self._marks[index] = on

    def cut(self, kept: Sequence[slice]) -> None:
        """Keep the marks of these slices of the view alone."""
        self.unpack()
        marks = array("B")
        for part in kept:
            marks.extend(self._marks[part])
        self._marks = marks

    def pack(self) -> None:
        """Make it small; what looks into it makes it large again."""
        if self._marks:
            self._packed = zlib.compress(self._marks, 1)
            self._marks = array("B")

    def unpack(self) -> None:
        """Have the marks again."""
        if self._packed is not None:
            self._marks = array("B", zlib.decompress(self._packed))
            self._packed = None
