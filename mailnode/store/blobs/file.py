"""One blob file while it is written. Everything here blocks and belongs into a thread."""

from __future__ import annotations

import hashlib
import os
import threading
from pathlib import Path

from mailnode.durable import sync_directory
from mailnode.errors import StoreUnavailable
from mailnode.store.blobs import codec

GATHERED = 8 * codec.FRAME  # octets of content whose frames are in memory until they are written together


class BlobFile:
    """Frames added one after another; whole and durable when :meth:`finish` returns.

    One call at a time, but :meth:`discard` may come from another thread in the middle of one.
    """

    def __init__(self, path: Path) -> None:
        """:param path: where it is written; made by the first call."""
        self._path = path
        self._descriptor: int | None = None
        self._digest = hashlib.sha256()
        self._frames: list[tuple[int, int]] = []
        self._over = False  # durable, or given up
        self._lock = threading.Lock()

    def add(self, content: bytes | memoryview) -> None:
        """Append frames' content (a multiple of ``codec.FRAME`` octets, only in the last call any number).

        :raises OSError:
        """
        view = memoryview(content)
        for start in range(0, len(content), GATHERED):
            packed = self._pack(view[start : start + GATHERED])
            with self._lock:
                self._write(packed)

    def read(self, start: int, end: int) -> bytes:
        """Return content octets of the frames that were added, from ``start`` to ``end``. :raises OSError, BlobDamaged:"""
        with self._lock:
            if self._over or self._descriptor is None:
                raise StoreUnavailable("this blob was given up")
            descriptor = self._descriptor
            return codec.read_frames(
                self._path.name, self._frames, lambda size, offset: os.pread(descriptor, size, offset), start, end
            )

    def finish(self, rest: bytes, target: Path) -> bytes:
        """Append the last frames, move to ``target``, whose directory is there, and sync; return the SHA-256 digest.

        The new name comes before the sync of the content: a journal that commits for that has the name too, and the sync of
        the directory finds nothing left to write. Until both have come no row may refer to the file.

        :raises OSError:
        """
        before = max(len(rest) - 1, 0) // GATHERED * GATHERED
        view = memoryview(rest)
        self.add(view[:before])
        packed = self._pack(view[before:])
        packed.append(codec.seek_table(self._frames))
        with self._lock:
            descriptor = self._write(packed)
            os.rename(self._path, target)
            self._path = target
            os.fsync(descriptor)
            sync_directory(target.parent)
            self._over = True
            self._close()
        return self._digest.digest()

    def discard(self) -> None:
        """Remove what was written, unless it is whole and durable by now. :raises OSError:"""
        with self._lock:
            if self._over:
                return
            self._over = True
            if self._descriptor is not None:
                try:
                    self._close()
                finally:
                    self._path.unlink(missing_ok=True)

    def _pack(self, content: memoryview) -> list[bytes]:
        self._digest.update(content)
        packed = []
        for start in range(0, len(content), codec.FRAME):
            frame = content[start : start + codec.FRAME]
            packed.append(codec.encode_frame(frame))
            self._frames.append((len(packed[-1]), len(frame)))
        return packed

    def _write(self, pieces: list[bytes]) -> int:
        """Append pieces, by one call as a rule: each gives the interpreter's lock away. Returns the descriptor."""
        if self._over:
            raise StoreUnavailable("this blob was given up")
        if self._descriptor is None:
            self._descriptor = os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
        written = os.writev(self._descriptor, pieces)
        if written < sum(map(len, pieces)):
            left = memoryview(b"".join(pieces))[written:]
            while left:
                left = left[os.write(self._descriptor, left) :]
        return self._descriptor

    def _close(self) -> None:
        descriptor, self._descriptor = self._descriptor, None
        if descriptor is not None:
            os.close(descriptor)
