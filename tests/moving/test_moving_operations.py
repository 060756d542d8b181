"""What import and export ask of the store."""

import tempfile

import pytest
from account_support import ALICE

from mailnode.admin.dispatch import run
from mailnode.admin.operations import OpenFile, OperationFailed
from mailnode.config.demo import demo_config
from mailnode.net.no_reactor import run_now
from mailnode.server.administration import administration
from mailnode.values.moving import ArrivingMessage

CONTENT = b"Subject: x\n\nbody\n"


@pytest.fixture
def call(alice):
    """Do operations on the open store."""
    with administration(demo_config(alice.data)) as admin:
        yield lambda operation, /, **arguments: run_now(run(admin, operation, {"address": ALICE, **arguments}))


def place(call, mailbox, seen, *messages, content=CONTENT):
    with tempfile.TemporaryFile() as file:
        file.write(content)
        file.flush()
        texts = [one if isinstance(one, str) else one.as_text() for one in messages]
        return call("moving.place", mailbox=mailbox, seen=seen, messages=texts, content=OpenFile(file.fileno()))


def inbox(call):
    return call("moving.mailbox", name="INBOX")


def test_asked_twice_nothing_is_placed_twice(call):
    box = inbox(call)
    one = ArrivingMessage(len(CONTENT), 1_676_171_045, 60, ("\\Seen", "work"), "old.1")
    done = place(call, box["id"], box["uidnext"], one)
    assert (done["uids"], done["behind"], done["uidnext"]) == ([1], False, 2)
    assert place(call, box["id"], box["uidnext"], one)["behind"]
    page = call("moving.messages", mailbox=box["id"], after=0)
    assert [(m["uid"], m["internaldate"], m["offset"], m["flags"]) for m in page["messages"]] == [
        (1, 1_676_171_045, 60, ["\\Seen", "work"])
    ]
    assert place(call, box["id"], page["uidnext"], one)["uids"] == [2]


@pytest.mark.parametrize(("said", "kept"), [(-5, 0), (10**15, 253_402_300_799)])
def test_times_that_cannot_be_said_become_some_that_can(call, said, kept):
    place(call, inbox(call)["id"], 1, ArrivingMessage(len(CONTENT), said))
    (one,) = call("moving.messages", mailbox=inbox(call)["id"], after=0)["messages"]
    assert one["internaldate"] == kept


def test_keywords_for_which_there_is_no_room_are_told(call):
    box = inbox(call)
    many = tuple(f"k{number}" for number in range(40))
    more = tuple(f"k{number}" for number in range(30, 70))
    place(call, box["id"], 1, ArrivingMessage(len(CONTENT), 0, 0, many))
    done = place(call, box["id"], 2, ArrivingMessage(len(CONTENT), 0, 0, more))
    assert len(done["lost_keywords"]) == 30 and done["uids"] == [2]
    (_, second) = call("moving.messages", mailbox=box["id"], after=0)["messages"]
    assert set(second["flags"]) == {f"k{number}" for number in range(30, 40)}


@pytest.mark.parametrize("text", [
    "", "[]", "[0, 0, 0, [], \"\"]", "[17, \"x\", 0, [], \"\"]", "[17, 0, 5000, [], \"\"]", "[17, 0, 0, [1], \"\"]",
    "[true, 0, 0, [], \"\"]", "[18, 0, 0, [], \"\"]", "[" * 9000,
])  # fmt: skip
def test_what_describes_no_message_is_refused(call, text):
    with pytest.raises(OperationFailed):
        place(call, inbox(call)["id"], 1, text)
    assert call("moving.messages", mailbox=inbox(call)["id"], after=0)["messages"] == []


def test_flags_of_messages_that_are_gone_change_nothing(call):
    box = inbox(call)
    assert call("moving.flags", mailbox=box["id"], messages=["7 \\Seen x"]) == {"changed": 0}
    with pytest.raises(OperationFailed):
        call("moving.flags", mailbox=box["id"], messages=["x \\Seen"])


def test_a_uidl_that_pop3_cannot_say_is_not_kept(call, alice):
    box = inbox(call)
    for number, uidl in enumerate(("good-1", "has space", "x" * 71, "t\tab"), 1):
        place(call, box["id"], number, ArrivingMessage(len(CONTENT), 0, 0, (), uidl))
    with tempfile.TemporaryFile() as file:
        told = call("moving.read", mailbox=box["id"], uids=["1", "9", "2"], content=OpenFile(file.fileno()))
        assert told["octets"] == [20, -1, 20] and file.read() == CONTENT.replace(b"\n", b"\r\n") * 2
