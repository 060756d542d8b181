"""Files that another process reads a message from, or writes one to: gone when that is done, or at the next start."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path
from typing import BinaryIO

SCRATCH = "mailnode-scan-"  # how their names begin


def scratch_file(directory: str | None) -> BinaryIO:
    """Return a new file to write to, which :func:`remove` takes away. Blocks. :param directory: None: the system's."""
    # Deleting on close would come before the other process has read it.
    return tempfile.NamedTemporaryFile("wb", prefix=SCRATCH, dir=directory, delete=False)  # type: ignore[return-value]


def remove(file: BinaryIO) -> None:
    """Close and remove one. Blocks."""
    file.close()
    os.unlink(file.name)


def remove_scratch(directory: Path) -> None:
    """Remove the copies that a crash left behind, before any process that shares the directory makes one. Blocks."""
    for left in directory.glob(f"{SCRATCH}*"):
        left.unlink(missing_ok=True)
