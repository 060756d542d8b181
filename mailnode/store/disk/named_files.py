"""Whether the files a process writes still have their names: what is acknowledged must be found at the next start."""

from __future__ import annotations

import os

LOG = "-wal"
INDEX = "-shm"  # of the log, shared by all processes: each that opened another would not see what the others do


class FileLost(Exception):
    """A file is not under its name any more; the text names it."""


class NamedFiles:
    """A database file, its write-ahead log and the log's index, each known by the inode that had the name when it was first
    looked at. While we hold them open, no other file can have these inodes."""

    def __init__(self, path: str, kept: int = 0) -> None:
        """:param kept: octets below which the log is never cut by itself."""
        self._path = path
        self._kept = kept
        self._log = path + LOG
        self._beside = (self._log, path + INDEX)
        self._known: dict[str, tuple[int, int]] = {}
        self._written = 0  # octets the log had after the last commit, at most those that are kept
        self._shortened = False

    def check(self, committed: bool = False) -> None:
        """Look at the file and, once they are known, what stands beside it; after a commit it must be there. A microsecond
        each.

        :raises FileLost:"""
        self._check(self._path)
        for name in self._beside:
            if committed or name in self._known:
                octets = self._check(name)
                if committed and name == self._log:
                    self._written = min(octets, self._kept)
        # After a commit its length says nothing more, and was looked at just now.
        if self._shortened or (not committed and self.log_is_short()):
            raise FileLost(f"{self._log}: it was shortened while in use")

    def log_is_short(self) -> bool:
        """Whether the log has lost what was written into it, to be asked before a commit: afterwards it is as long as ever,
        with a hole in it. By any thread."""
        written = self._written
        if written and not self._shortened:
            try:
                short = os.stat(self._log).st_size < written
            except OSError:
                return False  # that is for the check to say
            self._shortened = short and self._written == written  # else it was emptied by ourselves meanwhile
        return self._shortened

    def log_is_emptied(self) -> None:
        """It is about to be, by its owner."""
        self._written = 0

    def forget_log(self) -> None:
        """Its connections are closed: with the next one there may be another."""
        for name in self._beside:
            self._known.pop(name, None)
        self._written = 0
        self._shortened = False

    def _check(self, name: str) -> int:
        try:
            found = os.stat(name)
        except OSError as error:
            raise FileLost(f"{name}: {error.strerror}: it was moved or removed while in use") from error
        identity = found.st_dev, found.st_ino
        if self._known.setdefault(name, identity) != identity:
            raise FileLost(f"{name}: another file has this name now")
        return found.st_size
