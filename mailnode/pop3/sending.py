"""Answers of many lines, sent in pieces as the client takes them (RFC 1939 3): messages, and what is listed."""

from __future__ import annotations

from collections.abc import Iterable

from mailnode.errors import BlobDamaged
from mailnode.interfaces.store import IMaildrop
from mailnode.interfaces.wire import IChannel
from mailnode.pop3.content import DotStuffer, TopFilter
from mailnode.values.mailbox import PopMessage

PIECE = 64 * 1024  # octets sent at once
READ = 4 * PIECE  # octets read at once: the store decompresses by so many


async def read(drop: IMaildrop, message: PopMessage, offset: int) -> bytes:
    """Return octets of a message from ``offset`` on, none only at its end.

    :raises NoSuchMessage, BlobDamaged, StoreUnavailable, Busy:
    """
    piece: bytes = await drop.retrieve(message, offset, min(READ, message.size - offset))
    if not piece and offset < message.size:
        raise BlobDamaged
    return piece


async def send_message(
    channel: IChannel, drop: IMaildrop, message: PopMessage, opening: bytes, content: bytes, only: TopFilter | None
) -> bool:
    """Send a message from its first octets on; False when the connection went before its end.

    :param opening: the line before it; it, a short message and its end go out together. :param content: what
        :func:`read` has returned first. :raises NoSuchMessage, BlobDamaged, StoreUnavailable, Busy: in the middle of it.
    """
    waiting = opening
    stuffer = DotStuffer()
    offset = 0
    while True:
        for start in range(0, len(content), PIECE):
            if start:
                channel.write(waiting)
                waiting = b""
                await channel.drain()
            piece = content[start : start + PIECE]
            waiting += stuffer.feed(piece if only is None else only.feed(piece))
            if only is not None and only.done:
                break
        offset += len(content)
        if offset >= message.size or (only is not None and only.done):
            channel.write(waiting + stuffer.finish())
            return True
        channel.write(waiting)
        waiting = b""
        await channel.drain()
        if channel.closed:
            return False
        content = await read(drop, message, offset)


async def send_lines(channel: IChannel, opening: bytes, lines: Iterable[bytes]) -> bool:
    """Send lines that never begin with a dot, and their end; False when the connection went before.

    :param opening: the line before them.
    """
    waiting = [opening]
    size = 0
    for line in lines:
        waiting.append(line + b"\r\n")
        size += len(line) + 2
        if size >= PIECE:
            channel.write(b"".join(waiting))
            waiting, size = [], 0
            await channel.drain()
            if channel.closed:
                return False
    waiting.append(b".\r\n")
    channel.write(b"".join(waiting))
    return True
