"""The resolver against a real DNS server, and against servers that are down, slow or lie."""

from __future__ import annotations

import contextlib
import socket
from collections.abc import Coroutine
from pathlib import Path
from typing import Any, ClassVar

import dns.message
import dns.name
import dns.rrset
from dnsmasq_server import DnsmasqServer
from twisted.internet import reactor
from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.protocol import DatagramProtocol
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase, TestCase
from zope.interface.verify import verifyObject

from mailnode.errors import ConfigurationError, NoSuchName, ResolverFailure
from mailnode.interfaces.outbound import IResolver, MxRecord
from mailnode.net.resolver import LOOK, MAX_SERVERS, Resolver, system_servers

ZONE = (
    "local=/test.example/",
    "host-record=a.test.example,192.0.2.1,2001:db8::1",
    "host-record=b.test.example,192.0.2.2",
    "host-record=six.test.example,2001:db8::6",
    "host-record=xn--bcher-kva.test.example,192.0.2.9",
    "cname=alias.test.example,a.test.example",
    "mx-host=test.example,b.test.example,20",
    "mx-host=test.example,a.test.example,10",
    "mx-host=test.example,c.elsewhere.example,10",
    "txt-record=none.test.example,x",
    'txt-record=quoted.test.example,"one ","two"',
    *(f"txt-record=large.test.example,{number:04d}{'x' * 200}" for number in range(40)),
)


def run(coroutine: Coroutine[Deferred[Any], Any, Any]) -> Deferred[Any]:
    return Deferred.fromCoroutine(coroutine)


class RealServerTests(TestCase):
    server: ClassVar[DnsmasqServer]

    @classmethod
    def setUpClass(cls) -> None:
        cls.server = DnsmasqServer(*ZONE)

    @classmethod
    def tearDownClass(cls) -> None:
        cls.server.stop()

    def setUp(self) -> None:
        self.resolver = Resolver(reactor, [self.server.address])

    def test_contract(self) -> None:
        verifyObject(IResolver, self.resolver)

    def test_mx(self) -> Deferred[Any]:
        async def check() -> None:
            records = await self.resolver.mx("test.example")
            wanted = {
                MxRecord(10, "a.test.example"),
                MxRecord(10, "c.elsewhere.example"),
                MxRecord(20, "b.test.example"),
            }
            self.assertEqual(set(records), wanted)
            self.assertEqual(await self.resolver.mx("TEST.Example."), records)

        return run(check())

    def test_none_and_missing(self) -> Deferred[Any]:
        async def check() -> None:
            self.assertEqual(await self.resolver.mx("none.test.example"), ())
            with self.assertRaises(NoSuchName):
                await self.resolver.mx("missing.test.example")
            with self.assertRaises(NoSuchName):
                await self.resolver.addresses("missing.test.example")
            self.assertEqual(await self.resolver.addresses("none.test.example"), ())

        return run(check())

    def test_refused_is_temporary(self) -> Deferred[Any]:
        async def check() -> None:
            for ask in (self.resolver.mx, self.resolver.addresses, self.resolver.txt):
                with self.assertRaises(ResolverFailure):
                    await ask("not-served.example")

        return run(check())

    # SMTP trap 42: a CNAME
    def test_addresses_of_both_families_and_through_an_alias(self) -> Deferred[Any]:
        async def check() -> None:
            both = ("2001:db8::1", "192.0.2.1")
            self.assertEqual(await self.resolver.addresses("a.test.example"), both)
            self.assertEqual(await self.resolver.addresses("alias.test.example"), both)
            self.assertEqual(await self.resolver.addresses("six.test.example"), ("2001:db8::6",))

        return run(check())

    def test_addresses_of_one_family_and_names_of_an_address(self) -> Deferred[Any]:
        async def check() -> None:
            self.assertEqual(await self.resolver.a("a.test.example"), ("192.0.2.1",))
            self.assertEqual(await self.resolver.aaaa("alias.test.example"), ("2001:db8::1",))
            self.assertEqual(await self.resolver.aaaa("b.test.example"), ())
            self.assertEqual(await self.resolver.ptr("192.0.2.2"), ("b.test.example",))
            self.assertEqual(await self.resolver.ptr("2001:db8::6"), ("six.test.example",))

        return run(check())

    def test_text(self) -> Deferred[Any]:
        async def check() -> None:
            self.assertEqual(await self.resolver.txt("quoted.test.example"), (b"one two",))

        return run(check())

    def test_truncated_answer_comes_whole_over_tcp(self) -> Deferred[Any]:
        async def check() -> None:
            self.assertEqual(len(await self.resolver.txt("large.test.example")), 40)

        return run(check())

    def test_names(self) -> Deferred[Any]:
        async def check() -> None:
            self.assertEqual(await self.resolver.addresses("bücher.test.example"), ("192.0.2.9",))
            for bad in ("a..b", "x" * 64 + ".example", "\udcff.example"):
                with self.assertRaises(NoSuchName):
                    await self.resolver.addresses(bad)

        return run(check())


class Scripted(DatagramProtocol):
    """A DNS server of one UDP port that answers as ``answer`` says; None is silence."""

    def __init__(self, answer: Any) -> None:
        self.answer = answer
        self.queries = 0

    def datagramReceived(self, datagram: bytes, addr: Any) -> None:
        self.queries += 1
        wire = self.answer(dns.message.from_wire(datagram))
        if wire is not None:
            assert self.transport is not None
            self.transport.write(wire, addr)


class Later:
    """A reactor whose time has gone on."""

    def __init__(self, reactor: Any) -> None:
        self._reactor = reactor
        self.more = 0

    def __getattr__(self, name: str) -> Any:
        return getattr(self._reactor, name)

    def seconds(self) -> float:
        return float(self._reactor.seconds()) + self.more


class ServerTroubleTests(TestCase):
    def serve(self, answer: Any) -> tuple[Scripted, str]:
        protocol = Scripted(answer)
        port = reactor.listenUDP(0, protocol, interface="127.0.0.1")
        self.addCleanup(port.stopListening)
        return protocol, f"127.0.0.1:{port.getHost().port}"

    def nobody(self) -> str:
        with contextlib.closing(socket.socket(type=socket.SOCK_DGRAM)) as probe:
            probe.bind(("127.0.0.1", 0))
            return f"127.0.0.1:{probe.getsockname()[1]}"

    def test_server_down_is_temporary_and_quick(self) -> Deferred[Any]:
        started = reactor.seconds()
        failure = self.assertFailure(run(Resolver(reactor, [self.nobody()]).mx("a.example")), ResolverFailure)
        return failure.addCallback(lambda _: self.assertLess(reactor.seconds() - started, 2.0))

    def test_second_server_answers_at_once_when_the_first_is_down(self) -> Deferred[Any]:
        _, second = self.serve(good_answer)

        async def check() -> None:
            started = reactor.seconds()
            resolver = Resolver(reactor, [self.nobody(), second])
            self.assertEqual(await resolver.mx("a.example"), (MxRecord(5, "mx.a.example"),))
            self.assertLess(reactor.seconds() - started, 2.0)

        return run(check())

    def test_second_server_answers_when_the_first_is_silent(self) -> Deferred[Any]:
        silent, first = self.serve(lambda query: None)
        _, second = self.serve(good_answer)

        async def check() -> None:
            resolver = Resolver(reactor, [first, second], timeout=0.1, lifetime=5.0)
            self.assertEqual(await resolver.mx("a.example"), (MxRecord(5, "mx.a.example"),))
            self.assertEqual(silent.queries, 1)

        return run(check())

    def test_answer_is_cached_and_so_is_failure_for_a_moment(self) -> Deferred[Any]:
        good, first = self.serve(good_answer)
        failing, second = self.serve(servfail)

        async def check() -> None:
            for _ in range(3):
                await Resolver.mx(cached, "a.example")
                with self.assertRaises(ResolverFailure):
                    await failed.mx("a.example")
            self.assertEqual((good.queries, failing.queries), (1, 1))

        cached = Resolver(reactor, [first])
        failed = Resolver(reactor, [second])
        return run(check())

    def test_the_same_within_a_second_is_not_looked_for_again(self) -> Deferred[Any]:
        _, address = self.serve(good_answer)
        clock = Later(reactor)

        async def check() -> None:
            resolver, looked = Resolver(clock, [address]), []
            resolve = resolver._resolver.resolve

            def counted(*arguments: Any, **options: Any) -> Any:
                looked.append(arguments)
                return resolve(*arguments, **options)

            self.patch(resolver._resolver, "resolve", counted)
            for clock.more in (0, 0.5, 2):
                self.assertEqual(await resolver.mx("a.example"), (MxRecord(5, "mx.a.example"),))
            self.assertEqual(len(looked), 2)

        return run(check())

    def test_how_long_an_answer_may_be_remembered_counts_from_when_it_came(self) -> Deferred[Any]:
        _, address = self.serve(good_answer)
        clock = Later(reactor)

        async def check() -> None:
            resolver = Resolver(clock, [address])
            times = []
            for clock.more in (0, 20, 100):
                times.append((await resolver.mx("a.example")).ttl)
            self.assertEqual([round(one) for one in times], [60, 40, 0])

        return run(check())

    def test_null_mx(self) -> Deferred[Any]:
        _, address = self.serve(null_mx)

        async def check() -> None:
            self.assertEqual(await Resolver(reactor, [address]).mx("a.example"), (MxRecord(0, ""),))

        return run(check())

    def test_one_family_failing_does_not_hide_the_other(self) -> Deferred[Any]:
        _, only_four = self.serve(lambda query: address_of(query) if query.question[0].rdtype == 1 else servfail(query))
        _, none_and_failing = self.serve(
            lambda query: empty(query) if query.question[0].rdtype == 1 else servfail(query)
        )

        async def check() -> None:
            self.assertEqual(await Resolver(reactor, [only_four]).addresses("a.example"), ("192.0.2.7",))
            with self.assertRaises(ResolverFailure):
                await Resolver(reactor, [none_and_failing]).addresses("a.example")

        return run(check())

    def test_a_chain_of_aliases_is_followed_so_far(self) -> Deferred[Any]:
        async def check() -> None:
            for aliases, found in ((8, True), (40, False)):
                chained, address = self.serve(lambda query, n=aliases: chain(query, n))
                resolver = Resolver(reactor, [address])
                if found:
                    self.assertEqual(await resolver.addresses("a.example"), ("192.0.2.7",))
                else:
                    with self.assertRaises(ResolverFailure):
                        await resolver.addresses("a.example")
                self.assertLessEqual(chained.queries, 2)

        return run(check())

    def test_aliases_that_go_in_a_circle(self) -> Deferred[Any]:
        circling, address = self.serve(circle)

        async def check() -> None:
            for ask in (Resolver(reactor, [address]).mx, Resolver(reactor, [address]).addresses):
                with self.assertRaises(ResolverFailure):
                    await ask("a.example")
            self.assertLessEqual(circling.queries, 3)

        return run(check())

    def test_a_hundred_mail_servers(self) -> Deferred[Any]:
        _, address = self.serve(a_hundred)

        async def check() -> None:
            self.assertEqual(len(await Resolver(reactor, [address]).mx("a.example")), 100)

        return run(check())

    def test_failure_is_asked_again_after_its_time(self) -> Deferred[Any]:
        failing, address = self.serve(servfail)
        resolver = Resolver(reactor, [address], failure_seconds=0.0)

        async def check() -> None:
            for _ in range(2):
                with self.assertRaises(ResolverFailure):
                    await resolver.mx("a.example")
            self.assertEqual(failing.queries, 2)

        return run(check())

    # SMTP trap 42: records that are cut off
    def test_forged_and_broken_datagrams_are_passed_over(self) -> Deferred[Any]:
        """A wrong id, another question and junk are no answers; the right one that follows is."""

        def answer(query: dns.message.Message) -> None:
            for wire in (wrong_id(query), b"\x00", wrong_question(query), good_answer(query)):
                protocol.transport.write(wire, sender[0])

        sender: list[Any] = []

        class Recording(Scripted):
            def datagramReceived(self, datagram: bytes, addr: Any) -> None:
                sender[:] = [addr]
                super().datagramReceived(datagram, addr)

        protocol = Recording(answer)
        port = reactor.listenUDP(0, protocol, interface="127.0.0.1")
        self.addCleanup(port.stopListening)

        async def check() -> None:
            resolver = Resolver(reactor, [f"127.0.0.1:{port.getHost().port}"])
            self.assertEqual(await resolver.mx("a.example"), (MxRecord(5, "mx.a.example"),))

        return run(check())

    def test_questions_beyond_the_bound_wait_and_cached_answers_do_not(self) -> Deferred[Any]:
        asked: list[tuple[dns.message.Message, Any]] = []
        more: list[Deferred[None]] = []

        class Slow(DatagramProtocol):
            def datagramReceived(self, datagram: bytes, addr: Any) -> None:
                asked.append((dns.message.from_wire(datagram), addr))
                if more:
                    more.pop().callback(None)

            def answer(self) -> None:
                query, addr = asked.pop(0)
                self.transport.write(good_answer(query), addr)

        protocol = Slow()
        port = reactor.listenUDP(0, protocol, interface="127.0.0.1")
        self.addCleanup(port.stopListening)

        async def arrive(count: int) -> None:
            while len(asked) < count:
                more.append(Deferred())
                await more[0]

        async def check() -> None:
            resolver = Resolver(reactor, [f"127.0.0.1:{port.getHost().port}"], at_once=2, timeout=30.0, lifetime=60.0)
            first = run(resolver.mx("known.example"))
            await arrive(1)
            protocol.answer()
            await first
            answers = [run(resolver.mx(f"n{number}.example")) for number in range(5)]
            self.assertEqual(await resolver.mx("known.example"), (MxRecord(5, "mx.known.example"),))
            for left in (5, 4, 3, 2, 1):
                await arrive(min(2, left))
                self.assertEqual(len(asked), min(2, left))
                protocol.answer()
            self.assertEqual(
                [(await answer)[0].host for answer in answers], [f"mx.n{number}.example" for number in range(5)]
            )

        return run(check())

    def test_the_same_is_asked_once_however_many_want_to_know_and_whoever_of_them_is_cut_off(self) -> Deferred[Any]:
        asked: list[tuple[dns.message.Message, Any]] = []
        arrived: Deferred[None] = Deferred()

        class Slow(DatagramProtocol):
            def datagramReceived(self, datagram: bytes, addr: Any) -> None:
                asked.append((dns.message.from_wire(datagram), addr))
                arrived.callback(None)

        protocol = Slow()
        port = reactor.listenUDP(0, protocol, interface="127.0.0.1")
        self.addCleanup(port.stopListening)

        async def check() -> None:
            resolver = Resolver(reactor, [f"127.0.0.1:{port.getHost().port}"], timeout=30.0, lifetime=60.0)
            answers = [run(resolver.mx("a.example")) for _ in range(3)]
            await arrived
            answers[0].addErrback(lambda failure: failure.trap(CancelledError))
            answers[0].cancel()
            [(query, addr)] = asked
            protocol.transport.write(good_answer(query), addr)
            self.assertEqual([(await answer)[0].host for answer in answers[1:]], ["mx.a.example"] * 2)

        return run(check())

    def test_answer_from_another_port_is_not_taken(self) -> Deferred[Any]:
        stranger = socket.socket(type=socket.SOCK_DGRAM)
        self.addCleanup(stranger.close)
        senders: list[Any] = []

        class Elsewhere(DatagramProtocol):
            def datagramReceived(self, datagram: bytes, addr: Any) -> None:
                senders.append(addr)
                stranger.sendto(good_answer(dns.message.from_wire(datagram)), addr)

        port = reactor.listenUDP(0, Elsewhere(), interface="127.0.0.1")
        self.addCleanup(port.stopListening)
        resolver = Resolver(reactor, [f"127.0.0.1:{port.getHost().port}"], timeout=0.1, lifetime=0.3)

        async def check() -> None:
            with self.assertRaises(ResolverFailure):
                await resolver.mx("a.example")
            self.assertTrue(senders)

        return run(check())

    def test_server_spellings(self) -> None:
        for good in ("127.0.0.1", "127.0.0.1:5353", "::1", "[::1]", "[::1]:5353"):
            Resolver(reactor, [good])
        for bad in ("localhost", "127.0.0.1:", "127.0.0.1:0", "127.0.0.1:99999", "[::1]x", "127.0.0.1:١"):
            with self.assertRaises(ConfigurationError):
                Resolver(reactor, [bad])


def good_answer(query: dns.message.Message) -> bytes:
    response = dns.message.make_response(query)
    name = query.question[0].name
    response.answer.append(dns.rrset.from_text(name, 60, "IN", "MX", f"5 mx.{name}"))
    return response.to_wire()


def null_mx(query: dns.message.Message) -> bytes:
    response = dns.message.make_response(query)
    response.answer.append(dns.rrset.from_text(query.question[0].name, 60, "IN", "MX", "0 ."))
    return response.to_wire()


def chain(query: dns.message.Message, aliases: int) -> bytes:
    """An address behind so many aliases."""
    response = dns.message.make_response(query)
    name = query.question[0].name
    for number in range(aliases):
        response.answer.append(dns.rrset.from_text(name, 60, "IN", "CNAME", f"n{number}.example."))
        name = dns.name.from_text(f"n{number}.example.")
    if query.question[0].rdtype == 1:
        response.answer.append(dns.rrset.from_text(name, 60, "IN", "A", "192.0.2.7"))
    return response.to_wire()


def circle(query: dns.message.Message) -> bytes:
    response = dns.message.make_response(query)
    response.answer.append(dns.rrset.from_text(query.question[0].name, 60, "IN", "CNAME", "b.example."))
    response.answer.append(dns.rrset.from_text("b.example.", 60, "IN", "CNAME", query.question[0].name.to_text()))
    return response.to_wire()


def a_hundred(query: dns.message.Message) -> bytes:
    response = dns.message.make_response(query)
    records = [f"{number} mx{number}.example." for number in range(100)]
    response.answer.append(dns.rrset.from_text(query.question[0].name, 60, "IN", "MX", *records))
    return response.to_wire(max_size=65535)


def address_of(query: dns.message.Message) -> bytes:
    response = dns.message.make_response(query)
    response.answer.append(dns.rrset.from_text(query.question[0].name, 60, "IN", "A", "192.0.2.7"))
    return response.to_wire()


def empty(query: dns.message.Message) -> bytes:
    return dns.message.make_response(query).to_wire()


def wrong_id(query: dns.message.Message) -> bytes:
    wire = bytearray(good_answer(query))
    wire[0] ^= 0xFF
    return bytes(wire)


def wrong_question(query: dns.message.Message) -> bytes:
    other = dns.message.make_query("evil.example", "MX", id=query.id)
    return good_answer(other)


def servfail(query: dns.message.Message) -> bytes:
    response = dns.message.make_response(query)
    response.set_rcode(2)
    return response.to_wire()


class SystemServers(SynchronousTestCase):
    """The resolvers of the machine, as /etc/resolv.conf names them."""

    def setUp(self) -> None:
        self.path = Path(self.mktemp())

    def test_what_stands_there(self) -> None:
        for text, servers in (
            (b"nameserver 192.0.2.1\nnameserver 2001:db8::1\n", ["192.0.2.1", "2001:db8::1"]),
            (b"# made by hand\nsearch a.test\noptions edns0 trust-ad\nnameserver 127.0.0.53\n", ["127.0.0.53"]),
            (b"nameserver fe80::1%eth0\n\tnameserver  192.0.2.2 \n", ["fe80::1%eth0", "192.0.2.2"]),
            (b"nameserver resolver.test\nnameserver\nnameserver 192.0.2.3\n", ["192.0.2.3"]),
            (b"\xff\xfe\n;nameserver 192.0.2.4\n", ["127.0.0.1"]),
            (b"", ["127.0.0.1"]),
            (b"nameserver 192.0.2.1\n" * 1000, ["192.0.2.1"] * MAX_SERVERS),
        ):
            self.path.write_bytes(text)
            self.assertEqual(system_servers(self.path), servers)
            self.assertEqual(Resolver(Clock(), resolv_conf=self.path).servers, tuple(servers))

    def test_none_at_all(self) -> None:
        self.assertEqual(system_servers(self.path), ["127.0.0.1"])
        self.path.mkdir()
        self.assertEqual(system_servers(self.path), ["127.0.0.1"])

    def test_a_network_that_comes_up_later_is_seen(self) -> None:
        clock = Clock()
        resolver = Resolver(clock, resolv_conf=self.path)
        self.assertEqual(resolver.servers, ("127.0.0.1",))
        self.path.write_text("nameserver 192.0.2.1\n")
        self.assertEqual(resolver.servers, ("127.0.0.1",))
        clock.advance(LOOK)
        self.assertEqual(resolver.servers, ("192.0.2.1",))
        self.path.unlink()
        clock.advance(LOOK)
        self.assertEqual(resolver.servers, ("127.0.0.1",))

    def test_servers_of_the_configuration_stay(self) -> None:
        clock = Clock()
        self.path.write_text("nameserver 192.0.2.1\n")
        resolver = Resolver(clock, ["192.0.2.9:5353"], resolv_conf=self.path)
        clock.advance(LOOK)
        self.assertEqual(resolver.servers, ("192.0.2.9",))
