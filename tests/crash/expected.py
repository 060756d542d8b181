"""What must be in a server's mailboxes, what may be, and what must not, by what its clients asked and were told."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from enum import Enum
from typing import Any

Place = tuple[str, str]  # an account and a mailbox
FAR = "far"  # what goes on to another server


class There(Enum):
    """Whether a message is in a mailbox."""

    YES = "must be there"
    MAYBE = "may be there"  # it was in flight
    NO = "must not be there"


@dataclass
class Held:
    """A message in a mailbox."""

    there: There
    late: bool = False  # it may still come: it was handed over for delivery, which goes on after a crash
    flags: dict[str, bool | None] = field(default_factory=dict)  # None: in flight


@dataclass
class Row:
    """A message as a server shows it."""

    uid: int
    name: str
    flags: frozenset[str]
    whole: bool


@dataclass
class Found:
    """A mailbox as a server shows it."""

    uidvalidity: int
    uidnext: int
    modseq: int
    rows: list[Row]


@dataclass(frozen=True)
class Fault:
    """What is wrong. ``passing``: a delivery that goes on may mend it."""

    text: str
    passing: bool = False

    def __str__(self) -> str:
        return self.text


@dataclass
class _Numbers:
    """Of a mailbox: what clients were told."""

    uidvalidity: int = 0
    uidnext: int = 0
    modseq: int = 0
    names: dict[int, str] = field(default_factory=dict)  # by UID


# Of an entry: the account, the mailbox, where to, and which messages.
_Group = tuple[str, tuple[Place, ...], tuple[str, ...]]


class Expected:
    """Fed with the entries of a journal."""

    def __init__(self) -> None:
        self.held: dict[Place, dict[str, Held]] = {}
        self.far: dict[str, There] = {}
        self._numbers: dict[Place, _Numbers] = {}
        self._in_flight: dict[_Group, str] = {}

    # --- what the journal tells

    def take(self, entries: Iterable[dict[str, Any]]) -> None:
        """Learn what was asked and acknowledged."""
        for entry in entries:
            getattr(self, f"_{entry['kind']}")(entry, entry["phase"] == "done")

    def _deliver(self, entry: dict[str, Any], done: bool) -> None:
        """To INBOXes, and to FAR. ``to``: whom it was accepted for, once it was."""
        for account in entry["to"]:
            if account == FAR:
                self.far[entry["name"]] = There.YES if done else There.MAYBE
            else:
                self._put((account, "INBOX"), entry["name"], done, late=True)

    def _append(self, entry: dict[str, Any], done: bool) -> None:
        place = entry["account"], entry["mailbox"]
        self._put(place, entry["name"], done).flags.update(dict.fromkeys(entry["flags"], True))
        self._told(entry, place, [entry["name"]])

    def _flag(self, entry: dict[str, Any], done: bool) -> None:
        place = entry["account"], entry["mailbox"]
        for name in entry["names"]:
            held = self.held[place][name]
            for flag in entry["flags"]:
                held.flags[flag] = entry["add"] if done else None
        self._numbers_of(place).modseq = max(self._numbers_of(place).modseq, entry.get("modseq", 0))

    def _copy(self, entry: dict[str, Any], done: bool) -> None:
        self._copies(entry, done)
        self._group(entry, done, (entry["account"], entry["to"]))

    def _move(self, entry: dict[str, Any], done: bool) -> None:
        self._copies(entry, done)
        place = entry["account"], entry["mailbox"]
        self._drop(place, entry["names"], done)
        self._group(entry, done, place, (entry["account"], entry["to"]))

    def _expunge(self, entry: dict[str, Any], done: bool) -> None:
        place = entry["account"], entry["mailbox"]
        self._drop(place, entry["names"], done)
        self._group(entry, done, place)

    def _copies(self, entry: dict[str, Any], done: bool) -> None:
        place = entry["account"], entry["to"]
        for name in entry["names"]:
            self._put(place, name, done).flags = dict(self.held[entry["account"], entry["mailbox"]][name].flags)
        self._told(entry, place, entry["names"])

    def _put(self, place: Place, name: str, done: bool, late: bool = False) -> Held:
        held = self.held.setdefault(place, {}).setdefault(name, Held(There.NO))
        held.there, held.late = (There.YES if done else There.MAYBE), late
        return held

    def _drop(self, place: Place, names: list[str], done: bool) -> None:
        for name in names:
            self.held[place][name].there = There.NO if done else There.MAYBE
            self.held[place][name].late = False

    def _group(self, entry: dict[str, Any], done: bool, *places: Place) -> None:
        """Remember that these happen to all messages or to none."""
        group = entry["kind"], places, tuple(entry["names"])
        if done:
            self._in_flight.pop(group, None)
        else:
            self._in_flight[group] = entry["kind"]

    def _told(self, entry: dict[str, Any], place: Place, names: list[str]) -> None:
        for name, uid in zip(names, entry.get("uids", ()), strict=False):
            self._numbers_of(place).names[uid] = name
            self._numbers_of(place).uidnext = max(self._numbers_of(place).uidnext, uid + 1)

    def _numbers_of(self, place: Place) -> _Numbers:
        return self._numbers.setdefault(place, _Numbers())

    # --- what a server shows

    def certain(self, place: Place) -> list[str]:
        """Return the names of messages that must be there."""
        return [name for name, held in list(self.held.get(place, {}).items()) if held.there is There.YES]

    def faults(self, found: dict[Place, Found]) -> list[Fault]:
        """Return what is not as it must be."""
        wrong: list[Fault] = []
        for place, mailbox in found.items():
            wrong += self._wrong_numbers(place, mailbox)
            wrong += self._wrong_messages(place, mailbox)
        names = {place: {row.name for row in mailbox.rows} for place, mailbox in found.items()}
        wrong += self._halves(names)
        return wrong

    def _wrong_numbers(self, place: Place, mailbox: Found) -> Iterable[Fault]:
        known = self._numbers_of(place)
        if known.uidvalidity and mailbox.uidvalidity != known.uidvalidity:
            yield Fault(f"{place}: UIDVALIDITY was {known.uidvalidity} and is {mailbox.uidvalidity}")
        if mailbox.uidnext < known.uidnext:
            yield Fault(f"{place}: UIDNEXT {mailbox.uidnext} went back from {known.uidnext}")
        if mailbox.modseq < known.modseq:
            yield Fault(f"{place}: HIGHESTMODSEQ {mailbox.modseq} went back from {known.modseq}")
        for row in mailbox.rows:
            if known.names.get(row.uid, row.name) != row.name:
                yield Fault(f"{place}: UID {row.uid} was {known.names[row.uid]} and is {row.name}")
            if row.uid >= mailbox.uidnext:
                yield Fault(f"{place}: UID {row.uid} is not below UIDNEXT {mailbox.uidnext}")

    def _wrong_messages(self, place: Place, mailbox: Found) -> Iterable[Fault]:
        held = self.held.get(place, {})
        seen: set[str] = set()
        for row in mailbox.rows:
            one = held.get(row.name)
            if one is None or one.there is There.NO:
                yield Fault(f"{place}: {row.name} {'was expunged and is back' if one else 'was never sent there'}")
            if row.name in seen:
                yield Fault(f"{place}: {row.name} is there twice")
            if not row.whole:
                yield Fault(f"{place}: {row.name} is not whole")
            seen.add(row.name)
            for flag, is_set in (one.flags if one else {}).items():
                if is_set is not None and is_set != (flag in row.flags):
                    yield Fault(f"{place}: {row.name} {'lost' if is_set else 'has'} {flag}")
        for name, one in held.items():
            if one.there is There.YES and name not in seen:
                yield Fault(f"{place}: {name} was acknowledged and is lost", passing=one.late)

    def _halves(self, names: dict[Place, set[str]]) -> Iterable[Fault]:
        """What was in flight was done to all of its messages or to none."""
        for kind, places, messages in self._in_flight:
            if any(place not in names for place in places):
                continue
            there = [tuple(message in names[place] for message in messages) for place in places]
            if any(len(set(each)) > 1 for each in there):
                yield Fault(f"{places}: {kind} of {messages} was done to some: {there}")
            elif kind == "move" and there[0] == there[1]:
                yield Fault(f"{places}: {kind} of {messages} left them {'in both' if there[0][0] else 'nowhere'}")

    def settle(self, found: dict[Place, Found]) -> None:
        """Take what was in flight for what it has become: from now on it must stay so."""
        for place, mailbox in found.items():
            known = self._numbers_of(place)
            known.uidvalidity = mailbox.uidvalidity
            known.uidnext = max(known.uidnext, mailbox.uidnext)
            known.modseq = max(known.modseq, mailbox.modseq)
            rows = {row.name: row for row in mailbox.rows}
            known.names.update({row.uid: row.name for row in mailbox.rows})
            for name, held in self.held.get(place, {}).items():
                if held.there is There.MAYBE and (name in rows or not held.late):
                    held.there = There.YES if name in rows else There.NO
                for flag, is_set in held.flags.items():
                    if is_set is None and name in rows:
                        held.flags[flag] = flag in rows[name].flags
        self._in_flight.clear()
