"""Messages that come by IMAP to a real server, in each way a client may connect: several at once, binary ones, replaced drafts."""

import random

import pytest
from imap_wire import Wire
from ways import Dial, every_way

LARGE = 3_000_000


@pytest.fixture(autouse=True)
def _hang_up():
    yield
    while Wire.opened:
        Wire.opened.pop().close()


@every_way
def test_uploads(node, way):
    wire = Wire(node, "alice@a.test", dial=Dial(node, *way))
    [capabilities] = wire.ask("CAPABILITY")
    assert {b"MULTIAPPEND", b"BINARY", b"REPLACE", b"UTF8=ACCEPT"} <= set(capabilities.split())
    assert b" APPENDLIMIT=" in capabilities
    wire.ask("CREATE Uploads")
    octets = random.Random(3516).randbytes(LARGE)
    binary = b"Content-Type: image/png\r\nContent-Transfer-Encoding: binary\r\n\r\n" + octets
    tag = wire.begin(f"APPEND Uploads (\\Seen) {{6+}}\r\na: b\r\n ~{{{len(binary)}}}")
    assert wire.line().startswith(b"+ ")
    wire.send(binary + b" {6+}\r\nc: d\r\n\r\n")
    answer, _ = wire.finish(tag)
    assert answer.startswith(b"OK [APPENDUID ") and b" 1:3] " in answer
    wire.ask("SELECT Uploads")
    assert wire.ask("FETCH 2 (BINARY.SIZE[1])") == [b"* 2 FETCH (BINARY.SIZE[1] %d)" % LARGE]
    [part] = wire.ask("FETCH 2 (BINARY.PEEK[1])")
    assert part == b"* 2 FETCH (BINARY[1] ~{%d}\r\n%b)" % (LARGE, octets)
    [said, *rest] = wire.ask("UID REPLACE 2 Uploads (\\Draft) {6+}\r\ne: f\r\n")
    assert said.startswith(b"* OK [APPENDUID ") and b"* 2 EXPUNGE" in rest
    assert wire.ask("UID FETCH 1:* (FLAGS)")[-1].startswith(b"* 3 FETCH (UID 4 FLAGS (\\Draft")
    # all or none: the last of them is too large
    tag = wire.begin("APPEND Uploads {6+}\r\na: b\r\n {4294967295}")
    assert wire.finish(tag)[0].startswith(b"NO [TOOBIG]")
    assert wire.ask("STATUS Uploads (MESSAGES)") == [b"* STATUS Uploads (MESSAGES 3)"]
    wire.ask("UNSELECT")
    wire.ask("DELETE Uploads")
