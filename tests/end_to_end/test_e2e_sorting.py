"""SORT and THREAD (THREAD=REFS too) of difficult mail, as Debian's Dovecot has it: the same order, the same trees."""

from __future__ import annotations

import contextlib
import os
import random
import re
from pathlib import Path

import pytest
from servers import STRICT, program
from test_e2e_moving import session, start_dovecot

from tests.open_folder import open_folder

SUBJECTS = (
    "hello", "Hello", "HELLO  there", "Re: hello", "re: re : hello", "Re[2]: hello", "RE [x]: hello", "Fwd: hello", "Fw:hello",
    "hello (fwd)", "hello (FWD) (fwd)", "[list] hello", "[list] Re: hello", "Re: [list] hello", "[a] [b] hello", "[only]",
    "Re: [only]", "[fwd: hello]", "[Fwd: Re: hello]", "Re: [fwd: [list] hello (fwd)]", "Ref: hello", "Re:hello", "Re hello",
    "Fwdd: hello", "=?utf-8?q?Re:_hello?=", "=?utf-8?b?UmU6IGhlbGxv?=", "=?iso-8859-1?q?=C4rger?=", "=?utf-8?q?=C3=A4rger?=",
    "Re: =?utf-8?q?=C3=84RGER?=", "zebra", "Zoo", "apple", "_under", "~tilde", "[", "]", "[]", "Re: []", "Re:", "(fwd)", "",
    " ", "Re: (fwd)", "a\r\n folded subject", "a folded\r\n\tsubject", "x" * 300, "x" * 300 + "y", "123", "Re: 123",
)  # fmt: skip
NAMES = (
    "alice@a.test", "Alice <bob@a.test>", '"Zed, A." <zed@a.test>', "=?utf-8?q?=C3=84nne?= <anne@a.test>",
    "<carol@a.test>",
    "dave@a.test (David)", "ALICE@b.test", "Bob <bob@b.test>, Carol <carol@b.test>",
    '"quoted name" <q@a.test>', "<@a.test:via@b.test>",
)  # fmt: skip
DATES = (
    "Mon, 1 Jan 2024 00:00:00 +0000", "Mon, 1 Jan 2024 01:00:00 +0100", "Sun, 31 Dec 2023 16:01:33 -0800",
    "1 Jan 2001 00:01:33 +0000", "Tue, 2 Jan 2024 12:00:00 GMT", "Tue, 2 Jan 2024 12:00 EST", "2 Jan 24 12:00:00 +0000",
    "Wed, 3 Jan 2024 12:00:00 +0000 (comment)",
)  # fmt: skip


def mailbox(seed, count):
    """Messages with subjects, names, dates, ids and references of all kinds; no two arrive in the same second."""
    chance = random.Random(seed)
    ids = [f"<{number}.{seed}@x.test>" for number in range(count)]
    messages = []
    for number in range(count):
        fields = [f"From: {chance.choice(NAMES)}"]
        if chance.random() < 0.9:
            fields.append(f"Subject: {chance.choice(SUBJECTS)}")
        if chance.random() < 0.8:
            fields.append(f"To: {chance.choice(NAMES)}")
        if chance.random() < 0.3:
            fields.append(f"Cc: {chance.choice(NAMES)}")
        if chance.random() < 0.9:
            fields.append(f"Date: {chance.choice(DATES)}")
        if chance.random() < 0.9:
            fields.append(f"Message-ID: {ids[number if chance.random() < 0.95 else chance.randrange(count)]}")
        near = ids[max(0, number - 8) : number + 4]
        references = chance.choices(near, k=chance.choice([0, 0, 0, 1, 1, 2, 3, 6]))
        if references:
            kind = chance.random()
            if kind < 0.6:
                fields.append("References: " + "\r\n ".join(references))
            elif kind < 0.9:
                fields.append(f"In-Reply-To: {references[0]}")
            else:
                fields += [f"References: {references[0][1:-1]} nothing", f"In-Reply-To: somebody {references[-1]}"]
        messages.append(("\r\n".join([*fields, "", "x" * chance.randrange(50), ""])).encode())
    return messages


def filled(client, messages):
    assert client.create("nasty")[0] == "OK"
    for number, message in enumerate(messages):
        arrived = f'"{1 + number // 60 % 28:02d}-Feb-2023 {number // 1680 % 24:02d}:{number % 60:02d}:00 +0000"'
        assert client.append("nasty", None, arrived, message)[0] == "OK"
    assert client.select("nasty")[0] == "OK"
    return client


@pytest.fixture(scope="module")
def both(node):
    """Sessions with us and with Dovecot, the same messages selected."""
    command = program("dovecot")
    if os.getuid() != 0:
        (pytest.fail if STRICT else pytest.skip)("Dovecot starts as root only")
    node.add_account("sorter@a.test")
    messages = mailbox(5, 300)
    with open_folder("dovecot") as folder:
        server, port = start_dovecot(node, command, Path(folder))
        try:
            with contextlib.ExitStack() as ending:
                ours = ending.enter_context(session(node, node.ports["imaps"], "sorter@a.test"))
                theirs = ending.enter_context(session(node, port, "sorter"))
                yield filled(ours, messages), filled(theirs, messages)
        finally:
            server.stop()


def numbers(client, criteria):
    kind, [said] = client.sort(f"({criteria})", "UTF-8", "ALL")
    assert kind == "OK"
    return said.split()


@pytest.mark.parametrize(
    "criteria",
    [
        "ARRIVAL",
        "DATE",
        "SIZE",
        "SUBJECT",
        "FROM",
        "TO",
        "CC",
        "REVERSE SUBJECT",
        "SUBJECT REVERSE DATE",
        "FROM SUBJECT SIZE",
    ],
)
def test_messages_are_in_the_same_order(both, criteria):
    ours, theirs = both
    assert numbers(ours, criteria) == numbers(theirs, criteria)


def lists(client, algorithm):
    """The thread-lists of an answer."""
    kind, [said] = client.thread(algorithm, "UTF-8", "ALL")
    assert kind == "OK"
    return said


@pytest.mark.parametrize("algorithm", ["ORDEREDSUBJECT", "REFERENCES", "REFS"])
def test_threads_are_the_same_trees(both, algorithm):
    ours, theirs = (split(lists(client, algorithm)) for client in both)
    assert ours == theirs and len(ours) > 15


def split(said):
    """Return thread-lists one by one."""
    found, depth, start = [], 0, 0
    for place in (match.start() for match in re.finditer(rb"[()]", said)):
        depth += 1 if said[place] == ord("(") else -1
        if depth == 0:
            found.append(said[start : place + 1])
            start = place + 1
    return found
