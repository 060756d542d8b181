"""Sessions over real sockets and real TLS, with Python's smtplib and with octets written by hand."""

from __future__ import annotations

import smtplib
import socket
import ssl
from collections.abc import Callable
from typing import Any, TypeVar

import trustme
from smtp_fakes import World
from twisted.internet import reactor as the_reactor
from twisted.internet.endpoints import TCP4ServerEndpoint
from twisted.internet.ssl import CertificateOptions, PrivateCertificate
from twisted.internet.task import deferLater
from twisted.internet.threads import deferToThread
from twisted.logger import globalLogPublisher
from twisted.protocols.tls import TLSMemoryBIOFactory
from twisted.trial.unittest import TestCase

from mailnode.smtp.protocol import SmtpFactory

reactor: Any = the_reactor
T = TypeVar("T")
MESSAGE = b"From: alice@us.test\r\nSubject: x\r\n\r\n.dot\r\nhi\r\n"


class Tcp(TestCase):
    timeout = 20

    def setUp(self) -> None:
        authority = trustme.CA()
        issued = authority.issue_cert("localhost")
        pem = issued.private_key_pem.bytes() + b"".join(blob.bytes() for blob in issued.cert_chain_pems)
        certificate = PrivateCertificate.loadPEM(pem)
        self.options: Any = CertificateOptions(
            privateKey=certificate.privateKey.original, certificate=certificate.original
        )
        self.trust = ssl.create_default_context()
        authority.configure_trust(self.trust)
        self.world = World()

    async def converse(self, kind: str, tls: str, talk: Callable[[int], T]) -> T:
        """Serve on a port and run ``talk(port)`` in a thread."""
        service = self.world.service
        object.__setattr__(service, "clock", reactor)
        factory: Any = SmtpFactory(kind, service, tls=tls, start_tls=lambda t: t.startTLS(self.options))
        if tls == "implicit":
            factory = TLSMemoryBIOFactory(self.options, False, factory)
        port = await TCP4ServerEndpoint(reactor, 0, interface="127.0.0.1").listen(factory)
        try:
            return await deferToThread(talk, port.getHost().port)  # type: ignore[no-any-return]
        finally:
            await port.stopListening()

    async def test_submission_with_starttls(self) -> None:
        def talk(port: int) -> None:
            with smtplib.SMTP("localhost", port, timeout=10) as client:
                client.starttls(context=self.trust)
                client.login("alice", "secret")
                client.sendmail("alice@us.test", ["b@elsewhere.test", "bob@us.test"], MESSAGE)

        await self.converse("submission", "starttls", talk)
        envelope, _, content = self.world.delivery.accepted[0]
        self.assertEqual(envelope.origin.protocol, "ESMTPSA")
        self.assertTrue(envelope.origin.tls.startswith("TLSv1.3 TLS_"), envelope.origin.tls)
        self.assertIn(b"with ESMTPSA (TLSv1.3 TLS_", content)
        self.assertTrue(content.endswith(b"\r\n\r\n.dot\r\nhi\r\n"))

    async def test_submission_over_implicit_tls(self) -> None:
        def talk(port: int) -> None:
            with smtplib.SMTP_SSL("localhost", port, timeout=10, context=self.trust) as client:
                client.login("alice", "secret")
                client.sendmail("alice@us.test", ["b@elsewhere.test"], MESSAGE * 20000)

        await self.converse("submission", "implicit", talk)
        self.assertEqual(len(self.world.delivery.accepted), 1)
        self.assertTrue(self.world.delivery.accepted[0][2].endswith(MESSAGE))

    async def test_a_handshake_that_fails_is_logged_with_who_and_why(self) -> None:
        lines: list[Any] = []

        def observe(event: Any) -> None:
            if event.get("event") == "session.tls_failed":
                lines.append(event["fields"])

        def distrust(port: int) -> None:
            with self.assertRaises(ssl.SSLCertVerificationError):
                smtplib.SMTP_SSL("localhost", port, timeout=10, context=ssl.create_default_context())

        def no_tls(port: int) -> None:
            by_hand(port, b"EHLO x\r\n", b"STARTTLS\r\n", b"MAIL FROM:<a@x.test>\r\n")

        def leave(port: int) -> None:
            socket.create_connection(("127.0.0.1", port), 10).close()

        globalLogPublisher.addObserver(observe)
        try:
            for tls, talk, why in (
                ("implicit", distrust, "unknown ca"),
                ("starttls", no_tls, "wrong version number"),
                ("implicit", leave, "ended during the handshake"),
            ):
                await self.converse("submission", tls, talk)
                while not lines:
                    await deferLater(reactor, 0.01)
                line = lines.pop()
                self.assertEqual((line["protocol"], line["peer"]), ("submission", "127.0.0.1"))
                self.assertIn(why, line["reason"])
        finally:
            globalLogPublisher.removeObserver(observe)

    async def test_commands_behind_starttls(self) -> None:
        def talk(port: int) -> bytes:
            return by_hand(port, b"EHLO x\r\n", b"STARTTLS\r\nMAIL FROM:<a@x.test>\r\n")

        said = await self.converse("smtp", "starttls", talk)
        self.assertIn(b"\r\n554 5.5.0", said)
        self.assertNotIn(b"220 2.0.0", said)

    async def test_all_at_once_and_the_end_behind_it(self) -> None:
        def talk(port: int) -> bytes:
            return by_hand(
                port,
                b"EHLO x\r\nMAIL FROM:<a@x.test>\r\nRCPT TO:<alice@us.test>\r\nDATA\r\n" + MESSAGE + b".\r\nQUIT\r\n",
                end=True,
            )

        said = await self.converse("smtp", "starttls", talk)
        codes = [line[:4] for line in said.split(b"\r\n")][-6:]
        self.assertEqual(codes, [b"250 ", b"250 ", b"354 ", b"250 ", b"221 ", b""])
        self.assertEqual(len(self.world.delivery.accepted), 1)


def by_hand(port: int, *turns: bytes, end: bool = False) -> bytes:
    """Send turns one after the other, each after an answer; return all that was said."""
    with socket.create_connection(("127.0.0.1", port), 10) as connection:
        said = connection.recv(65536)
        for turn in turns:
            connection.sendall(turn)
            if turn is not turns[-1]:
                said += connection.recv(65536)
        if end:
            connection.shutdown(socket.SHUT_WR)
        while octets := connection.recv(65536):
            said += octets
        return said
