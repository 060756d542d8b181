"""ENABLE (RFC 5161)."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import ClassVar

from mailnode.imap.answers import Answer
from mailnode.imap.commands import condstore
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
ENABLES: dict[str, Callable[[Context], None]] = {"CONDSTORE": condstore.enable}


async def enable(context: Context, command: Enable) -> Answer:
    """RFC 5161 3.1: unknown names, and what is enabled already, are passed over."""
    new = [name for name in command.capabilities if name in ENABLES and name not in context.enabled]
    context.write(response(new))
    for name in new:
        ENABLES[name](context)
    return Answer("ENABLE completed")


def response(names: Iterable[str]) -> bytes:
    """Return ``* ENABLED`` with what was newly switched on, also when that is nothing (RFC 5161 3.2)."""
    return responses.untagged(b"ENABLED", *(name.encode("ascii") for name in names))


ROWS = (CommandRow(name=b"ENABLE", states=AFTER_LOGIN, parse=_parse, run=enable, capabilities=("ENABLE",)),)
