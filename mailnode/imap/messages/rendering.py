"""FETCH as rendered octets: one row renderer a command, built from its item list (RFC 3501 6.4.5, 7.4.2).

A row of the store is a tuple; its renderer is a closure that joins ready pieces. Nothing is parsed, adapted or made an
object per row: 100,000 messages pass through here in one command.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from itertools import chain, repeat
from operator import add, itemgetter

from mailnode.imap.messages.fetch_items import Attribute, BodySection, FetchItem, Section
from mailnode.imap.messages.manner import Manner
from mailnode.imap.messages.ranges import column_of, numbers_of, uids_of
from mailnode.imap.messages.sections import (
    Slice,
    field_selector,
    from_kept_fields,
    locate,
    locate_encoded,
    locate_in_message,
)
from mailnode.imap.view.view import RECENT, View
from mailnode.imap.wire.text import string
from mailnode.values.facts import decode_parts
from mailnode.values.flags import KeywordTable
from mailnode.values.object_ids import EMAIL, THREAD, object_id
from mailnode.values.rows import StoredRow

Render = Callable[[StoredRow], bytes]  # completed row -> one item
RenderMany = Callable[[Sequence[StoredRow]], bytes]  # completed rows -> whole responses

# What a completed row ends with, behind the store's columns: so no renderer looks into a view, and plans can be kept.
OWNER, NUMBER, FLAGS, MODSEQ = -4, -3, -2, -1  # places in the row; the flags are rendered

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
    """One ``BODY[...]`` or ``BINARY[...]`` that needs the message itself. ``label`` is complete, with the origin of a partial.
    ``form`` as in :class:`BodySection`."""

    label: bytes
    section: Section
    partial: tuple[int, int] | None
    select: Callable[[bytes], bytes] | None  # for HEADER.FIELDS(.NOT): cuts the fields out of the header
    form: str = ""
    as_it_stands: bool = True  # neither decoded nor chosen from


@dataclass(frozen=True, slots=True)
class FetchPlan:
    """How to answer one FETCH. ``render`` gives ``* 1 FETCH (UID 1 FLAGS ()`` without the closing parenthesis, because
    blob items follow; ``columns`` are what it reads, in the order of the row after the UID; the row is a :func:`completed` one."""

    columns: tuple[str, ...]
    render: Render
    in_a_row: RenderMany  # whole responses, when there are no blob items
    blob_items: tuple[BlobItem, ...]
    sets_seen: bool
    has_flags: bool
    blob_at: int = 0  # places in the row, when there are blob items
    prefix_at: int = 0
    content_at: int = 0
    header_size_at: int = 0
    parts_at: int = 0  # 0: every blob item names octets of the message itself, not of a part
    flags_alone: bool = False  # UID and FLAGS: :func:`flag_lines` says it
    pieces: tuple[bytes | str, ...] = ()  # what whole responses are made of, when ``IMailbox.rendered`` can say them
    many_choices: bool = False  # of header fields: the header is looked through once for all
    decodes: bool = False  # some are wanted without their transfer encoding
    of_view: bool = True  # it says flags or modseqs

    def slices(self, row: StoredRow) -> list[Slice | None]:
        """Return which octets each blob item names; of a header that fields are chosen from, the whole header."""
        prefix, header_size, size = row[self.prefix_at], row[self.header_size_at], row[self.blob_at].size
        parts = decode_parts(row[self.parts_at]) if self.parts_at else ()
        return [
            (locate_encoded if item.form else locate)(parts, prefix, item.section)
            if item.section.part
            else locate_in_message(header_size, size, prefix, item.section)
            for item in self.blob_items
        ]


def completed(
    rows: Iterable[StoredRow], indexes: Sequence[int], view: View, names: FlagNames, owner: str
) -> list[StoredRow]:
    """Return rows ``(uid, *columns)`` with what the view has of their messages behind it.

    :param indexes: where they stand in the view. :param names: for the keywords that the client knows. :param owner: the
        account whose messages they are.
    """
    flags, modseqs = (column_of(column, indexes) for column in (view.flags, view.modseqs))
    said = zip(repeat(owner), numbers_of(indexes), map(names.__getitem__, flags), modseqs, strict=False)
    return list(map(add, rows, said))


def numbered(rows: Iterable[StoredRow], indexes: Sequence[int], owner: str) -> list[StoredRow]:
    """Return :func:`completed` rows for a plan that says nothing of flags and modseqs, which are left out."""
    return list(map(add, rows, zip(repeat(owner), numbers_of(indexes), repeat(b""), repeat(0), strict=False)))


def plan_fetch(items: Sequence[FetchItem], uid: bool, modseq: bool, uid_only: bool = False) -> FetchPlan:
    """Return the plan of one command. Programs ask for the same again and again, most of all those that show one message after
    the other: plans of item lists that are not long are kept.

    :param uid: UID FETCH, whose responses carry UID. :param modseq: the responses carry MODSEQ even unasked.
    :param uid_only: they begin with the UID, and carry it within only where it is asked for (RFC 9586 3.3).
    """
    short = sum([1 if isinstance(item, Attribute) else len(item.label) for item in items]) < REMEMBERED
    return (_known_plan if short else _plan)(tuple(items), uid and not uid_only, modseq, uid_only)


def _plan(items: tuple[FetchItem, ...], uid: bool, modseq: bool, uid_only: bool) -> FetchPlan:
    names = [item.name for item in items if isinstance(item, Attribute)]
    wanted: list[FetchItem] = list(items)
    if uid and "UID" not in names:
        wanted.insert(0, Attribute("UID"))
    if modseq and "MODSEQ" not in names:
        wanted.append(Attribute("MODSEQ"))
    columns: list[str] = []
    many = sum([not isinstance(item, Attribute) and bool(item.section.fields) for item in wanted]) > FEW_CHOICES
    renders, blob_items = _items(wanted, columns, many)
    in_a_row, pieces = _rows_as_they_are(wanted, columns, uid_only)
    blob, prefix, content, header_size = (
        _column(name, columns) if blob_items else 0 for name in ("blob", "prefix", "content", "header_size")
    )
    parts = _column("parts", columns) if any(item.section.part for item in blob_items) else 0
    sets_seen = any(isinstance(item, BodySection) and not item.peek for item in items)
    return FetchPlan(
        tuple(columns),
        _line(renders, uid_only),
        in_a_row or _lines(renders, uid_only),
        tuple(blob_items),
        sets_seen,
        "FLAGS" in names,
        blob,
        prefix,
        content,
        header_size,
        parts,
        wanted == [Attribute("UID"), Attribute("FLAGS")][uid_only:],
        pieces,
        many_choices=many,
        decodes=any(item.form for item in blob_items),
        of_view=Attribute("FLAGS") in wanted or Attribute("MODSEQ") in wanted,
    )


_known_plan = lru_cache(maxsize=256)(_plan)


def _items(wanted: Sequence[FetchItem], columns: list[str], many: bool) -> tuple[list[Render], list[BlobItem]]:
    """Return what says the items that stand in columns, which are added, and the items that need the message."""
    renders: list[Render] = []
    blob_items: list[BlobItem] = []
    for item in wanted:
        if isinstance(item, Attribute):
            renders.append(_attribute(item.name, columns))
        elif from_kept_fields(item.section) and not many:
            renders.append(_kept_fields(item, columns))
        else:
            blob_items.append(_blob_item(item))
    return renders, blob_items


def flag_lines(view: View, names: FlagNames, indexes: Sequence[int], uid_only: bool) -> bytes:
    """What every mail program asks of a whole mailbox first: as little as possible for each message."""
    uids, said = uids_of(view, indexes), map(names.__getitem__, column_of(view.flags, indexes))
    if uid_only:
        return _filled(b"* %d UIDFETCH (FLAGS %b)\r\n", zip(uids, said, strict=True), len(indexes))
    lines = zip(numbers_of(indexes), uids, said, strict=True)
    return _filled(b"* %d FETCH (UID %d FLAGS %b)\r\n", lines, len(indexes))


def _filled(response: bytes, values: Iterable[StoredRow], count: int) -> bytes:
    """Return so many responses, as one format: one for each takes a quarter longer."""
    return response * count % tuple(chain.from_iterable(values))


# Items that are sent as they stand in a row: in a column, or else where ``_OF_VIEW`` says.
_READY = {
    "UID": ("uid", b"%d"),
    "RFC822.SIZE": ("size", b"%d"),
    "ENVELOPE": ("envelope", b"%b"),
    "BODYSTRUCTURE": ("bodystructure", b"%b"),
    "BODY": ("body", b"%b"),
    "FLAGS": ("flags", b"%b"),
    "MODSEQ": ("modseq", b"(%d)"),
}
_OF_VIEW = {"UID": 0, "FLAGS": FLAGS, "MODSEQ": MODSEQ}


def _rows_as_they_are(
    wanted: Sequence[FetchItem], columns: Sequence[str], uid_only: bool
) -> tuple[RenderMany | None, tuple[bytes | str, ...]]:
    """Make one format of all items, which takes half the time of a call for each, and the pieces for the store, which knows
    nothing of a view."""
    names = [item.name if isinstance(item, Attribute) else "" for item in wanted]
    if not columns or not _READY.keys() >= set(names):
        return None, ()
    render = _format(names, columns, uid_only)
    if "FLAGS" in names or "MODSEQ" in names:
        return render, ()
    pieces: list[bytes | str] = [b"* ", "uid" if uid_only else "number"]
    between = b" UIDFETCH (" if uid_only else b" FETCH ("
    for name in names:
        pieces += [between + name.encode() + b" ", _READY[name][0]]
        between = b" "
    return render, (*pieces, b")\r\n")


def _format(names: Sequence[str], columns: Sequence[str], uid_only: bool) -> RenderMany:
    items = b" ".join([b"%b %b" % (name.encode(), _READY[name][1]) for name in names])
    response = (b"* %d UIDFETCH (" if uid_only else b"* %d FETCH (") + items + b")\r\n"
    places = [_OF_VIEW[name] if name in _OF_VIEW else columns.index(_READY[name][0]) + 1 for name in names]
    pick = itemgetter(0 if uid_only else NUMBER, *places)
    return lambda rows: _filled(response, map(pick, rows), len(rows))


def _lines(renders: Sequence[Render], uid_only: bool) -> RenderMany:
    """As :func:`_line`, of whole responses."""
    begin, place = _beginning(uid_only)
    response = begin + b")\r\n"
    if len(renders) == 1:
        [only] = renders
        return lambda rows: b"".join([response % (row[place], only(row)) for row in rows])
    return lambda rows: b"".join(
        [response % (row[place], b" ".join([render(row) for render in renders])) for row in rows]
    )


def _beginning(uid_only: bool) -> tuple[bytes, int]:
    """Return what a response begins with, and where in a row its number is. :param uid_only: that is the UID."""
    return (b"* %d UIDFETCH (%b", 0) if uid_only else (b"* %d FETCH (%b", NUMBER)


def _line(renders: Sequence[Render], uid_only: bool) -> Render:
    begin, place = _beginning(uid_only)
    if not renders:
        return lambda row: begin % (row[place], b"")
    if len(renders) == 1:
        [only] = renders
        return lambda row: begin % (row[place], only(row))
    return lambda row: begin % (row[place], b" ".join([render(row) for render in renders]))


def _column(name: str, columns: list[str]) -> int:
    """Return a column's place in the row, asking for it when nobody has."""
    if name not in columns:
        columns.append(name)
    return columns.index(name) + 1  # row[0] is the UID


def _attribute(name: str, columns: list[str]) -> Render:
    if name == "UID":
        return lambda row: b"UID %d" % row[0]
    if name == "FLAGS":
        return lambda row: b"FLAGS " + row[FLAGS]
    if name == "MODSEQ":
        return lambda row: b"MODSEQ (%d)" % row[MODSEQ]
    if name == "RFC822.SIZE":
        size = _column("size", columns)
        return lambda row: b"RFC822.SIZE %d" % row[size]
    if name == "INTERNALDATE":
        at, offset = _column("internaldate", columns), _column("internaldate_offset", columns)
        return lambda row: b'INTERNALDATE "' + render_date_time(row[at], row[offset]) + b'"'
    if name == "SAVEDATE":
        saved = _column("savedate", columns)
        return lambda row: b'SAVEDATE "' + render_date_time(row[saved], 0) + b'"'
    if name in _OBJECT_IDS:
        of, kind = _column(_OBJECT_IDS[name][0], columns), _OBJECT_IDS[name][1]
        title = name.encode()
        return lambda row: b"%b (%b)" % (title, object_id(kind, row[OWNER], row[of]))
    if name == "PREVIEW":
        words = _column("preview", columns)
        return lambda row: b"PREVIEW " + string(row[words])
    label, ready = name.encode() + b" ", _column(name.lower(), columns)  # ENVELOPE, BODYSTRUCTURE, BODY
    return lambda row: label + row[ready]


_OBJECT_IDS = {"EMAILID": ("message_id", EMAIL), "THREADID": ("thread_id", THREAD)}


def _kept_fields(item: BodySection, columns: list[str]) -> Render:
    select = field_selector(item.section, kept=True)
    prefix, fields = _column("prefix", columns), _column("fields", columns)
    label, partial = response_label(item), item.partial

    def render(row: StoredRow) -> bytes:
        text = select(row[prefix] + row[fields])
        if partial is not None:
            text = text[partial[0] : partial[0] + partial[1]]
        return b"%b {%d}\r\n%b" % (label, len(text), text.replace(b"\0", b"\x80"))

    return render


def _blob_item(item: BodySection) -> BlobItem:
    select = field_selector(item.section) if item.section.fields else None
    return BlobItem(
        response_label(item),
        item.section,
        item.partial,
        select,
        item.form,
        as_it_stands=select is None and not item.form,
    )


def response_label(item: BodySection) -> bytes:
    """Return what the response calls an item: ``BODY[1.TEXT]<0>`` for ``BODY.PEEK[1.TEXT]<0.100>``."""
    return item.label if item.partial is None else b"%b<%d>" % (item.label, item.partial[0])


def flag_update(
    view: View, names: FlagNames, index: int, uid: bool, manner: Manner, flags: bool = True, modseq: bool = False
) -> bytes:
    """Return a FETCH response that reports flags, or with ``flags`` False the mod-sequence alone.

    :param modseq: that is said in any manner.
    """
    items = []
    if uid and not manner.uid_only:
        items.append(b"UID %d" % view.uids[index])
    if flags:
        items.append(b"FLAGS " + names[view.flags[index]])
    if modseq or manner.modseq:
        items.append(b"MODSEQ (%d)" % view.modseqs[index])
    if manner.uid_only:
        return b"* %d UIDFETCH (%b)\r\n" % (view.uids[index], b" ".join(items))
    return b"* %d FETCH (%b)\r\n" % (index + 1, b" ".join(items))


def flag_updates(view: View, names: FlagNames, indexes: Sequence[int], uid: bool, manner: Manner) -> bytes:
    """Return :func:`flag_update` of several messages, with the UID wherever there is the mod-sequence."""
    uids, flags, modseqs = view.columns
    if manner.uid_only:
        lines = [flag_update(view, names, at, False, manner) for at in indexes]
    elif manner.modseq:
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
