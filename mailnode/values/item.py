"""What was looked at, or is to be done, and how it stands: the lines of ``mailnode setup`` and ``mailnode doctor``."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class ItemState(StrEnum):
    """How an item stands."""

    DONE = "done"  # as it should be
    TO_DO = "to do"  # the person has to do something: ``mend`` says what
    WAITING = "waiting"  # done here; somebody else takes their time, such as DNS
    FAILED = "failed"  # wrong, and it matters: ``mend`` says how to put it right
    SKIPPED = "skipped"  # not asked for, or it could not be known here: ``seen`` says why


@dataclass(frozen=True)
class Item:
    """One item, looked at once."""

    name: str  # stable, lower case, words joined by hyphens: "port-25-outwards"
    state: ItemState
    seen: str  # one sentence without its full stop: what was found
    mend: str = ""  # exact words or a command, lines joined by newlines; "": there is nothing to be done
    explained: str = ""  # for --explain: why it matters, in sentences
