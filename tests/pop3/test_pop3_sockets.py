"""POP3 over real sockets and real TLS, asked by Python's poplib."""

import poplib
import ssl

import trustme
from pop3_fakes import FakeLogins, FakeMaildrop
from twisted.internet import reactor
from twisted.internet.defer import Deferred
from twisted.internet.ssl import CertificateOptions, KeyPair, PrivateCertificate
from twisted.internet.threads import deferToThread
from twisted.trial.unittest import TestCase

from mailnode.pop3.protocol import Pop3Factory

MESSAGES = [
    b"Subject: one\r\n\r\n.dot\r\n..dots\r\n.\r\nend\r\n",
    b"Subject: big\r\n\r\n" + b".line of text\r\n" * 40_000,
]


class SocketTests(TestCase):
    """One factory on a port of its own a test."""

    timeout = 20

    def setUp(self):
        authority = trustme.CA()
        issued = authority.issue_cert("localhost")
        pem = issued.private_key_pem.bytes() + issued.cert_chain_pems[0].bytes()
        certificate = PrivateCertificate.loadPEM(pem)
        self.options = CertificateOptions(
            privateKey=KeyPair.load(issued.private_key_pem.bytes(), 1).original, certificate=certificate.original
        )
        self.context = ssl.create_default_context()
        authority.configure_trust(self.context)
        self.drop = FakeMaildrop(MESSAGES)
        self.logins = FakeLogins(self.drop, insecure=False)

    def listen(self, tls):
        self.factory = Pop3Factory(
            self.logins,
            reactor,
            tls=tls,
            start_tls=lambda transport: transport.startTLS(self.options, self.factory),
            hostname="localhost",
        )
        if tls == "implicit":
            port = reactor.listenSSL(0, self.factory, self.options, interface="127.0.0.1")
        else:
            port = reactor.listenTCP(0, self.factory, interface="127.0.0.1")
        self.addCleanup(self.close, port)
        return port.getHost().port

    async def close(self, port):
        await port.stopListening()
        for pump in list(self.factory.pumps):
            pump.abort()
        while self.factory.pumps:
            turn = Deferred()
            reactor.callLater(0, turn.callback, None)
            await turn

    def fetch_all(self, client):
        client.user("alice")
        client.pass_("se cret")
        count, size = client.stat()
        self.assertEqual((count, size), (2, sum(map(len, MESSAGES))))
        self.assertEqual(client.uidl()[1], [b"1 uid1", b"2 uid2"])
        got = [b"".join(line + b"\r\n" for line in client.retr(number)[1]) for number in (1, 2)]
        top = client.top(2, 2)[1]
        client.dele(1)
        client.quit()
        return got, top

    async def test_stls(self):
        port = self.listen("starttls")

        def session():
            client = poplib.POP3("127.0.0.1", port, timeout=10)
            client.host = "localhost"
            before = client.capa()
            client.stls(self.context)
            return before, client.capa(), *self.fetch_all(client)

        before, after, got, top = await deferToThread(session)
        self.assertIn("STLS", before)
        self.assertNotIn("SASL", before)
        self.assertNotIn("STLS", after)
        self.assertEqual(after["SASL"], ["PLAIN", "TWO-STEP"])
        self.assertEqual(got, MESSAGES)
        self.assertEqual(top, [b"Subject: big", b"", b".line of text", b".line of text"])
        self.assertEqual(self.drop.committed, [1])
        self.assertEqual(self.drop.largest_read, 256 * 1024)
        self.assertEqual(self.logins.server_names, ["localhost"])

    async def test_implicit_tls(self):
        port = self.listen("implicit")

        def session():
            client = poplib.POP3_SSL("localhost", port, timeout=10, context=self.context)
            return self.fetch_all(client)

        got, _ = await deferToThread(session)
        self.assertEqual(got, MESSAGES)
        self.assertEqual(self.logins.server_names, ["localhost"])

    async def test_a_clear_login_is_refused(self):
        port = self.listen("starttls")

        def session():
            client = poplib.POP3("127.0.0.1", port, timeout=10)
            with self.assertRaises(poplib.error_proto):
                client.user("alice")
            client.close()

        await deferToThread(session)
        self.assertEqual(self.logins.asked, [])
