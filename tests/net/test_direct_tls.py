"""TLS whose records go to the socket at once: what the socket does not take, the transport keeps in order."""

from __future__ import annotations

import ssl
from typing import Any

import pytest
from test_pump import Echo, Lines, Socket
from twisted.internet.defer import Deferred
from twisted.internet.task import Clock

from mailnode.net.listeners import ImplicitTlsFactory
from mailnode.net.pump import GATHERED, HIGH_WATER, Pump
from mailnode.net.self_signed import write_self_signed
from mailnode.net.tls import CertificateStore, ListenerTls

NOW = 1.8e9
PLENTY = 100 * GATHERED


class Wire(Socket):
    """A transport over a socket, with the producer's part of Twisted's own."""

    producerPaused = False
    connected = True

    def everything(self) -> bytes:
        """What has left so far, the transport's buffer last."""
        octets = b"".join(self.taken) + self.value()
        self.taken.clear()
        self.clear()
        return octets


class Client:
    """The other end, in memory."""

    def __init__(self) -> None:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
        self.incoming, self.outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
        self.tls = context.wrap_bio(self.incoming, self.outgoing)

    def take(self, octets: bytes) -> bytes:
        """Return what the octets say."""
        self.incoming.write(octets)
        said = b""
        while True:
            try:
                piece = self.tls.read(1 << 20)
            except ssl.SSLWantReadError:
                return said
            if not piece:
                return said
            said += piece

    def shake(self, server: Any, wire: Wire) -> None:
        """Do the handshake."""
        for _ in range(10):
            try:
                self.tls.do_handshake()
                done = True
            except ssl.SSLWantReadError:
                done = False
            if self.outgoing.pending:
                server.dataReceived(self.outgoing.read())
            if done:
                return
            self.incoming.write(wire.everything())
        raise AssertionError("no handshake")

    def say(self, octets: bytes) -> bytes:
        """Return the records of some octets."""
        self.tls.write(octets)
        return self.outgoing.read()


@pytest.fixture
def connected(tmp_path: Any) -> Any:
    """A function that returns a pump behind TLS, the TLS protocol, its transport, and the client."""
    files = tmp_path / "cert.pem", tmp_path / "key.pem"
    write_self_signed(*files, ("a.example",), NOW)
    clock = Clock()
    clock.advance(NOW)
    store = CertificateStore([files], clock)
    store.load()

    def connect() -> tuple[Pump, Any, Wire, Client]:
        pump = Pump("test", Lines(), Echo, clock, implicit_tls=True)

        class Behind:
            def buildProtocol(self, addr: object) -> Pump:
                return pump

        server: Any = ImplicitTlsFactory(ListenerTls(store), False, Behind(), clock).buildProtocol(None)
        wire, client = Wire(), Client()
        wire.room = PLENTY
        server.makeConnection(wire)
        client.shake(server, wire)
        assert client.take(wire.everything()) == b"hello\n"
        return pump, server, wire, client

    return connect


def test_an_answer_goes_to_the_socket_within_its_turn(connected: Any) -> None:
    _, server, wire, client = connected()
    server.dataReceived(client.say(b"a\nb\n"))
    assert len(wire.taken) == 1 and wire.value() == b""
    assert client.take(wire.everything()) == b"a!\nb!\n"


def test_an_answer_of_many_records_goes_in_one_piece(connected: Any) -> None:
    pump, _, wire, client = connected()
    pump.write(b"x" * GATHERED)
    assert len(wire.taken) == 1 and wire.value() == b""
    assert client.take(wire.everything()) == b"x" * GATHERED


def test_what_the_socket_does_not_take_is_the_transports_until_it_has_sent_all(connected: Any) -> None:
    pump, _, wire, client = connected()
    wire.room = 10
    pump.write(b"a" * 100)
    wire.room = PLENTY
    pump.write(b"b" * 100)
    assert b"".join(wire.taken) == wire.taken[0] and len(wire.taken[0]) == 10 and wire.value() != b""
    assert client.take(wire.everything()) == b"a" * 100 + b"b" * 100
    assert wire.producerPaused  # else the transport would not tell when it has sent so little
    wire.producer.resumeProducing()
    pump.write(b"c" * 100)
    assert wire.value() == b""
    assert client.take(wire.everything()) == b"c" * 100


def test_a_full_transport_holds_the_session_up(connected: Any) -> None:
    pump, _, wire, _ = connected()
    wire.producer.pauseProducing()
    waiting = pump.drain().send(None)
    assert not waiting.called
    wire.producer.resumeProducing()
    assert waiting.called


def test_to_stop_reading_is_not_to_have_a_full_output(connected: Any) -> None:
    pump, server, wire, client = connected()
    pump._session.wait = wait = Deferred()
    server.dataReceived(client.say(b"a\n"))
    for _ in range(2):
        server.dataReceived(client.say(b"x" * HIGH_WATER))
    assert wire.producerState == "paused"
    waiting = pump.drain()
    with pytest.raises(StopIteration):
        waiting.send(None)
    wire.producer.pauseProducing()
    wire.producer.resumeProducing()
    assert wire.producerState == "paused"  # the output has room again; the input still waits to be handled
    server.dataReceived(client.say(b"\n"))
    pump._session.wait = None
    wire.producer.pauseProducing()
    wait.callback(None)
    assert wire.producerState == "paused"
    assert not pump.drain().send(None).called
    wire.producer.resumeProducing()
    assert wire.producerState == "producing"
    assert client.take(wire.everything()) == b"a!\n" + 2 * HIGH_WATER * b"x" + b"!\n"


def test_a_socket_that_fails_is_left_to_the_transport(connected: Any) -> None:
    pump, _, wire, _ = connected()
    wire.room = None
    pump.write(b"a")
    assert wire.taken == [] and wire.value() != b""


def test_nothing_touches_the_socket_after_the_connection(connected: Any) -> None:
    pump, server, wire, client = connected()
    server.dataReceived(client.say(b"a\n"))
    wire.everything()
    server.connectionLost()
    pump.write(b"b")
    assert wire.taken == []


def test_close_sends_last_words_and_the_farewell(connected: Any) -> None:
    _, server, wire, client = connected()
    server.dataReceived(client.say(b"quit\n"))
    assert client.take(wire.everything()) == b"quit!\n"
    client.tls.unwrap()  # returns because the server's farewell was among what came
    server.dataReceived(client.outgoing.read())
    assert wire.disconnecting
