"""ID (RFC 2971)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

from twisted.logger import Logger

from mailnode.imap.answers import Answer
from mailnode.imap.commands.context import Context
from mailnode.imap.commands.row import ANY_STATE, CommandRow
from mailnode.imap.wire import responses
from mailnode.imap.wire.command import Command
from mailnode.imap.wire.lexer import CommandFault, Lexer
from mailnode.imap.wire.text import string
from mailnode.values.events import emit

MAX_ID_FIELDS = 30  # RFC 2971 3.3

MAX_ID_NAME = 30  # octets

MAX_ID_VALUE = 1024  # octets

_log = Logger()


# id = "ID" SP ("NIL" / "(" [string SP nstring *(SP string SP nstring)] ")")
@dataclass(frozen=True, slots=True)
class Id(Command):
    """RFC 2971 3.1. ``fields`` are the client's (name, value) pairs; None: ``ID NIL``."""

    verb: ClassVar[str] = "ID"
    fields: tuple[tuple[bytes, bytes | None], ...] | None


def _parse(tag: bytes, lexer: Lexer) -> Id:
    lexer.space()
    if lexer.peek() != b"(":
        lexer.nil()
        return Id(tag, None)

    def pair() -> tuple[bytes, bytes | None]:
        name = lexer.string()
        lexer.space()
        return name, lexer.nstring()

    fields = tuple(lexer.parenthesized(pair, minimum=0))
    too_long = any(len(name) > MAX_ID_NAME or len(value or b"") > MAX_ID_VALUE for name, value in fields)
    if len(fields) > MAX_ID_FIELDS or too_long:
        raise CommandFault("Too many or too long ID fields")
    return Id(tag, fields)


async def identify(context: Context, command: Id) -> Answer:
    """RFC 2971 3.1: the client's words go to the log; its name may have capabilities hidden from it, and nothing else."""
    told = " ".join(
        f"{name.decode('utf-8', 'replace')}={(value or b'').decode('utf-8', 'replace')!r}"
        for name, value in command.fields or ()
    )
    emit(_log, "session.client", session=context.session, protocol=context.protocol, client=told[:1000])
    for name, value in command.fields or ():
        if name.lower() == b"name" and value:
            context.hide(context.services.hiding.of_client(value))
    context.write(response({"name": "mailnode", "version": context.services.version or "unknown"}))
    return Answer("ID completed")


def response(fields: Mapping[str, str]) -> bytes:
    """Return ``* ID`` (RFC 2971 3.2); ``* ID NIL`` for no fields."""
    if not fields:
        return responses.untagged(b"ID", b"NIL")
    pairs = (string(text.encode("utf-8")) for pair in fields.items() for text in pair)
    return responses.untagged(b"ID", responses.parenthesized(pairs))


ROWS = (
    # RFC 2971 3.3: 30 pairs of up to 30 and 1,024 octets
    CommandRow(name=b"ID", states=ANY_STATE, parse=_parse, run=identify, capabilities=("ID",), long=True),
)
