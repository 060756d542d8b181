"""GETQUOTA, GETQUOTAROOT and SETQUOTA, and what STATUS tells of the room that EXPUNGE gives back (RFC 9208).

An account that has a limit is one quota root, named "", over all its mailboxes. One without has none. Limits are set by the
administrator and not over IMAP: SETQUOTA is refused, and QUOTASET is not among the capabilities.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from mailnode.imap.answers import Answer, CommandRefused
from mailnode.imap.bodies import read_rows
from mailnode.imap.commands.context import Context
from mailnode.imap.commands.mailboxes import argument
from mailnode.imap.commands.row import AFTER_LOGIN, CommandRow
from mailnode.imap.commands.status import StatusItem
from mailnode.imap.messages.ranges import RANGE
from mailnode.imap.view.view import View
from mailnode.imap.wire import responses
from mailnode.imap.wire.command import Command
from mailnode.imap.wire.lexer import MAX_NUMBER64, Lexer
from mailnode.imap.wire.text import astring
from mailnode.values.mailbox import MailboxStatus, Usage

ROOT = b""
_UNIT = 1024  # octets, in which STORAGE counts (RFC 9208 5.1)


# getquota = "GETQUOTA" SP quota-root-name
# getquotaroot = "GETQUOTAROOT" SP mailbox
# setquota = "SETQUOTA" SP quota-root-name SP "(" [resource-name SP limit *(SP resource-name SP limit)] ")"
@dataclass(frozen=True, slots=True)
class GetQuota(Command):
    """RFC 9208 4.1.1."""

    verb: ClassVar[str] = "GETQUOTA"
    root: bytes


@dataclass(frozen=True, slots=True)
class GetQuotaRoot(Command):
    """RFC 9208 4.1.2. The mailbox need not be there."""

    verb: ClassVar[str] = "GETQUOTAROOT"
    mailbox: str


@dataclass(frozen=True, slots=True)
class SetQuota(Command):
    """RFC 9208 4.1.3. ``limits`` are (resource, limit) pairs, names in capitals."""

    verb: ClassVar[str] = "SETQUOTA"
    root: bytes
    limits: tuple[tuple[str, int], ...]


def _parse_get(tag: bytes, lexer: Lexer) -> GetQuota:
    """Read `` quota-root-name``, an astring."""
    lexer.space()
    return GetQuota(tag, lexer.astring())


def _parse_root(tag: bytes, lexer: Lexer) -> GetQuotaRoot:
    """Read `` mailbox``."""
    return GetQuotaRoot(tag, argument(lexer))


def _parse_set(tag: bytes, lexer: Lexer) -> SetQuota:
    """Read `` quota-root-name ([resource-name limit *(SP resource-name limit)])``."""
    lexer.space()
    root = lexer.astring()
    lexer.space()

    def limit() -> tuple[str, int]:
        name = lexer.word()
        lexer.space()
        return name, lexer.number(MAX_NUMBER64)

    return SetQuota(tag, root, tuple(lexer.parenthesized(limit, minimum=0)))


async def get_quota(context: Context, command: GetQuota) -> Answer:
    """RFC 9208 4.1.1."""
    said = quota(await context.mail.usage())
    if command.root != ROOT or not said:
        raise CommandRefused("No such quota root", b"NONEXISTENT")
    context.write(said)
    return Answer("GETQUOTA completed")


async def get_quota_root(context: Context, command: GetQuotaRoot) -> Answer:
    """RFC 9208 4.1.2."""
    said = quota(await context.mail.usage())
    roots = [astring(ROOT)] if said else []
    context.write(responses.untagged(b"QUOTAROOT", responses.mailbox(command.mailbox), *roots))
    context.write(said)
    return Answer("GETQUOTAROOT completed")


async def set_quota(context: Context, command: SetQuota) -> Answer:
    """RFC 9208 4.1.3."""
    raise CommandRefused("Quotas are set by the administrator", b"NOPERM")


def quota(usage: Usage) -> bytes:
    """Return ``* QUOTA`` (RFC 9208 4.2.1) with the resources that are limited; nothing when none is."""
    resources = []
    if usage.bytes_limit:  # both rounded up, so that what fits does not seem to be too much
        resources += [b"STORAGE %d %d" % (-(-usage.bytes_used // _UNIT), -(-usage.bytes_limit // _UNIT))]
    if usage.count_limit:
        resources += [b"MESSAGE %d %d" % (usage.count_used, usage.count_limit)]
    return responses.untagged(b"QUOTA", astring(ROOT), responses.parenthesized(resources)) if resources else b""


async def _deleted_storage(context: Context, counts: MailboxStatus) -> int:
    """Return the octets of the messages that carry \\Deleted (RFC 9208 4.1.4). A mailbox that has some is looked through."""
    if not counts.deleted:
        return 0
    selected = context.selected
    if selected is not None and selected.mailbox.id == counts.mailbox_id:
        mailbox, view = selected.mailbox, selected.view
    else:
        mailbox = context.mail.open(counts.mailbox_id)
        view = View(await mailbox.snapshot())
    indexes = [index for index in map(view.index_of, view.deleted_uids()) if index is not None]
    octets = 0
    for at in range(0, len(indexes), RANGE):
        _, rows, _ = await read_rows(mailbox, view, indexes[at : at + RANGE], ("size",))
        octets += sum([row[1] for row in rows])
        await context.checkpoint()
    return octets


STATUS_ITEMS = (
    StatusItem("DELETED", lambda counts: counts.deleted),
    StatusItem("DELETED-STORAGE", work_out=_deleted_storage),
)
ROWS = (
    CommandRow(
        name=b"GETQUOTA",
        states=AFTER_LOGIN,
        parse=_parse_get,
        run=get_quota,
        capabilities=("QUOTA", "QUOTA=RES-STORAGE", "QUOTA=RES-MESSAGE"),
    ),
    CommandRow(name=b"GETQUOTAROOT", states=AFTER_LOGIN, parse=_parse_root, run=get_quota_root),
    CommandRow(name=b"SETQUOTA", states=AFTER_LOGIN, parse=_parse_set, run=set_quota),
)
