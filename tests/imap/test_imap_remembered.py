"""What searches found is kept, and they find the same."""

from __future__ import annotations

import random
from array import array
from dataclasses import replace

import pytest
from shared_world import SharedWorld
from test_imap_indexed import counting_opened, key, message

from mailnode.errors import BlobDamaged
from mailnode.imap import remembered
from mailnode.imap.commands import matching
from mailnode.imap.message_keys import ANSWERS, MessageKeys
from mailnode.imap.messages.answered import Answered
from mailnode.imap.messages.search_keys import And, InBody, InText
from mailnode.message.search_text import fold


@pytest.fixture(autouse=True)
def _also_of_few(monkeypatch):
    monkeypatch.setattr(remembered, "LEAST", 1)


def put_some(world, first, last, mailbox="INBOX"):
    for number in range(first, last + 1):
        world.put(b"Subject: s%d\r\n\r\n%b in the text\r\n" % (number, b"apples" if number % 3 else b"plums"), mailbox)


def forgetting(world):
    """Return a session of the same account for which nothing is kept."""
    known = world.services
    world.services = replace(known, answers=MessageKeys(0))
    try:
        return world.connect("forgets", select="INBOX")
    finally:
        world.services = known


@pytest.mark.parametrize("seed", range(8))
def test_the_same_is_found_as_by_one_that_forgets(file_world, seed, monkeypatch):
    chance, world = random.Random(seed), file_world
    monkeypatch.setattr(remembered, "TESTED", chance.choice((1, 7, 1000)))
    messages = [message(chance) for _ in range(25)]
    for raw in messages:
        world.put(raw)
    client, other = world.connect(select="INBOX"), forgetting(world)
    keys = [key(chance, messages).decode() for _ in range(6)]
    returns, narrowed = (
        ["", *map("RETURN ({}) ".format, ("MAX", "PARTIAL 1:4", "PARTIAL -1:-3"))],
        ["", "UNSEEN ", "UID 3:17 "],
    )
    for _ in range(60):
        what = chance.choice(("put", "expunge", "copy", "flag", *["search"] * 8))
        if what == "put":
            messages.append(message(chance))
            world.put(messages[-1])
        elif what in ("expunge", "flag", "copy"):
            uid = chance.randint(1, len(messages))
            flags = r"(\Deleted)" if what == "expunge" else r"(\Seen)"
            client.ask(f"c UID COPY {uid} INBOX" if what == "copy" else f"f UID STORE {uid} FLAGS {flags}")
            client.ask("e EXPUNGE")
        for one in (client, other):
            one.ask("n NOOP")
        asked = f"{chance.choice(returns)}CHARSET UTF-8 {chance.choice(narrowed)}{chance.choice(keys)}"
        answers = [one.ask(f"a UID SEARCH {asked}") for one in (client, other)]
        assert answers[0] == answers[1], asked


def test_only_what_came_since_is_opened(file_world, monkeypatch):
    put_some(file_world, 1, 9)
    client, opened = file_world.connect(select="INBOX"), counting_opened(monkeypatch)
    assert client.ask("a UID SEARCH BODY plums")[0] == "* SEARCH 3 6 9"
    assert sum(opened) == 9
    opened.clear()
    assert client.ask("a UID SEARCH BODY plums")[0] == "* SEARCH 3 6 9"
    assert client.ask("a UID SEARCH BODY PLUMS UNSEEN 2:6")[0] == "* SEARCH 3 6"
    assert opened == []
    put_some(file_world, 10, 12)
    client.ask("f UID STORE 6 FLAGS (\\Deleted)")
    client.ask("e EXPUNGE")
    assert client.ask("a UID SEARCH BODY plums")[0] == "* SEARCH 3 9 12"
    assert sum(opened) == 3
    again = file_world.connect("b", select="INBOX")
    assert again.ask("a SEARCH BODY plums")[0] == "* SEARCH 3 8 11"
    assert sum(opened) == 3, "another session of the same login finds it"
    assert again.ask("a SEARCH NOT BODY plums 1:4")[0] == "* SEARCH 1 2 4"
    assert sum(opened) == 7, "another key"


def test_a_message_that_could_not_be_read_is_asked_again(file_world, monkeypatch):
    put_some(file_world, 1, 4)
    client, read_small = file_world.connect(select="INBOX"), matching.read_small

    async def damaged(mailbox, blobs, contents, keep=False):
        _, *others = await read_small(mailbox, blobs, contents, keep)
        return [BlobDamaged("first"), *others]

    monkeypatch.setattr(matching, "read_small", damaged)
    assert client.ask("a UID SEARCH NOT BODY plums")[0] == "* SEARCH 2 4"
    monkeypatch.setattr(matching, "read_small", read_small)
    opened = counting_opened(monkeypatch)
    assert client.ask("a UID SEARCH NOT BODY plums")[0] == "* SEARCH 1 2 4"
    assert sum(opened) == 1


def test_only_what_is_looked_for_in_the_same_way_is_the_same(file_world):
    put_some(file_world, 1, 4)
    client = file_world.connect(select="INBOX")
    identifier = client.ask("f UID FETCH 2 EMAILID")[0].split("(")[2].rstrip(")")
    assert client.ask(f"a UID SEARCH EMAILID {identifier}")[0] == "* SEARCH 2"
    assert client.ask(f"a UID SEARCH EMAILID {identifier.lower()}")[0] == "* SEARCH", "identifiers tell case apart"
    assert client.ask("a UID SEARCH BODY PLUMS")[0] == "* SEARCH 3"
    # Each quote is one of those that are taken for an apostrophe.
    injected = "p\uff07), inbody(text=\uff07plums"
    assert fold(repr(InBody(injected))) == "inbody(text='p'), inbody(text='plums')"
    texts = [InBody(injected), And((InBody("p"), InBody("plums"))), InBody("\uff3cx01"), InBody("\x01"), InText("\x01")]
    assert len({remembered._digest(one) for one in texts}) == len(texts)
    assert remembered._digest(InBody("Stra\xdfe")) == remembered._digest(InBody("STRASSE"))


def test_what_may_change_is_not_kept(file_world):
    put_some(file_world, 1, 4)
    client = file_world.connect(select="INBOX")
    for flags, found in (("()", "3"), ("(\\Seen)", "1 3"), ("()", "3")):
        client.ask(f"f UID STORE 1 FLAGS {flags}")
        assert client.ask("a UID SEARCH OR SEEN BODY plums")[0] == f"* SEARCH {found}"
    assert client.ask("a UID SEARCH OR YOUNGER 100 BODY plums")[0] == "* SEARCH 1 2 3 4"
    file_world.clock.advance(200)
    assert client.ask("a UID SEARCH OR YOUNGER 100 BODY plums")[0] == "* SEARCH 3"


def test_nobody_learns_what_others_looked_for(tmp_path, monkeypatch):
    world = SharedWorld(tmp_path)
    put_some(world, 1, 4)
    world.give("INBOX", "bob@example.org", "lrs")
    opened = counting_opened(monkeypatch)
    for name, mailbox in (("alice", "INBOX"), ("bob", "Other Users/alice@example.org/INBOX")):
        client = world.enter(name, name, mailbox)
        assert client.ask("a UID SEARCH BODY plums")[0] == "* SEARCH 3"
        assert sum(opened) == 4
        opened.clear()


def test_what_is_kept_is_counted_and_small_results_are_not_kept(file_world, monkeypatch):
    monkeypatch.setattr(remembered, "LEAST", 4)
    put_some(file_world, 1, 4)
    client, kept = file_world.connect(select="INBOX"), []
    monkeypatch.setattr(file_world.services.answers, "keep", lambda name, value: kept.append(value))
    client.ask("a UID SEARCH 1:3 BODY plums")
    assert kept == []
    client.ask("a UID SEARCH BODY plums")
    assert kept == [Answered(array("I", [1, 2, 3, 4]), b"\0\0\1\0")]
    answers = MessageKeys(ANSWERS)
    for number in range(100):
        answers.keep(number, Answered(array("I", bytes(400_000)), bytes(100_000)))
    assert [answers.get(number) is not None for number in range(100)] == [False] * 67 + [True] * 33
