"""What was just delivered where somebody is logged in, appended or read, kept in memory: a program that shows it asks no
thread and no disk.

Kept is only what never changes: neither the content of a blob, nor what stands in a message's row but its flags, nor
what UID a message has. So nothing has to be compared with the store; what can end is the mailbox, and then it is forgotten
(:meth:`RecentMessages.forget`). Content that could not be read, or is not what was written, is never kept. A message that
stands in several mailboxes has its content here once.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Sequence
from functools import lru_cache
from operator import itemgetter

from mailnode.store.units.arrivals import FACTS_COLUMNS, facts_row
from mailnode.store.units.messages import READ_TOGETHER, READ_WHOLE
from mailnode.values.blob import BlobRef
from mailnode.values.facts import FACTS_VERSION, EncodedFacts
from mailnode.values.mailbox import COLUMNS, NewMessage
from mailnode.values.rows import NamedValues, StoredRow

CONTENTS = 16 * 1024 * 1024  # octets of content that are kept
ROWS = 8 * 1024 * 1024  # octets of rows that are kept
LARGEST = 256 * 1024  # octets of a message whose content may be kept
ROW = 1024  # octets that a row takes beside its longer values, about
LONGEST_ROW = 16 * 1024  # octets of a row that is kept
CHANGING = frozenset(("flags", "modseq"))  # columns that may have another value the next time

Key = tuple[str, int, int]  # account, mailbox, UID
_Arrived = tuple[EncodedFacts, BlobRef, int, int, bytes]  # ..., INTERNALDATE as in NewMessage, prefix
_Read = tuple[Sequence[str], StoredRow]  # columns, their values


class RecentMessages:
    """Of all partitions of this process; the longest unused go first."""

    def __init__(self, contents: int = CONTENTS, rows: int = ROWS) -> None:
        """:param contents, rows: octets of each that may be kept."""
        self.forgotten = 0  # how often something was forgotten: what was read before must not be remembered after it
        self._contents: OrderedDict[str, bytes] = OrderedDict()  # by blob id
        self._rows: OrderedDict[Key, tuple[int, NamedValues | _Arrived | _Read]] = (
            OrderedDict()
        )  # octets, values by column
        self._contents_left = contents
        self._rows_left = rows

    def content(self, blob: BlobRef) -> bytes | None:
        """Return the whole content of a message, None when it is not kept."""
        content = self._contents.get(blob.blob_id)
        if content is not None:
            self._contents.move_to_end(blob.blob_id)
        return content

    def rows(
        self, account_id: str, mailbox_id: int, uids: Sequence[int], columns: Sequence[str]
    ) -> list[StoredRow] | None:
        """Return ``(uid, *columns)`` of all of these messages, with content as the store reads it together with rows; None
        when something of it is not kept."""
        pick, blob_at, content_at = _places(tuple(columns))
        rows, contents = self._rows, self._contents
        room = READ_TOGETHER
        found: list[StoredRow] = []
        try:
            for uid in uids:
                key = account_id, mailbox_id, uid
                row = rows[key][1]
                values = pick(row if isinstance(row, dict) else self._looked_at(key, row))
                rows.move_to_end(key)
                if content_at:
                    blob = values[blob_at]
                    content = contents.get(blob.blob_id)
                    if content is not None:
                        contents.move_to_end(blob.blob_id)
                        room -= len(content)
                        if room < 0:
                            content = None
                    elif blob.place == "inline" and blob.size <= READ_WHOLE:
                        return None
                    found.append((uid, *values[: content_at - 1], content, *values[content_at - 1 :]))
                else:
                    found.append((uid, *values))
        except KeyError:
            return None
        return found

    def remember(self, account_id: str, mailbox_id: int, rows: Sequence[StoredRow], columns: Sequence[str]) -> None:
        """Keep rows ``(uid, *columns)``. Of those with ``content`` among their columns, ``blob`` is there too."""
        names, pick, long, blob_at, content_at = _lasting(tuple(columns))
        kept = self._rows
        for row in rows:
            if content_at and isinstance(row[content_at], bytes):
                self.remember_content(row[blob_at], row[content_at])
            key = account_id, mailbox_id, row[0]
            if key in kept:
                self.remember_row(key, dict(zip(names, pick(row), strict=True)))
                continue
            octets = ROW
            for at in long:
                if row[at]:
                    octets += len(row[at])
            if octets <= LONGEST_ROW:
                kept[key] = octets, (names, pick(row))
                self._rows_left -= octets
        self._make_room()

    def arrived(self, key: Key, message: NewMessage, prefix: bytes) -> None:
        """Keep a message that was just placed. :param prefix: that of this copy."""
        facts, blob = message.facts, message.blob
        if facts.version != FACTS_VERSION:
            return
        if blob.content:
            self.remember_content(blob.ref, blob.content)
        octets = ROW + len(prefix) + sum(map(len, facts_row(facts)))
        self._keep(key, octets, (facts, blob.ref, message.internaldate, message.internaldate_offset, prefix))

    def _looked_at(self, key: Key, values: _Arrived | _Read) -> NamedValues:
        """Sort a message's values by column: most are never asked for."""
        row = dict(zip(*values, strict=True)) if len(values) == 2 else self._columns(values)
        self._rows[key] = self._rows[key][0], row
        return row

    @staticmethod
    def _columns(arrived: _Arrived) -> NamedValues:
        facts, blob, internaldate, offset, prefix = arrived
        return {
            **dict(zip(FACTS_COLUMNS, facts_row(facts), strict=True)),
            "internaldate": internaldate,
            "internaldate_offset": offset,
            "size": len(prefix) + blob.size,
            "prefix": prefix,
            "header_size": facts.header_size,
            "blob": blob,
        }

    def remember_row(self, key: Key, row: NamedValues) -> None:
        """Keep values of one row by their columns, with those that are kept of it; none of them among CHANGING."""
        known = self._rows.get(key)
        if known is not None:
            row = (known[1] if isinstance(known[1], dict) else self._looked_at(key, known[1])) | row
        octets = ROW
        for value in row.values():
            if type(value) is bytes:
                octets += len(value)
        self._keep(key, octets, row)

    def _keep(self, key: Key, octets: int, row: NamedValues | _Arrived) -> None:
        known = self._rows.pop(key, None)
        if known is not None:
            self._rows_left += known[0]
        if octets > LONGEST_ROW:
            return
        self._rows[key] = octets, row
        self._rows_left -= octets
        self._make_room()

    def _make_room(self) -> None:
        while self._rows_left < 0:
            self._rows_left += self._rows.popitem(last=False)[1][0]

    def remember_content(self, blob: BlobRef, content: bytes) -> None:
        """Keep the content of a message, which has been verified, unless it is large."""
        if len(content) > LARGEST or blob.blob_id in self._contents:
            return
        self._contents[blob.blob_id] = content
        self._contents_left -= len(content) + ROW
        while self._contents_left < 0:
            self._contents_left += len(self._contents.popitem(last=False)[1]) + ROW

    def forget(self, account_id: str, mailbox_id: int | None = None) -> None:
        """A mailbox, or the whole account, is gone: it answers no more."""
        self.forgotten += 1
        for key in [key for key in self._rows if key[0] == account_id and mailbox_id in (None, key[1])]:
            self._rows_left += self._rows.pop(key)[0]

    def clear(self) -> None:
        """Forget everything: messages may be gone for good."""
        self.forgotten += 1
        self._rows_left += sum([octets for octets, _ in self._rows.values()])
        self._contents_left += sum([len(content) + ROW for content in self._contents.values()])
        self._rows.clear()
        self._contents.clear()


@lru_cache(maxsize=256)
def _lasting(
    columns: tuple[str, ...],
) -> tuple[Sequence[str], Callable[[StoredRow], StoredRow], Sequence[int], int, int]:
    """Return the columns that may be kept of a row ``(uid, *columns)``; what picks their values; where in the row those are that
    may be long; and where blob and content are: 0 when they were not asked for."""
    names = [name for name in columns if name != "content" and name not in CHANGING]
    places = [columns.index(name) + 1 for name in names]
    blob_at, content_at = (columns.index(name) + 1 if name in columns else 0 for name in ("blob", "content"))
    long = [columns.index(name) + 1 for name in names if COLUMNS[name] is bytes]
    if len(places) > 1:
        return names, itemgetter(*places), long, blob_at, content_at
    return names, lambda row: tuple([row[at] for at in places]), long, blob_at, content_at


@lru_cache(maxsize=256)
def _places(columns: tuple[str, ...]) -> tuple[Callable[[NamedValues], StoredRow], int, int]:
    """Return what picks values of all columns but the content; where the blob is among them; and where among all columns,
    the UID included, the content belongs: 0 when it was not asked for."""
    names = [name for name in columns if name != "content"]
    pick: Callable[[NamedValues], StoredRow]
    if len(names) == 1:
        [only] = names
        pick = lambda row: (row[only],)  # noqa: E731 - beside the other one
    else:
        pick = itemgetter(*names) if names else lambda row: ()
    content_at = columns.index("content") + 1 if "content" in columns else 0
    return pick, names.index("blob") if content_at else 0, content_at
