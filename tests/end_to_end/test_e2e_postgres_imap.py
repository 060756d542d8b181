"""What mail programs do over IMAP, with mailnode on PostgreSQL: one process, and two of which each serves one of the programs."""

from __future__ import annotations

import re

import pytest
from imap_wire import Wire
from servers import STRICT, wait_for
from worker_servers import Workers

from tests.store.postgres_cluster import Cluster, binaries


def message(number, more=b""):
    return b"Subject: plan %d\r\nMessage-ID: <%d@x.test>\r\nDate: Mon, %d Jan 2024 10:00:00 +0000\r\n%b\r\nbody %d needle%d\r\n" % (
        number, number, 9 - number, more, number, number,
    )  # fmt: skip


@pytest.fixture(autouse=True)
def _hang_up():
    yield
    while Wire.opened:
        Wire.opened.pop().close()


@pytest.fixture(scope="module", params=[1, 2], ids=["one process", "two processes"])
def node(request, tmp_path_factory):
    programs = binaries()
    if programs is None:
        (pytest.fail if STRICT else pytest.skip)("no PostgreSQL server is installed (initdb)")
    cluster = Cluster(programs)
    cluster.start()
    try:
        url = f'[store]\nurl = "postgresql://tests@/postgres?host={cluster.directory}"\n'
        server = Workers(tmp_path_factory.mktemp("postgres"), request.param, extra=url).start()
        try:
            for name in ("ann", "bob", "cid", "dan", "eve"):
                server.add_account(f"{name}@a.test")
            yield server
        finally:
            assert server.stop() == 0
            assert not [line for line in server.process.lines if "Traceback" in line]
    finally:
        cluster.stop()


def both(node, user, select="INBOX"):
    """Two programs of one account, on two processes where there are two."""
    return node.wire(0, f"{user}@a.test", select), node.wire(node.workers - 1, f"{user}@a.test", select)


def told(wire, wanted):
    """Read what comes unasked up to a line that begins so; return all of it."""
    lines = [wire.line()]
    while not lines[-1].startswith(wanted):
        lines.append(wire.line())
    return lines


def found(wire, command):
    """Ask for what may take a while, on a machine that has much to do."""
    return [line for line in wire.ask(command) if b"INPROGRESS" not in line]


def test_what_one_does_the_other_is_told(node):
    one, two = both(node, "ann")
    tag = two.idle()
    assert one.append("INBOX", message(1)).startswith(b"OK [APPENDUID ")
    told(two, b"* 1 EXISTS")
    one.append("INBOX", message(2, b"In-Reply-To: <1@x.test>\r\n"), "\\Flagged")
    one.append("INBOX", message(3))
    told(two, b"* 3 EXISTS")
    two.send(b"DONE\r\n")
    assert two.finish(tag)[0].startswith(b"OK")
    fetched = two.ask("FETCH 1:3 (UID FLAGS RFC822.SIZE ENVELOPE BODYSTRUCTURE BODY.PEEK[TEXT] PREVIEW EMAILID)")
    assert [b"needle%d" % number in fetched[number - 1] for number in (1, 2, 3)] == [True] * 3
    assert two.ask("UID STORE 2:3 +FLAGS (\\Answered $Later)")[-1].startswith(b"* 3 FETCH (UID 3 FLAGS (")
    assert any(b"* 2 FETCH" in line and b"$Later" in line for line in wait_for(lambda: one.ask("NOOP"), "the flags"))
    [copied] = two.ask("COPY 1:2 Archive", ok=False)
    assert re.match(rb"OK \[COPYUID \d+ 1:2 1:2\] ", copied)
    moved = two.ask("UID MOVE 1 Sent")
    assert re.match(rb"\* OK \[COPYUID \d+ 1 1\] ", moved[0]) and moved[1] == b"* 1 EXPUNGE"
    told_of = wait_for(lambda: one.ask("NOOP"), "the move")
    assert b"* 1 EXPUNGE" in told_of
    one.ask("STORE 2 +FLAGS.SILENT (\\Deleted)")
    assert one.ask("EXPUNGE") == [b"* 2 EXPUNGE"]
    assert b"* 2 EXPUNGE" in wait_for(lambda: two.ask("NOOP"), "the expunge")
    assert two.ask("UID SEARCH ALL") == [b"* SEARCH 2"]
    status = one.ask('LIST "" (Archive Sent) RETURN (STATUS (MESSAGES UNSEEN SIZE))')
    size = len(message(1))
    assert b"* STATUS Sent (MESSAGES 1 UNSEEN 1 SIZE %d)" % size in status


def test_a_program_that_was_away_is_told_what_it_missed(node):
    one, away = both(node, "bob")
    for number in range(1, 7):
        one.append("INBOX", message(number))
    away.ask("ENABLE QRESYNC")
    said = b"".join(away.ask("SELECT INBOX"))
    validity, modseq = (int(re.search(rb"\[%b (\d+)\]" % name, said)[1]) for name in (b"UIDVALIDITY", b"HIGHESTMODSEQ"))
    away.ask("UNSELECT")
    one.ask("STORE 1 +FLAGS.SILENT (\\Seen)")
    one.ask("STORE 3:4 +FLAGS.SILENT (\\Deleted)")
    one.ask("EXPUNGE")
    one.append("INBOX", message(7))
    back = away.ask(f"SELECT INBOX (QRESYNC ({validity} {modseq} 1:6))")
    assert b"* VANISHED (EARLIER) 3:4" in back
    assert [re.search(rb"UID (\d+)", line)[1] for line in back if b" FETCH " in line] == [b"1"]
    changed = away.ask(f"UID FETCH 1:* (FLAGS) (CHANGEDSINCE {modseq} VANISHED)")
    assert changed[0] == b"* VANISHED (EARLIER) 3:4" and len(changed) == 3
    failed = away.ask(f"UID STORE 1,2 (UNCHANGEDSINCE {modseq}) +FLAGS (\\Flagged)", ok=False)
    assert failed[-1].startswith(b"OK [MODIFIED 1]")


def test_what_is_looked_for_and_in_which_order(node):
    one, two = both(node, "cid")
    for number in range(1, 5):
        one.append("INBOX", message(number, b"References: <1@x.test>\r\n" if number in (2, 4) else b""))
    wait_for(lambda: two.ask("NOOP") or two.ask("SEARCH 4") == [b"* SEARCH 4"], "the messages")
    for wire in (one, two):
        assert found(wire, "SEARCH BODY needle3") == [b"* SEARCH 3"]
        assert found(wire, 'UID SEARCH OR SUBJECT "plan 1" TEXT needle4') == [b"* SEARCH 1 4"]
        assert found(wire, "UID SEARCH RETURN (SAVE COUNT) SENTBEFORE 7-Jan-2024")[0].endswith(b"UID COUNT 2")
        assert wire.ask("UID FETCH $ (UID)") == [b"* 3 FETCH (UID 3)", b"* 4 FETCH (UID 4)"]
        assert found(wire, "SORT (DATE) UTF-8 ALL") == [b"* SORT 4 3 2 1"]
        assert found(wire, "UID SORT RETURN (PARTIAL 1:2) (REVERSE SUBJECT) UTF-8 ALL")[0].endswith(
            b"PARTIAL (1:2 4,3)"
        )
        assert found(wire, "THREAD REFERENCES UTF-8 ALL") == [b"* THREAD (3)(1 (4)(2))"]


def test_what_happens_in_other_mailboxes_is_told(node):
    one, two = both(node, "dan", "")
    two.ask("NOTIFY SET (personal (MessageNew MessageExpunge MailboxName))")
    one.append("Archive", message(1))
    assert told(two, b"* STATUS Archive ")[-1].startswith(b"* STATUS Archive (MESSAGES 1 ")
    one.ask("CREATE Plans")
    assert told(two, b"* LIST ")[-1] == b'* LIST (\\HasNoChildren) "/" Plans'
    two.ask("NOTIFY NONE")
    one.ask('SETMETADATA Plans (/private/comment "of the year")')
    assert two.ask("GETMETADATA Plans /private/comment") == [b'* METADATA Plans (/private/comment "of the year")']
    one.ask("RENAME Plans Drafts/Plans")
    assert two.ask("GETMETADATA Drafts/Plans /private/comment")[0].endswith(b'"of the year")')


def test_what_is_shared(node):
    owner, reader = node.wire(0, "eve@a.test"), node.wire(node.workers - 1, "ann@a.test", "")
    for number in (1, 2):
        owner.append("INBOX", message(number))
    owner.ask("CREATE Done")
    for mailbox in ("INBOX", "Done"):
        owner.ask(f"SETACL {mailbox} ann@a.test lrsite")
    theirs = '"Other Users/eve@a.test/INBOX"'
    wait_for(lambda: reader.ask('LIST "" "Other*"'), "the rights")
    assert reader.ask(f"MYRIGHTS {theirs}")[0].endswith(b" lrsited")
    reader.ask(f"SELECT {theirs}")
    assert reader.ask("STORE 1 +FLAGS (\\Seen)") == [b"* 1 FETCH (FLAGS (\\Seen))"]
    assert b"\\Seen" not in b"".join(owner.ask("FETCH 1 FLAGS"))
    owner.ask("UID MOVE 1 Done")
    reader.ask('SELECT "Other Users/eve@a.test/Done"')
    assert reader.ask("FETCH 1 FLAGS") == [b"* 1 FETCH (FLAGS (\\Seen))"], "what they have seen stays seen"
    assert reader.ask("UID COPY 1 Trash", ok=False)[-1].startswith(b"OK [COPYUID ")
    reader.idle()
    owner.ask("DELETEACL Done ann@a.test")
    assert told(reader, b"* BYE")
