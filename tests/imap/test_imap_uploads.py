"""Several messages in one APPEND (RFC 3502), and how large one may be (APPENDLIMIT, RFC 7889)."""

import pytest
from imap_world import play

from mailnode.imap.commands import uploading
from mailnode.imap.hiding import Hiding
from mailnode.net.no_reactor import run_now


def fresh(make_world, **connect):
    def make():
        world = make_world()
        world.connect(**connect)
        return world

    return make


def count(world, mailbox="INBOX"):
    return len(run_now(world.box(mailbox).snapshot()).uids)


def limit(world, octets, messages=0):
    if hasattr(world, "store"):
        run_now(world.store.set_quota("acc", octets, messages))
    else:
        world.account.quota, world.account.most_messages = octets, messages


# --- MULTIAPPEND


# IMAP trap 21: several messages in one APPEND
def test_several_messages_in_one_append(make_world):
    play(
        fresh(make_world, select="INBOX"),
        r"""
        C: a APPEND INBOX (\Seen) {10}
        S: + OK
        C: a: first
        C:  (\Flagged) "05-Jan-1999 20:55:23 +0130" {11+}
        C: a: second
        C:  {8}
        S: + OK
        C: a: third
        S: * 3 EXISTS
        S: * 3 RECENT
        S: a OK [APPENDUID … 1:3] APPEND completed
        C: b FETCH 1:3 (FLAGS INTERNALDATE BODY.PEEK[])
        S: * 1 FETCH (FLAGS (\Seen \Recent) INTERNALDATE "14-Nov-2023 22:13:20 +0000" BODY[] {10}
        S: a: first
        S: )
        S: * 2 FETCH (FLAGS (\Flagged \Recent) INTERNALDATE " 5-Jan-1999 20:55:23 +0130" BODY[] {11}
        S: a: second
        S: )
        S: * 3 FETCH (FLAGS (\Recent) INTERNALDATE "14-Nov-2023 22:13:20 +0000" BODY[] {10}
        S: a: third
        S: )
        S: b OK FETCH completed
        """,
    )


def test_two_spaces_between_messages_are_taken_and_no_three(make_world):
    """As PyPI's IMAPClient writes them; before the first message one is all that the grammar has."""
    for bytewise in (False, True):
        world = make_world()
        client = world.connect()
        client.send(b"a APPEND INBOX {6+}\r\na: b\r\n  {6+}\r\nc: d\r\n  (\\Seen) {6+}\r\ne: f\r\n\r\n", bytewise)
        assert client.received().endswith(b" 1:3] APPEND completed\r\n")
        for command in (b"APPEND INBOX  {6+}\r\na: b\r\n", b"APPEND INBOX {6+}\r\na: b\r\n   {6+}\r\na: b\r\n"):
            client.send(b"b " + command + b"\r\nc NOOP\r\n", bytewise)
            assert client.received().startswith(b"b BAD ")
        assert count(world) == 3


# IMAP trap 16: one refused of several appended
# IMAP trap 3: the second of several messages
@pytest.mark.parametrize(
    ("second", "said"),
    [
        (b" {0}", b"a NO [CANNOT] A message cannot be empty"),
        (b" {0+}\r\n", b"a NO [CANNOT] A message cannot be empty"),
        (b" {101}", b"a NO [TOOBIG] Message too large"),
        (b" {101+}\r\n" + b"x" * 101, b"a NO [TOOBIG] Message too large"),
        (b" {9+}\r\nb: no\r\n\r\n {101}", b"a NO [TOOBIG] Message too large"),
        (b" (\\Bogus) {8}", b"a BAD Unknown system flag"),
        (b" (\\Bogus) {8+}\r\nb NOOP\r\n", b"a BAD Unknown system flag"),
        (b"rubbish", b"a BAD Unexpected text at the end of the command"),
        (b' "31-Feb-2024 00:00:00 +0000" {8}', b"a BAD No such date"),
        (b" (%b) {9+}\r\nb: no\r\n\r\n" % b" ".join(b"k%d" % n for n in range(60)), b"a NO [LIMIT] No more keywords can be added"),
    ],
)  # fmt: skip
def test_one_refused_message_is_all_of_them_refused(make_world, second, said):
    for bytewise in (False, True):
        world = make_world(append_limit=100)
        client = world.connect(select="INBOX")
        before = run_now(world.account.modseq())
        client.send(b"a APPEND INBOX {8+}\r\na: yes\r\n" + second + b"\r\nc NOOP\r\n", bytewise)
        assert client.received().replace(b"+ OK\r\n", b"") == said + b"\r\nc OK NOOP completed\r\n"
        assert count(world) == 0 and run_now(world.account.modseq()) == before


# IMAP trap 16: over quota, of several appended
# IMAP trap 16: several messages in one APPEND, over quota
def test_the_quota_holds_for_all_messages_of_an_append_together(make_world):
    message = b"a: b\r\n\r\nxx\r\n"
    world = make_world()
    client = world.connect()
    limit(world, 3 * len(message))
    append = b"a APPEND INBOX {12+}\r\n" + message
    more = b" {12+}\r\n" + message
    client.send(append + more + more + more + b"\r\nb NOOP\r\n")
    assert client.received() == b"a NO [OVERQUOTA] Over quota\r\nb OK NOOP completed\r\n"
    assert count(world) == 0
    client.send(append + more + more + b" {12}\r\n")  # said before it is sent
    assert client.received() == b"a NO [OVERQUOTA] Over quota\r\n"
    client.send(append + more + more + b"\r\n")
    assert client.received().endswith(b" 1:3] APPEND completed\r\n")
    limit(world, 0, 4)
    client.send(append + more + b"\r\n")
    assert client.received() == b"a NO [OVERQUOTA] Over quota\r\n"
    assert count(world) == 3


def test_how_many_messages_one_append_may_have(make_world, monkeypatch):
    monkeypatch.setattr(uploading, "MAX_MESSAGES", 3)
    world = make_world()
    client = world.connect()
    more = b" {6+}\r\na: b\r\n"
    client.send(b"a APPEND INBOX" + more * 4 + b"\r\nb APPEND INBOX" + more * 3 + b"\r\n")
    refused, taken = client.received().split(b"\r\n", 1)
    assert refused == b"a NO [LIMIT] Too many messages at once"
    assert taken.endswith(b" 1:3] APPEND completed\r\n")
    monkeypatch.setattr(uploading, "MAX_HELD", 0)
    client.send(b"c APPEND INBOX" + more * 2 + b"\r\n")
    assert client.received() == b"c NO [LIMIT] Too many messages at once\r\n"
    assert count(world) == 3


# IMAP trap 9: lost behind the first of several messages
def test_a_connection_lost_behind_the_first_message_leaves_nothing(make_world):
    world = make_world()
    client = world.connect()
    client.send(b"a APPEND INBOX {6+}\r\na: b\r\n {60+}\r\na:")
    uploads = client.session.under_way
    assert uploads.writer is not None and uploads._messages
    client.lose()
    assert uploads.writer is None and not uploads._messages
    assert count(world) == 0


def test_a_mailbox_deleted_while_messages_come(make_world):
    world = make_world()
    client, other = world.connect(), world.connect("2")
    client.ask("m CREATE Project")
    client.send(b"a APPEND Project {6+}\r\na: b\r\n {6}\r\n")
    assert client.received() == b"+ OK\r\n"
    assert other.ask("b DELETE Project")[-1] == "b OK DELETE completed"
    client.send(b"c: d\r\n\r\nd NOOP\r\n")
    assert client.received() == b"a NO [TRYCREATE] No such mailbox\r\nd OK NOOP completed\r\n"


def test_another_session_sees_all_messages_of_an_append_at_once(make_world):
    world = make_world()
    client, other = world.connect(), world.connect("2", select="INBOX")
    client.send(b"a APPEND INBOX {6+}\r\na: b\r\n {6}\r\n")
    assert other.ask("b NOOP") == ["b OK NOOP completed"]
    client.send(b"c: d\r\n\r\n")
    assert other.ask("c NOOP") == ["* 2 EXISTS", "* 2 RECENT", "c OK NOOP completed"]


# --- APPENDLIMIT


def test_the_largest_message_is_told(make_world):
    world = make_world(append_limit=100)
    assert " APPENDLIMIT=100 " in world.connect(login=False).ask("a CAPABILITY")[0] + " "
    client = world.connect()
    assert " APPENDLIMIT=100 " in client.ask("a CAPABILITY")[0] + " "
    client.send(b"b APPEND INBOX {100+}\r\n" + b"a: b\r\n" + b"x" * 94 + b"\r\n")
    assert b"b OK" in client.received()
    assert client.ask("c APPEND INBOX {101}") == ["c NO [TOOBIG] Message too large"]
    assert (
        client.ask("d STATUS INBOX (APPENDLIMIT MESSAGES)")[0] == "* STATUS INBOX (APPENDLIMIT 100 MESSAGES 1)"
    )  # RFC 7889 3.1
    assert "* STATUS INBOX (APPENDLIMIT 100)" in client.ask('e LIST "" INBOX RETURN (STATUS (APPENDLIMIT))')  # 3.2


def test_a_limit_that_is_hidden_is_not_told_by_status(make_world):
    client = make_world(hiding=Hiding(frozenset({"APPENDLIMIT=100"})), append_limit=100).connect()
    assert "APPENDLIMIT" not in client.ask("a CAPABILITY")[0]
    assert client.ask("b STATUS INBOX (APPENDLIMIT)")[-1].startswith("b BAD")
    assert client.ask('c LIST "" INBOX RETURN (STATUS (APPENDLIMIT))')[-1].startswith("c BAD")


def test_a_limit_no_number_can_say_is_told_as_the_largest(make_world):
    client = make_world(append_limit=2**33).connect()
    assert f" APPENDLIMIT={2**32 - 1} " in client.ask("a CAPABILITY")[0] + " "
    assert client.ask("b STATUS INBOX (APPENDLIMIT)")[0] == f"* STATUS INBOX (APPENDLIMIT {2**32 - 1})"
