"""What setup says, in words: few lines, what is well in one each, what is not with what mends it."""

from __future__ import annotations

import shlex
from collections import Counter
from collections.abc import Collection, Iterator, Sequence

from mailnode.values.item import Item, ItemState

MAX_LINES = 57  # of all, without --explain
CHECK_LINES = 10  # of checks that are not well, kept free
SHORT_MEND = 4  # lines of what mends one item
WIDTH = 160  # characters of one line
_MARKS = {
    ItemState.DONE: "done",
    ItemState.TO_DO: "TO DO",
    ItemState.WAITING: "waiting",
    ItemState.FAILED: "FAILED",
    ItemState.SKIPPED: "skipped",
}


class SetupLines:
    """Lines about items, one after the other. What does not fit into ``MAX_LINES`` is left for ``--explain``, and checks that are
    well stand in one line."""

    def __init__(self, names: Collection[str], *, explain: bool) -> None:
        """:param names: of the items of setup itself; others are checks."""
        self._names = names
        self._explain = explain
        self._left = MAX_LINES - len(names) - CHECK_LINES
        self._well: list[str] = []  # checks that are
        self._checks = CHECK_LINES  # that may still have a line each
        self._unsaid = 0  # checks that are not well, beyond those

    def lines(self, item: Item) -> Iterator[str]:
        """Yield what is said of an item."""
        if item.name not in self._names and item.state is ItemState.DONE and not self._explain:
            self._well.append(item.name)
            return
        if item.name in self._names and self._well:
            yield _shortened(
                f"{_MARKS[ItemState.DONE]:<8} {'checks':<18} {', '.join(_kinds(self._well))}", self._explain
            )
            self._well.clear()
        if item.name not in self._names and not self._explain:
            self._checks -= 1
            if self._checks <= 0:
                self._unsaid += 1
                return
        if item.name in self._names and self._unsaid:
            yield f"{'':<8} {self._unsaid} more checks are not well: --explain shows them"
            self._unsaid = 0
        yield _shortened(f"{_MARKS[item.state]:<8} {item.name:<18} {_printable(item.seen)}", self._explain)
        further = _printable(item.mend).splitlines() if _is_worth_mending(item) or self._explain else []
        if not self._explain and len(further) > SHORT_MEND:
            further = [*further[: SHORT_MEND - 1], "... --explain shows all of it"]
        if self._explain and item.explained:
            further = [*item.explained.splitlines(), *further]
        for line in further:
            if self._explain or self._left > 0:
                self._left -= 1
                yield _shortened(f"{'':<8} {line}", self._explain)


def _kinds(names: Sequence[str]) -> list[str]:
    """Return names, those of several things of one kind once: "ports" for "ports:25" and "ports:465"."""
    return list(dict.fromkeys(name.partition(":")[0] for name in names))


def _is_worth_mending(item: Item) -> bool:
    return bool(item.mend) and item.state is not ItemState.WAITING


def _printable(text: str) -> str:
    return "".join(sign if sign.isprintable() or sign == "\n" else "?" for sign in text)


def _shortened(line: str, explain: bool) -> str:
    line = line.replace("\n", "; ")
    return line if explain or len(line) <= WIDTH else line[: WIDTH - 3] + "..."


def last_line(items: Sequence[Item]) -> str:
    """Return how it stands as a whole."""
    counts = Counter(item.state for item in items)
    told = ", ".join(f"{counts[state]} {state.value}" for state in ItemState if counts[state])
    if counts[ItemState.FAILED] or counts[ItemState.TO_DO]:
        return f"{told}. Mend what is marked and run the same command again: it goes on where it stands."
    if counts[ItemState.WAITING]:
        return f"{told}. Run the same command again later: it goes on where it stands."
    return f"{told}."


def spoken_command(items: Sequence[Item], command: Sequence[str]) -> str:
    """Return what ``mailnode`` stands for in what was said to mend items; "": nothing of the kind was said."""
    said = any(_is_worth_mending(item) and "mailnode " in f" {item.mend}".replace("/mailnode ", "") for item in items)
    return f"Where it says mailnode, that is: {shlex.join(command)}" if said else ""


def is_well(items: Sequence[Item]) -> bool:
    """Whether nothing is left for a person to do."""
    return not any(item.state in (ItemState.FAILED, ItemState.TO_DO) for item in items)
