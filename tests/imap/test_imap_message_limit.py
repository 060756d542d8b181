"""MESSAGELIMIT and SAVELIMIT (RFC 9738): how many messages one command works on, and how it says so."""

import re
from dataclasses import replace

import pytest
from imap_world import World, fake_account, play
from shared_world import SharedWorld

from mailnode.imap import updating
from mailnode.imap.hiding import Hiding
from mailnode.imap.messages.needs import of_key
from mailnode.imap.messages.search_keys import InSet, SearchProgram
from mailnode.imap.wire.lexer import CommandFault, Lexer
from mailnode.values.flags import DELETED, FLAGGED
from mailnode.values.sets import UidSet


def filled(make_world, count=7, **options):
    """UIDs 2, 4, 6 and so on, numbered 1, 2, 3 ..."""

    def make():
        world = make_world(**({"message_limit": 3} | options))
        uids = [world.put() for _ in range(2 * count)]
        world.expunge(*uids[::2])
        world.connect(select="INBOX")
        return world

    return make


@pytest.fixture
def client(make_world):
    return filled(make_world)().clients[""]


def test_what_is_told(make_world):
    world = make_world(message_limit=1000, save_limit=500)
    for login in (False, True):
        assert " MESSAGELIMIT=1000 SAVELIMIT=500 " in world.connect(login=login).ask("a CAPABILITY")[0] + " "
    assert "LIMIT=" not in make_world(append_limit=0).connect().ask("a CAPABILITY")[0]


def test_of_too_many_the_newest_are_taken(make_world):
    play(
        filled(make_world),
        """
        C: a FETCH 1:3 UID
        S: * 1 FETCH (UID 2)
        S: * 2 FETCH (UID 4)
        S: * 3 FETCH (UID 6)
        S: a OK FETCH completed
        C: b FETCH 1:2,4:6 UID
        S: * 4 FETCH (UID 8)
        S: * 5 FETCH (UID 10)
        S: * 6 FETCH (UID 12)
        S: b OK [MESSAGELIMIT 3 8] FETCH completed
        C: c UID FETCH 1:4,9:* (UID)
        S: * 5 FETCH (UID 10)
        S: * 6 FETCH (UID 12)
        S: * 7 FETCH (UID 14)
        S: c OK [MESSAGELIMIT 3 10] FETCH completed
        C: d UID FETCH 1:9 (UID)
        S: * 2 FETCH (UID 4)
        S: * 3 FETCH (UID 6)
        S: * 4 FETCH (UID 8)
        S: d OK [MESSAGELIMIT 3 4] FETCH completed
        C: e UID FETCH 1:3 (UID)
        S: * 1 FETCH (UID 2)
        S: e OK FETCH completed
        C: f UID FETCH 1:* (UID) (PARTIAL -1:-2)
        S: * 6 FETCH (UID 12)
        S: * 7 FETCH (UID 14)
        S: f OK FETCH completed
    """,
    )


def test_store_by_number_and_uid(client):
    assert client.ask("a STORE 1:7 +FLAGS.SILENT (\\Answered)") == ["a OK [MESSAGELIMIT 3 10] STORE completed"]
    assert client.ask("b SEARCH ANSWERED UID 1:9") == ["* SEARCH", "b OK [MESSAGELIMIT 3 4] SEARCH completed"]
    assert client.ask("c UID STORE 1:9 +FLAGS.SILENT (\\Answered)") == ["c OK [MESSAGELIMIT 3 4] STORE completed"]
    assert client.ask("d FETCH 1:3 (FLAGS)")[0:2] == [
        "* 1 FETCH (FLAGS (\\Recent))",
        "* 2 FETCH (FLAGS (\\Answered \\Recent))",
    ]
    # Two codes: MODIFIED stands in the tagged line.
    assert client.ask("e UID STORE 1:9 (UNCHANGEDSINCE 1) +FLAGS.SILENT (\\Draft)")[-2:] == [
        "* OK [MESSAGELIMIT 3 4] Not all of them",
        "e OK [MODIFIED 4,6,8] Conditional STORE failed for some",
    ]


def test_stores_that_wait_together(client):
    client.send(
        b"a STORE 1 +FLAGS.SILENT (\\Draft)\r\nb STORE 2:7 +FLAGS.SILENT (\\Draft)\r\nc STORE 2 +FLAGS.SILENT (\\Draft)\r\n"
    )
    assert client.received().decode().split("\r\n")[:-1] == [
        "a OK STORE completed",
        "b OK [MESSAGELIMIT 3 10] STORE completed",
        "c OK STORE completed",
    ]


def test_what_is_copied_is_copied_as_a_whole_or_not_at_all(make_world):
    world = filled(make_world)()
    client = world.clients[""]
    for command in ("COPY 1:4 Sent", "UID COPY 1:* Sent"):
        assert client.ask(f"a {command}") == ["a NO [MESSAGELIMIT 3] Too many messages at once, try fewer"]
    assert client.ask("b STATUS Sent (MESSAGES)")[0] == "* STATUS Sent (MESSAGES 0)"
    assert client.ask("c COPY 1:3 Sent")[-1].startswith("c OK [COPYUID ")


def test_save_limit_holds_for_what_saves_alone(make_world):
    client = filled(make_world, message_limit=0, save_limit=2)().clients[""]
    assert client.ask("a COPY 1:3 Sent")[-1].startswith("a NO [MESSAGELIMIT 2] ")
    assert client.ask("b COPY 1:2 Sent")[-1].startswith("b OK ")
    assert client.ask("c FETCH 1:7 UID")[-1] == "c OK FETCH completed"
    one = " {6+}\r\na: b\r\n"
    assert client.ask(f"d APPEND Sent{one * 2}")[-1].startswith("d OK ")
    assert client.ask(f"e APPEND Sent{one * 3}")[-1].startswith("e NO [MESSAGELIMIT 2] ")
    assert client.ask("f STATUS Sent (MESSAGES)")[0] == "* STATUS Sent (MESSAGES 4)"


def test_both_limits(make_world):
    client = filled(make_world, message_limit=3, save_limit=5)().clients[""]
    assert client.ask("a COPY 1:4 Sent")[-1].startswith("a NO [MESSAGELIMIT 3] ")
    one = " {6+}\r\na: b\r\n"
    assert client.ask(f"b APPEND Sent{one * 4}")[-1].startswith("b NO [MESSAGELIMIT 3] ")


def test_move_takes_the_newest(client):
    validity = client.ask("s STATUS Sent (UIDVALIDITY)")[0].split()[-1].rstrip(")")
    assert client.ask("a UID MOVE 1:9 Sent") == [
        f"* OK [COPYUID {validity} 4,6,8 1:3] Moved",
        "* 4 EXPUNGE",
        "* 3 EXPUNGE",
        "* 2 EXPUNGE",
        "a OK [MESSAGELIMIT 3 4] MOVE completed",
    ]
    assert client.ask("b MOVE 1:4 Sent")[-1] == "b OK [MESSAGELIMIT 3 10] MOVE completed"
    assert client.ask("c UID SEARCH ALL") == ["* SEARCH 2", "c OK SEARCH completed"]


def test_uid_expunge_takes_the_newest_and_expunge_all(make_world):
    world = filled(make_world)()
    client = world.clients[""]
    for uid in (2, 4, 8, 12, 14):
        world.flag(uid, "add", DELETED)
    client.ask("a NOOP")
    assert client.ask("b UID EXPUNGE 1:13") == [
        "* 6 EXPUNGE",
        "* 4 EXPUNGE",
        "* 2 EXPUNGE",
        "b OK [MESSAGELIMIT 3 4] EXPUNGE completed",
    ]
    world.flag(6, "add", DELETED)
    world.flag(10, "add", DELETED)
    assert client.ask("c EXPUNGE")[-1] == "c OK EXPUNGE completed"
    assert client.ask("d UID SEARCH ALL") == ["* SEARCH", "d OK SEARCH completed"]


# RFC 9738 3.1: those that are looked at count, not those that are found.
@pytest.mark.parametrize(
    ("keys", "found", "code"),
    [
        ("ALL", "10 12 14", " [MESSAGELIMIT 3 10]"),
        ("FLAGGED", "14", " [MESSAGELIMIT 3 10]"),
        ("FLAGGED UID 1:9", "4", " [MESSAGELIMIT 3 4]"),
        ("FLAGGED UID 1:6", "2 4", ""),
        ("UID 1:6", "2 4 6", ""),
        ("UID 1:9 UID 5:*", "6 8", ""),
        ("2:6 UID 1:11", "6 8 10", " [MESSAGELIMIT 3 6]"),
        ("1,3,5,7 UNFLAGGED", "6 10", " [MESSAGELIMIT 3 6]"),
        ("NOT UID 13:*", "10 12", " [MESSAGELIMIT 3 10]"),
        ("UIDAFTER 8", "10 12 14", ""),
        ("UIDAFTER 7", "10 12 14", " [MESSAGELIMIT 3 10]"),
        ("UIDBEFORE 8", "2 4 6", ""),
        ("UIDBEFORE 8 SUBJECT test", "2 4 6", ""),
        ("UIDBEFORE 9 SUBJECT test", "4 6 8", " [MESSAGELIMIT 3 4]"),
        ("UIDAFTER 2 UIDBEFORE 8", "4 6", ""),
        ("UIDAFTER 14", "", ""),
        ("UIDBEFORE 1", "", ""),
    ],
)
def test_what_a_search_looks_at(make_world, keys, found, code):
    world = filled(make_world)()
    for uid in (2, 4, 14):
        world.flag(uid, "add", FLAGGED)
    client = world.clients[""]
    client.ask("n NOOP")
    assert client.ask(f"a UID SEARCH {keys}") == [f"* SEARCH {found}".rstrip(), f"a OK{code} SEARCH completed"]
    numbers = " ".join(str(int(uid) // 2) for uid in found.split())
    assert client.ask(f"b SEARCH {keys}") == [f"* SEARCH {numbers}".rstrip(), f"b OK{code} SEARCH completed"]
    first = f'* ESEARCH (TAG "c") UID{" MIN " + found.split()[0] if found else ""}'
    assert client.ask(f"c UID SEARCH RETURN (MIN) {keys}") == [first, f"c OK{code} SEARCH completed"]
    assert client.ask(f"d UID SORT (REVERSE ARRIVAL) UTF-8 {keys}")[-1] == f"d OK{code} SORT completed"
    threads = client.ask(f"e UID THREAD ORDEREDSUBJECT UTF-8 {keys}")
    assert threads[-1] == f"e OK{code} THREAD completed" and re.findall(r"\d+", threads[0]) == found.split()


def test_esearch_of_one_mailbox_looks_at_what_uid_search_does(client):
    found = [
        '* ESEARCH (TAG "a" MAILBOX INBOX UIDVALIDITY 1) UID ALL 10,12,14',
        "a OK [MESSAGELIMIT 3 10] ESEARCH completed",
    ]
    assert _without_uidvalidity(client.ask("a ESEARCH ALL")) == found
    assert _without_uidvalidity(client.ask("a ESEARCH IN (selected mailboxes INBOX) ALL")) == found
    assert _without_uidvalidity(client.ask("a ESEARCH RETURN (UPDATE ALL) ALL")) == [
        found[0],
        '* NO [NOUPDATE "a"] Not all messages were looked at',
        found[1],
    ]
    client.ask("b UNSELECT")
    assert _without_uidvalidity(client.ask("a ESEARCH IN (mailboxes INBOX) ALL")) == found
    assert client.ask("c ESEARCH IN (mailboxes INBOX) UIDBEFORE 8")[-1] == "c OK ESEARCH completed"


def test_esearch_of_several_mailboxes_looks_at_all_of_them_or_at_none(make_world):
    world = filled(make_world, count=2)()
    client = world.clients[""]
    client.ask("a CREATE Box")
    world.put(mailbox="Box")
    assert client.ask("b ESEARCH IN (personal) ALL")[-1] == "b OK ESEARCH completed"
    world.put(mailbox="Box")
    refused = "NO [MESSAGELIMIT 3] Too many messages at once, try fewer"
    assert client.ask("c ESEARCH IN (selected mailboxes Box) UNSEEN") == [f"c {refused}"]
    assert client.ask("d ESEARCH IN (selected) UNSEEN")[-1] == "d OK ESEARCH completed"


def test_esearch_of_several_mailboxes_counts_those_of_others_too(tmp_path):
    world = SharedWorld(tmp_path)
    world.services = replace(world.services, message_limit=3)
    alice, bob = world.enter("a", "alice"), world.enter("b", "bob")
    for _ in range(2):
        world.put()
    alice.ask("a SETACL INBOX bob@example.org lr")
    every = 'ESEARCH IN (personal subtree "Other Users") ALL'
    for _ in range(2):
        assert bob.ask(f"b {every}")[-1] == "b OK ESEARCH completed"
        bob.send(b"c APPEND INBOX {5+}\r\n\r\nx\r\n\r\n")
        assert b"c OK" in bob.received()
    assert bob.ask(f"b {every}") == ["b NO [MESSAGELIMIT 3] Too many messages at once, try fewer"]
    alice.ask("a SETACL INBOX bob@example.org l")
    assert bob.ask(f"b {every}")[-1] == "b OK ESEARCH completed"


@pytest.mark.parametrize(
    "command",
    [
        "NOTIFY SET (selected (MessageNew (RFC822.SIZE) MessageExpunge))",
        "UID SEARCH RETURN (UPDATE (RFC822.SIZE)) ALL",
        "UID SORT RETURN (UPDATE (RFC822.SIZE)) (ARRIVAL) UTF-8 ALL",
    ],
)
def test_what_is_told_unasked_of_new_messages_has_no_limit(make_world, monkeypatch, command):
    monkeypatch.setattr(updating, "TOLD", 2)
    world = filled(make_world, count=2)()
    client = world.clients[""]
    assert client.ask(f"a {command}")[-1].startswith("a OK ")
    world.hints.lost = True
    for _ in range(5):
        world.put()
    world.clock.advance(1)
    said = client.ask("b NOOP")
    assert sum("RFC822.SIZE" in line for line in said) == 5 and said[-1] == "b OK NOOP completed"


def _without_uidvalidity(lines):
    return [re.sub(r"UIDVALIDITY \d+", "UIDVALIDITY 1", line) for line in lines]


def test_under_uidonly_uids_are_said(client):
    client.ask("a ENABLE UIDONLY")
    assert client.ask("b UID FETCH 1:* (FLAGS)")[-1] == "b OK [MESSAGELIMIT 3 10] FETCH completed"
    assert client.ask("c UID SEARCH UIDBEFORE 10") == ["* SEARCH 4 6 8", "c OK [MESSAGELIMIT 3 4] SEARCH completed"]


def test_it_does_not_hold_for_whom_it_is_hidden_from(make_world):
    world = filled(make_world, hiding=Hiding(clients={"old": frozenset({"MESSAGELIMIT=3"})}))()
    client = world.clients[""]
    client.ask('a ID ("name" "Old")')
    assert "MESSAGELIMIT" not in client.ask("b CAPABILITY")[0]
    assert client.ask("c UID FETCH 1:* (UID)")[-1] == "c OK FETCH completed"
    assert client.ask("d COPY 1:* Sent")[-1].startswith("d OK ")


def key(text):
    return SearchProgram(Lexer(text)).keys()


def test_uids_beside_one():
    assert key(b"UIDAFTER 4294967295") == InSet(UidSet(())) and key(b"uidbefore 1") == InSet(UidSet(()))
    assert key(b"UIDAFTER 1") == InSet(UidSet(((2, 2**32 - 1),))) and not list(of_key(key(b"UIDAFTER 1")))
    for text in (b"UIDAFTER 0", b"UIDAFTER", b"UIDBEFORE *", b"UIDAFTER 1:2", b"UIDBEFORE 4294967296"):
        with pytest.raises(CommandFault):
            key(text)


def test_one_more_than_the_limit():
    world = World(fake_account, message_limit=1000)
    for _ in range(1001):
        world.put()
    client = world.connect(select="INBOX")
    assert client.ask("a UID SEARCH 1:*")[-1] == "a OK [MESSAGELIMIT 1000 2] SEARCH completed"
    assert client.ask("b UID SEARCH UID 2:*")[-1] == "b OK SEARCH completed"
