"""COMPRESS=DEFLATE (RFC 4978) of a real server: large messages both ways however a client connects, endings, and the others."""

import base64
import contextlib
import os
import re
import zlib

import pytest
from servers import MailNode
from ways import Dial, EveryWay, every_way

SIZE = 10_000_000


class Node(EveryWay, MailNode):
    """One server with a listener for each way."""


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    with contextlib.ExitStack() as stack:
        node = Node(tmp_path_factory.mktemp("compress"))
        node.start()
        stack.callback(lambda: node.stop())
        node.add_account("bob@a.test")
        yield node


class Deflated:
    """A connection that is compressed from now on, as a file reads it."""

    def __init__(self, dial: Dial) -> None:
        self.socket = dial.secured("imap")
        self.socket.sendall(
            b"l LOGIN bob@a.test {%d+}\r\n%b\r\n" % (len(dial.node.password), dial.node.password.encode())
        )
        self.plain(b"l OK")
        self.socket.sendall(b"c COMPRESS DEFLATE\r\n")
        self.plain(b"c OK")
        self.out, self.into = zlib.compressobj(6, zlib.DEFLATED, -15), zlib.decompressobj(-15)
        self.wire = 0  # octets that came
        self.rest = b""

    def plain(self, ends: bytes) -> None:
        said = b""
        while not re.search(rb"(^|\n)" + ends + rb"[^\n]*\n\Z", said):
            octets = self.socket.recv(4096)
            assert octets, said
            said += octets

    def send(self, data: bytes, flush: int = zlib.Z_SYNC_FLUSH) -> None:
        self.socket.sendall(self.out.compress(data) + self.out.flush(flush))

    def until(self, ends: bytes) -> bytes:
        said = bytearray()
        while not re.search(rb"(\A|\n)" + ends + rb"[^\n]*\n\Z", bytes(said[-200:])):
            octets = self.socket.recv(65536)
            assert octets, bytes(said[-200:])
            self.wire += len(octets)
            said += self.into.decompress(octets)
        return bytes(said)

    def ask(self, text: bytes, flush: int = zlib.Z_SYNC_FLUSH) -> bytes:
        self.send(text, flush)
        return self.until(re.escape(text.split()[0]) + rb" (OK|NO|BAD)")


@every_way
def test_ten_megabytes_go_in_and_out(server, way):
    octets = b"Subject: large\r\n\r\n" + base64.encodebytes(os.urandom(SIZE * 3 // 4)).replace(b"\n", b"\r\n")
    client = Deflated(Dial(server, *way))
    assert b"a OK" in client.ask(b"a APPEND INBOX {%d+}\r\n" % len(octets) + octets + b"\r\n")
    assert client.ask(b"b NOOP\r\n", zlib.Z_PARTIAL_FLUSH) == b"b OK NOOP completed\r\n"
    client.ask(b"d SELECT INBOX\r\n")
    before = client.wire
    assert octets in client.ask(b"e FETCH * BODY.PEEK[]\r\n")
    assert client.wire - before < 0.85 * len(octets), "base64 of noise is compressed by a fifth"
    client.ask(b"f STORE * +FLAGS.SILENT (\\Deleted)\r\n")
    client.ask(b"g EXPUNGE\r\n")
    assert b"h NO [COMPRESSIONACTIVE]" in client.ask(b"h COMPRESS DEFLATE\r\n")
    assert client.ask(b"i LOGOUT\r\n").startswith(b"* BYE")
    assert client.socket.recv(10) == b""


@every_way
def test_who_stops_reading_is_waited_for_and_reads_on(server, way):
    octets = b"Subject: large\r\n\r\n" + base64.encodebytes(os.urandom(SIZE)).replace(b"\n", b"\r\n")
    dial = Dial(server, *way, receive_buffer=8192)
    slow, other = Deflated(dial), Deflated(dial)
    slow.ask(b"a APPEND INBOX {%d+}\r\n" % len(octets) + octets + b"\r\n")
    slow.ask(b"b SELECT INBOX\r\n")
    slow.send(b"c FETCH * BODY.PEEK[]\r\n")
    for number in range(20):
        other.ask(b"n%d NOOP\r\n" % number)
    assert octets in slow.until(b"c OK")


def test_a_side_that_is_closed_is_answered_before_the_end(server):
    client = Deflated(Dial(server, "none", False))
    client.send(b"a NOOP\r\n" * 20_000 + b"b NOOP\r\n", zlib.Z_FINISH)
    client.socket.shutdown(1)
    assert client.until(b"b OK").count(b"a OK") == 20_000
    assert client.socket.recv(10) == b""


def test_a_bomb_holds_nobody_up(server):
    dial = Dial(server, "none", False)
    bad, other = Deflated(dial), Deflated(dial)
    for _ in range(3):
        bad.send(b"\r\n" * 5_000_000)
    for number in range(50):
        other.ask(b"n%d NOOP\r\n" % number)
    bad.socket.close()
    other.ask(b"z NOOP\r\n")
