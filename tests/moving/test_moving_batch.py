"""Contents on their way, names of folders, and what is noted for the next run."""

import hashlib
import io

import pytest

from mailnode.moving.batch import ContentBatch
from mailnode.moving.folder_names import name_folders, possible_name
from mailnode.moving.model import MessageTooLarge, SourceFolder, SourceMessage
from mailnode.moving.progress_note import MAX_FAILED, ProgressNote, noted_folder, read_note
from mailnode.values.mailbox_name import mailbox_name


def message(uid):
    return SourceMessage(uid, 10, (), 0)


def add(batch, uid, *pieces):
    batch.begin()
    for piece in pieces:
        batch.write(piece)
    batch.end(message(uid))


def test_what_stands_there_is_not_kept_twice():
    file = io.BytesIO()
    batch = ContentBatch(file, 100, {hashlib.sha256(b"b\r\n").digest()}, {})
    add(batch, 1, b"a\r", b"\n")
    add(batch, 2, b"b")
    add(batch, 3, b"a\n")
    add(batch, 4, b"c\r\n")
    batch.finish()
    assert [one.message.uid for one in batch.messages] == [1, 4]
    assert [one.message.uid for one in batch.present] == [2, 3]
    assert file.getvalue() == b"a\r\nc\r\n"


def test_what_did_not_end_leaves_nothing():
    file = io.BytesIO()
    batch = ContentBatch(file, 100, (), {})
    add(batch, 1, b"a\r\n")
    batch.begin()
    batch.write(b"half of it")
    add(batch, 2, b"b\r\n")
    batch.begin()
    batch.write(b"half")
    batch.finish()
    assert file.getvalue() == b"a\r\nb\r\n"
    assert [one.octets for one in batch.messages] == [3, 3]


def test_what_is_too_large_or_empty_fails():
    file = io.BytesIO()
    batch = ContentBatch(file, 5, (), {})
    batch.begin()
    with pytest.raises(MessageTooLarge):
        batch.write(b"123456")
    batch.fail(message(1), "too large")
    add(batch, 2)
    add(batch, 3, b"1234")
    add(batch, 4, b"123")
    batch.finish()
    assert [one.message.uid for one in batch.failed] == [1, 2, 3]
    assert file.getvalue() == b"123\r\n"


def test_what_failed_is_not_done():
    note = ProgressNote("k", 1, 2).through(10, 5, frozenset({4}), frozenset())
    assert [note.covers(uid) for uid in (3, 4, 10, 11)] == [True, False, True, False]
    assert read_note(note.as_text(), ProgressNote("k", 1, 2)) == note
    assert note.through(12, 1, frozenset(), frozenset({4})).failed == frozenset()


def test_a_note_holds_for_one_uidvalidity_on_each_side():
    text = ProgressNote("k", 1, 2, 10, 5).as_text()
    for other in (ProgressNote("k", 9, 2), ProgressNote("k", 1, 9), ProgressNote("x", 1, 2)):
        assert read_note(text, other) == other
    for broken in ("", "{", "[1]", "null", '["k", 1, 2, "x", 5, []]'):
        assert read_note(broken, ProgressNote("k", 1, 2)) == ProgressNote("k", 1, 2)
    assert noted_folder(text) == "k" and noted_folder("") is None


def test_of_many_failures_the_later_ones_are_forgotten_with_what_came_after():
    failed = frozenset(range(1, MAX_FAILED + 100))
    note = read_note(ProgressNote("k", 1, 2, 5000, 0, failed).as_text(), ProgressNote("k", 1, 2))
    assert not any(note.covers(uid) for uid in failed)
    assert len(note.failed) == MAX_FAILED


@pytest.mark.parametrize("levels", [
    ("a/b", "c"), ("",), ("a", "", "b"), ("x" * 300,), ("ü" * 130, "y" * 200), ("a\0b",), ("inbox", "Sub"),
    tuple("abcdefgh") * 9, ("\ud800",), (" ",), ("e\u0301",), ("\u2028",),
])  # fmt: skip
def test_every_name_becomes_one_that_can_be(levels):
    name, why = possible_name(levels)
    assert mailbox_name(name) == name
    assert bool(why) == (levels not in (("inbox", "Sub"), (" ",), ("e\u0301",)))


def folder(*levels, use=""):
    return SourceFolder("/".join(levels), levels, use)


def test_two_folders_never_become_one_mailbox():
    named = name_folders(
        [folder("a/b"), folder("a_b"), folder("a_b 2"), folder("INBOX"), folder("é"), folder("e\u0301")], {}, {}
    )
    names = [one.mailbox for one in named]
    assert len(set(names)) == 6 and names[3] == "INBOX"


def test_uses_go_before_names():
    uses = {"\\Sent": "Sent", "\\Junk": "Spam hier"}
    folders = [folder("Gesendet", use="\\Sent"), folder("Sent Items"), folder("Sent"), folder("Spam")]
    assert [one.mailbox for one in name_folders(folders, uses, {"Sent": "Old/Sent"})] == [
        "Sent", "Sent Items", "Old/Sent", "Spam hier",
    ]  # fmt: skip
