"""Units by which somebody else than the owner lists, makes, deletes and renames mailboxes of the owner."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from itertools import accumulate

from mailnode.errors import MailboxRefused, NoSuchMailbox, NotPermitted
from mailnode.store.engines.engine import Transaction, growing, of_account
from mailnode.store.units import mailbox_rights, mailbox_tree, messages, metadata, shared_flags
from mailnode.store.units.accounts import INBOX_ID
from mailnode.store.units.mailbox_rights import require
from mailnode.values.mailbox import MailboxInfo, MailboxStatus
from mailnode.values.mailbox_name import SEPARATOR, split
from mailnode.values.rights import CREATE, DELETE_MAILBOX, LOOKUP, NOTING, READ


def listing(tx: Transaction, account_id: str, reader: str) -> list[MailboxInfo]:
    """All mailboxes that a reader may look up, INBOX first, then by name. Special uses are the owner's."""
    may = mailbox_rights.of_reader(tx, account_id, reader)
    visible = {mailbox_id for mailbox_id, has in may.items() if LOOKUP in has}
    if not visible:
        return []
    return [_shown(info, account_id) for info in mailbox_tree.listing(tx, account_id) if info.id in visible]


def _shown(info: MailboxInfo, account_id: str) -> MailboxInfo:
    return replace(info, special_use="", subscribed=False, account_id=account_id)


def named(tx: Transaction, account_id: str, reader: str, name: str) -> MailboxInfo:
    """The mailbox with this canonical name, selectable or not. :raises NoSuchMailbox:"""
    info = mailbox_tree.named(tx, account_id, name)
    require(tx, account_id, info.id, reader, "")
    return _shown(info, account_id)


@growing
@of_account
def create(tx: Transaction, account_id: str, reader: str, name: str, top: int = 0) -> tuple[MailboxInfo, int]:
    """Create a mailbox below one of the owner; return it and the account's modseq.

    :param top: the mailbox that counts as above those that have none above them; 0: there is none.
    :raises NotPermitted: and what :func:`mailbox_tree.create` does.
    """
    superior = _superior(tx, account_id, name)
    _require_create(tx, account_id, reader, superior or top)
    info, modseq = mailbox_tree.create(tx, account_id, name, "")
    if not superior:  # in the tree there is none above it whose rights it would have
        for level in accumulate(split(name), lambda above, below: above + SEPARATOR + below):
            made = _id_of(tx, account_id, level)
            if not mailbox_rights.entries(tx, account_id, made):
                mailbox_rights.inherit(tx, account_id, top, made)
    return _shown(info, account_id), modseq


def _superior(tx: Transaction, account_id: str, name: str) -> int:
    """Return the id of the nearest mailbox above a name; 0: there is none."""
    superior = 0
    while not superior and SEPARATOR in name:
        name = name.rpartition(SEPARATOR)[0]
        superior = _id_of(tx, account_id, name)
    return superior


def _id_of(tx: Transaction, account_id: str, name: str) -> int:
    try:
        return mailbox_tree.named(tx, account_id, name).id
    except NoSuchMailbox:
        return 0


def _require_create(tx: Transaction, account_id: str, reader: str, superior: int) -> None:
    """:raises NotPermitted: a reader may not create below this mailbox, there is none, or they do not know of it."""
    if CREATE not in mailbox_rights.rights(tx, account_id, (superior,), reader).get(superior, ""):
        raise NotPermitted(CREATE)


@of_account
def delete(tx: Transaction, account_id: str, mailbox_id: int, reader: str, now: int) -> int:
    """Delete a mailbox; return the account's modseq. :raises NotPermitted: and what :func:`mailbox_tree.delete` does."""
    require(tx, account_id, mailbox_id, reader, DELETE_MAILBOX)
    return mailbox_tree.delete(tx, account_id, mailbox_id, now)


@of_account
def rename(tx: Transaction, account_id: str, mailbox_id: int, reader: str, name: str, top: int = 0) -> int:
    """Rename a mailbox; return the account's modseq. Its owner alone takes INBOX apart.

    :raises NotPermitted: and what :func:`mailbox_tree.rename` does.
    """
    require(tx, account_id, mailbox_id, reader, DELETE_MAILBOX)
    if mailbox_id == INBOX_ID:
        raise MailboxRefused(name)
    _require_create(tx, account_id, reader, _superior(tx, account_id, name) or top)
    return mailbox_tree.rename(tx, account_id, mailbox_id, name)


def status(tx: Transaction, account_id: str, mailbox_ids: Sequence[int], reader: str) -> list[MailboxStatus]:
    """Counts of those mailboxes that a reader may read."""
    may = mailbox_rights.rights(tx, account_id, mailbox_ids, reader)
    readable = [mailbox_id for mailbox_id in mailbox_ids if {LOOKUP, READ} <= set(may.get(mailbox_id, ""))]
    counts = mailbox_tree.status(tx, account_id, readable)
    return [shared_flags.as_read(tx, account_id, reader, one) for one in counts]


def changed_mailboxes(tx: Transaction, account_id: str, since: int, reader: str) -> tuple[int, frozenset[int]]:
    """The account's modseq, and those mailboxes that a reader may read in which something happened after another, what they have
    seen included. :raises NoSuchMailbox: the account is gone."""
    may = mailbox_rights.of_reader(tx, account_id, reader)
    rows = tx.execute(
        "SELECT b.mailbox_id FROM mailbox b WHERE b.account_id = ? AND b.deleted_at IS NULL AND (b.highest_modseq > ?"
        " OR EXISTS (SELECT 1 FROM own_flag o WHERE o.account_id = b.account_id AND o.mailbox_id = b.mailbox_id"
        " AND o.reader = ? AND o.modseq > ?))",
        (account_id, since, reader, since),
    )
    found = frozenset(mailbox_id for (mailbox_id,) in rows if {LOOKUP, READ} <= set(may.get(mailbox_id, "")))
    return messages.modseq_of(tx, account_id), found


def noted(tx: Transaction, account_id: str, mailbox_ids: Sequence[int], reader: str) -> dict[int, dict[str, bytes]]:
    """Values by entry of those mailboxes of which a reader may know them."""
    return metadata.read(tx, account_id, _with_notes(tx, account_id, mailbox_ids, reader), reader)


def noted_at(tx: Transaction, account_id: str, mailbox_ids: Sequence[int], reader: str) -> dict[int, dict[str, int]]:
    """When entries were set, of those mailboxes of which a reader may know them."""
    return metadata.modseqs(tx, account_id, _with_notes(tx, account_id, mailbox_ids, reader), reader)


def _with_notes(tx: Transaction, account_id: str, mailbox_ids: Sequence[int], reader: str) -> list[int]:
    may = mailbox_rights.rights(tx, account_id, mailbox_ids, reader)
    return [one for one, has in may.items() if LOOKUP in has and not set(NOTING).isdisjoint(has)]


def status_of(tx: Transaction, account_id: str, reader: str, name: str) -> MailboxStatus:
    """Counts of the mailbox with this canonical name. :raises NoSuchMailbox: :raises NotPermitted:"""
    info = mailbox_tree.named(tx, account_id, name)
    require(tx, account_id, info.id, reader, READ)
    counts = status(tx, account_id, (info.id,), reader)
    if not counts:
        raise NoSuchMailbox(name)
    return counts[0]
