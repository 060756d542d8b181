"""Mail that an older version took in is told and found as this one reads it, by any process."""

import apsw
import pytest
from servers import MailNode
from ways import EveryWay, large
from worker_servers import Workers

from mailnode.values.facts import FACTS_VERSION

SMALL = b"Subject: small\r\nContent-Type: text/plain\r\n\r\nsmall\r\n"
WRONG = b'("wrong" "wrong" NIL NIL NIL "7bit" 0 0)'


class Node(EveryWay, MailNode):
    """One process."""


class Nodes(EveryWay, Workers):
    """Several."""


@pytest.fixture(params=[1, 2])
def node(request, tmp_path):
    made = (Node(tmp_path / "node") if request.param == 1 else Nodes(tmp_path / "node", request.param)).start()
    yield made
    made.stop()


def each_partition(node):
    for path in sorted(node.data.glob("mail-*.db")):
        database = apsw.Connection(str(path))
        yield database
        database.close()


def test_mail_of_an_older_version_is_read_as_if_it_came_today(node):
    node.add_account("bob@a.test")
    for dial in node.dials():
        with dial.imap() as client:
            for content in (SMALL, large(dial.name, 5_000_000)):
                assert client.append("INBOX", "", None, content)[0] == "OK"
            client.select("INBOX", readonly=True)
            told = client.fetch("1:*", "(ENVELOPE BODYSTRUCTURE)")
    node.stop()
    for database in each_partition(node):
        database.execute(
            "UPDATE message SET facts_version = 1, envelope = ?1, bodystructure = ?1, parts = '[]'", (WRONG,)
        )
    node.start()
    for dial in node.dials():
        with dial.imap() as client:
            client.select("INBOX", readonly=True)
            assert client.fetch("1:*", "(ENVELOPE BODYSTRUCTURE)") == told
            assert client.search(None, "SUBJECT", "small", "BODY", "small")[1] == [b"1 3 5 7 9 11"]
    assert node.stop() == 0
    found = [row for database in each_partition(node) for row in database.execute("SELECT facts_version FROM message")]
    assert found == [(FACTS_VERSION,)] * 12
    assert not [line for line in node.process.lines if "Traceback" in line]
