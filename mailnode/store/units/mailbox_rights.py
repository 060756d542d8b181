"""Units on who besides the owner may do what with a mailbox (RFC 4314): the entries, and what an operation asks first."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Concatenate, ParamSpec, TypeVar

from mailnode.errors import LimitReached, NoSuchMailbox, NotPermitted
from mailnode.store.engines.engine import Transaction, growing, of_account
from mailnode.store.units.accounts import require_mailbox, touch
from mailnode.store.units.statements import insert_rows, listed, pieces
from mailnode.values.rights import ANYONE, LOOKUP, NEGATIVE, effective, ordered

P = ParamSpec("P")
T = TypeVar("T")

MAX_ENTRIES = 100  # of one mailbox
MAX_ACCOUNT_ENTRIES = 10_000  # of all mailboxes of an account
SEEN_AT_ONCE = 1000  # messages of which one unit forgets who has seen them

_INTO = "mailbox_right (account_id, mailbox_id, identifier, rights)"


def entries(tx: Transaction, account_id: str, mailbox_id: int) -> dict[str, str]:
    """Return rights by identifier. :raises NoSuchMailbox:"""
    require_mailbox(tx, account_id, mailbox_id)
    return dict(_entries(tx, account_id, mailbox_id))


def _entries(tx: Transaction, account_id: str, mailbox_id: int) -> list[tuple[str, str]]:
    rows = tx.execute(
        "SELECT identifier, rights FROM mailbox_right WHERE account_id = ? AND mailbox_id = ? ORDER BY identifier",
        (account_id, mailbox_id),
    )
    return [(identifier, rights) for identifier, rights in rows]


def rights(tx: Transaction, account_id: str, mailbox_ids: Sequence[int], reader: str) -> dict[int, str]:
    """Return what a reader may do, by mailbox; of those without any right nothing."""
    identifiers = [sign + name for name in (reader, ANYONE) for sign in ("", NEGATIVE)]
    found: dict[int, dict[str, str]] = {}
    for some in pieces(mailbox_ids):
        marks, ids = listed(some)
        for mailbox_id, identifier, letters in tx.execute(
            "SELECT mailbox_id, identifier, rights FROM mailbox_right"
            f" WHERE account_id = ? AND mailbox_id IN {marks} AND identifier IN (?, ?, ?, ?)",
            (account_id, *ids, *identifiers),
        ):
            found.setdefault(mailbox_id, {})[identifier] = letters
    told = {mailbox_id: effective(given, reader) for mailbox_id, given in found.items()}
    return {mailbox_id: letters for mailbox_id, letters in told.items() if letters}


def of_reader(tx: Transaction, account_id: str, reader: str) -> dict[int, str]:
    """Return what a reader may do in all mailboxes of an account."""
    found = tx.execute(
        "SELECT DISTINCT mailbox_id FROM mailbox_right WHERE account_id = ? AND identifier IN (?, ?)",
        (account_id, reader, ANYONE),
    )
    return rights(tx, account_id, [mailbox_id for (mailbox_id,) in found], reader)


def require(tx: Transaction, account_id: str, mailbox_id: int, reader: str, needed: str) -> str:
    """Return a reader's rights. To who may not look it up a mailbox is not there.

    :raises NoSuchMailbox: :raises NotPermitted: one of the rights is lacking.
    """
    has = rights(tx, account_id, (mailbox_id,), reader).get(mailbox_id, "")
    if LOOKUP not in has:
        raise NoSuchMailbox(str(mailbox_id))
    if not set(needed) <= set(has):
        raise NotPermitted(needed)
    return has


@of_account
def permitted(
    tx: Transaction,
    account_id: str,
    mailbox_id: int,
    reader: str,
    needed: str,
    unit: Callable[Concatenate[Transaction, str, int, P], T],
    *args: P.args,
    **kwargs: P.kwargs,
) -> T:
    """Run a unit on a mailbox for a reader who may. :raises NoSuchMailbox, NotPermitted: and what the unit does."""
    require(tx, account_id, mailbox_id, reader, needed)
    return unit(tx, account_id, mailbox_id, *args, **kwargs)


@growing
@of_account
def permitted_to_add(
    tx: Transaction,
    account_id: str,
    mailbox_id: int,
    reader: str,
    needed: str,
    unit: Callable[Concatenate[Transaction, str, int, P], T],
    *args: P.args,
    **kwargs: P.kwargs,
) -> T:
    """The same for a unit that is :func:`growing` itself: an engine looks at what it is handed."""
    return permitted(tx, account_id, mailbox_id, reader, needed, unit, *args, **kwargs)


@growing
@of_account
def change(
    tx: Transaction, account_id: str, mailbox_id: int, identifier: str, how: str, letters: str
) -> tuple[int, bool]:
    """Give rights; return the account's modseq, and whether the identifier is left without any in the whole account.

    :param how: "set", "add" or "remove". An identifier without rights has no entry.
    :raises NoSuchMailbox, NoSuchAccount: :raises LimitReached: too many entries.
    """
    modseq, _, _ = touch(tx, account_id)
    require_mailbox(tx, account_id, mailbox_id)
    before = dict(_entries(tx, account_id, mailbox_id)).get(identifier, "")
    after = {"set": set(letters), "add": {*before, *letters}, "remove": set(before) - set(letters)}[how]
    tx.execute(
        "DELETE FROM mailbox_right WHERE account_id = ? AND mailbox_id = ? AND identifier = ?",
        (account_id, mailbox_id, identifier),
    )
    if after:
        insert_rows(tx, _INTO, [(account_id, mailbox_id, identifier, ordered(after))])
        _require_room(tx, account_id, mailbox_id)
    return modseq, not has_entries(tx, account_id, identifier)


def _require_room(tx: Transaction, account_id: str, mailbox_id: int) -> None:
    [(of_mailbox,)] = tx.execute(
        "SELECT count(*) FROM mailbox_right WHERE account_id = ? AND mailbox_id = ?", (account_id, mailbox_id)
    )
    if of_mailbox > MAX_ENTRIES or _count(tx, account_id) > MAX_ACCOUNT_ENTRIES:
        raise LimitReached("rights")


def has_entries(tx: Transaction, account_id: str, identifier: str) -> bool:
    """Whether an identifier has a right in any mailbox of an account."""
    return bool(
        tx.execute(
            "SELECT 1 FROM mailbox_right WHERE account_id = ? AND identifier = ? LIMIT 1", (account_id, identifier)
        )
    )


def inherit(tx: Transaction, account_id: str, parent_id: int, mailbox_id: int) -> None:
    """Give a new mailbox the entries of the one above it (RFC 4314 4), as far as there is room."""
    found = _entries(tx, account_id, parent_id) if parent_id else []
    if found and _count(tx, account_id) + len(found) <= MAX_ACCOUNT_ENTRIES:
        insert_rows(tx, _INTO, [(account_id, mailbox_id, *entry) for entry in found])


def _count(tx: Transaction, account_id: str) -> int:
    return int(tx.execute("SELECT count(*) FROM mailbox_right WHERE account_id = ?", (account_id,))[0][0])


def forget(tx: Transaction, account_id: str, mailbox_id: int) -> None:
    """Remove all entries of a mailbox."""
    tx.execute("DELETE FROM mailbox_right WHERE account_id = ? AND mailbox_id = ?", (account_id, mailbox_id))


@of_account
def forget_reader(tx: Transaction, account_id: str, reader: str) -> int:
    """Remove what an account that is gone had in another's mailboxes, and some of what is noted about what it has seen there;
    return of how many messages, 0 when nothing is left."""
    tx.execute(
        "DELETE FROM mailbox_right WHERE account_id = ? AND identifier IN (?, ?)",
        (account_id, reader, NEGATIVE + reader),
    )
    # A cross join, so that SQLite looks into each mailbox for this reader's rows alone.
    rows = tx.execute(
        "SELECT o.account_id, o.mailbox_id, o.uid, o.reader FROM mailbox b CROSS JOIN own_flag o WHERE b.account_id = ?"
        " AND o.account_id = b.account_id AND o.mailbox_id = b.mailbox_id AND o.reader = ? LIMIT ?",
        (account_id, reader, SEEN_AT_ONCE),
    )
    tx.many("DELETE FROM own_flag WHERE account_id = ? AND mailbox_id = ? AND uid = ? AND reader = ?", rows)
    return len(rows)
