"""What was seen and told of each item, and what of a new look is news.

Something is news when two looks, some minutes apart, say the same: what is there for a moment is not. An item that changes again
and again is told to do so once, and then left alone until it has stayed the same for some days.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from typing import TypeAlias

from mailnode.values.item import Item, ItemState

DAY = 86_400.0  # seconds
RESTLESS_IN = 14 * DAY  # within which an item that changed so often changes again and again
RESTLESS = 4
CALM = 2.9 * DAY  # after which it is taken to stay: three daily looks
GONE = "gone"  # what was wrong is not looked at any more

States: TypeAlias = Mapping[str, str]  # by name: "failed", "to do", "done" or GONE


@dataclass(frozen=True, slots=True)
class KnownItem:
    """What is known of an item. ``state``: as above; ``since`` and ``changes``: UTC seconds."""

    state: str
    since: float
    changes: tuple[float, ...] = ()
    restless: bool = False


@dataclass(frozen=True, slots=True)
class UnsentNews:
    """News that are not known to be queued."""

    envelope_id: str
    to: str
    subject: str
    lines: tuple[str, ...]
    created: float


@dataclass(frozen=True, slots=True)
class DoctorMemory:
    """Everything. ``day``: of the last daily look, ``2026-11-30``. ``again_at``: UTC seconds, when what is suspected is looked at
    once more; 0.0: nothing is."""

    day: str = ""
    again_at: float = 0.0
    suspected: States = field(default_factory=dict)
    items: Mapping[str, KnownItem] = field(default_factory=dict)
    unsent: UnsentNews | None = None


@dataclass(frozen=True, slots=True)
class ItemNews:
    """One piece of news."""

    name: str
    before: str
    now: str
    restless: bool = False  # it has changed so often that no more is told of it


def differing(memory: DoctorMemory, items: Sequence[Item]) -> dict[str, str]:
    """Return what is otherwise than it is remembered, by name. What could not be known is as it was."""
    states = {item.name: _state(item) for item in items}
    found = {name: state for name, state in states.items() if state and state != _remembered(memory, name)}
    missing = [name for name, kept in memory.items.items() if kept.state not in ("done", GONE) and name not in states]
    return found | {name: state for name in missing if (state := _without_item(name, list(states)))}


def _without_item(name: str, seen: Sequence[str]) -> str:
    """Return what has become of an item that a look has not: "" where nothing is known, as when its check came to no end."""
    check, _, thing = name.partition(":")
    of_check = [other for other in seen if other.partition(":")[0] == check]
    if not of_check:
        return GONE  # there is no such check any more
    if not thing:
        return "done"  # it could not be looked at as a whole, and was now, thing by thing
    return GONE if any(":" in other for other in of_check) else ""


def confirmed(memory: DoctorMemory, items: Sequence[Item], now: float) -> tuple[DoctorMemory, list[ItemNews]]:
    """Return what is remembered after the second look, and the news: what both looks say."""
    again = differing(memory, items)
    sure = {name: state for name, state in again.items() if memory.suspected.get(name) == state}
    kept, news = dict(memory.items), []
    for name, state in sorted(sure.items()):
        kept[name], change = _changed(name, kept.get(name), state, now)
        news += [change] if change is not None else []
    for name, one in memory.items.items():
        if one.restless and name not in again and now - one.since >= CALM:
            kept[name] = replace(one, restless=False, changes=())
            news.append(ItemNews(name, one.state, one.state))
    forgotten = {name for name, one in kept.items() if one.state == GONE and now - one.since > RESTLESS_IN}
    kept = {name: one for name, one in kept.items() if name not in forgotten}
    return replace(memory, again_at=0.0, suspected={}, items=kept), news


def has_calmed(memory: DoctorMemory, now: float) -> bool:
    """Whether an item that changed again and again may have stopped to."""
    return any(one.restless and now - one.since >= CALM for one in memory.items.values())


def not_after(memory: DoctorMemory, now: float, ahead: float) -> DoctorMemory:
    """Return what is remembered with no time in the future: the clock was set back, and nothing waits until it is there again.

    :param ahead: seconds from now within which a second look may be due; one that is due later is due now."""
    items = {
        name: replace(one, since=min(one.since, now), changes=tuple(min(at, now) for at in one.changes))
        for name, one in memory.items.items()
    }
    return replace(memory, again_at=memory.again_at if memory.again_at <= now + ahead else now, items=items)


def _changed(name: str, before: KnownItem | None, state: str, now: float) -> tuple[KnownItem, ItemNews | None]:
    old = before or KnownItem("done", now)
    changes = (*(at for at in old.changes if now - at < RESTLESS_IN), now)
    if old.restless:
        return KnownItem(state, now, changes[-RESTLESS:], True), None
    restless = len(changes) >= RESTLESS
    return KnownItem(state, now, changes, restless), ItemNews(name, old.state, state, restless)


def _state(item: Item) -> str:
    """Return what is remembered of an item; "": nothing is known."""
    if item.state is ItemState.SKIPPED:
        return ""
    return item.state.value if item.state in (ItemState.FAILED, ItemState.TO_DO) else "done"


def _remembered(memory: DoctorMemory, name: str) -> str:
    kept = memory.items.get(name)
    return "done" if kept is None or kept.state == GONE else kept.state


def as_octets(memory: DoctorMemory) -> bytes:
    """Return it as it is kept."""
    return json.dumps(asdict(memory), ensure_ascii=True).encode("ascii")


def from_octets(content: bytes) -> DoctorMemory:
    """Return what :func:`as_octets` said. :raises ValueError: it is damaged."""
    if not content:
        return DoctorMemory()
    try:
        read = json.loads(content)
        unsent = read["unsent"]
        return DoctorMemory(
            str(read["day"]),
            float(read["again_at"]),
            {str(name): str(state) for name, state in read["suspected"].items()},
            {name: _item(one) for name, one in read["items"].items()},
            None if unsent is None else UnsentNews(**{**unsent, "lines": tuple(unsent["lines"])}),
        )
    except (LookupError, TypeError, AttributeError, RecursionError) as error:
        raise ValueError("it is damaged") from error


def _item(one: Mapping[str, object]) -> KnownItem:
    changes, since = one["changes"], one["since"]
    if not isinstance(changes, list) or not isinstance(since, float):
        raise TypeError
    return KnownItem(str(one["state"]), since, tuple(map(float, changes)), bool(one["restless"]))
