"""UIDONLY (RFC 9586) and UIDBATCHES (RFC 10022): no message sequence number is taken or said."""

import re
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st
from imap_world import play

from mailnode.imap.commands.table import TABLE
from mailnode.imap.commands.uidbatches import batches
from mailnode.values.flags import FLAGGED

REQUIRED = "BAD [UIDREQUIRED] Message numbers are not allowed once UIDONLY is enabled"


def with_messages(make_world, count=6, **connect):
    def make():
        world = make_world()
        for _ in range(count):
            world.put()
        world.expunge(1, 2)
        world.connect(**connect)
        return world

    return make


def uid_only(make_world, count=6, also=""):
    world = with_messages(make_world, count)()
    client = world.clients[""]
    assert client.ask(f"e ENABLE UIDONLY{also}")[0] == f"* ENABLED UIDONLY{also}"
    client.ask("s SELECT INBOX")
    return world, client


# IMAP trap 27: numbers
@pytest.mark.parametrize(
    "command",
    [
        "FETCH 3 FLAGS",
        "FETCH * FLAGS",
        "STORE 1 +FLAGS (\\Seen)",
        "COPY 1 Sent",
        "MOVE 1 Sent",
        "SEARCH ALL",
        "SEARCH UID 3",
        "UID SEARCH 1:*",
        "UID SEARCH *",
        "UID SEARCH NOT 3",
        "UID SEARCH OR (UNSEEN 3) ALL",
        "UID SEARCH OR ALL (UNSEEN (NOT 3))",
        "SELECT INBOX (QRESYNC (1 1 (1 1)))",
    ],
)
def test_what_names_numbers_is_refused(make_world, command):
    _, client = uid_only(make_world, also=" QRESYNC")
    assert client.ask(f"a {command}") == [f"a {REQUIRED}"]
    assert client.ask("b UID SEARCH RETURN (COUNT) ALL")[0] == '* ESEARCH (TAG "b") UID COUNT 4'


def test_every_command_that_takes_numbers_is_known_as_such():
    """What comes later cannot be forgotten: a command with a twin by UID takes numbers, or answers with them."""
    for name, row in TABLE.items():
        if b"UID " + name in TABLE and name != b"EXPUNGE":
            assert row.sequence_numbers, name


def test_numbers_are_allowed_before(make_world):
    world = with_messages(make_world, select="INBOX")()
    client = world.clients[""]
    assert client.ask("a FETCH 1 (UID)")[0] == "* 1 FETCH (UID 3)"
    client.send(
        b"b ENABLE UIDONLY\r\nc STORE 1 +FLAGS (\\Seen)\r\nd UID STORE 3 +FLAGS (\\Seen)\r\ne UID FETCH 3 (FLAGS)\r\n"
    )
    assert client.received().decode().split("\r\n") == [
        "* ENABLED UIDONLY",
        "b OK ENABLE completed",
        f"c {REQUIRED}",
        "* 3 UIDFETCH (FLAGS (\\Seen \\Recent))",
        "d OK STORE completed",
        "* 3 UIDFETCH (FLAGS (\\Seen \\Recent))",
        "e OK FETCH completed",
        "",
    ]


def test_stores_that_wait_together_are_answered_each(make_world):
    _, client = uid_only(make_world)
    client.send(b"a UID STORE 3 +FLAGS (\\Seen)\r\nb UID STORE 4 +FLAGS (\\Seen)\r\n")
    first = client.received().decode().split("\r\n")
    assert first[1::2] == ["a OK STORE completed", "b OK STORE completed"]
    client.send(b"a STORE 1 +FLAGS (\\Seen)\r\nb STORE 2 +FLAGS (\\Seen)\r\n")
    assert client.received().decode().split("\r\n")[:-1] == [f"a {REQUIRED}", f"b {REQUIRED}"]


# IMAP trap 27: UIDFETCH
def test_all_is_said_by_uid(make_world):
    def make():
        world, client = uid_only(make_world)
        client.received()
        return world

    play(
        make,
        r"""
        C: a UID FETCH 3:4 (FLAGS)
        S: * 3 UIDFETCH (FLAGS (\Recent))
        S: * 4 UIDFETCH (FLAGS (\Recent))
        S: a OK FETCH completed
        C: b UID FETCH 3:4 (UID FLAGS)
        S: * 3 UIDFETCH (UID 3 FLAGS (\Recent))
        S: * 4 UIDFETCH (UID 4 FLAGS (\Recent))
        S: b OK FETCH completed
        C: c UID FETCH 5:6 (RFC822.SIZE)
        S: * 5 UIDFETCH (RFC822.SIZE 23)
        S: * 6 UIDFETCH (RFC822.SIZE 23)
        S: c OK FETCH completed
        C: d UID FETCH 3,6 (RFC822.SIZE UID)
        S: * 3 UIDFETCH (RFC822.SIZE 23 UID 3)
        S: * 6 UIDFETCH (RFC822.SIZE 23 UID 6)
        S: d OK FETCH completed
        C: e UID FETCH 6 BODY[TEXT]
        S: * 6 UIDFETCH (BODY[TEXT] {6}
        S: body
        S:  FLAGS (\Seen \Recent))
        S: e OK FETCH completed
        C: f UID FETCH 6 (INTERNALDATE BODY.PEEK[HEADER.FIELDS (SUBJECT)])
        S: * 6 UIDFETCH (INTERNALDATE "…" BODY[HEADER.FIELDS (SUBJECT)] {17}
        S: Subject: test
        S:
        S: )
        S: f OK FETCH completed
        C: g UID STORE 4 +FLAGS (\Deleted)
        S: * 4 UIDFETCH (FLAGS (\Deleted \Recent))
        S: g OK STORE completed
        C: h EXPUNGE
        S: * VANISHED 4
        S: h OK EXPUNGE completed
        C: i UID MOVE 5 Trash
        S: * OK [COPYUID … 5 1] Moved
        S: * VANISHED 5
        S: i OK MOVE completed
        C: j IDLE
        S: + idling
        ! world.flag(3, "add", 4)
        S: * 3 UIDFETCH (FLAGS (\Flagged \Recent))
        ! world.expunge(3)
        S: * VANISHED 3
        ! world.put()
        S: * 2 EXISTS
        S: * 2 RECENT
        C: DONE
        S: j OK IDLE terminated
        C: k UID FETCH 1:* (UID)
        S: * 6 UIDFETCH (UID 6)
        S: * 7 UIDFETCH (UID 7)
        S: k OK FETCH completed
        C: l UID FETCH 7 (MODSEQ)
        S: * OK [HIGHESTMODSEQ …] Highest mod-sequence
        S: * 7 UIDFETCH (MODSEQ (…))
        S: l OK FETCH completed
        C: m UID STORE 7 (UNCHANGEDSINCE 1) +FLAGS.SILENT (\Seen)
        S: * 7 UIDFETCH (FLAGS (\Recent) MODSEQ (…))
        S: m OK [MODIFIED 7] Conditional STORE failed for some
        C: n UID STORE 7 +FLAGS.SILENT (\Seen)
        S: * 7 UIDFETCH (MODSEQ (…))
        S: n OK STORE completed
        """,
    )


def test_select_says_no_number_of_the_first_unseen(make_world):
    _, client = uid_only(make_world)
    assert not [line for line in client.ask("a SELECT INBOX") if "UNSEEN" in line]


def test_qresync_says_uids(make_world):
    world, client = uid_only(make_world, also=" QRESYNC")
    validity = next(line for line in client.ask("a SELECT INBOX") if "UIDVALIDITY" in line).split()[3].rstrip("]")
    world.flag(3, "add", FLAGGED)
    said = client.ask(f"b SELECT INBOX (QRESYNC ({validity} 1 1:9))")[-3:]
    assert said[0].startswith("* 5 UIDFETCH (FLAGS"), said
    said = [
        line
        for line in client.ask(f"c SELECT INBOX (QRESYNC ({validity} 1 1:3))")
        if "VANISHED" in line or "3 UID" in line
    ]
    assert said[0] == "* VANISHED (EARLIER) 1:2"
    assert (
        re.fullmatch(r"\* 3 UIDFETCH \(FLAGS \(\\Flagged \\Recent\) MODSEQ \(\d+\)\)", said[1]) or "Flagged)" in said[1]
    )


# UIDBATCHES


def test_uid_batches(make_world):
    world = make_world()
    for _ in range(1003):
        world.put()
    world.expunge(1, 2, 600)
    client = world.connect(select="INBOX")
    for enable in ("NOOP", "ENABLE UIDONLY"):
        client.ask(f"e {enable}")
        assert client.ask("A1 UIDBATCHES 500") == [
            '* UIDBATCHES (TAG "A1") 1003:503,502:1',
            "A1 OK UIDBATCHES completed",
        ]
    world.put()
    said = client.ask("A2 UIDBATCHES 500 2:2")  # of what the client was told up to now
    assert said[:2] == ['* UIDBATCHES (TAG "A2") 502:1', "* 1001 EXISTS"]
    assert client.ask("A3 UIDBATCHES 500 2:2")[0] == '* UIDBATCHES (TAG "A3") 503:4'


def test_uid_batches_that_are_not_there(make_world):
    world = make_world()
    client = world.connect(select="INBOX")
    assert client.ask("a UIDBATCHES 500") == ['* UIDBATCHES (TAG "a")', "a OK UIDBATCHES completed"]
    world.put()
    client.ask("n NOOP")
    assert client.ask("b UIDBATCHES 4294967295 1:1")[0] == '* UIDBATCHES (TAG "b") 1:1'
    assert client.ask("c UIDBATCHES 500 2:4294967295") == ['* UIDBATCHES (TAG "c")', "c OK UIDBATCHES completed"]
    assert client.ask("d UIDBATCHES 499") == ["d NO [TOOFEW] Minimum batch size is 500"]
    assert client.ask("e UIDBATCHES 500 4:1") == ["e BAD [CLIENTBUG] Invalid batch range"]
    for arguments in (
        "",
        " ",
        " 0",
        " 500 ",
        " 500 1",
        " 500 1:",
        " 500 0:1",
        " 500 1:*",
        " 500 1:2 3",
        " 500 1,2",
        " 1.5",
    ):
        assert client.ask(f"f UIDBATCHES{arguments}")[0].startswith("f BAD"), arguments
    client.ask("u UNSELECT")
    assert client.ask("g UIDBATCHES 500")[0].startswith("g BAD")


@given(st.sets(st.integers(1, 200)).map(sorted), st.integers(1, 9), st.integers(0, 3))
def test_batches_cut_a_mailbox_into_equal_parts(uids, size, untold):
    exists = max(len(uids) - untold, 0)
    told, rest = uids[:exists], []
    found = list(batches(uids, exists, size))
    for high, low in found:
        part = [uid for uid in told if low <= uid <= high]
        assert len(part) == size or ((high, low) == found[-1] and 0 < len(part) <= size)
        rest = part + rest
    assert rest == told
    assert all(low - 1 == following for (_, low), (following, _) in pairwise(found))
    assert not found or (found[0][0], found[-1][1]) == (told[-1], 1)
    assert list(batches(uids, exists, size, (2, 3))) == found[1:3]
