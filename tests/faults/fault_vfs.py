"""Disks that fail when they are told to: a VFS for SQLite, and the calls of ``os`` that blob files use.

``Faults`` counts the calls of the kinds that matter. Armed, it lets the Nth of them fail, and with ``lasting`` all that
come after it too, until it is lifted.
"""

from __future__ import annotations

import errno
import os
import threading
import weakref
from typing import Any

import apsw

WRITE, SYNC = "write", "sync"


class Faults:
    """Which call fails, and how."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self.calls = 0
        self.hits = 0
        self._kinds: frozenset[str] = frozenset((WRITE, SYNC))
        self._number = 0  # 0: none
        self._lasting = False

    def arm(self, kind: str, number: int, lasting: bool) -> None:
        """Let the Nth call of a kind fail, counted from now; 0 only counts."""
        with self._lock:
            self.calls = self.hits = 0
            self._kinds, self._number, self._lasting = frozenset((kind,)), number, lasting

    def lift(self) -> None:
        """Nothing fails any more, nothing is counted."""
        with self._lock:
            self._kinds, self._number = frozenset(), 0

    def fails(self, kind: str) -> bool:
        """Count a call and say whether it fails."""
        with self._lock:
            if kind not in self._kinds:
                return False
            self.calls += 1
            hit = self._number and (self.calls == self._number or (self._lasting and self.calls > self._number))
            self.hits += bool(hit)
            return bool(hit)


class FaultVFS(apsw.VFS):
    """The system's VFS with faults in writing and syncing. ``forgetful``: after a failed sync the octets written since
    the last good one are as they were before, as a kernel may leave them once it has reported the error."""

    def __init__(self, name: str, faults: Faults, error: int, forgetful: bool = False) -> None:
        self.name = name
        self.faults = faults
        self.error = error
        self.forgetful = forgetful
        self.read_only = 0  # so many files are opened to read, as where the disk cannot be written
        self.files: weakref.WeakSet[FaultFile] = weakref.WeakSet()
        super().__init__(name, "", iVersion=3)

    def xOpen(self, name: Any, flags: list[int]) -> FaultFile:
        if self.read_only and flags[0] & apsw.SQLITE_OPEN_MAIN_DB:
            self.read_only -= 1
            flags[0] = flags[0] & ~(apsw.SQLITE_OPEN_READWRITE | apsw.SQLITE_OPEN_CREATE) | apsw.SQLITE_OPEN_READONLY
        file = FaultFile(self, name, flags)
        self.files.add(file)
        return file

    def xGetLastError(self) -> tuple[int, str]:
        return self.error, os.strerror(self.error)

    def unsynced(self, ending: str) -> int:
        """How many writes a power cut would take from files of that name (forgetful only)."""
        return sum(len(file.unsynced) for file in self.files if file.name.endswith(ending))


class FaultFile(apsw.VFSFile):
    """One open file of :class:`FaultVFS`."""

    def __init__(self, vfs: FaultVFS, name: Any, flags: list[int]) -> None:
        self._vfs = vfs
        self.name = name.filename() if isinstance(name, apsw.URIFilename) else name or ""
        self.unsynced: list[tuple[int, bytes, int]] = []  # offset, octets before, size before
        super().__init__("", name, flags)

    def xWrite(self, data: bytes, offset: int) -> None:
        if self._vfs.forgetful:
            size = super().xFileSize()
            before = super().xRead(min(len(data), size - offset), offset) if offset < size else b""
            self.unsynced.append((offset, before, size))
        if self._vfs.faults.fails(WRITE):
            super().xWrite(bytes(data)[: len(data) // 2], offset)
            raise _sqlite_error(self._vfs.error, "write")
        super().xWrite(data, offset)

    def xSync(self, flags: int) -> None:
        if self._vfs.faults.fails(SYNC):
            while self.unsynced:
                offset, before, size = self.unsynced.pop()
                if before:
                    super().xWrite(before, offset)
                super().xTruncate(size)
            raise _sqlite_error(errno.EIO, "sync")
        self.unsynced.clear()
        super().xSync(flags)


def _sqlite_error(error: int, what: str) -> apsw.Error:
    if error == errno.ENOSPC:
        return apsw.FullError("injected")
    raised = apsw.IOError("injected")
    raised.extendedresult = apsw.SQLITE_IOERR_FSYNC if what == "sync" else apsw.SQLITE_IOERR_WRITE
    return raised


class FaultyOs:
    """The module ``os`` as ``store.blob_file`` sees it. Opening, renaming and writing count as writes."""

    def __init__(self, faults: Faults, error: int) -> None:
        self._faults = faults
        self._error = error
        self.trace: list[str] = []

    def __getattr__(self, name: str) -> Any:
        return getattr(os, name)

    def _check(self, kind: str, call: str = "") -> None:
        self.trace.append(call or kind)
        if self._faults.fails(kind):
            raise OSError(errno.EIO if kind == SYNC else self._error, "injected")

    def open(self, *args: Any) -> int:
        self._check(WRITE, "open")
        return os.open(*args)

    def rename(self, *args: Any) -> None:
        self._check(WRITE, "rename")
        os.rename(*args)

    def fsync(self, descriptor: int) -> None:
        self._check(SYNC)
        os.fsync(descriptor)

    def writev(self, descriptor: int, pieces: list[bytes]) -> int:
        data = b"".join(pieces)
        self._check(WRITE)
        return os.write(descriptor, data[: len(data) // 2])  # the rest is written by a second call, which may fail

    def write(self, descriptor: int, data: bytes) -> int:
        self._check(WRITE)
        return os.write(descriptor, data)
