"""Connections through a SOCKS5 server: every answer it may give, and mail through one, with TLS and without."""

from __future__ import annotations

import shutil
import tempfile
from typing import Any

import pytest
from test_net_outbound import CONTENT, EHLO, QUICK, TLS_EHLO, OutboundCase, message
from twisted.internet import reactor
from twisted.internet.defer import Deferred, maybeDeferred
from twisted.internet.protocol import ClientCreator, Factory, Protocol

from mailnode.interfaces.outbound import Proxy, Target
from mailnode.net.outbound import OutboundSettings
from mailnode.net.socks import REPLIES, SocksDialog, SocksRefused

PROXY = Proxy("127.0.0.1", 1080)
CONNECTED = b"\x05\x00\x00\x01\x7f\x00\x00\x01\x12\x34"


def dialog(proxy: Proxy = PROXY, address: str = "192.0.2.1") -> SocksDialog:
    made = SocksDialog(proxy, address, 25)
    assert made.to_send() == bytes([5, 1, 2 if proxy.username else 0])
    return made


@pytest.mark.parametrize("step", [1, 2, 100])
def test_a_dialog_without_login_in_pieces_of_any_size(step: int) -> None:
    made = dialog()
    answers = b"\x05\x00" + CONNECTED + b"220 hello\r\n"
    sent = b""
    at = 0
    while not made.done:
        made.receive(answers[at : at + step])
        sent += made.to_send()
        at += step
    assert made.left + answers[at:] == b"220 hello\r\n"
    assert sent == b"\x05\x01\x00\x01\xc0\x00\x02\x01\x00\x19"


def test_a_login_and_an_ipv6_address() -> None:
    made = dialog(Proxy("127.0.0.1", 1080, "joe", "secret"), "2001:db8::1")
    made.receive(b"\x05\x02")
    assert made.to_send() == b"\x01\x03joe\x06secret"
    made.receive(b"\x01\x00")
    assert made.to_send() == b"\x05\x01\x00\x04" + bytes.fromhex("20010db8000000000000000000000001") + b"\x00\x19"
    made.receive(b"\x05\x00\x00\x04" + bytes(18))
    assert made.done and made.left == b""


def test_an_answer_with_a_name() -> None:
    made = dialog()
    made.receive(b"\x05\x00\x05\x00\x00\x03\x05proxy\x00\x19220")
    assert made.done and made.left == b"220"


@pytest.mark.parametrize(
    ("proxy", "answers", "text"),
    [
        (PROXY, b"HTTP/1.1 400", "the proxy speaks no SOCKS5"),
        (PROXY, b"\x05\xff", "the proxy wants another login"),
        (PROXY, b"\x05\x02", "the proxy wants another login"),
        (PROXY, b"\x05\x00\x04\x00\x00\x01", "the proxy speaks no SOCKS5"),
        (PROXY, b"\x05\x00\x05\x00\x00\x07", "the proxy speaks no SOCKS5"),
        (PROXY, b"\x05\x00\x05\x63\x00\x01", "the proxy failed"),
        (Proxy("127.0.0.1", 1080, "joe", "x"), b"\x05\x02\x01\x01", "the proxy refused our login"),
        *((PROXY, bytes([5, 0, 5, code, 0, 1]), text) for code, text in REPLIES.items()),
    ],
)
def test_what_a_proxy_refuses_is_told(proxy: Proxy, answers: bytes, text: str) -> None:
    with pytest.raises(SocksRefused) as refused:
        dialog(proxy).receive(answers)
    assert str(refused.value) == text


class Relay(Protocol):
    """One connection to the proxy of the tests: it answers as it is told to, then passes on what it gets."""

    factory: SocksServer

    def connectionMade(self) -> None:
        self.seen = b""
        self.other: Any = None
        if self.factory.answers is None:
            self.transport.loseConnection()

    def dataReceived(self, data: bytes) -> None:
        if self.other is not None:
            self.other.transport.write(data)
            return
        self.seen += data
        if self.factory.answers is not None and len(self.seen) == 3:
            self.transport.write(self.factory.answers[:2])
        elif self.factory.answers is not None and len(self.seen) == 13:
            self.factory.asked.append(self.seen[3:])
            if self.factory.answers[2:] != CONNECTED:
                self.transport.write(self.factory.answers[2:])
                return
            creator = ClientCreator(reactor, Onward, self)
            creator.connectTCP("127.0.0.1", int.from_bytes(self.seen[-2:], "big"))

    def connectionLost(self, reason: Any = None) -> None:
        if self.other is not None:
            self.other.transport.loseConnection()


class Onward(Protocol):
    def __init__(self, relay: Relay) -> None:
        self.relay = relay

    def connectionMade(self) -> None:
        self.relay.other = self
        self.relay.transport.write(CONNECTED)

    def dataReceived(self, data: bytes) -> None:
        self.relay.transport.write(data)

    def connectionLost(self, reason: Any = None) -> None:
        self.relay.transport.loseConnection()


class SocksServer(Factory):
    protocol = Relay

    def __init__(self, answers: bytes | None) -> None:
        """:param answers: None: it hangs up at once."""
        self.answers = answers
        self.asked: list[bytes] = []
        self.listening = reactor.listenTCP(0, self, interface="127.0.0.1")  # type: ignore[attr-defined]

    @property
    def address(self) -> Proxy:
        return Proxy("127.0.0.1", self.listening.getHost().port)


class ThroughProxyTests(OutboundCase):
    def proxy(self, answers: bytes | None = b"\x05\x00" + CONNECTED) -> SocksServer:
        proxy = SocksServer(answers)
        self.addCleanup(lambda: maybeDeferred(proxy.listening.stopListening))
        return proxy

    def test_mail_goes_through_it_with_tls_and_without(self) -> Deferred[Any]:
        async def case() -> None:
            proxy = self.proxy()
            for tls, greeting in (("none", EHLO), ("required", TLS_EHLO)):
                server, outbound = self.serve(EHLO=greeting), self.make()
                report = await outbound.send(self.target(server, tls=tls, proxy=proxy.address), message())
                self.assertEqual(([reply.code for reply in report.replies], bool(report.tls)), ([250], tls != "none"))
                self.assertEqual(server.messages, [CONTENT])
                await outbound.stop()
            self.assertEqual(len(proxy.asked), 2)

        return self.run_case(case())

    def test_its_failures_are_told(self) -> Deferred[Any]:
        async def case() -> None:
            server, outbound = self.serve(), self.make(QUICK)
            for answers, text in (
                (b"\x05\x00\x05\x05\x00\x01", "connection refused, says the proxy"),
                (None, "the proxy closed the connection"),
                (b"\x05\xff", "the proxy wants another login"),
            ):
                target = self.target(server, proxy=self.proxy(answers).address)
                failed = await self.failing(outbound, target)
                self.assertEqual((failed.scope, failed.text), ("connect", text))
            self.assertEqual(server.connections, 0)

        return self.run_case(case())

    def test_one_that_says_nothing_is_waited_for_as_long_as_for_a_connection(self) -> Deferred[Any]:
        async def case() -> None:
            server, outbound = self.serve(), self.make(OutboundSettings(connect=0.2))
            failed = await self.failing(outbound, self.target(server, proxy=self.proxy(b"\x05\x00").address))
            self.assertEqual((failed.scope, failed.text), ("connect", "timed out waiting for the proxy"))

        return self.run_case(case())


class LmtpTests(OutboundCase):
    def test_each_recipient_has_its_answer_over_a_unix_socket(self) -> Deferred[Any]:
        async def case() -> None:
            replies = iter(["250 2.0.0 for bob", "452 4.2.2 carol is full"])
            server = self.serve(LHLO=EHLO, DOT=lambda line: "\r\n".join(replies))
            folder = tempfile.mkdtemp(dir="/tmp")
            self.addCleanup(shutil.rmtree, folder)
            path = f"{folder}/lmtp"
            listening = reactor.listenUNIX(path, server)  # type: ignore[attr-defined]
            outbound = self.make()
            target = Target("localhost", path, tls="none", lmtp=True)
            report = await outbound.send(target, message(CONTENT, "bob@there.example", "carol@there.example"))
            self.assertEqual([reply.code for reply in report.replies], [250, 452])
            self.assertEqual(server.said("LHLO"), ["LHLO mail.here.example"])
            await outbound.stop()
            await maybeDeferred(listening.stopListening)

        return self.run_case(case())

    def test_a_socket_that_is_not_there(self) -> Deferred[Any]:
        async def case() -> None:
            target = Target("localhost", "/nowhere/lmtp", tls="none", lmtp=True)
            failed = await self.failing(self.make(), target)
            self.assertEqual((failed.scope, failed.text), ("connect", "no connection"))

        return self.run_case(case())
