"""REQUIRETLS and TLS-Required: which servers mail may go to, and what becomes of it where there is none."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from memory_queue import queued
from test_delivery_mta_sts import FAILURE, StsCase, policy
from test_delivery_remote import OK, A, B, RemoteCase, through
from twisted.trial.unittest import SynchronousTestCase

from mailnode.delivery.dane import Dane
from mailnode.delivery.mta_sts import StsUnknown
from mailnode.delivery.mx import Hop, NoRoute
from mailnode.delivery.routing import NextHop
from mailnode.delivery.tls_policy import Decision, TlsPolicy
from mailnode.errors import NoSuchName, ResolverFailure
from mailnode.interfaces.outbound import OutboundMessage, OutboundReport, TargetFailed, TlsaRecord, TlsRule
from mailnode.net.no_reactor import run_now
from mailnode.smtp.extensions.table import lacking
from mailnode.values.attempt import DEFERRED, REJECTED, SENT, Attempt
from mailnode.values.envelope import TLS_OPTIONAL, TLS_REQUIRED, MailOptions
from mailnode.values.queue import QueuedEnvelope
from mailnode.values.smtp_reply import Reply

DIGEST = TlsaRecord(3, 1, 1, b"\x01" * 32)
REQUIRED = MailOptions(tls=TLS_REQUIRED)
UNNAMED = "neither DNSSEC nor MTA-STS says that a.example is a server of d.example (mx-not-validated)"


class DecisionTests(StsCase):
    """The zone has an MTA-STS policy in mode enforce that names mx.d.example."""

    POLICY_MX, OTHER = Hop("mx.d.example", "192.0.2.1"), Hop("a.example", "192.0.2.2")
    NAMED, SIGNED = replace(OTHER, named=True), replace(OTHER, named=True, secure=True)

    def decide(self, *hops: Hop, wanted: str = TLS_REQUIRED) -> dict[str, Decision]:
        return run_now(TlsPolicy(Dane(self.zone), self.sts).decide("d.example", hops, wanted))

    def refused(self, *hops: Hop) -> tuple[str, str]:
        with self.assertRaises(NoRoute) as caught:
            self.decide(*hops)
        return caught.exception.status, caught.exception.text

    def testing(self) -> None:
        self.hosts.answer = policy("testing")

    def no_policy(self) -> None:
        self.zone.txt_data["_mta-sts.d.example"] = NoSuchName

    def test_a_server_of_the_policy_is_verified_in_either_mode(self) -> None:
        self.assertEqual(self.decide(self.POLICY_MX), {"mx.d.example": Decision("verified", TlsRule("sts"))})
        self.record("two")
        self.testing()
        self.assertEqual(self.decide(self.POLICY_MX)["mx.d.example"].level, "verified")

    def test_one_that_is_not_in_it_is_passed_over(self) -> None:
        self.assertEqual(list(self.decide(self.POLICY_MX, self.OTHER)), ["mx.d.example"])
        self.assertEqual(self.refused(self.OTHER)[0], "5.7.10")
        self.assertIn("REQUIRETLS: MTA-STS: the MX a.example is not in the policy", self.refused(self.OTHER)[1])
        self.record("two")
        self.testing()
        self.assertEqual(self.refused(self.OTHER), ("5.7.10", f"REQUIRETLS: {UNNAMED}"))

    def test_dnssec_names_it_as_well(self) -> None:
        self.no_policy()
        self.assertEqual(self.refused(self.OTHER), ("5.7.10", f"REQUIRETLS: {UNNAMED}"))
        self.assertEqual(self.decide(self.NAMED), {"a.example": Decision("verified")})

    def test_without_either_it_is_not_asked_where_the_policy_went(self) -> None:
        self.no_policy()
        self.assertEqual(self.decide(self.OTHER, wanted=""), {"a.example": Decision()})

    def test_dane_goes_before_both(self) -> None:
        self.zone.tlsa_data["_25._tcp.a.example"] = [DIGEST]
        self.zone.secure.add("_25._tcp.a.example")
        self.assertEqual(self.decide(self.SIGNED)["a.example"].level, "dane")

    def test_records_that_cannot_be_used_leave_the_certificate_to_authorities(self) -> None:
        self.zone.tlsa_data["_25._tcp.a.example"] = [TlsaRecord(3, 1, 1, b"")]
        self.zone.secure.add("_25._tcp.a.example")
        self.assertEqual(self.decide(self.SIGNED, wanted="")["a.example"].level, "required")
        self.assertEqual(self.decide(self.SIGNED)["a.example"].level, "verified")

    def test_what_cannot_be_told_at_present_is_waited_for(self) -> None:
        self.zone.tlsa_data["_25._tcp.a.example"] = ResolverFailure
        self.assertEqual(self.refused(self.SIGNED)[0], "4.7.5")
        self.zone.txt_data["_mta-sts.d.example"] = ResolverFailure
        status, text = self.refused(self.OTHER)
        self.assertEqual(status, "4.7.5")
        self.assertIn("REQUIRETLS: the MTA-STS policy of d.example cannot be had", text)
        self.assertIn("(sts-policy-fetch-error)", text)

    def test_a_policy_that_cannot_be_fetched_is_waited_for_where_it_is_needed(self) -> None:
        self.hosts.answer = FAILURE
        self.assertEqual(self.refused(self.OTHER)[0], "4.7.5")
        self.assertEqual(self.decide(self.NAMED), {"a.example": Decision("verified")})
        with self.assertRaises(StsUnknown):
            run_now(self.sts.find("d.example", certain=True))
        self.assertIsNone(run_now(self.sts.find("d.example")))

    def test_a_header_that_asks_for_less_has_nobody_asked(self) -> None:
        self.assertEqual(self.decide(self.OTHER, wanted=TLS_OPTIONAL), {"a.example": Decision()})
        self.assertEqual((self.hosts.asked, self.zone.asked), ([], []))


def broken(lasting: bool) -> Any:
    def fail(message: OutboundMessage) -> Any:
        raise TargetFailed("tls", "trouble", None, result="certificate-expired", lasting=lasting)

    return fail


def takes(*offers: str) -> Any:
    """A server with these offers, which answers as the client does for it."""

    def answer(message: OutboundMessage) -> OutboundReport:
        reply = lacking(dict.fromkeys(offers, ""), message.options) or OK
        return OutboundReport((reply,) * len(message.recipients), ours=frozenset() if reply is OK else frozenset({0}))

    return answer


class RequiredTests(RemoteCase):
    def setUp(self) -> None:
        super().setUp()
        self.zone.secure |= {"d.example"}

    def sent(self, sender: str = "alice@here.example", options: MailOptions = REQUIRED) -> Attempt:
        self.net.sent.clear()
        (attempt,) = self.attempt(envelope=self.letter(sender, options)).attempts
        return attempt

    def letter(self, sender: str, options: MailOptions) -> QueuedEnvelope:
        return replace(queued("e1", 1_700_000_000.0, destination="d.example", reverse_path=sender), options=options)

    def asked(self) -> list[tuple[str, str, bool, str]]:
        return [(target.address, target.tls, target.require_tls, sent.options.tls) for target, sent in self.net.sent]

    def test_it_goes_to_a_verified_server_that_offers_it(self) -> None:
        self.serve(a=takes("REQUIRETLS"))
        self.assertEqual(self.sent().result, SENT)
        self.assertEqual(self.asked(), [(A, "verified", True, "required")])

    def test_the_next_server_is_tried_where_one_does_not_offer_it(self) -> None:
        self.serve(a=takes(), b=takes("REQUIRETLS"))
        self.assertEqual((self.sent().result, self.net.tried), (SENT, [A, B]))

    def test_it_goes_back_when_none_offers_it(self) -> None:
        self.serve(a=takes(), b=takes())
        attempt = self.sent()
        self.assertEqual((attempt.result, attempt.status), (REJECTED, "5.7.30"))
        self.assertIn("(requiretls-not-supported)", attempt.reply)

    def test_it_waits_while_a_server_cannot_be_reached(self) -> None:
        def dead(message: OutboundMessage) -> Any:
            raise TargetFailed("connect", "connection refused")

        for answers in ({"a": dead, "b": takes()}, {"a": takes(), "b": dead}):
            self.serve(**answers)
            self.assertEqual(self.sent().result, DEFERRED)

    # SMTP trap 44: REQUIRETLS does not fall back
    def test_without_tls_as_it_should_be_it_goes_back_at_once_and_after_a_mishap_it_waits(self) -> None:
        self.serve(a=broken(True), b=broken(True))
        attempt = self.sent()
        self.assertEqual((attempt.result, attempt.status), (REJECTED, "5.7.10"))
        self.assertEqual(attempt.reply, f"b.example[{B}]: REQUIRETLS: trouble (certificate-expired)")
        self.serve(b=broken(False))
        attempt = self.sent()
        self.assertEqual((attempt.result, attempt.status), (DEFERRED, "4.7.10"))

    def test_it_goes_nowhere_when_nobody_vouches_for_the_servers(self) -> None:
        self.zone.secure.clear()
        attempt = self.sent()
        self.assertEqual((attempt.result, attempt.status, self.net.tried), (REJECTED, "5.7.10", []))
        self.assertIn("(mx-not-validated)", attempt.reply)

    def test_a_domain_that_is_its_own_server_needs_nobody(self) -> None:
        self.zone.secure.clear()
        del self.zone.mx_data["d.example"]
        self.zone.address_data["d.example"] = [A]
        self.serve(a=takes("REQUIRETLS"))
        self.assertEqual((self.sent().result, self.asked()[0][1]), (SENT, "verified"))

    def test_a_notice_goes_all_the_same(self) -> None:
        """RFC 8689 5: with REQUIRETLS where it can, else without."""
        self.serve(a=takes("REQUIRETLS"))
        self.assertEqual((self.sent("").result, self.asked()), (SENT, [(A, "verified", True, "required")]))
        for answers in ({"a": takes(), "b": takes()}, {"a": broken(True), "b": broken(True)}):

            def once_more(message: OutboundMessage, first: Any = answers["a"]) -> Any:
                return OK if not message.options.tls else first(message)

            self.serve(a=once_more, b=answers["b"])
            attempt = self.sent("")
            self.assertEqual((attempt.result, self.net.tried), (SENT, [A, B, A]))
            self.assertEqual(self.asked()[-1], (A, "opportunistic", False, ""))
        self.zone.secure.clear()
        self.assertEqual((self.sent("").result, self.asked()), (SENT, [(A, "opportunistic", False, "")]))

    def test_a_notice_that_was_refused_is_not_tried_again(self) -> None:
        self.serve(a=Reply(550, "5.1.1", ("unknown",)))
        self.assertEqual((self.sent("").result, self.net.tried), (REJECTED, [A]))

    def test_a_header_that_asks_for_less(self) -> None:
        self.zone.secure |= {"a.example", "_25._tcp.a.example"}
        self.zone.tlsa_data["_25._tcp.a.example"] = [DIGEST]
        self.agent = self.make(tls=TlsPolicy(Dane(self.zone)))
        self.serve(a=takes())
        self.assertEqual(self.sent(options=MailOptions()).result, SENT)
        self.assertEqual(self.net.sent[0][0].tls, "dane")
        self.assertEqual(self.sent(options=MailOptions(tls=TLS_OPTIONAL)).result, SENT)
        self.assertEqual(self.net.sent[0][0].tls, "opportunistic")

    def test_a_next_hop_that_was_chosen_is_verified_too(self) -> None:
        for level, becomes in (("none", "verified"), ("opportunistic", "verified"), ("implicit", "implicit")):
            self.agent = self.make(routing=through(NextHop("a.example", 25, level)))
            self.serve(a=takes("REQUIRETLS"))
            self.assertEqual(self.sent().result, SENT)
            self.assertEqual(self.asked(), [(A, becomes, True, "required")])
            self.serve(a=takes())
            self.assertEqual(self.sent().status, "5.7.30")

    def test_an_lmtp_server_is_not_told_for_it_passes_nothing_on(self) -> None:
        self.agent = self.make(routing=through(NextHop("a.example", 24, "none", lmtp=True)))
        self.zone.address_data["a.example"] = ["127.0.0.1"]
        self.net.servers["127.0.0.1"] = takes()
        self.assertEqual(self.sent().result, SENT)
        self.assertEqual(self.asked(), [("127.0.0.1", "none", True, "")])


class LmtpTests(SynchronousTestCase):
    def test_what_is_delivered_by_lmtp_must_not_cross_a_network_openly(self) -> None:
        local = NextHop("localhost", 24, "none", lmtp=True)
        self.assertEqual(
            [local.level(one, TLS_REQUIRED) for one in ("127.0.0.1", "::1", A)], ["none", "none", "verified"]
        )
        self.assertEqual(NextHop("localhost", 25, "none").level("127.0.0.1", TLS_REQUIRED), "verified")
        self.assertEqual(NextHop("localhost", lmtp=True, socket="/run/lmtp").level("/run/lmtp", TLS_REQUIRED), "none")
        self.assertEqual(NextHop("a.example", 25, "none").level(A, ""), "none")
