"""What DANE asks of TLS with the servers of a domain, and what follows for them."""

from __future__ import annotations

from typing import Any

import trustme
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from delivery_fakes import Zone
from twisted.logger import globalLogPublisher
from twisted.trial.unittest import SynchronousTestCase

from mailnode.delivery.dane import MAX_RECORDS, Dane, usable
from mailnode.delivery.mx import Hop, NoRoute
from mailnode.delivery.tls_policy import Decision, TlsPolicy, expected
from mailnode.errors import NoSuchName, ResolverFailure
from mailnode.interfaces.outbound import TlsaRecord, TlsRule
from mailnode.net.no_reactor import run_now
from mailnode.values.tls_report import ReportedPolicy, TlsSession

DIGEST = TlsaRecord(3, 1, 1, b"\x01" * 32)
STRONG = TlsaRecord(3, 1, 2, b"\x02" * 64)
CERTIFICATE = trustme.CA().issue_cert("a.example").cert_chain_pems[0].bytes()
DER = x509.load_pem_x509_certificate(CERTIFICATE).public_bytes(Encoding.DER)
KEY = (
    x509.load_pem_x509_certificate(CERTIFICATE)
    .public_key()
    .public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
)
A, B = Hop("a.example", "192.0.2.1", secure=True), Hop("b.example", "192.0.2.2", secure=True)


class UsableTests(SynchronousTestCase):
    def test_what_can_be_held_against_a_certificate(self) -> None:
        for record in (
            DIGEST,
            STRONG,
            TlsaRecord(2, 0, 1, b"x" * 32),
            TlsaRecord(3, 0, 0, DER),
            TlsaRecord(2, 1, 0, KEY),
        ):
            self.assertEqual(usable([record]), (record,))

    def test_what_can_not(self) -> None:
        for record in (
            TlsaRecord(3, 1, 1, b""),  # three octets on the wire
            TlsaRecord(3, 1, 1, b"x" * 31),
            TlsaRecord(3, 1, 2, b"x" * 32),
            TlsaRecord(0, 0, 1, b"x" * 32),
            TlsaRecord(1, 0, 1, b"x" * 32),
            TlsaRecord(4, 0, 1, b"x" * 32),
            TlsaRecord(3, 2, 1, b"x" * 32),
            TlsaRecord(3, 1, 3, b"x" * 32),
            TlsaRecord(3, 0, 0, b""),
            TlsaRecord(3, 0, 0, b"no certificate"),
            TlsaRecord(2, 1, 0, DER),
        ):
            self.assertEqual(usable([record]), (), record)

    def test_the_strongest_digest_alone_counts(self) -> None:
        """RFC 7671 9: a weaker one of the same usage and selector is not looked at, others are."""
        other = TlsaRecord(2, 1, 1, b"x" * 32)
        self.assertEqual(usable([DIGEST, STRONG, other]), (other, STRONG))

    def test_their_order_is_settled(self) -> None:
        """Connections are used again for equal targets, and DNS turns records about."""
        records = [TlsaRecord(3, 1, 1, bytes([octet]) * 32) for octet in range(4)]
        self.assertEqual(usable(records), usable(records[::-1]))


class DaneTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.zone = Zone()
        self.events: list[dict[str, Any]] = []
        globalLogPublisher.addObserver(self.observe)
        self.addCleanup(globalLogPublisher.removeObserver, self.observe)

    def observe(self, event: Any) -> None:
        if event.get("event") == "queue.tls_policy":
            self.events.append(event["fields"])

    def publish(self, host: str, *records: TlsaRecord, secure: bool = True) -> None:
        name = f"_25._tcp.{host}"
        self.zone.tlsa_data[name] = records
        if secure:
            self.zone.secure.add(name)

    def decide(self, *hops: Hop) -> dict[str, Decision]:
        return run_now(TlsPolicy(Dane(self.zone)).decide("d.example", hops))

    def test_without_dane_all_is_opportunistic(self) -> None:
        self.publish("a.example", DIGEST)
        decided = run_now(TlsPolicy().decide("d.example", [A]))
        self.assertEqual(decided, {"a.example": Decision("opportunistic")})
        self.assertEqual((self.zone.asked, self.events), ([], []))

    def test_records_that_are_validated_make_the_rule(self) -> None:
        self.publish("a.example", DIGEST)
        rule = TlsRule("dane", (DIGEST,), ("a.example", "d.example"))
        self.assertEqual(self.decide(A, B), {"a.example": Decision("dane", rule), "b.example": Decision()})
        (event,) = self.events
        self.assertEqual((event["hosts"], event["policy"], event["level"]), ("a.example", "dane", "dane"))

    def test_a_server_is_asked_about_once(self) -> None:
        self.decide(A, Hop("a.example", "2001:db8::1", secure=True))
        self.assertEqual(self.zone.asked, ["_25._tcp.a.example"])

    def test_servers_under_the_same_are_told_of_together(self) -> None:
        self.publish("a.example", DIGEST)
        self.publish("b.example", STRONG)
        self.decide(A, B)
        self.assertEqual([event["hosts"] for event in self.events], ["a.example,b.example"])

    # SMTP trap 45: an MX that is not validated
    def test_what_is_not_secure_is_not_asked(self) -> None:
        self.publish("a.example", DIGEST)
        self.assertEqual(self.decide(Hop("a.example", "192.0.2.1")), {"a.example": Decision()})
        self.assertEqual(self.zone.asked, [])

    def test_records_that_are_not_validated_are_none(self) -> None:
        self.publish("a.example", DIGEST, secure=False)
        self.assertEqual(self.decide(A), {"a.example": Decision()})

    def test_no_records(self) -> None:
        self.zone.tlsa_data["_25._tcp.a.example"] = NoSuchName
        self.publish("b.example")
        self.assertEqual(self.decide(A, B), {"a.example": Decision(), "b.example": Decision()})

    def test_records_of_which_none_can_be_used_require_tls(self) -> None:
        self.publish("a.example", TlsaRecord(3, 1, 1, b""), TlsaRecord(1, 1, 1, b"x" * 32))
        rule = TlsRule("dane", (), ("a.example", "d.example"))
        self.assertEqual(self.decide(A), {"a.example": Decision("required", rule, "tlsa-invalid")})
        self.assertEqual(self.events[0]["reason"], "tlsa-invalid")

    def test_a_server_whose_records_are_not_to_be_had_is_passed_over(self) -> None:
        self.zone.tlsa_data["_25._tcp.a.example"] = ResolverFailure
        self.assertEqual(self.decide(A, B), {"b.example": Decision()})
        self.assertEqual((self.events[0]["level"], self.events[0]["reason"]), ("refused", "dnssec-invalid"))

    # SMTP trap 45: records that are bogus
    def test_and_the_mail_waits_when_there_is_no_other(self) -> None:
        self.zone.tlsa_data["_25._tcp.a.example"] = ResolverFailure
        with self.assertRaises(NoRoute) as caught:
            self.decide(A)
        self.assertEqual(caught.exception.status, "4.7.5")
        self.assertIn("DANE: the TLSA records of _25._tcp.a.example", caught.exception.text)
        self.assertIn("(dnssec-invalid)", caught.exception.text)

    def test_records_where_an_alias_leads_come_first(self) -> None:
        """RFC 7672 2.2.3."""
        hop = Hop("a.example", "192.0.2.1", secure=True, alias="real.example")
        self.publish("a.example", DIGEST)
        rule = TlsRule("dane", (DIGEST,), ("a.example", "d.example"))
        self.assertEqual(self.decide(hop), {"a.example": Decision("dane", rule)})
        self.publish("real.example", STRONG)
        rule = TlsRule("dane", (STRONG,), ("real.example", "a.example", "d.example"))
        self.assertEqual(self.decide(hop), {"a.example": Decision("dane", rule)})

    def test_another_port_has_its_own_records(self) -> None:
        run_now(Dane(self.zone, 2525).rule("d.example", A))
        self.assertEqual(self.zone.asked, ["_2525._tcp.a.example"])

    def test_what_is_expected_of_a_connection(self) -> None:
        useless = TlsaRecord(1, 1, 1, b"\xab")
        self.publish("a.example", DIGEST, useless)
        decided = self.decide(A, B)
        written = ("1 1 1 AB", "3 1 1 " + "01" * 32)
        of_a = TlsSession("d.example", ReportedPolicy("a.example", "tlsa", written), "a.example")
        self.assertEqual(expected("d.example", "a.example", decided["a.example"]), of_a)
        of_b = TlsSession("d.example", ReportedPolicy("d.example"), "b.example")
        self.assertEqual(expected("d.example", "b.example", decided["b.example"]), of_b)
        self.publish("a.example", useless)
        session = expected("d.example", "a.example", self.decide(A)["a.example"])
        self.assertEqual((session.result, session.reason), ("tlsa-invalid", "no TLSA record can be used"))

    def test_a_server_that_is_passed_over_is_noted(self) -> None:
        noted: list[TlsSession] = []
        self.zone.tlsa_data["_25._tcp.a.example"] = ResolverFailure
        run_now(TlsPolicy(Dane(self.zone), note=noted.append).decide("d.example", [A, B]))
        (session,) = noted
        self.assertEqual((session.domain, session.policy), ("d.example", ReportedPolicy("a.example", "tlsa")))
        self.assertEqual((session.result, session.level), ("dnssec-invalid", ""))

    def test_a_thousand_records_are_bounded(self) -> None:
        self.publish("a.example", *(TlsaRecord(3, 1, 1, bytes([n % 256, n // 256]) * 16) for n in range(1000)))
        rule = self.decide(A)["a.example"].rule
        assert rule is not None
        self.assertEqual(len(rule.tlsa), MAX_RECORDS)
