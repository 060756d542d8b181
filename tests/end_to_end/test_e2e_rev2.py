"""IMAP4rev2 (RFC 9051) with a real server: beside sessions of IMAP4rev1, by one process and by two, in each way to connect."""

import random

import pytest
from imap_wire import Wire
from servers import wait_for
from ways import Dial, every_way
from worker_servers import Workers

from tests.interop.tree import read

LARGE = 3_000_000
COMPOSED, APART = "Bücher", "Bu\u0308cher"
INNER = "Subject: für dich\r\nFrom: jürgen@bücher.test\r\nContent-Type: multipart/mixed; boundary=i\r\n\r\n".encode()


def report(inside: bytes) -> bytes:
    """A notice of failure with the message it is about (RFC 6533), of which ``inside`` is a part."""
    message = INNER + b"--i\r\n\r\neins\r\n--i\r\nContent-Type: application/x-data\r\n\r\n" + inside + b"\r\n--i--\r\n"
    return (
        b"Subject: failed\r\nContent-Type: multipart/report; boundary=b\r\n\r\n--b\r\n\r\nsorry\r\n--b\r\n"
        b"Content-Type: message/global\r\nContent-Transfer-Encoding: 8bit\r\n\r\n" + message + b"\r\n--b--\r\n"
    )


def structure(line: bytes) -> list:
    """Return the BODYSTRUCTURE of a response as a tree; it is the last item."""
    return read(line)[-1][-1]


@pytest.fixture(autouse=True)
def _hang_up():
    yield
    while Wire.opened:
        Wire.opened.pop().close()


@pytest.fixture(scope="module", params=[1, 2])
def workers(request, tmp_path_factory):
    server = Workers(tmp_path_factory.mktemp("rev2"), request.param)
    server.start()
    try:
        server.add_account("ann@a.test")
        yield server
    finally:
        assert server.stop() == 0
        assert not [line for line in server.process.lines if "Traceback" in line]


def second_revision(wire: Wire) -> Wire:
    [capabilities] = wire.ask("CAPABILITY")
    assert {b"IMAP4rev1", b"IMAP4rev2"} <= set(capabilities.split())
    assert wire.ask("ENABLE IMAP4rev2") == [b"* ENABLED IMAP4rev2"]
    return wire


def test_two_sessions_one_of_each_revision(workers):
    with workers.wire(0, "ann@a.test", "") as new, workers.wire(workers.workers - 1, "ann@a.test", "") as old:
        second_revision(new)
        listed = f'* LIST (\\HasNoChildren) "/" "{COMPOSED}" ("OLDNAME" ("{APART}"))'.encode()
        assert new.ask(f'CREATE "{APART}"') == [listed]
        wait_for(lambda: b"B&APw-cher" in b"".join(old.ask('LIST "" B*')), "the other process to know")
        said = old.ask("SELECT B&APw-cher")
        assert b"* 0 RECENT" in said and not any(b"LIST" in line for line in said)
        said = new.ask(f'SELECT "{COMPOSED}"')
        assert b"RECENT" not in b"".join(said)
        assert f'* LIST (\\HasNoChildren) "/" "{COMPOSED}"'.encode() in said
        tag = old.idle()
        assert new.append(f'"{COMPOSED}"', b"Subject: \xc3\xa9\r\n\r\nx\r\n", "$Forwarded").startswith(
            b"OK [APPENDUID "
        )
        while (line := old.line()) != b"* 1 EXISTS":
            pass
        assert old.line() == b"* 1 RECENT"
        [said] = new.ask('SEARCH KEYWORD $Forwarded SUBJECT "É"')
        assert said.startswith(b'* ESEARCH (TAG "t') and said.endswith(b'") ALL 1')
        assert new.ask("STORE 1 +FLAGS (\\Deleted)") == [b"* 1 FETCH (UID 1 FLAGS (\\Deleted $Forwarded))"]
        while not (line := old.line()).startswith(b"* 1 FETCH"):
            pass
        assert line == b"* 1 FETCH (FLAGS (\\Deleted $Forwarded \\Recent))"
        assert new.ask(f'STATUS "{APART}" (MESSAGES DELETED SIZE)') == [
            f'* STATUS "{COMPOSED}" (MESSAGES 1 DELETED 1 SIZE 18)'.encode()
        ]
        [said, gone] = new.ask(f'MOVE 1 "{COMPOSED}"')[:2]
        assert said.startswith(b"* OK [COPYUID ") and gone == b"* 1 EXPUNGE"
        old.send(b"DONE\r\n")
        assert old.finish(tag)[0].startswith(b"OK")
        new.ask("UNSELECT")
        old.ask("UNSELECT")
        assert new.ask(f'DELETE "{APART}"') == [listed.replace(b"(\\Has", b"(\\NonExistent \\Has")]


@every_way
def test_what_lies_in_a_large_message_global(node, way):
    octets = random.Random(9051).randbytes(LARGE // 2).hex().encode()
    old = Wire(node, "alice@a.test", dial=Dial(node, *way))
    new = second_revision(Wire(node, "alice@a.test", dial=Dial(node, *way)))
    new.ask("CREATE Reports")
    for inside in (octets, b"little"):
        assert new.append("Reports", report(inside)).startswith(b"OK")
    for wire in (old, new):
        wire.ask("SELECT Reports")
    for line in old.ask("FETCH 1:2 BODYSTRUCTURE"):
        assert [part[:2] for part in structure(line)[:2]] == [[b"text", b"plain"], [b"message", b"global"]]
        assert structure(line)[1][7:] == [None] * 4
    for line, size in zip(new.ask("FETCH 1:2 (UID BODYSTRUCTURE)"), (LARGE, 6), strict=True):
        told = structure(line)[1]
        assert told[:2] == [b"message", b"global"]
        assert told[7][1:3] == ["für dich".encode(), [[None, None, "jürgen".encode(), "bücher.test".encode()]]]
        first, second, kind = told[8][:3]
        assert [first[:2], second[:2], kind] == [[b"text", b"plain"], [b"application", b"x-data"], b"mixed"]
        assert second[6] == b"%d" % size
    [part] = new.ask("FETCH 1 BODY.PEEK[2.2]")
    assert part == b"* 1 FETCH (BODY[2.2] {%d}\r\n%b)" % (LARGE, octets)
    assert old.ask("FETCH 1 BODY.PEEK[2.2]") == [b"* 1 FETCH (BODY[2.2] NIL)"]
    [part] = new.ask("FETCH 2 BODY.PEEK[2.HEADER]")
    assert part == b"* 2 FETCH (BODY[2.HEADER] {%d}\r\n%b)" % (len(INNER), INNER)
    new.ask("UNSELECT")
    new.ask("DELETE Reports")
