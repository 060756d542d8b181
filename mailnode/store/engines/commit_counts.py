"""How many commits each SQLite file has had, beside the files: a file that has had fewer is not the one that was in use.

Written after each commit without a sync, so it costs a system call: it survives the process, not always the machine. What
it says after a power cut may be too little, never too much.
"""

from __future__ import annotations

import os
import struct
import zlib
from collections.abc import Sequence
from pathlib import Path

FILE = "commits"
_SLOT = 32  # octets: none crosses the end of a sector
_COUNT = struct.Struct("<QI")


class CommitCounts:
    """One file with a slot for each tenancy. Slots may be written by different threads."""

    def __init__(self, directory: Path, names: Sequence[str]) -> None:
        """Open, or make. :raises OSError:"""
        self._places = {name: number * _SLOT for number, name in enumerate(names)}
        self._descriptor = os.open(directory / FILE, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            size = len(names) * _SLOT
            if os.fstat(self._descriptor).st_size < size:
                os.posix_fallocate(self._descriptor, 0, size)
        except BaseException:
            os.close(self._descriptor)
            raise

    def read(self, name: str) -> int | None:
        """Return the count of a tenancy, None when there is none that can be believed. :raises OSError:"""
        octets = os.pread(self._descriptor, _COUNT.size, self._places[name])
        if len(octets) < _COUNT.size:
            return None
        count, check = _COUNT.unpack(octets)
        return int(count) if check == zlib.crc32(octets[:8]) else None

    def write(self, name: str, count: int) -> None:
        """Write it, without sync. :raises OSError:"""
        octets = struct.pack("<Q", count)
        os.pwrite(self._descriptor, octets + struct.pack("<I", zlib.crc32(octets)), self._places[name])

    def sync(self) -> None:
        """Make all of them durable. :raises OSError:"""
        os.fdatasync(self._descriptor)

    def close(self) -> None:
        """Give the descriptor back."""
        os.close(self._descriptor)
