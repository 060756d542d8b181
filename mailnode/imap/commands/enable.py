"""ENABLE (RFC 5161), by which UIDONLY (RFC 9586 3.1) and UTF8=ACCEPT (RFC 6855 3) begin too."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import ClassVar

from mailnode.imap.answers import Answer
from mailnode.imap.commands import condstore, qresync, rev2, uidonly, utf8
from mailnode.imap.commands.context import Context
from mailnode.imap.commands.row import AFTER_LOGIN, CommandRow
from mailnode.imap.wire import responses
from mailnode.imap.wire.command import Command
from mailnode.imap.wire.lexer import Lexer


# enable = "ENABLE" 1*(SP capability)
@dataclass(frozen=True, slots=True)
class Enable(Command):
    """RFC 5161 3.1. Names in capitals; unknown ones are the session's to pass over."""

    verb: ClassVar[str] = "ENABLE"
    capabilities: tuple[str, ...]


def _parse(tag: bytes, lexer: Lexer) -> Enable:
    names: list[str] = []
    while not lexer.at_end or not names:
        lexer.space()
        names.append(lexer.word())
    return Enable(tag, tuple(dict.fromkeys(names)))


# What ENABLE can switch on (RFC 5161 3.1), and what does it; a name is in ``context.enabled`` afterwards.
ENABLES: dict[str, Callable[[Context], None]] = {
    "CONDSTORE": condstore.enable,
    rev2.NAME: rev2.enable,
    "QRESYNC": qresync.enable,
    "UIDONLY": uidonly.enable,
    utf8.NAME: utf8.enable,
}


_SPELT = {rev2.NAME: "IMAP4rev2"}


async def enable(context: Context, command: Enable) -> Answer:
    """RFC 5161 3.1: unknown names are passed over. What was enabled before is named again: who asks wants to read it."""
    names = [name for name in command.capabilities if name in ENABLES and name not in context.hidden]
    context.write(response(names))
    for name in names:
        if name not in context.enabled:
            ENABLES[name](context)
    return Answer("ENABLE completed")


def response(names: Iterable[str]) -> bytes:
    """Return ``* ENABLED`` with what is switched on, also when that is nothing (RFC 5161 3.2)."""
    return responses.untagged(b"ENABLED", *(_SPELT.get(name, name).encode("ascii") for name in names))


ROWS = (
    CommandRow(
        name=b"ENABLE", states=AFTER_LOGIN, parse=_parse, run=enable, capabilities=("ENABLE", "UIDONLY", utf8.NAME)
    ),
)
