"""Delivery, threads, accounts and the maildrop."""

from __future__ import annotations

import pytest

from mailnode.errors import Busy, NoSuchAccount, NoSuchMessage, OverQuota
from mailnode.store.engines.engine import mail_tenancy
from mailnode.store.facades import maildrop
from mailnode.store.units import mailbox_tree, messages
from mailnode.values.flags import FLAGGED, KEYWORD_SHIFT, MAX_KEYWORDS, SEEN
from mailnode.values.mailbox import CopyPlace, DeliveryPlan


@pytest.fixture
def ann(store):
    return store.account("ann")


@pytest.fixture
def bea(store, loop):
    """An account of the same partition."""
    name = next(f"bea{n}" for n in range(100) if store.partition(f"bea{n}") == store.partition("ann"))
    loop.run(store.provision(name))
    return store.account(name)


def plan(account, **fields):
    return DeliveryPlan(account.account_id, f"{account.account_id}@x.test", **fields)


def count(loop, account, mailbox_id=1):
    return len(loop.run(account.open(mailbox_id).snapshot()).uids)


def test_one_message_for_two_accounts_shares_its_blob(store, ann, bea, engine, loop, make, hints):
    message = make()
    plans = [plan(bea, prefix=b"To: bea\r\n"), plan(ann, prefix=b"To: ann\r\n", flags=SEEN)]
    placed = loop.run(store.deliver("e1", plans, message, False))
    assert [delivered.account_id for delivered in placed] == [bea.account_id, "ann"]
    assert sorted(hints.published) == sorted((d.account_id, d.modseq) for d in placed)
    rows = [loop.run(account.open(1).rows([1], ["blob", "prefix", "flags", "size"])) for account in (ann, bea)]
    assert rows[0][0][1] == rows[1][0][1] == message.blob.ref
    assert [row[0][2] for row in rows] == [b"To: ann\r\n", b"To: bea\r\n"]
    assert [row[0][3] for row in rows] == [SEEN, 0]
    tenancy = mail_tenancy(store.partition("ann"))
    assert loop.run(engine.read(tenancy, lambda tx: tx.execute("SELECT count(*) FROM blob"))) == [(1,)]


def test_delivery_is_all_or_none(store, ann, loop, make, hints):
    nobody = next(f"no{n}" for n in range(100) if store.partition(f"no{n}") == store.partition("ann"))
    with pytest.raises(NoSuchAccount):
        loop.run(store.deliver("e1", [plan(ann), DeliveryPlan(nobody, "n@x.test")], make(), False))
    assert count(loop, ann) == 0
    assert hints.published == []


def test_plans_of_two_partitions_are_a_mistake_of_the_caller(store, ann, loop, make):
    other = next(f"no{n}" for n in range(100) if store.partition(f"no{n}") != store.partition("ann"))
    with pytest.raises(ValueError, match="partition"):
        loop.run(store.deliver("e1", [plan(ann), DeliveryPlan(other, "n@x.test")], make(), False))


def test_mailbox_by_name_else_inbox(store, ann, loop, make):
    sub = loop.run(ann.create("lists/python"))
    plans = [plan(ann, mailbox=name) for name in ("lists/python", "lists/none", "Junk", "INBOX")]
    placed = [loop.run(store.deliver("e", [one], make(), False))[0].mailbox_id for one in plans]
    junk = next(info.id for info in loop.run(ann.mailboxes()) if info.name == "Junk")
    assert placed == [sub.id, 1, junk, 1]


def uses(loop, account):
    return {info.name: (info.special_use, info.subscribed) for info in loop.run(account.mailboxes())}


def junk(store, loop, account, message):
    placed = loop.run(store.deliver("e", [plan(account, mailbox="Gone", special_use="\\Junk")], message, False))
    return next(info.name for info in loop.run(account.mailboxes()) if info.id == placed[0].mailbox_id)


def test_mailbox_by_its_special_use_whatever_it_is_called(store, ann, loop, make):
    assert junk(store, loop, ann, make()) == "Junk"
    loop.run(ann.rename(loop.run(ann.named("Junk")).id, "Werbung/Unsinn"))
    loop.run(ann.create("Junk"))
    assert junk(store, loop, ann, make()) == "Werbung/Unsinn"
    loop.run(ann.create("Alt", "\\Junk"))
    assert junk(store, loop, ann, make()) == "Werbung/Unsinn"
    loop.run(ann.delete(loop.run(ann.named("Werbung/Unsinn")).id))
    assert junk(store, loop, ann, make()) == "Alt"


def test_a_mailbox_for_a_special_use_is_made_where_there_is_none(store, ann, loop, make):
    loop.run(ann.delete(loop.run(ann.named("Junk")).id))
    loop.run(ann.subscribe("Junk", False))
    assert junk(store, loop, ann, make()) == "Junk"
    assert uses(loop, ann)["Junk"] == ("\\Junk", True)


def test_the_mailbox_of_the_usual_name_gets_the_special_use_that_none_has(store, ann, loop, make):
    loop.run(ann.delete(loop.run(ann.named("Junk")).id))
    loop.run(ann.create("Junk"))
    modseq = loop.run(ann.modseq())
    assert junk(store, loop, ann, make()) == "Junk"
    assert uses(loop, ann)["Junk"][0] == "\\Junk"
    assert loop.run(ann.named("Junk")).id in loop.run(ann.changes(modseq)).mailboxes
    loop.run(ann.create("Junk/Old"))
    loop.run(ann.delete(loop.run(ann.named("Junk")).id))  # the name stays for what is below it
    assert junk(store, loop, ann, make()) == "Junk"


def test_the_name_may_be_another_uses(store, ann, loop, make):
    loop.run(ann.delete(loop.run(ann.named("Junk")).id))
    loop.run(ann.create("Junk", "\\Archive"))
    assert junk(store, loop, ann, make()) == "Junk"
    assert uses(loop, ann)["Junk"][0] == "\\Archive"


def test_without_room_for_one_more_mailbox_it_is_the_inbox(store, ann, loop, make, monkeypatch):
    loop.run(ann.delete(loop.run(ann.named("Junk")).id))
    monkeypatch.setattr(mailbox_tree, "MAX_MAILBOXES", 3)
    assert junk(store, loop, ann, make()) == "INBOX"


def test_a_plan_is_applied_once(store, ann, bea, loop, make):
    plans = [plan(ann), plan(bea)]
    first = loop.run(store.deliver("e1", plans, make(), True))
    loop.run(ann.open(1).store_flags([1], "add", SEEN))
    assert loop.run(store.deliver("e1", plans, make(), True)) == first
    assert loop.run(store.deliver("e1", plans[:1], make(), True)) == first[:1]
    assert count(loop, ann) == count(loop, bea) == 1
    assert loop.run(store.deliver("e2", plans[:1], make(), True))[0].uid == 2
    loop.run(store.deliver("e1", plans[:1], make(), False))
    assert count(loop, ann) == 3


def test_the_same_plan_twice_at_once_is_one_copy(store, ann, loop, make):
    message = make()
    loop.together(*(store.deliver("e1", [plan(ann)], message, True) for _ in range(5)))
    assert count(loop, ann) == 1


@pytest.mark.parametrize("from_queue", [False, True])
@pytest.mark.parametrize("fields", [{}, {"keywords": ("k",)}])
def test_room_for_one_octet_takes_one_more_message(store, ann, loop, make, from_queue, fields):
    whole = make(b"x" * 100)
    loop.run(store.set_quota("ann", 201, 0))
    for number in range(3):
        loop.run(store.deliver(f"e{number}", [plan(ann, **fields)], whole, from_queue))
    for _ in range(2):
        with pytest.raises(OverQuota):
            loop.run(store.deliver("e3", [plan(ann, **fields)], make(b"x"), from_queue))
    usage = loop.run(store.usage(["ann"]))["ann"]
    assert (usage.bytes_used, usage.count_used) == (300, 3)
    assert count(loop, ann) == 3
    if from_queue:
        (again,) = loop.run(store.deliver("e2", [plan(ann, **fields)], whole, True))
        assert again.uid == 3, "what was placed is no question of room"
    loop.run(ann.open(1).expunge([1], False))
    loop.run(store.deliver("e3", [plan(ann, **fields)], make(b"x"), from_queue))


def test_a_quota_of_messages_is_never_exceeded(store, ann, loop, make):
    loop.run(store.set_quota("ann", 0, 2))
    loop.run(store.deliver("e1", [plan(ann)], make(), False))
    loop.run(store.deliver("e2", [plan(ann)], make(), False))
    with pytest.raises(OverQuota):
        loop.run(store.deliver("e3", [plan(ann)], make(), False))


def test_one_full_account_of_several_leaves_nothing(store, ann, bea, loop, make):
    loop.run(store.set_quota(bea.account_id, 1, 0))
    loop.run(store.deliver("e1", [plan(bea)], make(), False))
    with pytest.raises(OverQuota):
        loop.run(store.deliver("e2", [plan(ann), plan(bea)], make(), False))
    assert (count(loop, ann), count(loop, bea)) == (0, 1)


@pytest.mark.parametrize("bytes_limit", [1, 100, 101, 250, 900, 2000])
def test_deliveries_side_by_side_exceed_the_quota_by_one_message_at_most(store, ann, bea, loop, make, bytes_limit):
    """They are one transaction, or several: what each is told is what was done."""
    loop.run(store.set_quota("ann", bytes_limit, 0))
    calls = [store.deliver(f"e{n}", [plan(ann)], make(b"%03d" % n + b"x" * 97), False) for n in range(15)]
    others = [store.deliver(f"o{n}", [plan(bea)], make(), False) for n in range(3)]
    outcomes = loop.together(*calls, *others)
    placed = [outcome for outcome in outcomes[:15] if not isinstance(outcome, Exception)]
    assert all(isinstance(outcome, OverQuota) for outcome in outcomes[:15] if isinstance(outcome, Exception))
    usage = loop.run(store.usage(["ann"]))["ann"]
    assert len(placed) == count(loop, ann) == min(15, (bytes_limit + 99) // 100)
    assert usage.bytes_used == 100 * len(placed) <= bytes_limit + 99
    assert count(loop, bea) == 3
    assert loop.run(store.verify()) == []


def test_a_full_keyword_table_does_not_keep_mail_out(store, ann, loop, make):
    loop.run(store.deliver("e1", [plan(ann, keywords=tuple(f"k{n}" for n in range(MAX_KEYWORDS)))], make(), False))
    loop.run(store.deliver("e2", [plan(ann, flags=FLAGGED, keywords=("new", "k0"))], make(), False))
    assert loop.run(ann.open(1).snapshot()).flags[1] == FLAGGED | 1 << KEYWORD_SHIFT


def test_many_deliveries_at_once_are_all_there(store, ann, bea, loop, make):
    messages = [make(b"n%d" % number) for number in range(40)]
    outcomes = loop.together(
        *(
            store.deliver(f"e{number}", [plan(ann), plan(bea)] if number % 2 else [plan(bea)], message, False)
            for number, message in enumerate(messages)
        )
    )
    assert sorted(placed[-1].uid for placed in outcomes) == list(range(1, 41))
    assert (count(loop, ann), count(loop, bea)) == (20, 40)
    snapshot = loop.run(bea.open(1).snapshot())
    assert snapshot.modseqs.tolist() == sorted(snapshot.modseqs)  # those that ran together share one


def test_one_that_cannot_be_delivered_takes_none_of_the_others_with_it(store, ann, loop, make):
    messages = [make(b"n%d" % number) for number in range(20)]
    gone = next(f"no{n}" for n in range(100) if store.partition(f"no{n}") == store.partition("ann"))

    async def attempt(number):
        to = plan(ann) if number != 7 else DeliveryPlan(gone, "gone@a.test", "INBOX")
        try:
            return await store.deliver(f"e{number}", [to], messages[number], False)
        except NoSuchAccount:
            return None

    outcomes = loop.together(*map(attempt, range(20)))
    assert [number for number, outcome in enumerate(outcomes) if outcome is None] == [7]
    assert count(loop, ann) == 19


def test_what_is_delivered_together_goes_to_its_mailboxes_and_threads(store, ann, loop, make):
    loop.run(ann.create("Lists"))
    messages = [make(b"n%d" % number, f"m{number}@x", (f"root{number % 2}@x",)) for number in range(70)]

    async def deliver(number):
        to = DeliveryPlan(ann.account_id, "a@a.test", "Lists" if number % 3 == 0 else "INBOX")
        return await store.deliver(f"e{number}", [to], messages[number], False)

    outcomes = loop.together(*map(deliver, range(70)))
    by_mailbox = {}
    for (placed,) in outcomes:
        by_mailbox.setdefault(placed.mailbox_id, []).append(placed.uid)
    assert [sorted(uids) for _, uids in sorted(by_mailbox.items())] == [list(range(1, 47)), list(range(1, 25))]
    found = {row[1] for number in by_mailbox for row in loop.run(ann.open(number).rows(range(1, 60), ["thread_id"]))}
    assert len(found) == 2
    assert loop.run(store.verify()) == []


# threads


def threads(loop, account):
    return [row[1] for row in loop.run(account.open(1).rows(range(1, 20), ["thread_id"]))]


def test_replies_join_the_thread_of_what_they_refer_to(store, ann, loop, make):
    inbox = ann.open(1)
    for message_id, references in (
        ("a", ()),
        ("b", ("a",)),
        ("other", ()),
        ("d", ("never-seen", "b")),
        ("e", ("never-seen",)),
        ("", ()),
        ("", ("a",)),
    ):
        loop.run(inbox.append([make(message_id=message_id, references=references)]))
    first, second, other, third, fourth, nameless, last = threads(loop, ann)
    assert first == second == third == fourth == last
    assert len({first, other, nameless}) == 3


def test_a_reply_that_came_first_is_found_by_what_it_answers(store, ann, loop, make):
    inbox = ann.open(1)
    loop.run(inbox.append([make(message_id="reply", references=("root", "middle"))]))
    loop.run(inbox.append([make(message_id="middle"), make(message_id="root")]))
    assert len(set(threads(loop, ann))) == 1


def test_a_thread_of_very_many_references_is_found_by_first_and_last(store, ann, loop, make):
    inbox = ann.open(1)
    loop.run(inbox.append([make(message_id="root"), make(message_id="late")]))
    many = tuple(f"r{number}" for number in range(1000))
    loop.run(inbox.append([make(message_id="x", references=("root", *many))]))
    loop.run(inbox.append([make(message_id="y", references=(*many, "late"))]))
    found = threads(loop, ann)
    assert found[2] == found[0]
    assert found[3] == found[0]  # by r999, which the third message knew


def test_threads_of_accounts_are_apart(store, ann, bea, loop, make):
    loop.run(ann.open(1).append([make(message_id="x"), make(message_id="a")]))
    loop.run(bea.open(1).append([make(message_id="b", references=("a",))]))
    assert threads(loop, bea) == [1]


# accounts


def test_remove_takes_everything(store, ann, bea, engine, loop, make, monkeypatch):
    monkeypatch.setattr("mailnode.store.units.sweeping.ROWS", 3)
    shared = make()
    loop.run(store.deliver("e1", [plan(ann), plan(bea)], shared, True))
    loop.run(ann.open(1).append([make() for _ in range(8)]))
    loop.run(ann.open(1).copy([1, 2], 2))
    loop.run(ann.delete(2))
    loop.run(store.remove("ann"))
    loop.run(store.remove("ann"))
    assert loop.run(ann.mailboxes()) == []
    tenancy = mail_tenancy(store.partition("ann"))
    for table in ("account", "mailbox", "subscription", "message", "placement", "thread_ref", "blob_ref", "applied"):
        sql = f"SELECT count(*) FROM {table} WHERE account_id = 'ann'"
        assert loop.run(engine.read(tenancy, lambda tx, sql=sql: tx.execute(sql))) == [(0,)], table
    assert loop.run(engine.read(tenancy, lambda tx: tx.execute("SELECT blob_id FROM blob"))) == [
        (shared.blob.ref.blob_id,)
    ]
    with pytest.raises(NoSuchAccount):
        loop.run(store.deliver("e2", [plan(ann)], make(), False))


def test_quota_of_an_unknown_account(store, loop):
    with pytest.raises(NoSuchAccount):
        loop.run(store.set_quota("nobody", 1, 1))


# the maildrop


@pytest.fixture
def three(ann, loop, make):
    inbox = ann.open(1)
    loop.run(inbox.append([make(b"one\r\n"), make(b"two\r\n", prefix=b"P: p\r\n"), make(b"three\r\n", uidl="old-3")]))
    return inbox


# IMAP trap 45: what stood there at login
def test_a_maildrop_lists_what_stood_there_at_login(ann, three, loop, make):
    drop = loop.run(ann.maildrop(1, 60))
    loop.run(three.append([make()]))
    uidvalidity = loop.run(three.snapshot()).uidvalidity
    assert [(m.uid, m.size, m.uidl) for m in drop.messages] == [
        (1, 5, f"{uidvalidity}.1"),
        (2, 11, f"{uidvalidity}.2"),
        (3, 7, "old-3"),
    ]


def test_retrieve_reads_prefix_and_blob_as_one(ann, three, loop):
    drop = loop.run(ann.maildrop(1, 60))
    whole = b"P: p\r\ntwo\r\n"
    assert loop.run(drop.retrieve(drop.messages[1])) == whole
    for offset in range(len(whole) + 2):
        for length in range(len(whole) + 2):
            piece = loop.run(drop.retrieve(drop.messages[1], offset, length))
            assert piece == whole[offset : offset + length], (offset, length)


def test_messages_asked_for_in_turn_are_read_ahead(ann, loop, make, monkeypatch):
    monkeypatch.setattr(maildrop, "AHEAD", 4)
    units = []
    live_contents = messages.live_contents
    monkeypatch.setattr(messages, "live_contents", lambda tx, *args: units.append(args[2]) or live_contents(tx, *args))
    loop.run(ann.open(1).append([make(b"%d\r\n" % number, prefix=b"P\r\n") for number in range(12)]))
    drop = loop.run(ann.maildrop(1, 60))
    for number, message in enumerate(drop.messages):
        assert loop.run(drop.retrieve(message, 1, 100)) == b"\r\n%d\r\n" % number
    assert units == [[1], [2, 3, 4, 5], [6, 7, 8, 9], [10, 11, 12]]
    units.clear()
    for place in (3, 2, 7, 7, 8, 4):  # in turn but once
        assert loop.run(drop.retrieve(drop.messages[place])).endswith(b"%d\r\n" % place)
    assert units == [[4], [3], [8], [8], [9, 10, 11, 12], [5]]


def test_what_is_read_ahead_is_bounded_and_given_up_with_the_maildrop(ann, loop, make, monkeypatch):
    monkeypatch.setattr(maildrop, "AHEAD_OCTETS", 1000)
    loop.run(ann.open(1).append([make(b"%d" % number * size) for number, size in enumerate((10, 400, 600, 10, 10))]))
    drop = loop.run(ann.maildrop(1, 60))
    loop.run(drop.retrieve(drop.messages[0]))
    loop.run(drop.retrieve(drop.messages[1]))
    assert list(drop._ahead) == [3]
    loop.run(drop.retrieve(drop.messages[2]))
    loop.run(ann.open(1).expunge([5], False))
    loop.run(drop.retrieve(drop.messages[3]))
    assert not drop._ahead
    with pytest.raises(NoSuchMessage):
        loop.run(drop.retrieve(drop.messages[4]))
    drop._ahead[1] = (b"", None, b"")
    loop.run(drop.release())
    assert not drop._ahead


# IMAP trap 45: one session
def test_one_session_at_a_time(ann, three, loop, clock):
    first = loop.run(ann.maildrop(1, 60))
    with pytest.raises(Busy):
        loop.run(ann.maildrop(1, 60))
    loop.run(first.release())
    second = loop.run(ann.maildrop(1, 60))
    clock.advance(59)
    loop.run(second.renew())
    clock.advance(59)
    with pytest.raises(Busy):
        loop.run(ann.maildrop(1, 60))


def test_a_server_that_starts_ends_the_leases_of_the_one_that_was_killed(store, ann, three, loop):
    first = loop.run(ann.maildrop(1, 60))
    loop.run(store.end_maildrops())
    second = loop.run(ann.maildrop(1, 60))
    with pytest.raises(Busy):
        loop.run(first.commit(first.messages))
    loop.run(second.release())


def test_a_lost_lease_deletes_nothing(ann, three, loop, clock):
    first = loop.run(ann.maildrop(1, 60))
    clock.advance(61)
    second = loop.run(ann.maildrop(1, 60))
    with pytest.raises(Busy):
        loop.run(first.commit(first.messages))
    with pytest.raises(Busy):
        loop.run(first.renew())
    loop.run(first.release())
    assert len(loop.run(three.snapshot()).uids) == 3
    loop.run(second.commit([]))
    loop.run(ann.maildrop(1, 60))


def test_commit_expunges_and_frees(ann, three, loop, hints):
    drop = loop.run(ann.maildrop(1, 60))
    loop.run(three.expunge([1], False))
    before = loop.run(three.snapshot()).highest_modseq
    hints.published.clear()
    loop.run(drop.commit([drop.messages[1], drop.messages[0]]))
    changes = loop.run(three.changes(before))
    assert changes.expunged == (2,)
    assert hints.published == [("ann", changes.highest_modseq)]
    loop.run(ann.maildrop(1, 60))


def test_retrieve_of_what_was_expunged_elsewhere(ann, three, loop):
    drop = loop.run(ann.maildrop(1, 60))
    loop.run(three.expunge([2], False))
    with pytest.raises(NoSuchMessage):
        loop.run(drop.retrieve(drop.messages[1]))
    assert loop.run(drop.retrieve(drop.messages[2])) == b"three\r\n"


def test_a_maildrop_whose_mailbox_is_deleted(ann, loop, make):
    info = loop.run(ann.create("a"))
    loop.run(ann.open(info.id).append([make()]))
    drop = loop.run(ann.maildrop(info.id, 60))
    loop.run(ann.delete(info.id))
    with pytest.raises(NoSuchMessage):
        loop.run(drop.retrieve(drop.messages[0]))
    with pytest.raises(Busy):
        loop.run(drop.commit(drop.messages))


# places that scripts want


def standing(loop, account):
    """Return how many messages stand in each mailbox that is not empty."""
    infos = loop.run(account.mailboxes())
    found = {info.name: len(loop.run(account.open(info.id).snapshot()).uids) for info in infos}
    return {name: count for name, count in found.items() if count}


def test_one_message_stands_in_several_mailboxes(store, ann, loop, make):
    places = (
        CopyPlace("INBOX", SEEN, ("work",)),
        CopyPlace("Archive", FLAGGED, ("play",)),
        CopyPlace("Nowhere"),
        CopyPlace("New/Below", create=True),
        CopyPlace("Nowhere", special_use="\\Junk"),
    )
    wanted = plan(ann, places=places)
    [delivered] = loop.run(store.deliver("e1", [wanted], make(), True))
    assert (delivered.mailbox_id, delivered.uid) == (1, 1)
    assert standing(loop, ann) == {"INBOX": 1, "Archive": 1, "New/Below": 1, "Junk": 1}
    ids = {info.name: info.id for info in loop.run(ann.mailboxes())}
    message_ids = {loop.run(ann.open(ids[name]).rows([1], ["message_id"]))[0][1] for name in standing(loop, ann)}
    assert len(message_ids) == 1
    snapshot = loop.run(ann.open(ids["Archive"]).snapshot())
    assert snapshot.keywords.flag_names(snapshot.flags[0]) == ("\\Flagged", "play")
    assert loop.run(ann.usage()).count_used == 4
    assert "New/Below" in loop.run(ann.subscriptions())
    assert loop.run(store.deliver("e1", [wanted], make(), True)) == [delivered], "applied once"
    assert standing(loop, ann) == {"INBOX": 1, "Archive": 1, "New/Below": 1, "Junk": 1}


def test_places_go_by_id_then_by_use_then_by_name(store, ann, loop, make):
    made = loop.run(ann.create("Elsewhere", "\\Archive"))
    places = (
        CopyPlace("Trash", mailbox_id=made.id),
        CopyPlace("Drafts", mailbox_id=999),
        CopyPlace("Drafts", use="\\Sent"),
        CopyPlace("Trash", use="\\Important"),
    )
    loop.run(store.deliver("e1", [plan(ann, places=places)], make(), False))
    assert standing(loop, ann) == {"Elsewhere": 1, "Drafts": 1, "Sent": 1, "Trash": 1}


def test_a_mailbox_that_may_not_be_made_is_inbox(store, ann, loop, make):
    have = len(loop.run(ann.mailboxes()))
    loop.run(store.set_quota("ann", 0, 0, have))
    loop.run(store.deliver("e1", [plan(ann, places=(CopyPlace("New", create=True),))], make(), False))
    assert standing(loop, ann) == {"INBOX": 1}


def test_a_name_that_only_has_others_below_it_becomes_a_mailbox_for_mail(store, ann, loop, make):
    made = loop.run(ann.create("Top/Below"))
    top = next(info.id for info in loop.run(ann.mailboxes()) if info.name == "Top")
    loop.run(ann.delete(top))
    assert made.id
    loop.run(store.deliver("e1", [plan(ann, places=(CopyPlace("Top", create=True),))], make(), False))
    assert standing(loop, ann) == {"Top": 1}
