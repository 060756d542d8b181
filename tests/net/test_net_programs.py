"""Connections to programs beside the server, and HTTP over them: real sockets, programs of every kind of rudeness."""

from __future__ import annotations

import shutil
import tempfile
from typing import Any

import h11
import pytest
from twisted.internet import reactor
from twisted.internet.defer import CancelledError, Deferred, ensureDeferred
from twisted.internet.protocol import Factory, Protocol
from twisted.trial.unittest import TestCase
from zope.interface.verify import verifyObject

from mailnode.errors import ResolverFailure
from mailnode.interfaces.programs import HttpPost, IProgramLink, IPrograms, ProgramFailed
from mailnode.net.http_post import LARGEST_HEADER
from mailnode.net.program_link import MOST_KEPT, ProgramLink
from mailnode.net.programs import Programs
from mailnode.values.program import ProgramEndpoint, program_endpoint
from tests.free_ports import free_port


@pytest.mark.parametrize(
    "text", ["tcp:127.0.0.1:783", "tcp:[::1]:11333", "tcp:scanner.test:1", "unix:/run/clamav/clamd.ctl"]
)
def test_an_endpoint_reads_as_it_is_written(text: str) -> None:
    assert str(program_endpoint(text)) == text


@pytest.mark.parametrize(
    "text",
    ["", "tcp", "tcp:", "tcp:host", "tcp::1", "tcp:::1:25", "tcp:h:0", "tcp:h:65536", "tcp:h:x", "unix:run", "udp:h:1"],
)
def test_what_is_no_endpoint_is_told(text: str) -> None:
    with pytest.raises(ValueError, match="should be tcp:HOST:PORT or unix:/PATH"):
        program_endpoint(text)


class Resolver:
    def __init__(self, **hosts: list[str]) -> None:
        self.hosts = hosts

    async def addresses(self, host: str) -> list[str]:
        if host not in self.hosts:
            raise ResolverFailure(host)
        return self.hosts[host]


class Peer(Protocol):
    """One connection to a program of the tests."""

    def __init__(self, case: ProgramsCase) -> None:
        self.case = case
        self.received = bytearray()
        self.gone: Deferred[None] = Deferred()

    def connectionMade(self) -> None:
        self.case.peers.append(self)
        self.case.at_start(self)

    def dataReceived(self, data: bytes) -> None:
        self.received += data
        self.case.at_data(self)

    def connectionLost(self, reason: Any = None) -> None:
        self.gone.callback(None)


class ProgramsCase(TestCase):
    timeout = 60

    def setUp(self) -> None:
        self.peers: list[Peer] = []
        self.programs = Programs(reactor, Resolver(scanner=["127.0.0.1"]))  # type: ignore[arg-type]

    def at_start(self, peer: Peer) -> None:
        """What a program does first."""

    def at_data(self, peer: Peer) -> None:
        """What it does then."""

    def listen(self) -> ProgramEndpoint:
        port = reactor.listenTCP(0, Factory.forProtocol(lambda: Peer(self)), interface="127.0.0.1")  # type: ignore
        self.addCleanup(port.stopListening)
        return ProgramEndpoint("127.0.0.1", port.getHost().port)


class LinkTests(ProgramsCase):
    async def test_over_tcp_by_address_and_by_name(self) -> None:
        verifyObject(IPrograms, self.programs)
        endpoint = self.listen()
        for host in ("127.0.0.1", "localhost", "scanner"):
            link = await self.programs.connect(ProgramEndpoint(host, endpoint.port), 10)
            verifyObject(IProgramLink, link)
            self.assertFalse(link.answered)
            await link.write(b"hello")
            link.close()
            peer = self.peers[-1]
            await peer.gone
            self.assertEqual(peer.received, b"hello")

    async def test_over_a_unix_socket(self) -> None:
        folder = tempfile.mkdtemp()
        self.addCleanup(shutil.rmtree, folder)
        port = reactor.listenUNIX(f"{folder}/socket", Factory.forProtocol(lambda: Peer(self)))  # type: ignore[attr-defined]
        self.addCleanup(port.stopListening)
        self.at_data = lambda peer: peer.transport.write(b"answer")  # type: ignore
        link = await self.programs.connect(ProgramEndpoint(f"{folder}/socket"), 10)
        await link.write(b"question")
        self.assertEqual((await link.read(3), await link.read(100)), (b"ans", b"wer"))
        link.abort()
        await self.peers[0].gone

    async def test_nobody_there(self) -> None:
        for endpoint, text in (
            (ProgramEndpoint("127.0.0.1", free_port()), "connection refused"),
            (ProgramEndpoint("/no/such/socket"), "no connection"),
            (ProgramEndpoint("nobody", 1), "its address is not known"),
        ):
            with self.assertRaises(ProgramFailed) as failed:
                await self.programs.connect(endpoint, 10)
            self.assertEqual(str(failed.exception), f"{endpoint}: {text}")

    async def test_what_came_before_the_end_is_read_and_then_nothing(self) -> None:
        def say(peer: Peer) -> None:
            peer.transport.write(b"bye")
            peer.transport.loseConnection()

        self.at_start = say  # type: ignore[method-assign]
        link = await self.programs.connect(self.listen(), 10)
        self.assertEqual(await link.read(100), b"bye")
        self.assertEqual((await link.read(100), await link.read(100)), (b"", b""))
        self.assertTrue(link.ended and link.answered)
        await link.write(b"dropped")
        link.abort()

    async def test_a_program_that_writes_without_end_is_read_as_far_as_somebody_asks(self) -> None:
        self.at_start = lambda peer: peer.transport.write(bytes(8_000_000))  # type: ignore
        link = await self.programs.connect(self.listen(), 10)
        read = 0
        while read < 4_000_000:
            read += len(await link.read(1 << 20))
            assert isinstance(link, ProgramLink)
            self.assertLess(len(link._kept), 2 * MOST_KEPT)
        link.abort()
        await self.peers[0].gone

    async def test_a_writer_waits_for_a_program_that_does_not_read(self) -> None:
        self.at_start = lambda peer: peer.transport.pauseProducing()  # type: ignore
        link = await self.programs.connect(self.listen(), 10)
        writing = ensureDeferred(link.write(bytes(16_000_000)))
        self.assertNoResult(writing)
        self.peers[0].transport.resumeProducing()  # type: ignore[union-attr]
        await writing
        self.peers[0].transport.pauseProducing()  # type: ignore[union-attr]
        writing = ensureDeferred(link.write(bytes(16_000_000)))
        link.close()  # it takes nothing: at once
        await writing
        self.assertTrue(link.ended)
        self.peers[0].transport.abortConnection()  # type: ignore[union-attr]


def ok(content: bytes, *headers: bytes) -> bytes:
    length = b"Content-Length: %d" % len(content)
    return b"\r\n".join([b"HTTP/1.1 200 OK", *(headers or [length]), b"", content])


class HttpTests(ProgramsCase):
    answer: bytes = ok(b"fine")
    close = False

    def at_data(self, peer: Peer) -> None:
        if self.answer and peer.received.endswith(b"END"):
            peer.transport.write(self.answer)
            if self.close:
                peer.transport.loseConnection()

    def post(self, content: bytes = b"END", seconds: float = 30, **more: Any) -> Deferred[Any]:
        async def read(offset: int, length: int) -> bytes:
            return content[offset : offset + length]

        headers = (("IP", b"192.0.2.1"), ("Rcpt", b"a@b.test"), ("Rcpt", b"\xc3\xbc@b.test"))
        request = HttpPost(self.listen(), "/check", headers, more.pop("size", len(content)), read, **more)
        return ensureDeferred(self.programs.post(request, seconds))

    async def test_a_request_is_one_of_http_and_its_content_goes_in_pieces(self) -> None:
        content = bytes(range(256)) * 1000 + b"END"
        answer = await self.post(content)
        self.assertEqual((answer.code, answer.content), (200, b"fine"))
        server, events = h11.Connection(h11.SERVER), []
        server.receive_data(bytes(self.peers[0].received))
        while not isinstance(event := server.next_event(), h11.EndOfMessage):
            events.append(event)
        self.assertEqual((events[0].method, events[0].target), (b"POST", b"/check"))
        self.assertEqual(
            [value for name, value in events[0].headers if name == b"rcpt"], [b"a@b.test", b"\xc3\xbc@b.test"]
        )
        self.assertEqual(b"".join(event.data for event in events[1:]), content)
        await self.peers[0].gone

    async def test_every_way_to_end_an_answer(self) -> None:
        self.answer = b"HTTP/1.1 100 Go on\r\n\r\n" + ok(b"4\r\nfine\r\n0\r\n\r\n", b"Transfer-Encoding: chunked")
        self.assertEqual((await self.post()).content, b"fine")
        self.answer, self.close = ok(b"fine", b"Connection: close"), True
        self.assertEqual((await self.post()).content, b"fine")
        self.answer = b"HTTP/1.0 503 Busy\r\n\r\nno"
        self.assertEqual((await self.post()).code, 503)

    async def test_one_that_answers_before_all_has_come_is_sent_no_more(self) -> None:
        def say(peer: Peer) -> None:
            peer.transport.write(b"HTTP/1.1 413 No\r\nContent-Length: 0\r\n\r\n")
            peer.transport.pauseProducing()

        self.at_start = say  # type: ignore[method-assign]
        self.assertEqual((await self.post(bytes(1 << 24))).code, 413)
        self.peers[0].transport.resumeProducing()  # type: ignore[union-attr]
        await self.peers[0].gone

    async def test_what_is_no_answer_is_told(self) -> None:
        for answer, text in (
            (b"SSH-2.0-OpenSSH\r\n\r\n", "no answer of HTTP"),
            (b"\0" * 40_000, "no answer of HTTP|more than"),
            (b"HTTP/1.1 200 OK\r\n" + b"X: y\r\n" * 10_000, "more than 100 octets"),
            (b"HTTP/1.1 100 Go on\r\n\r\n" * 10_000, "more than"),
            (ok(b"1\r\nx\r\n" * 2100, b"Transfer-Encoding: chunked"), "more than 2000 pieces"),
            (ok(b"x" * 101), "more than 100 octets"),
            (ok(b"x" * (LARGEST_HEADER + 200), b"Connection: close"), "more than 100 octets"),
        ):
            self.answer = answer
            with self.assertRaisesRegex(ProgramFailed, text):
                await self.post(largest=100)
        self.close = True
        for answer in (b"", b"HTTP/1.1 200 OK\r\nContent-Len", b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nhalf"):
            self.answer = answer or b" "
            with self.assertRaises(ProgramFailed):
                await self.post()
        with self.assertRaisesRegex(ProgramFailed, "shorter than its size"):
            await self.post(size=10)

    async def test_one_that_is_silent_or_slow_has_its_time_and_no_more(self) -> None:
        self.answer = b""
        with self.assertRaisesRegex(ProgramFailed, "within 0.05 seconds"):
            await self.post(seconds=0.05)
        await self.peers[0].gone

    async def test_who_gives_up_waiting_ends_the_connection(self) -> None:
        self.answer = b""
        connected: Deferred[None] = Deferred()
        self.at_data = lambda peer: connected.called or connected.callback(None)  # type: ignore
        asking = self.post()
        await connected
        asking.cancel()
        await self.assertFailure(asking, CancelledError)
        await self.peers[0].gone
