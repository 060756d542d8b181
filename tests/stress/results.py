"""What a session has been told of the result of a search with UPDATE, and that it never contradicts itself (RFC 5267 4.3)."""

from __future__ import annotations

import re
from collections.abc import Callable

from tests.stress.model import Inconsistent, members

_TOLD = re.compile(rb'\* ESEARCH \(TAG "([^"]+)"[^)]*\)( UID)?(.*)\Z', re.DOTALL)
_NO_MORE = re.compile(rb'\* NO \[NOUPDATE "([^"]+)"\]')
_ALL = re.compile(rb" ALL ([\d:,]+)")
_CHANGES = re.compile(rb"(ADDTO|REMOVEFROM) \(([^)]*)\)")

# What is asked for, whether it tells UIDs, and whether a message is in the result by its flags.
SEARCHES: tuple[tuple[bytes, bool, Callable[[frozenset[bytes]], bool]], ...] = (
    (b"UID SEARCH RETURN (UPDATE ALL) UNSEEN", True, lambda flags: rb"\Seen" not in flags),
    (b"SEARCH RETURN (UPDATE ALL) OR FLAGGED KEYWORD two", False, lambda flags: bool(flags & {rb"\Flagged", b"two"})),
    (b"UID SORT RETURN (UPDATE ALL) (SUBJECT) UTF-8 UNDELETED", True, lambda flags: rb"\Deleted" not in flags),
    (b"SORT RETURN (UPDATE ALL) (REVERSE SUBJECT) UTF-8 ALL", False, lambda flags: True),
)


def tag_of(line: bytes) -> bytes | None:
    """Return the tag that an ESEARCH response belongs to."""
    found = _TOLD.match(line)
    return found[1] if found else None


def ended(line: bytes) -> bytes | None:
    """Return the tag of a search whose changes are told no more, as a server may say at any time (RFC 5267 4.3.1)."""
    found = _NO_MORE.match(line)
    return found[1] if found else None


class Result:
    """One result. ``sorted``: its order is told; else it is that of the mailbox."""

    def __init__(self, command: bytes, by_uid: bool, holds: Callable[[frozenset[bytes]], bool]) -> None:
        self.by_uid = by_uid
        self.sorted = b"SORT" in command
        self._reverse = b"REVERSE" in command
        self._holds = holds
        self.members: list[int] = []

    def take(self, line: bytes, expunge: bool, exists: int) -> None:
        """Take a response in. :param expunge: whether EXPUNGE may come now. :param exists: messages that were told."""
        found = _TOLD.match(line)
        if bool(found[2]) != self.by_uid:
            raise Inconsistent(f"{line!r} is of the other kind")
        if first := _ALL.search(found[3]):
            self.members = members(first[1])
        for name, pairs in _CHANGES.findall(found[3]):
            if not expunge:
                raise Inconsistent("a result was changed where EXPUNGE may not come")
            words = pairs.split(b" ")
            for position, text in zip(map(int, words[::2]), words[1::2], strict=True):
                (self._add if name == b"ADDTO" else self._remove)(position, members(text))
        if not self.by_uid and max(self.members, default=0) > exists:
            raise Inconsistent(f"{max(self.members)} of {exists} messages is in a result")

    def _add(self, position: int, named: list[int]) -> None:
        if set(named) & set(self.members):
            raise Inconsistent(f"{named} came into a result that has some of them")
        if self.sorted != bool(position) or position > len(self.members) + 1:
            raise Inconsistent(f"place {position} of {len(self.members)}")
        at = position - 1 if position else len(self.members)
        self.members[at:at] = named
        if not position:
            self.members.sort()

    def _remove(self, position: int, named: list[int]) -> None:
        if self.sorted:
            there = self.members[position - 1 : position - 1 + len(named)] if position else []
        else:
            there = [number for number in self.members if number in named]
        if there != named:
            raise Inconsistent(f"{named} left a result at {position}, where {there} is")
        self.members = [number for number in self.members if number not in named]

    def expunged(self, number: int, uid: int | None) -> None:
        """A message is told gone: it must have left the result before."""
        if (uid if self.by_uid else number) in self.members:
            raise Inconsistent(f"message {number}, UID {uid}, was told gone and is in a result")
        if not self.by_uid:
            self.members = [other - (other > number) for other in self.members]

    def differs(self, truth: dict[int, frozenset[bytes]], token: Callable[[int], bytes | None]) -> str:
        """Say in what it is not what a search finds. :param token: the subject of a message."""
        uids = sorted(truth)
        held = self.members if self.by_uid else [uids[number - 1] for number in self.members if number <= len(uids)]
        wanted = [uid for uid in uids if self._holds(truth[uid])]
        if self.sorted:
            wanted.sort(key=lambda uid: token(uid) or b"", reverse=self._reverse)
        return "" if held == wanted else f"a result is {held}, a search finds {wanted}"
