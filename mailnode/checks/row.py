"""What a check is: one row, declared in a file of :mod:`mailnode.checks.looks`."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from enum import Enum, auto

from mailnode.checks.facts import ServerFacts
from mailnode.interfaces.checks import IMachine, INetwork
from mailnode.interfaces.dns import IDnsLookup
from mailnode.interfaces.runtime import IClock
from mailnode.values.item import Item, ItemState

WITHIN = 15.0  # seconds


class Occasion(Enum):
    """When a check makes sense."""

    SETUP = auto()
    DOCTOR = auto()


EVER = frozenset(Occasion)
DOCTOR_ONLY = frozenset({Occasion.DOCTOR})


@dataclass(frozen=True, slots=True)
class Surroundings:
    """The world that a check looks at, and nothing else."""

    facts: ServerFacts
    dns: IDnsLookup
    network: INetwork
    machine: IMachine
    clock: IClock


@dataclass(frozen=True, slots=True, kw_only=True)
class Check:
    """One check. ``look`` returns an item, or one for each thing there is of its kind; an item's name is the check's, where there
    are several with ":" and the thing behind it. It may raise nothing; what it raises anyway becomes an item.

    ``about`` says in a line what is looked at, ``why`` in sentences what it is for. ``within``: seconds it may take.
    """

    name: str
    about: str
    why: str
    look: Callable[[Surroundings], Awaitable[Sequence[Item]]]
    occasions: frozenset[Occasion] = EVER
    within: float = WITHIN


def done(name: str, seen: str) -> Item:
    """Return an item that is as it should be."""
    return Item(name, ItemState.DONE, seen)


def failed(name: str, seen: str, mend: str) -> Item:
    """Return an item that is wrong. :param mend: exact words or a command."""
    return Item(name, ItemState.FAILED, seen, mend)


def to_do(name: str, seen: str, mend: str) -> Item:
    """Return an item that works, and that somebody should do something about. :param mend: exact words or a command."""
    return Item(name, ItemState.TO_DO, seen, mend)


def skipped(name: str, seen: str, mend: str = "") -> Item:
    """Return an item that could not be looked at. :param seen: why."""
    return Item(name, ItemState.SKIPPED, seen, mend)
