"""What is wrong with an account's rows, content, facts and index is found, and mended or set aside; nothing is thrown away."""

from __future__ import annotations

import os

import pytest

from mailnode.errors import BlobDamaged, RowsDamaged
from mailnode.message.scanner import read_facts
from mailnode.store.engines.engine import mail_tenancy
from mailnode.store.facades import account_check
from mailnode.values.mailbox import NewMessage

DAMAGE = [
    "DELETE FROM message WHERE message_id = 1",
    "DELETE FROM mailbox WHERE mailbox_id = 1",
    "DELETE FROM mailbox WHERE mailbox_id = 2",
    "UPDATE mailbox SET uidnext = 2 WHERE mailbox_id = 1",
    "UPDATE placement SET modseq = 99",
    "UPDATE account SET modseq = 1",
    "UPDATE account SET next_message = 1",
    "UPDATE account SET next_mailbox = 1, next_uidvalidity = 1",
    "DELETE FROM placement WHERE uid = 2",
    "DELETE FROM blob_ref",
    "DELETE FROM blob",
    "UPDATE mailbox SET unseen = 5 WHERE mailbox_id = 1",
    "UPDATE mailbox SET messages = 0, size = 0, deleted = 9",
    "UPDATE account SET bytes_used = 0, count_used = 7",
]
LARGE = b"Subject: large\r\n\r\n" + b"".join(os.urandom(3000).hex().encode() + b"\r\n" for _ in range(50))


async def scan(size, read):
    return read_facts(await read(0, size))


class Account:
    """ann, with two messages in INBOX and one of them in another mailbox too, looked at and damaged."""

    def __init__(self, store, engine, blobs, loop):
        self.store, self.engine, self.blobs, self.loop = store, engine, blobs, loop
        blobs.prepare()
        self.mail = store.account("ann")
        self.inbox = self.mail.open(1)
        self.check = store.check("ann")
        self.tenancy = mail_tenancy(store.partition("ann"))
        self.append(b"Subject: one\r\n\r\nfirst\r\n", b"Subject: two\r\n\r\nsecond\r\n")
        loop.run(self.inbox.copy([1], 2))

    def append(self, *contents):
        """Append messages with their real facts."""
        placed = [NewMessage(self.loop.run(self.blobs.put(one)), read_facts(one), internaldate=0) for one in contents]
        self.loop.run(self.inbox.append(placed))
        return placed

    def damage(self, statement):
        self.loop.run(self.engine.write(self.tenancy, lambda tx: tx.execute(statement)))

    def rows(self):
        return self.loop.run(self.check.rows())

    def look(self):
        """Read all content in one piece."""
        return self.loop.run(self.check.look(-1))

    def keep(self, piece):
        return self.loop.run(self.check.keep(piece))

    def mend(self):
        return self.loop.run(self.check.mend())

    def aside(self):
        return self.loop.run(self.check.set_aside())

    def contents(self):
        """Return the subjects in each mailbox that is there; None stands for what cannot be read."""
        found = {}
        for info in self.loop.run(self.mail.mailboxes()):
            mailbox = self.mail.open(info.id)
            uids = list(self.loop.run(mailbox.snapshot()).uids)
            try:
                found_rows = self.loop.run(mailbox.rows(uids, ["blob"]))
            except RowsDamaged as error:
                found_rows = error.rows
            rows = {row[0]: row[1] for row in found_rows}
            found[info.name] = [self._subject(mailbox, rows.get(uid)) for uid in uids]
        return {name: subjects for name, subjects in found.items() if subjects}

    def _subject(self, mailbox, blob):
        if blob is None:
            return None
        try:
            return self.loop.run(mailbox.read(blob)).split(b"\r\n")[0].decode()
        except BlobDamaged:
            return None


@pytest.fixture
def ann(store, engine, blobs, loop):
    ann = Account(store, engine, blobs, loop)
    yield ann
    ann.mend()
    loop.run(store.remove_unneeded(store.partition("ann")))


@pytest.mark.parametrize("damage", DAMAGE)
def test_what_is_wrong_with_rows_is_mended(ann, damage):
    assert ann.rows() == [] == ann.mend()
    ann.damage(damage)
    assert ann.rows()
    assert ann.mend()
    assert ann.rows() == [] == ann.mend()
    # What comes now finds its place, and is the only one there.
    ann.append(b"Subject: three\r\n\r\nthird\r\n")
    assert ann.contents()["INBOX"][-1] == "Subject: three"
    assert ann.rows() == []


def test_a_message_whose_row_is_lost_is_said_to_be_damaged(ann):
    ann.damage("DELETE FROM message WHERE message_id = 1")
    for _ in range(2):
        with pytest.raises(RowsDamaged) as damaged:
            ann.loop.run(ann.inbox.rows([1, 2, 3], ["flags", "blob"]))
        assert [row[0] for row in damaged.value.rows] == [2]
        assert [row[0] for row in ann.loop.run(ann.inbox.rows([1, 2, 3], ["flags"]))] == [1, 2]
        ann.mend()


def test_a_message_that_stood_nowhere_is_in_a_mailbox_of_its_own(ann):
    ann.damage("DELETE FROM placement WHERE uid = 2")
    assert ann.mend()[0] == "message 2, which stood nowhere, is in the mailbox 'Recovered'"
    assert ann.contents()["Recovered"] == ["Subject: two"]
    ann.append(b"Subject: three\r\n\r\nthird\r\n")
    ann.damage("DELETE FROM placement WHERE message_id = 3")
    ann.mend()
    assert ann.contents()["Recovered"] == ["Subject: two", "Subject: three"]


@pytest.mark.parametrize(("mailbox_id", "name", "held"), [(1, "INBOX", ["one", "two"]), (2, "Recovered 2", ["one"])])
def test_a_mailbox_whose_row_is_lost_is_made_around_its_messages(ann, mailbox_id, name, held):
    was = ann.loop.run(ann.mail.open(mailbox_id).snapshot())
    ann.damage(f"DELETE FROM mailbox WHERE mailbox_id = {mailbox_id}")
    ann.mend()
    now = ann.loop.run(ann.mail.open(mailbox_id).snapshot())
    assert ann.contents()[name] == [f"Subject: {one}" for one in held]
    assert now.uidvalidity > was.uidvalidity and now.uidnext >= was.uidnext and list(now.uids) == list(was.uids)


@pytest.mark.parametrize(("damage", "what"), [("message", "its row is lost"), ("blob", "its content is lost")])
def test_what_is_lost_is_set_aside_and_keeps_its_place(ann, damage, what):
    which = "message_id = 2" if damage == "message" else "blob_id = (SELECT blob_id FROM message WHERE message_id = 2)"
    ann.damage(f"DELETE FROM {damage} WHERE {which}")
    assert f"message 2 is set aside: {what}" in ann.mend()
    assert ann.rows() == []
    assert ann.aside() == [f"message 2, UID 2 of mailbox 1: {what}"]
    snapshot = ann.loop.run(ann.inbox.snapshot())
    assert list(snapshot.uids) == [1, 2]
    assert ann.loop.run(ann.check.known()) == {2}
    assert ann.contents()["INBOX"] == ["Subject: one", None]


def test_the_content_of_a_message_whose_row_is_lost_stays(ann):
    ann.damage("DELETE FROM message WHERE message_id = 2")
    ann.mend()
    assert ann.loop.run(ann.engine.read(ann.tenancy, lambda tx: tx.execute("SELECT count(*) FROM blob"))) == [(2,)]
    assert ann.loop.run(ann.store.remove_unneeded(ann.store.partition("ann"))) == 0


def harm(kind, path):
    octets = path.read_bytes()
    if kind == "missing":
        path.unlink()
    elif kind == "cut":
        path.write_bytes(octets[:-100])
    elif kind == "flipped":
        path.write_bytes(octets[:5000] + bytes([octets[5000] ^ 1]) + octets[5001:])
    else:
        path.unlink()
        path.mkdir()
    return octets


@pytest.mark.parametrize(
    ("kind", "what"),
    [
        ("missing", "its file is missing"),
        ("cut", "its file is cut short or changed"),
        ("flipped", "its file is cut short or changed"),
        ("folder", "its file cannot be read (Is a directory)"),
    ],
)
def test_a_file_that_is_not_what_was_written_is_named_set_aside_and_taken_back(ann, kind, what):
    [placed] = ann.append(LARGE)
    path = ann.blobs.path(placed.blob.ref.blob_id)
    assert ann.look().damaged == {}
    octets = harm(kind, path)
    piece = ann.look()
    assert piece.damaged == {3: f"{what}: {path}"}
    assert (piece.after, piece.messages, piece.files, piece.sound) == (None, 3, 1, [1, 2])
    assert piece.faults(set()) == [f"message 3: {what}: {path}"]
    assert ann.keep(piece) == [f"message 3 is set aside: {what}: {path}"]
    assert ann.look().faults(ann.loop.run(ann.check.known())) == []
    assert ann.aside() == [f"message 3, UID 3 of mailbox 1: {what}: {path}"]
    if kind == "folder":
        path.rmdir()
    path.write_bytes(octets)
    assert ann.keep(ann.look()) == ["message 3 can be read again"]
    assert ann.aside() == []


def test_another_message_in_its_file_is_not_taken_for_it(ann):
    one, other = ann.append(LARGE, LARGE[::-1])
    path = ann.blobs.path(one.blob.ref.blob_id)
    path.write_bytes(ann.blobs.path(other.blob.ref.blob_id).read_bytes())
    assert ann.look().damaged == {3: f"its file is another or changed: {path}"}


def test_inline_content_that_was_changed_is_found(ann):
    ann.damage("UPDATE blob SET data = (SELECT data FROM blob ORDER BY blob_id DESC LIMIT 1)")
    assert list(ann.look().damaged.values()) == [f"its content is lost or changed, in {ann.tenancy}.db"]


def test_a_row_that_nobody_wrote_costs_its_message_alone(ann):
    ann.damage("UPDATE message SET blob_place = 'nowhere' WHERE message_id = 1")
    piece = ann.look()
    assert (piece.damaged, piece.sound) == ({1: f"its row cannot be read, in {ann.tenancy}.db"}, [2])


@pytest.mark.parametrize(
    "damage", ["bodystructure = envelope", "header_size = 3", "parts = NULL", "facts_blob = NULL, envelope = NULL"]
)
def test_facts_that_are_not_what_the_message_says_are_put_right(ann, store, damage):
    ann.append(b"Subject: many\r\n\r\n")
    assert ann.look().facts == []
    ann.damage(f"UPDATE message SET {damage} WHERE message_id = 2")
    assert ann.look().facts == []  # nobody can say here
    store.scan_older(scan)
    piece = ann.look()
    assert piece.faults(set()) == ["message 2: its facts are not what it says"]
    assert ann.keep(piece) == ["the facts of message 2 are what it says"]
    assert ann.look().facts == [] == ann.rows()


def test_content_is_read_a_piece_at_a_time(ann, monkeypatch):
    monkeypatch.setattr(account_check, "ROWS", 2)
    monkeypatch.setattr(account_check, "OCTETS", 10)
    ann.append(LARGE, LARGE)
    after, pieces = -1, []
    while after is not None:
        pieces.append(ann.loop.run(ann.check.look(after)))
        after = pieces[-1].after
    assert [(piece.messages, piece.files) for piece in pieces] == [(2, 0), (2, 2), (0, 0)]
    assert [one for piece in pieces for one in piece.sound] == [1, 2, 3, 4]


def test_a_message_that_is_swept_is_not_set_aside_any_more(ann, store):
    ann.damage("DELETE FROM blob")
    ann.mend()
    assert len(ann.aside()) == 2
    for mailbox in (ann.inbox, ann.mail.open(2)):
        ann.loop.run(mailbox.expunge(list(ann.loop.run(mailbox.snapshot()).uids), False))
    ann.loop.run(store.sweep(store._clock.seconds() + 30 * 86_400))
    assert ann.aside() == []
    assert ann.rows() == []


def test_facts_in_a_blob_are_needed_though_nothing_says_so(ann):
    many = b"".join(b"To: a%d@b.test\r\n" % number for number in range(20_000))
    ann.append(b"Subject: many\r\n" + many + b"\r\n\r\n")
    ann.damage(
        "DELETE FROM blob_ref WHERE message_id = 3 AND blob_id <> (SELECT blob_id FROM message WHERE message_id = 3)"
    )
    [fault] = ann.rows()
    assert fault.startswith("facts whose blob has no reference")
    assert len(ann.mend()) == 1 and ann.rows() == []
    assert not any(ann.loop.run(ann.store.unneeded()).values())
