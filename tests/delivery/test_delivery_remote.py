"""One destination's servers: what each failure leads to."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

from delivery_fakes import Net, Zone
from memory_queue import MemoryQueue, queued
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase
from zope.interface.verify import verifyObject

from mailnode.delivery.dane import Dane
from mailnode.delivery.remote import RemoteAgent
from mailnode.delivery.routing import NextHop, Route, RoutingTable, Way
from mailnode.delivery.tls_policy import TlsPolicy
from mailnode.errors import ResolverFailure
from mailnode.interfaces.outbound import (
    IOutbound,
    OutboundMessage,
    OutboundReport,
    Proxy,
    TargetFailed,
    TlsaRecord,
    TlsRule,
)
from mailnode.interfaces.queue import IDeliveryAgent
from mailnode.net.no_reactor import run_now
from mailnode.values.attempt import DEFERRED, REJECTED, SENT, AttemptReport
from mailnode.values.envelope import MailOptions, RcptOptions
from mailnode.values.queue import Claim, QueuedEnvelope, QueuedRecipient
from mailnode.values.smtp_reply import Reply

NOW = 1_700_000_000.0
A, B, C, SIX = "192.0.2.1", "192.0.2.2", "192.0.2.3", "2001:db8::1"


def reply(text: str) -> Reply:
    code, status, words = text.split(" ", 2)
    return Reply(int(code), status, (words,))


def through(next_hop: NextHop) -> RoutingTable:
    return RoutingTable([Route(["*"], Way(next_hop))])


OK, LATER, NEVER = reply("250 2.0.0 ok"), reply("451 4.3.0 later"), reply("550 5.1.1 unknown")


def fails(scope: str, words: str = "", in_doubt: bool = False) -> Callable[[OutboundMessage], Any]:
    def fail(message: OutboundMessage) -> Any:
        raise TargetFailed(scope, "trouble", reply(words) if words else None, in_doubt)

    return fail


class RemoteCase(SynchronousTestCase):
    def setUp(self) -> None:
        self.clock, self.zone, self.net, self.queue = Clock(), Zone(), Net(), MemoryQueue()
        self.clock.advance(NOW)
        self.agent = self.make()
        self.zone.mx_data["d.example"] = [(10, "a.example"), (20, "b.example")]
        self.zone.address_data |= {"a.example": [A], "b.example": [B]}

    def make(self, **more: Any) -> RemoteAgent:
        return RemoteAgent(
            self.zone,
            self.net,
            self.queue,
            self.clock,
            own_names={"mail.here.example"},
            shuffle=lambda records: None,
            **more,
        )

    def serve(self, **answers: Any) -> None:
        for name, answer in answers.items():
            address = {"a": A, "b": B, "c": C, "six": SIX}[name]
            self.net.servers[address] = answer if callable(answer) else lambda message, a=answer: a

    def attempt(self, recipients: int = 1, envelope: QueuedEnvelope | None = None, **more: Any) -> AttemptReport:
        envelope = envelope or queued("e1", NOW, destination="d.example", recipients=recipients, **more)
        report: AttemptReport = run_now(self.agent.attempt(Claim("token", NOW + 60, envelope)))
        self.assertEqual({a.index for a in report.attempts}, {r.index for r in envelope.recipients})
        self.assertEqual(len(report.attempts), len(envelope.recipients))
        return report

    def results(self, report: AttemptReport) -> list[tuple[str, str]]:
        return [(a.result, a.status) for a in sorted(report.attempts, key=lambda attempt: attempt.index)]


class ServerTests(RemoteCase):
    def test_contracts(self) -> None:
        verifyObject(IDeliveryAgent, self.agent)
        verifyObject(IOutbound, self.net)

    def test_recipients_of_one_destination_go_together(self) -> None:
        self.serve(a=OK)
        envelope = replace(
            queued("e1", NOW, destination="d.example", recipients=3),
            options=MailOptions(smtputf8=True, ret="FULL", envid="id"),
        )
        report = self.attempt(envelope=envelope)
        self.assertEqual(self.results(report), [(SENT, "2.0.0")] * 3)
        self.assertEqual(self.net.tried, [A])
        target, message = self.net.sent[0]
        self.assertEqual(
            (target.host, target.port, target.tls, target.username), ("a.example", 25, "opportunistic", "")
        )
        self.assertEqual(len(message.recipients), 3)
        self.assertEqual(message.options, MailOptions(message.size, "7BIT", True, "FULL", "id"))
        self.assertEqual(run_now(message.read(0, 7)), self.queue.content[:7])
        self.assertEqual((report.attempts[0].host, report.attempts[0].reply), ("a.example", "250 2.0.0 ok"))

    def test_a_dead_first_server(self) -> None:
        self.serve(a=fails("connect"), b=OK)
        self.assertEqual(self.results(self.attempt()), [(SENT, "2.0.0")])
        self.assertEqual(self.net.tried, [A, B])
        self.attempt()
        self.assertEqual(self.net.tried, [A, B, B])  # remembered
        self.clock.advance(601)
        self.attempt()
        self.assertEqual(self.net.tried, [A, B, B, A, B])

    def test_every_server_dead(self) -> None:
        self.serve(a=fails("connect"), b=fails("connect"))
        report = self.attempt()
        self.assertEqual(self.results(report), [(DEFERRED, "4.4.1")])
        self.assertFalse(report.reached)
        self.assertIn("b.example", report.attempts[0].reply)

    def test_only_what_is_equally_good_is_raced(self) -> None:
        self.zone.mx_data["d.example"] = [(10, "a.example"), (10, "c.example"), (20, "b.example")]
        self.zone.address_data |= {"c.example": [C, SIX]}
        self.net.slow = {A, C}
        self.serve(six=fails("greeting", "421 4.3.2 busy"), a=LATER, c=LATER, b=OK)
        self.assertEqual(self.results(self.attempt()), [(SENT, "2.0.0")])
        self.assertEqual(self.net.raced, [[A, SIX, C], [A, C], [C], [B]])
        self.assertEqual(self.net.tried, [SIX, A, C, B])

    def test_an_address_that_lost_is_not_remembered_one_that_failed_is(self) -> None:
        self.zone.mx_data["d.example"] = [(10, "a.example"), (10, "b.example"), (10, "c.example")]
        self.zone.address_data |= {"c.example": [C]}
        self.net.slow, self.net.unreachable = {C}, {A}
        self.serve(b=OK)
        self.attempt()
        self.attempt()
        self.assertEqual(self.net.raced, [[A, B, C], [B, C]])

    def test_none_of_those_raced_answers(self) -> None:
        self.zone.address_data["a.example"] = [A, SIX]
        self.net.unreachable = {A, SIX}
        self.serve(b=OK)
        self.assertEqual(self.results(self.attempt()), [(SENT, "2.0.0")])
        self.net.unreachable |= {B}
        report = self.attempt()
        self.assertEqual((self.results(report), report.attempts[0].address), ([(DEFERRED, "4.4.1")], A))

    # SMTP trap 43: 421 from one of several servers
    def test_a_busy_first_server(self) -> None:
        for answer in (fails("greeting", "421 4.3.2 busy"), fails("lost", "421 4.3.2 closing"), fails("lost"), LATER):
            self.net.sent.clear()
            self.serve(a=answer, b=OK)
            self.assertEqual(self.results(self.attempt()), [(SENT, "2.0.0")])
            self.assertEqual(self.net.tried, [A, B])

    def test_a_busy_only_server(self) -> None:
        self.zone.mx_data["d.example"] = [(10, "a.example")]
        for answer, status, reached in (
            (fails("greeting", "421 4.3.2 busy"), "4.3.2", False),
            (fails("lost", "421 4.7.0 closing"), "4.7.0", False),
            (fails("lost"), "4.4.2", False),
            (fails("tls"), "4.7.5", False),
            (LATER, "4.3.0", True),
        ):
            self.serve(a=answer)
            report = self.attempt()
            self.assertEqual((self.results(report), report.reached), ([(DEFERRED, status)], reached))

    def test_a_rejecting_first_server_is_final(self) -> None:
        self.serve(a=NEVER, b=OK)
        self.assertEqual(self.results(self.attempt()), [(REJECTED, "5.1.1")])
        self.assertEqual(self.net.tried, [A])

    def test_a_refusing_banner_is_final_only_when_all_refuse(self) -> None:
        refuses = fails("greeting", "554 5.7.1 go away")
        self.serve(a=refuses, b=OK)
        self.assertEqual(self.results(self.attempt()), [(SENT, "2.0.0")])
        self.serve(b=fails("connect"))
        self.assertEqual(self.results(self.attempt()), [(DEFERRED, "4.4.1")])
        self.serve(b=refuses)
        self.assertEqual(self.results(self.attempt()), [(REJECTED, "5.7.1")])

    # SMTP trap 15: each is told of by itself
    def test_each_recipient_by_itself(self) -> None:
        self.serve(a=[OK, LATER, NEVER], b=[LATER])
        report = self.attempt(3)
        self.assertEqual(self.results(report), [(SENT, "2.0.0"), (DEFERRED, "4.3.0"), (REJECTED, "5.1.1")])
        self.assertEqual([r[0] for r in self.net.sent[1][1].recipients], ["user1@d.example"])

    # SMTP trap 43: no second copy while the first is in doubt
    def test_no_second_server_while_the_first_may_have_it(self) -> None:
        self.serve(a=fails("lost", in_doubt=True), b=OK)
        self.assertEqual(self.results(self.attempt(2)), [(DEFERRED, "4.4.2")] * 2)
        self.assertEqual(self.net.tried, [A])

    def test_no_second_server_where_the_first_is_ourselves(self) -> None:
        self.serve(a=fails("loop"), b=OK)
        self.assertEqual(self.results(self.attempt(2)), [(DEFERRED, "4.4.6")] * 2)
        self.assertEqual([target.by_mx for target, _ in self.net.sent], [True])

    def test_a_host_that_answered_is_not_asked_at_its_other_address(self) -> None:
        self.zone.address_data["a.example"] = [A, C]
        self.serve(a=LATER, c=OK, b=LATER)
        self.attempt()
        self.assertEqual(self.net.tried, [A, B])
        self.serve(a=fails("connect"))
        self.net.sent.clear()
        self.assertEqual(self.results(self.attempt()), [(SENT, "2.0.0")])
        self.assertEqual(self.net.tried, [A, C])

    def test_too_many_recipients_go_again_at_once(self) -> None:
        def two_at_a_time(message: OutboundMessage) -> list[Reply]:
            count = len(message.recipients)
            return [OK] * min(2, count) + [reply("452 4.5.3 too many recipients")] * (count - 2)

        self.serve(a=two_at_a_time)
        report = self.attempt(5)
        self.assertEqual(self.results(report), [(SENT, "2.0.0")] * 5)
        self.assertEqual(self.net.tried, [A, A, A])
        self.assertFalse(report.slow_down)  # it takes as much mail as ever, in more transactions

    def test_452_for_everybody_does_not_go_round(self) -> None:
        self.serve(a=reply("452 4.3.1 disk full"), b=reply("452 4.3.1 disk full"))
        self.assertEqual(self.results(self.attempt(2)), [(DEFERRED, "4.3.1")] * 2)
        self.assertEqual(self.net.tried, [A, B])

    def test_replies_without_enhanced_codes(self) -> None:
        self.serve(a=[Reply(250, "", ("ok",)), Reply(550, "", ("no",))])
        self.assertEqual(self.results(self.attempt(2)), [(SENT, "2.0.0"), (REJECTED, "5.0.0")])

    def test_complaints_of_crowding(self) -> None:
        self.zone.mx_data["d.example"] = [(10, "a.example")]
        self.serve(a=fails("greeting", "421 4.7.0 Too many connections from you"))
        self.assertTrue(self.attempt().slow_down)
        self.serve(a=reply("451 4.7.1 rate limit reached"))
        self.assertTrue(self.attempt().slow_down)
        self.serve(a=fails("greeting", "421 4.3.2 shutting down"))
        self.assertTrue(self.attempt().slow_down)
        self.serve(a=LATER)
        self.assertFalse(self.attempt().slow_down)
        self.serve(a=reply("550 5.7.1 too many viruses"))
        self.assertFalse(self.attempt(attempts=1).slow_down)


class SpecialTests(RemoteCase):
    def test_reputation_may_differ_by_family(self) -> None:
        """5.7.z for the first time: the other family of the same host gets a chance, once."""
        self.zone.address_data["a.example"] = [A, SIX]
        blocked = reply("550 5.7.1 blocked")
        self.serve(six=blocked, a=OK)
        self.assertEqual(self.results(self.attempt()), [(SENT, "2.0.0")])
        self.assertEqual(self.net.tried, [SIX, A])
        self.serve(a=blocked)
        self.assertEqual(self.results(self.attempt()), [(REJECTED, "5.7.1")])
        self.serve(a=fails("lost"), b=fails("connect"))
        report = self.attempt()
        self.assertEqual(self.results(report), [(DEFERRED, "4.7.1")])
        self.net.sent.clear()
        again = {"attempts": 1, "last_status": "4.7.1", "last_reply": report.attempts[0].reply}
        self.assertEqual(self.results(self.attempt(**again)), [(REJECTED, "5.7.1")])
        self.assertEqual(self.net.tried, [SIX])
        self.serve(a=OK)
        again["last_reply"] = "451 4.7.1 greylisted"
        self.assertEqual(self.results(self.attempt(**again)), [(SENT, "2.0.0")])
        self.zone.address_data["a.example"] = [SIX]
        self.assertEqual(self.results(self.attempt()), [(REJECTED, "5.7.1")])

    def test_what_a_server_lacks(self) -> None:
        lacks = OutboundReport((reply("553 5.6.7 no SMTPUTF8 there"),), ours=frozenset({0}))
        self.serve(a=lacks, b=OK)
        self.assertEqual(self.results(self.attempt()), [(SENT, "2.0.0")])
        self.serve(b=lacks)
        report = self.attempt()
        self.assertEqual(self.results(report), [(REJECTED, "5.6.7")])
        self.assertEqual((report.attempts[0].diagnostic, report.attempts[0].reply), (False, "no SMTPUTF8 there"))
        self.serve(b=fails("connect"))
        self.assertEqual(self.results(self.attempt()), [(DEFERRED, "4.4.1")])

    def test_one_server_lacks_it_for_one_recipient(self) -> None:
        missing = reply("553 5.6.7 no SMTPUTF8 there")
        self.serve(a=OutboundReport((OK, missing), ours=frozenset({1})), b=OK)
        report = self.attempt(2)
        self.assertEqual(self.results(report), [(SENT, "2.0.0")] * 2)
        self.assertEqual(self.net.tried, [A, B])
        self.assertEqual(len(self.net.sent[1][1].recipients), 1)

    def test_duty_of_notices_is_passed_on(self) -> None:
        self.serve(a=OutboundReport((OK,), "TLSv1.3", remote_dsn=True))
        asked = RcptOptions(frozenset({"SUCCESS"}), "rfc822;u@d.example")
        row = QueuedRecipient(0, "u@d.example", "d.example", options=asked)
        report = self.attempt(envelope=replace(queued("e1", NOW), recipients=(row,)))
        self.assertTrue(report.attempts[0].remote_dsn)
        self.assertEqual(report.attempts[0].tls, "TLSv1.3")
        self.assertEqual(self.net.sent[0][1].recipients, (("u@d.example", asked),))

    def test_results_say_which_address_and_how_safe_it_was(self) -> None:
        self.serve(a=OutboundReport((OK,), "TLSv1.3 X"))
        attempt = self.attempt().attempts[0]
        self.assertEqual((attempt.host, attempt.address, attempt.verified), ("a.example", A, False))
        self.zone.address_data["smart.example"] = [C]
        for level, tls, verified in (("verified", "TLSv1.3 X", True), ("required", "TLSv1.3 X", False)):
            self.agent = self.make(routing=through(NextHop("smart.example", 587, level)))
            self.serve(c=OutboundReport((OK,), tls))
            attempt = self.attempt().attempts[0]
            self.assertEqual((attempt.address, attempt.tls, attempt.verified), (C, tls, verified))
        self.serve(c=fails("connect"))
        self.assertEqual(self.attempt().attempts[0].address, C)

    def test_copies_with_something_on_top_are_sent_apart_from_those_without(self) -> None:
        rows = (
            QueuedRecipient(0, "x@d.example", "d.example"),
            QueuedRecipient(1, "y@d.example", "d.example", plan='{"prefix":"X-A: 1\\r\\n"}'),
            QueuedRecipient(2, "z@d.example", "d.example"),
        )
        self.serve(a=OK)
        report = self.attempt(envelope=replace(queued("e1", NOW), recipients=rows))
        self.assertEqual(sorted(attempt.index for attempt in report.attempts), [0, 1, 2])
        plain, topped = (message for _, message in self.net.sent)
        self.assertEqual([len(plain.recipients), len(topped.recipients)], [2, 1])
        self.assertEqual(topped.size, plain.size + 8)
        self.assertEqual(run_now(topped.read(2, 100)), b"A: 1\r\n")
        self.assertEqual(run_now(topped.read(8, 100)), run_now(plain.read(0, 100)))

    def test_no_route(self) -> None:
        for data, result, reached in (
            (ResolverFailure, (DEFERRED, "4.4.3"), False),
            ([(0, "")], (REJECTED, "5.1.10"), True),
            ([(5, "mail.here.example")], (REJECTED, "5.4.6"), True),
        ):
            self.zone.mx_data["d.example"] = data
            report = self.attempt(2)
            self.assertEqual((self.results(report), report.reached), ([result] * 2, reached))

    def test_smarthost_takes_everything(self) -> None:
        self.zone.address_data["smart.example"] = [C]
        self.agent = self.make(routing=through(NextHop("smart.example", 587, "verified", "user", "secret")))
        self.serve(c=OK)
        for destination in ("smart.example:587", "d.example"):
            self.attempt(envelope=queued("e1", NOW, destination=destination))
        for target, _ in self.net.sent:
            self.assertEqual(
                (target.host, target.address, target.port, target.tls, target.username, target.password),
                ("smart.example", C, 587, "verified", "user", "secret"),
            )

    def test_a_refused_login_at_the_smarthost_bounces_nothing(self) -> None:
        self.agent = self.make(routing=through(NextHop(C, 587, "verified", "user", "secret")))
        self.serve(c=fails("lost", "535 5.7.8 wrong"))
        self.assertEqual(self.results(self.attempt()), [(DEFERRED, "4.7.8")])

    def test_mail_for_a_smarthost_that_is_no_more(self) -> None:
        self.zone.mx_data["other.example"] = [(10, "c.example")]
        self.zone.address_data["c.example"] = [C]
        rows = (
            QueuedRecipient(0, "x@d.example", "smarthost"),
            QueuedRecipient(1, "y@Other.example", "smarthost"),
            QueuedRecipient(2, "z@d.example", "gone.example:587"),
        )
        self.serve(a=OK, c=NEVER)
        report = self.attempt(envelope=replace(queued("e1", NOW), recipients=rows))
        self.assertEqual(self.results(report), [(SENT, "2.0.0"), (REJECTED, "5.1.1"), (SENT, "2.0.0")])
        self.assertEqual([len(message.recipients) for _, message in self.net.sent], [2, 1])

    def test_a_route_gives_the_address_to_connect_from(self) -> None:
        self.zone.address_data["a.example"] = [A, SIX]
        self.agent = self.make(routing=RoutingTable([Route(["*"], Way(name="own", sources=("192.0.2.9",)))]))
        self.serve(a=fails("connect"), b=OK)
        self.attempt(envelope=queued("e1", NOW, destination="own/d.example"))
        self.assertEqual([(t.address, t.source) for t, _ in self.net.sent], [(A, "192.0.2.9"), (B, "192.0.2.9")])

    def test_a_route_by_lmtp_to_a_socket(self) -> None:
        way = Way(NextHop("", lmtp=True, socket="/run/lmtp"))
        self.agent = self.make(routing=RoutingTable([Route(["*"], way)]))
        self.net.servers["/run/lmtp"] = lambda message: OK
        self.attempt(envelope=queued("e1", NOW, destination="unix:/run/lmtp"))
        target = self.net.sent[0][0]
        self.assertEqual((target.address, target.tls, target.lmtp, target.is_six), ("/run/lmtp", "none", True, False))

    def test_what_a_proxy_cannot_reach_is_not_held_against_it_elsewhere(self) -> None:
        proxy = Proxy("192.0.2.99")
        self.zone.mx_data["d.example"] = [(10, "a.example"), (10, "b.example")]
        self.agent = self.make(routing=RoutingTable([Route(["*"], Way(name="p", proxy=proxy))]))
        self.serve(a=fails("connect"), b=fails("connect"))
        self.attempt(envelope=queued("e1", NOW, destination="p/d.example"))
        self.assertEqual([target.proxy for target, _ in self.net.sent], [proxy, proxy])
        self.assertTrue(all(self.agent._health.is_good(address) for address in (A, B)))

    def test_no_server_of_the_family_of_the_source(self) -> None:
        self.agent = self.make(routing=RoutingTable([Route(["*"], Way(name="own", sources=("2001:db8::9",)))]))
        report = self.attempt(envelope=queued("e1", NOW, destination="own/d.example"))
        self.assertEqual((self.results(report), report.reached), ([(DEFERRED, "4.4.4")], False))

    def test_mail_waits_for_the_route_of_its_sender(self) -> None:
        self.zone.address_data["smart.example"] = [C]
        way = Way(NextHop("smart.example", 25, "none"))
        self.agent = self.make(routing=RoutingTable([Route(["*"], way, ["news.example"])]))
        self.serve(a=OK, c=OK)
        for sender, address in (("a@news.example", C), ("a@here.example", A)):
            rows = (QueuedRecipient(0, "x@d.example", "gone/d.example"),)
            self.attempt(envelope=replace(queued("e1", NOW), reverse_path=sender, recipients=rows))
            self.assertEqual(self.net.tried, [address])
            self.net.sent.clear()

    def test_another_port_for_tests(self) -> None:
        self.agent = self.make(port=2525)
        self.serve(a=OK)
        self.attempt()
        self.assertEqual(self.net.sent[0][0].port, 2525)


class TlsRuleTests(RemoteCase):
    """Servers for which the receiving side has a rule (RFC 7672)."""

    RECORD = TlsaRecord(3, 1, 1, b"x" * 32)

    def setUp(self) -> None:
        super().setUp()
        self.agent = self.make(tls=TlsPolicy(Dane(self.zone)))
        self.zone.secure |= {"d.example", "a.example", "b.example", "_25._tcp.a.example"}
        self.zone.tlsa_data["_25._tcp.a.example"] = [self.RECORD]

    def test_what_is_expected_goes_with_the_server(self) -> None:
        self.serve(a=fails("connect"), b=OK)
        self.attempt()
        sessions = [target.session for target, _ in self.net.sent]
        self.assertEqual(
            [(one.host, one.domain, one.policy.kind) for one in sessions if one is not None],
            [("a.example", "d.example", "tlsa"), ("b.example", "d.example", "no-policy-found")],
        )

    def test_the_rule_goes_with_the_server(self) -> None:
        self.serve(a=fails("connect"), b=OK)
        self.attempt()
        rule = TlsRule("dane", (self.RECORD,), ("a.example", "d.example"))
        self.assertEqual(
            [(t.host, t.tls, t.rule) for t, _ in self.net.sent],
            [("a.example", "dane", rule), ("b.example", "opportunistic", None)],
        )

    def test_what_was_sent_under_it_is_verified(self) -> None:
        self.serve(a=lambda message: OutboundReport((OK,), "TLSv1.3"))
        self.assertTrue(self.attempt().attempts[0].verified)

    def test_why_it_waits(self) -> None:
        def broken(message: OutboundMessage) -> Any:
            raise TargetFailed("tls", "refused: 554 5.7.0 no", reply("554 5.7.0 no"), result="starttls-not-supported")

        self.zone.mx_data["d.example"] = [(10, "a.example")]
        self.serve(a=broken)
        (attempt,) = self.attempt().attempts
        self.assertEqual((attempt.result, attempt.status, attempt.diagnostic), (DEFERRED, "4.7.5", False))
        wanted = f"a.example[{A}]: DANE: refused: 554 5.7.0 no (starttls-not-supported)"
        self.assertEqual(attempt.reply, wanted)

    def test_a_server_that_may_not_be_used_is_not_connected_to(self) -> None:
        self.zone.tlsa_data["_25._tcp.a.example"] = ResolverFailure
        self.serve(a=OK, b=OK)
        self.attempt()
        self.assertEqual(self.net.tried, [B])
        self.zone.mx_data["d.example"] = [(10, "a.example")]
        report = self.attempt()
        self.assertEqual((self.results(report), report.reached), ([(DEFERRED, "4.7.5")], False))
        self.assertIn("(dnssec-invalid)", report.attempts[0].reply)
        self.assertEqual(self.net.tried, [B])

    def test_a_next_hop_of_ones_own_has_no_rule(self) -> None:
        self.agent = self.make(tls=TlsPolicy(Dane(self.zone)), routing=through(NextHop("a.example", 25, "none")))
        self.serve(a=OK)
        self.attempt()
        target = self.net.sent[0][0]
        self.assertEqual((target.tls, target.rule, target.session), ("none", None, None))
