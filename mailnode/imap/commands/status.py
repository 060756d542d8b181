"""STATUS (RFC 3501 6.3.10, RFC 7889 3.1, RFC 8438, RFC 8474 4.3)."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from functools import cache, lru_cache
from typing import ClassVar

from mailnode.errors import NoSuchMailbox
from mailnode.imap.answers import Answer
from mailnode.imap.commands import condstore, rev2
from mailnode.imap.commands.collected import collected
from mailnode.imap.commands.context import Context
from mailnode.imap.commands.mailboxes import argument
from mailnode.imap.commands.row import AFTER_LOGIN, CommandRow
from mailnode.imap.messages import needs
from mailnode.imap.others import place
from mailnode.imap.wire import responses
from mailnode.imap.wire.command import Command
from mailnode.imap.wire.lexer import MAX_NUMBER, CommandFault, Lexer
from mailnode.values.flags import SEEN
from mailnode.values.mailbox import MailboxStatus
from mailnode.values.object_ids import MAILBOX, object_id

REMEMBERED = 1024  # arguments of STATUS
LONGEST_REMEMBERED = 512  # octets; what is kept is bounded


@dataclass(frozen=True, slots=True)
class StatusItem:
    """One thing that STATUS can tell of a mailbox: it is counted anyway, or has to be worked out of what is, or is no number."""

    name: str
    count: Callable[[MailboxStatus], int] | None = None
    work_out: Callable[[Context, MailboxStatus], Awaitable[int]] | None = None
    show: Callable[[Context, MailboxStatus], bytes] | None = None


STATUS_ITEMS = (
    StatusItem("MESSAGES", lambda counts: counts.messages),
    StatusItem("RECENT", lambda counts: counts.recent),
    StatusItem("UIDNEXT", lambda counts: counts.uidnext),
    StatusItem("UIDVALIDITY", lambda counts: counts.uidvalidity),
    StatusItem("UNSEEN", lambda counts: counts.unseen),
    StatusItem("HIGHESTMODSEQ", lambda counts: max(counts.highest_modseq, 1)),
    StatusItem("SIZE", lambda counts: counts.size),  # RFC 8438 3
    StatusItem("MAILBOXID", show=lambda context, counts: _id(context, counts)),  # RFC 8474 4.3
    StatusItem(
        "APPENDLIMIT", show=lambda context, _: b"%d" % min(context.services.append_limit, MAX_NUMBER)
    ),  # RFC 7889 3.1
)


def _id(context: Context, counts: MailboxStatus) -> bytes:
    return responses.parenthesized(
        [object_id(MAILBOX, counts.account_id or context.mail.account_id, counts.mailbox_id)]
    )


@cache
def _known() -> dict[str, StatusItem]:
    """Return the items of all files of the folder, by name."""
    return {item.name: item for item in collected("STATUS_ITEMS")}


# status = "STATUS" SP mailbox SP "(" status-att *(SP status-att) ")"
@dataclass(frozen=True, slots=True)
class Status(Command):
    """RFC 3501 6.3.10. ``items`` in capitals, in the order asked for, each once."""

    verb: ClassVar[str] = "STATUS"
    mailbox: str
    items: tuple[str, ...]


def _parse(tag: bytes, lexer: Lexer) -> Status:
    """Read `` mailbox (items)``, which end the command. Programs ask the same of the same mailboxes again and again."""
    text = lexer.remainder()
    return Status(tag, *(_remembered if len(text) <= LONGEST_REMEMBERED else _mailbox_and_items)(text, lexer.utf8))


def _mailbox_and_items(text: bytes, utf8: bool) -> tuple[str, tuple[str, ...]]:
    lexer = Lexer(text, utf8=utf8)
    mailbox = argument(lexer)
    lexer.space()
    items = status_items(lexer)
    lexer.end()
    return mailbox, items


_remembered = lru_cache(maxsize=REMEMBERED)(_mailbox_and_items)


def status_items(lexer: Lexer) -> tuple[str, ...]:
    """Read the items of STATUS in their parentheses."""
    items = tuple(dict.fromkeys(lexer.parenthesized(lexer.word)))
    if not _known().keys() >= set(items):
        raise CommandFault("Unknown status item")
    return items


async def status(context: Context, command: Status) -> Answer:
    """RFC 3501 6.3.10."""
    rev2.refuse_removed_items(context, command.items)
    where = await place(context, command.mailbox)
    if not where.name:
        raise NoSuchMailbox
    counts = await as_viewed(context, await where.mail.status_of(where.name))
    context.write(await status_line(context, command.mailbox, command.items, counts))
    if "HIGHESTMODSEQ" in command.items:
        condstore.enable(context)
    return Answer("STATUS completed")


async def as_viewed(context: Context, counts: MailboxStatus) -> MailboxStatus:
    """Return counts as they are; of the selected mailbox those of its view, which is told of before they are used."""
    selected = context.selected
    if selected is None or not selected.is_of(counts.account_id or context.mail.account_id, counts.mailbox_id):
        return counts
    await selected.refresh(force=True)
    await context.announce(expunge=True, uid=False)
    await selected.unpack()
    view = selected.view
    return MailboxStatus(
        mailbox_id=view.mailbox_id,
        messages=view.exists,
        recent=view.recent,
        unseen=view.count_without(SEEN),
        deleted=len(view.deleted_uids()),
        size=counts.size,
        uidnext=view.uidnext,
        uidvalidity=view.uidvalidity,
        highest_modseq=view.highest_modseq,
        account_id=counts.account_id,
    )


async def status_line(context: Context, name: str, items: Sequence[str], counts: MailboxStatus) -> bytes:
    """Return ``* STATUS`` of a mailbox."""
    values = []
    for item in map(_known().__getitem__, items):
        if item.count is not None:
            values.append((item.name, b"%d" % item.count(counts)))
        elif item.work_out is not None:
            values.append((item.name, b"%d" % await item.work_out(context, counts)))
        elif item.show is not None:
            values.append((item.name, item.show(context, counts)))
    return response(name, values, context.connection.utf8)


def response(name: str, items: Sequence[tuple[str, bytes]], utf8: bool = False) -> bytes:
    """Return ``* STATUS`` with (item, value) pairs in the order asked for. :param utf8: the name in UTF-8."""
    pairs = (b"%b %b" % (item.encode("ascii"), value) for item, value in items)
    return responses.untagged(b"STATUS", responses.mailbox(name, utf8), responses.parenthesized(pairs))


ROWS = (
    CommandRow(
        name=b"STATUS",
        states=AFTER_LOGIN,
        parse=_parse,
        run=status,
        needs=lambda command: needs.of_status(command.items),
        capabilities=("STATUS=SIZE",),
    ),
)
