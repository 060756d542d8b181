"""Message bytes as the store keeps them."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import NamedTuple


class BlobRef(NamedTuple):
    """Where the bytes of one message lie. ``size`` is the number of content octets, before compression."""

    blob_id: str
    size: int
    place: str  # "inline" (a row of the tenancy's database) or "file"
    encoding: str  # "zstd" or "plain"
    digest: bytes  # SHA-256 of the content


EncodedContent = tuple[bytes, str, bytes]  # SHA-256 of the content, encoding, stored form


@dataclass(frozen=True, slots=True)
class StagedBlob:
    """Bytes on their way into the store. A ``file`` blob is already durable; an ``inline`` one carries its stored form
    in ``data`` and becomes durable with the unit that places it. ``content``: what it says, when it is small enough
    to be kept in memory so long; else b"". It stays behind when the blob goes to another process."""

    ref: BlobRef
    data: bytes = b""
    content: bytes = field(default=b"", compare=False, repr=False)

    def __reduce__(self) -> tuple[type[StagedBlob], tuple[BlobRef, bytes]]:
        """Travel without ``content``."""
        return StagedBlob, (self.ref, self.data)
