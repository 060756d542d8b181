"""What ends one item, and lets those that do not need it go on."""

from __future__ import annotations

from mailnode.values.item import ItemState


class SetupTrouble(Exception):
    """An item could not be done: what was seen, in a sentence without its full stop, and what mends it."""

    def __init__(self, seen: str, mend: str = "", state: ItemState = ItemState.FAILED) -> None:
        super().__init__(seen)
        self.seen = seen
        self.mend = mend
        self.state = state


class AnswerNeeded(Exception):
    """Something has to be known that nobody here can be asked: the name of the question, and its words."""

    def __init__(self, name: str, words: str) -> None:
        super().__init__(name)
        self.name = name
        self.words = words
