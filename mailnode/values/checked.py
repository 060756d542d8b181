"""What came of comparing the store with itself."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class StoreChecked:
    """All of a store, looked at once."""

    accounts: int
    files: int  # of messages, that rows name
    messages: int  # whose content was read
    loose: int  # files of messages that nothing names for longer than two days: the sweep removes them
    faults: tuple[str, ...]  # a line each, as are the next two
    mended: tuple[str, ...]
    set_aside: tuple[str, ...]  # messages that cannot be read, found now or earlier
