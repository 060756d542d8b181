"""Operations on who besides the owner may do what with a mailbox (RFC 4314)."""

from __future__ import annotations

from typing import TypedDict

from mailnode.admin.administration import Administration
from mailnode.admin.finding import about, find_account
from mailnode.admin.operations import OperationFailed, Reason, operation
from mailnode.admin.sharing import Sharing
from mailnode.errors import LimitReached, NoSuchAccount, NoSuchMailbox
from mailnode.interfaces.accounts import ISharing
from mailnode.interfaces.store import IMailAccount
from mailnode.values.mailbox import MailboxInfo
from mailnode.values.mailbox_name import mailbox_name
from mailnode.values.rights import ALL, NEGATIVE, OBSOLETE, rights_from


class RightsRecord(TypedDict):
    """What somebody may do with a mailbox, or with "-" in front of them may not."""

    who: str  # an address, or "anyone"
    rights: str  # letters


@operation("mailbox.acl.list")
async def mailbox_acl_list(admin: Administration, address: str, mailbox: str) -> list[RightsRecord]:
    """Who besides the owner may do what with a mailbox."""
    mail, info = await _found(admin, address, mailbox)
    return await _listed(_sharing(admin), mail, info)


async def _listed(sharing: ISharing, mail: IMailAccount, info: MailboxInfo) -> list[RightsRecord]:
    found: list[RightsRecord] = []
    for identifier, rights in (await mail.entries(info.id)).items():
        try:
            found.append({"who": await sharing.shown(identifier), "rights": rights})
        except NoSuchAccount:  # it is gone
            continue
    return sorted(found, key=lambda one: one["who"])


@operation("mailbox.acl.set", changes=True)
async def mailbox_acl_set(
    admin: Administration, address: str, mailbox: str, who: str, rights: str
) -> list[RightsRecord]:
    """Let somebody do what these letters say, and nothing else, with a mailbox; return all who may do something."""
    letters = rights_from(rights)
    if not letters:
        raise OperationFailed(Reason.WRONG_VALUE, f"{rights}: rights are letters of {ALL}{''.join(OBSOLETE)}")
    return await _give(admin, address, mailbox, who, letters)


@operation("mailbox.acl.revoke", changes=True)
async def mailbox_acl_revoke(admin: Administration, address: str, mailbox: str, who: str) -> list[RightsRecord]:
    """Take all rights in a mailbox back from somebody; return who may do something still."""
    return await _give(admin, address, mailbox, who, "")


async def _give(admin: Administration, address: str, mailbox: str, who: str, letters: str) -> list[RightsRecord]:
    mail, info = await _found(admin, address, mailbox)
    sharing = _sharing(admin)
    with about(who):
        identifier = await sharing.identifier(who)
    if identifier.removeprefix(NEGATIVE) == mail.account_id:
        raise OperationFailed(Reason.CONFLICT, f"{who}: owns the mailbox and has all rights")
    if not letters and identifier not in await mail.entries(info.id):
        raise OperationFailed(Reason.NOT_FOUND, f"{who}: has no rights to {mailbox}")
    try:
        await sharing.give_rights(mail, info.id, identifier, "set", letters)
    except LimitReached:
        raise OperationFailed(Reason.CONFLICT, f"{mailbox}: too many have rights to it, or to this account") from None
    return await _listed(sharing, mail, info)


def _sharing(admin: Administration) -> Sharing:
    return Sharing(admin.directory, admin.mail, admin.hints)


async def _found(admin: Administration, address: str, mailbox: str) -> tuple[IMailAccount, MailboxInfo]:
    with about(mailbox):
        name = mailbox_name(mailbox)
    mail: IMailAccount = admin.mail.account((await find_account(admin, address)).id)
    try:
        return mail, await mail.named(name)
    except NoSuchMailbox:
        raise OperationFailed(Reason.NOT_FOUND, f"{mailbox}: no such mailbox") from None
