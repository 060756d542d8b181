"""Files that are there whole or not at all, and names of directories, that outlast a power cut. Everything here blocks."""

from __future__ import annotations

import os
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path


def write_whole(
    path: Path, content: bytes, mode: int = 0o600, prepare: Callable[[int], object] = lambda descriptor: None
) -> None:
    """Write a file, synced with its name, so that at any moment either what was there or all of this is there.

    :param mode: it is never readable by more people than that. :param prepare: given the open file before it gets its name
        and mode, as for its owner. :raises OSError: what was there is there; when only the name could not be synced, perhaps this.
    """
    new = path.with_name(f".{path.name}.new")
    try:
        new.unlink(missing_ok=True)  # what somebody left who was killed
        descriptor = os.open(new, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
        with open(descriptor, "wb") as file:
            file.write(content)
            prepare(descriptor)
            os.fchmod(descriptor, mode)
            file.flush()
            os.fsync(descriptor)
        new.replace(path)
        sync_directory(path.parent)
    except BaseException:  # a full disk, Ctrl-C: no half of it is left
        with suppress(OSError):
            new.unlink(missing_ok=True)
        raise


def sync_directory(directory: Path) -> None:
    """Make the names in a directory durable. :raises OSError:"""
    descriptor = os.open(directory, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
