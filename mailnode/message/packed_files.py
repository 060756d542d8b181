"""Files that come packed, unpacked into bounded memory."""

from __future__ import annotations

import zlib
from io import BytesIO
from zipfile import ZIP_DEFLATED, ZIP_STORED, BadZipFile, ZipFile

MAX_UNPACKED = 10 * 1024 * 1024  # octets

_GZIP, _ZIP = b"\x1f\x8b", b"PK\x03\x04"
_ENCRYPTED = 1  # a bit of a member's flags


class NotUnpacked(Exception):
    """The text says why."""


def unpacked(content: bytes) -> bytes:
    """Return what is in a file by gzip, or the first one in a zip archive; what is neither, as it is. By their first octets: the
    types that senders give them are often wrong. For another process, or a thread when it is small.

    :raises NotUnpacked: it is damaged, or more than ``MAX_UNPACKED``."""
    try:
        data = _from_gzip(content) if content.startswith(_GZIP) else content
        data = _from_zip(content) if content.startswith(_ZIP) else data
    except (BadZipFile, NotImplementedError, RuntimeError, EOFError, OSError, ValueError, zlib.error):
        raise NotUnpacked("it is damaged") from None
    if len(data) > MAX_UNPACKED:
        raise NotUnpacked("it is too large")
    return data


def _from_gzip(content: bytes) -> bytes:
    unpacking = zlib.decompressobj(wbits=16 + zlib.MAX_WBITS)
    data = unpacking.decompress(content, MAX_UNPACKED + 1)
    if not unpacking.eof and len(data) <= MAX_UNPACKED:
        raise NotUnpacked("it is damaged")
    return data


def _from_zip(content: bytes) -> bytes:
    with ZipFile(BytesIO(content)) as archive:
        for member in archive.infolist():
            if member.filename.endswith("/"):  # is_dir() fails on Python 3.11 where a name is empty
                continue
            if member.flag_bits & _ENCRYPTED or member.compress_type not in (ZIP_STORED, ZIP_DEFLATED):
                raise NotUnpacked("it is packed in a way that is not known")
            with archive.open(member) as file:
                return file.read(MAX_UNPACKED + 1)
    raise NotUnpacked("nothing is in it")
