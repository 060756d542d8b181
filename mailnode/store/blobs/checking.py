"""Whether a blob file holds what was written, read a frame at a time. Blocks."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterable
from pathlib import Path

from mailnode.errors import BlobDamaged
from mailnode.store.blobs import codec
from mailnode.values.blob import BlobRef


def what_is_wrong(files: Iterable[tuple[Path, BlobRef]]) -> dict[str, str]:
    """Say in words, by blob id, what is wrong with each file that is not what was written."""
    found = {}
    for path, ref in files:
        if words := _wrong(path, ref):
            found[ref.blob_id] = f"{words}: {path}"
    return found


def _wrong(path: Path, ref: BlobRef) -> str:
    digest = hashlib.sha256()
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)  # what is no file must not block
        try:
            size = os.fstat(descriptor).st_size
            for start in range(0, ref.size, codec.FRAME):
                end = min(start + codec.FRAME, ref.size)
                digest.update(
                    codec.read_range(ref, size, lambda octets, at: os.pread(descriptor, octets, at), start, end)
                )
        finally:
            os.close(descriptor)
    except FileNotFoundError:
        return "its file is missing"
    except OSError as error:
        return f"its file cannot be read ({error.strerror})"
    except BlobDamaged:
        return "its file is cut short or changed"
    return "" if digest.digest() == ref.digest else "its file is another or changed"
