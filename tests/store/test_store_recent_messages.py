"""What a process keeps in memory of the messages it just delivered or read."""

from __future__ import annotations

import pytest

from mailnode.errors import BlobDamaged, NoSuchMailbox, StoreUnavailable
from mailnode.store.engines.engine import mail_tenancy
from mailnode.store.facades import recent_messages
from mailnode.store.facades.recent_messages import LARGEST, ROW, RecentMessages
from mailnode.store.units.messages import READ_TOGETHER
from mailnode.values.blob import BlobRef
from mailnode.values.flags import SEEN
from mailnode.values.mailbox import DeliveryPlan

BODY = ["blob", "prefix", "content", "header_size", "parts"]


@pytest.fixture
def inbox(store):
    return store.account("ann").open(1)


def ref(number, size=10, place="inline"):
    return BlobRef(f"blob{number}", size, place, "plain", b"")


def keep(recent, number, content=b"x" * 10, mailbox=1, account="ann"):
    recent.remember(account, mailbox, [(number, ref(number, len(content)), content)], ["blob", "content"])


def kept(recent, account="ann", mailbox=1, uids=range(1, 100)):
    return [uid for uid in uids if recent.rows(account, mailbox, [uid], ["blob", "content"])]


def lose(loop, engine, store):
    """Take the bytes of all inline messages away beneath the store."""
    tenancy = mail_tenancy(store.partition("ann"))
    loop.run(engine.write(tenancy, lambda tx: tx.execute("UPDATE blob SET data = ? WHERE length(data) > 0", (b"?",))))


# bounds


def test_contents_and_rows_are_bounded_and_the_longest_unused_go_first():
    recent = RecentMessages(contents=3 * (ROW + 10), rows=5 * ROW)
    for number in (1, 2, 3):
        keep(recent, number)
    assert kept(recent) == [1, 2, 3]
    assert kept(recent, uids=[1]) == [1]  # used again
    keep(recent, 4)
    assert kept(recent) == [1, 3, 4]
    for number in range(5, 9):
        recent.remember_row(("ann", 1, number), {"size": number})
    assert kept(recent) == [4]
    assert recent.rows("ann", 1, [5, 6, 7, 8], ["size"]) == [(number, number) for number in range(5, 9)]
    assert recent.rows("ann", 1, [3], ["blob"]) is None


def test_memory_after_ten_thousand_messages_is_what_is_allowed():
    recent = RecentMessages()
    for number in range(1, 10_001):
        keep(recent, number, b"%05d" % number * 1000)
    assert len(recent._contents) == recent_messages.CONTENTS // (5000 + ROW)
    assert len(recent._rows) == recent_messages.ROWS // ROW
    assert kept(recent, uids=[9_999, 10_000]) == [9_999, 10_000]
    recent.clear()
    assert (recent._contents_left, recent._rows_left) == (recent_messages.CONTENTS, recent_messages.ROWS)


def test_what_is_large_is_not_kept():
    recent = RecentMessages()
    keep(recent, 1, b"x" * (LARGEST + 1))
    recent.remember_row(("ann", 1, 2), {"fields": b"x" * recent_messages.LONGEST_ROW})
    assert recent.content(ref(1)) is None
    assert recent.rows("ann", 1, [2], ["fields"]) is None


def test_of_what_was_read_the_long_values_count():
    recent = RecentMessages(rows=6 * ROW)
    columns = ["size", "envelope", "fields"]
    read = [(number, 5, b"e" * (ROW // 2), b"f" * (ROW // 2)) for number in (1, 2, 3, 4)]
    recent.remember("ann", 1, read[:2], columns)
    recent.remember("ann", 1, read[1:], columns)  # of which one is known
    assert recent.rows("ann", 1, [2, 3, 4], columns) == read[1:]
    assert recent.rows("ann", 1, [1], ["size"]) is None
    recent.remember("ann", 1, [(5, 5, b"e" * recent_messages.LONGEST_ROW, b"")], columns)
    assert recent.rows("ann", 1, [5], ["size"]) is None
    assert recent.rows("ann", 1, [2, 3, 4], ["fields", "size"]) == [(uid, read[1][3], 5) for uid in (2, 3, 4)]


def test_not_more_is_told_at_once_than_the_store_reads_with_rows():
    recent = RecentMessages()
    for number in (1, 2, 3):
        keep(recent, number, b"x" * LARGEST)
    told = recent.rows("ann", 1, [1, 2, 3], ["blob", "content"])
    assert sum(len(row[2]) for row in told if row[2]) == READ_TOGETHER
    assert told[2][2] is None


def test_what_changes_is_not_kept():
    recent = RecentMessages()
    recent.remember("ann", 1, [(1, SEEN, 5, 100)], ["flags", "modseq", "size"])
    assert recent.rows("ann", 1, [1], ["size"]) == [(1, 100)]
    assert recent.rows("ann", 1, [1], ["flags", "size"]) is None
    assert recent.rows("ann", 1, [1], ["modseq"]) is None


def test_a_mailbox_and_an_account_are_forgotten_alone():
    recent = RecentMessages()
    for account, mailbox in [("ann", 1), ("ann", 2), ("bob", 1)]:
        keep(recent, 1, mailbox=mailbox, account=account)
    recent.forget("ann", 2)
    assert (kept(recent, "ann", 1), kept(recent, "ann", 2), kept(recent, "bob", 1)) == ([1], [], [1])
    recent.forget("ann")
    assert (kept(recent, "ann", 1), kept(recent, "bob", 1)) == ([], [1])


# in the store


def test_what_was_appended_is_read_without_the_store(store, engine, inbox, loop, make):
    loop.run(inbox.append([make(b"one thing"), make(b"another thing", prefix=b"X: y\r\n")]))
    wanted = [loop.run(inbox.rows([uid], [*BODY, "size", "envelope", "internaldate"])) for uid in (1, 2)]
    store.recent.clear()
    assert wanted == [loop.run(inbox.rows([uid], [*BODY, "size", "envelope", "internaldate"])) for uid in (1, 2)]
    store.recent.clear()
    loop.run(inbox.append([make(b"a third")]))
    lose(loop, engine, store)
    assert loop.run(inbox.rows([3], BODY))[0][3] == b"a third"
    assert isinstance(loop.run(inbox.rows([1], BODY))[0][3], BlobDamaged)
    store.recent.clear()
    loop.run(inbox.expunge([1, 2, 3], False))


def test_what_was_delivered_is_read_with_the_prefix_of_its_copy(store, inbox, loop, make):
    plan = DeliveryPlan("ann", "ann@example.org", prefix=b"Return-Path: <x>\r\n")
    loop.run(store.deliver("e", [plan], make(b"content"), False))
    told = loop.run(inbox.rows([1], [*BODY, "size"]))
    assert told[0][2:4] == (b"Return-Path: <x>\r\n", b"content")
    store.recent.clear()
    assert loop.run(inbox.rows([1], [*BODY, "size"])) == told


def test_what_is_delivered_to_an_account_without_a_session_is_not_kept(store, engine, hints, inbox, loop, make):
    plan = DeliveryPlan("ann", "ann@example.org")
    hints.listened = False
    loop.run(store.deliver("e", [plan], make(b"nobody looks"), False))
    hints.listened = True
    loop.run(store.deliver("f", [plan], make(b"somebody looks"), False))
    lose(loop, engine, store)
    unseen, seen = (loop.run(inbox.rows([uid], BODY))[0][3] for uid in (1, 2))
    assert isinstance(unseen, BlobDamaged)
    assert seen == b"somebody looks"
    store.recent.clear()
    loop.run(inbox.expunge([1, 2], False))


def test_what_was_read_to_be_kept_is_read_again_without_the_store(store, engine, inbox, loop, make):
    loop.run(inbox.append([make(b"one"), make(b"two"), make(b"three")]))
    store.recent.clear()
    rows = loop.run(inbox.rows([1, 2], BODY, keep=True))
    loop.run(inbox.rows([3], BODY))
    lose(loop, engine, store)
    assert loop.run(inbox.rows([1, 2], BODY)) == rows
    assert loop.run(inbox.read(rows[1][1], 1, 1)) == b"w"
    assert loop.run(inbox.read_several([rows[1][1], rows[0][1]])) == [b"two", b"one"]
    assert isinstance(loop.run(inbox.rows([3], BODY, keep=True))[0][3], BlobDamaged)
    assert isinstance(loop.run(inbox.rows([3], BODY))[0][3], BlobDamaged), "damage is not kept"


def test_a_copy_is_content_held_once(store, inbox, loop, make):
    ann = store.account("ann")
    loop.run(inbox.append([make(b"one")]))
    loop.run(inbox.copy([1], 2))
    ((_, _, copied),) = loop.run(ann.open(2).rows([1], ["blob", "content"], keep=True))
    ((_, _, content),) = loop.run(inbox.rows([1], ["blob", "content"]))
    assert copied == b"one"
    assert len(store.recent._contents) == 1
    assert loop.run(ann.open(2).rows([1], ["blob", "content"]))[0][2] is content


def test_an_expunged_message_is_told_as_long_as_it_is_kept(store, inbox, loop, make):
    loop.run(inbox.append([make(b"one")]))
    loop.run(inbox.expunge([1], False))
    told = loop.run(inbox.rows([1], BODY))
    store.recent.clear()
    assert loop.run(inbox.rows([1], BODY)) == told


def test_a_deleted_mailbox_answers_no_more(store, loop, make):
    ann = store.account("ann")
    box = ann.open(loop.run(ann.create("Box")).id)
    loop.run(box.append([make(b"one")]))
    assert loop.run(box.rows([1], BODY))[0][3] == b"one"
    loop.run(ann.delete(box.id))
    with pytest.raises(NoSuchMailbox):
        loop.run(box.rows([1], BODY))


def test_a_removed_account_answers_no_more_and_another_of_its_id_says_its_own(store, inbox, loop, make):
    loop.run(inbox.append([make(b"one")]))
    loop.run(store.remove("ann"))
    with pytest.raises(NoSuchMailbox):
        loop.run(inbox.rows([1], BODY))
    loop.run(store.provision("ann"))
    assert loop.run(inbox.rows([1], BODY)) == []
    loop.run(inbox.append([make(b"another")]))
    assert loop.run(inbox.rows([1], BODY))[0][3] == b"another"


def test_what_is_being_read_while_its_mailbox_goes_is_not_kept(store, loop, make, monkeypatch):
    ann = store.account("ann")
    box = ann.open(loop.run(ann.create("Box")).id)
    loop.run(box.append([make(b"one")]))
    store.recent.clear()
    read = box._readable

    async def meanwhile(uids, columns, version):
        found = await read(uids, columns, version)
        await ann.delete(box.id)
        return found

    monkeypatch.setattr(box, "_readable", meanwhile)
    assert loop.run(box.rows([1], BODY, keep=True))
    monkeypatch.undo()
    with pytest.raises(NoSuchMailbox):
        loop.run(box.rows([1], BODY))


def test_a_partition_out_of_service_answers_nothing_from_memory(store, engine, inbox, loop, make, monkeypatch):
    loop.run(inbox.append([make(b"one")]))
    monkeypatch.setattr(engine, "out_of_service", {mail_tenancy(store.partition("ann")): "damaged"})
    with pytest.raises(StoreUnavailable):
        loop.run(inbox.rows([1], BODY))


def test_messages_that_were_swept_are_gone(store, inbox, loop, make):
    loop.run(inbox.append([make(b"one"), make(b"two")]))
    loop.run(inbox.expunge([1], False))
    loop.run(store.sweep(2**32))
    assert [row[0] for row in loop.run(inbox.rows([1, 2], BODY))] == [2]
