"""Handing reports to web servers of every kind."""

from __future__ import annotations

from typing import Any

import trustme
from test_net_policy_host import AUTHORITY, Addresses, WebServer, endless
from twisted.internet import reactor
from twisted.internet.defer import Deferred
from twisted.internet.protocol import Factory
from twisted.internet.ssl import Certificate, PrivateCertificate, trustRootFromCertificates
from twisted.trial.unittest import TestCase
from zope.interface.verify import verifyObject

from mailnode.errors import NoSuchName
from mailnode.interfaces.tls_reports import IReportHost, ReportNotTaken
from mailnode.net.client_tls import ClientTls
from mailnode.net.report_host import ReportHost

NAME = "mta-sts.d.example"  # which Addresses knows
GOOD = AUTHORITY.issue_cert(NAME)
TAKEN = b"HTTP/1.1 201 Created\r\nContent-Length: 0\r\n\r\n"
KIND = "application/tlsrpt+gzip"


class Taking(WebServer):
    """Answers once the content of the request is there."""

    def dataReceived(self, data: bytes) -> None:
        self.asked += data
        self.factory.seen = self.asked
        head, found, content = self.asked.partition(b"\r\n\r\n")
        length = next(
            (int(line[15:]) for line in head.split(b"\r\n") if line.lower().startswith(b"content-length:")), 0
        )
        if found and len(content) >= length:
            self.factory.asked.append((head, content))
            self.transport.write(self.factory.answer) if isinstance(
                self.factory.answer, bytes
            ) else self.factory.answer(self)


class ReportHostTests(TestCase):
    def serve(self, answer: Any = TAKEN, certificate: trustme.LeafCert = GOOD) -> str:
        factory = Factory.forProtocol(Taking)
        factory.answer, factory.asked, factory.lost, factory.seen = answer, [], Deferred(), b""
        options = PrivateCertificate.loadPEM(certificate.private_key_and_cert_chain_pem.bytes()).options()
        port = reactor.listenSSL(0, factory, options, interface="127.0.0.1")
        self.addCleanup(port.stopListening)
        self.server = factory
        return f"https://{NAME}:{port.getHost().port}"

    def host(self, seconds: float = 20.0) -> ReportHost:
        tls = ClientTls(trustRootFromCertificates([Certificate.loadPEM(AUTHORITY.cert_pem.bytes())]))
        self.resolver = Addresses("127.0.0.1")
        return ReportHost(reactor, self.resolver, tls, seconds)

    async def fails(self, url: str, seconds: float = 20.0) -> str:
        try:
            await self.host(seconds).post(url, b"report", KIND)
        except ReportNotTaken as failure:
            return failure.text
        raise AssertionError("it was taken")

    def test_contract(self) -> None:
        verifyObject(IReportHost, self.host())

    async def test_a_report(self) -> None:
        content = bytes(range(256)) * 4000
        server = self.serve()
        await self.host().post(f"{server}/v1/tlsrpt?to=me", content, KIND)
        ((head, got),) = self.server.asked
        lines = head.split(b"\r\n")
        self.assertEqual((lines[0], got), (b"POST /v1/tlsrpt?to=me HTTP/1.1", content))
        self.assertIn(b"Content-Type: application/tlsrpt+gzip", lines)
        self.assertIn(f"Host: {server.removeprefix('https://')}".encode(), lines)
        await self.server.lost

    async def test_a_url_without_a_path(self) -> None:
        await self.host().post(self.serve(), b"report", KIND)
        self.assertTrue(self.server.asked[0][0].startswith(b"POST / HTTP/1.1\r\n"))

    async def test_answers_that_say_no(self) -> None:
        """A redirect is not followed."""
        for code in (b"302 Found\r\nLocation: https://mta-sts.d.example/", b"404 No", b"503 Not now"):
            words = await self.fails(self.serve(b"HTTP/1.1 " + code + b"\r\nContent-Length: 0\r\n\r\n"))
            self.assertEqual(words, f"{NAME} answered with {code[:3].decode()}")
            self.assertEqual(len(self.server.asked), 1)

    async def test_nothing_is_said_to_a_server_with_another_certificate(self) -> None:
        for certificate in (trustme.CA().issue_cert(NAME), AUTHORITY.issue_cert("d.example")):
            words = await self.fails(self.serve(certificate=certificate))
            self.assertIn("the certificate is", words)
            await self.server.lost
            self.assertEqual(self.server.seen, b"")

    async def test_an_answer_without_end_is_one(self) -> None:
        """Its content is not read."""
        await self.host().post(self.serve(endless(b"HTTP/1.1 200 OK\r\n\r\n", b"x" * 10_000)), b"report", KIND)
        await self.server.lost

    async def test_a_header_without_end_and_silence(self) -> None:
        more = b"X-More: " + b"x" * 1000 + b"\r\n"
        self.assertIn("more than", await self.fails(self.serve(endless(b"HTTP/1.1 200 OK\r\n", more))))
        self.assertEqual(await self.fails(self.serve(lambda server: None), 0.1), "not within 0.1 seconds")
        await self.server.lost

    async def test_no_address(self) -> None:
        host = self.host()
        self.resolver.found = NoSuchName
        with self.assertRaises(ReportNotTaken):
            await host.post(f"https://{NAME}/", b"report", KIND)

    async def test_urls_that_are_none(self) -> None:
        for url in (
            "https:",
            "https://",
            "https://127.0.0.1/",
            "https://[::1]/",
            "https://d.example:99999/",
            "https://d example/",
            "http://d.example/",
        ):
            self.assertEqual(await self.fails(url), "there is no such URL", url)
