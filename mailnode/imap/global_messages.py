"""What IMAP4rev2 says of a message with a message/global among its parts (RFC 9051 7.5.2 and 9, RFC 6532 3.7).

Facts of messages are those of RFC 3501, to which that is a part like any other. There are few of them: each such message is
looked through again when a session of IMAP4rev2 asks for what lies in it.
"""

from __future__ import annotations

from collections.abc import Sequence

from mailnode.errors import BlobDamaged
from mailnode.imap.bodies import read_exactly, read_rows
from mailnode.imap.searches import Searches
from mailnode.imap.view.view import View
from mailnode.interfaces.store import IMailbox
from mailnode.message.scanner import with_global_messages
from mailnode.values.rows import StoredRow

_IN_STRUCTURE = b'"message" "global"'
# Columns in which a message/global is a part without anything inside, and what tells that there is one.
_MARKS = {"body": _IN_STRUCTURE, "bodystructure": _IN_STRUCTURE, "parts": b'"message/global"'}


def has_global_message(responses: bytes) -> bool:
    """Whether among responses with BODY or BODYSTRUCTURE one tells of a message/global. A text that has these words in a
    literal may be taken for one."""
    return _IN_STRUCTURE in responses


async def read_rows_of_rev2(
    searches: Searches,
    mailbox: IMailbox,
    view: View,
    indexes: Sequence[int],
    columns: Sequence[str],
    keep: bool = False,
) -> tuple[Sequence[int], list[StoredRow], BlobDamaged | None]:
    """As ``bodies.read_rows``, with each message/global as a message. :raises Busy:"""
    found, rows, damage = await read_rows(mailbox, view, indexes, columns, keep)
    places = _places(columns)
    if not any(_MARKS[name] in row[at] for at, name in places for row in rows):
        return found, rows, damage
    told: list[StoredRow] = []
    told_of: list[int] = []
    problem: BlobDamaged | None = damage
    for index, row in zip(found, rows, strict=True):
        try:
            told.append(await as_rev2(searches, mailbox, row, columns))
            told_of.append(index)
        except BlobDamaged as error:
            problem = error
    return told_of, told, problem


async def as_rev2(searches: Searches, mailbox: IMailbox, row: StoredRow, columns: Sequence[str]) -> StoredRow:
    """Return a row ``(uid, *columns)`` with each message/global as a message. :raises BlobDamaged: it cannot be read.
    :raises Busy:"""
    flat = {at: name for at, name in _places(columns) if _MARKS[name] in row[at]}
    if not flat:
        return row
    blobs = await mailbox.rows((row[0],), ("blob",))
    if not blobs:
        raise BlobDamaged("it is kept no more")
    blob = blobs[0][1]
    async with searches.step():  # of all that hold text: it is read whole
        found = await searches.judge(with_global_messages, await read_exactly(mailbox, blob, 0, blob.size))
    return tuple([found[flat[at]] if at in flat else value for at, value in enumerate(row)])


def _places(columns: Sequence[str]) -> list[tuple[int, str]]:
    """Return which columns may tell of a message/global as of any part, by their places in a row."""
    return [(at, name) for at, name in enumerate(columns, 1) if name in _MARKS]
