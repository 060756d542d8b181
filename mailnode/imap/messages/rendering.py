"""FETCH as rendered octets: one row renderer a command, built from its item list (RFC 3501 6.4.5, 7.4.2).

A row of the store is a tuple; its renderer is a closure that joins ready pieces. Nothing is parsed, adapted or made an
object per row: 100,000 messages pass through here in one command.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from operator import itemgetter

from mailnode.imap.messages.fetch_items import Attribute, BodySection, FetchItem, Section
from mailnode.imap.messages.sections import Slice, field_selector, from_kept_fields, locate, locate_in_message
from mailnode.imap.view.view import RECENT, View
from mailnode.values.facts import decode_parts
from mailnode.values.flags import KeywordTable
from mailnode.values.rows import StoredRow

Render = Callable[[StoredRow, int], bytes]  # (row, index in the view) -> one item
RenderMany = Callable[[Sequence[StoredRow], Sequence[int]], bytes]  # (rows, indexes in the view) -> whole responses

FEW_CHOICES = 2  # of header fields in one command, up to which each looks through the header for itself
REMEMBERED = 512  # octets of the item lists whose plans are kept, about
_MONTHS = (b"Jan", b"Feb", b"Mar", b"Apr", b"May", b"Jun", b"Jul", b"Aug", b"Sep", b"Oct", b"Nov", b"Dec")


class FlagNames(dict[int, bytes]):
    """A view's flags, \\Recent included -> ``(\\Seen $Forwarded)``, rendered when they are first asked for."""

    def __init__(self, keywords: KeywordTable) -> None:
        super().__init__()
        self.keywords = keywords

    def __missing__(self, flags: int) -> bytes:
        names = self.keywords.flag_names(flags & ~RECENT)
        if flags & RECENT:
            names = (*names, "\\Recent")
        if len(self) >= 4096:
            self.clear()
        rendered = self[flags] = b"(" + " ".join(names).encode() + b")"
        return rendered


@dataclass(frozen=True, slots=True)
class BlobItem:
    """One ``BODY[...]`` that needs the message itself. ``label`` is complete, with the origin of a partial."""

    label: bytes
    section: Section
    partial: tuple[int, int] | None
    select: Callable[[bytes], bytes] | None  # for HEADER.FIELDS(.NOT): cuts the fields out of the header


@dataclass(frozen=True, slots=True)
class FetchPlan:
    """How to answer one FETCH. ``render`` gives ``* 1 FETCH (UID 1 FLAGS ()`` without the closing parenthesis, because
    blob items follow; ``columns`` are what it reads, in the order of the row after the UID."""

    columns: tuple[str, ...]
    render: Render
    blob_items: tuple[BlobItem, ...]
    sets_seen: bool
    has_flags: bool
    blob_at: int = 0  # places in the row, when there are blob items
    prefix_at: int = 0
    content_at: int = 0
    header_size_at: int = 0
    parts_at: int = 0  # 0: every blob item names octets of the message itself, not of a part
    lines: Callable[[Sequence[int]], bytes] | None = None  # whole responses of UID and FLAGS alone, indexes given
    in_a_row: RenderMany | None = None  # whole responses, when every item stands in the row as it is sent
    pieces: tuple[bytes | str, ...] = ()  # then also what a response is made of, for ``IMailbox.rendered``
    many_choices: bool = False  # of header fields: the header is looked through once for all

    def slices(self, row: StoredRow) -> list[Slice | None]:
        """Return which octets each blob item names; of a header that fields are chosen from, the whole header."""
        prefix, header_size, size = row[self.prefix_at], row[self.header_size_at], row[self.blob_at].size
        parts = decode_parts(row[self.parts_at]) if self.parts_at else ()
        return [
            locate(parts, prefix, item.section)
            if item.section.part
            else locate_in_message(header_size, size, prefix, item.section)
            for item in self.blob_items
        ]


def plan_fetch(items: Sequence[FetchItem], view: View, uid: bool, modseq: bool) -> FetchPlan:
    """Return the plan of one command.

    :param uid: UID FETCH, whose responses carry UID. :param modseq: the responses carry MODSEQ even unasked.
    """
    plan = None
    if not modseq and sum([1 if isinstance(item, Attribute) else len(item.label) for item in items]) < REMEMBERED:
        plan = _plan_of_rows(tuple(items), uid)
    return plan or _plan(items, view, uid, modseq)


@lru_cache(maxsize=128)
def _plan_of_rows(items: tuple[FetchItem, ...], uid: bool) -> FetchPlan | None:
    """Return the plan of a command that is answered from rows alone, whatever the mailbox; None: it is not. Programs ask for
    the same again and again, most of all those that show one message after the other."""
    names = [item.name for item in items if isinstance(item, Attribute)]
    if "FLAGS" in names or "MODSEQ" in names or names == ["UID"] * len(items):
        return None
    return _plan(items, None, uid, False)


def _plan(items: Sequence[FetchItem], view: View | None, uid: bool, modseq: bool) -> FetchPlan:
    """Build a plan. :param view: None: nothing of it is needed, the UID is taken from the row."""
    names = [item.name for item in items if isinstance(item, Attribute)]
    wanted: list[FetchItem] = list(items)
    if uid and "UID" not in names:
        wanted.insert(0, Attribute("UID"))
    if modseq and "MODSEQ" not in names:
        wanted.append(Attribute("MODSEQ"))
    columns: list[str] = []
    renders: list[Render] = []
    blob_items: list[BlobItem] = []
    many = sum([not isinstance(item, Attribute) and bool(item.section.fields) for item in wanted]) > FEW_CHOICES
    for item in wanted:
        if isinstance(item, Attribute):
            renders.append(_attribute(item.name, view, columns))
        elif from_kept_fields(item.section) and not many:
            renders.append(_kept_fields(item, columns))
        else:
            blob_items.append(_blob_item(item))
    blob, prefix, content, header_size = (
        _column(name, columns) if blob_items else 0 for name in ("blob", "prefix", "content", "header_size")
    )
    parts = _column("parts", columns) if any(item.section.part for item in blob_items) else 0
    sets_seen = any(isinstance(item, BodySection) and not item.peek for item in items)
    lines = _flag_lines(view) if view and wanted == [Attribute("UID"), Attribute("FLAGS")] else None
    return FetchPlan(
        tuple(columns),
        _line(renders),
        tuple(blob_items),
        sets_seen,
        "FLAGS" in names,
        blob,
        prefix,
        content,
        header_size,
        parts,
        lines,
        *_rows_as_they_are(wanted, columns),
        many_choices=many,
    )


def _flag_lines(view: View) -> Callable[[Sequence[int]], bytes]:
    """What every mail program asks of a whole mailbox first: as little as possible for each message."""
    uids, flags, names = view.uids, view.flags, FlagNames(view.keywords)

    def lines(indexes: Sequence[int]) -> bytes:
        return b"".join(
            [b"* %d FETCH (UID %d FLAGS %b)\r\n" % (index + 1, uids[index], names[flags[index]]) for index in indexes]
        )

    return lines


# Items that are sent as they stand in a column (UID: in the row's first place).
_READY = {
    "UID": ("uid", b"%d"),
    "RFC822.SIZE": ("size", b"%d"),
    "ENVELOPE": ("envelope", b"%b"),
    "BODYSTRUCTURE": ("bodystructure", b"%b"),
    "BODY": ("body", b"%b"),
}


def _rows_as_they_are(
    wanted: Sequence[FetchItem], columns: Sequence[str]
) -> tuple[RenderMany | None, tuple[bytes | str, ...]]:
    """Make one format of all items, which takes half the time of a call for each, and the pieces for the store."""
    names = [item.name if isinstance(item, Attribute) else "" for item in wanted]
    if not columns or not _READY.keys() >= set(names):
        return None, ()
    pieces: list[bytes | str] = [b"* ", "number", b" FETCH ("]
    for name in names:
        pieces += [b"%b " % name.encode(), _READY[name][0], b" "]
    pieces[-1] = b")\r\n"
    return _format(names, columns), tuple(pieces)


def _format(names: Sequence[str], columns: Sequence[str]) -> RenderMany:
    items = b" ".join([b"%b %b" % (name.encode(), _READY[name][1]) for name in names])
    response = b"* %d FETCH (" + items + b")\r\n"
    places = [columns.index(_READY[name][0]) + 1 if name != "UID" else 0 for name in names]
    if len(places) == 1:
        [place] = places
        return lambda rows, indexes: b"".join(
            [response % (index + 1, row[place]) for row, index in zip(rows, indexes, strict=True)]
        )
    pick = itemgetter(*places)
    return lambda rows, indexes: b"".join(
        [response % (index + 1, *pick(row)) for row, index in zip(rows, indexes, strict=True)]
    )


def _line(renders: Sequence[Render]) -> Render:
    if not renders:
        return lambda row, index: b"* %d FETCH (" % (index + 1)
    if len(renders) == 1:
        only = renders[0]
        return lambda row, index: b"* %d FETCH (%b" % (index + 1, only(row, index))

    def line(row: StoredRow, index: int) -> bytes:
        return b"* %d FETCH (%b" % (index + 1, b" ".join([render(row, index) for render in renders]))

    return line


def _column(name: str, columns: list[str]) -> int:
    """Return a column's place in the row, asking for it when nobody has."""
    if name not in columns:
        columns.append(name)
    return columns.index(name) + 1  # row[0] is the UID


def _attribute(name: str, view: View | None, columns: list[str]) -> Render:
    if view is None:
        if name == "UID":
            return lambda row, index: b"UID %d" % row[0]
    elif name == "UID":
        uids = view.uids
        return lambda row, index: b"UID %d" % uids[index]
    elif name == "FLAGS":
        flags, names = view.flags, FlagNames(view.keywords)
        return lambda row, index: b"FLAGS " + names[flags[index]]
    elif name == "MODSEQ":
        modseqs = view.modseqs
        return lambda row, index: b"MODSEQ (%d)" % modseqs[index]
    if name == "RFC822.SIZE":
        size = _column("size", columns)
        return lambda row, index: b"RFC822.SIZE %d" % row[size]
    if name == "INTERNALDATE":
        at, offset = _column("internaldate", columns), _column("internaldate_offset", columns)
        return lambda row, index: b'INTERNALDATE "' + render_date_time(row[at], row[offset]) + b'"'
    label, ready = name.encode() + b" ", _column(name.lower(), columns)  # ENVELOPE, BODYSTRUCTURE, BODY
    return lambda row, index: label + row[ready]


def _kept_fields(item: BodySection, columns: list[str]) -> Render:
    select = field_selector(item.section, kept=True)
    prefix, fields = _column("prefix", columns), _column("fields", columns)
    label, partial = response_label(item), item.partial

    def render(row: StoredRow, index: int) -> bytes:
        text = select(row[prefix] + row[fields])
        if partial is not None:
            text = text[partial[0] : partial[0] + partial[1]]
        return b"%b {%d}\r\n%b" % (label, len(text), text.replace(b"\0", b"\x80"))

    return render


def _blob_item(item: BodySection) -> BlobItem:
    select = field_selector(item.section) if item.section.fields else None
    return BlobItem(response_label(item), item.section, item.partial, select)


def response_label(item: BodySection) -> bytes:
    """Return what the response calls an item: ``BODY[1.TEXT]<0>`` for ``BODY.PEEK[1.TEXT]<0.100>``."""
    return item.label if item.partial is None else b"%b<%d>" % (item.label, item.partial[0])


def flag_update(view: View, names: FlagNames, index: int, uid: bool, modseq: bool, flags: bool = True) -> bytes:
    """Return a FETCH response that reports flags, or with ``flags`` False the mod-sequence alone."""
    items = []
    if uid:
        items.append(b"UID %d" % view.uids[index])
    if flags:
        items.append(b"FLAGS " + names[view.flags[index]])
    if modseq:
        items.append(b"MODSEQ (%d)" % view.modseqs[index])
    return b"* %d FETCH (%b)\r\n" % (index + 1, b" ".join(items))


def flag_updates(view: View, names: FlagNames, indexes: Sequence[int], uid: bool, modseq: bool) -> bytes:
    """Return :func:`flag_update` of several messages. :param uid: also when ``modseq`` is asked for."""
    uids, flags, modseqs = view.columns
    if modseq:
        lines = [
            b"* %d FETCH (UID %d FLAGS %b MODSEQ (%d))\r\n" % (at + 1, uids[at], names[flags[at]], modseqs[at])
            for at in indexes
        ]
    elif uid:
        lines = [b"* %d FETCH (UID %d FLAGS %b)\r\n" % (at + 1, uids[at], names[flags[at]]) for at in indexes]
    else:
        lines = [b"* %d FETCH (FLAGS %b)\r\n" % (at + 1, names[flags[at]]) for at in indexes]
    return b"".join(lines)


def render_date_time(microseconds: int, offset: int) -> bytes:
    """Return RFC 3501 date-time without its quotes, the day padded with a space.

    :param microseconds: UTC since 1970. :param offset: minutes east in which it is shown.
    """
    day, second = divmod(microseconds // 1_000_000 + offset * 60, 86400)
    minute, second = divmod(second, 60)
    sign, zone = (b"-", -offset) if offset < 0 else (b"+", offset)
    return b"%b %02d:%02d:%02d %b%02d%02d" % (
        _day(day), minute // 60, minute % 60, second, sign, zone // 60, zone % 60,
    )  # fmt: skip


@lru_cache(maxsize=8192)
def _day(days: int) -> bytes:
    """Return ``dd-Mon-yyyy`` of a day counted from 1970-01-01, in the proleptic Gregorian calendar.

    The years are counted from March of year 0, so that the leap day is the last of its year.
    """
    era, day = divmod(days + 719468, 146097)
    year = (day - day // 1460 + day // 36524 - day // 146096) // 365
    day -= 365 * year + year // 4 - year // 100
    month = (5 * day + 2) // 153
    day -= (153 * month + 2) // 5
    month += 3 if month < 10 else -9
    year += era * 400 + (month <= 2)
    return b"%2d-%b-%04d" % (day + 1, _MONTHS[month - 1], year)
