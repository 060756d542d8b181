"""COMPRESS=DEFLATE (RFC 4978): what is said behind its OK is compressed, both ways."""

import zlib

import pytest
from imap_world import play

from mailnode.net.deflate import PIECE


class Deflated:
    """A client that compresses from now on."""

    def __init__(self, client):
        self.client = client
        self._out = zlib.compressobj(9, zlib.DEFLATED, -15)
        self._in = zlib.decompressobj(-15)

    def octets(self, data, flush=zlib.Z_SYNC_FLUSH):
        return self._out.compress(data) + self._out.flush(flush)

    def received(self):
        return self._in.decompress(self.client.received()).decode()

    def ask(self, text, bytewise=False):
        self.client.send(self.octets(text.encode()), bytewise)
        return self.received().split("\r\n")[:-1]


def begin(world, **options):
    client = world.connect(**options)
    assert client.ask("c COMPRESS DEFLATE") == ["c OK DEFLATE active"]
    return Deflated(client)


# IMAP trap 10: twice
def test_what_it_is_asked_for(make_world):
    def make():
        world = make_world()
        world.connect(login=False)
        return world

    play(
        make,
        """
        C: a COMPRESS DEFLATE
        S: a BAD Command is not allowed now
        C: b LOGIN alice secret
        S: b OK [CAPABILITY … COMPRESS=DEFLATE…] …
        C: c COMPRESS
        S: c BAD …
        C: d COMPRESS LZW
        S: d BAD Unknown compression
        C: e COMPRESS DEFLATE DEFLATE
        S: e BAD …
        C: f NOOP
        S: f OK …
    """,
    )


# IMAP trap 10: octet by octet
@pytest.mark.parametrize("bytewise", [False, True])
@pytest.mark.parametrize("select", ["", "INBOX"])
def test_commands_and_answers(make_world, bytewise, select):
    client = begin(make_world(), select=select)
    assert client.ask("a NOOP\r\nb STATUS INBOX (MESSAGES)\r\n", bytewise)[1:] == [
        "* STATUS INBOX (MESSAGES 0)",
        "b OK STATUS completed",
    ]
    assert client.ask("c COMPRESS DEFLATE\r\n", bytewise) == ["c NO [COMPRESSIONACTIVE] Compressed already"]
    assert client.ask("d APPEND INBOX {30+}\r\nSubject: x\r\n\r\n0123456789abcdef\r\n", bytewise)[-1].startswith("d OK")
    assert client.ask("e LOGOUT\r\n", bytewise) == ["* BYE Logging out", "e OK LOGOUT completed"]
    assert client.client.closed


def test_who_does_not_wait_for_the_answer_is_understood(make_world):
    client = make_world().connect()
    deflated = Deflated(client)
    client.send(b"c compress deflate\r\n" + deflated.octets(b"d NOOP\r\n"))
    said, _, rest = client.received().partition(b"\r\n")
    assert said == b"c OK DEFLATE active"
    assert deflated._in.decompress(rest) == b"d OK NOOP completed\r\n"


# IMAP trap 10: what is not compressed
def test_what_is_not_compressed_is_told_and_ended(make_world):
    client = begin(make_world())
    client.client.send(b"a NOOP\r\n" * 5)
    assert client.received() == "* BYE What was sent is not compressed as it should be\r\n"
    assert client.client.closed


# IMAP trap 10: what is pushed is flushed
def test_idle_is_pushed_and_ended(make_world):
    world = make_world()
    client = begin(world, select="INBOX")
    assert client.ask("a IDLE\r\n") == ["+ idling"]
    world.put()
    assert client.received() == "* 1 EXISTS\r\n* 1 RECENT\r\n"
    assert client.ask("DONE\r\n") == ["a OK IDLE terminated"]


def test_a_line_without_end_is_refused_in_pieces(make_world):
    world = make_world()
    client = begin(world)
    connection = client.client.connection
    taken, receive = [], connection.receive_data

    def receive_data(data):
        taken.append(len(data))
        receive(data)
        assert connection.buffered <= 200_000

    connection.receive_data = receive_data
    bomb = client.octets(b"a" * 50_000_000)
    assert len(bomb) < 60_000
    client.client.send(bomb)
    world.clock.advance(0)
    assert sum(taken) == 50_000_000 and max(taken) <= PIECE
    assert client.ask("\r\nb NOOP\r\n") == ["* BAD Line too long", "b OK NOOP completed"]
