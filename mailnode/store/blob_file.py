"""One blob file while it is written. Everything here blocks and belongs into a thread."""

from __future__ import annotations

import hashlib
import os
import threading
from io import BufferedWriter
from pathlib import Path

from mailnode.errors import StoreUnavailable
from mailnode.store import blob_codec


class BlobFile:
    """Frames added one after another; whole and durable when :meth:`finish` returns.

    One call at a time, but :meth:`discard` may come from another thread in the middle of one.
    """

    def __init__(self, path: Path) -> None:
        """:param path: where it is written; made by the first call."""
        self._path = path
        self._file: BufferedWriter | None = None
        self._digest = hashlib.sha256()
        self._frames: list[tuple[int, int]] = []
        self._discarded = False
        self._lock = threading.Lock()

    def add(self, content: bytes) -> None:
        """Append frames' content (a multiple of ``blob_codec.FRAME`` octets, only in the last call any number).

        :raises OSError:
        """
        self._digest.update(content)
        view = memoryview(content)
        for start in range(0, len(content), blob_codec.FRAME):
            frame = view[start : start + blob_codec.FRAME]
            packed = blob_codec.encode_frame(frame)
            with self._lock:
                self._open().write(packed)
            self._frames.append((len(packed), len(frame)))

    def finish(self, rest: bytes, target: Path) -> bytes:
        """Append the last frames, move to ``target``, whose directory is there, and sync; return the SHA-256 digest.

        The new name comes before the sync of the content: a journal that commits for that has the name too, and the sync of
        the directory finds nothing left to write. Until both have come no row may refer to the file.

        :raises OSError:
        """
        if rest:
            self.add(rest)
        with self._lock:
            file = self._open()
            file.write(blob_codec.seek_table(self._frames))
            file.flush()
            os.rename(self._path, target)
            self._path = target
            os.fsync(file.fileno())
            sync_directory(target.parent)
            file.close()
        return self._digest.digest()

    def discard(self) -> None:
        """Remove what was written. :raises OSError:"""
        with self._lock:
            self._discarded = True
            if self._file is not None:
                try:
                    self._file.close()
                finally:
                    self._path.unlink(missing_ok=True)

    def _open(self) -> BufferedWriter:
        if self._discarded:
            raise StoreUnavailable("this blob was given up")
        if self._file is None:
            self._file = os.fdopen(
                os.open(self._path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600), "wb"
            )
        return self._file


def sync_directory(directory: Path) -> None:
    """Make the names in a directory durable. :raises OSError:"""
    descriptor = os.open(directory, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
