"""Connections to servers for which DANE or MTA-STS has a rule."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from hashlib import sha256
from typing import Any

import trustme
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from scripted_smtp import CLOSE, EHLO, SmtpScript
from test_net_outbound import AUTHORITY, CERTIFICATE, CONTENT, TLS_EHLO, OutboundCase, message
from twisted.internet.defer import Deferred
from twisted.internet.ssl import PrivateCertificate
from twisted.logger import globalLogPublisher

from mailnode.interfaces.outbound import Target, TlsaRecord, TlsRule

STS, TESTING = TlsRule("sts"), TlsRule("sts-testing")
PAST = datetime.now(UTC) - timedelta(days=1)


def dane(certificate: trustme.LeafCert) -> TlsRule:
    key = x509.load_pem_x509_certificate(certificate.cert_chain_pems[0].bytes()).public_key()
    digest = sha256(key.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)).digest()
    return TlsRule("dane", (TlsaRecord(3, 1, 1, digest),), ("mx.example",))


OTHER = trustme.CA().issue_cert("mx.example")
TROUBLES = [
    ("not offered", "starttls-not-supported"),
    ("454 4.7.0 not now", "starttls-not-supported"),
    ("554 5.7.0 never", "starttls-not-supported"),
    ("close", "validation-failure"),
    ("broken", "validation-failure"),
]
CERTIFICATES = [
    (OTHER, "certificate-not-trusted"),
    (AUTHORITY.issue_cert("other.example"), "certificate-host-mismatch"),
    (AUTHORITY.issue_cert("mx.example", not_after=PAST), "certificate-expired"),
]


class RuleCase(OutboundCase):
    def setUp(self) -> None:
        self.results: list[tuple[str, str]] = []
        globalLogPublisher.addObserver(self.observe)
        self.addCleanup(globalLogPublisher.removeObserver, self.observe)

    def observe(self, event: Any) -> None:
        if event.get("event") == "queue.tls_result":
            self.results.append((event["fields"]["policy"], event["fields"]["result"]))

    def troubled(self, trouble: str) -> SmtpScript:
        server = self.serve(EHLO=EHLO if trouble == "not offered" else TLS_EHLO)
        server.break_tls = trouble == "broken"
        if trouble not in ("broken", "not offered"):
            server.replies["STARTTLS"] = CLOSE if trouble == "close" else trouble
        return server

    def showing(self, certificate: trustme.LeafCert) -> SmtpScript:
        server = self.serve(EHLO=TLS_EHLO)
        pem = certificate.private_key_and_cert_chain_pem.bytes()
        server.tls = PrivateCertificate.loadPEM(pem).options()
        return server

    async def fails(self, server: SmtpScript, target: Target) -> str:
        """Nothing of the mail must be said; return why."""
        failed = await self.failing(self.make(), target)
        self.assertEqual((failed.scope, server.connections), ("tls", 1))
        self.assertEqual((server.said("MAIL"), server.messages), ([], []))
        return failed.result


class RuleTests(RuleCase):
    def test_a_certificate_that_matches(self) -> Deferred[Any]:
        async def case() -> None:
            for certificate in (CERTIFICATE, OTHER, AUTHORITY.issue_cert("other.example")):
                server = self.showing(certificate)
                report = await self.make().send(self.target(server, tls="dane", rule=dane(certificate)), message())
                self.assertTrue(report.tls)
                self.assertEqual(server.messages, [CONTENT])
            self.assertEqual(self.results, [("dane", "success")] * 3)

        return self.run_case(case())

    def test_one_that_does_not(self) -> Deferred[Any]:
        async def case() -> None:
            server = self.showing(CERTIFICATE)
            self.assertEqual(
                await self.fails(server, self.target(server, tls="dane", rule=dane(OTHER))), "validation-failure"
            )
            self.assertEqual(self.results, [("dane", "validation-failure")])

        return self.run_case(case())

    def test_no_tls_is_never_good_enough(self) -> Deferred[Any]:
        async def case() -> None:
            for level, rule in (("dane", dane(CERTIFICATE)), ("required", TlsRule("dane")), ("verified", STS)):
                for trouble, result in TROUBLES:
                    server = self.troubled(trouble)
                    self.results.clear()
                    got = await self.fails(server, self.target(server, tls=level, rule=rule))
                    self.assertEqual((got, self.results), (result, [(rule.policy, result)]), (level, trouble))

        return self.run_case(case())

    def test_required_by_records_that_cannot_be_used(self) -> Deferred[Any]:
        async def case() -> None:
            server = self.showing(OTHER)
            report = await self.make().send(self.target(server, tls="required", rule=TlsRule("dane")), message())
            self.assertTrue(report.tls)
            self.assertEqual(self.results, [("dane", "success")])

        return self.run_case(case())

    def test_why_a_certificate_is_not_verified(self) -> Deferred[Any]:
        async def case() -> None:
            for certificate, result in CERTIFICATES:
                server = self.showing(certificate)
                self.assertEqual(await self.fails(server, self.target(server, tls="verified", rule=STS)), result)

        return self.run_case(case())

    def test_a_policy_in_testing_is_told_and_no_more(self) -> Deferred[Any]:
        async def case() -> None:
            for certificate, result in [*CERTIFICATES, (CERTIFICATE, "success")]:
                self.results.clear()
                server = self.showing(certificate)
                report = await self.make().send(self.target(server, rule=TESTING), message())
                self.assertTrue(report.tls)
                self.assertEqual((self.results, server.messages), ([("sts-testing", result)], [CONTENT]))
            for trouble, result in TROUBLES:
                self.results.clear()
                server = self.troubled(trouble)
                report = await self.make().send(self.target(server, rule=TESTING), message())
                self.assertEqual((report.tls, server.messages), ("", [CONTENT]), trouble)
                self.assertEqual(self.results, [("sts-testing", result)])

        return self.run_case(case())

    # SMTP trap 47: by policy
    def test_a_connection_is_not_used_under_another_rule(self) -> Deferred[Any]:
        async def case() -> None:
            server, outbound = self.showing(CERTIFICATE), self.make()
            rules = [
                ("opportunistic", None),
                ("dane", dane(CERTIFICATE)),
                ("verified", STS),
                ("opportunistic", TESTING),
            ]
            for level, rule in rules * 2:
                await outbound.send(self.target(server, tls=level, rule=rule), message())
            self.assertEqual((server.connections, len(server.messages)), (4, 8))

        return self.run_case(case())

    def test_the_name_that_has_the_records_is_asked_for(self) -> Deferred[Any]:
        """RFC 7672 8.1."""

        async def case() -> None:
            server, asked = self.showing(CERTIFICATE), []
            server.tls.getContext().set_tlsext_servername_callback(lambda one: asked.append(one.get_servername()))
            rule = TlsRule("dane", dane(CERTIFICATE).tlsa, ("real.example", "mx.example"))
            await self.make().send(self.target(server, tls="dane", rule=rule), message())
            self.assertEqual(asked, [b"real.example"])

        return self.run_case(case())

    def test_what_lasts_and_what_may_be_a_mishap(self) -> Deferred[Any]:
        async def case() -> None:
            for trouble, _ in TROUBLES:
                failed = await self.failing(self.make(), self.target(self.troubled(trouble), tls="verified"))
                self.assertEqual(failed.lasting, trouble in ("not offered", "554 5.7.0 never"), trouble)
            for certificate, _ in CERTIFICATES:
                failed = await self.failing(self.make(), self.target(self.showing(certificate), tls="verified"))
                self.assertTrue(failed.lasting)

        return self.run_case(case())


class RequireTlsTests(OutboundCase):
    """RFC 8689 4.2.1."""

    def test_it_is_said_where_it_is_offered_under_tls(self) -> Deferred[Any]:
        async def case() -> None:
            server = self.serve(EHLO=TLS_EHLO.replace("250-DSN", "250-REQUIRETLS\r\n250-DSN"))
            target = self.target(server, tls="verified", require_tls=True)
            await self.make().send(target, message(tls="required"))
            self.assertIn(" REQUIRETLS", server.said("MAIL")[0])
            self.assertEqual(server.messages, [CONTENT])

        return self.run_case(case())

    def test_where_it_is_not_nothing_is_said(self) -> Deferred[Any]:
        async def case() -> None:
            server = self.serve(EHLO=TLS_EHLO)
            target = self.target(server, tls="verified", require_tls=True)
            report = await self.make().send(target, message("Subject: ü\r\n\r\nü\r\n".encode(), tls="required"))
            self.assertEqual((report.ours, [reply.status for reply in report.replies]), ({0}, ["5.7.30"]))
            self.assertEqual((server.said("MAIL"), server.messages), ([], []))

        return self.run_case(case())
