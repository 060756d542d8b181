"""Directories whose names outlast a power cut. Everything here blocks."""

from __future__ import annotations

import errno
import os
from pathlib import Path

from mailnode.durable import sync_directory


def make_directory(directory: Path) -> None:
    """Make a directory and those above it that are missing, each name durable. Blocks. :raises OSError:

    Where it is there the name is synced all the same: its maker may have been killed before it came to that.
    """
    missing = [directory]
    while not missing[-1].parent.is_dir():
        missing.append(missing[-1].parent)
    for one in reversed(missing):
        try:
            one.mkdir(mode=0o700, exist_ok=True)
        except FileExistsError:
            raise NotADirectoryError(errno.ENOTDIR, os.strerror(errno.ENOTDIR), str(one)) from None
        try:
            sync_directory(one.parent)
        except PermissionError:
            # One that we may not write and not even list: no name in it is ours.
            if os.access(one.parent, os.W_OK):
                raise
