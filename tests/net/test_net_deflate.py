"""A compressed connection: pieces of bounded size, one a turn, whatever the client flushes how."""

from __future__ import annotations

import zlib
from typing import Any, cast

import pytest
from test_pump import Connected, Lines
from zope.interface.verify import verifyObject

from mailnode.interfaces.wire import IConnection
from mailnode.net.deflate import FED, LARGE, PIECE, Deflating, Inflating
from mailnode.net.pump import HIGH_WATER, MOST_UNSENT
from mailnode.values.wire import NEED_DATA, PAUSED


class Turns:
    """A clock by which one call is one turn."""

    def __init__(self) -> None:
        self.calls: list[Any] = []

    def callLater(self, seconds: float, call: Any) -> None:
        assert seconds == 0
        self.calls.append(call)

    def advance(self) -> None:
        self.calls.pop(0)()


class Side:
    """A client's: what it compresses is read, in events."""

    def __init__(self) -> None:
        self.clock: Any = Turns()
        self.inner = Lines()
        self.events: list[object] = []
        self.damaged: list[None] = []
        self.inflating = Inflating(self.inner, self.clock, self.read, lambda: self.damaged.append(None))
        self.stream = zlib.compressobj(9, zlib.DEFLATED, -15)

    def read(self) -> None:
        while (event := self.inflating.next_event()) is not NEED_DATA and event is not PAUSED:
            self.events.append(event)

    def send(self, data: bytes) -> None:
        self.inflating.receive_data(data)
        self.read()

    def turns(self) -> int:
        """Let the reactor go round until there is no more to inflate."""
        turns = 0
        while self.inflating.resting:
            self.clock.advance()
            turns += 1
        return turns


def test_contract() -> None:
    verifyObject(IConnection, Side().inflating)


@pytest.mark.parametrize("flush", [zlib.Z_SYNC_FLUSH, zlib.Z_PARTIAL_FLUSH, zlib.Z_FULL_FLUSH, zlib.Z_BLOCK])
@pytest.mark.parametrize("bytewise", [False, True])
def test_each_line_is_read_as_soon_as_it_was_flushed(flush: int, bytewise: bool) -> None:
    side = Side()
    for number in range(20):
        data = side.stream.compress(b"line %d\n" % number) + side.stream.flush(flush)
        for piece in [data[at : at + 1] for at in range(len(data))] if bytewise else [data]:
            side.send(piece)
        if flush != zlib.Z_BLOCK:  # after it up to seven bits wait for the next
            assert side.events[-1] == b"line %d" % number
    assert not side.damaged and side.turns() == 0 and side.inflating.buffered == 0


def test_empty_blocks_are_nothing() -> None:
    side = Side()
    side.send((side.stream.flush(zlib.Z_SYNC_FLUSH) or b"\0\0\0\xff\xff") * 1000)
    side.send(b"\0\0\0\xff\xff" * 10_000)  # stored blocks of no octet
    side.turns()
    side.send(side.stream.compress(b"there\n") + side.stream.flush(zlib.Z_SYNC_FLUSH))
    assert side.events == [b"there"] and not side.damaged


def test_little_that_stands_for_much_is_given_by_the_piece() -> None:
    side = Side()
    line = b"x" * 99 + b"\n"
    size = 40 * PIECE
    data = side.stream.compress(line * (size // 100)) + side.stream.flush(zlib.Z_SYNC_FLUSH)
    assert len(data) < FED
    side.send(data)
    assert len(side.events) <= PIECE // 100, "more than a piece in one turn"
    most = 0
    while side.inflating.resting:
        before = len(side.events)
        side.clock.advance()
        most = max(most, len(side.events) - before)
    assert most <= PIECE // 100 + 1
    assert len(side.events) == size // 100 and set(side.events) == {line[:-1]}


def test_what_is_left_in_the_stream_comes_without_more_input() -> None:
    for beyond in range(0, 300, 7):
        side = Side()
        size = PIECE + beyond
        side.send(side.stream.compress(b"x" * size + b"\n") + side.stream.flush(zlib.Z_SYNC_FLUSH))
        side.turns()
        assert side.events == [b"x" * size]


def test_what_is_left_in_the_stream_comes_though_the_end_of_what_was_flushed_is_on_its_way() -> None:
    for beyond in range(0, 300, 7):
        for missing in range(7):
            side = Side()
            data = side.stream.compress(b"x" * (PIECE + beyond)) + side.stream.flush(zlib.Z_SYNC_FLUSH)
            data = data[: len(data) - missing]
            side.send(data)
            side.turns()
            assert side.inner.buffered == len(zlib.decompressobj(-15).decompress(data))


def test_no_piece_while_the_connection_has_events() -> None:
    side = Side()
    side.inflating.receive_data(side.stream.compress(b"x\n" * PIECE * 8) + side.stream.flush(zlib.Z_SYNC_FLUSH))
    assert side.inflating.next_event() == b"x"
    side.clock.advance()  # the next turn; nobody asks
    assert side.inner.buffered <= PIECE


def test_what_stands_behind_the_end_of_the_stream_or_is_no_stream_is_said_once() -> None:
    for data in (b"a NOOP\n" * 9, zlib.compress(b"with a header\n"), b"\xff" * 10):
        side = Side()
        side.send(data)
        side.turns()
        assert len(side.damaged) == 1, data
    side = Side()
    whole = side.stream.compress(b"bye\n") + side.stream.flush(zlib.Z_FINISH)
    side.send(whole)
    assert side.events == [b"bye"] and not side.damaged, "a client that ends its stream is told nothing"
    side.send(whole)
    assert len(side.damaged) == 1
    side = Side()
    side.send(whole + b"more")
    assert len(side.damaged) == 1


def compressed(**options: Any) -> Any:
    connected = Connected(**options)
    connected.heard()
    connected.pump.start_deflate(b"", lambda: connected.session.said.append("damaged"))
    assert connected.pump.compressed
    return connected


def test_the_pump_answers_compressed_a_flush_a_turn() -> None:
    connected = compressed()
    out, into = zlib.compressobj(1, zlib.DEFLATED, -15), zlib.decompressobj(-15)
    for lines in (b"a\n", b"b\nc\nd\n"):
        connected.pump.dataReceived(out.compress(lines) + out.flush(zlib.Z_SYNC_FLUSH))
        heard = connected.heard()
        assert heard.count(b"\0\0\xff\xff") == 1, "all answers of a turn leave behind one flush"
        assert into.decompress(heard) == lines.replace(b"\n", b"!\n")


def test_the_pump_stops_reading_over_much_that_is_compressed_and_ends_when_it_has_been_read() -> None:
    connected = compressed()
    out = zlib.compressobj(0, zlib.DEFLATED, -15)  # stored: as large as it is
    into = zlib.decompressobj(-15)
    count = HIGH_WATER // 50
    connected.pump.dataReceived(out.compress(b"y" * 99 + b"\n" * 1 + (b"z" * 99 + b"\n") * count) + out.flush())
    assert connected.transport.producerState == "producing"
    connected.pump.dataReceived(b"")
    assert connected.transport.producerState == "producing"
    connected.pump.readConnectionLost()
    assert not connected.pump.closed, "there are commands that were not read yet"
    for _ in range(count):
        connected.clock.advance(0)
    assert into.decompress(connected.heard()).count(b"!\n") == count + 1
    assert connected.pump.closed


def test_while_busy_compressed_input_is_bounded() -> None:
    from twisted.internet.defer import Deferred

    connected = compressed()
    connected.session.wait = wait = Deferred()
    out = zlib.compressobj(0, zlib.DEFLATED, -15)
    connected.pump.dataReceived(out.compress(b"a\n") + out.flush(zlib.Z_SYNC_FLUSH))
    connected.pump.dataReceived(b"\0\0\0\xff\xff" * (HIGH_WATER // 5 + 1))
    assert connected.transport.producerState == "paused"
    connected.session.wait = None
    wait.callback(None)
    for _ in range(20):
        connected.clock.advance(0)
    assert connected.transport.producerState == "producing"


def test_a_piece_goes_out_at_once_and_can_be_read_by_itself() -> None:
    deflating, into = Deflating(), zlib.decompressobj(-15)
    for data in (b"", b"a" * 100_000, b"b"):
        assert into.decompress(deflating.deflate(data)) == data


def test_much_output_is_compressed_a_piece_a_turn() -> None:
    connected, into = compressed(), zlib.decompressobj(-15)
    turns = Turns()
    connected.pump._clock = cast(Any, turns_of(connected.clock, turns))
    connected.pump.write(b"x" * LARGE)
    assert not connected.pump.full and not turns.calls
    assert into.decompress(connected.heard()) == b"x" * LARGE
    connected.pump.write(b"y" * (3 * LARGE + 1))
    for _ in range(3):
        assert connected.pump.full
        assert into.decompress(connected.heard()) == b"y" * LARGE
        turns.advance()
    assert not connected.pump.full and not turns.calls
    assert into.decompress(connected.heard()) == b"y"


def test_the_transport_is_not_given_more_than_it_takes() -> None:
    connected, into = compressed(), zlib.decompressobj(-15)
    turns = Turns()
    connected.pump._clock = cast(Any, turns_of(connected.clock, turns))
    connected.pump.write(b"x" * LARGE + b"y")
    connected.pump.pauseProducing()
    assert into.decompress(connected.heard()) == b"x" * LARGE
    turns.advance()
    assert connected.pump.full and not connected.heard()
    connected.pump.resumeProducing()
    assert not connected.pump.full and into.decompress(connected.heard()) == b"y"
    connected.pump.pauseProducing()
    connected.pump.write(b"z" * (MOST_UNSENT - 1))
    assert not connected.transport.aborted
    connected.pump.write(b"zz")
    assert connected.transport.aborted, "who reads no answers is cut off"


def test_the_last_words_are_said_behind_all_that_waits() -> None:
    connected, into = compressed(), zlib.decompressobj(-15)
    connected.pump.write(b"x" * LARGE * 3)
    connected.pump.write(b"bye")
    connected.pump.close()
    assert into.decompress(connected.heard()) == b"x" * LARGE * 3 + b"bye"


def turns_of(clock: Any, turns: Turns) -> Any:
    """Return a clock whose next turns are counted, and the rest as ever."""

    class Both:
        seconds = clock.seconds

        def callLater(self, seconds: float, call: Any, *arguments: Any) -> Any:
            return clock.callLater(seconds, call, *arguments) if seconds else turns.callLater(seconds, call)

    return Both()
