"""Reading files of a Maildir or an mbox: only what is a file by itself, never what a link leads to."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from mailnode.moving.model import ContentSink, MessageTooLarge, SourceMessage

PIECE = 256 * 1024  # octets read at once
MAX_LIST = 16 * 1024 * 1024  # octets of a file that lists names


class FileUnreadable(Exception):
    """Why a file cannot be read."""


@contextmanager
def opened(path: Path) -> Iterator[int]:
    """Open a file to be read. :raises FileNotFoundError: :raises FileUnreadable: it cannot be, or is none."""
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    except FileNotFoundError:
        raise
    except OSError as error:
        raise FileUnreadable(error.strerror) from None
    try:
        if not stat.S_ISREG(os.fstat(descriptor).st_mode):
            raise FileUnreadable("it is not a file")
        yield descriptor
    finally:
        os.close(descriptor)


def hand_over(path: Path, message: SourceMessage, sink: ContentSink) -> bool:
    """Hand a file over as a message; False: it is not there any more. :raises OSError: the disk that takes it is full."""
    try:
        with opened(path) as file:
            hand_over_range(file, 0, os.fstat(file).st_size, message, sink)
    except FileNotFoundError:
        return False
    except FileUnreadable as error:
        sink.fail(message, f"it cannot be read: {error}")
    return True


def hand_over_range(file: int, start: int, end: int, message: SourceMessage, sink: ContentSink) -> None:
    """Hand a part of an open file over as a message. :raises OSError: the disk that takes it is full."""
    sink.begin()
    try:
        for at in range(start, end, PIECE):
            sink.write(read_at(file, min(PIECE, end - at), at))
    except MessageTooLarge:
        sink.fail(message, "it is larger than messages may be here")
    except FileUnreadable as error:
        sink.fail(message, f"it cannot be read: {error}")
    else:
        sink.end(message)


def read_at(file: int, length: int, at: int) -> bytes:
    try:
        data = os.pread(file, length, at)
    except OSError as error:
        raise FileUnreadable(error.strerror) from None
    if len(data) < length:
        raise FileUnreadable("it became shorter meanwhile")
    return data


def lines(path: Path) -> list[bytes]:
    """Return the lines of a small file; none where there is none or it is too large."""
    try:
        with opened(path) as file:
            if os.fstat(file).st_size > MAX_LIST:
                return []
            content = b""
            while piece := os.read(file, PIECE):
                content += piece
    except (OSError, FileUnreadable):
        return []
    return content.splitlines()
