"""What becomes of 8-bit content for a server that does not take it (no 8BITMIME, RFC 6152).

Mail of our own users is said in ASCII (RFC 6152 3 (2)) and signed anew. Mail of others is never changed, or what its
signatures cover would be: it goes as it is, which nearly every such server takes all the same, or back to its sender where
that is wanted.
"""

from __future__ import annotations

import os
import re
from collections.abc import AsyncIterator
from dataclasses import replace
from functools import partial
from pathlib import Path

from mailnode.delivery.scratch import remove as remove_file
from mailnode.delivery.scratch import scratch_file
from mailnode.interfaces.delivery import ISigner
from mailnode.interfaces.outbound import OutboundMessage
from mailnode.interfaces.runtime import IProcesses, IThreads
from mailnode.message.headers import MAX_HEADER, Field, field_names, fields, header_end, remove
from mailnode.message.seven_bit import to_seven_bit

PIECE = 64 * 1024  # octets at a time: what hashes them holds the reactor for a millisecond or two
_DOMAIN_TAG = re.compile(rb"(?:\A|;)[ \t]*d[ \t]*=[ \t]*([^; \t]+)")  # RFC 6376 3.5
_SIGNATURES = (b"dkim-signature", b"arc-message-signature")


class EightBit:
    """Finds what to send instead."""

    def __init__(
        self,
        threads: IThreads,
        processes: IProcesses,
        *,
        scratch: str | None = None,
        strict: bool = False,
        signer: ISigner | None = None,
    ) -> None:
        """:param scratch: directory for copies, None: the system's. :param strict: what a signature covers goes back.
        :param signer: signs anew what is changed; None: it leaves without a signature that holds."""
        self._threads = threads
        self._processes = processes
        self._scratch = scratch
        self._strict = strict
        self._signer = signer

    async def instead(self, message: OutboundMessage, own: bool, on_top: int) -> OutboundMessage | None:
        """Return what is sent, None when nothing may be. :param own: it is a message of one of our users. :param on_top:
        octets of fields that our door has put on top of it, such as a seal.

        :raises Busy: too much is to be done.
        """
        if own:
            said = await self._in_ascii(message)
            if said is not None:
                return said
        elif self._strict and await _is_signed(message, on_top):
            return None
        return replace(message, options=replace(message.options, body="7BIT"))

    async def _in_ascii(self, message: OutboundMessage) -> OutboundMessage | None:
        """Return a message said in ASCII, by another process, None when that cannot be. What it reads from has no name any
        more, and is gone with the last that may read it."""
        run = self._threads.run
        copy = await run("disk", scratch_file, self._scratch)
        try:
            async for piece in _pieces(message, 0):
                await run("disk", copy.write, piece)
            await run("disk", copy.flush)
            size = await self._processes.run(convert_file, copy.name)
            said = await run("disk", open, copy.name, "rb") if size is not None else None
        finally:
            await run("disk", remove_file, copy)
        if said is None or size is None:
            return None

        async def read(offset: int, length: int) -> bytes:
            """Read what another process wrote."""
            return await run("disk", os.pread, said.fileno(), length, offset)

        changed = replace(message, read=read, options=replace(message.options, body="7BIT", size=size))
        return changed if self._signer is None else await _signed_anew(changed, self._signer)


def convert_file(path: str) -> int | None:
    """Replace a message in a file by one in ASCII and return its octets, None when that cannot be; runs in another process."""
    file = Path(path)
    said = to_seven_bit(file.read_bytes())
    if said is None:
        return None
    file.write_bytes(said)
    return len(said)


async def _signed_anew(message: OutboundMessage, signer: ISigner) -> OutboundMessage:
    """Return a message with signatures of what it has become, in place of those that our door has put on top of it."""
    block = await _header(message)
    for domain in dict.fromkeys(filter(None, map(_signing_domain, fields(block)))):
        signature = await signer.begin([domain])
        if signature is not None:
            async for piece in _pieces(message, len(block)):
                signature.update(piece)
            bare = remove(block, [_SIGNATURES[0]], partial(_signs_for, domain))
            return _with_header(message, len(block), await signature.fields(message.envelope_id, bare) + bare)
    return message


def _with_header(message: OutboundMessage, before: int, header: bytes) -> OutboundMessage:
    """Return a message with another header in place of the first octets."""
    moved = len(header) - before

    async def read(offset: int, length: int) -> bytes:
        """Read the header, then the body."""
        if offset < len(header):
            return header[offset : offset + length]
        return await message.read(offset - moved, length)

    return replace(message, read=read, options=replace(message.options, size=message.size + moved))


async def _pieces(message: OutboundMessage, offset: int) -> AsyncIterator[bytes]:
    """Yield the content from an offset on; a read may give less than it is asked for."""
    while offset < message.size:
        piece = await message.read(offset, min(PIECE, message.size - offset))
        yield piece
        offset += len(piece)


def _signs_for(domain: str, field: Field) -> bool:
    return _signing_domain(field) == domain


def _signing_domain(field: Field) -> str:
    """Return the domain that signs, "" of any other field."""
    tag = _DOMAIN_TAG.search(field.value) if field.is_named(_SIGNATURES[0]) else None
    return tag[1].decode("ascii", "replace").lower() if tag is not None else ""


async def _header(message: OutboundMessage) -> bytes:
    """Read the header block, no more of it than is looked at."""
    block = b""
    async for piece in _pieces(message, 0):
        block += piece
        end = header_end(block)
        if end >= 0:
            return block[:end]
        if len(block) >= MAX_HEADER:
            break
    return block


async def _is_signed(message: OutboundMessage, on_top: int) -> bool:
    """Whether somebody else's signature covers the body."""
    names = field_names((await _header(message))[on_top:])
    return any(name in names for name in _SIGNATURES)
