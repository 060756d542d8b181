"""The tree of mailboxes: the contract of IMailAccount."""

from __future__ import annotations

import pytest

from mailnode.errors import BadMailboxName, LimitReached, MailboxExists, MailboxRefused, NoSuchMailbox
from mailnode.store.facades import partition as partition_module
from mailnode.store.units import mailbox_tree
from mailnode.store.units.accounts import MODSEQS
from mailnode.values.flags import SEEN
from mailnode.values.mailbox import DeliveryPlan


@pytest.fixture
def ann(store):
    return store.account("ann")


def names(loop, account):
    return [info.name for info in loop.run(account.mailboxes())]


def by_name(loop, account, name):
    return next(info for info in loop.run(account.mailboxes()) if info.name == name)


def test_a_new_account_has_inbox_and_special_mailboxes(ann, loop):
    infos = loop.run(ann.mailboxes())
    assert [info.name for info in infos] == ["INBOX", "Archive", "Drafts", "Junk", "Sent", "Trash"]
    assert {info.name: info.special_use for info in infos}["Sent"] == "\\Sent"
    assert all(info.subscribed and info.selectable and info.uidvalidity > 0 for info in infos)
    assert len({info.uidvalidity for info in infos}) == len(infos)
    assert all(info.uidvalidity < 1 << 31 for info in infos)


def test_provisioning_twice_changes_nothing(store, ann, loop):
    before = loop.run(ann.mailboxes())
    loop.run(store.provision("ann", 5, 5))
    assert loop.run(ann.mailboxes()) == before
    assert loop.run(ann.usage()).bytes_limit == 0


def test_another_account_counts_uidvalidity_from_elsewhere(store, ann, loop):
    loop.run(store.provision("bea"))
    assert loop.run(ann.mailboxes())[0].uidvalidity != loop.run(store.account("bea").mailboxes())[0].uidvalidity


def test_create_makes_superiors(ann, loop):
    info = loop.run(ann.create("a/b/c", "\\Flagged"))
    assert info.name == "a/b/c"
    assert info.special_use == "\\Flagged"
    assert {"a", "a/b", "a/b/c"} <= set(names(loop, ann))
    assert by_name(loop, ann, "a/b").special_use == ""
    assert by_name(loop, ann, "a/b/c") == info


def test_levels_of_the_same_name_are_apart(ann, loop):
    info = loop.run(ann.create("a/a/a", "\\All"))
    assert [by_name(loop, ann, name).special_use for name in ("a", "a/a", "a/a/a")] == ["", "", "\\All"]
    assert info.id == by_name(loop, ann, "a/a/a").id


@pytest.mark.parametrize("name", ["INBOX", "inbox", "Sent", "Sent/"])
def test_create_of_what_is_there_is_refused(ann, loop, name):
    with pytest.raises(MailboxExists):
        loop.run(ann.create(name))


def test_names_are_told_apart_by_case_but_inbox_is_not(ann, loop):
    loop.run(ann.create("sent"))
    assert loop.run(ann.create("inbox/sub")).name == "INBOX/sub"


@pytest.mark.parametrize("name", ["", "a//b", "a\x00b", "x" * 256, "/".join("a" * 33)])
def test_bad_names_are_refused(ann, loop, name):
    with pytest.raises(BadMailboxName):
        loop.run(ann.create(name))


def test_the_number_of_mailboxes_is_limited(ann, loop, monkeypatch):
    monkeypatch.setattr(mailbox_tree, "MAX_MAILBOXES", 8)
    loop.run(ann.create("a/b"))
    before = loop.run(ann.modseq())
    with pytest.raises(LimitReached):
        loop.run(ann.create("c"))
    assert loop.run(ann.modseq()) == before


# IMAP trap 19: deleted and made again
def test_uidvalidity_grows_when_a_name_comes_again(ann, loop):
    first = loop.run(ann.create("a"))
    loop.run(ann.delete(first.id))
    second = loop.run(ann.create("a"))
    assert second.uidvalidity > first.uidvalidity
    assert second.id != first.id


def test_a_deleted_mailbox_is_gone_for_those_who_have_it_open(ann, loop, make):
    info = loop.run(ann.create("a"))
    box = ann.open(info.id)
    loop.run(box.append([make()]))
    loop.run(ann.delete(info.id))
    for call in (
        box.snapshot(),
        box.changes(0),
        box.rows([1], ["size"]),
        box.append([make()]),
        box.store_flags([1], "set", SEEN),
        box.expunge([1], False),
        box.copy([1], 1),
        ann.open(1).copy([], info.id),
        ann.delete(info.id),
        ann.rename(info.id, "b"),
        ann.maildrop(info.id, 60),
    ):
        with pytest.raises(NoSuchMailbox):
            loop.run(call)
    assert loop.run(ann.status([info.id])) == []
    assert loop.run(ann.usage()).count_used == 0


def test_inbox_cannot_be_deleted(ann, loop):
    with pytest.raises(MailboxRefused):
        loop.run(ann.delete(1))


def test_delete_with_inferiors_leaves_a_name(ann, loop, make):
    parent = loop.run(ann.create("a"))
    child = loop.run(ann.create("a/b"))
    loop.run(ann.open(parent.id).append([make()]))
    loop.run(ann.delete(parent.id))
    left = by_name(loop, ann, "a")
    assert not left.selectable
    assert by_name(loop, ann, "a/b") == child
    with pytest.raises(NoSuchMailbox):
        loop.run(ann.open(left.id).snapshot())
    with pytest.raises(NoSuchMailbox):
        loop.run(ann.open(parent.id).snapshot())
    with pytest.raises(MailboxRefused):
        loop.run(ann.delete(left.id))
    again = loop.run(ann.create("a"))
    assert again.uidvalidity > parent.uidvalidity
    assert len(loop.run(ann.open(again.id).snapshot()).uids) == 0


def test_a_name_without_inferiors_left_can_be_deleted(ann, loop):
    parent = loop.run(ann.create("a"))
    child = loop.run(ann.create("a/b"))
    loop.run(ann.delete(parent.id))
    loop.run(ann.delete(child.id))
    loop.run(ann.delete(by_name(loop, ann, "a").id))
    assert "a" not in names(loop, ann)


def test_rename_keeps_uids_and_takes_inferiors_along(ann, loop, make):
    parent = loop.run(ann.create("a"))
    child = loop.run(ann.create("a/b"))
    loop.run(ann.open(child.id).append([make(), make()]))
    loop.run(ann.rename(parent.id, "x/y"))
    assert {"x", "x/y", "x/y/b"} <= set(names(loop, ann))
    assert not {"a", "a/b"} & set(names(loop, ann))
    moved = by_name(loop, ann, "x/y/b")
    assert (moved.id, moved.uidvalidity) == (child.id, child.uidvalidity)
    assert loop.run(ann.open(child.id).snapshot()).uids.tolist() == [1, 2]


# IMAP trap 19: renamed onto a name that was used
def test_rename_onto_a_name_that_was_used_raises_uidvalidity(ann, loop):
    older = loop.run(ann.create("older"))
    newer = loop.run(ann.create("newer"))
    loop.run(ann.delete(newer.id))
    loop.run(ann.rename(older.id, "newer"))
    assert by_name(loop, ann, "newer").uidvalidity > newer.uidvalidity


def test_inferiors_renamed_onto_used_names_raise_uidvalidity_too(ann, loop):
    loop.run(ann.create("a/sub"))
    loop.run(ann.create("b/sub"))
    was = by_name(loop, ann, "b/sub")
    loop.run(ann.rename(by_name(loop, ann, "b").id, "c"))
    loop.run(ann.rename(by_name(loop, ann, "a").id, "b"))
    assert by_name(loop, ann, "b/sub").uidvalidity > was.uidvalidity


def test_rename_there_and_back_keeps_uidvalidity(ann, loop):
    info = loop.run(ann.create("a"))
    loop.run(ann.rename(info.id, "b"))
    loop.run(ann.rename(info.id, "a"))
    assert by_name(loop, ann, "a").uidvalidity == info.uidvalidity


@pytest.mark.parametrize(
    ("name", "error"),
    [("Sent", MailboxExists), ("a", MailboxExists), ("a/below", MailboxRefused), ("a\x01", BadMailboxName)],
)
def test_renames_that_are_refused(ann, loop, name, error):
    info = loop.run(ann.create("a"))
    with pytest.raises(error):
        loop.run(ann.rename(info.id, name))
    assert by_name(loop, ann, "a") == info


def test_rename_must_leave_inferiors_good_names(ann, loop):
    loop.run(ann.create("a/" + "b" * 200))
    with pytest.raises(BadMailboxName):
        loop.run(ann.rename(by_name(loop, ann, "a").id, "c" * 100))


def test_rename_of_inbox_moves_its_messages(ann, loop, make):
    inbox = ann.open(1)
    loop.run(ann.create("INBOX/sub"))
    loop.run(inbox.append([make(flags=SEEN), make()]))
    loop.run(inbox.expunge([1], False))
    loop.run(ann.rename(1, "old mail"))
    snapshot = loop.run(inbox.snapshot())
    assert snapshot.uids.tolist() == []
    assert snapshot.uidnext == 3
    target = by_name(loop, ann, "old mail")
    assert len(loop.run(ann.open(target.id).snapshot()).uids) == 1
    assert "INBOX/sub" in names(loop, ann)
    with pytest.raises(MailboxExists):
        loop.run(ann.rename(1, "old mail"))


def test_subscriptions_are_apart_from_mailboxes(ann, loop):
    loop.run(ann.subscribe("not/there", True))
    loop.run(ann.subscribe("not/there", True))
    assert "not/there" in loop.run(ann.subscriptions())
    info = loop.run(ann.create("not/there"))
    assert info.subscribed
    loop.run(ann.delete(info.id))
    assert "not/there" in loop.run(ann.subscriptions())
    loop.run(ann.subscribe("not/there", False))
    loop.run(ann.subscribe("not/there", False))
    assert "not/there" not in loop.run(ann.subscriptions())


def test_status_counts(ann, loop, make):
    inbox = ann.open(1)
    loop.run(inbox.append([make(b"x" * 10), make(b"y" * 20, flags=SEEN, prefix=b"P: p\r\n"), make(flags=8)]))
    loop.run(inbox.expunge([1], False))
    loop.run(inbox.store_flags([2], "add", 8))
    status = loop.run(ann.status([1, 999]))
    assert len(status) == 1
    (only,) = status
    assert (only.messages, only.unseen, only.deleted, only.uidnext, only.recent) == (2, 1, 2, 4, 2)
    snapshot = loop.run(inbox.snapshot(claim_recent=True))
    assert only.highest_modseq == snapshot.highest_modseq
    assert only.uidvalidity == snapshot.uidvalidity
    assert only.size == sum(row[1] for row in loop.run(inbox.rows([2, 3], ["size"])))
    assert loop.run(ann.status([1]))[0].recent == 0


def test_every_change_of_the_tree_is_hinted(ann, loop, hints):
    info = loop.run(ann.create("a"))
    loop.run(ann.rename(info.id, "b"))
    loop.run(ann.delete(info.id))
    modseqs = [modseq for account_id, modseq in hints.published if account_id == "ann"]
    assert modseqs == sorted(set(modseqs))
    assert len(modseqs) == 3
    assert modseqs[-1] == loop.run(ann.modseq())


def test_an_unknown_account_has_nothing(store, loop):
    nobody = store.account("nobody")
    assert loop.run(nobody.mailboxes()) == []
    for call in (nobody.create("a"), nobody.modseq(), nobody.usage(), nobody.open(1).snapshot()):
        with pytest.raises(NoSuchMailbox):
            loop.run(call)
    assert loop.run(store.usage(["ann", "nobody"])).keys() == {"ann"}
    assert loop.run(store.modseqs(["ann", "nobody"])).keys() == {"ann"}


def test_status_of_a_name(ann, loop, make):
    info = loop.run(ann.create("a/b/c"))
    loop.run(ann.open(info.id).append([make()]))
    assert loop.run(ann.status_of("a/b/c")) == loop.run(ann.status([info.id]))[0]
    assert loop.run(ann.status_of("INBOX")).mailbox_id == 1
    loop.run(ann.delete(loop.run(ann.status_of("a")).mailbox_id))  # stays for its inferiors, not selectable
    for name in ("a", "a/b/d", "b", "c"):
        with pytest.raises(NoSuchMailbox):
            loop.run(ann.status_of(name))


class Counting:
    """A transaction that counts the rows it reads."""

    def __init__(self, tx):
        self.rows = 0
        self._tx = tx

    def execute(self, sql, parameters=()):
        rows = self._tx.execute(sql, parameters)
        self.rows += len(rows)
        return rows

    def many(self, sql, rows):
        self._tx.many(sql, rows)


def rows_read(tx, unit, *args):
    counting = Counting(tx)
    unit(counting, *args)
    return counting.rows


@pytest.mark.parametrize(
    ("unit", "args"),
    [
        (mailbox_tree.create, ("ann", "new/one", "")),
        (mailbox_tree.rename, ("ann", 2, "elsewhere/one")),
        (mailbox_tree.delete, ("ann", 2, 0)),
        (mailbox_tree.named, ("ann", "Archive")),
        (mailbox_tree.with_inferior, ("ann", "many")),
        (mailbox_tree.status_of, ("ann", "Archive")),
        (mailbox_tree.subscribe, ("ann", "Archive", True)),
    ],
    ids=lambda value: getattr(value, "__name__", ""),
)
def test_a_command_on_one_mailbox_reads_no_others(unit, args, store, engine, ann, loop):
    for number in range(50):
        loop.run(ann.create(f"many/{number}"))
    assert loop.run(engine.write(f"mail-{store.partition('ann'):02d}", rows_read, unit, *args)) < 12


def test_a_mailbox_is_found_with_one_below_it(ann, loop):
    for name in ("a/b", "a/c"):
        loop.run(ann.create(name))
    top, below = loop.run(ann.with_inferior("a"))
    assert top == by_name(loop, ann, "a")
    assert below.name in ("a/b", "a/c")
    assert loop.run(ann.with_inferior("a/b")) == [by_name(loop, ann, "a/b")]
    assert loop.run(ann.with_inferior("nowhere")) == []


def test_a_mailbox_is_found_by_its_name(ann, loop):
    info = loop.run(ann.create("a/b"))
    assert loop.run(ann.named("a/b")) == info
    loop.run(ann.subscribe("a", True))
    assert loop.run(ann.named("a")) == by_name(loop, ann, "a")
    for missing in ("b", "a/b/c", "a/c", "inbox"):
        with pytest.raises(NoSuchMailbox):
            loop.run(ann.named(missing))


def test_the_modseqs_of_many_accounts_are_one_read_a_partition(store, loop, engine, monkeypatch):
    many = [f"many{number}" for number in range(2 * MODSEQS + 7)]
    for name in many:
        loop.run(store.provision(name))
    loop.run(store.account(many[3]).create("a"))
    expected = {name: loop.run(store.account(name).modseq()) for name in many}
    reads = []
    engine_read = engine.read

    async def read(tenancy, *args):
        reads.append(tenancy)
        return await engine_read(tenancy, *args)

    monkeypatch.setattr(engine, "read", read)
    assert loop.run(store.modseqs(["nobody", *many])) == expected
    assert len(reads) == len(set(reads)) == len({store.partition(name) for name in many})


# STATUS from memory


def test_status_is_that_of_the_store_after_every_change(store, engine, loop, make):
    ann = store.account("ann")
    inbox = ann.open(1)

    def counts():
        said = [loop.run(ann.status_of("INBOX")) for _ in range(2)]
        assert said == loop.run(ann.status([1])) * 2
        return said[0].messages, said[0].unseen, said[0].uidnext

    assert counts() == (0, 0, 1)
    loop.run(inbox.append([make(), make()]))
    assert counts() == (2, 2, 3)
    loop.run(inbox.store_flags([1], "add", SEEN))
    assert counts() == (2, 1, 3)
    loop.run(store.deliver("e", [DeliveryPlan("ann", "ann@example.org")], make(), False))
    assert counts() == (3, 2, 4)
    loop.run(inbox.expunge([1], False))
    assert counts() == (2, 2, 4)
    loop.run(inbox.snapshot(claim_recent=True))
    assert loop.run(ann.status_of("INBOX")).recent == loop.run(ann.status([1]))[0].recent


def test_a_name_has_the_status_of_the_mailbox_it_names_now(store, loop, make):
    ann = store.account("ann")
    box = loop.run(ann.create("Box"))
    loop.run(ann.open(box.id).append([make()]))
    assert loop.run(ann.status_of("Box")).messages == 1
    loop.run(ann.rename(box.id, "Other"))
    with pytest.raises(NoSuchMailbox):
        loop.run(ann.status_of("Box"))
    assert loop.run(ann.status_of("Other")).messages == 1
    loop.run(ann.delete(box.id))
    with pytest.raises(NoSuchMailbox):
        loop.run(ann.status_of("Other"))


def test_one_process_that_writes_alone_reads_a_status_once(store, engine, loop, make, monkeypatch):
    ann = store.account("ann")
    partition = ann._partition
    reads, read = [], partition.read
    monkeypatch.setattr(partition, "read", lambda *args: (reads.append(args), read(*args))[1])
    for _ in range(3):
        loop.run(ann.status_of("INBOX"))
    assert len(reads) == (1 if engine.written(partition._tenancy) is not None else 3)
    loop.run(ann.open(1).append([make()]))
    reads.clear()
    assert loop.run(ann.status_of("INBOX")).messages == 1
    assert len(reads) == 1


def test_what_is_read_while_somebody_writes_is_not_remembered(store, loop, make):
    ann = store.account("ann")
    message = make()
    loop.together(*[ann.status_of("INBOX") for _ in range(3)], ann.open(1).append([message]), ann.status_of("INBOX"))
    assert loop.run(ann.status_of("INBOX")).messages == 1


def test_statuses_in_memory_are_bounded(store, loop, monkeypatch):
    monkeypatch.setattr(partition_module, "STATUSES", 2)
    ann = store.account("ann")
    for name in ("INBOX", "Sent", "Drafts", "Trash"):
        loop.run(ann.status_of(name))
    assert len(ann._partition._statuses) <= 2
