"""Listeners on real ports, and the PROXY protocol in memory."""

import os
import socket
import struct
from errno import EACCES, EADDRNOTAVAIL, EAFNOSUPPORT, EPERM
from ipaddress import ip_network
from pathlib import Path

from twisted.internet import reactor
from twisted.internet.address import IPv4Address, IPv6Address, UNIXAddress
from twisted.internet.defer import Deferred
from twisted.internet.error import CannotListenError, ConnectionDone
from twisted.internet.protocol import Factory, Protocol
from twisted.internet.task import Clock
from twisted.internet.testing import MemoryReactor, StringTransport
from twisted.internet.threads import deferToThread
from twisted.logger import globalLogPublisher
from twisted.python.failure import Failure
from twisted.trial.unittest import SynchronousTestCase, TestCase

from mailnode.errors import ConfigurationError
from mailnode.net.listeners import (
    NO_ADDRESS,
    NO_IPV6,
    PORT_DENIED,
    PORT_TAKEN,
    Listener,
    bind_all,
    own_addresses,
    wait_for_connections,
)
from mailnode.net.proxy import HEADER_TIMEOUT, LateProxyFactory

SOMAXCONN = int(Path("/proc/sys/net/core/somaxconn").read_text())


class Greeter(Protocol):
    def connectionMade(self):
        self.factory.live.append(self)
        self.transport.write(self.factory.greeting)

    def connectionLost(self, reason):
        self.factory.live.remove(self)
        if self.factory.gone is not None and not self.factory.live:
            self.factory.gone.callback(None)


class GreeterFactory(Factory):
    protocol = Greeter
    noisy = False

    def __init__(self, greeting=b"hello\n"):
        self.greeting = greeting
        self.live = []
        self.gone = None
        self.started = 0

    def doStart(self):
        self.started += 1

    def doStop(self):
        self.started -= 1

    @property
    def connections(self):
        return len(self.live)

    def draining(self):
        for protocol in self.live:
            protocol.transport.write(b"bye\n")
            protocol.transport.loseConnection()


def listener(endpoint="tcp:0:interface=127.0.0.1", index=0, tls="none", proxy_from="127.0.0.1"):
    return Listener(reactor, f"listener[{index}]", "smtp", endpoint, tls, proxy_from=[ip_network(proxy_from)])


def lines(port):
    """Connect and return everything that is said until the other side closes."""
    with socket.create_connection(("127.0.0.1", port), 20) as client:
        return client.makefile("rb").read()


def first_line(port):
    with socket.create_connection(("127.0.0.1", port), 20) as client:
        return client.makefile("rb").readline()


class ListenerTests(TestCase):
    """Real ports."""

    timeout = 30

    async def test_what_connects_before_it_accepts_is_served_then(self):
        one = listener()
        await one.bind()
        port = one.address.port
        with socket.create_connection(("127.0.0.1", port), 20) as early:
            early.settimeout(20)
            factory = GreeterFactory()
            one.accept(factory)
            assert await deferToThread(early.recv, 6) == b"hello\n"
            factory.gone = Deferred()
        await factory.gone
        await one.close()
        assert factory.started == 0

    async def test_all_or_none(self):
        with socket.create_server(("127.0.0.1", 0)) as taken:
            good = listener(index=0)
            bad = [listener(f"tcp:{taken.getsockname()[1]}:interface=127.0.0.1", index) for index in (1, 2)]
            with self.assertRaises(ConfigurationError) as caught:
                await bind_all([good, *bad])
        *mistakes, hint = caught.exception.mistakes
        assert [mistake.split(":")[0] for mistake in mistakes] == ["listener[1].endpoint", "listener[2].endpoint"]
        assert all(mistake.endswith("Address already in use") for mistake in mistakes)
        assert hint == PORT_TAKEN
        assert good.address is None

    async def test_what_may_help_is_said_once(self):
        class Denying(MemoryReactor):
            def listenTCP(self, port, factory, backlog=50, interface=""):
                raise CannotListenError(interface, port, OSError(denied, os.strerror(denied)))

        hints = {EACCES: PORT_DENIED, EPERM: PORT_DENIED, EADDRNOTAVAIL: NO_ADDRESS, EAFNOSUPPORT: NO_IPV6}
        for denied, hint in hints.items():
            bad = [Listener(Denying(), f"listener[{index}]", "smtp", f"tcp:{25 + index}", "none") for index in (0, 1)]
            with self.assertRaises(ConfigurationError) as caught:
                await bind_all(bad)
            assert [text.rpartition(": ")[2] for text in caught.exception.mistakes[:2]] == [os.strerror(denied)] * 2
            assert caught.exception.mistakes[2:] == [hint]
        with self.assertRaises(ConfigurationError) as caught:
            await bind_all([listener("unix:/nonexistent/x")])
        assert len(caught.exception.mistakes) == 1, "the path says it all"

    async def test_an_endpoint_that_cannot_listen_is_named(self):
        for endpoint in ("unix:/nonexistent/x", "tcp:1:interface=192.0.2.1", "systemd:domain=INET:name=x"):
            with self.assertRaises(ConfigurationError) as caught:
                await listener(endpoint).bind()
            assert caught.exception.mistakes[0].startswith(f"listener[0].endpoint: {endpoint}: ")

    async def test_a_new_factory_takes_new_connections_and_all_are_drained(self):
        one, old, new = listener(), GreeterFactory(b"old\n"), GreeterFactory(b"new\n")
        await one.bind()
        one.accept(old)
        port = one.address.port
        with socket.create_connection(("127.0.0.1", port), 20) as standing:
            file = standing.makefile("rb")
            assert await deferToThread(file.readline) == b"old\n"
            one.serve(new)
            reading = deferToThread(lines, port)
            while not new.live:
                pause = Deferred()
                reactor.callLater(0.01, pause.callback, None)
                await pause
            assert one.connections == 2
            await one.close()
            one.drain()
            assert await deferToThread(file.read) == b"bye\n"
            assert await reading == b"new\nbye\n"
            file.close()
        assert await wait_for_connections([one], reactor, 10) == 0
        assert (old.started, new.started) == (0, 0)

    async def test_a_crowd_may_wait_unless_the_endpoint_says_how_many(self):
        for endpoint, most in (("tcp:0", 1024), ("haproxy:tcp:0", 1024), ("tcp:0:backlog=7", 7)):
            one = listener(f"{endpoint}:interface=127.0.0.1")
            await one.bind()
            told = one._port.socket.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, 32)
            (waiting,) = struct.unpack_from("I", told, 28)  # tcpi_sacked, which is that of a listening socket
            assert waiting == min(most, SOMAXCONN) and one.handed_over().backlog == most
            await one.close()

    async def test_proxied_connections(self):
        one, factory = listener("haproxy:tcp:0:interface=127.0.0.1"), GreeterFactory()
        await one.bind()
        one.accept(factory)

        def connect():
            with socket.create_connection(("127.0.0.1", one.address.port), 20) as client:
                client.sendall(b"PROXY TCP4 192.0.2.7 192.0.2.1 9 25\r\n")
                return client.makefile("rb").readline()

        assert await deferToThread(connect) == b"hello\n"
        if factory.live:
            factory.gone = Deferred()
            await factory.gone
        await one.close()

    async def test_who_is_no_balancer_is_turned_away_and_logged(self):
        one, factory = listener("haproxy:tcp:0:interface=127.0.0.1", proxy_from="192.0.2.0/24"), GreeterFactory()
        await one.bind()
        one.accept(factory)
        events = []
        observe = events.append
        globalLogPublisher.addObserver(observe)
        self.addCleanup(globalLogPublisher.removeObserver, observe)
        assert await deferToThread(lines, one.address.port) == b""
        assert not factory.live
        [refused] = [event for event in events if event.get("event") == "proxy.refused"]
        assert refused["fields"] == {"protocol": "smtp", "peer": "127.0.0.1", "reason": "not in proxy_from"}
        await one.close()


class WaitTests(SynchronousTestCase):
    """The wait for sessions to end."""

    def test_it_ends_with_the_last_connection_or_with_the_time(self):
        clock = Clock()

        class Stub:
            connections = 2

        waiting = Deferred.fromCoroutine(wait_for_connections([Stub], clock, 5, step=1))
        clock.pump([1, 1])
        self.assertNoResult(waiting)
        Stub.connections = 0
        clock.advance(1)
        assert self.successResultOf(waiting) == 0
        Stub.connections = 1
        waiting = Deferred.fromCoroutine(wait_for_connections([Stub], clock, 3, step=1))
        clock.pump([1, 1, 1])
        assert self.successResultOf(waiting) == 1


class Recorder(Protocol):
    def __init__(self):
        self.data = b""
        self.peer = None
        self.lost = False

    def connectionMade(self):
        self.peer = self.transport.getPeer().host
        self.transport.write(b"220 hello\r\n")

    def dataReceived(self, data):
        self.data += data

    def connectionLost(self, reason):
        self.lost = True


class RecorderFactory(Factory):
    def __init__(self):
        self.made = []
        self.full = False

    def buildProtocol(self, addr):
        if self.full:
            return None
        self.made.append((getattr(addr, "host", None), Recorder()))
        return self.made[-1][1]


class ProxyTests(SynchronousTestCase):
    """The protocol behind the PROXY protocol begins with the client's address, not the balancer's."""

    HEADER = b"PROXY TCP4 192.0.2.7 192.0.2.1 999 25\r\n"

    def setUp(self):
        self.clock, self.factory = Clock(), RecorderFactory()
        self.proxy = LateProxyFactory(self.factory, self.clock, [ip_network("192.0.2.9")])
        self.transport = StringTransport()
        self.protocol = self.proxy.buildProtocol(None)
        self.protocol.makeConnection(self.transport)

    def test_nothing_is_said_before_the_header(self):
        assert not self.factory.made and not self.transport.value()
        self.protocol.dataReceived(self.HEADER)
        host, recorder = self.factory.made[0]
        assert (host, recorder.peer) == ("192.0.2.7", "192.0.2.7")
        assert self.transport.value() == b"220 hello\r\n"
        assert not self.clock.getDelayedCalls()

    def test_byte_by_byte_with_what_follows(self):
        for octet in self.HEADER + b"EHLO x\r\n":
            self.protocol.dataReceived(bytes([octet]))
        assert self.factory.made[0][1].data == b"EHLO x\r\n"

    def test_the_binary_form_byte_by_byte(self):
        header = b"\r\n\r\n\0\r\nQUIT\n\x21\x11\0\x0c" + bytes([192, 0, 2, 7, 192, 0, 2, 1, 3, 231, 0, 25])
        for octet in header + b"EHLO x\r\n":
            self.protocol.dataReceived(bytes([octet]))
        host, recorder = self.factory.made[0]
        assert (host, recorder.data) == ("192.0.2.7", b"EHLO x\r\n")

    def test_whole_with_what_follows(self):
        self.protocol.dataReceived(self.HEADER + b"EHLO x\r\n")
        self.protocol.dataReceived(b"NOOP\r\n")
        assert self.factory.made[0][1].data == b"EHLO x\r\nNOOP\r\n"

    def test_a_balancer_that_knows_no_address_speaks_for_itself(self):
        local = b"\r\n\r\n\0\r\nQUIT\n\x20\0\0\0"
        for header in (b"PROXY UNKNOWN\r\n", b"PROXY UNKNOWN ffff::1 ffff::2 1 2\r\n", local):
            self.setUp()
            for octet in header + b"EHLO x\r\n":
                self.protocol.dataReceived(bytes([octet]))
            [(_, recorder)] = self.factory.made
            assert (recorder.peer, recorder.data) == (self.transport.getPeer().host, b"EHLO x\r\n"), header

    def test_something_else_ends_the_connection(self):
        self.protocol.dataReceived(b"EHLO not a balancer\r\n")
        assert self.transport.disconnected and not self.factory.made and not self.clock.getDelayedCalls()

    # SMTP trap 31: a PROXY header without end
    def test_an_endless_header_ends_the_connection(self):
        self.protocol.dataReceived(b"PROXY TCP4 " + b"1" * 10_000)
        assert self.transport.disconnected and not self.factory.made

    def test_only_balancers_may_claim_an_address(self):
        def made(host):
            return self.proxy.buildProtocol(IPv4Address("TCP", host, 1)) is not None

        assert [made(host) for host in ("192.0.2.9", "::ffff:192.0.2.9", "192.0.2.8", "127.0.0.1", "::1")] == [
            True,
            True,
            False,
            False,
            False,
        ]
        assert self.proxy.buildProtocol(UNIXAddress("/run/x")) is not None

    # SMTP trap 31: in a PROXY header
    def test_a_late_header_ends_the_connection(self):
        self.protocol.dataReceived(b"PROXY ")
        self.clock.advance(HEADER_TIMEOUT)
        assert self.transport.disconnected and not self.factory.made

    # SMTP trap 31: one octet now and then
    def test_a_header_that_drips_in_has_no_more_time(self):
        seconds = 0
        for at in range(len(self.HEADER)):
            if self.transport.disconnected:
                break
            self.protocol.dataReceived(self.HEADER[at : at + 1])
            self.clock.advance(1)
            seconds += 1
        assert seconds == HEADER_TIMEOUT and not self.factory.made

    def test_a_factory_that_takes_no_more(self):
        self.factory.full = True
        self.protocol.dataReceived(self.HEADER + b"EHLO x\r\n")
        assert self.transport.disconnected

    def test_the_end_is_told_to_who_was_there(self):
        self.protocol.dataReceived(self.HEADER)
        self.protocol.connectionLost(Failure(ConnectionDone()))
        assert self.factory.made[0][1].lost
        early = self.proxy.buildProtocol(None)
        early.makeConnection(StringTransport())
        early.connectionLost(Failure(ConnectionDone()))
        assert not self.clock.getDelayedCalls() and not self.proxy.protocols


class Bound:
    """A listener that is bound somewhere."""

    def __init__(self, address):
        self.address = address


def test_own_addresses_are_those_that_name_this_machine_alone():
    addresses = [
        IPv4Address("TCP", "127.0.0.1", 25),
        IPv4Address("TCP", "0.0.0.0", 25),
        IPv6Address("TCP", "::", 25),
        IPv6Address("TCP", "::1", 25),
        IPv4Address("TCP", "192.0.2.1", 25),
        IPv4Address("TCP", "192.0.2.1", 587),
        IPv6Address("TCP", "2001:DB8:0::1", 25),
        UNIXAddress("/run/mailnode/lmtp"),
        None,
    ]
    assert own_addresses(map(Bound, addresses)) == ("192.0.2.1", "2001:db8::1")
