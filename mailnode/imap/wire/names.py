"""Mailbox names on the wire: UTF-8 where that was asked for (RFC 6855 3), and the patterns of LIST."""

from __future__ import annotations

import re
from collections.abc import Iterable

from mailnode.values.composed import compose
from mailnode.values.mailbox_name import INBOX, MAX_OCTETS, SEPARATOR

_WILDCARDS = re.compile(r"[*%]+")


def decode_utf8_name(wire: bytes) -> str | None:
    """Return the name a client wrote in UTF-8, in which ``&`` is a letter; None when it is not that."""
    try:
        return wire.decode("utf-8")
    except UnicodeDecodeError:
        return None


class Patterns:
    """The patterns of one LIST, compiled together: names are matched in one pass, all wildcards at once.

    The state after each character is a bitmap of places in all patterns, so the cost of a name is its length however
    the wildcards stand (``*%*%*%*%x``). A pattern with more plain characters than a name can have matches nothing.
    """

    def __init__(self, reference: str, patterns: Iterable[str]) -> None:
        """:param reference: put before each pattern (RFC 3501 6.3.8)."""
        self._start = self._accept = self._any = self._level = 0
        self._any_end = 0  # places that accept whatever follows
        self._next: dict[str, int] = {}
        at = 0
        for pattern in dict.fromkeys(compose(reference + pattern) for pattern in patterns):
            if len(_WILDCARDS.sub("", pattern)) <= MAX_OCTETS:
                at = self._compile(pattern, at)
        # The five letters of INBOX match in either case (RFC 3501 5.1).
        self._inbox_next = {c: self._next.get(c, 0) | self._next.get(c.lower(), 0) for c in INBOX}

    def _compile(self, pattern: str, at: int) -> int:
        self._start |= 1 << at
        for character in pattern:
            if character == "*":
                self._any |= 1 << at
            elif character == "%":
                self._level |= 1 << at
            else:
                self._next[character] = self._next.get(character, 0) | 1 << at
                at += 1
        self._accept |= 1 << at
        self._any_end |= self._any & 1 << at
        return at + 1

    def match(self, name: str) -> bool:
        """Whether a canonical name matches any of the patterns."""
        states = self._start
        if name.startswith(INBOX) and name[len(INBOX) : len(INBOX) + 1] in ("", SEPARATOR):
            states = self._run(states, INBOX, self._inbox_next)
            name = name[len(INBOX) :]
        return bool(self._run(states, name, self._next) & (self._accept | self._any_end))

    def _run(self, states: int, text: str, following: dict[str, int]) -> int:
        for character in text:
            if states & self._any_end:
                return self._any_end
            if not states:
                break
            stay = self._any if character == SEPARATOR else self._any | self._level
            states = (states & following.get(character, 0)) << 1 | states & stay
        return states
