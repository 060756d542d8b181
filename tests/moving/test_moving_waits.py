"""What an import waits for: a server here that is busy, goes away, or lets others put mail into the mailbox."""

import pytest

from mailnode.admin.operations import OperationFailed, Reason
from mailnode.ctl.standing_calls import BUSY_PATIENCE, PATIENCE, StandingCalls
from mailnode.moving.batch import BatchedMessage
from mailnode.moving.model import SourceMessage
from mailnode.moving.target import ImportTarget, MailboxIndex


class StandingStill:
    """A clock that goes by what is waited."""

    def __init__(self):
        self.now = 0.0

    def monotonic(self):
        return self.now

    def sleep(self, seconds):
        self.now += seconds


def calls(*answers, waits=True):
    """Return what does operations, with these answers one after another, and its clock."""
    left = list(answers)

    def do(name, arguments):
        answer = left.pop(0) if len(left) > 1 else left[0]
        if isinstance(answer, Exception):
            raise answer
        return answer

    clock = StandingStill()
    return StandingCalls(do, waits, clock), clock


BUSY = OperationFailed(Reason.BUSY, "busy")
AWAY = OperationFailed(Reason.UNREACHABLE, "away")


def test_what_passes_is_waited_for():
    standing, clock = calls(BUSY, FileNotFoundError(), AWAY, "done")
    assert standing.call("x") == "done"
    assert clock.now == pytest.approx(0.2 + 0.4 + 0.8)


@pytest.mark.parametrize(
    ("failure", "patience"), [(BUSY, BUSY_PATIENCE), (AWAY, PATIENCE), (FileNotFoundError(), PATIENCE)]
)
def test_not_for_ever(failure, patience):
    standing, clock = calls(failure)
    with pytest.raises(OperationFailed):
        standing.call("x")
    assert patience < clock.now < patience + 62


@pytest.mark.parametrize("failure", [OperationFailed(Reason.FAILED, "full"), OperationFailed(Reason.NOT_FOUND, "who")])
def test_what_does_not_pass_is_told_at_once(failure):
    standing, clock = calls(failure)
    with pytest.raises(OperationFailed):
        standing.call("x")
    assert clock.now == 0


def test_a_store_without_a_server_does_not_come_back():
    standing, clock = calls(AWAY, waits=False)
    with pytest.raises(OperationFailed):
        standing.call("x")
    assert clock.now == 0


def test_what_others_put_there_meanwhile_is_looked_at_before_anything_is_placed():
    message = SourceMessage(1, 5, ("\\Seen",), 0)
    batched = BatchedMessage(message, 5, b"d" * 32)
    one = {
        "uid": 7,
        "digest": (b"d" * 32).hex(),
        "on_top": 0,
        "message_id": "",
        "internaldate": 0,
        "offset": 0,
        "size": 5,
        "flags": [],
    }
    answers = {
        "moving.place": {"behind": True, "uidnext": 1, "uids": [], "lost_keywords": []},
        "moving.messages": {"uidnext": 8, "more": False, "messages": [one]},
    }

    class Answers:
        def call(self, name, /, **arguments):
            return answers[name]

    index = MailboxIndex(Answers(), "a@b.test", {"id": 1})
    assert ImportTarget(Answers(), "a@b.test").place(index, [batched], None) is None
    assert batched.digest in index and index.uidnext == 8
