"""Asking whoever issues tokens: what is sent, and every answer that is none."""

from __future__ import annotations

import json
from base64 import b64encode
from collections.abc import Coroutine
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs

import trustme
from twisted.internet import reactor
from twisted.internet.defer import Deferred
from twisted.internet.protocol import Factory, Protocol
from twisted.internet.ssl import Certificate, PrivateCertificate, trustRootFromCertificates
from twisted.trial.unittest import TestCase
from zope.interface.verify import verifyObject

from mailnode.errors import IssuerUnavailable
from mailnode.interfaces.outbound import Records
from mailnode.interfaces.tokens import ITokenIssuer
from mailnode.net.client_tls import ClientTls
from mailnode.net.https_request import WebClient
from mailnode.net.no_reactor import CallingThread
from mailnode.net.token_issuer import LARGEST, IssuerPlaces, TokenIssuer

AUTHORITY = trustme.CA()
NAME = "issuer.test"


class Addresses:
    async def addresses(self, host: str) -> Records[str]:
        assert host == NAME
        return Records(("127.0.0.1",))


class WebServer(Protocol):
    """Answers with what the factory has, when a request is whole."""

    asked = b""

    def dataReceived(self, data: bytes) -> None:
        self.asked += data
        head, separator, body = self.asked.partition(b"\r\n\r\n")
        length = next(
            (int(line[15:]) for line in head.split(b"\r\n") if line.lower().startswith(b"content-length:")), 0
        )
        if separator and len(body) >= length:
            self.factory.asked.append((head, body))
            self.transport.write(self.factory.answer)

    def connectionLost(self, reason: Any = None) -> None:
        if not self.factory.lost.called:
            self.factory.lost.callback(None)


def whole(body: bytes, code: int = 200) -> bytes:
    return b"HTTP/1.1 %d OK\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n" % (code, len(body)) + body


class TokenIssuerTests(TestCase):
    def issuer(self, answer: bytes, certificate: trustme.LeafCert | None = None) -> TokenIssuer:
        self.server = factory = Factory.forProtocol(WebServer)
        factory.answer, factory.asked, factory.lost = answer, [], Deferred()
        shown = certificate or AUTHORITY.issue_cert(NAME)
        options = PrivateCertificate.loadPEM(shown.private_key_and_cert_chain_pem.bytes()).options()
        port = reactor.listenSSL(0, factory, options, interface="127.0.0.1")
        self.addCleanup(port.stopListening)
        at = f"https://{NAME}:{port.getHost().port}"
        tls = ClientTls(trustRootFromCertificates([Certificate.loadPEM(AUTHORITY.cert_pem.bytes())]))
        places = IssuerPlaces(f"{at}/keys?v=1", None, f"{at}/introspect", "mail node", "s:cret")
        return TokenIssuer(WebClient(reactor, Addresses(), tls), CallingThread(), places)

    def case(self, case: Coroutine[Deferred[Any], Any, Any]) -> Deferred[Any]:
        return Deferred.fromCoroutine(case)

    def test_keys(self) -> Deferred[Any]:
        async def case() -> None:
            issuer = self.issuer(whole(b'{"keys": []}'))
            verifyObject(ITokenIssuer, issuer)
            self.assertEqual(await issuer.keys(), {"keys": []})
            ((head, _),) = self.server.asked
            self.assertTrue(head.startswith(b"GET /keys?v=1 HTTP/1.1\r\n"))
            self.assertNotIn(b"Authorization", head)
            await self.server.lost

        return self.case(case())

    def test_a_question_about_a_token(self) -> Deferred[Any]:
        async def case() -> None:
            issuer = self.issuer(whole(b'{"active": false}'))
            self.assertEqual(await issuer.introspect("a+b/c=="), {"active": False})
            ((head, body),) = self.server.asked
            self.assertTrue(head.startswith(b"POST /introspect HTTP/1.1\r\n"))
            self.assertIn(b"Authorization: Basic " + b64encode(b"mail+node:s%3Acret"), head)
            self.assertIn(b"application/x-www-form-urlencoded", head)
            form = parse_qs(body.decode())
            self.assertEqual(form, {"token": ["a+b/c=="], "token_type_hint": ["access_token"]})
            await self.server.lost

        return self.case(case())

    def test_answers_that_are_none(self) -> Deferred[Any]:
        async def case() -> None:
            for answer in (
                whole(b'{"active": true}', 401),
                whole(b'{"active": true}', 302),
                whole(b"no JSON"),
                whole(b"[" * 100_000),
                whole(b'["active"]'),
                whole(b'{"a": "' + b"x" * LARGEST + b'"}'),
                b"garbage\r\n\r\n",
            ):
                await self.assertFailure(self.case(self.issuer(answer).introspect("t")), IssuerUnavailable)
                await self.server.lost

        return self.case(case())

    def test_a_certificate_of_somebody_else(self) -> Deferred[Any]:
        async def case() -> None:
            for certificate in (trustme.CA().issue_cert(NAME), AUTHORITY.issue_cert("other.test")):
                issuer = self.issuer(whole(b'{"active": true}'), certificate)
                await self.assertFailure(self.case(issuer.introspect("t")), IssuerUnavailable)
                self.assertEqual(self.server.asked, [])
                await self.server.lost

        return self.case(case())

    def test_keys_of_a_file(self) -> None:
        path = Path(self.mktemp())
        issuer = TokenIssuer(None, CallingThread(), IssuerPlaces(keys_file=path))  # type: ignore[arg-type]
        for content in (None, b"garbage", b"[]", b'{"keys": "' + b"x" * LARGEST + b'"}'):
            if content is not None:
                path.write_bytes(content)
            self.failureResultOf(self.case(issuer.keys()), IssuerUnavailable)
        path.write_text(json.dumps({"keys": [1]}))
        self.assertEqual(self.successResultOf(self.case(issuer.keys())), {"keys": [1]})
