"""Answers of many lines, sent in pieces as the client takes them (RFC 1939 3): messages, and what is listed."""

from __future__ import annotations

from collections.abc import Iterable
from itertools import islice
from typing import Protocol

from mailnode.errors import BlobDamaged
from mailnode.interfaces.store import IMaildrop
from mailnode.pop3.wire.content import TopFilter
from mailnode.values.dots import DotStuffer
from mailnode.values.mailbox import PopMessage

PIECE = 64 * 1024  # octets sent at once
LINES = 1000  # of a list, each shorter than 100 octets, sent at once
READ = 4 * PIECE  # octets read at once: the store decompresses by so many


async def read(drop: IMaildrop, message: PopMessage, offset: int) -> bytes:
    """Return octets of a message from ``offset`` on, none only at its end.

    :raises NoSuchMessage, BlobDamaged, StoreUnavailable, Busy:
    """
    piece: bytes = await drop.retrieve(message, offset, min(READ, message.size - offset))
    if not piece and offset < message.size:
        raise BlobDamaged
    return piece


class Speaker(Protocol):
    """Who says it: a session."""

    def write(self, data: bytes) -> None:
        """Add to what goes out."""

    async def sent(self, within: bool) -> None:
        """Return when it has. :raises SessionEnds: nobody listens any more."""


async def send_message(
    speaker: Speaker, drop: IMaildrop, message: PopMessage, content: bytes, only: TopFilter | None
) -> None:
    """Send a message from its first octets on. A short one leaves together with the line before it.

    :param content: what :func:`read` has returned first.
    :raises NoSuchMessage, BlobDamaged, StoreUnavailable, Busy, SessionEnds: in the middle of it.
    """
    stuffer = DotStuffer()
    offset = 0
    while True:
        for start in range(0, len(content), PIECE):
            if start:
                await speaker.sent(within=True)
            piece = content[start : start + PIECE]
            speaker.write(stuffer.stuff(piece if only is None else only.take(piece)))
            if only is not None and only.done:
                break
        offset += len(content)
        if offset >= message.size or (only is not None and only.done):
            speaker.write(stuffer.finish())
            return
        await speaker.sent(within=True)
        content = await read(drop, message, offset)


async def send_lines(speaker: Speaker, lines: Iterable[bytes]) -> None:
    """Send lines that never begin with a dot, and their end. :raises SessionEnds: in the middle of it."""
    source = iter(lines)
    while some := list(islice(source, LINES)):
        speaker.write(b"\r\n".join([*some, b""]))
        if len(some) == LINES:
            await speaker.sent(within=True)
    speaker.write(b".\r\n")
