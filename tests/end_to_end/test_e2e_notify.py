"""NOTIFY (RFC 5465) of a real server with two processes: what others do is told at once, in whichever process they do it."""

import time

import pytest
from imap_wire import Wire
from worker_servers import Workers

MESSAGE = b"From: a@b.test\r\nSubject: %b\r\n\r\nbody\r\n"
PROMPT = 5.0  # seconds; in which lost hints are made good


@pytest.fixture(autouse=True)
def _hang_up():
    yield
    while Wire.opened:
        Wire.opened.pop().close()


@pytest.fixture(scope="module")
def node(tmp_path_factory):
    server = Workers(tmp_path_factory.mktemp("notify"), 2)
    server.start()
    try:
        server.add_account("bob@a.test")
        yield server
    finally:
        assert server.stop() == 0


def test_what_happens_in_another_process_is_told_at_once(node):
    told, does = node.wire(0, select="INBOX"), node.wire(1, select="")
    assert told.ask(
        "NOTIFY SET STATUS (selected (MessageNew (UID FLAGS) MessageExpunge)) "
        "(personal (MessageNew MessageExpunge FlagChange MailboxName SubscriptionChange))"
    )
    began = time.monotonic()
    with node.connect(1) as client:
        client.sendmail("a@b.test", ["bob@a.test"], MESSAGE % b"one")
    assert told.line() == b"* 1 EXISTS"
    assert told.line() == b"* 1 RECENT"
    assert told.line().startswith(b"* 1 FETCH (UID 1 FLAGS (")
    does.append("Trash", MESSAGE % b"two")
    assert told.line().startswith(b"* STATUS Trash (MESSAGES 1 UIDNEXT 2 UIDVALIDITY ")
    does.ask("CREATE Work/New")
    assert told.line() == b'* LIST (\\HasChildren) "/" Work'
    assert told.line() == b'* LIST (\\HasNoChildren) "/" Work/New'
    does.ask("SUBSCRIBE Work/New")
    assert told.line() == b'* LIST (\\Subscribed \\HasNoChildren) "/" Work/New'
    does.ask("RENAME Work Play")
    assert told.line() == b'* LIST (\\HasChildren) "/" Play ("OLDNAME" (Work))'
    does.ask("SELECT INBOX")
    does.ask("STORE 1 +FLAGS.SILENT (\\Deleted)")
    does.ask("EXPUNGE")
    assert told.line() == b"* 1 EXPUNGE"
    assert time.monotonic() - began < 6 * PROMPT
    assert told.ask("NOOP") == [] and told.silent()


def test_a_client_that_does_not_read_is_told_in_one_when_it_does(node):
    told, does = node.wire(0, select=""), node.wire(1, select="")
    told.ask("NOTIFY SET (mailboxes Drafts (MessageNew MessageExpunge))")
    for number in range(30):
        assert does.append("Drafts", MESSAGE % (b"%d" % number)).startswith(b"OK")
    lines = [told.line()]
    while not lines[-1].startswith(b"* STATUS Drafts (MESSAGES 30 UIDNEXT 31 "):
        lines.append(told.line())
    assert len(lines) <= 30 and told.ask("NOOP") == []


def test_mailboxes_of_others_and_what_is_noted_about_them(node):
    node.add_account("ann@a.test")
    name = '"Other Users/ann@a.test/Team"'
    told, does = node.wire(0, select=""), node.wire(1, "ann@a.test", select="")
    told.ask('NOTIFY SET (subtree "Other Users" (MessageNew MessageExpunge MailboxName MailboxMetadataChange))')
    does.ask("CREATE Team")
    does.ask("SETACL Team bob@a.test lrw")
    assert told.line() == b'* LIST (\\NonExistent \\HasChildren) "/" "Other Users/ann@a.test"'
    assert told.line() == f'* LIST (\\HasNoChildren) "/" {name}'.encode()
    does.append("Team", MESSAGE % b"one")
    assert told.line().startswith(f"* STATUS {name} (MESSAGES 1 UIDNEXT 2 UIDVALIDITY ".encode())
    does.ask('SETMETADATA Team (/shared/comment "x")')
    assert told.line() == f"* METADATA {name} /shared/comment".encode()
    told.ask(f'SETMETADATA {name} (/shared/comment "y")')
    does.ask("DELETEACL Team bob@a.test")
    assert told.line() == b'* LIST (\\NonExistent \\HasNoChildren) "/" "Other Users/ann@a.test"'
    assert told.line() == f'* LIST (\\NoAccess \\NonExistent \\HasNoChildren) "/" {name}'.encode()
    does.append("Team", MESSAGE % b"two")
    assert told.ask("NOOP") == [] and told.silent()
