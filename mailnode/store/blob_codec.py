"""The stored forms of message bytes, as pure functions.

Small content is one zstd frame, or plain where that is not smaller. A file is a sequence of zstd frames of
``FRAME`` content octets each, with checksums, followed by a seek table in a skippable frame: the zstd seekable format,
so that ``zstd -d`` can read it, and a byte range costs only the frames it touches.
"""

from __future__ import annotations

import hashlib
import struct
import sys
import threading
from collections.abc import Callable

from mailnode.errors import BlobDamaged
from mailnode.values.blob import BlobRef

if sys.version_info >= (3, 14):
    from compression import zstd
else:
    from backports import zstd

FRAME = 256 * 1024  # content octets
_MAX_FRAMES = 1 << 20
_SKIPPABLE_MAGIC = 0x184D2A5E
_SEEKABLE_MAGIC = 0x8F92EAB1
_ENTRY = struct.Struct("<II")  # octets compressed, octets of content
_HEAD = struct.Struct("<II")  # skippable magic, octets that follow
_FOOT = struct.Struct("<IBI")  # number of frames, descriptor 0 (no checksums in the table), seekable magic

# Level 3 takes twice the time of level 1 and makes mail smaller by less than a hundredth.
_OPTIONS: dict[int, int] = {zstd.CompressionParameter.checksum_flag: 1, zstd.CompressionParameter.compression_level: 1}
_thread = threading.local()  # making a compressor costs as much as compressing a small message


def encode_small(data: bytes) -> tuple[str, bytes]:
    """Return encoding and stored form of content that fits in memory."""
    compressor = getattr(_thread, "compressor", None)
    if compressor is None:
        compressor = _thread.compressor = zstd.ZstdCompressor(options=_OPTIONS)
    packed: bytes = compressor.compress(data, zstd.ZstdCompressor.FLUSH_FRAME)
    return ("zstd", packed) if len(packed) < len(data) else ("plain", data)


def decode_small(ref: BlobRef, stored: bytes) -> bytes:
    """Undo :func:`encode_small` and verify. :raises BlobDamaged:"""
    try:
        content = zstd.decompress(stored) if ref.encoding == "zstd" else bytes(stored)
    except zstd.ZstdError as error:
        raise BlobDamaged(ref.blob_id) from error
    return verified(ref, content)


def verified(ref: BlobRef, content: bytes) -> bytes:
    """Return whole content if it is what was written. :raises BlobDamaged:"""
    if len(content) != ref.size or hashlib.sha256(content).digest() != ref.digest:
        raise BlobDamaged(ref.blob_id)
    return content


def encode_frame(content: bytes) -> bytes:
    """Return one frame of a file."""
    return zstd.compress(content, options=_OPTIONS)


def seek_table(frames: list[tuple[int, int]]) -> bytes:
    """Return what ends a file. :param frames: (octets compressed, octets of content) of each."""
    body = b"".join(_ENTRY.pack(*frame) for frame in frames) + _FOOT.pack(len(frames), 0, _SEEKABLE_MAGIC)
    return _HEAD.pack(_SKIPPABLE_MAGIC, len(body)) + body


def read_range(ref: BlobRef, file_size: int, pread: Callable[[int, int], bytes], start: int, end: int) -> bytes:
    """Return content octets ``start`` to ``end`` of a file. :param pread: (octets, offset) -> bytes.

    :raises BlobDamaged: short, or not what was written.
    """
    pieces = []
    position = offset = 0
    for packed_size, size in _frames(ref, file_size, pread):
        if position >= end:
            break
        if position + size > start:
            content = _decode_frame(ref, pread(packed_size, offset), size)
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


def _decode_frame(ref: BlobRef, packed: bytes, size: int) -> bytes:
    try:
        # bounded: a damaged frame must not be able to grow without end
        decompressor = zstd.ZstdDecompressor()
        content = decompressor.decompress(packed, size + 1)
    except zstd.ZstdError as error:
        raise BlobDamaged(ref.blob_id) from error
    if len(content) != size or not decompressor.eof:
        raise BlobDamaged(ref.blob_id)
    return content


def _whole(ref: BlobRef, pread: Callable[[int, int], bytes], size: int, offset: int) -> bytes:
    data = pread(size, offset)
    if len(data) != size:
        raise BlobDamaged(ref.blob_id)
    return data
