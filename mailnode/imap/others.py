"""Mailboxes of other accounts (RFC 2342, RFC 4314): their names, and where those lead.

Below ``Other Users/`` stands the address of the owner, and below that what the owner calls the mailbox. An account with the
role "shared" belongs to nobody: its address stands below ``Shared Folders/``, and is itself the name of its INBOX, so that all
its other mailboxes lie below that one. A mailbox of one's own that was called so before stays where it is, unless an owner of
that address shares something.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from mailnode.errors import BadMailboxName, NoSuchMailbox
from mailnode.imap.answers import CommandRefused
from mailnode.imap.commands.context import Context
from mailnode.interfaces.store import IMailAccount
from mailnode.values.directory import Sharer
from mailnode.values.mailbox import MailboxInfo
from mailnode.values.mailbox_name import INBOX, SEPARATOR, mailbox_name
from mailnode.values.rights import READ

OTHER_USERS = "Other Users" + SEPARATOR
SHARED = "Shared Folders" + SEPARATOR
_ROOTS = (OTHER_USERS, SHARED)


@dataclass(frozen=True, slots=True)
class OwnedName:
    """Where a name leads: an account, as this session may use it, and the mailbox's name there ("": the account alone).
    ``owner`` is None for one's own."""

    mail: IMailAccount
    name: str
    owner: Sharer | None = None

    @property
    def shared(self) -> bool:
        """Whether it is a mailbox of another account."""
        return self.owner is not None


async def place(context: Context, name: str) -> OwnedName:
    """Return where a canonical name leads. :raises NoSuchMailbox: it is below another account's in a form none can have."""
    if name.startswith(_ROOTS):
        folded = name.lower()
        for owner in await sharers(context):
            top = top_of(owner)
            if folded == top.lower():
                return OwnedName(_mail(context, owner), INBOX if owner.nobodys else "", owner)
            if folded.startswith(top.lower() + SEPARATOR):
                return OwnedName(_mail(context, owner), _inner(owner, name[len(top) + 1 :]), owner)
    return OwnedName(context.mail, name)


def is_below_others(name: str) -> bool:
    """Whether a name is, or stands below, one of those that mailboxes of others have."""
    return (name + SEPARATOR).startswith(_ROOTS)


def top_of(owner: Sharer) -> str:
    """Return what the names of all mailboxes of another account begin with."""
    return (SHARED if owner.nobodys else OTHER_USERS) + owner.address


def shown_name(owner: Sharer, name: str) -> str:
    """Return how a session calls a mailbox of another account. :param name: what it is called there."""
    top = top_of(owner)
    return top if owner.nobodys and name == INBOX else top + SEPARATOR + name


async def as_shown(context: Context, name: str) -> str:
    """Return what a session calls a mailbox: below another account's address there may be other names for it."""
    try:
        found = await place(context, name)
    except NoSuchMailbox:
        return name
    if found.owner is None:
        return name
    return shown_name(found.owner, found.name) if found.name else top_of(found.owner)


def _inner(owner: Sharer, name: str) -> str:
    try:
        inner = mailbox_name(name)
    except BadMailboxName:
        raise NoSuchMailbox(name) from None
    if owner.nobodys and inner == INBOX:  # it has one name, that above it
        raise NoSuchMailbox(name)
    return inner


async def own_place(context: Context, name: str) -> OwnedName:
    """Return where a mailbox is to be made. In one's own account none is made with a name of others'.

    :raises CommandRefused: NO [CANNOT]
    """
    found = await place(context, name)
    if not found.name or (not found.shared and is_below_others(name)):
        raise CommandRefused("Mailboxes of others are not made here", b"CANNOT")
    return found


async def named(context: Context, name: str) -> MailboxInfo:
    """Return the mailbox with this canonical name, as this session calls it. :raises NoSuchMailbox:"""
    found = await place(context, name)
    if not found.name:
        raise NoSuchMailbox(name)
    info: MailboxInfo = await found.mail.named(found.name)
    return replace(info, name=name) if found.shared else info


def mail_of(context: Context, account_id: str) -> IMailAccount:
    """Return the account that ``account_id`` of a :class:`MailboxInfo` or a :class:`MailboxStatus` names."""
    if not account_id:
        return context.mail
    found: IMailAccount = context.services.sharing.mail(account_id, context.mail.account_id)
    return found


def _mail(context: Context, owner: Sharer) -> IMailAccount:
    found: IMailAccount = context.services.sharing.mail(owner.account_id, context.mail.account_id, owner.nobodys)
    return found


async def sharers(context: Context) -> Sequence[Sharer]:
    """Return the accounts in whose mailboxes there may be something for this one."""
    found: Sequence[Sharer] = await context.services.sharing.sharers(context.mail.account_id)
    return found


async def may_read(context: Context, info: MailboxInfo) -> bool:
    """Whether this session may select a mailbox. Who may not is told no UIDs of what it puts there: how many messages there
    were is nothing for it to know (RFC 4315 3; RFC 9051 6.3.12 and 6.4.7)."""
    if not info.account_id:
        return True
    return READ in (await mail_of(context, info.account_id).rights([info.id])).get(info.id, "")


async def shared_mailboxes(context: Context, begins: Sequence[str]) -> list[MailboxInfo]:
    """Return the mailboxes of others that this session may look up, as it calls them.

    :param begins: what names must begin with, one of these.
    """
    wanted = [start.lower() for start in begins]
    if not any(_overlap(root.lower(), wanted) for root in _ROOTS):
        return []
    found: list[MailboxInfo] = []
    for owner in await sharers(context):
        if _overlap(top_of(owner).lower(), wanted):
            mine = await _mail(context, owner).mailboxes()
            found += [replace(info, name=shown_name(owner, info.name)) for info in mine]
            await context.checkpoint()
    return found


def _overlap(prefix: str, begins: Sequence[str]) -> bool:
    return any(prefix.startswith(start) or start.startswith(prefix) for start in begins)
