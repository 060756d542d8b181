"""COMPRESS: what is said from now on, both ways, is compressed (RFC 4978)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from mailnode.imap.answers import Answer, CommandRefused
from mailnode.imap.commands.context import Context
from mailnode.imap.commands.row import AFTER_LOGIN, CommandRow
from mailnode.imap.wire.command import Command
from mailnode.imap.wire.lexer import CommandFault, Lexer


# compress = "COMPRESS" SP "DEFLATE"
@dataclass(frozen=True, slots=True)
class Compress(Command):
    """RFC 4978 3. What the client sent behind it is compressed, should it not have waited for the answer."""

    verb: ClassVar[str] = "COMPRESS"


def _parse(tag: bytes, lexer: Lexer) -> Compress:
    lexer.space()
    if lexer.word() != "DEFLATE":
        raise CommandFault("Unknown compression")
    return Compress(tag)


async def compress(context: Context, command: Compress) -> None:
    """RFC 4978 3. The tagged OK is the last that is said as ever."""
    if context.channel.compressed:
        raise CommandRefused("Compressed already", b"COMPRESSIONACTIVE")
    context.write(Answer("DEFLATE active").line(command.tag))
    context.flush()
    context.connection.completed()
    context.channel.start_deflate(
        context.connection.take_rest(), lambda: context.bye("What was sent is not compressed as it should be")
    )


ROWS = (
    CommandRow(name=b"COMPRESS", states=AFTER_LOGIN, parse=_parse, run=compress, capabilities=("COMPRESS=DEFLATE",)),
)
