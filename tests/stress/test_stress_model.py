"""The model of the stress test finds what a server must not say: each of these would pass unseen without it."""

import pytest

from tests.stress import run
from tests.stress.ledger import Ledger
from tests.stress.model import Inconsistent, Model, members
from tests.stress.results import Result
from tests.stress.run import Stress
from tests.stress.session import Session

SELECTED = [b"* 3 EXISTS", b"* OK [UIDVALIDITY 9] x", b"* OK [HIGHESTMODSEQ 50] x"]


def model(*lines, by_uid=False, known=None):
    made = Model(by_uid)
    made.select([*SELECTED, *lines], known)
    return made


def knowing():
    return model(*(b"* %d FETCH (UID %d FLAGS (a) MODSEQ (%d))" % (n, n * 10, n) for n in (1, 2, 3)))


@pytest.mark.parametrize(
    ("line", "expunge"),
    [
        (b"* 2 EXISTS", True),  # it fell without EXPUNGE
        (b"* 1 EXPUNGE", False),  # not during FETCH, STORE, SEARCH
        (b"* VANISHED 10", False),
        (b"* 4 EXPUNGE", True),  # there is none
        (b"* VANISHED 15", True),
        (b"* 4 FETCH (FLAGS ())", True),  # before EXISTS
        (b"* 1 FETCH (UID 11 FLAGS ())", True),  # the number names another message
        (b"* 2 FETCH (UID 20 MODSEQ (1))", True),  # it fell
        (b"* 1 FETCH (UID 10 BODY[] {12}\r\nSubject: x\r\n)", True),  # not whole
    ],
)
def test_what_contradicts_what_was_said(line, expunge):
    with pytest.raises(Inconsistent):
        knowing().take(line, expunge)


def test_uids_rise():
    with pytest.raises(Inconsistent):
        model(b"* 1 FETCH (UID 10)", b"* 2 FETCH (UID 9)")


def test_what_is_told_is_known():
    one = knowing()
    one.take(b"* 4 EXISTS", False)
    one.take(b"* 2 EXPUNGE", True)
    one.take(b"* 3 FETCH (UID 31 FLAGS (b \\Recent) MODSEQ (60))", False)
    one.end(b"OK done")
    assert [slot.uid for slot in one.slots] == [10, 30, 31]
    assert one.gone == [(20, 20)] and one.modseq == 60
    assert not one.differs({10: frozenset([b"a"]), 30: frozenset([b"a"]), 31: frozenset([b"b"])})
    assert "31" in one.differs({10: frozenset([b"a"]), 30: frozenset([b"a"]), 31: frozenset()})
    assert "30" in one.differs({10: frozenset([b"a"]), 29: frozenset(), 31: frozenset([b"b"])})


def test_a_highest_modseq_of_the_answer_counts_for_all_that_was_told():
    one = knowing()
    one.take(b"* 3 FETCH (UID 30 FLAGS () MODSEQ (80))", False)
    one.end(b"OK [HIGHESTMODSEQ 70] done")
    assert one.modseq == 70


def test_a_message_of_unknown_uid_that_is_gone_lies_between_its_neighbours():
    one = model(b"* 1 FETCH (UID 10 FLAGS ())", b"* 3 FETCH (UID 30 FLAGS ())")
    one.take(b"* 2 EXPUNGE", True)
    assert one.gone == [(11, 29)]


def test_without_numbers_messages_are_in_the_order_of_their_uids():
    one = model(by_uid=True)
    for uid in (30, 10):
        one.take(b"* %d UIDFETCH (UID %d FLAGS ())" % (uid, uid), True)
    assert [slot.uid for slot in one.slots] == [10, 30, None]
    one.take(b"* VANISHED 10,20", True)
    assert [slot.uid for slot in one.slots] == [30]


def test_who_comes_back_knows_what_vanished_meanwhile():
    known = knowing()
    told = [b"* VANISHED (EARLIER) 5,20", b"* 2 FETCH (UID 30 FLAGS (b) MODSEQ (51))"]
    back = Model()
    back.select([*SELECTED, *told], known)
    assert [(slot.uid, slot.flags) for slot in back.slots] == [
        (10, frozenset([b"a"])),
        (30, frozenset([b"b"])),
        (None, None),
    ]
    back = Model()
    with pytest.raises(Inconsistent):  # one of them was not told gone
        back.select([b"* 2 EXISTS", *SELECTED[1:]], known)


def test_what_was_acknowledged_is_there():
    ledger = Ledger()
    ledger.appended("INBOX", 1, b"x")
    ledger.marked("INBOX", 1, b"own1", True)
    ledger.check("INBOX", {1: frozenset([b"own1"])})
    for wrong in ({}, {1: frozenset()}):
        with pytest.raises(Inconsistent):
            ledger.check("INBOX", wrong)
    with pytest.raises(Inconsistent):
        ledger.appended("INBOX", 1, b"y")
    with pytest.raises(Inconsistent):
        ledger.seen("INBOX", 1, b"y")
    ledger.gone("INBOX", 1, 1)
    ledger.check("INBOX", {})
    with pytest.raises(Inconsistent):
        ledger.check("INBOX", {1: frozenset([b"own1"])})


def test_what_was_under_way_when_a_connection_was_lost_may_be_there_or_not():
    ledger = Ledger()
    ledger.appended("INBOX", 1, b"x")
    ledger.perhaps_gone("INBOX", 1)
    ledger.check("INBOX", {})
    ledger.check("INBOX", {1: frozenset()})


def test_sets():
    assert members(b"1:3,7,9:8") == [1, 2, 3, 7, 9, 8]


# --- results


def following(command=b"SEARCH RETURN (UPDATE ALL) SEEN", members=b"2:3", by_uid=False):
    one = Result(command, by_uid, lambda flags: rb"\Seen" in flags)
    one.take(b'* ESEARCH (TAG "t")%b ALL %b' % (b" UID" * by_uid, members), False, 9)
    return one


@pytest.mark.parametrize(
    ("change", "expunge"),
    [
        (b"ADDTO (0 5)", False),  # where EXPUNGE may not come
        (b"ADDTO (0 3)", True),  # it is there
        (b"ADDTO (0 10)", True),  # beyond EXISTS
        (b"ADDTO (1 5)", True),  # SEARCH has no places
        (b"REMOVEFROM (0 4)", True),  # it is not there
    ],
)
def test_what_contradicts_a_result(change, expunge):
    with pytest.raises(Inconsistent):
        following().take(b'* ESEARCH (TAG "t") ' + change, expunge, 9)


def test_a_result_changes_as_it_is_told():
    one = following()
    one.take(b'* ESEARCH (TAG "t") REMOVEFROM (0 2) ADDTO (0 1,5)', True, 9)
    assert one.members == [1, 3, 5]
    one.expunged(2, None)
    assert one.members == [1, 2, 4]
    with pytest.raises(Inconsistent):
        one.expunged(4, None)
    with pytest.raises(Inconsistent):
        following(by_uid=True).expunged(1, 3)
    with pytest.raises(Inconsistent):
        following().take(b'* ESEARCH (TAG "t") UID ADDTO (0 1)', True, 9)


def test_an_order_changes_as_it_is_told():
    one = following(b"UID SORT RETURN (UPDATE ALL) (SUBJECT) UTF-8 SEEN", b"3,1,2", by_uid=True)
    one.take(b'* ESEARCH (TAG "t") UID REMOVEFROM (3 2 1 3) ADDTO (1 9 3 7:8)', True, 9)
    assert one.members == [9, 1, 7, 8]
    for wrong in (b"REMOVEFROM (1 1)", b"ADDTO (0 4)", b"ADDTO (6 4)"):
        with pytest.raises(Inconsistent):
            one.take(b'* ESEARCH (TAG "t") UID ' + wrong, True, 9)


def test_a_result_is_held_against_what_a_search_finds():
    seen = frozenset([rb"\Seen"])
    truth = {10: seen, 20: frozenset(), 30: seen}
    assert not following(members=b"1,3").differs(truth, lambda uid: b"")
    assert following(members=b"1:2").differs(truth, lambda uid: b"")
    order = following(b"SORT RETURN (UPDATE ALL) (REVERSE SUBJECT) UTF-8 SEEN", b"3,1")
    assert not order.differs(truth, lambda uid: b"%d" % uid)
    assert order.differs(truth, lambda uid: b"%d" % (99 - uid))


def test_a_result_that_is_told_no_more_contradicts_nothing():
    session = Session(None, 8, 1, Ledger(), lambda: 0)
    session.mailbox, session.model = "INBOX", knowing()
    session._results = {b"t": following(), b"u": following()}
    session._take(b'* NO [NOUPDATE "t"] No further changes are told', True)
    assert list(session._results) == [b"u"]
    with pytest.raises(Inconsistent):  # the other is told
        session._take(b"* 3 EXPUNGE", True)


# --- agreeing


class Asking:
    """A session that asks for everything, and is told behind the first answer that one message went and another came."""

    mailbox, idle, account = "INBOX", b"", None

    def __init__(self, *answers):
        self.model, self._answers = model(), list(answers)

    def differs(self, truth):
        return self.model.differs(truth)

    def learn(self, whole=False):
        for line in self._answers.pop(0):
            self.model.take(line, True)


def fetched(*uids):
    return [b"* %d FETCH (UID %d FLAGS ())" % (number, uid) for number, uid in enumerate(uids, 1)]


def test_what_is_told_behind_an_answer_may_be_asked_for_again():
    first = [*fetched(10, 20, 30), b"* 3 EXPUNGE", b"* 3 EXISTS"]
    session = Asking(first, fetched(10, 20, 40))
    Stress._asked(session, dict.fromkeys((10, 20, 40), frozenset()))
    assert session.model.complete


def test_who_is_never_answered_for_all_does_not_agree(monkeypatch):
    monkeypatch.setattr(run, "_TOLD_WITHIN", 0.0)
    with pytest.raises(Inconsistent):
        Stress._asked(Asking(fetched(10, 20)), dict.fromkeys((10, 20, 40), frozenset()))
