"""Whether the files a process writes still have their names: what is acknowledged must be found at the next start."""

from __future__ import annotations

import os

LOG = "-wal"


class FileLost(Exception):
    """A file is not under its name any more; the text names it."""


class NamedFiles:
    """A database file and its write-ahead log, each known by the inode that had the name when it was first looked at.

    While we hold them open, no other file can have these inodes."""

    def __init__(self, path: str) -> None:
        self._path = path
        self._known: dict[str, tuple[int, int]] = {}

    def check(self, committed: bool = False) -> None:
        """Look at the file and, once it is known, the log; after a commit it must be there. A microsecond each.

        :raises FileLost:"""
        self._check(self._path)
        if committed or self._path + LOG in self._known:
            self._check(self._path + LOG)

    def forget_log(self) -> None:
        """Its connections are closed: with the next one there may be another."""
        self._known.pop(self._path + LOG, None)

    def _check(self, name: str) -> None:
        try:
            found = os.stat(name)
        except OSError as error:
            raise FileLost(f"{name}: {error.strerror}: it was moved or removed while in use") from error
        identity = found.st_dev, found.st_ino
        if self._known.setdefault(name, identity) != identity:
            raise FileLost(f"{name}: another file has this name now")
