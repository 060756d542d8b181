"""What becomes of 8-bit content for a server that does not take it (no 8BITMIME, RFC 6152).

Mail of our own users is said in ASCII (RFC 6152 3 (2)). Mail of others is never changed, or what its signatures cover
would be: it goes as it is, which nearly every such server takes all the same, or back to its sender where that is wanted.
"""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path

from mailnode.delivery.scratch import remove, scratch_file
from mailnode.interfaces.outbound import OutboundMessage
from mailnode.interfaces.runtime import IProcesses, IThreads
from mailnode.message.headers import MAX_HEADER, field_names, header_end
from mailnode.message.seven_bit import to_seven_bit

PIECE = 1024 * 1024  # octets in memory at a time
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
    ) -> None:
        """:param scratch: directory for copies, None: the system's. :param strict: what a signature covers goes back."""
        self._threads = threads
        self._processes = processes
        self._scratch = scratch
        self._strict = strict

    async def instead(self, message: OutboundMessage, own: bool) -> OutboundMessage | None:
        """Return what is sent, None when nothing may be. :param own: it is a message of one of our users.

        :raises Busy: too much is to be done.
        """
        if own:
            said = await self._in_ascii(message)
            if said is not None:
                return said
        elif self._strict and await _is_signed(message):
            return None
        return replace(message, options=replace(message.options, body="7BIT"))

    async def _in_ascii(self, message: OutboundMessage) -> OutboundMessage | None:
        """Return a message said in ASCII, by another process, None when that cannot be. What it reads from has no name any
        more, and is gone with the last that may read it."""
        run = self._threads.run
        copy = await run("disk", scratch_file, self._scratch)
        try:
            for offset in range(0, message.size, PIECE):
                await run("disk", copy.write, await message.read(offset, min(PIECE, message.size - offset)))
            await run("disk", copy.flush)
            size = await self._processes.run(convert_file, copy.name)
            said = await run("disk", open, copy.name, "rb") if size is not None else None
        finally:
            await run("disk", remove, copy)
        if said is None or size is None:
            return None

        async def read(offset: int, length: int) -> bytes:
            """Read what another process wrote."""
            return await run("disk", os.pread, said.fileno(), length, offset)

        return replace(message, read=read, options=replace(message.options, body="7BIT", size=size))


def convert_file(path: str) -> int | None:
    """Replace a message in a file by one in ASCII and return its octets, None when that cannot be; runs in another process."""
    file = Path(path)
    said = to_seven_bit(file.read_bytes())
    if said is None:
        return None
    file.write_bytes(said)
    return len(said)


async def _is_signed(message: OutboundMessage) -> bool:
    """Whether a signature covers the body."""
    block = await message.read(0, min(message.size, MAX_HEADER))
    end = header_end(block)
    names = field_names(block[:end] if end >= 0 else block)
    return any(name in names for name in _SIGNATURES)
