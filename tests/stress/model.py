"""What one session has been told of its mailbox, and that it never contradicts itself (RFC 3501 7.4.1, RFC 7162 3.2)."""

from __future__ import annotations

import bisect
import itertools
import re
from dataclasses import dataclass

_FETCH = re.compile(rb"\* (\d+) (UID)?FETCH \((.*)\)\Z", re.DOTALL)
_COUNT = re.compile(rb"\* (\d+) (EXISTS|EXPUNGE)\Z")
_VANISHED = re.compile(rb"\* VANISHED (\(EARLIER\) )?([\d:,]+)\Z")
_BODY = re.compile(rb"BODY\[[^\]]*\] \{(\d+)\}\r\n")
_TOKEN = re.compile(rb"Subject: (\S+)\r\n")


class Inconsistent(AssertionError):
    """The server contradicted what it had said before."""


@dataclass(slots=True)
class Message:
    """One message of the mailbox as far as the session knows it; None: not told yet."""

    uid: int | None = None
    flags: frozenset[bytes] | None = None
    modseq: int = 0


def members(text: bytes) -> list[int]:
    """Return the numbers of a set, in its order."""
    found: list[int] = []
    for part in text.split(b","):
        first, _, last = part.partition(b":")
        low, high = int(first), int(last or first)
        found += range(low, high + 1) if low <= high else range(low, high - 1, -1)
    return found


class Model:
    """The messages of one selected mailbox, in the order of their numbers."""

    def __init__(self, by_uid: bool = False) -> None:
        """:param by_uid: no numbers are told (RFC 9586): those whose UID is not known stand behind the others."""
        self._by_uid = by_uid
        self.slots: list[Message] = []
        self.uidvalidity = 0
        self.modseq = 0  # all up to it was told
        self._most = 0  # the highest of the command under way
        self.gone: list[tuple[int, int]] = []  # UIDs of which each one told gone was: (lowest, highest)
        self.bodies: list[tuple[int, bytes]] = []  # (UID, token)

    def select(self, lines: list[bytes], known: Model | None) -> None:
        """Begin anew from what SELECT answered; with ``known`` it was asked for what is new since then."""
        told = b"\n".join(lines)
        uidvalidity = int(re.search(rb"\[UIDVALIDITY (\d+)\]", told)[1])
        count = int(re.search(rb"\* (\d+) EXISTS", told)[1])
        highest = re.search(rb"\[HIGHESTMODSEQ (\d+)\]", told)
        self.modseq = self._most = int(highest[1]) if highest else 0
        self.uidvalidity = uidvalidity
        if known is not None:
            vanished = {uid for line in lines for uid in self._vanished(line)}
            self.slots = [slot for slot in known.slots if slot.uid not in vanished]
            if highest and self.modseq < known.modseq:
                raise Inconsistent(f"HIGHESTMODSEQ fell from {known.modseq} to {self.modseq}")
        if len(self.slots) > count:
            raise Inconsistent(f"{len(self.slots)} are left of those known, {count} exist")
        self.slots += [Message() for _ in range(count - len(self.slots))]
        for line in lines:
            if found := _FETCH.fullmatch(line):
                self._fetched(found)
        self._check_order()

    @staticmethod
    def _vanished(line: bytes) -> list[int]:
        found = _VANISHED.fullmatch(line)
        return members(found[2]) if found else []

    def take(self, line: bytes, expunge: bool) -> None:
        """Take an untagged response in. :param expunge: whether messages may be told gone now."""
        if found := _COUNT.fullmatch(line):
            number = int(found[1])
            if found[2] == b"EXISTS":
                if number < len(self.slots):
                    raise Inconsistent(f"EXISTS fell from {len(self.slots)} to {number}")
                self.slots += [Message() for _ in range(number - len(self.slots))]
            else:
                self._remove(number - 1, expunge)
        elif _VANISHED.fullmatch(line):
            for uid in self._vanished(line):
                self._remove(self._place(uid), expunge, uid)
        elif found := _FETCH.fullmatch(line):
            self._fetched(found)

    def told_gone(self, line: bytes) -> list[tuple[int, int | None]]:
        """Return (number, UID if it is known) of the messages that a response, not taken in yet, tells gone."""
        if (found := _COUNT.fullmatch(line)) and found[2] == b"EXPUNGE":
            index = int(found[1]) - 1
            return [(index + 1, self.slots[index].uid if index < len(self.slots) else None)]
        return [(self._place(uid) + 1, uid) for uid in self._vanished(line)]

    def end(self, answer: bytes) -> None:
        """Take the tagged response in: now all that was told before it is complete."""
        highest = re.search(rb"\[HIGHESTMODSEQ (\d+)\]", answer)
        if answer.startswith(b"OK"):
            self.modseq = int(highest[1]) if highest else max(self.modseq, self._most)
        self._most = self.modseq
        self._check_order()

    def _remove(self, index: int, expunge: bool, uid: int | None = None) -> None:
        if not expunge:
            raise Inconsistent("a message was told gone where that is not allowed")
        if not 0 <= index < len(self.slots):
            raise Inconsistent(f"message {index + 1} of {len(self.slots)} was told gone")
        known = uid or self.slots[index].uid
        self.gone.append((known, known) if known else self._around(index))
        del self.slots[index]

    def _around(self, index: int) -> tuple[int, int]:
        """Return between which UIDs that of a message lies which is not known."""
        below = (slot.uid for slot in reversed(self.slots[:index]) if slot.uid)
        above = (slot.uid for slot in self.slots[index + 1 :] if slot.uid)
        return next(below, 0) + 1, next(above, 2**32) - 1

    def _place(self, uid: int) -> int:
        """Return the index of a UID: where it is known, or one of those between its neighbours that are not."""
        if self._by_uid:
            known = [slot.uid for slot in self.slots if slot.uid is not None]
            index = bisect.bisect_left(known, uid)
            return (
                index
                if known[index : index + 1] == [uid]
                else len(self.slots) - 1
                if len(known) < len(self.slots)
                else -1
            )
        unknown = -1
        for index, slot in enumerate(self.slots):
            if slot.uid == uid:
                return index
            if slot.uid is not None and slot.uid > uid:
                break
            unknown = index if slot.uid is None else -1
        return unknown

    def _fetched(self, found: re.Match[bytes]) -> None:
        about = _BODY.split(found[3])
        items = about[0] + (about[2][int(about[1]) :] if len(about) > 1 else b"")
        uid = re.search(rb"\bUID (\d+)", items)
        index = self._place(int(found[1])) if found[2] else int(found[1]) - 1
        if not 0 <= index < len(self.slots):
            raise Inconsistent(f"FETCH of {found[1]!r} among {len(self.slots)}")
        slot = self.slots[index]
        named = int(found[1]) if found[2] else int(uid[1]) if uid else None
        if named is not None and slot.uid not in (None, named):
            raise Inconsistent(f"number {index + 1} was UID {slot.uid} and is now {named}")
        if self._by_uid and slot.uid is None:
            known = [slot.uid for slot in self.slots if slot.uid is not None]
            self.slots.insert(bisect.bisect_left(known, named), self.slots.pop(index))
        slot.uid = named or slot.uid
        if flags := re.search(rb"\bFLAGS \(([^)]*)\)", items):
            slot.flags = frozenset(flags[1].split()) - {rb"\Recent"}
        if modseq := re.search(rb"\bMODSEQ \((\d+)\)", items):
            if int(modseq[1]) < slot.modseq:
                raise Inconsistent(f"MODSEQ of {slot.uid} fell from {slot.modseq} to {int(modseq[1])}")
            slot.modseq = int(modseq[1])
            self._most = max(self._most, slot.modseq)
        if len(about) > 1 and slot.uid:
            body = about[2][: int(about[1])]
            token = _TOKEN.search(body)
            if token is None or (b"BODY[]" in found[3] and not body.endswith(b"end of " + token[1] + b"\r\n")):
                raise Inconsistent(f"UID {slot.uid} is no message of ours: {body[:200]!r}")
            self.bodies.append((slot.uid, token[1]))

    def _check_order(self) -> None:
        uids = [slot.uid for slot in self.slots if slot.uid is not None]
        if any(later <= earlier for earlier, later in itertools.pairwise(uids)):
            raise Inconsistent(f"UIDs do not rise: {uids}")

    @property
    def complete(self) -> bool:
        """Whether the UID and the flags of each message are known."""
        return all(slot.uid is not None and slot.flags is not None for slot in self.slots)

    def differs(self, truth: dict[int, frozenset[bytes]]) -> str:
        """Say in what it is not what the mailbox holds; "" when it is, as far as it was told."""
        if len(self.slots) != len(truth):
            return f"{len(self.slots)} messages, there are {len(truth)}"
        for slot, uid in zip(self.slots, sorted(truth), strict=True):
            if slot.uid is not None and (slot.uid not in truth if self._by_uid else slot.uid != uid):
                return f"UID {slot.uid} stands where {uid} is"
            flags = truth[slot.uid or uid]
            if slot.flags is not None and slot.flags != flags:
                return f"UID {uid} has {sorted(slot.flags)}, the mailbox {sorted(flags)}"
        return ""
