"""What a client was told of an account's mailboxes, small while nothing happens, and what became of them since."""

from __future__ import annotations

import json
import zlib
from array import array
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from mailnode.values.mailbox import MailboxInfo, MailboxStatus
from mailnode.values.mailbox_name import SEPARATOR

Names = Mapping[int, tuple[str, bool]]  # by mailbox id: the name, and whether messages can be in it


class KnownNames:
    """Names of mailboxes, and of subscriptions."""

    __slots__ = ("_packed",)

    def __init__(self, infos: Iterable[MailboxInfo], subscribed: Iterable[str]) -> None:
        names = [[info.id, info.name, info.selectable] for info in infos]
        self._packed = zlib.compress(json.dumps([names, sorted(subscribed)]).encode("ascii"))

    def unpacked(self) -> tuple[Names, frozenset[str]]:
        """Return the names by mailbox id, and the subscriptions."""
        names, subscribed = json.loads(zlib.decompress(self._packed))
        return {one: (name, selectable) for one, name, selectable in names}, frozenset(subscribed)


@dataclass(frozen=True, slots=True)
class NameChanges:
    """``affected``: names that came, went, or became (not) selectable, and those directly above them, in order.
    ``renamed``: old name by new name, what only went along with its superior left out."""

    affected: tuple[str, ...]
    renamed: Mapping[str, str]


def name_changes(before: Names, now: Names) -> NameChanges:
    """Return what happened to names (RFC 5465 5.4)."""
    affected: dict[str, None] = {}
    moved: dict[str, str] = {}  # new name by old name
    for one in before.keys() | now.keys():
        old, new = before.get(one), now.get(one)
        if old is not None and new is not None and old[0] != new[0]:
            moved[old[0]] = new[0]
        elif old != new:
            name = (new or old or ("", False))[0]
            affected[name] = None
            superior = name.rpartition(SEPARATOR)[0]
            if superior:
                affected[superior] = None
    renamed = {new: old for old, new in moved.items() if not _went_along(old, new, moved)}
    return NameChanges(tuple(sorted(affected.keys() - renamed.keys())), renamed)


def _went_along(old: str, new: str, moved: Mapping[str, str]) -> bool:
    return any(
        above in moved and moved[above] + old[len(above) :] == new
        for above in (old[:at] for at, char in enumerate(old) if char == SEPARATOR)
    )


@dataclass(frozen=True, slots=True)
class OwnChange:
    """What a client has done itself. ``renamed``: names before and after, "" where there was or is none; ``subscription``: a
    name, and whether it is subscribed; ``entries``: by account, mailbox and entry the modseq at which it was set, 0: removed."""

    renamed: tuple[str, str] = ("", "")
    subscription: tuple[str, bool] = ("", False)
    entries: Mapping[tuple[str, int, str], int] = field(default_factory=dict)


def with_own_names(before: Names, now: Names, own: Sequence[OwnChange]) -> Names:
    """Return what a client knows of names: what it was told, and what it has done itself, as far as that still holds."""
    renamed = [one.renamed for one in own if any(one.renamed)]
    if not renamed:
        return before
    known = dict(before)
    for one in before.keys() | now.keys():
        old, new = before.get(one), now.get(one)
        if old != new and any(_is_own(old, new, *names) for names in renamed):
            if new is None:
                del known[one]
            else:
                known[one] = new
    return known


def _is_own(old: tuple[str, bool] | None, new: tuple[str, bool] | None, gone: str, made: str) -> bool:
    """Whether a client that made ``made`` of ``gone`` did that to a mailbox."""
    if old is not None and new is not None and old[0] != new[0]:
        at_or_below = old[0] == gone or old[0].startswith(gone + SEPARATOR)
        return bool(gone and made) and at_or_below and new[0] == made + old[0][len(gone) :]
    name, selectable = new or old or ("", False)
    if new is None or not selectable:  # it went, or nothing but its name stayed
        return not made and name == gone
    return made == name or made.startswith(name + SEPARATOR)


Entries = Mapping[int, Mapping[str, int]]  # by mailbox id and entry: the modseq at which it was set


class KnownEntries:
    """When entries were set that a client was told of."""

    __slots__ = ("_packed",)

    def __init__(self, entries: Entries) -> None:
        pairs = [[one, list(of.items())] for one, of in entries.items()]
        self._packed = zlib.compress(json.dumps(pairs).encode("ascii")) if pairs else b""

    def unpacked(self) -> Entries:
        """Return them."""
        return {one: dict(of) for one, of in json.loads(zlib.decompress(self._packed))} if self._packed else {}


def entry_changes(before: Entries, now: Entries) -> dict[int, list[str]]:
    """Return which entries were set or removed, by mailbox, of those of ``now``."""
    changes = {}
    for one, new in now.items():
        old = before.get(one, {})
        changes[one] = sorted(entry for entry in old.keys() | new.keys() if old.get(entry) != new.get(entry))
    return changes


def without_own_entries(
    changes: Mapping[int, Sequence[str]], now: Entries, account_id: str, own: Sequence[OwnChange]
) -> dict[int, list[str]]:
    """Leave out what the client itself did last."""
    mine = {key: modseq for one in own for key, modseq in one.entries.items()}
    return {
        one: [entry for entry in entries if mine.get((account_id, one, entry)) != now.get(one, {}).get(entry, 0)]
        for one, entries in changes.items()
    }


class KnownCounts:
    """Messages, UIDNEXT and unseen messages by mailbox."""

    __slots__ = ("_packed",)

    def __init__(self) -> None:
        self._packed = b""

    def unpacked(self) -> dict[int, tuple[int, int, int]]:
        """Return them by mailbox id."""
        numbers = array("I", zlib.decompress(self._packed) if self._packed else b"")
        return {one: (messages, uidnext, unseen) for one, messages, uidnext, unseen in _fours(numbers)}

    def keep(self, counts: Mapping[int, tuple[int, int, int]]) -> None:
        """Keep these in the place of all others."""
        numbers = array("I", [number for one, three in counts.items() for number in (one, *three)])
        self._packed = zlib.compress(numbers.tobytes())


def three(counts: MailboxStatus) -> tuple[int, int, int]:
    """Return what is kept of counts."""
    return counts.messages, counts.uidnext, counts.unseen


def _fours(numbers: Sequence[int]) -> Iterator[tuple[int, int, int, int]]:
    each = iter(numbers)
    return zip(each, each, each, each, strict=True)
