"""What setup says, in words: few lines, what is well in one each, what is not with what mends it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence

from mailnode.values.item import Item, ItemState

MAX_LINES = 58  # of all, without --explain
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
    """Lines about items, one after the other. What does not fit into ``MAX_LINES`` is left for ``--explain``."""

    def __init__(self, *, explain: bool, expected: int) -> None:
        """:param expected: how many items there will be."""
        self._explain = explain
        self._left = MAX_LINES - expected

    def lines(self, item: Item) -> Iterator[str]:
        """Yield what is said of an item."""
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


def is_well(items: Sequence[Item]) -> bool:
    """Whether nothing is left for a person to do."""
    return not any(item.state in (ItemState.FAILED, ItemState.TO_DO) for item in items)
