"""Files that are there whole or not at all."""

from __future__ import annotations

import errno
import os
from contextlib import suppress
from pathlib import Path
from typing import BinaryIO

from mailnode.durable import sync_directory

MODE = 0o600
DIRECTORY = 0o700


class WholeFile:
    """A file that takes its name when it has ended, and the place of an older one."""

    def __init__(self, path: Path) -> None:
        """:raises OSError:"""
        self._path = path
        self._written = path.with_name(f".{path.name[:200]}.part")
        descriptor = os.open(self._written, os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW | os.O_CLOEXEC, MODE)
        self.file: BinaryIO = os.fdopen(descriptor, "w+b")

    def finish(self) -> None:
        """It is whole. :raises OSError:"""
        self.file.flush()
        os.fsync(self.file.fileno())
        self.file.close()
        self._written.rename(self._path)
        sync_directory(self._path.parent)

    def give_up(self) -> None:
        """Nothing of it stays."""
        with suppress(OSError):  # what is still to be written has no room either
            self.file.close()
        self._written.unlink(missing_ok=True)


def make_directory(path: Path, root: Path) -> None:
    """Make a directory with all above it that are not there. What is below the root is no link: whoever owns the place could
    have made one that leads elsewhere. :raises OSError:"""
    below = path.relative_to(root).parts
    for depth in range(1, len(below) + 1):
        one = root.joinpath(*below[:depth])
        if one.is_symlink():
            raise NotADirectoryError(errno.ENOTDIR, "it is a link, which is not followed", str(one))
    path.mkdir(DIRECTORY, parents=True, exist_ok=True)
