"""A message that policies refused, as those it was for may see it."""

from __future__ import annotations

from dataclasses import dataclass

from mailnode.values.address import Address


@dataclass(frozen=True, slots=True)
class RefusedMail:
    """``reply``: what its sender's server was told; ``why``: what decided, in words. ``header``: its header block, b"" when it was
    refused before it came. ``sender``: "" the null sender."""

    envelope_id: str
    sender: str
    recipients: tuple[Address, ...]
    peer: str
    helo: str
    reply: str
    why: str
    header: bytes = b""
