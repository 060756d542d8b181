"""NOTIFY: what happens is told without being asked for, in other mailboxes too (RFC 5465)."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import lru_cache
from typing import ClassVar

from mailnode.imap.answers import Answer, CommandRefused
from mailnode.imap.commands.context import Context
from mailnode.imap.commands.row import AFTER_LOGIN, CommandRow
from mailnode.imap.messages import needs
from mailnode.imap.messages.notify_events import EVENTS, METADATA, SERVER_METADATA, WantedEvents, read_wanted
from mailnode.imap.notifying import Notifying
from mailnode.imap.others import as_shown, is_below_others
from mailnode.imap.selected import ALWAYS
from mailnode.imap.wire.command import Command
from mailnode.imap.wire.lexer import CommandFault, Lexer

REMEMBERED = 64  # arguments of NOTIFY: every program repeats its own
LONGEST_REMEMBERED = 512  # octets; what is kept is bounded


# notify = "NOTIFY" SP ("SET" [SP "STATUS"] SP event-groups / "NONE")
@dataclass(frozen=True, slots=True)
class Notify(Command):
    """RFC 5465 3.1. NONE wants nothing. ``status``: the counts of the mailboxes are told at once."""

    verb: ClassVar[str] = "NOTIFY"
    wanted: WantedEvents
    status: bool = False


def _parse(tag: bytes, lexer: Lexer) -> Notify:
    """Read `` SET ...`` or `` NONE``, which end the command. Sessions of one program hold what it asks for together."""
    text = lexer.remainder()
    return Notify(tag, *(_remembered if len(text) <= LONGEST_REMEMBERED else _arguments)(text, lexer.utf8))


def _arguments(text: bytes, utf8: bool) -> tuple[WantedEvents, bool]:
    lexer = Lexer(text, utf8=utf8)
    lexer.space()
    kind = lexer.word()
    if kind == "NONE":
        lexer.end()
        return WantedEvents(), False
    if kind != "SET":
        raise CommandFault("Expected SET or NONE")
    lexer.space()
    status = lexer.peek() != b"("
    if status:
        if lexer.word() != "STATUS":
            raise CommandFault("Expected STATUS or groups of events")
        lexer.space()
    wanted = read_wanted(lexer)
    lexer.end()
    return wanted, status


_remembered = lru_cache(maxsize=REMEMBERED)(_arguments)


async def notify(context: Context, command: Notify) -> Answer:
    """RFC 5465 3.1. All that happened in the selected mailbox up to now is told as by NOOP."""
    of_metadata = {METADATA, SERVER_METADATA} if "METADATA" in context.hidden else set()
    if command.wanted.unknown or command.wanted.wants(*of_metadata):  # NO, not BAD (RFC 5465 3.1)
        told = b" ".join(name for event, name in EVENTS.items() if event not in of_metadata)
        raise CommandRefused("Some of these events are not told", b"BADEVENT (%b)" % told)
    await context.announce(expunge=True, uid=False, own=True)
    news = Notifying(context, await _as_shown(context, command.wanted))
    await news.begin(command.status)
    context.replace_news(news)
    return Answer("NOTIFY completed")


async def _as_shown(context: Context, wanted: WantedEvents) -> WantedEvents:
    """Return what is wanted, with mailboxes of others called as they are told of; sessions that name none share it."""
    if not any(is_below_others(name) for group in wanted.groups for name in group.names):
        return wanted
    groups = [
        replace(group, names=frozenset([await as_shown(context, name) for name in group.names]))
        for group in wanted.groups
    ]
    return replace(wanted, groups=tuple(groups))


ROWS = (
    CommandRow(
        name=b"NOTIFY",
        states=AFTER_LOGIN,
        parse=_parse,
        run=notify,
        needs=lambda command: ("NOTIFY", *needs.of_items(command.wanted.items)),
        stale_after=ALWAYS,
        capabilities=("NOTIFY",),
    ),
)
