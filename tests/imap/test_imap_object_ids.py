"""OBJECTID (RFC 8474), SAVEDATE (RFC 8514) and STATUS=SIZE (RFC 8438)."""

import re

import pytest
from imap_world import DAY, play

from mailnode.values.object_ids import EMAIL, MAILBOX, is_object_id, number_of, object_id

FIRST = b"Message-ID: <a@x>\r\nSubject: x\r\n\r\nbody\r\n"
REPLY = b"Message-ID: <b@x>\r\nReferences: <a@x>\r\nSubject: Re: x\r\n\r\nbody\r\n"
OTHER = b"Message-ID: <c@x>\r\nSubject: y\r\n\r\nbody\r\n"


def test_an_identifier_names_its_kind_its_owner_and_its_number():
    assert object_id(MAILBOX, "01abc", 7) == b"F01abc-7"
    assert number_of(MAILBOX, "01abc", "F01abc-7") == 7


@pytest.mark.parametrize(
    "text",
    [
        "",
        "F01abc-",
        "F01abc-0",
        "F01abc-07",
        "F01abc-+7",
        "F01abc-7x",
        "F01abd-7",
        "M01abc-7",
        "f01abc-7",
        "F01abc-" + "9" * 20,
    ],
)
def test_what_is_no_identifier_of_ours_stands_for_nothing(text):
    assert number_of(MAILBOX, "01abc", text) == 0
    assert number_of(EMAIL, "01abc", "F01abc-7") == 0


def test_the_form_of_an_identifier():
    assert is_object_id("M-_9a") and is_object_id("a" * 255)
    assert not any(map(is_object_id, ("", "a" * 256, "a b", "a.b", "ä", "a\n")))


# IMAP trap 38: over RENAME
def test_a_mailbox_keeps_its_identifier_through_a_rename(make_world):
    def make():
        world = make_world()
        world.connect()
        return world

    play(
        make,
        """
        C: a CREATE one
        S: a OK [MAILBOXID (Facc-7)] CREATE completed
        C: b STATUS one (MAILBOXID MESSAGES)
        S: * STATUS one (MAILBOXID (Facc-7) MESSAGES 0)
        S: b OK STATUS completed
        C: c RENAME one two
        S: c OK RENAME completed
        C: d LIST "" t* RETURN (STATUS (MAILBOXID))
        S: * LIST (\\HasNoChildren) "/" two
        S: * STATUS two (MAILBOXID (Facc-7))
        S: d OK LIST completed
        C: e DELETE two
        S: e OK DELETE completed
        C: f CREATE one
        S: f OK [MAILBOXID (Facc-8)] CREATE completed
        """,
    )


def ids(client, command):
    lines = client.ask(command)
    assert " OK " in lines[-1]
    return [re.search(r"EMAILID \((.*?)\) THREADID \((.*?)\)", line).groups() for line in lines[:-1]]


@pytest.fixture
def client(file_world):
    for message in (FIRST, REPLY, OTHER):
        file_world.put(message)
    return file_world.connect(select="INBOX")


def test_messages_of_one_thread_share_its_identifier(client):
    (first, one), (reply, same), (other, two) = ids(client, "a UID FETCH 1:* (EMAILID THREADID)")
    assert len({first, reply, other, one, two}) == 5
    assert one == same
    assert client.ask(f"b SEARCH EMAILID {reply}")[0] == "* SEARCH 2"
    assert client.ask(f"c SEARCH THREADID {one}")[0] == "* SEARCH 1 2"
    assert client.ask(f"d SEARCH NOT OR EMAILID {first} EMAILID {reply}")[0] == "* SEARCH 3"
    assert client.ask(f"e SEARCH EMAILID {one}")[0] == "* SEARCH"
    assert client.ask("f SEARCH THREADID Tsomebody-1")[0] == "* SEARCH"
    assert client.ask("g SEARCH EMAILID a.b")[0].startswith("g BAD")


# IMAP trap 38: over COPY and MOVE
def test_copies_keep_the_identifiers_of_the_message(client):
    before = ids(client, "a FETCH 1:2 (EMAILID THREADID)")
    client.ask("b COPY 1 Sent")
    client.ask("c MOVE 2 Sent")
    client.ask("d SELECT Sent")
    assert ids(client, "e FETCH 1:2 (EMAILID THREADID)") == before


# IMAP trap 38: SAVEDATE
def test_the_date_of_saving_is_the_mailboxs_own(file_world):
    file_world.put(FIRST)
    file_world.clock.advance(2 * DAY)
    client = file_world.connect(select="INBOX")
    client.ask("a COPY 1 Sent")
    assert client.ask("b FETCH 1 (SAVEDATE)")[0] == '* 1 FETCH (SAVEDATE "14-Nov-2023 22:13:20 +0000")'
    assert client.ask("c SEARCH SAVEDON 14-Nov-2023")[0] == "* SEARCH 1"
    assert client.ask("d SEARCH SAVEDBEFORE 14-Nov-2023")[0] == "* SEARCH"
    assert client.ask("e SEARCH SAVEDSINCE 15-Nov-2023")[0] == "* SEARCH"
    assert client.ask("f SEARCH SAVEDATESUPPORTED")[0] == "* SEARCH 1"
    client.ask("g SELECT Sent")
    assert client.ask("h UID FETCH 1 (SAVEDATE)")[0] == '* 1 FETCH (UID 1 SAVEDATE "16-Nov-2023 22:13:20 +0000")'
    assert client.ask("i SEARCH SAVEDSINCE 16-Nov-2023")[0] == "* SEARCH 1"


def test_the_size_of_a_mailbox_is_that_of_its_messages(client):
    told = client.ask("a STATUS INBOX (SIZE MESSAGES)")
    assert f"* STATUS INBOX (SIZE {sum(map(len, (FIRST, REPLY, OTHER)))} MESSAGES 3)" in told
