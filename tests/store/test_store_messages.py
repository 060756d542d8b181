"""The messages of a mailbox: the contract of IMailbox."""

from __future__ import annotations

import json

import pytest
from twisted.internet.defer import Deferred

from mailnode.errors import (
    BlobDamaged,
    Busy,
    KeywordLimit,
    LimitReached,
    NoSuchMailbox,
    OverQuota,
    RowsDamaged,
    StoreUnavailable,
)
from mailnode.store.engines.engine import mail_tenancy
from mailnode.store.facades import mailbox as mailbox_module
from mailnode.store.units import arrivals, copies, flag_changes, messages
from mailnode.values.blob import StagedBlob
from mailnode.values.flags import ANSWERED, DELETED, FLAGGED, KEYWORD_SHIFT, MAX_KEYWORDS, SEEN
from mailnode.values.mailbox import COLUMNS, DeliveryPlan

NOT_RECENT = 0xFFFFFFFF


@pytest.fixture
def ann(store):
    return store.account("ann")


@pytest.fixture
def inbox(ann):
    return ann.open(1)


@pytest.fixture
def five(inbox, loop, make):
    """INBOX with UIDs 1 to 5."""
    loop.run(inbox.append([make() for _ in range(5)]))
    return inbox


def live(loop, box):
    return loop.run(box.snapshot()).uids.tolist()


# append


def test_append_gives_uids_in_order_and_one_modseq(inbox, ann, loop, make, hints):
    before = loop.run(ann.modseq())
    first = loop.run(inbox.append([make(), make()]))
    second = loop.run(inbox.append([make()]))
    assert (first.uids, second.uids) == ((1, 2), (3,))
    assert (first.modseq, second.modseq) == (before + 1, before + 2)
    snapshot = loop.run(inbox.snapshot())
    assert snapshot.uidvalidity == first.uidvalidity
    assert snapshot.modseqs.tolist() == [first.modseq, first.modseq, second.modseq]
    assert (snapshot.uidnext, snapshot.highest_modseq) == (4, second.modseq)
    assert hints.published == [("ann", first.modseq), ("ann", second.modseq)]


def test_the_arrays_of_a_snapshot_have_their_types(five, loop):
    snapshot = loop.run(five.snapshot())
    assert (snapshot.uids.typecode, snapshot.flags.typecode, snapshot.modseqs.typecode) == ("I", "Q", "Q")


def test_append_keeps_flags_and_keywords(inbox, loop, make):
    loop.run(inbox.append([make(flags=SEEN | 1 << 40, keywords=("Work", "work", "$Junk"))]))
    snapshot = loop.run(inbox.snapshot())
    assert snapshot.keywords.names == ("Work", "$Junk")
    assert snapshot.flags.tolist() == [SEEN | 3 << KEYWORD_SHIFT]


# IMAP trap 19: after the last was expunged
def test_uids_are_not_used_again_after_the_last_was_expunged(five, loop, make):
    loop.run(five.expunge([5], False))
    assert loop.run(five.append([make()])).uids == (6,)
    loop.run(five.expunge([1, 2, 3, 4, 6], False))
    assert loop.run(five.append([make()])).uids == (7,)


def test_append_over_quota_leaves_nothing(store, inbox, ann, loop, make):
    loop.run(store.set_quota("ann", 100, 0))
    before = loop.run(ann.modseq())
    with pytest.raises(OverQuota):
        loop.run(inbox.append([make(b"x" * 60), make(b"x" * 60)]))
    assert live(loop, inbox) == []
    assert loop.run(ann.modseq()) == before
    assert loop.run(inbox.append([make(b"x" * 100)])).uids == (1,)
    usage = loop.run(ann.usage())
    assert (usage.bytes_used, usage.bytes_limit, usage.count_used, usage.count_limit) == (100, 100, 1, 0)


@pytest.mark.parametrize("room", [0, 1, 3])
def test_appends_side_by_side_never_exceed_the_quota(store, inbox, ann, loop, make, room):
    loop.run(store.set_quota("ann", 100 * room + 99, 0))
    outcomes = loop.together(*(inbox.append([make(b"%03d" % n + b"x" * 97)]) for n in range(10)))
    assert sum(isinstance(outcome, OverQuota) for outcome in outcomes) == 10 - room
    assert len(live(loop, inbox)) == room
    assert loop.run(ann.usage()).bytes_used == 100 * room


def test_copies_side_by_side_never_exceed_the_quota(store, five, ann, loop):
    used = loop.run(ann.usage()).bytes_used
    loop.run(store.set_quota("ann", 3 * used - 1, 0))
    outcomes = loop.together(*(five.copy([1, 2, 3, 4, 5], 2) for _ in range(4)))
    assert sum(isinstance(outcome, OverQuota) for outcome in outcomes) == 3
    assert len(live(loop, ann.open(2))) == 5
    assert loop.run(ann.usage()).bytes_used == 2 * used


def test_quota_of_messages(store, inbox, ann, loop, make):
    loop.run(store.set_quota("ann", 0, 2))
    loop.run(inbox.append([make(), make()]))
    with pytest.raises(OverQuota):
        loop.run(inbox.append([make()]))
    with pytest.raises(OverQuota):
        loop.run(inbox.copy([1], 2))
    loop.run(inbox.move([1], 2))
    loop.run(inbox.expunge([2], False))
    loop.run(inbox.append([make()]))


# rows


def test_rows_have_every_column(inbox, loop, make):
    message = make(b"H: h\r\n\r\nbody\r\n", "id@x", prefix=b"P: p\r\n", flags=FLAGGED, internaldate_offset=-90)
    appended = loop.run(inbox.append([message]))
    (row,) = loop.run(inbox.rows([1], list(COLUMNS)))
    values = dict(zip(COLUMNS, row[1:], strict=True))
    assert row[0] == 1
    for name, kind in COLUMNS.items():
        assert isinstance(values[name], kind), name
    assert values["size"] == len(b"H: h\r\n\r\nbody\r\n") + len(b"P: p\r\n")
    assert values["prefix"] == b"P: p\r\n"
    assert values["blob"] == message.blob.ref
    assert values["internaldate"] == message.internaldate
    assert values["internaldate_offset"] == -90
    assert values["savedate"] == 1_800_000_000_000_000
    assert (values["flags"], values["modseq"]) == (FLAGGED, appended.modseq)
    assert values["envelope"] == message.facts.envelope
    assert values["bodystructure"] == message.facts.bodystructure
    assert values["body"] == message.facts.body
    assert values["fields"] == message.facts.fields
    assert values["parts"] == message.facts.parts
    assert values["sort"] == message.facts.sort
    assert values["header_size"] == message.facts.header_size


@pytest.mark.parametrize(
    ("asked", "found"),
    [([1, 2, 3], [1, 2, 3]), ([1, 3, 5], [1, 3, 5]), ([2, 900], [2]), ([900], []), ([], []), ([1, 4000, 9000], [1])],
)
def test_rows_of_those_that_exist(five, loop, asked, found):
    assert [row[0] for row in loop.run(five.rows(asked, ["size"]))] == found


def test_rows_keep_the_order_of_columns_around_the_blob(five, loop):
    (row,) = loop.run(five.rows([2], ["flags", "blob", "size"]))
    assert row[1] == 0
    assert row[2].place == "inline"
    assert row[3] == row[2].size
    assert len(row) == 4


def test_content_comes_with_its_row_where_that_is_cheap(inbox, loop, make, files, engine, monkeypatch):
    monkeypatch.setattr(messages, "READ_WHOLE", 100)
    monkeypatch.setattr(messages, "READ_TOGETHER", 250)
    # the second is too large to be read whole, the fourth one too many
    sizes = [100, 101, 99, 98, 51]
    made = [make(bytes([65 + number]) * size) for number, size in enumerate(sizes)]
    loop.run(inbox.append(made))
    rows = loop.run(inbox.rows(range(1, 6), ["size", "content", "flags", "blob"]))
    assert [row[2] for row in rows] == [b"A" * 100, None, b"C" * 99, None, b"E" * 51]
    assert [(row[1], row[3], row[4]) for row in rows] == [
        (size, 0, message.blob.ref) for size, message in zip(sizes, made, strict=True)
    ]


@pytest.mark.parametrize(
    "columns",
    [
        ["blob", "content"],
        ["content", "blob"],
        ["size", "content", "flags", "blob", "prefix"],
        ["blob", "size", "content"],
    ],
)
def test_one_row_with_content_is_as_among_others(five, loop, columns):
    for uid in range(1, 6):
        [one] = loop.run(five.rows([uid], columns))
        assert one == loop.run(five.rows([1, 2, 3, 4, 5], columns))[uid - 1]
        assert one[columns.index("content") + 1] is not None
    assert loop.run(five.rows([6], columns)) == []


def test_one_row_whose_content_is_missing_or_too_large(store, inbox, loop, make, files, engine, monkeypatch):
    loop.run(inbox.append([make(b"one thing"), make(b"another thing")]))
    store.recent.clear()
    monkeypatch.setattr(messages, "READ_WHOLE", 10)
    assert [row[2] for uid in (1, 2) for row in loop.run(inbox.rows([uid], ["blob", "content"]))] == [
        b"one thing",
        None,
    ]
    [(_, ref)] = loop.run(inbox.rows([1], ["blob"]))
    for tenancy in map(mail_tenancy, range(engine.partitions)):
        loop.run(engine.write(tenancy, rename_blob, ref.blob_id, "elsewhere"))
    [(_, _, content)] = loop.run(inbox.rows([1], ["blob", "content"]))
    assert isinstance(content, BlobDamaged)
    for tenancy in map(mail_tenancy, range(engine.partitions)):
        loop.run(engine.write(tenancy, rename_blob, "elsewhere", ref.blob_id))


def rename_blob(tx, old, new):
    tx.execute("UPDATE blob SET blob_id = ? WHERE blob_id = ?", (new, old))


def test_content_in_a_file_does_not_come_with_its_row(store, inbox, loop, make, files, monkeypatch):
    monkeypatch.setattr(files, "_inline", 10)
    loop.run(inbox.append([make(b"not so small")]))
    store.recent.clear()
    ((_, content, blob),) = loop.run(inbox.rows([1], ["content", "blob"]))
    assert (content, blob.place) == (None, "file")


def test_damaged_content_comes_as_its_error(inbox, ann, loop, make):
    staged = make(b"one thing")
    wrong = staged._replace(blob=StagedBlob(staged.blob.ref, make(b"other one").blob.data))
    loop.run(inbox.append([wrong, make(b"another message")]))
    rows = loop.run(inbox.rows([1, 2], ["blob", "content"]))
    assert isinstance(rows[0][2], BlobDamaged)
    assert rows[1][2] == b"another message"


def test_rows_include_expunged_messages_while_they_are_kept(five, loop):
    loop.run(five.expunge([2], False))
    assert [row[0] for row in loop.run(five.rows([1, 2], ["envelope"]))] == [1, 2]


def test_rows_are_bounded(five, loop):
    with pytest.raises(LimitReached):
        loop.run(five.rows(range(1, 258), ["size"]))


PIECES = (b"* ", "number", b" (", "uid", b" \x00\xff", "size", b" ", "bodystructure", b")\r\n")


def said(loop, mailbox, uids, number):
    """What :data:`PIECES` make of rows."""
    rows = loop.run(mailbox.rows(uids, ["size", "bodystructure"]))
    return b"".join(
        b"* %d (%d \x00\xff%d %b)\r\n" % (at, uid, size, structure)
        for at, (uid, size, structure) in enumerate(rows, number)
    )


@pytest.mark.parametrize(
    ("gone", "uids"), [([], [1, 2, 3, 4, 5]), ([], [2, 3]), ([], [5]), ([1, 3], [2, 4, 5]), ([3], [4, 5])]
)
def test_what_messages_say_is_joined_in_order(inbox, loop, make, gone, uids):
    # octets of all kinds: a literal in a structure has what the message has
    structures = [b"(%d)" % number + bytes(range(256)) + b"\xc3" for number in range(5)]
    made = [make(b"x" * 10**number) for number in range(5)]
    facts = [message.facts._replace(bodystructure=x) for message, x in zip(made, structures, strict=True)]
    loop.run(inbox.append([message._replace(facts=x) for message, x in zip(made, facts, strict=True)]))
    loop.run(inbox.expunge(gone, False))
    assert loop.run(inbox.rendered(uids, 7, PIECES)) == said(loop, inbox, uids, 7)


def test_what_messages_are_ordered_by_is_said_too(inbox, loop, make):
    made = [make(b"x")._replace(internaldate=number * 10**15) for number in (1, 2)]
    loop.run(inbox.append(made))
    pieces = (b"[", "uid", b",", "internaldate", b",", "size", b",", "sort", b"],")
    rows = loop.run(inbox.rows([1, 2], ["internaldate", "size", "sort"]))
    expected = b"".join(b"[%d,%d,%d,%b]," % row for row in rows)
    assert loop.run(inbox.rendered([1, 2], 1, pieces)) == expected
    assert expected.startswith(b"[1,%d," % 10**15)


def test_nothing_is_said_for_others_than_those_asked_for(five, loop):
    assert loop.run(five.rendered([1, 3], 1, PIECES)) is None
    assert loop.run(five.rendered([1, 2, 3, 4, 5, 6], 1, PIECES)) is None
    loop.run(five.expunge([2], False))
    assert loop.run(five.rendered([1, 2, 3], 1, PIECES)) is None
    assert loop.run(five.rendered([2], 1, PIECES)) is None
    assert loop.run(five.rendered([1, 3], 1, PIECES)) == said(loop, five, [1, 3], 1)


def test_nothing_is_said_when_facts_are_too_large_for_a_row(inbox, loop, make):
    loop.run(inbox.append([make(), make(fill=200_000), make()]))
    assert loop.run(inbox.rendered([1, 2, 3], 1, PIECES)) is None
    assert loop.run(inbox.rendered([1], 1, PIECES)) == said(loop, inbox, [1], 1)


def test_of_many_messages_numbers_are_said_at_once(inbox, loop, make, monkeypatch):
    monkeypatch.setattr(mailbox_module, "RENDERED_UIDS", 2)
    monkeypatch.setattr(mailbox_module, "RENDERED_NUMBERS", 3)
    loop.run(inbox.append([make(b"x" * number)._replace(internaldate=number) for number in range(1, 5)]))
    rows = loop.run(inbox.rows([1, 2, 3], ["size", "internaldate"]))
    for pieces, places in (["uid", b",", "size", b";"], (0, 1)), (["internaldate", b";"], (2,)):
        expected = b"".join(b",".join(b"%d" % row[place] for place in places) + b";" for row in rows)
        assert loop.run(inbox.rendered([1, 2, 3], 1, pieces)) == expected
        with pytest.raises(LimitReached):
            loop.run(inbox.rendered([1, 2, 3, 4], 1, pieces))
    with pytest.raises(LimitReached):
        loop.run(inbox.rendered([1, 2, 3], 1, ["uid", "sort"]))


def test_what_is_joined_is_bounded_and_of_a_mailbox_that_is_there(five, ann, loop):
    with pytest.raises(LimitReached):
        loop.run(five.rendered(range(1, 514), 1, PIECES))
    with pytest.raises(NoSuchMailbox):
        loop.run(ann.open(99).rendered([1], 1, PIECES))


def test_large_facts_come_back_from_their_blob(inbox, loop, make, files):
    small, large = make(), make(fill=200_000)
    loop.run(inbox.append([small, large]))
    columns = ["flags", "fields", "blob", "sort", "parts", "envelope"]
    one, two = loop.run(inbox.rows([1, 2], columns))
    assert one[2] == small.facts.fields
    assert two[2] == large.facts.fields
    assert two[3] == large.blob.ref
    assert two[4] == large.facts.sort
    assert two[5] == large.facts.parts
    assert two[6] == large.facts.envelope


def test_a_row_that_is_swept_while_its_facts_are_fetched_is_left_out(inbox, loop, make, files, monkeypatch):
    loop.run(inbox.append([make(), make(fill=20_000)]))
    monkeypatch.setattr(mailbox_module.messages, "facts_blobs", lambda *args: {})
    assert [row[0] for row in loop.run(inbox.rows([1, 2], ["fields"]))] == [1]


def test_facts_that_cannot_be_read_take_only_their_own_row(inbox, loop, make, engine, monkeypatch):
    loop.run(inbox.append([make(), make(fill=20_000), make()]))
    lost = {2: json.dumps(["nothing", 3, "file", "zstd", "00"])}
    monkeypatch.setattr(mailbox_module.messages, "facts_blobs", lambda *args: lost)
    with pytest.raises(RowsDamaged) as raised:
        loop.run(inbox.rows([1, 2, 3], ["fields"]))
    assert [row[0] for row in raised.value.rows] == [1, 3]


def test_read_gives_ranges(inbox, loop, make):
    content = bytes(range(256)) * 20
    loop.run(inbox.append([make(content)]))
    ((_, ref),) = loop.run(inbox.rows([1], ["blob"]))
    assert loop.run(inbox.read(ref)) == content
    assert loop.run(inbox.read(ref, 100, 50)) == content[100:150]
    assert loop.run(inbox.read(ref, len(content) - 3, 50)) == content[-3:]
    assert loop.run(inbox.read(ref, len(content), 50)) == b""


# flags


@pytest.mark.parametrize(
    ("mode", "flags", "after"),
    [("set", FLAGGED, FLAGGED), ("add", FLAGGED, SEEN | FLAGGED), ("remove", SEEN | FLAGGED, 0)],
)
def test_modes_of_store(inbox, loop, make, mode, flags, after):
    loop.run(inbox.append([make(flags=SEEN)]))
    stored = loop.run(inbox.store_flags([1], mode, flags))
    assert stored.changed == ((1, after, stored.modseq),)
    assert stored.before == (SEEN,)
    snapshot = loop.run(inbox.snapshot())
    assert snapshot.flags.tolist() == [after]
    assert snapshot.highest_modseq == stored.modseq == snapshot.modseqs[0]


def test_a_store_that_alters_nothing_leaves_no_trace(inbox, ann, loop, make, hints):
    loop.run(inbox.append([make(flags=SEEN)]))
    before, snapshot = loop.run(ann.modseq()), loop.run(inbox.snapshot())
    hints.published.clear()
    for stored in (
        loop.run(inbox.store_flags([1], "add", SEEN)),
        loop.run(inbox.store_flags([1], "set", SEEN)),
        loop.run(inbox.store_flags([1], "remove", FLAGGED, ["never-used"])),
    ):
        assert stored.changed == ((1, SEEN, before),)
        assert stored.modseq == before
    assert loop.run(inbox.store_flags([7], "add", FLAGGED, ["new"])).changed == ()
    assert loop.run(inbox.snapshot()) == snapshot
    assert loop.run(ann.modseq()) == before
    assert hints.published == []


def test_a_store_raises_only_what_it_altered(five, loop):
    first = loop.run(five.store_flags([1, 2], "add", SEEN))
    second = loop.run(five.store_flags([1, 2, 3], "add", SEEN))
    assert second.changed == ((1, SEEN, first.modseq), (2, SEEN, first.modseq), (3, SEEN, second.modseq))
    assert second.before == (SEEN, SEEN, 0)


def test_store_reaches_live_messages_only(five, loop):
    loop.run(five.expunge([2], False))
    assert [row[0] for row in loop.run(five.store_flags([1, 2, 3], "add", SEEN)).changed] == [1, 3]


def test_unchanged_since_leaves_later_ones_alone(five, loop):
    start = loop.run(five.snapshot()).highest_modseq
    later = loop.run(five.store_flags([2, 4], "add", FLAGGED)).modseq
    stored = loop.run(five.store_flags([1, 2, 3, 4], "add", SEEN, (), start))
    assert stored.modified == (2, 4)
    assert stored.changed == ((1, SEEN, stored.modseq), (3, SEEN, stored.modseq))
    assert loop.run(five.snapshot()).flags.tolist() == [SEEN, FLAGGED, SEEN, FLAGGED, 0]
    assert stored.modseq == later + 1
    nothing = loop.run(five.store_flags([1], "add", ANSWERED, (), 0))
    assert (nothing.changed, nothing.modified, nothing.modseq) == ((), (1,), stored.modseq)


def test_keywords_enter_the_table_once(five, loop):
    stored = loop.run(five.store_flags([1], "add", 0, ["$Label1", "Blue"]))
    assert stored.keywords.names == ("$Label1", "Blue")
    stored = loop.run(five.store_flags([1, 2], "add", SEEN, ["BLUE"]))
    assert stored.keywords.names == ("$Label1", "Blue")
    assert [row[1] for row in stored.changed] == [SEEN | 3 << KEYWORD_SHIFT, SEEN | 2 << KEYWORD_SHIFT]
    stored = loop.run(five.store_flags([1], "set", 0, ["blue"]))
    assert stored.changed[0][1] == 2 << KEYWORD_SHIFT


def test_all_keywords_fit_and_no_more(five, loop):
    loop.run(five.store_flags([1], "set", 0, [f"k{number}" for number in range(MAX_KEYWORDS)]))
    snapshot = loop.run(five.snapshot())
    assert snapshot.keywords.full
    assert snapshot.flags[0] == (1 << 63) - (1 << KEYWORD_SHIFT)
    with pytest.raises(KeywordLimit):
        loop.run(five.store_flags([1], "add", 0, ["one-more"]))
    with pytest.raises(KeywordLimit):
        loop.run(five.store_flags([1], "add", 0, ["x" * 101]))
    loop.run(five.store_flags([1], "add", SEEN, ["K3"]))
    assert loop.run(five.snapshot()).keywords == snapshot.keywords


def test_a_large_store_runs_as_several_units(five, loop, monkeypatch, hints):
    monkeypatch.setattr(mailbox_module, "UNIT_UIDS", 2)
    hints.published.clear()
    stored = loop.run(five.store_flags([1, 2, 3, 4, 5], "add", SEEN))
    assert [row[0] for row in stored.changed] == [1, 2, 3, 4, 5]
    assert len(hints.published) == 3
    assert loop.run(five.expunge([1, 2, 3, 4, 5], False)) == (1, 2, 3, 4, 5)


def test_an_unknown_mode_is_a_mistake_of_the_caller(five, loop):
    with pytest.raises(ValueError, match="toggle"):
        loop.run(five.store_flags([1], "toggle", SEEN))


# copy and move


def test_copy_keeps_flags_dates_and_message(inbox, ann, loop, make, clock):
    loop.run(inbox.append([make(flags=FLAGGED, keywords=("k",)), make(prefix=b"P: p\r\n")]))
    clock.advance(10)
    copied = loop.run(inbox.copy([1, 2], 2))
    assert (copied.source, copied.target) == ((1, 2), (1, 2))
    columns = ["message_id", "thread_id", "internaldate", "size", "flags", "blob", "prefix"]
    target = ann.open(2)
    assert [row[1:] for row in loop.run(target.rows([1, 2], columns))] == [
        row[1:] for row in loop.run(inbox.rows([1, 2], columns))
    ]
    assert loop.run(target.rows([1], ["savedate"])) == [(1, 1_800_000_010_000_000)]
    assert loop.run(target.snapshot()).highest_modseq == copied.modseq
    assert loop.run(inbox.snapshot()).highest_modseq < copied.modseq
    assert loop.run(ann.usage()).count_used == 4


# IMAP trap 16: COPY is all or none
def test_copy_is_all_or_none(store, five, ann, loop):
    size = loop.run(five.rows([1], ["size"]))[0][1]
    loop.run(store.set_quota("ann", size * 7, 0))
    before = loop.run(ann.modseq())
    with pytest.raises(OverQuota):
        loop.run(five.copy([1, 2, 3], 2))
    assert live(loop, ann.open(2)) == []
    assert loop.run(ann.modseq()) == before
    loop.run(five.copy([1, 2], 2))
    assert live(loop, ann.open(2)) == [1, 2]


def test_copy_takes_live_ones_in_order(five, ann, loop):
    loop.run(five.expunge([2], False))
    copied = loop.run(five.copy([1, 2, 3, 99], 3))
    assert (copied.source, copied.target) == ((1, 3), (1, 2))
    before = loop.run(ann.modseq())
    nothing = loop.run(five.copy([2, 99], 3))
    assert (nothing.source, nothing.target, nothing.modseq) == ((), (), before)
    assert loop.run(ann.modseq()) == before


def test_copy_to_a_mailbox_that_is_gone(five, ann, loop):
    with pytest.raises(NoSuchMailbox):
        loop.run(five.copy([1], 77))
    with pytest.raises(NoSuchMailbox):
        loop.run(five.move([1], 77))
    assert live(loop, five) == [1, 2, 3, 4, 5]


@pytest.fixture
def pieces(monkeypatch):
    """Every changing unit takes two messages."""
    monkeypatch.setattr(mailbox_module, "UNIT_UIDS", 2)


def test_a_large_copy_is_seen_whole_or_not_at_all(five, ann, loop, make, pieces, monkeypatch):
    loop.run(ann.open(2).append([make(flags=SEEN)]))
    loop.run(five.store_flags([2, 4], "set", SEEN))
    before = loop.run(ann.open(2).snapshot()), loop.run(ann.usage()), loop.run(ann.status([2]))
    seen = []
    write = five._partition.write

    async def watched(unit, *args, **kwargs):
        if unit is copies.finish:
            target = ann.open(2)
            assert await target.snapshot() == before[0]
            assert (await target.changes(0)).highest_modseq == before[0].highest_modseq
            assert len((await target.changes(0)).changed) == 1
            assert await ann.usage() == before[1]
            assert await ann.status([2]) == before[2]
            drop = await ann.maildrop(2, 10)
            assert len(drop.messages) == 1
            await drop.release()
            seen.append(unit)
        return await write(unit, *args, **kwargs)

    monkeypatch.setattr(five._partition, "write", watched)
    copied = loop.run(five.copy([1, 2, 3, 4, 5], 2))
    assert seen
    assert copied.source == (1, 2, 3, 4, 5)
    assert list(copied.target) == sorted(copied.target)
    after = loop.run(ann.open(2).snapshot())
    assert after.uids.tolist() == [1, *copied.target]
    assert after.uidnext == copied.target[-1] + 1
    assert after.highest_modseq == copied.modseq == loop.run(ann.modseq())
    assert loop.run(ann.open(2).changes(before[0].highest_modseq)).changed == tuple(
        (uid, flags, copied.modseq) for uid, flags in zip(copied.target, loop.run(five.snapshot()).flags, strict=True)
    )
    assert loop.run(ann.usage()).count_used == 11
    status = loop.run(ann.status([2]))[0]
    assert (status.messages, status.unseen) == (6, 3)
    assert loop.run(five.append([make()])).modseq == copied.modseq + 1


def test_mail_that_arrives_during_a_large_copy_stands_before_it(five, ann, loop, make, pieces, monkeypatch):
    write = five._partition.write
    arrived = []

    async def watched(unit, *args, **kwargs):
        result = await write(unit, *args, **kwargs)
        if unit is copies.copy_some:
            arrived.append(await ann.open(2).append([make()]))
        return result

    monkeypatch.setattr(five._partition, "write", watched)
    copied = loop.run(five.copy([1, 2, 3, 4, 5], 2))
    snapshot = loop.run(ann.open(2).snapshot())
    assert snapshot.uids.tolist() == [1, 2, 3, *copied.target]
    assert [one.modseq for one in arrived] == sorted(one.modseq for one in arrived)
    assert arrived[-1].modseq < copied.modseq


def test_a_large_copy_over_quota_leaves_nothing(store, five, ann, loop, pieces, engine):
    size = loop.run(five.rows([1], ["size"]))[0][1]
    loop.run(store.set_quota("ann", size * 9, 0))
    before = loop.run(ann.modseq())
    with pytest.raises(OverQuota):
        loop.run(five.copy([1, 2, 3, 4, 5], 2))
    assert live(loop, ann.open(2)) == []
    assert loop.run(ann.modseq()) == before
    tenancy = mail_tenancy(store.partition("ann"))
    assert loop.run(engine.read(tenancy, leftovers)) == (0, 5, 0)
    loop.run(store.set_quota("ann", size * 10, 0))
    assert len(loop.run(five.copy([1, 2, 3, 4, 5], 2)).target) == 5


def leftovers(tx):
    """How many stages, placements, and mailboxes with a stage."""
    return (
        tx.execute("SELECT count(*) FROM stage")[0][0],
        tx.execute("SELECT count(*) FROM placement")[0][0],
        tx.execute("SELECT count(*) FROM mailbox WHERE staged_uid IS NOT NULL")[0][0],
    )


def interrupted(loop, five, count=2):
    """Leave a copy of INBOX into mailbox 2 as a crash would after some units."""
    write = five._partition.write
    done = []

    async def dying(unit, *args, **kwargs):
        if len(done) == count + 1 or unit in (copies.abandon, copies.discard_some):
            raise StoreUnavailable("dead")
        done.append(unit)
        return await write(unit, *args, **kwargs)

    five._partition.write = dying
    try:
        with pytest.raises(StoreUnavailable):
            loop.run(five.copy([1, 2, 3, 4, 5], 2))
    finally:
        del five._partition.write


def test_what_an_interrupted_copy_left_is_swept(store, five, ann, loop, pieces, engine, clock):
    tenancy = mail_tenancy(store.partition("ann"))
    interrupted(loop, five)
    assert loop.run(engine.read(tenancy, leftovers)) == (1, 9, 1)
    assert loop.run(store.verify()) == []
    with pytest.raises(Busy):
        loop.run(five.copy([1, 2, 3], 3))
    loop.run(store.sweep(clock.seconds()))
    assert loop.run(engine.read(tenancy, leftovers)) == (1, 9, 1)
    loop.run(store.sweep(clock.seconds() + 3700))
    assert loop.run(engine.read(tenancy, leftovers)) == (0, 5, 0)
    assert live(loop, ann.open(2)) == []


def test_the_next_large_copy_clears_away_what_the_last_server_left(store, five, ann, loop, pieces, engine):
    interrupted(loop, five)
    loop.run(store.end_copies())
    copied = loop.run(five.copy([1, 2, 3], 2))
    assert live(loop, ann.open(2)) == list(copied.target)
    assert loop.run(engine.read(mail_tenancy(store.partition("ann")), leftovers)) == (0, 8, 0)


def test_mail_never_runs_into_copies_on_their_way(five, ann, loop, make, pieces, monkeypatch):
    monkeypatch.setattr(copies, "UID_GAP", 2)
    interrupted(loop, five)
    target = ann.open(2)
    loop.run(target.append([make(), make()]))
    with pytest.raises(Busy):
        loop.run(target.append([make()]))
    assert live(loop, target) == [1, 2]


def test_a_large_copy_to_a_mailbox_that_goes_leaves_nothing(store, five, ann, loop, pieces, engine, monkeypatch):
    write = five._partition.write

    async def watched(unit, *args, **kwargs):
        if unit is copies.finish:
            await ann.delete(2)
        return await write(unit, *args, **kwargs)

    monkeypatch.setattr(five._partition, "write", watched)
    with pytest.raises(NoSuchMailbox):
        loop.run(five.copy([1, 2, 3], 2))
    assert loop.run(engine.read(mail_tenancy(store.partition("ann")), leftovers))[:2] == (0, 5)
    assert loop.run(ann.usage()).count_used == 5


def test_large_copies_of_one_account_wait_for_each_other(five, ann, loop, pieces):
    first, second = loop.together(five.copy([1, 2, 3], 2), five.copy([1, 2, 3, 4, 5], 2))
    assert live(loop, ann.open(2)) == [*first.target, *second.target]
    assert first.target[-1] < second.target[0]
    assert first.modseq < second.modseq
    assert len(five._partition.copying) == 0


def test_anothers_delivery_is_served_between_the_units_of_a_large_copy(store, five, loop, make, pieces, monkeypatch):
    other = next(name for name in map(str, range(100)) if store.partition(name) == store.partition("ann"))
    loop.run(store.provision(other))
    write = five._partition.write
    ended = []
    asked = Deferred()
    deliveries = []

    async def watched(unit, *args, **kwargs):
        if unit is arrivals.deliver:
            asked.callback(None)
        result = await write(unit, *args, **kwargs)
        ended.append(unit)
        if unit is copies.copy_some and not deliveries:
            plans = [DeliveryPlan(other, "o@a.test")]
            deliveries.append(Deferred.fromCoroutine(store.deliver("e1", plans, make(), False)))
            # What the delivery does before it asks for the partition takes as long as it takes.
            await asked
        return result

    loop.run(five.append([make() for _ in range(20)]))
    monkeypatch.setattr(five._partition, "write", watched)
    loop.run(five.copy(list(range(1, 26)), 2))
    assert deliveries[0].called
    # It was asked for first; of two connections to PostgreSQL the other may be quicker, once.
    assert ended.index(arrivals.deliver) <= ended.index(copies.copy_some) + 2
    assert ended.count(copies.copy_some) == 13


def test_move_is_one_step(five, ann, loop, hints):
    before = loop.run(five.snapshot()).highest_modseq
    used = loop.run(ann.usage())
    moved = loop.run(five.move([2, 4], 2))
    assert (moved.source, moved.target) == ((2, 4), (1, 2))
    assert live(loop, five) == [1, 3, 5]
    assert live(loop, ann.open(2)) == [1, 2]
    changes = loop.run(five.changes(before))
    assert (changes.expunged, changes.changed, changes.highest_modseq) == ((2, 4), (), moved.modseq)
    assert loop.run(ann.usage()) == used


def test_move_onto_itself_gives_new_uids(five, loop):
    moved = loop.run(five.move([1, 5], 1))
    assert moved.target == (6, 7)
    assert live(loop, five) == [2, 3, 4, 6, 7]


def test_move_within_a_full_quota(store, five, ann, loop):
    loop.run(store.set_quota("ann", 1, 1))
    assert loop.run(five.move([1], 2)).target == (1,)


# expunge


def test_expunge_only_deleted(five, loop):
    loop.run(five.store_flags([2, 3], "add", DELETED))
    assert loop.run(five.expunge([1, 2], True)) == (2,)
    assert live(loop, five) == [1, 3, 4, 5]
    assert loop.run(five.expunge([1, 2], True)) == ()


def test_expunge_gives_quota_back_and_raises_modseq(five, ann, loop):
    used = loop.run(ann.usage())
    before = loop.run(ann.modseq())
    assert loop.run(five.expunge([1, 3, 99], False)) == (1, 3)
    assert loop.run(ann.modseq()) == before + 1
    after = loop.run(ann.usage())
    assert (after.count_used, after.bytes_used) == (3, used.bytes_used * 3 // 5)
    assert loop.run(five.expunge([1, 3], False)) == ()
    assert loop.run(ann.modseq()) == before + 1


# changes and \Recent


def test_changes_tell_new_altered_and_expunged(five, loop, make):
    start = loop.run(five.snapshot()).highest_modseq
    assert loop.run(five.changes(start)).changed == ()
    loop.run(five.store_flags([2], "add", SEEN, ["k"]))
    loop.run(five.expunge([4], False))
    appended = loop.run(five.append([make(), make()]))
    loop.run(five.expunge([7], False))
    changes = loop.run(five.changes(start))
    assert changes.expunged == (4, 7)
    assert [row[:2] for row in changes.changed] == [(2, SEEN | 1 << KEYWORD_SHIFT), (6, 0)]
    assert changes.changed[1][2] == appended.modseq
    assert changes.uidnext == 8
    assert changes.keywords.names == ("k",)
    assert loop.run(five.changes(changes.highest_modseq)).expunged == ()


def test_recent_goes_to_one_session(five, loop, make):
    assert loop.run(five.snapshot()).recent_from == 1
    assert loop.run(five.snapshot(claim_recent=True)).recent_from == 1
    assert loop.run(five.snapshot(claim_recent=True)).recent_from == NOT_RECENT
    start = loop.run(five.snapshot()).highest_modseq
    loop.run(five.append([make(), make()]))
    assert loop.run(five.changes(start)).recent_from == 6
    assert loop.run(five.changes(start, claim_recent=True)).recent_from == 6
    assert loop.run(five.changes(start, claim_recent=True)).recent_from == NOT_RECENT
    assert loop.run(five.snapshot()).recent_from == NOT_RECENT


def test_of_two_that_claim_together_one_wins(five, loop):
    claims = loop.together(five.snapshot(claim_recent=True), five.snapshot(claim_recent=True))
    assert sorted(snapshot.recent_from for snapshot in claims) == [1, NOT_RECENT]


def together(loop, store, engine, *calls):
    """Run flag changes as the writer runs those that wait at the same time; UNCHANGEDSINCE may be left out."""
    padded = [(*call, *((), None)[len(call) - 5 :]) for call in calls]
    return loop.run(engine.write(mail_tenancy(store.partition("ann")), flag_changes.store_flags_together, padded))


def test_flag_changes_together_are_as_they_would_be_one_by_one(five, engine, store, ann, loop, make):
    bob = next(f"bob{n}" for n in range(99) if store.partition(f"bob{n}") == store.partition("ann"))
    loop.run(store.provision(bob))
    loop.run(store.account(bob).open(2).append([make()]))
    loop.run(five.store_flags([3], "add", FLAGGED))
    before = loop.run(ann.modseq())
    bobs = loop.run(store.account(bob).modseq())
    results = together(
        loop,
        store,
        engine,
        ("ann", 1, [1, 2], "add", SEEN),
        (bob, 2, [1], "set", DELETED),
        ("ann", 1, [3, 99], "add", FLAGGED),  # altered nothing
        ("ann", 1, [4], "set", SEEN, ("Work",)),
        ("ann", 1, [5], "add", SEEN, (), before),
        ("ann", 1, [1, 5], "remove", SEEN, (), before),  # 1 was changed above
    )
    stored = [flags for flags, _ in results]
    assert [altered for _, altered in results] == [True, True, False, True, True, False]
    assert [flags.modseq for flags in stored] == [before + 1, bobs + 1, before + 1, before + 2, before + 3, before + 3]
    work = 1 << KEYWORD_SHIFT
    assert [flags.changed for flags in stored] == [
        ((1, SEEN, before + 1), (2, SEEN, before + 1)),
        ((1, DELETED, bobs + 1),),
        ((3, FLAGGED, before),),
        ((4, SEEN | work, before + 2),),
        ((5, SEEN, before + 3),),
        (),
    ]
    assert stored[5].modified == (1, 5)
    assert [flags.before for flags in stored] == [(0, 0), (0,), (FLAGGED,), (0,), (0,), ()]


def test_a_flag_change_that_fails_undoes_those_beside_it(five, engine, store, ann, loop):
    before = loop.run(ann.modseq())
    names = [f"k{number}" for number in range(MAX_KEYWORDS)]
    with pytest.raises(KeywordLimit):
        together(loop, store, engine, ("ann", 1, [1], "add", 0, ("one",)), ("ann", 1, [2], "add", 0, names))
    with pytest.raises(NoSuchMailbox):
        together(loop, store, engine, ("ann", 1, [1], "add", SEEN), ("ann", 99, [2], "add", SEEN))
    assert loop.run(ann.modseq()) == before
    [first, second] = together(
        loop, store, engine, ("ann", 1, [99], "add", 0, ("one",)), ("ann", 1, [2], "add", 0, names)
    )
    assert first[0].keywords.names == ()  # altered nothing, so its keyword is not there
    assert second[0].keywords.full


def test_changes_of_many_flags_wait_for_each_other(five, ann, loop, hints):
    """Through the engine: however many of them it runs as one."""
    before = loop.run(ann.modseq())
    changes = [five.store_flags([1 + number % 5], "add", 1 << number % 4) for number in range(40)]
    stored = loop.together(*changes)
    told = {modseq for one in stored for _, _, modseq in one.changed}
    assert told == set(range(before + 1, before + 21))
    assert loop.run(ann.modseq()) == before + 20
    assert loop.run(five.snapshot()).flags.tolist() == [SEEN | ANSWERED | FLAGGED | DELETED] * 5


def test_two_sessions_change_different_flags(five, loop):
    loop.together(*(five.store_flags([1], "add", flag) for flag in (SEEN, FLAGGED, ANSWERED, DELETED)))
    assert loop.run(five.snapshot()).flags[0] == SEEN | FLAGGED | ANSWERED | DELETED
