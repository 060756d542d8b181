"""CONTEXT=SEARCH and CONTEXT=SORT (RFC 5267): results whose changes are told."""

import random
import re
from array import array
from datetime import date

import pytest
from imap_world import play
from shared_world import SharedWorld
from twisted.internet.defer import fail

from mailnode.errors import Busy
from mailnode.imap import updating
from mailnode.imap.messages import result_updates
from mailnode.imap.messages.result_updates import inserted, may_change, settled, taken_out
from mailnode.imap.messages.search_keys import (
    All,
    And,
    HasFlag,
    HasKeyword,
    InBody,
    InSet,
    IsRecent,
    Larger,
    ModSeq,
    Not,
    Or,
    SavedDay,
    Within,
)
from mailnode.imap.selected import STALE
from mailnode.imap.view.saved import Saved
from mailnode.imap.view.view import View
from mailnode.values.flags import DELETED, FLAGGED, SEEN, KeywordTable
from mailnode.values.mailbox import MailboxChanges, MailboxSnapshot
from mailnode.values.sets import SeqSet, UidSet

MISSING = "BAD Missing arguments or misplaced characters"


def subject(text: str) -> bytes:
    return f"Subject: {text}\r\n\r\nbody of {text}\r\n".encode()


def filled(make_world, *texts):
    """One session on a mailbox with messages of these subjects."""

    def make():
        world = make_world()
        for text in texts or ("c", "a", "b", "d"):
            world.put(subject(text))
        world.connect(select="INBOX")
        return world

    return make


def test_what_comes_and_goes_is_told(make_world):
    play(
        filled(make_world),
        r"""
        C: a UID SEARCH RETURN (UPDATE COUNT) FLAGGED
        S: * ESEARCH (TAG "a") UID COUNT 0
        S: a OK SEARCH completed
        ! world.flag(2, "add", FLAGGED)
        C: b NOOP
        S: * 2 FETCH (FLAGS (\Flagged \Recent))
        S: * ESEARCH (TAG "a") UID ADDTO (0 2)
        S: b OK NOOP completed
        C: c STORE 3:4 +FLAGS.SILENT (\Flagged)
        S: c OK STORE completed
        C: d NOOP
        S: * ESEARCH (TAG "a") UID ADDTO (0 3:4)
        S: d OK NOOP completed
        C: e UID STORE 2,4 -FLAGS.SILENT (\Flagged)
        S: * ESEARCH (TAG "a") UID REMOVEFROM (0 2,4)
        S: e OK STORE completed
        ! world.put(flags=FLAGGED)
        C: f NOOP
        S: * 5 EXISTS
        S: * 5 RECENT
        S: * ESEARCH (TAG "a") UID ADDTO (0 5)
        S: f OK NOOP completed
        ! world.flag(3, "remove", FLAGGED)
        ! world.flag(1, "add", FLAGGED)
        C: g NOOP
        S: * 1 FETCH (FLAGS (\Flagged \Recent))
        S: * 3 FETCH (FLAGS (\Recent))
        S: * ESEARCH (TAG "a") UID REMOVEFROM (0 3) ADDTO (0 1)
        S: g OK NOOP completed
        ! world.flag(1, "add", SEEN)
        C: h NOOP
        S: * 1 FETCH (FLAGS (\Seen \Flagged \Recent))
        S: h OK NOOP completed
        C: i CANCELUPDATE "a"
        S: i OK No further updates
        ! world.flag(1, "remove", FLAGGED)
        C: j NOOP
        S: * 1 FETCH (FLAGS (\Seen \Recent))
        S: j OK NOOP completed
        """,
        FLAGGED=FLAGGED,
        SEEN=SEEN,
    )


# IMAP trap 60: before EXPUNGE, by the number that holds there, and never where EXPUNGE may not be told
def test_what_is_expunged_is_told_before_it_goes(make_world):
    play(
        filled(make_world),
        r"""
        C: a SEARCH RETURN (UPDATE) ALL
        S: a OK SEARCH completed
        C: b UID SEARCH RETURN (UPDATE ALL) SUBJECT a
        S: * ESEARCH (TAG "b") UID ALL 2
        S: b OK SEARCH completed
        ! world.expunge(2, 3)
        ! world.put()
        C: c SEARCH ALL
        S: * SEARCH 1 2 3 4
        S: * 5 EXISTS
        S: * 5 RECENT
        S: c OK SEARCH completed
        C: d FETCH 1 (UID)
        S: * 1 FETCH (UID 1)
        S: d OK FETCH completed
        C: e NOOP
        S: * ESEARCH (TAG "a") REMOVEFROM (0 2:3)
        S: * ESEARCH (TAG "b") UID REMOVEFROM (0 2)
        S: * 3 EXPUNGE
        S: * 2 EXPUNGE
        S: * ESEARCH (TAG "a") ADDTO (0 3)
        S: e OK NOOP completed
        C: f STORE 1 +FLAGS.SILENT (\Deleted)
        S: f OK STORE completed
        C: g EXPUNGE
        S: * ESEARCH (TAG "a") REMOVEFROM (0 1)
        S: * 1 EXPUNGE
        S: g OK EXPUNGE completed
        C: h ENABLE QRESYNC
        S: * ENABLED QRESYNC
        S: …
        S: h OK …
        ! world.expunge(4)
        C: i NOOP
        S: * ESEARCH (TAG "a") REMOVEFROM (0 1)
        S: * VANISHED 4
        S: i OK [HIGHESTMODSEQ …] NOOP completed
        """,
    )


def test_places_in_an_order_are_told(make_world):
    play(
        filled(make_world, "c", "a", "b", "e"),
        r"""
        C: a UID SORT RETURN (UPDATE ALL) (SUBJECT) UTF-8 UNDELETED
        S: * ESEARCH (TAG "a") UID ALL 2:3,1,4
        S: a OK SORT completed
        C: b SORT RETURN (UPDATE COUNT) (REVERSE SUBJECT) UTF-8 UNDELETED
        S: * ESEARCH (TAG "b") COUNT 4
        S: b OK SORT completed
        ! world.put(b"Subject: d\r\n\r\n")
        ! world.put(b"Subject: bb\r\n\r\n")
        ! world.put(b"Subject: ba\r\n\r\n")
        C: c NOOP
        S: * 7 EXISTS
        S: * 7 RECENT
        S: * ESEARCH (TAG "a") UID ADDTO (3 7,6 6 5)
        S: * ESEARCH (TAG "b") ADDTO (2 5 4 6:7)
        S: c OK NOOP completed
        C: d UID STORE 3,7,5 +FLAGS.SILENT (\Deleted)
        S: * ESEARCH (TAG "a") UID REMOVEFROM (6 5 2 3,7)
        S: * ESEARCH (TAG "b") REMOVEFROM (5 7,3 2 5)
        S: d OK STORE completed
        C: e UID STORE 3 -FLAGS.SILENT (\Deleted)
        S: * ESEARCH (TAG "a") UID ADDTO (2 3)
        S: * ESEARCH (TAG "b") ADDTO (4 3)
        S: e OK STORE completed
        ! world.expunge(2, 4)
        C: f NOOP
        S: * ESEARCH (TAG "a") UID REMOVEFROM (5 4 1 2)
        S: * ESEARCH (TAG "b") REMOVEFROM (5 2 1 4)
        S: * 4 EXPUNGE
        S: * 2 EXPUNGE
        S: f OK NOOP completed
        C: g SORT RETURN (UPDATE) (DATE) UTF-8 ALL
        S: * NO [NOUPDATE "g"] Too many searches with UPDATE
        S: g OK SORT completed
        C: h SEARCH RETURN (UPDATE) SEEN
        S: h OK SEARCH completed
        C: i CANCELUPDATE "a" "nobody's" "b"
        S: i OK No further updates
        C: j SORT RETURN (UPDATE ALL) (RELEVANCY) UTF-8 FUZZY SUBJECT b
        S: * ESEARCH (TAG "j") ALL …
        S: * NO [NOUPDATE "j"] No changes are told of orders by relevancy
        S: j OK SORT completed
        """,
    )


# IMAP trap 60: its place in the order is the same before and behind
def test_what_went_before_its_order_was_made_leaves_it_where_it_was_told(make_world):
    play(
        filled(make_world),
        r"""
        C: a STORE 2 +FLAGS.SILENT (\Deleted)
        S: a OK STORE completed
        ! world.expunge(1)
        C: b SORT RETURN (UPDATE ALL) (SUBJECT) UTF-8 UNDELETED
        S: * ESEARCH (TAG "b") ALL 3,1,4
        S: b OK SORT completed
        C: c NOOP
        S: * ESEARCH (TAG "b") REMOVEFROM (2 1)
        S: * 1 EXPUNGE
        S: c OK NOOP completed
        C: d SORT RETURN (ALL) (SUBJECT) UTF-8 UNDELETED
        S: * ESEARCH (TAG "d") ALL 2:3
        S: d OK SORT completed
        """,
    )


def test_idle_tells_changes_too(make_world):
    play(
        filled(make_world),
        r"""
        C: a UID SEARCH RETURN (UPDATE) SUBJECT x
        S: a OK SEARCH completed
        C: b IDLE
        S: + idling
        ! world.put(b"Subject: x\r\n\r\n")
        S: * 5 EXISTS
        S: * 5 RECENT
        S: * ESEARCH (TAG "a") UID ADDTO (0 5)
        ! world.expunge(5)
        S: * ESEARCH (TAG "a") UID REMOVEFROM (0 5)
        S: * 5 EXPUNGE
        C: DONE
        S: b OK IDLE terminated
        """,
    )


def test_numbers_stand_for_what_they_stood_for(make_world):
    play(
        filled(make_world),
        r"""
        C: a UID SEARCH RETURN (UPDATE ALL) 2:* FLAGGED
        S: * ESEARCH (TAG "a") UID
        S: a OK SEARCH completed
        C: b UID SEARCH RETURN (UPDATE ALL) UID 3:* UNFLAGGED
        S: * ESEARCH (TAG "b") UID ALL 3:4
        S: b OK SEARCH completed
        ! world.expunge(1)
        ! world.put()
        C: c NOOP
        S: * 1 EXPUNGE
        S: * 4 EXISTS
        S: * 4 RECENT
        S: * ESEARCH (TAG "b") UID ADDTO (0 5)
        S: c OK NOOP completed
        C: d UID STORE 1:* +FLAGS.SILENT (\Flagged)
        S: * ESEARCH (TAG "a") UID ADDTO (0 2:4)
        S: * ESEARCH (TAG "b") UID REMOVEFROM (0 3:5)
        S: d OK STORE completed
        """,
    )


def test_tags_and_how_many(make_world):
    play(
        filled(make_world),
        r"""
        C: a SEARCH RETURN (CONTEXT UPDATE COUNT) ALL
        S: * ESEARCH (TAG "a") COUNT 4
        S: a OK SEARCH completed
        C: a SEARCH RETURN (UPDATE COUNT) SEEN
        S: a BAD The tag is that of another search with UPDATE
        C: a SORT RETURN (UPDATE) (DATE) UTF-8 SEEN
        S: a BAD The tag is that of another search with UPDATE
        C: a ESEARCH RETURN (UPDATE) SEEN
        S: a BAD The tag is that of another search with UPDATE
        C: a SEARCH RETURN (CONTEXT PARTIAL 1:2) ALL
        S: * ESEARCH (TAG "a") PARTIAL (1:2 1:2)
        S: a OK SEARCH completed
        C: b SEARCH RETURN (UPDATE) 99
        S: b OK SEARCH completed
        C: c UID SEARCH RETURN (SAVE UPDATE) SUBJECT a
        S: c OK SEARCH completed
        C: d UID SEARCH RETURN (UPDATE ALL) $
        S: * ESEARCH (TAG "d") UID ALL 2
        S: d OK SEARCH completed
        C: e CANCELUPDATE "a" "b"
        S: e OK No further updates
        C: a SEARCH RETURN (UPDATE MIN PARTIAL -1:-2) ALL
        S: * ESEARCH (TAG "a") MIN 1 PARTIAL (-1:-2 3:4)
        S: a OK SEARCH completed
        C: f CANCELUPDATE
        S: f BAD Missing arguments or misplaced characters
        C: g CANCELUPDATE a
        S: g BAD Expected a quoted tag
        C: h CANCELUPDATE "a"  "b"
        S: h BAD …
        C: i SELECT INBOX
        S: …
        S: i OK [READ-WRITE] SELECT completed
        C: a SEARCH RETURN (UPDATE COUNT) ALL
        S: * ESEARCH (TAG "a") COUNT 4
        S: a OK SEARCH completed
        C: j CLOSE
        S: j OK CLOSE completed
        C: k CANCELUPDATE "a"
        S: k BAD …
        """,
    )


def test_more_than_are_told_are_refused_and_answered_all_the_same(make_world):
    world = filled(make_world)()
    client = world.clients[""]
    for number in range(updating.MOST):
        assert client.ask(f"t{number} SEARCH RETURN (UPDATE) ALL")[-1].startswith(f"t{number} OK")
    assert client.ask("x SEARCH RETURN (UPDATE COUNT) ALL") == [
        '* ESEARCH (TAG "x") COUNT 4',
        '* NO [NOUPDATE "x"] Too many searches with UPDATE',
        "x OK SEARCH completed",
    ]
    client.ask('y CANCELUPDATE "t0"')
    assert client.ask("z SEARCH RETURN (UPDATE) ALL") == ["z OK SEARCH completed"]
    assert len(client.session.selected.view.results) == updating.MOST


def test_a_search_that_did_not_look_at_all_messages_is_not_followed(make_world):
    world = make_world(message_limit=2)
    for _ in range(3):
        world.put()
    client = world.connect(select="INBOX")
    assert client.ask("a SEARCH RETURN (UPDATE ALL) UNSEEN")[1:] == [
        '* NO [NOUPDATE "a"] Not all messages were looked at',
        "a OK [MESSAGELIMIT 2 2] SEARCH completed",
    ]
    assert "NOUPDATE" in client.ask("b UID SORT RETURN (UPDATE ALL) (DATE) UTF-8 UNSEEN")[1]
    assert client.ask("c SEARCH RETURN (UPDATE ALL) 2:3")[-1] == "c OK SEARCH completed"
    assert list(client.session.selected.updates) == [b"c"]


def test_esearch_tells_changes_of_the_selected_mailbox_alone(make_world):
    play(
        filled(make_world),
        r"""
        C: a ESEARCH IN (personal) RETURN (UPDATE COUNT) FLAGGED
        S: a OK ESEARCH completed
        ! world.flag(1, "add", FLAGGED)
        C: b NOOP
        S: * 1 FETCH (FLAGS (\Flagged \Recent))
        S: * ESEARCH (TAG "a" MAILBOX INBOX UIDVALIDITY …) UID ADDTO (0 1)
        S: b OK NOOP completed
        C: c ESEARCH IN (mailboxes Other) RETURN (UPDATE COUNT) FLAGGED
        S: * NO [NOUPDATE "c"] The selected mailbox is not among those searched
        S: c OK ESEARCH completed
        C: d UNSELECT
        S: d OK UNSELECT completed
        C: e ESEARCH IN (personal) RETURN (UPDATE) FLAGGED
        S: e BAD No mailbox is selected
        """,
        FLAGGED=FLAGGED,
    )


def test_items_of_new_messages_are_told_before_they_are_in_the_result(make_world):
    play(
        filled(make_world),
        r"""
        C: a SEARCH RETURN (COUNT UPDATE (UID RFC822.SIZE)) SUBJECT x
        S: * ESEARCH (TAG "a") COUNT 0
        S: a OK SEARCH completed
        ! world.put(b"Subject: x\r\n\r\n")
        ! world.put(b"Subject: y\r\n\r\n")
        C: b NOOP
        S: * 6 EXISTS
        S: * 6 RECENT
        S: * 5 FETCH (UID 5 RFC822.SIZE 14)
        S: * ESEARCH (TAG "a") ADDTO (0 5)
        S: b OK NOOP completed
        C: c UID SEARCH RETURN (UPDATE (FLAGS)) FLAGGED
        S: c OK SEARCH completed
        ! world.flag(1, "add", FLAGGED)
        C: d NOOP
        S: * 1 FETCH (FLAGS (\Flagged \Recent))
        S: * ESEARCH (TAG "c") UID ADDTO (0 1)
        S: d OK NOOP completed
        C: e SEARCH RETURN (UPDATE ()) ALL
        S: e BAD …
        C: f SEARCH RETURN (UPDATE (X-UNKNOWN)) ALL
        S: f BAD …
        """,
        FLAGGED=FLAGGED,
    )


def test_with_uidonly_results_by_numbers_are_told_no_more(make_world):
    play(
        filled(make_world),
        r"""
        C: a SEARCH RETURN (UPDATE) FLAGGED
        S: a OK SEARCH completed
        C: b UID SEARCH RETURN (UPDATE) FLAGGED
        S: b OK SEARCH completed
        C: c ENABLE UIDONLY
        S: * ENABLED UIDONLY
        S: c OK ENABLE completed
        C: d UID STORE 2 +FLAGS.SILENT (\Flagged)
        S: * ESEARCH (TAG "b") UID ADDTO (0 2)
        S: d OK STORE completed
        """,
    )


def test_with_notify_changes_come_between_commands(make_world):
    play(
        filled(make_world),
        r"""
        C: a UID SEARCH RETURN (UPDATE) UNSEEN
        S: a OK SEARCH completed
        C: b NOTIFY SET (SELECTED (MessageNew (FLAGS) MessageExpunge FlagChange))
        S: b OK NOTIFY completed
        ! world.flag(2, "add", SEEN)
        S: * 2 FETCH (UID 2 FLAGS (\Seen \Recent))
        S: * ESEARCH (TAG "a") UID REMOVEFROM (0 2)
        ! world.put()
        S: * 5 EXISTS
        S: * 5 RECENT
        S: * ESEARCH (TAG "a") UID ADDTO (0 5)
        S: * 5 FETCH (UID 5 FLAGS (\Recent))
        """,
        SEEN=SEEN,
    )


# IMAP trap 60: whoever is told nothing of the mailbox is told that
@pytest.mark.parametrize("left_out", ["NONE", "SET (personal (MessageNew MessageExpunge))"])
def test_results_end_when_notify_leaves_out_the_selected_mailbox(make_world, left_out):
    world = filled(make_world)()
    client = world.clients[""]
    client.ask("a SEARCH RETURN (UPDATE) ALL")
    client.ask("b UID SORT RETURN (UPDATE) (SUBJECT) UTF-8 FLAGGED")
    world.flag(1, "add", FLAGGED)
    reason = "NOTIFY leaves out the selected mailbox"
    assert client.ask(f"c NOTIFY {left_out}") == [
        "* 1 FETCH (FLAGS (\\Flagged \\Recent))",
        '* ESEARCH (TAG "b") UID ADDTO (1 1)',
        f'* NO [NOUPDATE "a"] {reason}',
        f'* NO [NOUPDATE "b"] {reason}',
        "c OK NOTIFY completed",
    ]
    view = client.session.selected.view
    assert not view.results and not view.touched
    assert client.ask("d SEARCH RETURN (UPDATE COUNT) ALL") == [
        '* ESEARCH (TAG "d") COUNT 4',
        f'* NO [NOUPDATE "d"] {reason}',
        "d OK SEARCH completed",
    ]
    client.ask("e NOTIFY SET (SELECTED-DELAYED (MessageNew MessageExpunge FlagChange))")
    assert client.ask("f SEARCH RETURN (UPDATE) ALL") == ["f OK SEARCH completed"]
    assert list(client.session.selected.updates) == [b"f"]


def test_flags_of_readers_are_their_own(tmp_path):
    def make():
        world = SharedWorld(tmp_path)
        world.enter("", "alice")
        world.enter("2", "bob")
        world.put()
        world.give("INBOX", "bob@example.org", "lrs")
        return world

    play(
        make,
        r"""
        C2: a SELECT "Other Users/alice@example.org/INBOX"
        S2: …
        S2: a OK [READ-WRITE] SELECT completed
        C2: b UID SEARCH RETURN (UPDATE ALL) UNSEEN
        S2: * ESEARCH (TAG "b") UID ALL 1
        S2: b OK SEARCH completed
        ! world.flag(1, "add", SEEN)
        C2: c NOOP
        S2: …
        S2: c OK NOOP completed
        C2: d UID STORE 1 +FLAGS.SILENT (\Seen)
        S2: * ESEARCH (TAG "b") UID REMOVEFROM (0 1)
        S2: d OK STORE completed
        """,
        SEEN=SEEN,
    )


# IMAP trap 60: what could not be found out is told the next time
def test_what_cannot_be_found_out_is_told_the_next_time(make_world, monkeypatch):
    world = filled(make_world)()
    client = world.clients[""]
    client.ask("a UID SEARCH RETURN (UPDATE) BODY x")
    world.put(subject("x"))
    searches = world.services.searches
    monkeypatch.setattr(type(searches), "judge", lambda *args: fail(Busy()))
    assert client.ask("b NOOP") == ["* 5 EXISTS", "* 5 RECENT", "b OK NOOP completed"]
    monkeypatch.undo()
    assert client.ask("c NOOP") == ['* ESEARCH (TAG "a") UID ADDTO (0 5)', "c OK NOOP completed"]
    assert not client.session.selected.view.touched


# IMAP trap 60: what a message says stays as it is, so that a flag is no reason to read it again
def test_messages_are_looked_into_once(make_world, monkeypatch):
    world = filled(make_world)()
    client = world.clients[""]
    assert client.ask("a UID SEARCH RETURN (UPDATE ALL) BODY x")[-1] == "a OK SEARCH completed"
    assert client.ask("b UID SORT RETURN (UPDATE ALL) (SUBJECT) UTF-8 FUZZY TEXT x")[-1] == "b OK SORT completed"
    judged, judge = [], type(world.services.searches).judge

    def note(searches, function, *args):
        judged.append(function.__name__)
        return judge(searches, function, *args)

    monkeypatch.setattr(type(world.services.searches), "judge", note)
    world.flag(2, "add", FLAGGED)
    assert client.ask("c NOOP") == ["* 2 FETCH (FLAGS (\\Flagged \\Recent))", "c OK NOOP completed"]
    assert not judged
    assert not client.session.selected.view.touched
    world.flag(1, "add", FLAGGED)
    world.put(subject("x"))
    assert client.ask("d NOOP")[-3:] == [
        '* ESEARCH (TAG "a") UID ADDTO (0 5)',
        '* ESEARCH (TAG "b") UID ADDTO (1 5)',
        "d OK NOOP completed",
    ]
    assert judged == ["judge_wholes"] * 2


def test_an_order_that_cannot_be_made_any_more_ends(make_world, monkeypatch):
    world = filled(make_world)()
    client = world.clients[""]
    client.ask("a UID SORT RETURN (UPDATE) (SUBJECT) UTF-8 ALL")

    async def busy(*args):
        raise Busy

    monkeypatch.setattr(updating, "in_order", busy)
    world.expunge(1)
    assert client.ask("b NOOP") == [
        '* NO [NOUPDATE "a"] No further changes are told',
        "* 1 EXPUNGE",
        "b OK NOOP completed",
    ]
    assert not client.session.selected.updates and not client.session.selected.view.results


def test_it_is_offered_and_can_be_hidden(make_world):
    client = filled(make_world)().clients[""]
    offered = client.ask("c CAPABILITY")[0].split()
    assert {"CONTEXT=SEARCH", "CONTEXT=SORT", "ESORT"} <= set(offered)
    client.session.hide({"CONTEXT=SEARCH"})
    assert not {"CONTEXT=SEARCH", "CONTEXT=SORT"} & set(client.ask("c CAPABILITY")[0].split())


# IMAP trap 60: a client that does what it is told has what a new search finds, whatever happens
@pytest.mark.parametrize("seed", range(16))
def test_a_client_that_follows_has_what_a_search_finds(make_world, seed, monkeypatch):
    if seed % 2:  # in pieces
        monkeypatch.setattr(updating, "PIECE", 2)
        monkeypatch.setattr(result_updates, "NUMBERS", 2)
    chance = random.Random(seed)
    world = filled(make_world, *"qwertyui")()
    if seed >= 11:  # what orders are made of is read each time
        monkeypatch.setattr(world.services.keys, "_entries", 0)
    client = world.clients[""]
    asked = {
        "s1": ("UID SEARCH", "UNSEEN"),
        "s2": ("SEARCH", "OR FLAGGED SUBJECT a"),
        "s3": ("UID SORT", "(SUBJECT) UTF-8 UNDELETED"),
        "s4": ("SORT", "(REVERSE SUBJECT) UTF-8 NOT SEEN"),
    }
    results = {
        tag: members(client.ask(f"{tag} {verb} RETURN (UPDATE ALL) {keys}")[0]) for tag, (verb, keys) in asked.items()
    }
    live = list(range(1, 9))
    for step in range(40):
        world.hints.lost = seed >= 6 and step % 5 < 4  # what goes then is not known until somebody asks the store
        what = chance.random()
        if what < 0.3 or len(live) < 3:
            live.append(world.put(subject(chance.choice("abcxyz")), flags=chance.choice([0, SEEN, FLAGGED])))
        elif what < 0.5:
            world.expunge(gone := live.pop(chance.randrange(len(live))))
            assert gone not in live
        else:
            flag = chance.choice([SEEN, FLAGGED, DELETED])
            world.flag(chance.choice(live), chance.choice(["add", "remove"]), flag)
        if chance.random() < 0.6:
            follow(results, client.ask("n" + chance.choice([" NOOP", " UID FETCH 1:* (FLAGS)"])), asked)
        if chance.random() < 0.2:
            follow(results, client.ask("n STORE 1 +FLAGS.SILENT (\\Seen)"), asked)
        if seed >= 6 and chance.random() < 0.2:
            tag = chance.choice(["s3", "s4"])
            verb, keys = asked[tag]
            others = {other: how for other, how in asked.items() if other != tag}
            follow(results, client.ask(f'n CANCELUPDATE "{tag}"'), others)
            first, *more = client.ask(f"{tag} {verb} RETURN (UPDATE ALL) {keys}")
            results[tag] = members(first)
            follow(results, more, asked)
        if step % 5 == 4:
            world.clock.advance(STALE)
            follow(results, client.ask("n NOOP"), asked)
            for tag, (verb, keys) in asked.items():
                assert results[tag] == members(client.ask(f"x {verb} RETURN (ALL) {keys}")[0]), (seed, step, tag)


# IMAP trap 60: who does not read is told in one what became of it
def test_who_does_not_read_is_told_in_one(make_world):
    world = filled(make_world)()
    client = world.clients[""]
    client.ask("s1 UID SEARCH RETURN (UPDATE) FLAGGED")
    client.ask("b IDLE")
    client.pump.pauseProducing()
    for number in range(301):
        world.flag(1 + number % 4, "remove" if number // 4 % 2 else "add", FLAGGED)
        if number == 100:
            world.put(flags=FLAGGED)
    first = client.received().decode()
    assert first.count("\r\n") <= 4
    view = client.session.selected.view
    assert len(view.touched) <= 5
    client.pump.resumeProducing()
    told = client.received().decode()
    assert told.count("ESEARCH") <= 2 and told.count("\r\n") < 12
    results = {"s1": []}
    follow(results, (first + told).split("\r\n"), {"s1": ("UID SEARCH", "FLAGGED")})
    assert results == {"s1": [2, 3, 4, 5]}


# IMAP trap 60: what it takes while a session rests
def test_results_are_packed_with_their_mailbox(make_world):
    world = filled(make_world)()
    client = world.clients[""]
    client.ask("a UID SEARCH RETURN (UPDATE) ALL")
    world.pack_views()
    [marks] = client.session.selected.view.results
    assert not marks._marks and marks._packed
    world.expunge(2)
    assert client.ask("b NOOP")[0] == '* ESEARCH (TAG "a") UID REMOVEFROM (0 2)'


def members(line: str) -> list[int]:
    return numbers(line.rpartition(" ALL ")[2]) if " ALL " in line else []


def numbers(text: str) -> list[int]:
    found: list[int] = []
    for part in text.split(","):
        first, _, last = part.partition(":")
        found += range(int(first), int(last or first) + 1)
    return found


def follow(results, lines, asked):
    """Do what a client does with untagged responses."""
    for line in lines:
        if found := re.fullmatch(r"\* (\d+) EXPUNGE", line):
            for tag, (verb, _) in asked.items():
                if not verb.startswith("UID"):
                    gone = int(found[1])
                    assert gone not in results[tag], "REMOVEFROM comes before EXPUNGE"
                    results[tag] = [number - (number > gone) for number in results[tag]]
        elif found := re.match(r'\* ESEARCH \(TAG "(s\d)"\)', line):
            for item, pairs in re.findall(r"(ADDTO|REMOVEFROM) \(([^)]*)\)", line):
                words = pairs.split(" ")
                for position, text in zip(map(int, words[::2]), words[1::2], strict=True):
                    change(results[found[1]], item, position, numbers(text))


def change(result, item, position, named):
    if item == "ADDTO" and position:
        result[position - 1 : position - 1] = named
    elif item == "ADDTO":
        assert not set(named) & set(result)
        result[:] = sorted(result + named)
    elif position:
        assert result[position - 1 : position - 1 + len(named)] == named
        del result[position - 1 : position - 1 + len(named)]
    else:
        assert set(named) <= set(result)
        result[:] = [number for number in result if number not in named]


# --- parts


def view_of(*uids):
    count = len(uids)
    return View(
        MailboxSnapshot(
            1, 1, 99, 5, array("I", uids), array("Q", [0] * count), array("Q", [1] * count), KeywordTable(())
        )
    )


@pytest.mark.parametrize(
    ("messages", "wanted"),
    [
        (SeqSet(((2, 3),)), ((20, 30),)),
        (SeqSet(((0, 2),)), ((20, 40),)),
        (SeqSet(((7, 9),)), ()),
        (SeqSet((), saved=True), ((30, 30),)),
        (UidSet(((5, 25),)), ((5, 25),)),
        (UidSet(((0, 0),)), ((40, 40),)),
        (UidSet(((25, 0),)), ((25, 0xFFFFFFFF),)),
        (UidSet(((0, 90),)), ((40, 0xFFFFFFFF),)),
        (UidSet(((20, 20),), saved=True), ((20, 30),)),
    ],
)
def test_what_numbers_stand_for(messages, wanted):
    view = view_of(10, 20, 30, 40)
    view.saved = Saved(bytes([0, 0, 1, 0]))
    key = Not(Or(HasFlag(SEEN), And((InSet(messages), HasFlag(FLAGGED)))))
    assert settled(key, view) == Not(Or(HasFlag(SEEN), And((InSet(UidSet(wanted)), HasFlag(FLAGGED)))))
    empty = InSet(UidSet(((5, 0),)))
    assert settled(empty, view_of()) == InSet(UidSet(((5, 0xFFFFFFFF),)))
    assert settled(InSet(UidSet(((0, 0),))), view_of()) == InSet(UidSet(()))


@pytest.mark.parametrize(
    ("key", "may"),
    [
        (HasFlag(SEEN), True),
        (HasKeyword("x"), True),
        (IsRecent(), True),
        (ModSeq(5), True),
        (Within(True, 5), True),
        (And((InBody("x"), Not(Or(All(), HasFlag(SEEN, False))))), True),
        (And((InBody("x"), Not(Or(All(), Larger(5))))), False),
        (InSet(UidSet(((1, 5),))), False),
        (SavedDay("on", date(2024, 1, 1)), False),
    ],
)
def test_which_results_change_with_flags_and_time(key, may):
    assert may_change(key) is may


def test_pairs_of_places():
    assert inserted([0, 1, 2, 5, 7, 8], [9, 8, 7, 6, 5, 4]) == [(1, [9, 8, 7]), (6, [6]), (8, [5, 4])]
    assert taken_out([0, 1, 5], [9, 8, 7]) == [(6, [7]), (1, [9, 8])]
    assert inserted([], []) == []


def test_what_touches_a_view_is_bounded_by_it_and_ends_with_the_last_result():
    view = view_of(10, 20, 30)
    assert not view.touched
    marks, others = Saved(bytes(3)), Saved(bytes(3))
    view.follow(marks)
    view.follow(others)
    view.stored([(20, SEEN, 9)], "add", SEEN)
    assert view.touched_indexes() == [1]
    view.touched.add(15)  # it went before it was told
    assert view.touched_indexes() == [1]
    arrived = MailboxChanges(highest_modseq=9, uidnext=41, keywords=view.keywords, changed=((40, 0, 9),), expunged=())
    view.merge(arrived)
    assert 40 in view.touched
    view.vanish([40])  # so did this one
    assert 40 not in view.touched
    view.unfollow(marks)
    assert view.touched
    view.unfollow(others)
    assert not view.touched
