"""Mailboxes of other accounts (RFC 4314), by sessions of one process and of two."""

import json

import pytest
from servers import wait_for
from worker_servers import Workers

INBOX = '"Other Users/ann@a.test/INBOX"'
TEXT = b"Subject: plans\r\n\r\nthe plans\r\n"


@pytest.fixture(scope="module", params=[1, 2])
def node(request, tmp_path_factory):
    server = Workers(tmp_path_factory.mktemp("sharing"), request.param)
    server.start()
    try:
        for name in ("ann", "bob", "cid"):
            server.add_account(f"{name}@a.test")
        yield server
    finally:
        assert server.stop() == 0
        assert not [line for line in server.process.lines if "Traceback" in line]


def last(node):
    return node.workers - 1


def test_what_is_shared_is_found_read_and_taken_back(node):
    with node.wire(0, "ann@a.test") as ann, node.wire(last(node), "bob@a.test", "") as bob:
        ann.append("INBOX", TEXT)
        assert bob.ask('LIST "" "Other*"') == []
        ann.ask("SETACL INBOX bob@a.test lrs")
        wait_for(lambda: bob.ask('LIST "" "Other*"'), "the other process to know")
        bob.ask(f"SELECT {INBOX}")
        assert b"* 1 FETCH (FLAGS (\\Seen))" in bob.ask("STORE 1 +FLAGS (\\Seen)")
        assert b"the plans" in b"".join(bob.ask("FETCH 1 BODY.PEEK[TEXT]"))
        assert b"\\Seen" not in b"".join(ann.ask("FETCH 1 FLAGS"))
        tag = bob.idle()
        ann.append("INBOX", TEXT)
        assert bob.line() == b"* 2 EXISTS"
        assert bob.line() == b"* 0 RECENT"
        bob.send(b"DONE\r\n")
        assert bob.finish(tag)[0].startswith(b"OK")
        assert bob.ask("COPY 1 Archive", ok=False)[-1].startswith(b"OK [COPYUID ")
        assert bob.ask("STORE 1 +FLAGS (\\Deleted)", ok=False)[-1].startswith(b"NO [NOPERM]")
        bob.idle()
        ann.ask("DELETEACL INBOX bob@a.test")
        assert bob.line().startswith(b"* BYE")
    with node.wire(last(node), "bob@a.test", "") as bob:
        wait_for(lambda: not bob.ask('LIST "" "Other*"'), "the other process to know")
        assert bob.ask(f"SELECT {INBOX}", ok=False)[-1].startswith(b"NO [NONEXISTENT]")


def test_a_mailbox_that_belongs_to_nobody(node):
    """Made by command, reached by an alias, read by those who have rights to it."""
    team = '"Shared Folders/team@a.test"'
    node.ctl("shared", "add", "team@a.test", "--quota-messages", "10")
    node.ctl("alias", "add", "help@a.test", "team@a.test")
    given = node.ctl("mailbox", "acl", "set", "team@a.test", "INBOX", "bob@a.test", "lrs", "--json").stdout
    assert json.loads(given) == [{"who": "bob@a.test", "rights": "lrs"}]
    with node.wire(last(node), "bob@a.test", "") as bob, node.wire(0, "cid@a.test", "") as cid:
        wait_for(lambda: bob.ask('LIST "" "Shared*"'), "the other process to know")
        bob.ask(f"SELECT {team}")
        tag = bob.idle()
        with node.connect(0) as smtp:
            smtp.sendmail("someone@elsewhere.test", ["help@a.test"], b"From: someone@elsewhere.test\r\n" + TEXT)
        assert bob.line() == b"* 1 EXISTS"
        assert bob.line() == b"* 0 RECENT"
        bob.send(b"DONE\r\n")
        assert bob.finish(tag)[0].startswith(b"OK")
        assert b"the plans" in b"".join(bob.ask("FETCH 1 BODY.PEEK[TEXT]"))
        assert b"* QUOTA team@a.test (MESSAGE 1 10)" in bob.ask(f"GETQUOTAROOT {team}")
        assert cid.ask('LIST "" "Shared*"') == []
        assert cid.ask(f"SELECT {team}", ok=False)[-1].startswith(b"NO [NONEXISTENT]")
        tag = bob.idle()
        node.ctl("mailbox", "acl", "revoke", "team@a.test", "INBOX", "bob@a.test")
        assert bob.line().startswith(b"* BYE")
    assert node.ctl("account", "password", "team@a.test", "--password-stdin", stdin="x", check=False).returncode == 5
    node.ctl("account", "remove", "team@a.test", "--yes")


def test_two_readers_and_the_owner_change_flags_at_once(node):
    with node.wire(0, "ann@a.test", "") as ann:
        ann.ask("CREATE Team")
        for who in ("bob", "cid"):
            ann.ask(f"SETACL Team {who}@a.test lrswit")
        for _ in range(5):
            ann.append("Team", TEXT)
        ann.ask("SELECT Team")
        name = '"Other Users/ann@a.test/Team"'
        with node.wire(last(node), "bob@a.test", "") as bob, node.wire(0, "cid@a.test", "") as cid:
            for reader in (bob, cid):
                wait_for(lambda reader=reader: reader.ask(f'LIST "" {name}'), "the other process to know")
                reader.ask(f"SELECT {name}")
            tags = []
            for number in range(1, 6):
                tags.append((ann, ann.begin(f"STORE {number} +FLAGS (\\Flagged)")))
                tags.append((bob, bob.begin(f"STORE {number} +FLAGS (\\Seen $Bob)")))
                tags.append((cid, cid.begin(f"STORE {number} +FLAGS (\\Answered)")))
            for client, tag in tags:
                assert client.finish(tag)[0].startswith(b"OK")
            for client, seen in ((ann, False), (bob, True), (cid, False)):
                wait_for(
                    lambda client=client: flags_of(client, 5) >= {b"\\Flagged", b"$Bob", b"\\Answered"}, "all flags"
                )
                for number in range(1, 6):
                    wanted = {b"\\Flagged", b"$Bob", b"\\Answered"} | ({b"\\Seen"} if seen else set())
                    assert flags_of(client, number) - {b"\\Recent"} == wanted


def flags_of(client, number):
    client.ask("NOOP")
    [line] = [line for line in client.ask(f"FETCH {number} (UID FLAGS)") if b"FLAGS (" in line][-1:]
    return set(line.partition(b"FLAGS (")[2].partition(b")")[0].split())
