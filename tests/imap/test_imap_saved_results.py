"""SEARCHRES (RFC 5182): SEARCH RETURN (SAVE), and ``$`` wherever a message set may stand."""

from array import array

import pytest
from imap_world import play

from mailnode.errors import StoreUnavailable
from mailnode.imap.view.saved import Saved
from mailnode.imap.view.view import View
from mailnode.net.no_reactor import run_now
from mailnode.values.flags import DELETED, FLAGGED, SEEN, KeywordTable
from mailnode.values.mailbox import MailboxSnapshot
from mailnode.values.sets import SeqSet, UidSet


def make(make_world, messages=6, select="INBOX"):
    """UIDs 2 to 7 as 1 to 6; 2, 3 and 5 flagged."""

    def world():
        world = make_world()
        run_now(world.account.create("Other"))
        for number in range(messages + 1):
            world.put(b"Subject: n%d\r\n\r\nbody %d\r\n" % (number, number))
        world.expunge(1)
        for uid in (3, 4, 6):
            world.flag(uid, "add", FLAGGED)
        world.connect(select=select)
        return world

    return world


def test_a_saved_result_stands_wherever_a_set_may(make_world):
    play(
        make(make_world),
        """
        C: a SEARCH RETURN (SAVE) FLAGGED
        S: a OK SEARCH completed
        C: b FETCH $ (FLAGS)
        S: * 2 FETCH (FLAGS (\\Flagged \\Recent))
        S: * 3 FETCH (FLAGS (\\Flagged \\Recent))
        S: * 5 FETCH (FLAGS (\\Flagged \\Recent))
        S: b OK FETCH completed
        C: c UID FETCH $ (UID)
        S: * 2 FETCH (UID 3)
        S: * 3 FETCH (UID 4)
        S: * 5 FETCH (UID 6)
        S: c OK FETCH completed
        C: d SEARCH $ SUBJECT n5
        S: * SEARCH 5
        S: d OK SEARCH completed
        C: e UID SEARCH UID $ NOT 5
        S: * SEARCH 3 4
        S: e OK SEARCH completed
        C: f SEARCH OR $ 1
        S: * SEARCH 1 2 3 5
        S: f OK SEARCH completed
        C: g SEARCH NOT $
        S: * SEARCH 1 4 6
        S: g OK SEARCH completed
        C: h SEARCH 6,$
        S: * SEARCH 2 3 5 6
        S: h OK SEARCH completed
        C: i STORE $ +FLAGS.SILENT (\\Seen)
        S: i OK STORE completed
        C: j UID STORE 7,$ -FLAGS (\\Seen)
        S: * 2 FETCH (UID 3 FLAGS (\\Flagged \\Recent))
        S: * 3 FETCH (UID 4 FLAGS (\\Flagged \\Recent))
        S: * 5 FETCH (UID 6 FLAGS (\\Flagged \\Recent))
        S: * 6 FETCH (UID 7 FLAGS (\\Recent))
        S: j OK STORE completed
        C: k COPY $ Other
        S: k OK [COPYUID … 3:4,6 1:3] COPY completed
        C: l UID COPY $ Other
        S: l OK [COPYUID … 3:4,6 4:6] COPY completed
        C: m UID MOVE $ Other
        S: * OK [COPYUID … 3:4,6 7:9] Moved
        S: * 5 EXPUNGE
        S: * 3 EXPUNGE
        S: * 2 EXPUNGE
        S: m OK MOVE completed
        C: n FETCH $ (FLAGS)
        S: n OK FETCH completed
        C: o MOVE $ Other
        S: o OK MOVE completed, no messages
        """,
    )


# IMAP trap 42: expunged afterwards
def test_a_saved_result_follows_what_is_expunged(make_world):
    world = play(
        make(make_world),
        """
        C: a UID SEARCH RETURN (SAVE) 2:5
        S: a OK SEARCH completed
        C: b STORE 1,3 +FLAGS.SILENT (\\Deleted)
        S: b OK STORE completed
        C: c EXPUNGE
        S: * 3 EXPUNGE
        S: * 1 EXPUNGE
        S: c OK EXPUNGE completed
        C: d UID SEARCH RETURN () $
        S: * ESEARCH (TAG "d") UID ALL 3,5:6
        S: d OK SEARCH completed
        C: e STORE $ +FLAGS.SILENT (\\Deleted)
        S: e OK STORE completed
        C: f UID EXPUNGE $
        S: * 3 EXPUNGE
        S: * 2 EXPUNGE
        S: * 1 EXPUNGE
        S: f OK EXPUNGE completed
        C: g SEARCH RETURN (COUNT) $
        S: * ESEARCH (TAG "g") COUNT 0
        S: g OK SEARCH completed
        """,
    )
    assert world.clients[""].ask("h UID SEARCH ALL")[0] == "* SEARCH 7"


def test_what_another_session_expunges_leaves_with_its_number(make_world):
    world = make(make_world)()
    client = world.clients[""]
    client.ask("a SEARCH RETURN (SAVE) ALL")
    world.expunge(3, 7)
    assert client.ask("b SEARCH RETURN (ALL) $")[0] == '* ESEARCH (TAG "b") ALL 1:6'
    assert "* 6 EXPUNGE" in client.ask("c NOOP")
    world.put()
    client.ask("d NOOP")
    assert client.ask("e UID SEARCH RETURN (ALL) $")[0] == '* ESEARCH (TAG "e") UID ALL 2,4:6'


# IMAP trap 42: right behind
def test_commands_may_stand_right_behind_the_search_that_saves(make_world):
    world = make(make_world)()
    client = world.clients[""]
    client.send(
        b"a SEARCH RETURN (SAVE) FLAGGED\r\nb COPY $ Other\r\nc STORE $ +FLAGS.SILENT (\\Deleted)\r\n"
        b"d SEARCH RETURN (SAVE) UNFLAGGED\r\ne UID STORE $ +FLAGS.SILENT (\\Seen)\r\nf SEARCH RETURN (SAVE) 1\r\n"
        b"g FETCH $ (UID)\r\n"
    )
    said = client.received().decode().split("\r\n")[:-1]
    assert [line.split()[1] for line in said if line[0] != "*"] == ["OK"] * 7
    assert said[-2:] == ["* 1 FETCH (UID 2)", "g OK FETCH completed"]
    assert client.ask("h UID SEARCH DELETED UNSEEN")[0] == "* SEARCH 3 4 6"
    assert client.ask("i UID SEARCH UNDELETED SEEN")[0] == "* SEARCH 2 5 7"


# IMAP trap 42: MIN and MAX
@pytest.mark.parametrize(
    ("options", "said", "saved"),
    [
        ("SAVE", None, "3:4,6"),
        ("SAVE ALL", "ALL 3:4,6", "3:4,6"),
        ("ALL", "ALL 3:4,6", "2"),
        ("", "ALL 3:4,6", "2"),
        ("SAVE COUNT", "COUNT 3", "3:4,6"),
        ("SAVE MIN", "MIN 3", "3"),
        ("MAX SAVE", "MAX 6", "6"),
        ("MIN MAX SAVE", "MIN 3 MAX 6", "3,6"),
        ("MIN MAX SAVE COUNT", "MIN 3 MAX 6 COUNT 3", "3:4,6"),
        ("MIN ALL SAVE", "MIN 3 ALL 3:4,6", "3:4,6"),
        ("SAVE PARTIAL 2:9", "PARTIAL (2:9 4,6)", "4,6"),
        ("SAVE PARTIAL -1:-2", "PARTIAL (-1:-2 4,6)", "4,6"),
        ("SAVE PARTIAL 2:2 MIN", "MIN 3 PARTIAL (2:2 4)", "3:4"),
        ("SAVE PARTIAL 1:1 MAX", "MAX 6 PARTIAL (1:1 3)", "3,6"),
        ("SAVE PARTIAL 2:2 MIN MAX", "MIN 3 MAX 6 PARTIAL (2:2 4)", "3:4,6"),
        ("SAVE PARTIAL 2:2 COUNT", "PARTIAL (2:2 4) COUNT 3", "3:4,6"),
        ("SAVE PARTIAL 7:9", "PARTIAL (7:9 NIL)", None),
    ],
)
def test_options_say_what_is_saved(make_world, options, said, saved):
    client = make(make_world)().clients[""]
    client.ask("a SEARCH RETURN (SAVE) 1")
    answer = client.ask(f"b UID SEARCH RETURN ({options}) FLAGGED")
    assert answer == ([] if said is None else [f'* ESEARCH (TAG "b") UID {said}']) + ["b OK SEARCH completed"]
    assert client.ask("c UID SEARCH RETURN () $")[0] == '* ESEARCH (TAG "c") UID' + (f" ALL {saved}" if saved else "")


# IMAP trap 42: NO empties it
@pytest.mark.parametrize(
    ("command", "status", "cleared"),
    [
        ("SEARCH RETURN (SAVE) CHARSET X-UNKNOWN SUBJECT x", "NO [BADCHARSET", True),
        ("UID SEARCH RETURN (COUNT SAVE) CHARSET US-ASCII SUBJECT {2+}\r\n\xc3\xa4", "NO [BADCHARSET", True),
        ("SEARCH RETURN (SAVE)" + " NOT" * 60 + " ALL", "NO [LIMIT]", True),
        ("SEARCH RETURN (SAVE) SUBJECT nothing", "OK", True),
        ("SEARCH CHARSET X-UNKNOWN SUBJECT x", "NO [BADCHARSET", False),
        ("SEARCH RETURN (ALL) CHARSET X-UNKNOWN SUBJECT x", "NO [BADCHARSET", False),
        ("SEARCH RETURN (SAVE) BOGUS", "BAD", False),
        ("SEARCH RETURN (SAVE BOGUS) ALL", "BAD", False),
        ("SEARCH RETURN (COUNT) SUBJECT nothing", "OK", False),
        ("SEARCH SUBJECT nothing", "OK", False),
        ("SELECT INBOX", "OK", True),
        ("EXAMINE INBOX", "OK", True),
    ],
)
def test_what_changes_a_saved_result(make_world, command, status, cleared):
    client = make(make_world)().clients[""]
    client.ask("a SEARCH RETURN (SAVE) FLAGGED")
    client.send(f"b {command}\r\n".encode("latin-1"))
    assert client.received().decode().split("\r\n")[-2].startswith(f"b {status}")
    assert client.ask("c SEARCH $")[0] == ("* SEARCH" if cleared else "* SEARCH 2 3 5")
    assert client.ask("d FETCH $ (UID)")[-1] == "d OK FETCH completed"


def test_a_search_that_fails_while_it_runs_saves_nothing(make_world, monkeypatch, request):
    if "fake" not in request.node.name:
        return
    world = make(make_world)()
    client = world.clients[""]
    client.ask("a SEARCH RETURN (SAVE) FLAGGED")

    async def rows(*args):
        raise StoreUnavailable

    with monkeypatch.context() as patched:
        patched.setattr(type(world.box()), "rows", rows)
        assert client.ask("b SEARCH SUBJECT n")[-1].startswith("b NO")
        assert client.ask("c SEARCH RETURN (COUNT) $")[0].endswith("COUNT 3")
        assert client.ask("d SEARCH RETURN (SAVE) SUBJECT n")[-1].startswith("d NO")
    assert client.ask("e SEARCH RETURN (COUNT) $")[0].endswith("COUNT 0")


def test_each_session_has_its_own_and_nothing_at_first(make_world):
    play(
        make(make_world),
        """
        ! world.connect("2", select="INBOX")
        C2: a FETCH $ (UID)
        S2: a OK FETCH completed
        C2: b COPY $ Other
        S2: b OK COPY completed, no messages
        C: a SEARCH RETURN (SAVE) 1
        S: a OK SEARCH completed
        C2: c SEARCH RETURN (SAVE COUNT) 4:6
        S2: * ESEARCH (TAG "c") COUNT 3
        S2: c OK SEARCH completed
        C: d SEARCH $
        S: * SEARCH 1
        S: d OK SEARCH completed
        C2: d SEARCH $
        S2: * SEARCH 4 5 6
        S2: d OK SEARCH completed
        C: e SEARCH RETURN (SAVE) $ 2
        S: e OK SEARCH completed
        C: f SEARCH $
        S: * SEARCH
        S: f OK SEARCH completed
        """,
    )


def test_in_an_empty_mailbox(make_world):
    play(
        make(make_world, select="Other"),
        """
        C: a SEARCH RETURN (SAVE MIN) ALL
        S: * ESEARCH (TAG "a")
        S: a OK SEARCH completed
        C: b UID FETCH $ (FLAGS)
        S: b OK FETCH completed
        C: c SEARCH RETURN (PARTIAL -1:-9) $
        S: * ESEARCH (TAG "c") PARTIAL (-1:-9 NIL)
        S: c OK SEARCH completed
        """,
    )


# --- the view


def view_of(messages):
    uids = array("I", range(1, messages + 1))
    zeros = array("Q", bytes(8 * messages))
    snapshot = MailboxSnapshot("m", 1, messages + 1, 1, uids, zeros, array("Q", zeros), KeywordTable(()))
    return View(snapshot)


def test_marks_are_cut_with_the_numbers_and_packed_with_the_arrays():
    view = view_of(8)
    view.saved = Saved(bytes([1, 1, 0, 1, 0, 0, 1, 1]))
    assert view.pick(SeqSet((), True)) == [range(2), range(3, 4), range(6, 8)]
    assert view.pick(UidSet(((3, 3), (8, 0)), True)) == [range(4), range(6, 8)]
    view.vanish([2, 7])
    view.pack()
    assert view.pick(UidSet((), True)) == [range(2), range(3, 4), range(6, 8)]
    view.pack()
    view.announce(expunge=True)
    assert view.pick(UidSet((), True)) == [range(1), range(2, 3), range(5, 6)]
    assert [view.uids[index] for index in (0, 2, 5)] == [1, 4, 8]


def test_a_result_takes_an_octet_a_message_and_next_to_nothing_at_rest():
    saved = Saved(b"\0\1" * 500_000)
    saved.pack()
    assert len(saved._packed) < 10_000
    assert len(saved._marks) == 0
    assert len(saved.spans(1_000_000)) == 500_000


def test_flags_are_where_they_were_asked_for(make_world):
    world = make(make_world)()
    client = world.clients[""]
    client.ask("a SEARCH RETURN (SAVE) 1:3")
    client.ask("b STORE $ +FLAGS (\\Seen \\Deleted)")
    rows = run_now(world.box().snapshot(False))
    assert [bool(flags & SEEN and flags & DELETED) for flags in rows.flags] == [True] * 3 + [False] * 3
