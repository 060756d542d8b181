"""NOTIFY (RFC 5465): what is told unasked, of the selected mailbox and of others, and what is not."""

import gc
import tracemalloc

import pytest
from fake_mail import FakeAccount
from imap_world import play, run_now

from mailnode.errors import StoreUnavailable
from mailnode.imap import notifying
from mailnode.imap.view.known_mailboxes import KnownCounts, KnownNames, OwnChange, name_changes, with_own_names
from mailnode.values.flags import FLAGGED, SEEN

EVENTS = "(MessageNew MessageExpunge)"
ALL = "(MessageNew MessageExpunge FlagChange)"


@pytest.fixture
def make(make_world):
    """A world with two messages in INBOX, one in Trash, and a client that has logged in."""

    def made():
        world = make_world()
        world.put()
        world.put()
        world.put(mailbox="Trash")
        world.connect("before", select="INBOX")
        world.clients.pop("before").lose()
        world.connect()
        return world

    return made


def told(world, name=""):
    return world.clients[name].received().decode().split("\r\n")[:-1]


@pytest.mark.parametrize(
    ("arguments", "answer"),
    [
        ("", "BAD"),
        ("SOME", "BAD"),
        ("NONE", "OK NOTIFY completed"),
        ("none", "OK NOTIFY completed"),
        ("NONE (personal NONE)", "BAD"),
        ("SET", "BAD"),
        ("SET (personal NONE)", "OK NOTIFY completed"),
        ("SET STATUS", "BAD"),
        ("SET STATUS(personal NONE)", "BAD"),
        ("SET COUNTS (personal NONE)", "BAD Expected STATUS or groups of events"),
        ("SET (personal)", "BAD"),
        ("SET (personal ())", "BAD"),
        ("SET (personal MessageNew)", "BAD Expected events or NONE"),
        (f"SET (everything {EVENTS})", "BAD Unknown mailbox filter"),
        (f"SET (Selected {EVENTS}) (selected-delayed {EVENTS})", "BAD The selected mailbox stands there twice"),
        ("SET (selected (MailboxName))", "BAD Of the selected mailbox only messages are told"),
        ("SET (selected (MessageNew))", "BAD MessageNew and MessageExpunge belong together, and FlagChange to both"),
        ("SET (personal (MessageExpunge))", "BAD MessageNew and MessageExpunge belong together"),
        ("SET (personal (FlagChange MessageNew))", "BAD MessageNew and MessageExpunge belong together"),
        ("SET (selected (MessageNew (UID FLAGS) MessageExpunge))", "OK NOTIFY completed"),
        ("SET (selected (MessageNew UID MessageExpunge))", "NO [BADEVENT"),
        ("SET (selected (MessageNew (UID) (UID) MessageExpunge))", "BAD"),
        ("SET (selected (MessageExpunge (UID) MessageNew))", "BAD"),
        ("SET (personal (MessageNew (UID) MessageExpunge))", "BAD"),
        ("SET (selected (MessageNew (NOTHING) MessageExpunge))", "BAD"),
        ("SET (subtree)", "BAD"),
        (f"SET (subtree () {EVENTS})", "BAD"),
        (f'SET (subtree (A "b c") {EVENTS}) (mailboxes INBOX {EVENTS}) (inboxes (MailboxName))', "OK NOTIFY completed"),
        ("SET (personal (SubscriptionChange)) ", "BAD"),
        ("SET (mailboxes &bad NONE)", "NO [CANNOT]"),
    ],
)
def test_what_it_is_asked_for(make, arguments, answer):
    assert make().clients[""].ask(f"a NOTIFY {arguments}")[-1].startswith(f"a {answer}")


@pytest.mark.parametrize("event", ["AnnotationChange", "Whatever"])
def test_events_that_are_not_told_are_refused_with_those_that_are(make, event):
    world = make()
    assert world.clients[""].ask(f"a NOTIFY SET (personal (MailboxName {event}))") == [
        "a NO [BADEVENT (MessageNew MessageExpunge FlagChange MailboxName SubscriptionChange"
        " MailboxMetadataChange ServerMetadataChange)]"
        " Some of these events are not told"
    ]


@pytest.mark.parametrize("event", ["MailboxMetadataChange", "ServerMetadataChange", "Whatever"])
def test_events_of_what_is_hidden_are_not_told_nor_named(make, event):
    client = make().clients[""]
    client.session.hide({"METADATA"})
    assert client.ask(f"a NOTIFY SET (personal ({event}))") == [
        "a NO [BADEVENT (MessageNew MessageExpunge FlagChange MailboxName SubscriptionChange)]"
        " Some of these events are not told"
    ]


def test_not_before_login(make_world):
    client = make_world().connect(login=False)
    assert client.ask("a NOTIFY NONE") == ["a BAD Command is not allowed now"]


def test_counts_of_other_mailboxes(make):
    play(
        make,
        f"""
        C: a NOTIFY SET STATUS (mailboxes (INBOX Trash Nowhere) {EVENTS})
        S: * STATUS INBOX (MESSAGES 2 UIDNEXT 3 UIDVALIDITY …)
        S: * STATUS Trash (MESSAGES 1 UIDNEXT 2 UIDVALIDITY …)
        S: a OK NOTIFY completed
        ! world.put(mailbox="Trash")
        S: * STATUS Trash (MESSAGES 2 UIDNEXT 3 UIDVALIDITY …)
        ! world.expunge(1, mailbox="Trash")
        S: * STATUS Trash (MESSAGES 1 UIDNEXT 3 UIDVALIDITY …)
        ! world.flag(1, "add", {SEEN})
        ! world.put(mailbox="Sent")
        C: b NOTIFY NONE
        S: b OK NOTIFY completed
        ! world.put()
    """,
    )


def test_flags_of_other_mailboxes(make):
    play(
        make,
        f"""
        C: a NOTIFY SET (personal {ALL})
        S: a OK NOTIFY completed
        ! world.flag(1, "add", {SEEN})
        S: * STATUS INBOX (MESSAGES 2 UIDNEXT 3 UIDVALIDITY … UNSEEN 1)
        ! world.flag(1, "add", {FLAGGED})
        C: b ENABLE CONDSTORE
        S: * ENABLED CONDSTORE
        S: b OK …
        ! world.flag(1, "remove", {FLAGGED})
        S: * STATUS INBOX (MESSAGES 2 UIDNEXT 3 UIDVALIDITY … UNSEEN 1 HIGHESTMODSEQ …)
    """,
    )


# IMAP trap 56: no STATUS of the selected mailbox
def test_no_status_of_the_selected_mailbox_whatever_else_is_asked_for(make):
    play(
        make,
        f"""
        C: a SELECT INBOX
        S: …
        S: a OK …
        C: b NOTIFY SET STATUS (mailboxes (INBOX Trash) {ALL})
        S: * STATUS Trash (MESSAGES 1 UIDNEXT 2 UIDVALIDITY … UNSEEN 1)
        S: b OK NOTIFY completed
        ! world.put()
        ! world.flag(1, "add", {SEEN})
        C: c NOOP
        S: c OK NOOP completed
        C: d UNSELECT
        S: d OK …
        ! world.put()
        S: * STATUS INBOX (MESSAGES 4 UIDNEXT 5 UIDVALIDITY … UNSEEN 3)
    """,
    )


def test_the_selected_mailbox_is_told_at_once_with_what_is_asked_of_new_messages(make):
    play(
        make,
        f"""
        C: a SELECT INBOX
        S: …
        S: a OK …
        C: b NOTIFY SET (selected (MessageNew (UID BODY.PEEK[HEADER.FIELDS (Subject)]) MessageExpunge FlagChange))
        S: b OK NOTIFY completed
        ! world.put()
        S: * 3 EXISTS
        S: * 1 RECENT
        S: * 3 FETCH (UID 3 BODY[HEADER.FIELDS (Subject)] {{17}}
        S: Subject: test
        S:
        S: )
        ! world.flag(2, "add", {FLAGGED})
        S: * 2 FETCH (UID 2 FLAGS (\\Flagged))
        ! world.expunge(1)
        S: * 1 EXPUNGE
        C: c UID SEARCH ALL
        S: * SEARCH 2 3
        S: c OK …
        C: d IDLE
        S: + idling
        ! world.put()
        S: * 3 EXISTS
        S: * 2 RECENT
        S: * 3 FETCH (UID 4 BODY[HEADER.FIELDS (Subject)] {{17}}
        S: Subject: test
        S:
        S: )
        C: DONE
        S: d OK IDLE terminated
    """,
    )


def test_what_cannot_be_said_of_a_new_message_is_left_out_and_the_session_goes_on(make):
    odd = b"Content-Transfer-Encoding: strange\r\n\r\nx\r\n"
    world = make()
    client = world.clients[""]
    client.ask("a SELECT INBOX")
    client.ask("b NOTIFY SET (selected-delayed (MessageNew (UID BINARY.PEEK[1]) MessageExpunge))")
    world.put(odd)
    assert told(world) == ["* 3 EXISTS", "* 1 RECENT"]
    world.hints.lost = True
    world.put(odd)
    world.clock.advance(1)
    assert client.ask("c NOOP") == ["* 4 EXISTS", "* 2 RECENT", "c OK NOOP completed"]


def test_delayed_an_expunge_waits_for_a_command_that_allows_it(make):
    play(
        make,
        f"""
        C: a SELECT INBOX
        S: …
        S: a OK …
        C: b NOTIFY SET (selected-delayed {ALL})
        S: b OK NOTIFY completed
        ! world.expunge(1)
        ! world.put()
        S: * 3 EXISTS
        S: * 1 RECENT
        C: c FETCH 2 UID
        S: * 2 FETCH (UID 2)
        S: c OK …
        C: d NOOP
        S: * 1 EXPUNGE
        S: d OK NOOP completed
        ! world.expunge(2)
        C: e IDLE
        S: + idling
        S: * 1 EXPUNGE
        C: DONE
        S: e OK …
    """,
    )


def test_without_flag_changes_those_of_others_are_not_told(make):
    play(
        make,
        f"""
        C: a SELECT INBOX
        S: …
        S: a OK …
        C: b NOTIFY SET (selected {EVENTS})
        S: b OK NOTIFY completed
        ! world.flag(1, "add", {FLAGGED})
        C: c NOOP
        S: c OK …
        C: d STORE 1 +FLAGS (\\Seen)
        S: * 1 FETCH (FLAGS (\\Seen \\Flagged))
        S: d OK …
    """,
    )


# IMAP trap 56: NONE
def test_what_a_client_does_itself_is_told_though_it_wants_to_hear_nothing(make):
    play(
        make,
        """
        C: a SELECT INBOX
        S: …
        S: a OK …
        C: b NOTIFY NONE
        S: b OK NOTIFY completed
        ! world.put()
        C: c NOOP
        S: c OK …
        C: d UID STORE 1 +FLAGS.SILENT (\\Deleted)
        S: d OK …
        C: e EXPUNGE
        S: * 1 EXPUNGE
        S: * 2 EXISTS
        S: * 1 RECENT
        S: e OK …
        C: f COPY 1 INBOX
        S: * 3 EXISTS
        S: * 2 RECENT
        S: f OK …
    """,
    )


def test_what_happened_before_is_told_by_the_command_itself(make):
    world = make()
    client = world.clients[""]
    client.ask("a SELECT INBOX")
    world.hints.lost = True
    world.put()
    world.expunge(1)
    said = client.ask(f"b NOTIFY SET (selected-delayed {EVENTS})")
    assert said == ["* 1 EXPUNGE", "* 2 EXISTS", "* 1 RECENT", "b OK NOTIFY completed"]


def test_names(make):
    play(
        make,
        """
        C: a NOTIFY SET (personal (MailboxName))
        S: a OK NOTIFY completed
        ! do(world.account.create("Projects/One"))
        S: * LIST (\\HasChildren) "/" Projects
        S: * LIST (\\HasNoChildren) "/" Projects/One
        ! do(world.account.rename(number(world, "Projects"), "Work"))
        S: * LIST (\\HasChildren) "/" Work ("OLDNAME" (Projects))
        ! do(world.account.delete(number(world, "Work/One")))
        S: * LIST (\\HasNoChildren) "/" Work
        S: * LIST (\\NonExistent \\HasNoChildren) "/" Work/One
        ! do(world.account.subscribe("Work", True))
        ! do(world.account.create("Tr&ash *"))
        S: * LIST (\\HasNoChildren) "/" "Tr&-ash *"
    """,
        do=run_now,
        number=number,
    )


# IMAP trap 39: names in UTF-8, in NOTIFY
@pytest.mark.parametrize("capability", ["UTF8=ACCEPT", "IMAP4rev2"])
def test_names_in_utf8(make, capability):
    play(
        make,
        f"""
        C: a ENABLE {capability}
        S: …
        S: a OK …
        C: b NOTIFY SET (subtree Q&A (MessageNew MessageExpunge MailboxName))
        S: b OK NOTIFY completed
        ! do(world.account.create("Q&A/café"))
        S: * LIST (\\HasChildren) "/" Q&A
        S: * LIST (\\HasNoChildren) "/" "Q&A/caf…"
        ! world.put(mailbox="Q&A/café")
        S: * STATUS "Q&A/caf…" (MESSAGES 1 UIDNEXT 2 UIDVALIDITY …)
        C: c NOTIFY SET (mailboxes (Q&A "Other") {EVENTS})
        S: c OK NOTIFY completed
        ! world.put(mailbox="Q&A")
        S: * STATUS Q&A (MESSAGES 1 UIDNEXT 2 UIDVALIDITY …)
    """,
        do=run_now,
    )


def number(world, name):
    return run_now(world.account.named(name)).id


def test_subscriptions(make):
    play(
        make,
        """
        C: a NOTIFY SET (subtree (Lists) (SubscriptionChange)) (mailboxes Trash (SubscriptionChange))
        S: a OK NOTIFY completed
        ! do(world.account.subscribe("Trash", False))
        S: * LIST (\\HasNoChildren \\Trash) "/" Trash
        ! do(world.account.subscribe("Sent", False))
        ! do(world.account.subscribe("Lists/gone", True))
        S: * LIST (\\NonExistent \\Subscribed \\HasNoChildren) "/" Lists/gone
        ! do(world.account.subscribe("Listserv", True))
        ! do(world.account.subscribe("Lists/gone", False))
        S: * LIST (\\NonExistent \\HasNoChildren) "/" Lists/gone
    """,
        do=run_now,
    )


def test_mailboxes_that_come_to_be_covered(make):
    play(
        make,
        f"""
        C: a NOTIFY SET (subscribed {EVENTS}) (subtree Lists {EVENTS})
        S: a OK NOTIFY completed
        ! do(world.account.create("Lists/new"))
        ! world.put(mailbox="Lists/new")
        S: * STATUS Lists/new (MESSAGES 1 UIDNEXT 2 UIDVALIDITY …)
        ! do(world.account.create("Other"))
        ! world.put(mailbox="Other")
        ! do(world.account.subscribe("Other", True))
        S: * STATUS Other (MESSAGES 1 UIDNEXT 2 UIDVALIDITY …)
        ! do(world.account.subscribe("Other", False))
        ! world.put(mailbox="Other")
    """,
        do=run_now,
    )


def note(world, mailbox, *values):
    """Have another session set entries; None removes one. ``mailbox`` "" is the account."""
    where = number(world, mailbox) if mailbox else 0
    own = [("acc" if entry.startswith("/private/") else "", entry, value) for entry, value in values]
    run_now(world.account.annotate(where, own))


def test_entries_of_mailboxes_and_of_the_account(make):
    play(
        make,
        """
        ! note(world, "INBOX", ("/shared/before", b"1"))
        C: a NOTIFY SET (mailboxes (INBOX Trash Work) (MailboxMetadataChange)) (personal (ServerMetadataChange))
        S: a OK NOTIFY completed
        ! note(world, "INBOX", ("/shared/comment", b"1"), ("/private/comment", b"2"))
        S: * METADATA INBOX /private/comment /shared/comment
        ! note(world, "INBOX", ("/shared/comment", b"1"))
        ! note(world, "INBOX", ("/shared/comment", None), ("/shared/before", b"2"))
        S: * METADATA INBOX /shared/before /shared/comment
        ! note(world, "Sent", ("/shared/comment", b"1"))
        ! note(world, "", ("/private/vendor/x", b"1"))
        S: * METADATA "" /private/vendor/x
        ! do(world.account.annotate(number(world, "INBOX"), [("somebody", "/private/comment", b"theirs")]))
        ! world.put()
        C: b SELECT INBOX
        S: …
        S: b OK …
        ! note(world, "INBOX", ("/shared/comment", b"3"))
        S: * METADATA INBOX /shared/comment
        ! do(world.account.create("Work"))
        ! note(world, "Work", ("/shared/comment", b"3"))
        S: * METADATA Work /shared/comment
        ! do(world.account.delete(number(world, "Work")))
        C: c NOTIFY SET (personal (MailboxMetadataChange))
        S: c OK NOTIFY completed
        ! note(world, "", ("/private/vendor/x", None))
        C: d NOTIFY SET (personal (ServerMetadataChange))
        S: d OK NOTIFY completed
        ! note(world, "", ("/private/vendor/x", b"1"))
        S: * METADATA "" /private/vendor/x
    """,
        do=run_now,
        number=number,
        note=note,
    )


def test_what_a_client_does_itself_with_names_and_entries_it_is_not_told(make):
    play(
        make,
        r"""
        C: a NOTIFY SET (personal (MailboxName SubscriptionChange MailboxMetadataChange ServerMetadataChange))
        S: a OK NOTIFY completed
        C: b1 CREATE X
        S: b1 OK …
        C: b CREATE A/B/C
        S: b OK …
        C: c RENAME A X/Y
        S: c OK …
        C: d SUBSCRIBE X
        S: d OK …
        C: e UNSUBSCRIBE Trash
        S: e OK …
        C: f SETMETADATA X (/shared/comment "x")
        S: f OK …
        C: g SETMETADATA "" (/private/comment "x")
        S: g OK …
        C: h SETMETADATA X (/shared/comment NIL)
        S: h OK …
        C: i DELETE X/Y/B/C
        S: i OK …
        C: j DELETE X/Y
        S: j OK …
        ! do(world.account.create("Z"))
        S: * LIST (\HasNoChildren) "/" Z
        ! note(world, "X", ("/shared/comment", b"y"))
        S: * METADATA X /shared/comment
        ! do(world.account.subscribe("X", False))
        S: * LIST (\HasChildren) "/" X
    """,
        do=run_now,
        note=note,
    )


def test_what_others_do_with_the_same_name_meanwhile_is_told(make):
    world = make()
    client = world.clients[""]
    client.ask("a NOTIFY SET (personal (MailboxName SubscriptionChange MailboxMetadataChange))")
    run_now(world.account.create("X"))
    world.clients[""].received()
    world.hints.lost = True
    client.ask("b DELETE X")
    run_now(world.account.create("X"))
    client.ask("c SUBSCRIBE Lists")
    run_now(world.account.subscribe("Lists", False))
    client.ask('d SETMETADATA INBOX (/shared/comment "x")')
    note(world, "INBOX", ("/shared/comment", b"y"))
    world.hints.lost = False
    world.hints.publish("acc", run_now(world.account.modseq()))
    assert told(world) == ['* LIST (\\HasNoChildren) "/" X', "* METADATA INBOX /shared/comment"]


def test_lost_hints_are_made_good(make):
    world = make()
    client = world.connect(select="INBOX")
    assert client.ask(f"a NOTIFY SET (selected {EVENTS}) (personal {EVENTS})")[-1].startswith("a OK")
    world.clock.advance(5)
    world.hints.lost = True
    world.put(mailbox="Trash")
    world.put()
    assert client.received() == b""
    world.clock.advance(5)
    assert told(world)[:2] == ["* 3 EXISTS", "* 1 RECENT"] and not client.received()


# IMAP trap 56: too much to be told
def test_more_mailboxes_than_one_session_is_told_of(make, monkeypatch):
    monkeypatch.setattr(notifying, "MOST_WATCHED", 7)
    world = make()
    client = world.clients[""]
    assert client.ask(f"a NOTIFY SET STATUS (personal {EVENTS})")[-1].startswith("a OK")
    run_now(world.account.create("Eighth"))
    run_now(world.account.create("Ninth"))
    assert told(world) == ["* OK [NOTIFICATIONOVERFLOW] Too many mailboxes to tell of"]
    world.put(mailbox="Trash")
    assert not client.received(), "it is as after NOTIFY NONE"
    assert client.ask(f"b NOTIFY SET (personal {EVENTS})")[-1].startswith("b NO [NOTIFICATIONOVERFLOW]")
    names = " ".join(f"x{number}" for number in range(1001))
    assert client.ask(f"c NOTIFY SET (mailboxes ({names}) {EVENTS})")[-1].startswith("c NO [NOTIFICATIONOVERFLOW]")


def test_after_a_look_that_failed_what_a_client_did_itself_is_still_its_own(make, monkeypatch):
    async def unavailable():
        raise StoreUnavailable

    world = make()
    client = world.clients[""]
    client.ask("a NOTIFY SET (personal (MailboxName))")
    with monkeypatch.context() as failing:
        failing.setattr(world.account, "mailboxes", unavailable)
        assert client.ask("b CREATE Own")[-1].startswith("b OK")
    assert told(world) == []
    run_now(world.account.create("Another"))
    assert told(world) == ['* LIST (\\HasNoChildren) "/" Another']


def test_two_sessions_and_one_that_goes(make):
    world = make()
    for name in ("", "2"):
        client = world.clients.get(name) or world.connect(name)
        client.ask(f"a NOTIFY SET (personal {EVENTS})")
    world.put()
    assert told(world) == told(world, "2") != []
    world.clients["2"].lose()
    world.put()
    assert len(told(world)) == 1


def test_the_selected_mailbox_is_deleted(make):
    world = make()
    run_now(world.account.create("Gone"))
    client = world.connect("2", select="Gone")
    client.ask(f"a NOTIFY SET (selected {EVENTS})")
    run_now(world.account.delete(number(world, "Gone")))
    world.clock.advance(10)
    world.hints.publish("acc", run_now(world.account.modseq()))
    client.send(b"b NOOP\r\n")
    assert b"* BYE The selected mailbox was deleted" in client.received()


# What is held


def test_what_became_of_names():
    before = {1: ("INBOX", True), 2: ("a", True), 3: ("a/b", True), 4: ("a/b/c", True), 5: ("x", True), 6: ("y", True)}
    now = {1: ("INBOX", True), 2: ("z", True), 3: ("z/b", True), 4: ("z/c", True), 5: ("x", False), 7: ("n/m", True)}
    changes = name_changes(before, now)
    assert changes.renamed == {"z": "a", "z/c": "a/b/c"}, "a/b went along, a/b/c moved out of it"
    assert changes.affected == ("n", "n/m", "x", "y")


def test_what_is_ones_own_of_what_became_of_names():
    before = {1: ("a", True), 2: ("a/b", True), 3: ("x", True), 4: ("n", False)}
    now = {1: ("z/a", True), 2: ("z/a/b", True), 5: ("z", True), 3: ("x", False), 4: ("n", True), 6: ("m", True)}

    def left(*renamed):
        known = with_own_names(before, now, [OwnChange(one) for one in renamed])
        return {one for one in known.keys() | now.keys() if known.get(one) != now.get(one)}

    assert left() == {1, 2, 3, 4, 5, 6}
    assert left(("a", "z/a")) == {3, 4, 6}
    assert left(("a", "z/q")) == {1, 2, 3, 4, 6}, "z was made on the way, a is called otherwise now"
    assert left(("x", "")) == {1, 2, 4, 5, 6}
    assert left(("", "n"), ("", "m")) == {1, 2, 3, 5}
    assert left(("m", ""), ("n", ""), ("", "x")) == {1, 2, 3, 4, 5, 6}


def test_two_hundred_mailboxes_are_held_in_less_than_eight_kibibytes():
    from mailnode.values.mailbox import MailboxInfo

    infos = [MailboxInfo(number, f"Customers/Project {number * 7919 % 1000}", number) for number in range(1, 201)]
    names, counts = KnownNames(infos, [info.name for info in infos]), KnownCounts()
    counts.keep({info.id: (4_000_000_000, 4_000_000_001, 3) for info in infos})
    assert len(names._packed) + len(counts._packed) < 4000
    assert names.unpacked()[0] == {info.id: (info.name, True) for info in infos}
    assert counts.unpacked()[200] == (4_000_000_000, 4_000_000_001, 3)


def test_what_a_session_holds_for_two_hundred_mailboxes(make_world):
    """Of all that it holds, as it is allocated: less than 8 KiB, with names, counts and entries."""
    world = make_world()
    for number in range(200):
        run_now(world.account.create(f"Customers/Project {number * 7919 % 1000}"))
    clients = [world.connect(str(number)) for number in range(20)]
    wanted = "(personal (MessageNew MessageExpunge FlagChange MailboxName MailboxMetadataChange))"
    clients[0].ask(f"a NOTIFY SET {wanted}")
    gc.collect()
    tracemalloc.start()
    try:
        for client in clients[1:]:
            assert client.ask(f"a NOTIFY SET {wanted}")[-1].startswith("a OK")
        gc.collect()
        held = tracemalloc.get_traced_memory()[0]
    finally:
        tracemalloc.stop()
    assert held / 19 < 8 * 1024


def test_what_a_client_adds_to_the_selected_mailbox_it_is_not_shown(make):
    play(
        make,
        """
        C: a SELECT INBOX
        S: …
        S: a OK …
        C: b NOTIFY SET (selected (MessageNew (UID BODY.PEEK[TEXT]) MessageExpunge FlagChange))
        S: b OK NOTIFY completed
        C: c APPEND INBOX {4+}
        C: x: y
        S: * 3 EXISTS
        S: * 1 RECENT
        S: c OK …
        C: d COPY 1 INBOX
        S: * 4 EXISTS
        S: * 2 RECENT
        S: d OK …
        ! world.put()
        S: * 5 EXISTS
        S: * 3 RECENT
        S: * 5 FETCH (UID 5 BODY[TEXT] {6}
        S: body
        S: )
    """,
    )


def test_the_fake_tells_of_changes_as_the_store_does():
    account = FakeAccount()
    since = run_now(account.modseq())
    assert run_now(account.changed_mailboxes(since)) == (since, frozenset())
