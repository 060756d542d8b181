"""Files that a command is given, opened as operations take them."""

from __future__ import annotations

import os
import stat
import tempfile
from typing import BinaryIO

import click

from mailnode.admin.operations import OpenFile
from mailnode.ctl.parts import Place
from mailnode.ctl.wording import Given

MAX_PIPED = 1_100_000_000  # octets that are read of a pipe: more than any server takes


def open_file(place: Place, given: Given) -> None:
    """Put its descriptor in the place of the file ``content``; of what is no file, such as a pipe, that of a copy."""
    file: BinaryIO = given["content"]
    if not _is_file(file):  # of a pipe nobody can read at any place
        file = _copied(file)
    given["content"] = OpenFile(file.fileno())


def _is_file(file: BinaryIO) -> bool:
    try:
        return stat.S_ISREG(os.fstat(file.fileno()).st_mode)
    except OSError:  # it has no descriptor
        return False


def _copied(pipe: BinaryIO) -> BinaryIO:
    """Return a file with what comes through a pipe, which is gone when the command has ended."""
    with tempfile.TemporaryFile() as file:
        left = MAX_PIPED
        while left and (piece := pipe.read(min(left, 65536))):
            left -= file.write(piece)
        file.flush()
        return click.get_current_context().with_resource(os.fdopen(os.dup(file.fileno()), "rb"))
