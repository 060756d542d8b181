"""Room kept back on the data directory's disk, so that a full disk stops new mail and nothing else.

The reserve is a file. Whoever meets the full disk, in whatever process, removes it: what it took is there for expunging,
deletion, flags and leases. While it is missing the store refuses what brings more mail, and nothing eats that room up. It
is made anew when there is room for it twice. So its being there is the state, which all processes see and a restart finds.

What files give back when they are closed is kept in a second file for the start that opens them again: others may have
taken all else, and whoever wants to read needs no more than that.
"""

from __future__ import annotations

import contextlib
import errno
import os
from collections.abc import Callable
from pathlib import Path

# Expunging 1,000 messages writes a quarter of a MiB of log; a database that is opened needs 32 KiB beside it.
RESERVE = 8 * 1024 * 1024  # octets
NEEDED = 2 * RESERVE  # octets that are free when it is made
OPENING = 64 * 1024  # octets for each file that is opened: what SQLite keeps beside it, and the head of its log
FULL = frozenset((errno.ENOSPC, errno.EDQUOT))


class Reserve:
    """The reserve of one data directory, seen from one process; all methods block for some microseconds."""

    def __init__(self, directory: Path, report: Callable[..., None]) -> None:
        """:param report: takes an event of the log and its fields; called by any thread."""
        self._path = directory / "reserve"
        self._name = str(self._path)
        self._for_start = directory / "reserve.start"
        self._report = report

    def begin(self) -> None:
        """Make the reserve if there is room, or give it back where even a start would fail without. By the owner of the
        directory, before it opens anything. :raises OSError:"""
        self._new.unlink(missing_ok=True)
        self._for_start.unlink(missing_ok=True)
        if self.free() < RESERVE // 2:
            self.give_back()
        else:
            self.full()

    def end(self, files: int) -> None:
        """Keep for the next start what it needs to open so many files, or what there is of it. By the owner, when it has
        closed them."""
        zeros = bytes(OPENING)
        with contextlib.suppress(OSError), open(self._for_start, "wb", buffering=0) as file:
            for _ in range(files):
                file.write(zeros)  # where the disk is full, a part of it is written and then nothing

    def full(self) -> bool:
        """Whether more mail is to be refused. Makes the reserve anew where it can be."""
        try:
            return not os.path.exists(self._name) and not self._make()
        except FileNotFoundError:
            return False  # no directory: what is done next says it better

    def give_back(self) -> bool:
        """The disk is full: give its octets to others. False: they have been given already."""
        try:
            os.unlink(self._path)
        except OSError:
            return False
        self._report("store.full", path=str(self._path.parent))
        return True

    def free(self) -> int:
        """How many octets others than root may still write on this disk. :raises OSError:"""
        found = os.statvfs(self._path.parent)
        return found.f_bavail * found.f_frsize

    @property
    def _new(self) -> Path:
        return self._path.with_suffix(".new")

    def _make(self) -> bool:
        if self.free() < NEEDED:
            return False
        try:
            descriptor = os.open(self._new, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
        except FileExistsError:
            return True  # another thread or process makes it: there is room
        try:
            os.posix_fallocate(descriptor, 0, RESERVE)
            os.rename(self._new, self._path)
        except OSError:
            with contextlib.suppress(OSError):
                os.unlink(self._new)
            return False
        finally:
            os.close(descriptor)
        self._report("store.room", path=str(self._path.parent))
        return True
