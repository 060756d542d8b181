"""Reading units on what people did with the messages of an account since a modseq: what its filter learns from."""

from __future__ import annotations

from collections.abc import Mapping

from mailnode.store.engines.engine import Transaction
from mailnode.store.units.accounts import keyword_table
from mailnode.values.flags import ANSWERED, DELETED, FLAGGED, KeywordTable
from mailnode.values.learning import GOOD, JUNK, Acted, ActedPage

ROWS = 500  # placements one unit looks at
# What mail programs set; compared without case.
JUNK_KEYWORDS, GOOD_KEYWORDS = ("$Junk", "Junk"), ("$NotJunk", "NotJunk", "NonJunk")
_ELSEWHERE = ("\\Trash", "\\Drafts", "\\Sent")

_NOWHERE = ActedPage((), 0, None)


def acted(tx: Transaction, account_id: str, since: int, after: tuple[int, int, int] | None) -> ActedPage:
    """What ``ILearning.acted`` returns."""
    rows = tx.execute(
        "SELECT a.modseq, a.keywords, f.modseq FROM account a LEFT JOIN filter f ON f.account_id = a.account_id"
        " WHERE a.account_id = ? AND a.removed_at IS NULL",
        (account_id,),
    )
    if not rows:
        return _NOWHERE
    modseq, keywords, looked = rows[0]
    since = since or looked or 0
    boxes = tx.execute(
        "SELECT mailbox_id, parent_id, special_use, highest_modseq, kept FROM mailbox"
        " WHERE account_id = ? AND deleted_at IS NULL ORDER BY mailbox_id",
        (account_id,),
    )
    places = _places({row[0]: (row[1], row[2], row[4]) for row in boxes})
    table = keyword_table(keywords)
    found: list[Acted] = []
    left = ROWS
    for mailbox_id, _, _, highest, _ in boxes:
        begin = since + 1, 0
        if after is not None:
            if mailbox_id < after[0]:
                continue
            if mailbox_id == after[0]:
                begin = after[1], after[2]
        place = places[mailbox_id]
        if highest <= since or place is None:
            continue
        last = _look(tx, account_id, mailbox_id, place, begin, left, table, found)
        left -= last[0]
        if left <= 0:
            return ActedPage(tuple(found), modseq, (mailbox_id, *last[1:]))
    return ActedPage(tuple(found), modseq, None)


def _look(
    tx: Transaction,
    account_id: str,
    mailbox_id: int,
    place: str,
    begin: tuple[int, int],
    most: int,
    table: KeywordTable,
    found: list[Acted],
) -> tuple[int, int, int]:
    """Look at placements behind modseq and UID; return how many there were, and where the last stands."""
    rows = tx.execute(
        "SELECT p.modseq, p.uid, p.flags, p.created_modseq, p.savedate - m.received_at, length(m.prefix),"
        " p.expunged_modseq FROM placement p"
        " JOIN message m ON m.account_id = p.account_id AND m.message_id = p.message_id"
        " WHERE p.account_id = ? AND p.mailbox_id = ? AND (p.modseq, p.uid) > (?, ?) ORDER BY p.modseq, p.uid LIMIT ?",
        (account_id, mailbox_id, *begin, most),
    )
    for modseq, uid, flags, created, later, prefix, expunged in rows:
        if expunged is not None or flags & DELETED:
            continue
        moved = bool(later) or not prefix  # or it was put there by a mail program as it is
        liked, keyword = bool(flags & (ANSWERED | FLAGGED)), _keyword(flags, table)
        # Reading it says nothing, and most changes are that; nor does putting it among drafts, sent mail or trash.
        if (place or keyword) and (moved or (modseq != created and (liked or keyword))):
            found.append(Acted(mailbox_id, uid, created, place, keyword, moved, liked))
    return len(rows), *(rows[-1][:2] if rows else begin)


def _keyword(flags: int, table: KeywordTable) -> str:
    junk, good = (any(flags & (table.bit(name) or 0) for name in names) for names in (JUNK_KEYWORDS, GOOD_KEYWORDS))
    return "" if junk == good else JUNK if junk else GOOD


def _places(boxes: Mapping[int, tuple[int, str, int | None]]) -> dict[int, str | None]:
    """Return what it says of a message that it stands in each mailbox: that of those above goes for those below. None: nothing
    is learnt there.

    :param boxes: parent, special use and for how long messages are kept, by id.
    """
    places: dict[int, str | None] = {}
    for mailbox_id in boxes:
        place: str | None = GOOD
        at, seen = mailbox_id, 0
        while at in boxes and place == GOOD and seen < len(boxes):
            parent, use, kept = boxes[at]
            place = JUNK if use == "\\Junk" else "" if use in _ELSEWHERE else None if kept is not None else GOOD
            at, seen = parent, seen + 1
        places[mailbox_id] = place
    return places
