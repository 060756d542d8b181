"""``mailnode import mailnode``: mail and filter scripts of an account in a backup, brought beside what an account has."""

from __future__ import annotations

from collections.abc import Sequence, Set
from typing import NamedTuple, TypedDict

from mailnode.admin.administration import Administration
from mailnode.admin.finding import about, find_account
from mailnode.admin.operations import operation
from mailnode.admin.restoring import KeptMail, messages_of
from mailnode.admin.undelete import standing
from mailnode.interfaces.store import IMailAccount, IMailbox
from mailnode.values.address import parse_address
from mailnode.values.backed_up import BackedUpMessage
from mailnode.values.flags import KeywordTable
from mailnode.values.mailbox_name import INBOX
from mailnode.values.scripts import BackedUpScript

ROWS = 256  # messages that are read by one unit


class BackupImported(TypedDict):
    """What was found in a backup, and what came of it."""

    backup: str
    found: int  # messages of the account there
    present: int  # of these, that stand in their mailbox
    brought: int
    flags_added: int  # messages that were here and got flags
    damaged: int  # messages and scripts that the backup does not have as they were
    subscribed: int  # mailboxes that the account is subscribed to since
    scripts: list[str]  # the names of filter scripts that were brought
    active_script: str  # which of them filters its mail since; "": none


class _MessageThere(NamedTuple):
    """A message of a mailbox here."""

    uid: int
    flags: int  # bits, of keywords too


@operation("import.mailnode", changes=True, long=True)
async def import_mailnode(
    admin: Administration, directory: str, account: str, target: str, backup: str = ""
) -> BackupImported:
    """Bring the mail and the filter scripts that ACCOUNT had when a backup was made to the account TARGET: what is not there."""
    with about(target):
        owner = await find_account(admin, target)
    kept = admin.open_backup(directory, backup)
    with about(account):
        source, boxes = await kept.mailboxes(parse_address(account))
    mail = admin.mail.account(owner.id)
    told: BackupImported = {
        "backup": kept.name,
        "found": 0,
        "present": 0,
        "brought": 0,
        "flags_added": 0,
        "damaged": 0,
        "subscribed": 0,
        "scripts": [],
        "active_script": "",
    }
    for mailbox_id, name in boxes:
        with about(target):
            box = mail.open(await standing(mail, name))
            snapshot = await box.snapshot()
            here, uidvalidity = await _here(box, snapshot.uids), snapshot.uidvalidity
            coming = KeptMail(admin, kept, source, mail, name)
            async for one in messages_of(kept, source, mailbox_id):
                told["found"] += 1
                there = here.get(one.blob.digest)
                if there is None:
                    await coming.add(one, uidl_of(one, uidvalidity) if name == INBOX else None)
                    here[one.blob.digest] = _MessageThere(0, 0)
                else:
                    told["present"] += 1
                    told["flags_added"] += await _merge(mail, box, one, there)
            await coming.place()
        told["brought"] += coming.placed
        told["damaged"] += coming.damaged
    with about(target):
        told["subscribed"] = await _subscribe(mail, {name for _, name in boxes} & set(await kept.subscriptions(source)))
        await _bring_scripts(admin, owner.id, await kept.scripts(source), told)
    return told


def uidl_of(one: BackedUpMessage, uidvalidity: int) -> str | None:
    """Return the POP3 unique-id that a program knows a message by, so that it does not fetch it again; None where a message of
    the mailbox here may get the same one. :param uidvalidity: of that mailbox."""
    if one.uidl is None and one.uidvalidity != uidvalidity:
        return f"{one.uidvalidity}.{one.uid}"
    return one.uidl


async def _subscribe(mail: IMailAccount, names: Set[str]) -> int:
    """Subscribe to those that are not yet; return how many."""
    lacking = sorted(names - set(await mail.subscriptions()))
    for name in lacking:
        await mail.subscribe(name, True)
    return len(lacking)


async def _bring_scripts(
    admin: Administration, account_id: str, kept: Sequence[BackedUpScript], told: BackupImported
) -> None:
    """Store filter scripts that the account has none of the name of, and have the active one be active unless another one is."""
    here = {one.name for one in await admin.scripts.listing(account_id)}
    for name, source, active in kept:
        if name in here:
            continue
        if source is None:
            told["damaged"] += 1
            continue
        await admin.scripts.put(account_id, name, source, admin.script_quota(), "")
        told["scripts"].append(name)
        if active and await admin.scripts.active(account_id) is None:
            await admin.scripts.activate(account_id, name)
            told["active_script"] = name


async def _here(box: IMailbox, uids: Sequence[int]) -> dict[bytes, _MessageThere]:
    """Return what stands in a mailbox, by SHA-256 of its content."""
    found: dict[bytes, _MessageThere] = {}
    for at in range(0, len(uids), ROWS):
        for uid, blob, flags in await box.rows(uids[at : at + ROWS], ("blob", "flags")):
            found.setdefault(blob.digest, _MessageThere(uid, flags))
    return found


async def _merge(mail: IMailAccount, box: IMailbox, one: BackedUpMessage, here: _MessageThere) -> bool:
    """Add the flags that a message had in the backup and has not here; return whether there were any."""
    keywords: KeywordTable = (await box.changes(await mail.modseq())).keywords
    missing = one.flags & ~here.flags
    lacking = [word for word in one.keywords if not here.flags & (keywords.bit(word) or 0)]
    if not here.uid or not (missing or (lacking and not keywords.full)):
        return False
    await box.store_flags([here.uid], "add", missing, lacking if not keywords.full else ())
    return True
