"""Rendering of FETCH rows."""

from array import array
from datetime import UTC, datetime, timedelta, timezone

import pytest

from mailnode.imap.messages.fetch_items import Attribute, BodySection, Section
from mailnode.imap.messages.rendering import FlagNames, completed, flag_lines, plan_fetch, render_date_time
from mailnode.imap.view.view import RECENT, View
from mailnode.values.flags import DELETED, SEEN, KeywordTable
from mailnode.values.mailbox import MailboxSnapshot
from mailnode.values.object_ids import EMAIL, object_id
from mailnode.values.rows import StoredRow


def view() -> View:
    return View(
        MailboxSnapshot(
            1, 1, 10, 9, array("I", [4, 7]), array("Q", [SEEN, 0]), array("Q", [5, 9]), KeywordTable(("$A", "b")), 7
        )
    )


def complete(*rows: StoredRow, first: int = 0) -> list[StoredRow]:
    """Rows of the view's messages from an index on."""
    seen = view()
    return completed(rows, range(first, first + len(rows)), seen, FlagNames(seen.keywords), "owner")


# IMAP trap 37: the day is padded
@pytest.mark.parametrize("offset", [0, 60, -330, 840, -720, 5999])
@pytest.mark.parametrize("year", [1, 1969, 1970, 2000, 2024, 2100, 9998])
def test_date_time_agrees_with_the_standard_library(year: int, offset: int) -> None:
    zone = timezone(timedelta(minutes=offset)) if abs(offset) < 1440 else None
    for month, day in ((1, 1), (1, 31), (2, 28), (3, 1), (12, 31), (6, 9)):
        moment = datetime(year, month, day, 23, 59, 7, tzinfo=UTC)
        microseconds = (moment - datetime(1970, 1, 1, tzinfo=UTC)) // timedelta(microseconds=1)
        if zone is None or (year == 1 and offset < 0):
            continue
        there = moment.astimezone(zone)
        sign, minutes = ("-", -offset) if offset < 0 else ("+", offset)
        names = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"]
        expected = (
            f"{there.day:2d}-{names[there.month - 1]}-{there.year:04d} {there:%H:%M:%S} "
            f"{sign}{minutes // 60:02d}{minutes % 60:02d}"
        )
        assert render_date_time(microseconds, offset) == expected.encode()


def test_flags() -> None:
    names = FlagNames(KeywordTable(("$A", "b")))
    assert names[0] == b"()"
    assert names[SEEN | DELETED | RECENT | 1 << 9] == b"(\\Seen \\Deleted b \\Recent)"
    assert names[SEEN] is names[SEEN]


def test_a_row_of_metadata() -> None:
    names = ["FLAGS", "INTERNALDATE", "RFC822.SIZE", "ENVELOPE", "BODY"]
    plan = plan_fetch([Attribute(n) for n in names], uid=True, modseq=True)
    row = {"internaldate": 0, "internaldate_offset": 60, "size": 77, "envelope": b"(NIL)", "body": b'("TEXT")'}
    assert plan.render(*complete((7, *[row[c] for c in plan.columns]), first=1)) == (
        b'* 2 FETCH (UID 7 FLAGS (\\Recent) INTERNALDATE " 1-Jan-1970 01:00:00 +0100" RFC822.SIZE 77 ENVELOPE (NIL) '
        b'BODY ("TEXT") MODSEQ (9)'
    )
    assert not plan.blob_items and not plan.sets_seen and plan.has_flags


@pytest.mark.parametrize(
    "names",
    [
        ["BODYSTRUCTURE"],
        ["RFC822.SIZE"],
        ["ENVELOPE", "RFC822.SIZE", "UID"],
        ["UID", "BODY", "RFC822.SIZE", "ENVELOPE", "BODYSTRUCTURE"],
    ],
)
@pytest.mark.parametrize("uid", [False, True])
def test_items_that_stand_in_the_row_are_rendered_alike_by_one_format(names: list[str], uid: bool) -> None:
    plan = plan_fetch([Attribute(n) for n in names], uid=uid, modseq=False)
    values = {"size": 77, "envelope": b"(%d NIL)", "body": b'("TEXT")', "bodystructure": b'("TEXT" NIL)'}
    rows = complete(*[(held, *[values[c] for c in plan.columns]) for held in (4, 7)])
    alone = {**values, "number": 1, "uid": 4}
    pieces = [piece if isinstance(piece, bytes) else alone[piece] for piece in plan.pieces]
    said = b"".join(piece if isinstance(piece, bytes) else b"%d" % piece for piece in pieces)
    assert said == plan.render(rows[0]) + b")\r\n"
    assert plan.in_a_row(rows) == b"".join(plan.render(row) + b")\r\n" for row in rows)


@pytest.mark.parametrize(
    "names", [["FLAGS", "ENVELOPE", "RFC822.SIZE"], ["UID", "RFC822.SIZE", "FLAGS"], ["MODSEQ", "BODY", "FLAGS"]]
)
@pytest.mark.parametrize("modseq", [False, True])
@pytest.mark.parametrize("uid", [False, True])
@pytest.mark.parametrize("uid_only", [False, True])
def test_flags_and_mod_sequences_are_part_of_the_one_format(
    names: list[str], modseq: bool, uid: bool, uid_only: bool
) -> None:
    plan = plan_fetch([Attribute(n) for n in names], uid=uid, modseq=modseq, uid_only=uid_only)
    values = {"size": 77, "envelope": b"(%d NIL)", "body": b'("TEXT")'}
    rows = complete(*[(held, *[values[c] for c in plan.columns]) for held in (4, 7)])
    assert plan.pieces == ()
    assert plan.in_a_row(rows) == b"".join(plan.render(row) + b")\r\n" for row in rows)


@pytest.mark.parametrize("name", ["INTERNALDATE", "UID"])
def test_other_items_have_no_format_of_their_own(name: str) -> None:
    items = [Attribute(name)] if name == "UID" else [Attribute("ENVELOPE"), Attribute(name)]
    plan = plan_fetch(items, uid=False, modseq=False)
    values = {"envelope": b"(NIL)", "internaldate": 0, "internaldate_offset": 0}
    rows = complete(*[(held, *[values[c] for c in plan.columns]) for held in (4, 7)])
    assert plan.in_a_row(rows) == b"".join(plan.render(row) + b")\r\n" for row in rows)
    assert plan.pieces == ()


def test_flags_need_no_column() -> None:
    plan = plan_fetch([Attribute("UID"), Attribute("FLAGS")], uid=True, modseq=False)
    assert plan.columns == ()
    assert plan.flags_alone
    assert plan.render(*complete((4,))) == b"* 1 FETCH (UID 4 FLAGS (\\Seen)"
    assert flag_lines(view(), FlagNames(view().keywords), [0, 1], False) == (
        b"* 1 FETCH (UID 4 FLAGS (\\Seen))\r\n* 2 FETCH (UID 7 FLAGS (\\Recent))\r\n"
    )
    assert flag_lines(view(), FlagNames(view().keywords), [1], True) == b"* 7 UIDFETCH (FLAGS (\\Recent))\r\n"


def test_kept_fields_need_no_blob() -> None:
    section = Section((), "HEADER.FIELDS", (b"subject", b"Return-Path"))
    item = BodySection(section, b"BODY[HEADER.FIELDS (subject Return-Path)]", True, (3, 10))
    plan = plan_fetch([item], uid=False, modseq=False)
    assert plan.columns == ("prefix", "fields") and not plan.blob_items
    assert plan.render(*complete((4, b"Return-Path: <>\r\n", b"Subject: a\0\r\n"))) == (
        b"* 1 FETCH (BODY[HEADER.FIELDS (subject Return-Path)]<3> {10}\r\nurn-Path: "
    )
    whole = plan_fetch([BodySection(section, b"L", True)], uid=False, modseq=False)
    assert whole.render(*complete((4, b"Return-Path: <>\r\n", b"Subject: a\0\r\nTo: b\r\n"))) == (
        b"* 1 FETCH (L {32}\r\nReturn-Path: <>\r\nSubject: a\x80\r\n\r\n"
    )


def test_peek_and_seen() -> None:
    peek, read = (BodySection(Section(), b"BODY[]", p) for p in (True, False))
    assert not plan_fetch([peek], uid=False, modseq=False).sets_seen
    plan = plan_fetch([read], uid=False, modseq=False)
    assert plan.sets_seen and plan.blob_items[0].label == b"BODY[]"
    assert plan.render(*complete((4,))) == b"* 1 FETCH ("


@pytest.mark.parametrize("uid", [False, True])
def test_a_plan_is_kept_unless_it_is_long(uid: bool) -> None:
    whole = BodySection(Section(), b"BODY[]", True)
    for items in ([whole], [Attribute("UID"), whole], [Attribute("FLAGS"), whole], [Attribute("THREADID")]):
        assert plan_fetch(items, uid, False) is plan_fetch(tuple(items), uid, False)
        assert plan_fetch(items, uid, True) is not plan_fetch(items, uid, False)
        assert plan_fetch(items, uid, False, True) is not plan_fetch(items, uid, False)
    assert plan_fetch([whole], True, False) is not plan_fetch([whole], False, False)
    long = [BodySection(Section(), b"BODY[%d]" % number, True) for number in range(1, 100)]
    assert plan_fetch(long, uid, False) is not plan_fetch(long, uid, False)


def test_of_whom_and_which_message_a_row_is_stands_behind_it() -> None:
    plan = plan_fetch([Attribute("EMAILID"), Attribute("MODSEQ")], uid=False, modseq=False, uid_only=True)
    [row] = complete((7, 12), first=1)
    assert plan.columns == ("message_id",)
    assert row == (7, 12, "owner", 2, b"(\\Recent)", 9)
    assert plan.render(row) == b"* 7 UIDFETCH (EMAILID (%b) MODSEQ (9)" % object_id(EMAIL, "owner", 12)
