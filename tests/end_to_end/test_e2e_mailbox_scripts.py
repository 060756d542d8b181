"""Scripts of mailboxes (RFC 6785), by programs nobody here wrote, in one process and in two."""

from __future__ import annotations

import imaplib
import ssl

import pytest
from beside import Beside
from imap_wire import seconds
from servers import PASSWORD, wait_for
from worker_servers import Workers

REPORTING = """require ["copy", "environment", "imapsieve"];
if allof(environment "imap.cause" "COPY", environment "imap.mailbox" "Junk") { redirect :copy "reports@a.test"; }
"""
FILING = """require ["copy", "environment", "fileinto", "imap4flags", "imapsieve"];
if allof(hasflag "\\\\Flagged", environment :contains "imap.changedflags" "\\\\Flagged") { fileinto :copy "Archive"; }
"""
MARKING = 'require ["imap4flags", "imapsieve"];\naddflag "$Marked";\n'
MANY = 1000
PATIENT = 2.0  # seconds in which another session is answered meanwhile


@pytest.fixture(scope="module", params=[1, 2])
def node(request, tmp_path_factory):
    server = Workers(tmp_path_factory.mktemp("scripts"), request.param)
    server.start()
    try:
        server.add_account("reports@a.test")
        yield server
    finally:
        assert server.stop() == 0
        assert not [line for line in server.process.lines if "Traceback" in line]


def last(node):
    return node.workers - 1


def give(node, account, name, source):
    node.add_account(account)
    node.ctl("sieve", "put", account, name, stdin=source)


def test_what_is_moved_to_junk_is_reported(node):
    """The entry is set in one process, the message is moved by another."""
    give(node, "ann@a.test", "report", REPORTING)
    with node.wire(0, "ann@a.test") as ann, node.wire(last(node), "ann@a.test") as other:
        other.append("INBOX", b"Subject: first\r\n\r\n")
        other.ask("MOVE 1 Junk")
        [capabilities] = ann.ask("CAPABILITY")
        assert f"IMAPSIEVE=sieve://{node.hostname}:{node.ports['sieve']}".encode() in capabilities.split()
        ann.ask('SETMETADATA Junk (/shared/imapsieve/script "report")')
        other.append("INBOX", b"From: bad@spam.test\r\nSubject: buy\r\n\r\nnow\r\n")
        other.ask("MOVE 1 Junk")
    trusting = ssl.create_default_context(cafile=node.ca)
    with imaplib.IMAP4_SSL("localhost", node.ports["imaps"], ssl_context=trusting) as reports:
        reports.login("reports@a.test", PASSWORD)
        wait_for(lambda: reports.select("INBOX")[1] == [b"1"], "the report")
        text = reports.fetch("1", "(BODY.PEEK[])")[1][0][1]
        assert b"X-Sieve-Redirected-From: ann@a.test\r\n" in text
        assert b"Return-Path: <ann@a.test>\r\n" in text
        assert text.endswith(b"Subject: buy\r\n\r\nnow\r\n")
    [ran] = [event for event in node.events("sieve.mailbox_ran") if event["mailbox"] == "Junk"]
    assert (ran["cause"], ran["script"], ran["uid"]) == ("COPY", "report", 2)


def test_what_is_flagged_is_filed(node):
    give(node, "bob@a.test", "file", FILING)
    with node.wire(0, "bob@a.test") as wire, Beside(node, "bob@a.test") as client:
        client.put("a", "b", "c")
        wire.ask('SETMETADATA "" (/shared/imapsieve/script "file")')
        client.select_folder("INBOX")
        a, b, c = client.search()
        client.add_flags([b], ["\\Seen"])
        client.add_flags([b, c], ["\\Flagged"])
        client.remove_flags([c], ["\\Flagged"])
        client.add_flags([a], ["\\Answered"])
        assert client.mailbox("Archive") == {"b": {"\\Seen", "\\Flagged"}, "c": {"\\Flagged"}}
        assert client.mailbox() == {"a": {"\\Answered"}, "b": {"\\Seen", "\\Flagged"}, "c": set()}


def test_many_copies_at_once_hold_nobody_up(node):
    give(node, "cid@a.test", "mark", MARKING)
    with Beside(node, "cid@a.test") as client:
        client.put(*[f"number {number}" for number in range(MANY)])
    with node.wire(last(node), "cid@a.test") as cid, node.wire(last(node), "reports@a.test") as beside:
        node.ctl("sieve", "attach", "cid@a.test", "mark", "--mailbox", "Archive")
        tag, waits = cid.begin("COPY 1:* Archive"), []
        while cid.silent():
            waits.append(seconds(lambda: beside.ask("NOOP")))
        answer, _ = cid.finish(tag)
        assert answer.startswith(b"OK [COPYUID")
        assert cid.ask("SEARCH KEYWORD $Marked") == [b"* SEARCH"]
        cid.ask("SELECT Archive")
        assert len(cid.ask("SEARCH KEYWORD $Marked")[0].split()) == MANY + 2
    assert len(waits) > 10, "others are answered while scripts run"
    assert max(waits) < PATIENT
