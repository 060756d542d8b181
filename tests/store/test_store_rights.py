"""Rights on mailboxes and what others do with them: the contract of IMailStore.shared (RFC 4314)."""

import pytest
from store_support import make_facts

from mailnode.errors import LimitReached, MailboxRefused, NoSuchMailbox, NotPermitted, OverQuota
from mailnode.store.engines.engine import GROWING
from mailnode.store.units import mailbox_rights, moved_flags, shared_flags
from mailnode.values.flags import ANSWERED, DELETED, FLAGGED, SEEN
from mailnode.values.mailbox import NewMessage
from mailnode.values.rights import ALL, effective, rights_from, settable, shown


def test_letters():
    assert rights_from("etla") == "ltea"
    assert rights_from("cd") == "kxte"
    assert rights_from("") == ""
    assert rights_from("lL") is None
    assert shown("lk") == "lkc"
    assert shown("lr") == "lr"
    assert effective({"bea": "lr", "anyone": "rs", "-anyone": "s", "-bea": "", "cid": "a"}, "bea") == "lr"
    assert effective({"-anyone": ALL, "bea": ALL}, "bea") == ""
    assert settable("s") == SEEN
    assert settable("t") == DELETED
    assert settable("w") & (SEEN | DELETED | FLAGGED | 1 << 62) == FLAGGED | 1 << 62


@pytest.fixture
def ann(store):
    return store.account("ann")


@pytest.fixture
def bea(store):
    """What bea sees of ann's."""
    return store.shared("ann", "bea")


@pytest.fixture
def put(loop, ann, blobs):
    def place(count=1, mailbox=1, flags=0):
        staged = loop.run(blobs.put(b"x" * 30))
        return loop.run(
            ann.open(mailbox).append([NewMessage(staged, make_facts(30), 1, flags=flags) for _ in range(count)])
        )

    return place


def test_entries(loop, ann, bea, hints):
    before = loop.run(ann.modseq())
    assert loop.run(ann.give_rights(1, "bea", "set", "rl")) is False
    assert loop.run(ann.give_rights(1, "bea", "add", "sw")) is False
    assert loop.run(ann.give_rights(1, "bea", "remove", "wx")) is False
    assert loop.run(ann.entries(1)) == {"bea": "lrs"}
    assert loop.run(bea.rights([1, 2])) == {1: "lrs"}
    assert loop.run(bea.open(1).rights()) == "lrs"
    assert hints.published == [("ann", before + 1), ("ann", before + 2), ("ann", before + 3)]
    with pytest.raises(NotPermitted):
        loop.run(bea.entries(1))
    with pytest.raises(NotPermitted):
        loop.run(bea.give_rights(1, "bea", "add", "a"))
    loop.run(ann.give_rights(1, "bea", "add", "a"))
    assert loop.run(bea.give_rights(1, "cid", "set", "l")) is False
    assert loop.run(ann.give_rights(1, "bea", "set", "")) is True
    assert loop.run(ann.entries(1)) == {"cid": "l"}
    assert loop.run(bea.rights([1])) == {}
    with pytest.raises(NoSuchMailbox):
        loop.run(ann.give_rights(999, "bea", "set", "l"))


def test_there_is_room_for_so_many(loop, ann, monkeypatch):
    monkeypatch.setattr(mailbox_rights, "MAX_ENTRIES", 2)
    loop.run(ann.give_rights(1, "a", "set", "l"))
    loop.run(ann.give_rights(1, "b", "set", "l"))
    with pytest.raises(LimitReached):
        loop.run(ann.give_rights(1, "c", "set", "l"))
    monkeypatch.setattr(mailbox_rights, "MAX_ACCOUNT_ENTRIES", 3)
    loop.run(ann.create("x"))
    inferior = loop.run(ann.create("INBOX/y"))  # two more there is no room for: it is nobody else's
    assert loop.run(ann.entries(inferior.id)) == {}
    loop.run(ann.give_rights(2, "c", "set", "l"))
    with pytest.raises(LimitReached):
        loop.run(ann.give_rights(2, "d", "set", "l"))


def test_without_a_right_nothing_is_there(loop, ann, bea, put):
    put()
    mailbox = bea.open(1)
    for attempt in (
        lambda: bea.named("INBOX"),
        lambda: bea.status_of("INBOX"),
        lambda: bea.entries(1),
        lambda: bea.delete(2),
        lambda: bea.rename(2, "INBOX/x"),
        lambda: bea.annotate(1, [("bea", "/private/a", b"")]),
        lambda: mailbox.snapshot(),
        lambda: mailbox.changes(0),
        lambda: mailbox.expunged(0),
        lambda: mailbox.rows([1], ["size"]),
        lambda: mailbox.rendered([1], 1, ["size"]),
        lambda: mailbox.append([]),
        lambda: mailbox.store_flags([1], "add", SEEN),
        lambda: mailbox.copy([1], 1),
        lambda: mailbox.move([1], 2),
        lambda: mailbox.expunge([1], False),
        lambda: mailbox.rights(),
    ):
        with pytest.raises(NoSuchMailbox):
            loop.run(attempt())
    assert loop.run(bea.mailboxes()) == []
    assert loop.run(bea.with_inferior("INBOX")) == []
    assert loop.run(bea.status([1])) == []
    for attempt in (
        lambda: bea.create("x"),
        lambda: bea.create("INBOX/x"),
        lambda: bea.subscriptions(),
        lambda: bea.subscribe("x", True),
        lambda: bea.placements([1]),
        lambda: bea.message(1, ["size"]),
        lambda: bea.changes(0),
        lambda: bea.maildrop(1, 1.0),
        lambda: mailbox.replace(1, 1, None),
    ):
        with pytest.raises(NotPermitted):
            loop.run(attempt())


@pytest.mark.parametrize(
    ("rights", "attempt"),
    [
        ("r", lambda bea, box: box.snapshot()),
        ("r", lambda bea, box: box.expunged(0)),
        ("r", lambda bea, box: box.rows([1], ["size"])),
        ("r", lambda bea, box: box.rendered([1], 1, ["size"])),
        ("r", lambda bea, box: bea.status_of("INBOX")),
        ("rs", lambda bea, box: box.store_flags([1], "add", SEEN)),
        ("rt", lambda bea, box: box.store_flags([1], "add", DELETED)),
        ("rw", lambda bea, box: box.store_flags([1], "add", FLAGGED)),
        ("e", lambda bea, box: box.expunge([1], False)),
        ("i", lambda bea, box: box.append([])),
        ("ri", lambda bea, box: box.copy([1], 1)),
        ("ritex", lambda bea, box: box.move([1], 1)),
        ("k", lambda bea, box: bea.create("INBOX/x")),
        ("a", lambda bea, box: bea.entries(1)),
        ("a", lambda bea, box: bea.give_rights(1, "cid", "add", "l")),
        ("w", lambda bea, box: bea.annotate(1, [("", "/shared/a", b"")])),
        ("r", lambda bea, box: bea.annotate(1, [("bea", "/private/a", b"")])),
    ],
)
def test_each_operation_needs_its_rights(loop, ann, bea, put, rights, attempt):
    put(2)
    needed = set(rights) - {"x"}
    for lacking in needed:
        loop.run(ann.give_rights(1, "bea", "set", ALL.replace(lacking, "")))
        with pytest.raises(NotPermitted):
            loop.run(attempt(bea, bea.open(1)))
    loop.run(ann.give_rights(1, "bea", "set", "l" + rights))
    loop.run(attempt(bea, bea.open(1)))


def test_seen_is_the_readers_own(loop, ann, bea, put, store, hints):
    put(3, flags=SEEN | ANSWERED)
    for who in ("bea", "cid"):
        loop.run(ann.give_rights(1, who, "set", "lrs"))
    owners, box, other = ann.open(1), bea.open(1), store.shared("ann", "cid").open(1)
    before = loop.run(owners.snapshot())
    assert loop.run(box.snapshot()).flags.tolist() == [ANSWERED] * 3
    hints.published.clear()
    stored = loop.run(box.store_flags([1, 3], "add", SEEN | FLAGGED))
    assert [(uid, flags) for uid, flags, _ in stored.changed] == [(1, ANSWERED | SEEN), (3, ANSWERED | SEEN)]
    assert hints.published == [("ann/bea", stored.modseq)]
    assert loop.run(owners.snapshot()) == before
    assert loop.run(owners.changes(before.highest_modseq)).changed == ()
    assert loop.run(other.changes(before.highest_modseq)).changed == ()
    told = loop.run(box.changes(before.highest_modseq))
    assert told.changed == ((1, ANSWERED | SEEN, stored.modseq), (3, ANSWERED | SEEN, stored.modseq))
    assert told.highest_modseq == stored.modseq > before.highest_modseq
    snapshot = loop.run(box.snapshot())
    assert snapshot.flags.tolist() == [ANSWERED | SEEN, ANSWERED, ANSWERED | SEEN]
    assert snapshot.modseqs.tolist() == [stored.modseq, before.modseqs[1], stored.modseq]
    assert snapshot.highest_modseq == stored.modseq
    assert [one.unseen for one in loop.run(bea.status([1]))] == [1]
    assert loop.run(bea.status_of("INBOX")).highest_modseq == stored.modseq
    assert loop.run(ann.status_of("INBOX")).unseen == 0
    # What others change in it later is told to both, each with what they have seen.
    last = loop.run(owners.store_flags([1], "set", DELETED)).modseq
    assert loop.run(box.changes(stored.modseq)).changed == ((1, DELETED | SEEN, last),)
    assert loop.run(other.changes(stored.modseq)).changed == ((1, DELETED, last),)
    assert loop.run(owners.snapshot()).flags[0] == DELETED
    # The condition looks at what this reader was told.
    refused = loop.run(box.store_flags([2, 3], "remove", SEEN, unchanged_since=before.highest_modseq))
    assert refused.modified == (3,)
    nothing = loop.run(box.store_flags([3], "add", SEEN))
    assert nothing.changed == ((3, ANSWERED | SEEN, stored.modseq),)
    loop.run(owners.expunge([1], False))
    assert [one.unseen for one in loop.run(bea.status([1]))] == [1]


def test_flags_that_all_share(loop, ann, bea, put, hints):
    put(1, flags=SEEN | DELETED)
    loop.run(ann.give_rights(1, "bea", "set", "lrw"))
    hints.published.clear()
    stored = loop.run(bea.open(1).store_flags([1], "set", SEEN | FLAGGED, ("$New",)))
    keyword = stored.keywords.bit("$New")
    assert stored.changed == ((1, DELETED | FLAGGED | keyword, stored.modseq),)
    assert stored.before == (DELETED,)
    assert hints.published == [("ann", stored.modseq)]
    assert loop.run(ann.open(1).snapshot()).flags.tolist() == [SEEN | DELETED | FLAGGED | keyword]
    loop.run(ann.give_rights(1, "bea", "set", "lrs"))
    stored = loop.run(bea.open(1).store_flags([1], "set", SEEN, ("$Other",)))
    assert stored.keywords.bit("$Other") is None
    assert loop.run(bea.open(1).snapshot()).flags.tolist() == [SEEN | DELETED | FLAGGED | keyword]
    with pytest.raises(NotPermitted):
        loop.run(bea.open(1).store_flags([1], "add", FLAGGED, ("$Other",)))


def test_what_a_reader_places_has_the_flags_they_may_set(loop, ann, bea, blobs):
    loop.run(ann.give_rights(1, "bea", "set", "lris"))
    staged = loop.run(blobs.put(b"x" * 30))
    new = NewMessage(staged, make_facts(30), 1, flags=SEEN | FLAGGED | DELETED, keywords=("$New",))
    appended = loop.run(bea.open(1).append([new, new._replace(flags=0)]))
    assert appended.uids == (1, 2)
    assert loop.run(ann.open(1).snapshot()).flags.tolist() == [0, 0]
    snapshot = loop.run(bea.open(1).snapshot())
    assert snapshot.flags.tolist() == [SEEN, 0]
    assert snapshot.highest_modseq == appended.modseq
    target = loop.run(ann.create("x")).id
    with pytest.raises(NoSuchMailbox):
        loop.run(bea.open(1).copy([1], target))
    loop.run(ann.give_rights(target, "bea", "set", "lrsi"))
    loop.run(ann.open(1).store_flags([1, 2], "set", SEEN | DELETED | ANSWERED))
    assert loop.run(bea.open(1).copy([1, 2], target)).target == (1, 2)
    assert loop.run(ann.open(target).snapshot()).flags.tolist() == [SEEN, SEEN]
    assert loop.run(bea.open(target).snapshot()).flags.tolist() == [SEEN, 0]
    with pytest.raises(LimitReached):
        loop.run(bea.open(1).copy(list(range(1, 1002)), target))


def test_the_quota_is_the_owners(loop, store, ann, bea, blobs):
    loop.run(store.set_quota("ann", 0, 1))
    loop.run(ann.give_rights(1, "bea", "set", "lrite"))
    new = NewMessage(loop.run(blobs.put(b"x" * 30)), make_facts(30), 1)
    loop.run(bea.open(1).append([new]))
    with pytest.raises(OverQuota):
        loop.run(bea.open(1).append([new]))
    with pytest.raises(OverQuota):
        loop.run(bea.open(1).copy([1], 1))
    assert loop.run(bea.open(1).move([1], 1)).target == (2,)
    assert loop.run(bea.usage()).count_used == 1


def test_the_tree(loop, ann, bea):
    top = loop.run(ann.create("Team")).id
    loop.run(ann.give_rights(top, "bea", "set", "lkx"))
    made = loop.run(bea.create("Team/a/b"))
    assert (made.name, made.account_id) == ("Team/a/b", "ann")
    assert loop.run(ann.entries(made.id)) == {"bea": "lkx"}
    assert [info.name for info in loop.run(bea.mailboxes())] == ["Team", "Team/a", "Team/a/b"]
    loop.run(bea.rename(made.id, "Team/c"))
    assert loop.run(ann.named("Team/c")).id == made.id
    with pytest.raises(NotPermitted):
        loop.run(bea.rename(made.id, "c"))
    loop.run(ann.give_rights(1, "bea", "set", "lkx"))
    with pytest.raises(MailboxRefused):
        loop.run(bea.rename(1, "Team/INBOX"))
    loop.run(bea.delete(made.id))
    assert loop.run(store_entries(ann, "Team/a")) == {"bea": "lkx"}
    with pytest.raises(NoSuchMailbox):
        loop.run(ann.entries(made.id))


async def store_entries(account, name):
    return await account.entries((await account.named(name)).id)


def test_they_end_with_reader_message_mailbox_and_owner(loop, store, ann, bea, put, clock, engine):
    put(2)
    loop.run(ann.give_rights(1, "bea", "set", "lrs"))
    loop.run(ann.give_rights(1, "-bea", "set", "a"))
    loop.run(bea.open(1).store_flags([1, 2], "add", SEEN))
    loop.run(ann.open(1).expunge([1], False))
    loop.run(store.sweep(clock.seconds() + 10 * 86_400))
    assert _own(loop, store) == [2]
    loop.run(store.forget_reader("ann", "bea"))
    assert loop.run(ann.entries(1)) == {}
    assert _own(loop, store) == []
    loop.run(ann.give_rights(1, "bea", "set", "lr"))
    loop.run(store.remove("ann"))
    loop.run(store.provision("ann"))
    assert loop.run(bea.rights([1])) == {}


def test_a_bounded_number_of_messages_is_forgotten_at_once(loop, store, ann, bea, put, monkeypatch):
    monkeypatch.setattr(mailbox_rights, "SEEN_AT_ONCE", 2)
    put(5)
    for who in ("bea", "cid"):
        loop.run(ann.give_rights(1, who, "set", "lrs"))
    loop.run(bea.open(1).store_flags([1, 2, 3, 4, 5], "add", SEEN))
    loop.run(store.shared("ann", "cid").open(1).store_flags([2], "add", SEEN))
    assert loop.run(ann._partition.write(mailbox_rights.forget_reader, "ann", "bea")) == 2
    assert len(_own(loop, store)) == 4
    loop.run(store.forget_reader("ann", "bea"))
    assert _own(loop, store) == [2]
    assert loop.run(ann.entries(1)) == {"cid": "lrs"}


def _own(loop, store):
    return loop.run(store.account("ann")._partition.read(own_uids))


def own_uids(tx):
    return [uid for (uid,) in tx.execute("SELECT uid FROM own_flag ORDER BY uid")]


# RFC 5464 3.3
@pytest.mark.parametrize(
    ("rights", "told"), [("l", False), ("lkxtea", False), ("r", False), ("lr", True), ("lp", True)]
)
def test_what_is_noted_is_told_to_who_may_do_something_with_the_messages(loop, ann, bea, rights, told):
    loop.run(ann.annotate(1, [("", "/shared/comment", b"x"), ("ann", "/private/comment", b"y")]))
    loop.run(ann.give_rights(1, "bea", "set", rights))
    assert loop.run(bea.annotations([1, 2], "bea")) == ({1: {"/shared/comment": b"x"}} if told else {})


def test_what_a_reader_adds_waits_for_room_and_what_makes_room_does_not(loop, ann, bea, put, monkeypatch):
    put(1, flags=DELETED)
    loop.run(ann.give_rights(1, "bea", "set", ALL))
    units, write = [], type(bea._partition).write

    def noted(self, unit, *arguments):
        units.append(unit)
        return write(self, unit, *arguments)

    monkeypatch.setattr(type(bea._partition), "write", noted)
    loop.run(bea.give_rights(1, "cid", "set", "lr"))
    loop.run(bea.annotate(1, [("", "/shared/comment", b"x")]))
    loop.run(bea.open(1).expunge([1], True))
    assert [unit in GROWING for unit in units] == [True, True, False]


def test_what_a_reader_notes_for_themselves_is_told_to_them_alone(loop, ann, bea, put, hints):
    loop.run(ann.give_rights(1, "bea", "set", "lrw"))
    del hints.published[:]
    own = loop.run(bea.annotate(1, [("bea", "/private/a", b"1")]))
    assert hints.published == [("ann/bea", own)]
    all_s = loop.run(bea.annotate(1, [("bea", "/private/a", b"2"), ("", "/shared/a", b"1")]))
    assert hints.published[1:] == [("ann", all_s)]
    assert loop.run(bea.annotated_at([1, 2], "bea")) == {1: {"/private/a": all_s, "/shared/a": all_s}}
    loop.run(ann.give_rights(1, "bea", "set", "l"))
    assert loop.run(bea.annotated_at([1], "bea")) == {}


def test_in_which_mailboxes_something_happened(loop, store, ann, bea, put):
    for mailbox, rights in ((1, "lrs"), (2, "l"), (3, "lr")):
        loop.run(ann.give_rights(mailbox, "bea", "set", rights))
    before = loop.run(ann.modseq())
    assert loop.run(ann.changed_mailboxes(before)) == loop.run(bea.changed_mailboxes(before)) == (before, frozenset())
    for mailbox in (1, 2, 4):
        put(mailbox=mailbox)
    assert loop.run(ann.changed_mailboxes(before)) == (before + 3, {1, 2, 4})
    assert loop.run(bea.changed_mailboxes(before)) == (before + 3, {1}), "what may be read"
    loop.run(bea.open(1).store_flags([1], "add", SEEN))
    assert loop.run(bea.changed_mailboxes(before + 3)) == (before + 4, {1}), "what the reader has seen"
    assert loop.run(ann.changed_mailboxes(before + 3)) == (before + 4, frozenset())
    loop.run(ann.give_rights(1, "cid", "set", "lrs"))
    assert loop.run(store.shared("ann", "cid").changed_mailboxes(before + 3)) == (before + 5, frozenset())
    loop.run(ann.delete(4))
    assert loop.run(ann.changed_mailboxes(before))[1] == {1, 2}
    loop.run(store.remove("ann"))
    with pytest.raises(NoSuchMailbox):
        loop.run(bea.changed_mailboxes(before))


class Reading:
    """A transaction that counts how often all messages of a mailbox are read."""

    def __init__(self, tx):
        self.execute = tx.execute
        self._tx = tx
        self.columns = 0

    def integers(self, *arguments):
        self.columns += 1
        return self._tx.integers(*arguments)


@pytest.mark.parametrize("seen", [(), (2,)])
def test_the_messages_are_read_once(loop, ann, bea, put, seen):
    put(3, flags=SEEN | FLAGGED)
    loop.run(ann.give_rights(1, "bea", "set", "lrs"))
    loop.run(bea.open(1).store_flags(seen, "add", SEEN))

    def read(tx):
        reading = Reading(tx)
        return shared_flags.snapshot(reading, "ann", 1, "bea"), reading.columns

    found, times = loop.run(bea._partition.read(read))
    assert list(found.uids) == [1, 2, 3] and times == 1
    assert list(found.flags) == [FLAGGED | (SEEN if uid in seen else 0) for uid in (1, 2, 3)]
    assert max(found.modseqs) <= found.highest_modseq


@pytest.mark.parametrize("by", ["owner", "reader"])
def test_what_others_have_seen_follows_a_move(loop, ann, store, put, by):
    put(3)
    loop.run(ann.create("Done"))
    target = next(info.id for info in loop.run(ann.mailboxes()) if info.name == "Done")
    put(2, target)
    for reader in ("bea", "cid"):
        for mailbox in (1, target):
            loop.run(ann.give_rights(mailbox, reader, "set", "lrswite"))
    bea, cid = store.shared("ann", "bea"), store.shared("ann", "cid")
    loop.run(bea.open(1).store_flags([1, 3], "add", SEEN))
    loop.run(cid.open(1).store_flags([2], "add", SEEN))
    loop.run(cid.open(1).store_flags([3], "add", SEEN))
    loop.run(cid.open(1).store_flags([3], "remove", SEEN))
    since = loop.run(cid.open(target).snapshot()).highest_modseq
    mover = bea if by == "reader" else ann
    assert loop.run(mover.open(1).move([1, 2, 3], target)).target == (3, 4, 5)
    for reader, seen in ((bea, [0, 0, 1, 0, 1]), (cid, [0, 0, 0, 1, 0])):
        assert [bool(flags & SEEN) for flags in loop.run(reader.open(target).snapshot()).flags] == list(map(bool, seen))
        assert loop.run(reader.status([target]))[0].unseen == 5 - sum(seen)
    assert {uid for uid, flags, _ in loop.run(cid.open(target).changes(since)).changed if flags & SEEN} == {4}


def test_what_others_have_seen_does_not_follow_a_copy_and_not_without_end(loop, ann, store, put, monkeypatch):
    put(4)
    loop.run(ann.give_rights(1, "bea", "set", "lrs"))
    bea = store.shared("ann", "bea")
    loop.run(bea.open(1).store_flags([1, 2, 3, 4], "add", SEEN))
    loop.run(ann.open(1).copy([1], 1))
    monkeypatch.setattr(moved_flags, "MOST_CARRIED", 2)
    loop.run(ann.open(1).move([2, 3, 4], 1))
    seen = [bool(flags & SEEN) for flags in loop.run(bea.open(1).snapshot()).flags]
    assert seen == [True, False, True, True, False]
