"""The factory on the pump: greeting to logout over a transport, limits, shutting down."""

from twisted.internet.address import IPv4Address
from twisted.internet.task import Clock
from twisted.internet.testing import StringTransport
from twisted.trial.unittest import TestCase

from mailnode.imap.commands.append import AppendStart
from mailnode.imap.commands.login import Login
from mailnode.imap.commands.logout import Logout
from mailnode.imap.commands.starttls import StartTls
from mailnode.imap.protocol import ImapFactory
from mailnode.imap.wire import responses
from mailnode.imap.wire.command import AppendChunk, AppendEnd, ConnectionReply
from mailnode.imap.wire.limits import ImapLimits


class Session:
    """The least session that keeps a conversation going."""

    def __init__(self, channel, connection):
        self.channel = channel
        self.connection = connection
        self.message = b""
        self.ended_by = []

    async def opened(self):
        self.channel.write(responses.ok(b"*", "ready"))

    async def handle(self, event):
        if isinstance(event, ConnectionReply):
            self.channel.write(event.data)
            if event.closes:
                self.channel.close()
        elif isinstance(event, AppendStart):
            self.connection.accept_append()
        elif isinstance(event, AppendChunk):
            self.message += event.data
        elif isinstance(event, AppendEnd):
            self.channel.write(b"(%d octets)\r\n" % len(self.message))
            self.connection.completed()
        elif isinstance(event, StartTls):
            self.channel.write(responses.ok(event.tag, "go on"))
            self.channel.start_tls()
        elif isinstance(event, Logout):
            self.channel.write(responses.bye("bye") + responses.ok(event.tag, "done"))
            self.connection.ended()
            self.channel.close()
        else:
            if isinstance(event, Login):
                self.connection.authenticated()
            self.channel.write(responses.ok(event.tag, "done"))
            self.connection.completed()

    def failed(self):
        self.channel.close()

    def timed_out(self):
        self.ended_by.append("timeout")

    def draining(self):
        self.ended_by.append("draining")
        self.channel.write(responses.bye("shutting down"))
        self.channel.close()

    def lost(self):
        self.ended_by.append("lost")


class FactoryTests(TestCase):
    """The factory with real pumps and string transports."""

    def setUp(self):
        self.sessions = []
        self.started_tls = []

    def make_session(self, channel, connection):
        self.sessions.append(Session(channel, connection))
        return self.sessions[-1]

    def factory(self, **options):
        options.setdefault("plaintext_login", True)
        return ImapFactory(self.make_session, Clock(), **options)

    def connect(self, factory, host="192.0.2.1"):
        address = IPv4Address("TCP", host, 40000)
        protocol = factory.buildProtocol(address)
        transport = StringTransport(peerAddress=address)
        transport.abortConnection = lambda: None
        protocol.makeConnection(transport)
        return protocol, transport

    def test_a_conversation(self):
        protocol, transport = self.connect(self.factory())
        protocol.dataReceived(
            b"a LOGIN alice secret\r\nb APPEND x {3+}\r\na\nb\r\nc APPEND x {1}\r\nd\r\ne FROB\r\nf LOGOUT\r\ng NOOP\r\n"
        )
        self.assertEqual(
            transport.value(),
            b"* OK ready\r\na OK done\r\n(3 octets)\r\n+ OK\r\n(4 octets)\r\ne BAD Unknown command\r\n"
            b"* BYE bye\r\nf OK done\r\n",
        )
        self.assertTrue(transport.disconnecting)

    def test_connections_are_limited_in_all(self):
        factory = self.factory(max_connections=2)
        first, _ = self.connect(factory, "192.0.2.1")
        self.connect(factory, "192.0.2.2")
        _, refused = self.connect(factory, "192.0.2.3")
        self.assertTrue(refused.value().startswith(b"* BYE [UNAVAILABLE] "))
        self.assertTrue(refused.disconnecting)
        self.assertEqual(len(self.sessions), 2)
        first.connectionLost()
        self.assertEqual(factory.connections, 1)
        _, accepted = self.connect(factory, "192.0.2.3")
        self.assertEqual(accepted.value(), b"* OK ready\r\n")

    def test_connections_are_limited_by_peer(self):
        factory = self.factory(max_per_peer=1)
        first, _ = self.connect(factory)
        _, refused = self.connect(factory)
        _, other = self.connect(factory, "192.0.2.9")
        self.assertTrue(refused.value().startswith(b"* BYE [UNAVAILABLE] "))
        self.assertEqual(other.value(), b"* OK ready\r\n")
        first.connectionLost()
        _, again = self.connect(factory)
        self.assertEqual(again.value(), b"* OK ready\r\n")

    def test_an_ipv6_network_is_one_peer(self):
        factory = self.factory(max_per_peer=1)
        self.connect(factory, "2001:db8::1")
        _, same = self.connect(factory, "2001:db8::ffff:1%eth0")
        _, other = self.connect(factory, "2001:db8:0:1::1")
        self.connect(factory, "::ffff:192.0.2.1")
        _, mapped = self.connect(factory, "192.0.2.1")
        self.assertEqual([t.value()[:5] for t in (same, other, mapped)], [b"* BYE", b"* OK ", b"* BYE"])

    def test_clients_without_an_address_are_limited_in_all_only(self):
        factory = self.factory(max_per_peer=1, max_connections=2)
        transports = [self.connect(factory, "")[1] for _ in range(3)]
        self.assertEqual([t.value()[:5] for t in transports], [b"* OK ", b"* OK ", b"* BYE"])

    def test_starttls_needs_a_way_to_start_it(self):
        self.assertRaises(ValueError, self.factory, tls="starttls")

    def test_draining_reaches_every_session(self):
        factory = self.factory()
        transports = [self.connect(factory)[1] for _ in range(3)]
        factory.draining()
        for transport in transports:
            self.assertTrue(transport.value().endswith(b"* BYE shutting down\r\n"))
            self.assertTrue(transport.disconnecting)

    # IMAP trap 6: what was known before TLS
    def test_starttls_forgets_what_came_before(self):
        factory = self.factory(tls="starttls", start_tls=self.started_tls.append, plaintext_login=False)
        protocol, transport = self.connect(factory)
        protocol.dataReceived(b"a LOGIN alice secret\r\nb STARTTLS\r\nc CAPABILITY\r\n")
        self.assertEqual(self.started_tls, [transport])
        protocol.handshakeCompleted()
        protocol.dataReceived(b"d LOGIN alice secret\r\n")
        self.assertEqual(
            transport.value(),
            b"* OK ready\r\na NO [PRIVACYREQUIRED] Log in under TLS only\r\nb OK go on\r\nd OK done\r\n",
        )

    def test_implicit_tls_greets_after_the_handshake(self):
        protocol, transport = self.connect(self.factory(tls="implicit", plaintext_login=False))
        self.assertEqual(transport.value(), b"")
        protocol.handshakeCompleted()
        self.assertEqual(transport.value(), b"* OK ready\r\n")
        self.assertFalse(self.sessions[0].connection.login_disabled)

    def test_too_many_errors_close(self):
        protocol, transport = self.connect(self.factory(limits=ImapLimits(bad_commands=2)))
        protocol.dataReceived(b"a X\r\nb X\r\nc NOOP\r\n")
        self.assertTrue(transport.value().endswith(b"b BAD Unknown command\r\n* BYE Too many errors\r\n"))
        self.assertTrue(transport.disconnecting)

    def test_lost_is_told_once(self):
        factory = self.factory()
        protocol, _ = self.connect(factory)
        protocol.connectionLost()
        self.assertEqual(self.sessions[0].ended_by, ["lost"])
        self.assertEqual(factory.connections, 0)

    # IMAP trap 9: who reads slowly is read slowly
    def test_a_slow_session_stops_the_reading(self):
        protocol, transport = self.connect(self.factory())
        protocol._busy = True  # a command is under way
        protocol.dataReceived(b"a NOOP\r\n" * 20_000)
        self.assertEqual(transport.producerState, "paused")
        protocol._busy = False
        protocol.wake()
        self.assertEqual(transport.producerState, "producing")
        self.assertEqual(transport.value().count(b"a OK done\r\n"), 20_000)
