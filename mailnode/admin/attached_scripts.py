"""Operations on which mailboxes of accounts have which filter script (RFC 6785 2.3.1)."""

from __future__ import annotations

from typing import TypedDict

from mailnode.admin.administration import Administration
from mailnode.admin.finding import about, find_account
from mailnode.admin.operations import OperationFailed, Reason, operation
from mailnode.errors import NoSuchMailbox
from mailnode.interfaces.store import IMailAccount
from mailnode.values.mailbox_event import SCRIPT_ENTRY
from mailnode.values.mailbox_name import mailbox_name

_ACCOUNT = 0  # in the place of a mailbox's id


class AttachedScript(TypedDict):
    """A mailbox, "" for all that have none of their own, and its script, "" for none."""

    mailbox: str
    script: str


@operation("sieve.attached")
async def sieve_attached(admin: Administration, account: str) -> list[AttachedScript]:
    """List which scripts run when something is done to messages in mailboxes of an account."""
    return await _listed(await _mail(admin, account))


@operation("sieve.attach", changes=True)
async def sieve_attach(admin: Administration, account: str, name: str, mailbox: str = "") -> list[AttachedScript]:
    """Have a script run when messages come into a mailbox over IMAP, or their flags are changed."""
    if name:
        await admin.scripts.read((await find_account(admin, account)).id, name)  # which is there
    return await _set(admin, account, mailbox, name.encode())


@operation("sieve.detach", changes=True)
async def sieve_detach(admin: Administration, account: str, mailbox: str = "") -> list[AttachedScript]:
    """Have a mailbox no script of its own any more."""
    return await _set(admin, account, mailbox, None)


async def _mail(admin: Administration, account: str) -> IMailAccount:
    found: IMailAccount = admin.mail.account((await find_account(admin, account)).id)
    return found


async def _set(admin: Administration, account: str, mailbox: str, value: bytes | None) -> list[AttachedScript]:
    mail, mailbox_id = await _mail(admin, account), _ACCOUNT
    if mailbox:
        with about(mailbox):
            wanted = mailbox_name(mailbox)
        try:
            mailbox_id = (await mail.named(wanted)).id
        except NoSuchMailbox:
            raise OperationFailed(Reason.NOT_FOUND, f"{mailbox}: no such mailbox") from None
    await mail.annotate(mailbox_id, [("", SCRIPT_ENTRY, value)])
    await admin.named_scripts.changed()
    return await _listed(mail)


async def _listed(mail: IMailAccount) -> list[AttachedScript]:
    names = {_ACCOUNT: "", **{info.id: info.name for info in await mail.mailboxes()}}
    values = await mail.annotations(list(names), mail.account_id)
    return [
        {"mailbox": name, "script": values[one][SCRIPT_ENTRY].decode("utf-8", "replace")}
        for one, name in names.items()
        if SCRIPT_ENTRY in values.get(one, {})
    ]
