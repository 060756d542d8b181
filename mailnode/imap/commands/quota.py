"""GETQUOTA, GETQUOTAROOT and SETQUOTA, and what STATUS tells of the room that EXPUNGE gives back (RFC 9208).

An account that has a limit is one quota root, named "", over all its mailboxes. One without has none. That of an account which
belongs to nobody is named by its address, and there for everybody who may read any of its mailboxes. To administrators the roots
of all accounts are there, named so; nobody else sets limits over IMAP.
"""

from __future__ import annotations

from collections.abc import Sequence, Set
from dataclasses import dataclass
from typing import ClassVar

from mailnode.errors import NoSuchAccount, NoSuchMailbox
from mailnode.imap.answers import Answer, CommandRefused
from mailnode.imap.bodies import read_rows
from mailnode.imap.commands.context import Context
from mailnode.imap.commands.mailboxes import argument
from mailnode.imap.commands.row import AFTER_LOGIN, CommandRow
from mailnode.imap.commands.status import StatusItem
from mailnode.imap.messages.ranges import RANGE
from mailnode.imap.others import mail_of, place, sharers
from mailnode.imap.view.view import View
from mailnode.imap.wire import responses
from mailnode.imap.wire.command import Command
from mailnode.imap.wire.lexer import MAX_NUMBER64, Lexer
from mailnode.imap.wire.text import astring
from mailnode.interfaces.store import IMailAccount
from mailnode.values.mailbox import MailboxStatus, Usage
from mailnode.values.rights import LOOKUP, READ

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
    said = quota(await _usage(context, command.root), command.root, context.hidden)
    if not said:
        raise _no_root()
    context.write(said)
    return Answer("GETQUOTA completed")


def _no_root() -> CommandRefused:
    return CommandRefused("No such quota root", b"NONEXISTENT")


async def _usage(context: Context, root: bytes) -> Usage:
    """Return what a quota root holds and may hold. :raises CommandRefused: there is none of that name."""
    if root == ROOT:
        return await context.mail.usage()
    address = root.decode("utf-8", "replace")
    if not context.is_administrator:
        return await _shared_usage(context, address)
    try:
        usage: Usage = await context.services.quotas.usage(address)
    except NoSuchAccount:
        raise _no_root() from None
    return usage


async def _shared_usage(context: Context, address: str) -> Usage:
    """Return what an account that belongs to nobody holds and may hold. :raises CommandRefused: nothing of it may be read."""
    for owner in await sharers(context):
        if owner.nobodys and owner.address.lower() == address.lower():
            mail = mail_of(context, owner.account_id)
            if await _may_read(mail, [info.id for info in await mail.mailboxes()]):
                return await mail.usage()
    raise _no_root()


async def _may_read(mail: IMailAccount, mailbox_ids: Sequence[int]) -> bool:
    """Whether any of these mailboxes of others may be read: what a quota tells says much of it (RFC 9208 6)."""
    return any({LOOKUP, READ} <= set(rights) for rights in (await mail.rights(mailbox_ids)).values())


async def get_quota_root(context: Context, command: GetQuotaRoot) -> Answer:
    """RFC 9208 4.1.2."""
    root, usage = await _root(context, command.mailbox)
    said = quota(usage, root, context.hidden) if usage is not None else b""
    roots = [astring(root)] if said else []
    context.write(responses.untagged(b"QUOTAROOT", responses.mailbox(command.mailbox, context.connection.utf8), *roots))
    context.write(said)
    return Answer("GETQUOTAROOT completed")


async def _root(context: Context, mailbox: str) -> tuple[bytes, Usage | None]:
    """Return name and usage of a mailbox's quota root; None: it has none that this session is told of."""
    where = await place(context, mailbox)
    if where.owner is None:
        return ROOT, await context.mail.usage()
    if not where.owner.nobodys:  # that quota is its owner's
        return ROOT, None
    try:
        info = await where.mail.named(where.name)
    except NoSuchMailbox:
        return ROOT, None
    usage = await where.mail.usage() if await _may_read(where.mail, [info.id]) else None
    return where.owner.address.encode("utf-8"), usage


async def set_quota(context: Context, command: SetQuota) -> Answer:
    """RFC 9208 4.1.3: what is not given is unlimited from now on. A limit of nothing at all is not possible here."""
    if not context.is_administrator or command.root == ROOT:
        raise CommandRefused("Quotas are set by the administrator", b"NOPERM")
    limits = dict(command.limits)
    if len(limits) < len(command.limits) or not limits.keys() <= set(_shown(context.hidden)):
        raise CommandRefused("No such resource", b"CANNOT")
    octets = limits.get("STORAGE", 0) * _UNIT
    if 0 in limits.values() or max(octets, *limits.values(), 0) > MAX_NUMBER64 // _UNIT:
        raise CommandRefused("No such limit", b"CANNOT")
    address = command.root.decode("utf-8", "replace")
    try:
        usage = await context.services.quotas.set_limits(
            address, octets, limits.get("MESSAGE", 0), limits.get("MAILBOX", 0)
        )
    except NoSuchAccount:
        raise _no_root() from None
    context.write(
        quota(usage, command.root, context.hidden) or responses.untagged(b"QUOTA", astring(command.root), b"()")
    )
    return Answer("SETQUOTA completed")


_RESOURCES = ("STORAGE", "MESSAGE", "MAILBOX")  # RFC 9208 5


def _shown(hidden: Set[str]) -> list[str]:
    return [resource for resource in _RESOURCES if f"QUOTA=RES-{resource}" not in hidden]


def quota(usage: Usage, root: bytes = ROOT, hidden: Set[str] = frozenset()) -> bytes:
    """Return ``* QUOTA`` (RFC 9208 4.2.1) with the resources that are limited; nothing when none is."""
    counts = {
        # both rounded up, so that what fits does not seem to be too much
        "STORAGE": (-(-usage.bytes_used // _UNIT), -(-usage.bytes_limit // _UNIT)),
        "MESSAGE": (usage.count_used, usage.count_limit),
        "MAILBOX": (usage.mailboxes_used, usage.mailboxes_limit),
    }
    limited = [(resource, *counts[resource]) for resource in _shown(hidden) if counts[resource][1]]
    resources = [b"%b %d %d" % (resource.encode("ascii"), used, limit) for resource, used, limit in limited]
    return responses.untagged(b"QUOTA", astring(root), responses.parenthesized(resources)) if resources else b""


async def _deleted_storage(context: Context, counts: MailboxStatus) -> int:
    """Return the octets of the messages that carry \\Deleted (RFC 9208 4.1.4). A mailbox that has some is looked through."""
    if not counts.deleted:
        return 0
    selected = context.selected
    if selected is not None and selected.is_of(counts.account_id or context.mail.account_id, counts.mailbox_id):
        mailbox, view = selected.mailbox, selected.view
    else:
        mailbox = mail_of(context, counts.account_id).open(counts.mailbox_id)
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
_CAPABILITIES = ("QUOTA", "QUOTA=RES-STORAGE", "QUOTA=RES-MESSAGE", "QUOTA=RES-MAILBOX")
ROWS = (
    CommandRow(
        name=b"GETQUOTA",
        states=AFTER_LOGIN,
        parse=_parse_get,
        run=get_quota,
        capabilities=_CAPABILITIES,
    ),
    CommandRow(
        name=b"GETQUOTAROOT", states=AFTER_LOGIN, parse=_parse_root, run=get_quota_root, capabilities=_CAPABILITIES
    ),
    CommandRow(
        name=b"SETQUOTA",
        states=AFTER_LOGIN,
        parse=_parse_set,
        run=set_quota,
        needs=lambda command: ("QUOTA", "QUOTASET"),
        capabilities=_CAPABILITIES,
    ),
)
