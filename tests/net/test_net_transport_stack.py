"""One contract for everything a pump may stand on: a socket, STARTTLS, TLS from the first octet, each with the PROXY protocol
before it or not. Real sockets, and a client that reads when it is told to."""

from __future__ import annotations

import hashlib
import socket
from collections.abc import Callable
from ipaddress import ip_network
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from test_pump import Lines
from twisted.internet import reactor as the_reactor
from twisted.internet.defer import Deferred
from twisted.internet.endpoints import TCP4ClientEndpoint
from twisted.internet.interfaces import IHandshakeListener
from twisted.internet.protocol import Factory, Protocol, connectionDone
from twisted.internet.ssl import CertificateOptions
from twisted.internet.task import Clock
from twisted.python.failure import Failure
from twisted.trial.unittest import TestCase
from zope.interface import implementer

from mailnode.interfaces.wire import ISession
from mailnode.net.listeners import Listener
from mailnode.net.pump import HIGH_WATER, Pump
from mailnode.net.pump_factory import PumpFactory
from mailnode.net.self_signed import write_self_signed
from mailnode.net.tls import CertificateStore, ListenerTls
from mailnode.values.client_names import NO_NAMES

reactor: Any = the_reactor
READ = 64 * 1024  # what Twisted takes from a socket at once
LINE = b"x" * 9_999 + b"\n"
TURNS = 30  # of the reactor, in which something would happen if it could


async def turn(seconds: float = 0) -> None:
    """Let the reactor go round once."""
    waiting: Deferred[None] = Deferred()
    reactor.callLater(seconds, waiting.callback, None)
    await waiting


async def until(condition: Callable[[], Any]) -> None:
    """Wait for something that other sockets bring about; the test has its timeout."""
    while not condition():
        await turn(0.001)


@implementer(ISession)
class Session:
    """Answers a line with its length; ``push N`` with N octets, ``echo`` lines with themselves; ``hold`` holds it up."""

    def __init__(self, channel: Any) -> None:
        self.channel = channel
        self.hold: Deferred[None] | None = None
        self.echoes = False
        self.digest = hashlib.sha256()
        self.said: list[str] = []

    async def opened(self) -> None:
        self.channel.set_timeout(1000)
        self.channel.write(b"hello\n")

    async def handle(self, event: bytes) -> None:
        if self.hold is not None:
            await self.hold
        if event == b"starttls":
            self.channel.write(b"go\n")
            self.channel.start_tls()
        elif event == b"quit":
            self.channel.write(b"bye\n")
            self.channel.close()
        elif event.startswith(b"push "):
            for _ in range(int(event[5:]) // len(LINE)):
                self.channel.write(LINE)
                await self.channel.drain()
        elif self.echoes:
            self.digest.update(event)
            self.channel.write(event + b"\n")
            if self.digest.digest()[0] % 4 == 0:
                await turn()
        else:
            self.channel.write(b"%d\n" % len(event))

    def failed(self) -> None:
        self.said.append("failed")
        self.channel.abort()

    def timed_out(self) -> None:
        self.said.append("timed out")

    def draining(self) -> None:
        self.said.append("draining")

    def lost(self) -> None:
        self.said.append("lost")


class Pumps(PumpFactory):
    def __init__(self, tls: str, start_tls: Any) -> None:
        super().__init__(b"", 100, 100)
        self.made: list[Pump] = []
        self.clock = Clock()
        self._arguments = {"implicit_tls": tls == "implicit", "start_tls": start_tls if tls == "starttls" else None}

    def make_pump(self, host: str) -> Pump:
        pump = Pump("test", Lines(), Session, self.clock, on_close=self.closed, **self._arguments)
        self.made.append(pump)
        return pump


@implementer(IHandshakeListener)
class Client(Protocol):
    def __init__(self) -> None:
        self.heard = bytearray()
        self.secure = self.lost = False

    def dataReceived(self, data: bytes) -> None:
        self.heard += data

    def handshakeCompleted(self) -> None:
        self.secure = True

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        self.lost = True

    @property
    def wire(self) -> Any:
        return self.transport

    def start_tls(self) -> None:
        self.wire.startTLS(CertificateOptions())


class Contract:
    """The tests; ``tls`` and ``proxy`` say over what."""

    tls = "none"
    proxy = False
    timeout = 30

    async def connect(self: Any) -> tuple[Pump, Any, Client]:
        """Return a connection's pump, session and client, once they have greeted."""
        with TemporaryDirectory() as folder:
            files = Path(folder, "cert.pem"), Path(folder, "key.pem")
            write_self_signed(*files, ("a.example",), reactor.seconds())
            store = CertificateStore([files], reactor)
            store.load()
        tls = ListenerTls(store)
        factory = Pumps(self.tls, tls.start_tls)
        endpoint = "haproxy:" * self.proxy + "tcp:0:interface=127.0.0.1"
        listener = Listener(reactor, "listener[0]", "test", endpoint, self.tls, tls, [ip_network("127.0.0.1")])
        await listener.bind()
        self.addCleanup(listener.close)
        listener.accept(factory)
        client = Client()
        self.addCleanup(self.end, factory, client)
        address: Any = listener.address
        await TCP4ClientEndpoint(reactor, "127.0.0.1", address.port).connect(
            Factory.forProtocol(lambda: client)  # type: ignore[arg-type]
        )
        if self.proxy:
            client.wire.write(b"PROXY TCP4 192.0.2.7 192.0.2.1 999 25\r\n")
        if self.tls == "implicit":
            client.start_tls()
        await until(lambda: client.heard == b"hello\n")
        if self.tls == "starttls":
            client.wire.write(b"starttls\n")
            await until(lambda: client.heard == b"hello\ngo\n")
            client.start_tls()
            await until(lambda: client.secure and factory.made[0].secure)
        client.heard.clear()
        [pump] = factory.made
        assert pump.secure == (self.tls != "none") and pump.peer == ("192.0.2.7" if self.proxy else "127.0.0.1")
        return pump, pump._session, client

    async def end(self, factory: Pumps, client: Client) -> None:
        client.wire.abortConnection()
        await until(lambda: client.lost and not factory.pumps)
        assert [call for call in factory.clock.getDelayedCalls() if call.active()] == []
        assert factory.made[0]._session is None

    async def test_a_login_can_be_bound_to_the_clients_own_tls(self: Any) -> None:
        pump, _, client = await self.connect()
        bindings = pump.tls_bindings()
        if self.tls == "none" or self.proxy:
            self.assertEqual(bindings, {})
        else:
            handle = client.wire.getHandle()
            certificate = handle.get_peer_certificate(as_cryptography=True)
            self.assertEqual(
                bindings,
                {
                    "tls-exporter": handle.export_keying_material(b"EXPORTER-Channel-Binding", 32, b""),
                    "tls-server-end-point": certificate.fingerprint(certificate.signature_hash_algorithm),
                },
            )
        self.assertEqual(pump.certificate_names(), NO_NAMES)

    async def test_input_that_is_not_handled_stays_with_the_client(self) -> None:
        pump, session, client = await self.connect()
        session.hold = hold = Deferred()
        client.wire.write(LINE * 800)
        await until(lambda: not pump._reading)
        before = pump._bytes_in
        for _ in range(TURNS):
            await turn()
        assert pump._bytes_in == before and pump._connection.buffered <= HIGH_WATER + READ
        assert not pump.full
        session.hold = None
        hold.callback(None)
        await until(lambda: client.heard.count(b"9999\n") == 800)
        assert pump._reading

    async def test_output_that_is_not_read_stays_with_the_session(self) -> None:
        pump, _, client = await self.connect()
        client.wire.pauseProducing()
        client.wire.write(b"push 16000000\n")
        await until(lambda: pump.full)
        for _ in range(TURNS):
            await turn()
        # The kernel keeps a few MB for either side.
        assert pump.full and pump._bytes_out < 14_000_000 and pump._reading
        client.wire.resumeProducing()
        await until(lambda: len(client.heard) == 16_000_000)
        assert bytes(client.heard) == LINE * 1600 and not pump.full

    async def test_output_is_full_while_input_is_held(self) -> None:
        pump, _, client = await self.connect()
        client.wire.pauseProducing()
        client.wire.write(b"push 16000000\n" + LINE * 300)
        await until(lambda: pump.full and not pump._reading)
        before = pump._bytes_in
        for _ in range(TURNS):
            await turn()
        assert pump._bytes_in == before and pump._connection.buffered <= HIGH_WATER + READ
        client.wire.resumeProducing()
        await until(lambda: client.heard.endswith(b"9999\n") and client.heard.count(b"9999\n") == 300)
        assert len(client.heard) == 16_000_000 + 300 * 5 and pump._reading and not pump.full

    async def test_flow_stops_and_goes_on_both_ways_in_the_middle_of_everything(self) -> None:
        _, session, client = await self.connect()
        session.echoes = True
        lines = [b"%d " % number * 2_000 for number in range(300)]
        client.wire.write(b"\n".join(lines) + b"\n")
        expected = sum(len(line) + 1 for line in lines)
        stopped = False
        while len(client.heard) < expected:
            (client.wire.resumeProducing if stopped else client.wire.pauseProducing)()
            stopped = not stopped
            await turn(0.001)
        assert bytes(client.heard) == b"\n".join(lines) + b"\n"
        assert session.digest.digest() == hashlib.sha256(b"".join(lines)).digest()

    async def test_a_client_that_ends_without_a_word(self) -> None:
        """It closes its side of the socket; TLS would say so first, and most clients do not."""
        pump, session, client = await self.connect()
        client.wire.write(b"a\n")
        await until(lambda: client.heard == b"1\n")
        client.wire.socket.shutdown(socket.SHUT_WR)
        await until(lambda: session.said == ["lost"])
        assert pump.closed
        await until(lambda: client.lost)

    async def test_a_client_that_ends_while_its_command_is_under_way(self) -> None:
        pump, session, client = await self.connect()
        session.hold = hold = Deferred()
        client.wire.write(b"a\n")
        await until(lambda: pump._busy)
        client.wire.socket.shutdown(socket.SHUT_WR)
        await until(lambda: pump._eof or pump.closed)
        session.hold = None
        hold.callback(None)
        await until(lambda: session.said == ["lost"])
        # Without TLS half a connection can be closed, and the answer is owed.
        assert client.heard == (b"1\n" if self.tls == "none" else b"")

    async def test_a_client_that_takes_its_leave(self) -> None:
        _, session, client = await self.connect()
        client.wire.loseConnection()
        await until(lambda: session.said == ["lost"])

    async def test_a_client_that_breaks_off_in_full_flow(self) -> None:
        pump, session, client = await self.connect()
        client.wire.pauseProducing()
        client.wire.write(b"push 16000000\n" + LINE * 300)
        await until(lambda: pump.full and not pump._reading)
        client.wire.abortConnection()
        # Nothing is read from it, and what is written meets the end.
        await until(lambda: session.said == ["lost"])

    async def test_the_server_breaks_off_in_full_flow(self) -> None:
        pump, session, client = await self.connect()
        client.wire.pauseProducing()
        client.wire.write(b"push 16000000\n" + LINE * 300)
        await until(lambda: pump.full and not pump._reading)
        pump.abort()
        await until(lambda: session.said == ["lost"])
        client.wire.resumeProducing()
        await until(lambda: client.lost)

    async def test_last_words_reach_a_client_that_talks_on(self) -> None:
        pump, session, client = await self.connect()
        client.wire.write(b"quit\n" + LINE * 200)
        await until(lambda: pump.closed)
        await until(lambda: client.heard == b"bye\n")
        await until(lambda: session.said == ["lost"])

    async def test_last_words_wait_for_a_client_that_reads_late(self) -> None:
        pump, session, client = await self.connect()
        client.wire.pauseProducing()
        client.wire.write(b"push 16000000\nquit\n")
        await until(lambda: pump.full)
        client.wire.resumeProducing()
        await until(lambda: client.heard.endswith(b"bye\n"))
        assert len(client.heard) == 16_000_004
        await until(lambda: session.said == ["lost"])


class TestSocket(Contract, TestCase):
    tls = "none"


class TestStartTls(Contract, TestCase):
    tls = "starttls"


class TestImplicitTls(Contract, TestCase):
    tls = "implicit"


class TestProxied(Contract, TestCase):
    proxy = True


class TestProxiedStartTls(Contract, TestCase):
    tls, proxy = "starttls", True


class TestProxiedImplicitTls(Contract, TestCase):
    tls, proxy = "implicit", True
