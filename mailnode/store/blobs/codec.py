"""The stored forms of message bytes, as pure functions.

Small content is one zstd frame, or plain where that is not smaller. A file is a sequence of zstd frames of
``FRAME`` content octets each, with checksums, followed by a seek table in a skippable frame: the zstd seekable format,
so that ``zstd -d`` can read it, and a byte range costs only the frames it touches.
"""

from __future__ import annotations

import hashlib
import struct
import threading
from collections.abc import Callable, Sequence

import zstandard

from mailnode.errors import BlobDamaged
from mailnode.values.blob import BlobRef, EncodedContent

FRAME = 256 * 1024  # content octets
_MAX_FRAMES = 1 << 20
_SKIPPABLE_MAGIC = 0x184D2A5E
_SEEKABLE_MAGIC = 0x8F92EAB1
_ENTRY = struct.Struct("<II")  # octets compressed, octets of content
_HEAD = struct.Struct("<II")  # skippable magic, octets that follow
_FOOT = struct.Struct("<IBI")  # number of frames, descriptor 0 (no checksums in the table), seekable magic

# Level 3 takes twice the time of level 1 and makes mail smaller by less than a hundredth.
_LEVEL = 1
_MAX_WINDOW = 1 << 23  # octets a damaged frame may make us allocate beside its content; ours need 1 << 19


class _Contexts(threading.local):
    """A thread's own, since they may not be shared; making one costs more than its work for a small message."""

    def __init__(self) -> None:
        self.compressor = zstandard.ZstdCompressor(level=_LEVEL, write_checksum=True, write_content_size=True)
        self.decompressor = zstandard.ZstdDecompressor(max_window_size=_MAX_WINDOW)


_thread = _Contexts()


def encode_small(data: bytes) -> tuple[str, bytes]:
    """Return encoding and stored form of content that fits in memory."""
    packed = encode_frame(data)
    return ("zstd", packed) if len(packed) < len(data) else ("plain", data)


def encode(data: bytes) -> EncodedContent:
    """Hash content that fits in memory, and return its stored form."""
    return hashlib.sha256(data).digest(), *encode_small(data)


def decode_small(ref: BlobRef, stored: bytes) -> bytes:
    """Undo :func:`encode_small` and verify. :raises BlobDamaged:"""
    blob_id, size, _, encoding, _ = ref  # at once: a value by its name costs more, and every message passes here
    return verified(ref, _decode_frame(blob_id, stored, size) if encoding == "zstd" else bytes(stored))


def verified(ref: BlobRef, content: bytes) -> bytes:
    """Return whole content if it is what was written. :raises BlobDamaged:"""
    blob_id, size, _, _, digest = ref
    if len(content) != size or hashlib.sha256(content).digest() != digest:
        raise BlobDamaged(blob_id)
    return content


def encode_frame(content: bytes | memoryview) -> bytes:
    """Return one frame of a file."""
    return _thread.compressor.compress(content)


def seek_table(frames: list[tuple[int, int]]) -> bytes:
    """Return what ends a file. :param frames: (octets compressed, octets of content) of each."""
    body = b"".join(_ENTRY.pack(*frame) for frame in frames) + _FOOT.pack(len(frames), 0, _SEEKABLE_MAGIC)
    return _HEAD.pack(_SKIPPABLE_MAGIC, len(body)) + body


def read_range(ref: BlobRef, file_size: int, pread: Callable[[int, int], bytes], start: int, end: int) -> bytes:
    """Return content octets ``start`` to ``end`` of a file. :param pread: (octets, offset) -> bytes.

    :raises BlobDamaged: short, or not what was written.
    """
    return read_frames(ref.blob_id, _frames(ref, file_size, pread), pread, start, end)


def read_frames(
    blob_id: str, frames: Sequence[tuple[int, int]], pread: Callable[[int, int], bytes], start: int, end: int
) -> bytes:
    """The same of a file whose frames are known: (octets compressed, octets of content) of each. :raises BlobDamaged:"""
    pieces = []
    position = offset = 0
    for packed_size, size in frames:
        if position >= end:
            break
        if position + size > start:
            content = _decode_frame(blob_id, pread(packed_size, offset), size)
            pieces.append(content[max(start - position, 0) : end - position])
        position += size
        offset += packed_size
    return b"".join(pieces)


def _frames(ref: BlobRef, file_size: int, pread: Callable[[int, int], bytes]) -> list[tuple[int, int]]:
    """Read the seek table from the file's end."""
    if file_size < _HEAD.size + _FOOT.size:
        raise BlobDamaged(ref.blob_id)
    count, _, magic = _FOOT.unpack(_whole(ref, pread, _FOOT.size, file_size - _FOOT.size))
    body = count * _ENTRY.size + _FOOT.size
    if magic != _SEEKABLE_MAGIC or count > _MAX_FRAMES or body + _HEAD.size > file_size:
        raise BlobDamaged(ref.blob_id)
    table = _whole(ref, pread, body - _FOOT.size, file_size - body)
    frames = list(_ENTRY.iter_unpack(table))
    if sum(size for _, size in frames) != ref.size or any(size > FRAME for _, size in frames):
        raise BlobDamaged(ref.blob_id)
    return frames


def _decode_frame(blob_id: str, packed: bytes, size: int) -> bytes:
    """Return a frame's content, of ``size`` octets. No more is allocated, whatever a damaged frame says of itself."""
    try:
        if zstandard.frame_content_size(packed) != size:  # ours all say it, and so much is allocated
            raise BlobDamaged(blob_id)
        return _thread.decompressor.decompress(packed, allow_extra_data=False)
    except zstandard.ZstdError as error:
        raise BlobDamaged(blob_id) from error


def _whole(ref: BlobRef, pread: Callable[[int, int], bytes], size: int, offset: int) -> bytes:
    data = pread(size, offset)
    if len(data) != size:
        raise BlobDamaged(ref.blob_id)
    return data
