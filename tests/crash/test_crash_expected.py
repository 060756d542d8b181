"""What is compared after a crash: each thing that can be wrong is found, and what was in flight may have become either."""

import pytest

from tests.crash.expected import Expected, Found, Row
from tests.crash.messages import body, content, is_whole

ANN = "ann@a.test"
INBOX, KEPT = (ANN, "INBOX"), (ANN, "Kept")


def entry(kind, phase="done", **what):
    return {"kind": kind, "phase": phase, "account": ANN, "mailbox": "INBOX", **what}


def mailbox(*rows, uidnext=9, modseq=20, uidvalidity=1):
    """Return a mailbox of (UID, name, flags ...)."""
    return Found(uidvalidity, uidnext, modseq, [Row(uid, name, frozenset(flags), True) for uid, name, *flags in rows])


def told(*entries, settled=None):
    """Return what follows from two appended messages, flagged, and further entries."""
    expected = Expected()
    expected.take(
        [
            entry("append", name="a", flags=[], uids=[1]),
            entry("append", name="b", flags=[r"\Seen"], uids=[2]),
        ]
    )
    if settled is not None:
        expected.settle({INBOX: settled})
    expected.take(entries)
    return expected


def faults(expected, inbox, kept=None):
    found = {INBOX: inbox} if kept is None else {INBOX: inbox, KEPT: kept}
    return [str(fault) for fault in expected.faults(found)]


A, B = (1, "a"), (2, "b", r"\Seen")


def test_nothing_is_wrong_where_all_is_there():
    assert faults(told(), mailbox(A, B)) == []


@pytest.mark.parametrize(
    ("inbox", "words"),
    [
        (mailbox(A), "b was acknowledged and is lost"),
        (mailbox(A, B, (3, "b", r"\Seen")), "b is there twice"),
        (mailbox(A, B, (3, "c")), "c was never sent there"),
        (mailbox(A, (2, "b")), r"b lost \Seen"),
        (mailbox((1, "b", r"\Seen"), (2, "a")), "UID 1 was a and is b"),
        (mailbox(A, B, uidnext=8), "UIDNEXT 8 went back from 9"),
        (mailbox(A, B, modseq=19), "HIGHESTMODSEQ 19 went back from 20"),
        (mailbox(A, B, uidvalidity=2), "UIDVALIDITY was 1 and is 2"),
        (mailbox(A, B, (9, "b")), "UID 9 is not below UIDNEXT 9"),
    ],
)
def test_each_fault_is_found(inbox, words):
    assert words in "\n".join(faults(told(settled=mailbox(A, B)), inbox))


def test_half_a_message_is_found():
    inbox = mailbox(A, B)
    inbox.rows[0].whole = False
    assert "a is not whole" in faults(told(), inbox)[0]


def test_an_acknowledged_flag_holds_and_one_in_flight_may():
    flag = {"names": ["a"], "flags": ["own"], "add": True}
    flagged = mailbox((1, "a", "own"), B)
    assert faults(told(entry("flag", **flag)), flagged) == []
    assert "lost own" in faults(told(entry("flag", **flag)), mailbox(A, B))[0]
    for inbox in (flagged, mailbox(A, B)):
        assert faults(told(entry("flag", "begun", **flag)), inbox) == []
    taken_off = told(entry("flag", **flag), entry("flag", **{**flag, "add": False}))
    assert "a has own" in faults(taken_off, flagged)[0]


def test_what_was_expunged_stays_so():
    expunge = {"names": ["a", "b"]}
    assert "is back" in faults(told(entry("expunge", **expunge)), mailbox(A))[0]
    begun = told(entry("expunge", "begun", **expunge))
    assert faults(begun, mailbox()) == faults(begun, mailbox(A, B)) == []
    assert "done to some" in faults(begun, mailbox(A))[0]
    begun.settle({INBOX: mailbox()})
    assert "is back" in faults(begun, mailbox(A))[0]


def test_a_move_leaves_each_message_in_one_place():
    move = entry("move", "begun", names=["a", "b"], to="Kept")
    there, gone = mailbox(A, B), mailbox()
    assert faults(told(move), there, mailbox()) == faults(told(move), gone, mailbox(A, B)) == []
    assert "in both" in faults(told(move), there, mailbox(A, B))[0]
    assert "nowhere" in faults(told(move), gone, mailbox())[0]
    assert "done to some" in faults(told(move), mailbox(A), mailbox(B))[0]
    done = told(move, entry("move", names=["a", "b"], to="Kept", uids=[1, 2]))
    assert faults(done, gone, mailbox(A, B)) == []
    assert "b lost" in faults(done, gone, mailbox(A, (2, "b")))[0]
    assert len(faults(done, there, mailbox())) == 4


def test_a_copy_is_of_all_or_of_none():
    copy = entry("copy", "begun", names=["a", "b"], to="Kept")
    there = mailbox(A, B)
    assert faults(told(copy), there, mailbox()) == faults(told(copy), there, there) == []
    assert "done to some" in faults(told(copy), there, mailbox(A))[0]


def test_a_delivery_may_come_late_but_comes():
    deliver = {"name": "c", "to": [ANN]}
    expected = told(entry("deliver", "begun", **deliver))
    expected.settle({INBOX: mailbox(A, B)})
    assert faults(expected, mailbox(A, B, (3, "c"))) == [], "it was in the queue"
    expected.take([entry("deliver", **deliver)])
    (fault,) = expected.faults({INBOX: mailbox(A, B)})
    assert fault.passing


def test_a_message_tells_what_it_must_hold():
    octets = content("x-1-3")
    assert is_whole("x-1-3", b"Received: by y\r\n" + octets)
    assert len(body("x-1-3").splitlines()) == 4
    for wrong in (octets[:-1], octets[:-40], octets.replace(b"e", b"f", 1), octets + b"\r\n"):
        assert not is_whole("x-1-3", wrong)
