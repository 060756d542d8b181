"""What is noted of connections to other servers, for reports and for what is remembered of a domain."""

from __future__ import annotations

import contextlib
import gc
from collections.abc import Sequence
from dataclasses import replace
from hashlib import sha256, sha512
from typing import Any, cast

from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from OpenSSL import SSL, crypto
from scripted_smtp import CLOSE, EHLO, SmtpScript
from test_net_outbound import AUTHORITY, CERTIFICATE, TLS_EHLO, message
from test_net_outbound_rules import CERTIFICATES, OTHER, STS, TESTING, TROUBLES, RuleCase, dane
from twisted.internet.defer import Deferred
from twisted.internet.ssl import Certificate, PrivateCertificate, trustRootFromCertificates
from twisted.protocols.tls import TLSMemoryBIOProtocol
from twisted.trial.unittest import SynchronousTestCase

from mailnode.interfaces.outbound import Target, TargetFailed, TlsaRecord, TlsRule
from mailnode.net import peer_certificate
from mailnode.net.client_tls import ClientTls
from mailnode.net.outbound import Outbound
from mailnode.net.peer_certificate import CertificateProblem
from mailnode.values.tls_report import AUTHENTIC, ENCRYPTED, PLAIN, ReportedPolicy, TlsSession

THERE, ELSEWHERE = "there.example", "elsewhere.example"
EXPECTED = TlsSession(THERE, ReportedPolicy(THERE), "mx.example")


def shake_hands(client: SSL.Connection, server: SSL.Connection) -> None:
    """Do a handshake in memory."""
    for side, other in [(client, server), (server, client)] * 4:
        with contextlib.suppress(SSL.WantReadError):
            side.do_handshake()
        with contextlib.suppress(SSL.WantReadError):
            other.bio_write(side.bio_read(65_536))


class HandshakeTests(SynchronousTestCase):
    def test_a_certificate_is_judged_after_all_else_is_gone(self) -> None:
        """The authorities belong to a context, and are no more than octets without it."""
        handshakes = []
        for certificate in (CERTIFICATE, OTHER):
            tls = ClientTls(trustRootFromCertificates([Certificate.loadPEM(AUTHORITY.cert_pem.bytes())]))
            handshakes.append((tls.handshake("opportunistic", Target("mx.example", "192.0.2.1")), certificate))
        del tls
        gc.collect()
        found = []
        for handshake, certificate in handshakes:
            options = PrivateCertificate.loadPEM(certificate.private_key_and_cert_chain_pem.bytes()).options()
            client = handshake.clientConnectionForTLS(cast(TLSMemoryBIOProtocol, None))
            server = SSL.Connection(options.getContext(), None)
            client.set_connect_state()
            server.set_accept_state()
            shake_hands(client, server)
            problem = handshake.problem()
            found.append(problem.result if problem is not None else "")
        self.assertEqual(found, ["", "certificate-not-trusted"])

    def test_hundreds_of_certificates_cost_no_more_than_a_few(self) -> None:
        """With an authority in the records in every form there is, shown again and again."""
        root = Certificate.loadPEM(AUTHORITY.cert_pem.bytes()).original
        anchor = root.to_cryptography()
        forms = [anchor.public_bytes(Encoding.DER)]
        forms.append(anchor.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo))
        records = [
            TlsaRecord(2, selector, matching, data)
            for selector, form in enumerate(forms)
            for matching, data in enumerate((form, sha256(form).digest(), sha512(form).digest()))
        ]
        verified: list[int] = []
        failure = peer_certificate.chain_failure

        def counted(chain: Sequence[x509.Certificate], store: crypto.X509Store) -> CertificateProblem | None:
            verified.append(len(chain))
            return failure(chain, store)

        self.patch(peer_certificate, "chain_failure", counted)
        tls = ClientTls(trustRootFromCertificates([]))
        rule = TlsRule("dane", tuple(records), ("another.example",))
        handshake = tls.handshake("dane", Target("mx.example", "192.0.2.1", rule=rule))
        context = PrivateCertificate.loadPEM(CERTIFICATE.private_key_and_cert_chain_pem.bytes()).options().getContext()
        for _ in range(150):
            context.add_extra_chain_cert(root)
        client, server = (
            handshake.clientConnectionForTLS(cast(TLSMemoryBIOProtocol, None)),
            SSL.Connection(context, None),
        )
        client.set_connect_state()
        server.set_accept_state()
        shake_hands(client, server)
        problem = handshake.problem()
        assert problem is not None
        self.assertEqual(problem.result, "certificate-host-mismatch")
        self.assertEqual(verified, [peer_certificate.MAX_CHAIN])


class SessionTests(RuleCase):
    def setUp(self) -> None:
        super().setUp()
        self.noted: list[TlsSession] = []

    def make(self, *arguments: Any, **more: Any) -> Outbound:
        return super().make(*arguments, note=self.noted.append, **more)

    def target(self, server: SmtpScript, **more: Any) -> Target:
        return super().target(server, **{"session": EXPECTED, **more})

    def fared(self) -> list[tuple[str, str]]:
        return [(session.result, session.level) for session in self.noted]

    async def deliver(self, server: SmtpScript, **more: Any) -> tuple[str, str]:
        """Try to send; return how the one connection of it fared, that was noted."""
        self.noted.clear()
        try:
            await self.make().send(self.target(server, **more), message())
        except TargetFailed:
            self.assertEqual(server.messages, [])
        (fared,) = self.fared()
        return fared

    def test_a_success_has_both_addresses_and_the_policy(self) -> Deferred[Any]:
        async def case() -> None:
            server = self.showing(CERTIFICATE)
            await self.deliver(server)
            self.assertEqual(self.noted, [replace(EXPECTED, address="127.0.0.1", source="127.0.0.1", level=AUTHENTIC)])

        return self.run_case(case())

    def test_certificates_without_a_policy_are_looked_at_and_hold_nothing_back(self) -> Deferred[Any]:
        async def case() -> None:
            for certificate, _ in CERTIFICATES:
                server = self.showing(certificate)
                self.assertEqual(await self.deliver(server), ("", ENCRYPTED))
                self.assertEqual(len(server.messages), 1)

        return self.run_case(case())

    def test_certificates_under_a_policy(self) -> Deferred[Any]:
        async def case() -> None:
            for certificate, result in CERTIFICATES:
                for more in ({"tls": "verified", "rule": STS}, {"rule": TESTING}):
                    self.assertEqual(await self.deliver(self.showing(certificate), **more), (result, ENCRYPTED))
            other = dane(AUTHORITY.issue_cert("mx.example"))
            fared = await self.deliver(self.showing(OTHER), tls="dane", rule=other)
            self.assertEqual(fared, ("validation-failure", ENCRYPTED))
            self.assertEqual(await self.deliver(self.showing(OTHER), tls="dane", rule=dane(OTHER)), ("", AUTHENTIC))

        return self.run_case(case())

    # SMTP trap 44: each is counted
    def test_tls_that_cannot_be(self) -> Deferred[Any]:
        """Without a rule the mail goes all the same."""

        async def case() -> None:
            for trouble, result in TROUBLES:
                for more in ({}, {"tls": "verified", "rule": STS}):
                    server = self.troubled(trouble)
                    self.assertEqual(await self.deliver(server, **more), (result, PLAIN), trouble)
                    self.assertEqual(len(server.messages), 0 if more else 1)

        return self.run_case(case())

    def test_tls_that_breaks_behind_the_handshake(self) -> Deferred[Any]:
        """Whatever the certificate was, the mail goes without."""

        async def case() -> None:
            for certificate in (CERTIFICATE, OTHER):
                for rule in (None, TESTING):
                    server = self.showing(certificate)
                    answers = iter([TLS_EHLO, CLOSE, EHLO])
                    server.replies["EHLO"] = lambda line, answers=answers: next(answers)
                    self.assertEqual(await self.deliver(server, rule=rule), ("validation-failure", PLAIN))
                    self.assertEqual(len(server.messages), 1)

        return self.run_case(case())

    def test_what_is_wrong_with_the_policy_counts_where_the_connection_is_good(self) -> Deferred[Any]:
        async def case() -> None:
            session = replace(EXPECTED, result="tlsa-invalid", reason="none")
            self.assertEqual(
                await self.deliver(self.showing(OTHER), tls="required", session=session), ("tlsa-invalid", ENCRYPTED)
            )
            self.assertEqual(self.noted[0].reason, "none")
            plain = await self.deliver(self.serve(EHLO=EHLO), tls="required", session=session)
            self.assertEqual(plain, ("starttls-not-supported", PLAIN))

        return self.run_case(case())

    def test_a_connection_counts_once_for_each_domain(self) -> Deferred[Any]:
        async def case() -> None:
            for server, fared in (
                (self.showing(CERTIFICATE), ("", AUTHENTIC)),
                (self.troubled("broken"), ("validation-failure", PLAIN)),
            ):
                self.noted.clear()
                outbound, target = self.make(), self.target(server)
                for domain in (THERE, ELSEWHERE, THERE, ELSEWHERE):
                    await outbound.send(replace(target, session=replace(EXPECTED, domain=domain)), message())
                self.assertEqual([session.domain for session in self.noted], [THERE, ELSEWHERE])
                self.assertEqual(self.fared(), [fared] * 2)

        return self.run_case(case())

    def test_no_word_of_what_is_not_to_be_noted(self) -> Deferred[Any]:
        async def case() -> None:
            for server in (self.showing(CERTIFICATE), self.serve(EHLO=EHLO), self.troubled("broken")):
                await self.make().send(self.target(server, session=None), message())
            await self.failing(self.make(), self.target(self.serve(EHLO="421 4.3.2 busy")))
            self.assertEqual(self.noted, [])

        return self.run_case(case())
