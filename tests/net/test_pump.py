"""The pump: order, back-pressure both ways, timeouts, half-closed connections, and the end in every state."""

from __future__ import annotations

from ipaddress import ip_network
from typing import Any, cast

import pytest
from twisted.internet.defer import Deferred
from twisted.internet.endpoints import TCP4ClientEndpoint, TCP4ServerEndpoint
from twisted.internet.error import ConnectionDone, ConnectionLost
from twisted.internet.interfaces import IHalfCloseableProtocol, ISSLTransport
from twisted.internet.protocol import Factory, Protocol, connectionDone
from twisted.internet.task import Clock
from twisted.internet.testing import StringTransport
from twisted.python.failure import Failure
from twisted.trial.unittest import TestCase
from zope.interface import directlyProvides, implementer
from zope.interface.verify import verifyObject

from mailnode.interfaces.wire import IChannel, IConnection, ISession
from mailnode.net.proxy import LateProxyFactory
from mailnode.net.pump import (
    BUSY_SECONDS,
    DRAIN_FLUSH_SECONDS,
    FLUSH_SECONDS,
    GATHERED,
    HANDSHAKE_SECONDS,
    HIGH_WATER,
    LINGER_OCTETS,
    LINGER_SECONDS,
    MOST_UNSENT,
    TURN_SECONDS,
    Pump,
)
from mailnode.values.wire import NEED_DATA


@implementer(IConnection)
class Lines:
    """Events are lines."""

    def __init__(self) -> None:
        self._buffer = b""
        self.eof = False
        self.tls = 0
        self.handled = 0

    @property
    def buffered(self) -> int:
        return len(self._buffer)

    @property
    def begun(self) -> int | None:
        return self.handled if self._buffer else None

    def receive_data(self, data: bytes) -> None:
        self._buffer += data

    def receive_eof(self) -> None:
        self.eof = True

    def next_event(self) -> Any:
        line, end, rest = self._buffer.partition(b"\n")
        if not end:
            return NEED_DATA
        self._buffer = rest
        self.handled += 1
        return line

    def tls_started(self) -> None:
        self.tls += 1
        self._buffer = b""


@implementer(ISession)
class Echo:
    """Answers each line; ``wait`` holds the answer to it."""

    def __init__(self, channel: Any) -> None:
        self.channel = channel
        self.wait: Deferred[None] | None = None
        self.drains = False
        self.said: list[str] = []
        self.raises_in_failed = False
        self.stays = False
        self.write_at_once = False  # what a session does that has more to say than is gathered in a turn

    async def opened(self) -> None:
        self.channel.set_timeout(100)
        self.channel.write(b"hello\n")

    async def handle(self, event: bytes) -> None:
        if event == b"break":
            raise ZeroDivisionError
        if self.wait is not None:
            await self.wait
        self.channel.write(event + b"!\n")
        if self.write_at_once:
            self.channel._push()
        if event == b"quit":
            self.channel.close()
        if self.drains:
            await self.channel.drain()
            self.said.append("drained")

    def failed(self) -> None:
        self.said.append("failed")
        if self.raises_in_failed:
            raise ValueError
        self.channel.write(b"trouble\n")
        self.channel.close()

    def timed_out(self) -> None:
        self.said.append("timed out")
        if not self.stays:
            self.channel.close()

    def draining(self) -> None:
        self.said.append("draining")

    def lost(self) -> None:
        self.said.append("lost")


class Transport(StringTransport):
    """A StringTransport that does not end by itself."""

    aborted = False

    def abortConnection(self) -> None:
        self.aborted = True


class Connected:
    def __init__(self, **options: Any) -> None:
        self.clock = Clock()
        self.connection = Lines()
        self.sessions: list[Echo] = []
        self.closed: list[Pump] = []
        self.pump = Pump("test", self.connection, self.make_session, self.clock, on_close=self.closed.append, **options)
        self.transport = Transport()
        self.pump.makeConnection(self.transport)

    def make_session(self, channel: Any) -> Echo:
        self.sessions.append(Echo(channel))
        return self.sessions[-1]

    @property
    def session(self) -> Echo:
        return self.sessions[0]

    def heard(self) -> bytes:
        value = self.transport.value()
        self.transport.clear()
        return value

    def lose(self) -> None:
        self.pump.connectionLost(Failure(ConnectionDone()))


def test_contracts() -> None:
    connected = Connected()
    verifyObject(IChannel, connected.pump)
    verifyObject(IHalfCloseableProtocol, connected.pump)
    verifyObject(IConnection, connected.connection)
    verifyObject(ISession, connected.session)


def test_one_event_at_a_time_in_order() -> None:
    connected = Connected()
    connected.session.wait = wait = Deferred()
    connected.pump.dataReceived(b"a\nb\n")
    connected.pump.dataReceived(b"c\n")
    assert connected.heard() == b"hello\n"
    connected.session.wait = None
    wait.callback(None)
    assert connected.heard() == b"a!\nb!\nc!\n"


def test_input_stops_while_much_waits_and_goes_on_after() -> None:
    connected = Connected()
    connected.session.wait = wait = Deferred()
    connected.pump.dataReceived(b"a\n")
    connected.pump.dataReceived(b"x" * HIGH_WATER)
    assert connected.transport.producerState == "producing"
    connected.pump.dataReceived(b"x\n")
    assert connected.transport.producerState == "paused"
    connected.session.wait = None
    wait.callback(None)
    assert connected.transport.producerState == "producing"


def filling(connected: Connected, octets: bytes = b"full!\n") -> None:
    """Have the transport's buffer full as soon as it gets these octets."""
    write = connected.transport.write

    def write_and_tell(data: bytes) -> None:
        write(data)
        if octets in data:
            connected.pump.pauseProducing()

    connected.transport.write = write_and_tell  # type: ignore[method-assign]


def test_output_waits_for_the_transport() -> None:
    connected = Connected()
    connected.session.drains = True
    connected.session.write_at_once = True
    filling(connected)
    connected.pump.dataReceived(b"full\nb\n")
    assert connected.heard() == b"hello\nfull!\n" and connected.session.said == []
    connected.pump.resumeProducing()
    assert connected.heard() == b"b!\n"
    assert connected.session.said == ["drained", "drained"]


def test_the_next_event_waits_for_room_whatever_the_session_does() -> None:
    connected = Connected()
    filling(connected)
    connected.pump.dataReceived(b"full\n")
    connected.pump.dataReceived(b"b\nc\n")
    connected.pump.wake()
    assert connected.heard() == b"hello\nfull!\n"
    connected.pump.resumeProducing()
    assert connected.heard() == b"b!\nc!\n"


def test_who_sends_many_events_at_once_gives_way_to_others() -> None:
    connected = Connected()
    handle = connected.session.handle

    async def take_time(event: bytes) -> None:
        await handle(event)
        connected.clock.rightNow += TURN_SECONDS * 0.6  # type: ignore[attr-defined]

    connected.session.handle = take_time  # type: ignore[method-assign]
    connected.pump.dataReceived(b"a\nb\nc\nd\ne\n")
    assert connected.heard() == b"hello\na!\nb!\n"
    connected.pump.dataReceived(b"f\n")
    connected.pump.readConnectionLost()
    assert connected.heard() == b"" and not connected.transport.disconnecting
    others: list[bytes] = []
    connected.clock.callLater(0, lambda: others.append(connected.heard()))
    connected.clock.advance(0)
    assert others == [b"c!\nd!\n"]
    assert connected.heard() == b"e!\nf!\n" and connected.transport.disconnecting


def test_input_stops_while_the_output_is_full() -> None:
    connected = Connected()
    connected.pump.pauseProducing()
    connected.pump.dataReceived(b"x" * HIGH_WATER)
    assert connected.transport.producerState == "producing"
    connected.pump.dataReceived(b"x\n")
    assert connected.transport.producerState == "paused"
    connected.pump.resumeProducing()
    assert connected.transport.producerState == "producing"


def test_what_is_no_event_yet_is_read_on_however_long_it_is() -> None:
    connected = Connected()
    connected.pump.pauseProducing()
    connected.pump.dataReceived(b"x" * (HIGH_WATER + 1))
    assert connected.transport.producerState == "paused"
    connected.pump.resumeProducing()
    assert connected.transport.producerState == "producing"


def test_what_came_before_the_end_is_answered_when_there_is_room() -> None:
    connected = Connected()
    connected.pump.pauseProducing()
    connected.pump.dataReceived(b"a\nb\n")
    connected.pump.readConnectionLost()
    assert not connected.transport.disconnecting
    connected.pump.resumeProducing()
    assert connected.heard() == b"hello\na!\nb!\n" and connected.transport.disconnecting


def test_who_writes_on_though_the_output_is_full_is_cut_off() -> None:
    connected = Connected()
    connected.pump.pauseProducing()
    for _ in range(MOST_UNSENT // GATHERED):
        connected.pump.write(b"x" * GATHERED)
    assert not connected.transport.aborted
    connected.pump.write(b"x")
    assert connected.transport.aborted


def test_what_is_written_counts_anew_when_the_output_has_left() -> None:
    connected = Connected()
    for _ in range(2):
        connected.pump.pauseProducing()
        connected.pump.write(b"x" * MOST_UNSENT)
        connected.pump.resumeProducing()
    assert not connected.transport.aborted


def test_a_peer_that_does_not_read_is_given_up() -> None:
    connected = Connected()
    connected.session.drains = True
    connected.session.write_at_once = True
    filling(connected)
    connected.pump.dataReceived(b"full\n")
    connected.clock.advance(50)
    connected.pump.dataReceived(b"b\n")  # talking is not reading
    connected.clock.advance(49)
    assert connected.session.said == []
    connected.clock.advance(2)
    assert connected.session.said == ["timed out", "drained"]
    connected.clock.advance(31)
    assert connected.transport.aborted


def test_a_session_that_cannot_say_good_bye_to_who_does_not_read_is_broken_off() -> None:
    connected = Connected()
    connected.session.drains = connected.session.stays = connected.session.write_at_once = True
    filling(connected)
    connected.pump.dataReceived(b"full\n")
    connected.clock.advance(101)
    assert connected.session.said == ["timed out"] and connected.transport.aborted


def test_silence_is_counted_from_the_last_input_or_answer() -> None:
    connected = Connected()
    for _ in range(5):
        connected.clock.advance(99)
        connected.pump.dataReceived(b"a\n")
    connected.clock.advance(99)
    connected.pump.dataReceived(b"half")
    connected.clock.advance(99)
    assert connected.session.said == []
    connected.clock.advance(1)
    assert connected.session.said == ["timed out"]
    assert connected.transport.disconnecting


def test_no_timeout_while_an_event_is_handled() -> None:
    connected = Connected()
    connected.session.wait = wait = Deferred()
    connected.pump.dataReceived(b"a\n")
    connected.clock.advance(1000)
    assert connected.session.said == []
    wait.callback(None)
    connected.clock.advance(99)
    assert connected.session.said == []
    connected.clock.advance(1)
    assert connected.session.said == ["timed out"]


@pytest.mark.parametrize("seconds", [10, 1000])
def test_a_changed_timeout_holds_at_once(seconds: int) -> None:
    connected = Connected()
    connected.pump.set_timeout(seconds)
    connected.clock.advance(seconds - 1)
    assert connected.session.said == []
    connected.clock.advance(1)
    assert connected.session.said == ["timed out"]


def test_the_timer_is_set_rarely() -> None:
    connected = Connected()
    calls = []
    original = connected.clock.callLater
    connected.clock.callLater = lambda *args, **kwargs: (calls.append(args), original(*args, **kwargs))[1]  # type: ignore[method-assign]
    for _ in range(100):
        connected.pump.dataReceived(b"a\n")
    assert calls == []


def test_a_connection_that_does_not_close_is_aborted() -> None:
    connected = Connected()
    connected.pump.dataReceived(b"quit\n")
    assert connected.transport.disconnecting
    connected.clock.advance(29)
    assert not connected.transport.aborted
    connected.clock.advance(1)
    assert connected.transport.aborted


class HalfCloseable(Transport):
    """Closes one side alone, as TCP does; the test says when what was written has left."""

    half_closed = False

    def loseWriteConnection(self) -> None:
        self.half_closed = True


def half_closed(monkeypatch: Any, octets: bytes = b"quit\n") -> Connected:
    monkeypatch.setitem(Connected.__init__.__globals__, "Transport", HalfCloseable)
    connected = Connected()
    connected.pump.dataReceived(octets)
    assert connected.transport.half_closed and not connected.transport.disconnecting  # type: ignore[attr-defined]
    return connected


def test_the_peer_has_a_moment_to_take_our_last_words(monkeypatch: Any) -> None:
    connected = half_closed(monkeypatch)
    connected.clock.advance(20)  # it reads slowly
    connected.pump.writeConnectionLost()
    connected.clock.advance(LINGER_SECONDS - 0.1)
    assert not connected.transport.disconnecting
    connected.clock.advance(0.1)
    assert connected.transport.disconnecting and not connected.transport.aborted


def test_a_peer_that_closes_too_is_not_waited_for(monkeypatch: Any) -> None:
    connected = half_closed(monkeypatch)
    connected.pump.writeConnectionLost()
    connected.pump.readConnectionLost()
    assert connected.transport.disconnecting
    connected.lose()
    assert not connected.clock.getDelayedCalls()


def test_a_peer_that_talks_on_is_read_in_bounds(monkeypatch: Any) -> None:
    connected = half_closed(monkeypatch)
    for _ in range(LINGER_OCTETS // HIGH_WATER):
        connected.pump.dataReceived(b"x" * HIGH_WATER)
    assert not connected.transport.aborted and connected.connection.buffered == 0
    connected.pump.dataReceived(b"x")
    assert connected.transport.aborted


def test_a_peer_that_was_not_read_from_is_read_again_for_the_end(monkeypatch: Any) -> None:
    monkeypatch.setitem(Connected.__init__.__globals__, "Transport", HalfCloseable)
    connected = Connected()
    wait: Deferred[None] = Deferred()
    connected.session.wait = wait
    connected.pump.dataReceived(b"quit\n" + b"x" * HIGH_WATER)
    connected.pump.dataReceived(b"x\n")
    assert connected.transport.producerState == "paused"
    wait.callback(None)
    assert connected.transport.producerState == "producing"


def test_nothing_is_handled_or_written_after_close() -> None:
    connected = Connected()
    connected.pump.dataReceived(b"quit\na\n")
    connected.pump.dataReceived(b"b\n")
    connected.pump.write(b"late")
    assert connected.heard() == b"hello\nquit!\n"


def test_lost_is_told_once_and_leaves_no_timer() -> None:
    connected = Connected()
    connected.pump.dataReceived(b"quit\n")
    connected.lose()
    assert connected.session.said == ["lost"]
    assert connected.closed == [connected.pump]
    assert not connected.clock.getDelayedCalls()


def test_lost_while_handling_lets_the_event_finish() -> None:
    connected = Connected()
    connected.session.wait = wait = Deferred()
    connected.pump.dataReceived(b"a\nb\n")
    connected.lose()
    assert connected.session.said == ["lost"]
    connected.heard()
    wait.callback(None)
    assert connected.heard() == b""
    assert not connected.clock.getDelayedCalls()


def test_trouble_is_told_to_the_session() -> None:
    connected = Connected()
    connected.pump.dataReceived(b"break\na\n")
    assert connected.heard() == b"hello\ntrouble\n"
    assert connected.transport.disconnecting


def test_trouble_in_failed_aborts() -> None:
    connected = Connected()
    connected.session.raises_in_failed = True
    connected.pump.dataReceived(b"break\n")
    assert connected.transport.aborted


def test_half_closed_by_the_peer() -> None:
    """What came before the end is answered before the connection closes."""
    connected = Connected()
    connected.session.wait = wait = Deferred()
    connected.pump.dataReceived(b"a\nb\nhalf")
    connected.pump.readConnectionLost()
    assert connected.connection.eof
    assert not connected.transport.disconnecting
    connected.session.wait = None
    wait.callback(None)
    assert connected.heard() == b"hello\na!\nb!\n"
    assert connected.transport.disconnecting


def test_reading_does_not_begin_again_after_the_end() -> None:
    connected = Connected()
    connected.session.wait = wait = Deferred()
    connected.pump.dataReceived(b"a\n" + b"x" * HIGH_WATER)
    connected.pump.dataReceived(b"x\n")
    assert connected.transport.producerState == "paused"
    connected.pump.readConnectionLost()
    connected.session.wait = None
    wait.callback(None)
    assert connected.transport.producerState == "paused"
    assert connected.transport.disconnecting


def test_tls() -> None:
    begun: list[Any] = []
    connected = Connected(start_tls=begun.append)
    connected.pump.dataReceived(b"half")
    connected.pump.start_tls()
    assert begun == [connected.transport]
    connected.pump.handshakeCompleted()
    assert connected.pump.secure
    assert connected.connection.tls == 1
    connected.pump.dataReceived(b"a\n")
    assert connected.heard() == b"hello\na!\n"
    with pytest.raises(RuntimeError):
        Connected().pump.start_tls()


# SMTP trap 31: in a TLS handshake
def test_implicit_tls_greets_after_the_handshake_which_has_a_deadline() -> None:
    connected = Connected(implicit_tls=True)
    assert connected.heard() == b""
    connected.pump.handshakeCompleted()
    assert connected.heard() == b"hello\n"
    connected.clock.advance(99)
    assert connected.session.said == []
    slow = Connected(implicit_tls=True)
    slow.clock.advance(HANDSHAKE_SECONDS - 1)
    assert not slow.transport.aborted
    slow.clock.advance(1)
    assert slow.transport.aborted and slow.session.said == []


def test_a_handshake_that_begins_later_has_a_deadline_too() -> None:
    for done in (True, False):
        connected = Connected(start_tls=lambda transport: None)
        connected.clock.advance(50)
        connected.pump.start_tls()
        connected.clock.advance(HANDSHAKE_SECONDS - 1)
        if done:
            connected.pump.handshakeCompleted()
        connected.clock.advance(1)
        assert connected.transport.aborted is not done


def test_what_was_full_before_tls_is_told_anew_by_tls() -> None:
    connected = Connected(start_tls=lambda transport: None)
    connected.pump.pauseProducing()
    connected.pump.start_tls()
    connected.pump.handshakeCompleted()
    connected.pump.dataReceived(b"a\n")
    assert connected.heard() == b"hello\na!\n"


def dripping(connected: Connected, seconds: int) -> None:
    for _ in range(seconds // 10):
        connected.clock.advance(10)
        connected.pump.dataReceived(b"a\n")


def test_a_deadline_passes_whatever_is_sent() -> None:
    connected = Connected(deadline=120)
    dripping(connected, 110)
    assert connected.session.said == []
    dripping(connected, 10)
    assert connected.session.said == ["timed out"] and connected.transport.disconnecting


def test_a_session_lifts_and_sets_its_deadline() -> None:
    connected = Connected(deadline=120)
    dripping(connected, 110)
    connected.pump.set_deadline(None)
    dripping(connected, 1000)
    connected.pump.set_deadline(30)
    dripping(connected, 20)
    assert connected.session.said == []
    dripping(connected, 10)
    assert connected.session.said == ["timed out"]


@pytest.mark.parametrize("lifted", [True, False])
def test_what_is_handled_at_the_deadline_is_answered_first(lifted: bool) -> None:
    connected = Connected(deadline=120)
    connected.session.wait = wait = Deferred()
    connected.clock.advance(90)
    connected.pump.dataReceived(b"a\n")
    connected.clock.advance(35)
    assert connected.session.said == []
    if lifted:
        connected.pump.set_deadline(None)
    wait.callback(None)
    assert connected.heard() == b"hello\na!\n"
    connected.clock.advance(BUSY_SECONDS)
    assert connected.session.said == ([] if lifted else ["timed out"])
    connected.lose()
    assert not [call for call in connected.clock.getDelayedCalls() if call.active()]


def test_wake_and_draining() -> None:
    connected = Connected()
    connected.connection.receive_data(b"a\n")
    connected.pump.wake()
    assert connected.heard() == b"hello\na!\n"
    connected.pump.draining()
    assert connected.session.said == ["draining"]


def test_a_drained_peer_that_sleeps_is_not_waited_for() -> None:
    for drained, seconds in ((False, FLUSH_SECONDS), (True, DRAIN_FLUSH_SECONDS)):
        connected = Connected()
        if drained:
            connected.pump.draining()
        connected.pump.close()
        connected.clock.advance(seconds - 0.1)
        assert not connected.transport.aborted
        connected.clock.advance(0.1)
        assert connected.transport.aborted


class HalfCloser(Protocol):
    """Sends all it has to say with the end behind it, as ``printf | nc`` does, and gathers the answers."""

    def __init__(self, octets: bytes) -> None:
        self.octets = octets
        self.heard = b""
        self.done: Deferred[bytes] = Deferred()

    def connectionMade(self) -> None:
        transport: Any = self.transport
        transport.write(self.octets)
        transport.loseWriteConnection()

    def dataReceived(self, data: bytes) -> None:
        self.heard += data

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        self.done.callback(self.heard)


class OnTcp(TestCase):
    """Over a real socket."""

    timeout = 60  # seconds; some of it is work, and machines are loaded

    async def _answers(self, octets: bytes, delay: float, behind_balancer: bool = False) -> bytes:
        from twisted.internet import reactor

        the_reactor: Any = reactor
        sessions: list[Echo] = []
        ended: Deferred[Pump] = Deferred()

        class PumpFactory(Factory):
            def buildProtocol(self, addr: object) -> Pump:
                return Pump("test", Lines(), make_session, the_reactor, on_close=ended.callback)

        def make_session(channel: Any) -> Echo:
            session = Echo(channel)
            sessions.append(session)
            if delay:
                session.wait = Deferred()
                the_reactor.callLater(delay, session.wait.callback, None)
            return session

        factory = (
            LateProxyFactory(PumpFactory(), the_reactor, [ip_network("127.0.0.1")])
            if behind_balancer
            else PumpFactory()
        )
        port = await TCP4ServerEndpoint(the_reactor, 0, interface="127.0.0.1").listen(factory)
        try:
            client = HalfCloser(octets)
            await TCP4ClientEndpoint(the_reactor, "127.0.0.1", port.getHost().port).connect(
                Factory.forProtocol(lambda: client)  # type: ignore[arg-type]
            )
            answers = await client.done
            await ended
            return answers
        finally:
            await port.stopListening()

    async def test_answers_after_the_end_of_input(self) -> None:
        self.assertEqual(await self._answers(b"a\nb\n", 0), b"hello\na!\nb!\n")

    async def test_behind_a_balancer(self) -> None:
        header = b"PROXY TCP4 192.0.2.7 192.0.2.1 999 25\r\n"
        self.assertEqual(await self._answers(header + b"a\nb\n", 0.05, True), b"hello\na!\nb!\n")
        self.assertEqual(await self._answers(header + b"quit\n" + b"x" * 3_000_000, 0, True), b"hello\nquit!\n")

    async def test_the_last_words_reach_a_client_that_talks_on(self) -> None:
        for _ in range(10):
            answers = await self._answers(b"quit\n" + b"x" * 3_000_000, 0)
            self.assertEqual(answers, b"hello\nquit!\n")

    async def test_more_than_the_socket_takes(self) -> None:
        """The client reads nothing until the server has had to wait."""
        from twisted.internet import reactor

        the_reactor: Any = reactor
        client = HalfCloser(b"".join(b"%04d" % number + b"x" * 10_000 + b"\n" for number in range(2000)))

        class Full(Pump):
            times = 0

            def pauseProducing(self) -> None:
                super().pauseProducing()
                Full.times += 1
                cast(Any, client.transport).resumeProducing()

        class Late(Factory):
            def buildProtocol(self, addr: object) -> Pump:
                return Full("test", Lines(), make_session, the_reactor)

        def make_session(channel: Any) -> Echo:
            session = Echo(channel)
            session.drains = True
            return session

        port = await TCP4ServerEndpoint(the_reactor, 0, interface="127.0.0.1").listen(Late())
        try:
            await TCP4ClientEndpoint(the_reactor, "127.0.0.1", port.getHost().port).connect(
                Factory.forProtocol(lambda: client)  # type: ignore[arg-type]
            )
            cast(Any, client.transport).pauseProducing()
            answers = await client.done
        finally:
            await port.stopListening()
        self.assertGreater(Full.times, 0)
        self.assertEqual(answers, b"hello\n" + client.octets.replace(b"\n", b"!\n"))

    async def test_answers_that_come_later(self) -> None:
        self.assertEqual(await self._answers(b"a\nb\nquit\n", 0.05), b"hello\na!\nb!\nquit!\n")


class Socket(Transport):
    """A transport over a socket that takes ``room`` octets; None: the connection is gone."""

    room: int | None = 1000

    def __init__(self) -> None:
        super().__init__()
        self.taken: list[bytes] = []

    def writeSomeData(self, data: bytes) -> int | Exception:
        if self.room is None:
            return ConnectionLost()
        taken = data[: self.room]
        self.room -= len(taken)
        if taken:
            self.taken.append(taken)
        return len(taken)


def over_socket(room: int | None = 1000, **options: Any) -> tuple[Any, Socket]:
    transport = Socket()
    transport.room = room
    pump = Pump("test", Lines(), Echo, Clock(), **options)
    pump.makeConnection(transport)
    return pump, transport


def test_replies_of_one_turn_go_to_the_socket_at_once_and_in_one_piece() -> None:
    pump, transport = over_socket()
    pump.dataReceived(b"a\nb\n")
    pump.dataReceived(b"half")
    pump.write(b"between turns\n")
    pump.dataReceived(b"\nquit\n")
    assert transport.taken == [b"hello\n", b"a!\nb!\n", b"between turns\n", b"half!\nquit!\n"]
    assert transport.value() == b"" and transport.disconnecting


def test_an_answer_that_comes_later_goes_to_the_socket_too() -> None:
    pump, transport = over_socket()
    wait: Deferred[None] = Deferred()
    pump._session.wait = wait
    pump.dataReceived(b"a\nb\n")
    assert transport.taken == [b"hello\n"]
    wait.callback(None)
    assert b"".join(transport.taken) == b"hello\na!\nb!\n"


def test_what_the_socket_does_not_take_is_the_transports_and_so_is_what_follows() -> None:
    pump, transport = over_socket(8)
    pump.dataReceived(b"a\n")
    transport.room = 1000
    pump.dataReceived(b"b\n")
    assert transport.taken == [b"hello\n", b"a!"] and transport.value() == b"\nb!\n"
    assert transport.producerPaused  # so that it says when that has left, though its buffer is not full
    pump.pauseProducing()
    pump.resumeProducing()  # nothing waits there any more
    pump.dataReceived(b"c\n")
    assert transport.taken[2:] == [b"c!\n"]


def test_a_socket_that_fails_is_left_to_the_transport() -> None:
    pump, transport = over_socket()
    transport.room = None
    pump.dataReceived(b"a\nb\n")
    assert transport.taken == [b"hello\n"] and transport.value() == b"a!\nb!\n"


def test_much_output_of_one_turn_does_not_wait_for_its_end() -> None:
    pump, transport = over_socket(10 * GATHERED)
    pump.dataReceived((b"x" * GATHERED + b"\n") * 3 + b"a\nb\n")
    assert [len(piece) for piece in transport.taken[1:]] == [GATHERED + 2] * 3 + [6]


def test_nothing_goes_past_tls() -> None:
    pump, transport = over_socket(implicit_tls=True)
    pump.handshakeCompleted()
    pump.dataReceived(b"a\n")
    assert transport.taken == [] and transport.value() == b"hello\na!\n"

    pump, transport = over_socket(start_tls=lambda transport: transport.write(b"<tls>"))
    pump.dataReceived(b"a\n")
    pump.start_tls()
    pump.handshakeCompleted()
    pump.pauseProducing()
    pump.resumeProducing()
    pump.dataReceived(b"b\n")
    assert transport.taken == [b"hello\n", b"a!\n"] and transport.value() == b"<tls>b!\n"

    transport = Socket()
    directlyProvides(transport, ISSLTransport)
    pump = Pump("test", Lines(), Echo, Clock())
    pump.makeConnection(transport)
    assert transport.taken == [] and transport.value() == b"hello\n"
