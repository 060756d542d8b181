"""Searches find the same before messages are indexed, afterwards, with a damaged index and without any, by any process."""

import contextlib
import json

import apsw
import pytest
from imap_wire import Wire
from servers import MailNode, wait_for
from worker_servers import Workers

MESSAGES = 120  # more than are read at once without asking
ASKED = {
    "BODY word7x": b"* SEARCH 8",
    "TEXT ubject7": b"* SEARCH 8 71 72 73 74 75 76 77 78 79 80",
    "FROM sender42": b"* SEARCH 43",
    "NOT BODY word": b"* SEARCH",
    "BODY nowhere": b"* SEARCH",
}


@pytest.fixture(params=[1, 2])
def node(request, tmp_path):
    folder = tmp_path / "node"
    made = (MailNode(folder) if request.param == 1 else Workers(folder, request.param)).start()
    yield made
    made.stop()


def of_partitions(node, statement):
    total = 0
    for path in sorted(node.data.glob("mail-*.db")):
        with contextlib.closing(apsw.Connection(str(path))) as database:
            database.set_busy_timeout(10_000)
            total += sum(row[0] for row in database.execute(statement))
    return total


def indexed(node):
    return of_partitions(node, "SELECT indexed_message FROM account") == MESSAGES


def found(node):
    with Wire(node, "bob@a.test", "INBOX") as wire:
        return {asked: wire.ask(f"SEARCH {asked}")[-1] for asked in ASKED}  # before it, that the search goes on


def test_the_same_is_found_whatever_the_index_knows(node):
    node.add_account("bob@a.test")
    with Wire(node, "bob@a.test") as wire:
        for number in range(MESSAGES):
            head = b"From: Sender%d <a@b.test>\r\nSubject: subject%d\r\n\r\n" % (number, number)
            assert wire.append("INBOX", head + b"a word%dx in the text\r\n" % number).startswith(b"OK")
    assert found(node) == ASKED
    wait_for(lambda: indexed(node), "the index")
    assert found(node) == ASKED
    assert json.loads(node.ctl("status", "--json").stdout)["unindexed"] == 0

    of_partitions(node, "UPDATE search_terms SET data = x'00' RETURNING 1")
    assert found(node) == ASKED
    node.ctl("store", "reindex", "bob@a.test")
    wait_for(lambda: indexed(node), "the index anew")
    assert of_partitions(node, "SELECT 1 FROM search_terms WHERE data = x'00'") == 0
    assert found(node) == ASKED

    assert node.stop() == 0
    node.config.write_text(node.config.read_text() + "[search]\nindex = false\n")
    node.start()
    assert found(node) == ASKED
    wait_for(lambda: of_partitions(node, "SELECT count(*) FROM search_segment") == 0, "nothing left")
    assert found(node) == ASKED
