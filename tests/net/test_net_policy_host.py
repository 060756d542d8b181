"""Fetching MTA-STS policies from web servers of every kind."""

from __future__ import annotations

from collections.abc import Coroutine
from datetime import UTC, datetime, timedelta
from typing import Any

import trustme
from twisted.internet import reactor
from twisted.internet.defer import Deferred
from twisted.internet.protocol import Factory, Protocol
from twisted.internet.ssl import Certificate, PrivateCertificate, trustRootFromCertificates
from twisted.internet.task import LoopingCall
from twisted.trial.unittest import TestCase
from zope.interface.verify import verifyObject

from mailnode.errors import NoSuchName
from mailnode.interfaces.outbound import IPolicyHost, PolicyNotFetched, Records
from mailnode.net.client_tls import ClientTls
from mailnode.net.policy_host import LARGEST, PolicyHost

AUTHORITY = trustme.CA()
NAME = "mta-sts.d.example"
GOOD = AUTHORITY.issue_cert(NAME)
POLICY = b"version: STSv1\r\nmode: enforce\r\nmx: mx.d.example\r\nmax_age: 86400\r\n"
PAST = datetime.now(UTC) - timedelta(days=1)
TEXT = b"HTTP/1.1 200 OK\r\nContent-Type: text/plain; charset=utf-8\r\n"


def whole(body: bytes, head: bytes = TEXT) -> bytes:
    return head + b"Content-Length: %d\r\n\r\n" % len(body) + body


class Addresses:
    """One address for every name."""

    def __init__(self, *addresses: str) -> None:
        self.found: Any = addresses

    async def addresses(self, host: str) -> Records[str]:
        assert host == NAME
        if isinstance(self.found, type):
            raise self.found
        return Records(self.found)


class WebServer(Protocol):
    """Answers with what the factory has: octets, or a function that is given the connection."""

    def connectionMade(self) -> None:
        self.asked = b""

    def dataReceived(self, data: bytes) -> None:
        self.asked += data
        if b"\r\n\r\n" in self.asked:
            self.factory.asked.append(self.asked)
            if callable(self.factory.answer):
                self.factory.answer(self)
            else:
                self.transport.write(self.factory.answer)

    def connectionLost(self, reason: Any = None) -> None:
        if not self.factory.lost.called:
            self.factory.lost.callback(None)


class PolicyHostTests(TestCase):
    def serve(self, answer: Any, certificate: trustme.LeafCert = GOOD) -> int:
        factory = Factory.forProtocol(WebServer)
        factory.answer, factory.asked, factory.lost = answer, [], Deferred()
        options = PrivateCertificate.loadPEM(certificate.private_key_and_cert_chain_pem.bytes()).options()
        port = reactor.listenSSL(0, factory, options, interface="127.0.0.1")
        self.addCleanup(port.stopListening)
        self.server = factory
        return port.getHost().port

    def host(self, port: int, *addresses: str, seconds: float = 20.0) -> PolicyHost:
        tls = ClientTls(trustRootFromCertificates([Certificate.loadPEM(AUTHORITY.cert_pem.bytes())]))
        self.resolver = Addresses(*(addresses or ("127.0.0.1",)))
        return PolicyHost(reactor, self.resolver, tls, port=port, seconds=seconds)

    def fetch(self, port: int, *addresses: str, seconds: float = 20.0) -> Deferred[bytes]:
        return Deferred.fromCoroutine(self.host(port, *addresses, seconds=seconds).fetch("d.example"))

    async def fails(self, port: int, *addresses: str, seconds: float = 20.0) -> PolicyNotFetched:
        try:
            fetched = await self.fetch(port, *addresses, seconds=seconds)
        except PolicyNotFetched as failure:
            return failure
        raise AssertionError(f"fetched {len(fetched)} octets")

    def case(self, case: Coroutine[Deferred[Any], Any, Any]) -> Deferred[Any]:
        return Deferred.fromCoroutine(case)

    def test_contract(self) -> None:
        verifyObject(IPolicyHost, self.host(1))

    def test_a_policy(self) -> Deferred[Any]:
        async def case() -> None:
            self.assertEqual(await self.fetch(self.serve(whole(POLICY))), POLICY)
            (asked,) = self.server.asked
            lines = asked.split(b"\r\n")
            self.assertEqual(lines[0], b"GET /.well-known/mta-sts.txt HTTP/1.1")
            self.assertIn(b"mta-sts.d.example", asked)
            await self.server.lost

        return self.case(case())

    def test_a_policy_in_pieces(self) -> Deferred[Any]:
        async def case() -> None:
            chunks = b"5\r\n" + POLICY[:5] + b"\r\n%x\r\n" % (len(POLICY) - 5) + POLICY[5:] + b"\r\n0\r\n\r\n"
            port = self.serve(TEXT + b"Transfer-Encoding: chunked\r\n\r\n" + chunks)
            self.assertEqual(await self.fetch(port), POLICY)

        return self.case(case())

    def test_a_policy_that_the_end_of_the_connection_ends(self) -> Deferred[Any]:
        async def case() -> None:
            def close(server: Any) -> None:
                server.transport.write(TEXT + b"Connection: close\r\n\r\n" + POLICY)
                server.transport.loseConnection()

            self.assertEqual(await self.fetch(self.serve(close)), POLICY)

        return self.case(case())

    def test_such_a_one_without_the_goodbye_of_tls_may_have_been_cut_short(self) -> Deferred[Any]:
        async def case() -> None:
            def cut(server: Any) -> None:
                server.transport.write(TEXT + b"Connection: close\r\n\r\n" + POLICY)
                server.transport.transport.loseConnection()  # of the socket, below TLS

            failed = await self.fails(self.serve(cut))
            self.assertEqual((failed.result, failed.text), ("sts-policy-fetch-error", f"no answer of {NAME}"))

        return self.case(case())

    def test_another_address_where_the_first_is_dead(self) -> Deferred[Any]:
        async def case() -> None:
            self.assertEqual(await self.fetch(self.serve(whole(POLICY)), "127.0.0.77", "127.0.0.1"), POLICY)
            failed = await self.fails(self.serve(whole(POLICY)), "127.0.0.77")
            self.assertEqual((failed.result, failed.text), ("sts-policy-fetch-error", f"no answer of {NAME}"))

        return self.case(case())

    def test_no_address(self) -> Deferred[Any]:
        async def case() -> None:
            host = self.host(1)
            self.resolver.found = NoSuchName
            with self.assertRaises(PolicyNotFetched) as caught:
                await host.fetch("d.example")
            self.assertEqual(caught.exception.result, "sts-policy-fetch-error")

        return self.case(case())

    def test_certificates_that_are_not_good(self) -> Deferred[Any]:
        async def case() -> None:
            for certificate, words in (
                (trustme.CA().issue_cert(NAME), "no authority"),
                (AUTHORITY.issue_cert("d.example"), "not for mta-sts.d.example"),
                (AUTHORITY.issue_cert(NAME, not_after=PAST), "not valid at this time"),
            ):
                failed = await self.fails(self.serve(whole(POLICY), certificate))
                self.assertEqual(failed.result, "sts-webpki-invalid")
                self.assertIn(words, failed.text)

        return self.case(case())

    def test_no_tls_at_all(self) -> Deferred[Any]:
        async def case() -> None:
            port = reactor.listenTCP(0, Factory.forProtocol(Greeting), interface="127.0.0.1")
            self.addCleanup(port.stopListening)
            self.assertEqual((await self.fails(port.getHost().port)).result, "sts-webpki-invalid")

        return self.case(case())

    # SMTP trap 46: redirects and other media types
    def test_answers_that_are_no_policy(self) -> Deferred[Any]:
        async def case() -> None:
            redirect = b"HTTP/1.1 302 Found\r\nLocation: https://mta-sts.d.example/other\r\n"
            for answer, words in (
                (whole(b"", redirect), "302"),
                (whole(b"", b"HTTP/1.1 404 Not Found\r\n"), "404"),
                (whole(POLICY, b"HTTP/1.1 200 OK\r\nContent-Type: text/html\r\n"), "text/plain"),
                (whole(POLICY, b"HTTP/1.1 200 OK\r\n"), "text/plain"),
                (b"no http at all\r\n\r\n", "no answer"),
                (TEXT + b"Content-Length: nonsense\r\n\r\n", "no answer"),
                (lambda server: server.transport.abortConnection(), "no answer"),
            ):
                failed = await self.fails(self.serve(answer))
                self.assertEqual(failed.result, "sts-policy-fetch-error", words)
                self.assertIn(words, failed.text)
                self.assertLessEqual(len(self.server.asked), 1)  # a redirect is not followed

        return self.case(case())

    def test_a_policy_that_is_cut_short(self) -> Deferred[Any]:
        async def case() -> None:
            def cut(server: Any) -> None:
                server.transport.write(TEXT + b"Content-Length: 1000\r\n\r\n" + POLICY)
                server.transport.loseConnection()

            self.assertEqual((await self.fails(self.serve(cut))).result, "sts-policy-fetch-error")

        return self.case(case())

    # SMTP trap 46: too long
    def test_the_largest_policy_and_one_octet_more(self) -> Deferred[Any]:
        async def case() -> None:
            self.assertEqual(len(await self.fetch(self.serve(whole(b"x" * LARGEST)))), LARGEST)
            failed = await self.fails(self.serve(whole(b"x" * (LARGEST + 1))))
            self.assertIn("more than 65536 octets", failed.text)

        return self.case(case())

    def test_a_policy_and_a_header_without_end(self) -> Deferred[Any]:
        async def case() -> None:
            chunk = b"2710\r\n" + b"x" * 10_000 + b"\r\n"
            for head, more in (
                (TEXT + b"\r\n", b"x" * 10_000),
                (TEXT + b"Transfer-Encoding: chunked\r\n\r\n", chunk),
                (TEXT, b"X-More: " + b"x" * 1000 + b"\r\n"),
            ):
                failed = await self.fails(self.serve(endless(head, more)))
                self.assertEqual(failed.result, "sts-policy-fetch-error")
                self.assertIn("more than 65536 octets", failed.text)
                await self.server.lost

        return self.case(case())

    def test_one_octet_at_a_time(self) -> Deferred[Any]:
        async def case() -> None:
            def trickle(server: Any) -> None:
                server.transport.write(TEXT + b"\r\n")
                call = LoopingCall(server.transport.write, b"x")
                call.start(0.01)
                self.server.lost.addCallback(lambda _: call.stop())

            failed = await self.fails(self.serve(trickle), seconds=0.2)
            self.assertEqual((failed.result, failed.text), ("sts-policy-fetch-error", "not within 0.2 seconds"))
            await self.server.lost

        return self.case(case())

    def test_silence(self) -> Deferred[Any]:
        async def case() -> None:
            failed = await self.fails(self.serve(lambda server: None), seconds=0.1)
            self.assertEqual(failed.text, "not within 0.1 seconds")
            await self.server.lost

        return self.case(case())


class Greeting(Protocol):
    def connectionMade(self) -> None:
        self.transport.write(b"220 this is no TLS\r\n")


def endless(head: bytes, more: bytes) -> Any:
    """Write a head, then the same again for as long as the client takes it."""

    def answer(server: Any) -> None:
        class Producer:
            def resumeProducing(self) -> None:
                server.transport.write(more)

            def stopProducing(self) -> None:
                pass

        server.transport.write(head)
        server.transport.registerProducer(Producer(), False)

    return answer
