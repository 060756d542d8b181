"""MTA-STS policies: when they are fetched, how long they count, and what they say of the servers of a domain."""

from __future__ import annotations

from typing import Any

from delivery_fakes import Zone
from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.task import Clock
from twisted.logger import globalLogPublisher
from twisted.trial.unittest import SynchronousTestCase
from zope.interface import implementer
from zope.interface.verify import verifyObject

from mailnode.delivery.dane import Dane
from mailnode.delivery.mta_sts import MAX_FAILURES, REFRESH, RETRY, MtaSts
from mailnode.delivery.mx import Hop, NoRoute
from mailnode.delivery.tls_policy import Decision, TlsPolicy, by_sts, expected
from mailnode.errors import NoSuchName, ResolverFailure
from mailnode.interfaces.ephemeral import IStsPolicies
from mailnode.interfaces.outbound import IPolicyHost, PolicyNotFetched, TlsaRecord, TlsRule
from mailnode.net.no_reactor import run_now
from mailnode.values.sts_policy import KeptStsPolicy, StsPolicy, read_policy
from mailnode.values.tls_report import MAX_STRINGS, ReportedPolicy, TlsSession

NOW = 1_700_000_000.0
DAY = 86_400.0
FAILURE = PolicyNotFetched("sts-policy-fetch-error", "no answer")


def policy(mode: str = "enforce", mx: str = "mx.d.example", max_age: float = 7 * DAY) -> bytes:
    return f"version: STSv1\nmode: {mode}\nmx: {mx}\nmax_age: {max_age:.0f}\n".encode()


@implementer(IPolicyHost)
class PolicyHosts:
    """Answers with what stands in ``answer``; an exception is raised, a Deferred waited for."""

    def __init__(self) -> None:
        self.answer: Any = policy()
        self.asked: list[str] = []

    async def fetch(self, domain: str) -> bytes:
        self.asked.append(domain)
        answer = await self.answer if isinstance(self.answer, Deferred) else self.answer
        if isinstance(answer, Exception):
            raise answer
        return bytes(answer)


@implementer(IStsPolicies)
class Kept:
    """What is kept, in memory."""

    def __init__(self) -> None:
        self.rows: dict[str, KeptStsPolicy] = {}

    async def get(self, domain: str) -> KeptStsPolicy | None:
        return self.rows.get(domain)

    async def put(self, domain: str, kept: KeptStsPolicy) -> None:
        self.rows[domain] = kept


class StsCase(SynchronousTestCase):
    def setUp(self) -> None:
        self.clock, self.zone, self.hosts, self.kept = Clock(), Zone(), PolicyHosts(), Kept()
        self.clock.advance(NOW)
        self.record("one")
        self.sts = MtaSts(self.zone, self.hosts, self.kept, self.clock)
        self.events: list[tuple[str, dict[str, Any]]] = []
        globalLogPublisher.addObserver(self.observe)
        self.addCleanup(globalLogPublisher.removeObserver, self.observe)

    def observe(self, event: Any) -> None:
        if str(event.get("event")) in ("queue.sts_policy", "queue.tls_policy"):
            self.events.append((event["event"].removeprefix("queue."), event["fields"]))

    def record(self, identity: str) -> None:
        self.zone.txt_data["_mta-sts.d.example"] = [f"v=STSv1; id={identity};".encode()]

    def mode(self, domain: str = "d.example") -> str:
        found = run_now(self.sts.find(domain))
        return found.mode if found is not None else ""


class FetchTests(StsCase):
    def test_contracts(self) -> None:
        verifyObject(IPolicyHost, self.hosts)
        verifyObject(IStsPolicies, self.kept)

    def test_a_policy_is_fetched_once_and_kept(self) -> None:
        self.assertEqual([self.mode(), self.mode()], ["enforce"] * 2)
        self.assertEqual(self.hosts.asked, ["d.example"])
        wanted = StsPolicy("enforce", ("mx.d.example",), int(7 * DAY))
        self.assertEqual(self.kept.rows["d.example"], KeptStsPolicy(wanted, "one", NOW))
        ((_, event),) = self.events
        self.assertEqual((event["domain"], event["id"], event["mode"]), ("d.example", "one", "enforce"))

    def test_no_record_no_fetch(self) -> None:
        for records in (NoSuchName, ResolverFailure, [], [b"v=spf1 -all"], [b"v=STSv1; id=1", b"v=STSv1; id=2"]):
            self.zone.txt_data["_mta-sts.d.example"] = records
            self.assertEqual(self.mode(), "", records)
        self.assertEqual(self.mode("[192.0.2.1]"), "")
        self.assertEqual(self.hosts.asked, [])

    # SMTP trap 46: no record any more
    def test_what_is_kept_counts_when_the_record_is_gone(self) -> None:
        """RFC 8461 5.1: else whoever can hide the record takes the policy away."""
        self.mode()
        for records in (NoSuchName, ResolverFailure, []):
            self.zone.txt_data["_mta-sts.d.example"] = records
            self.clock.advance(DAY)
            self.assertEqual(self.mode(), "enforce")
        self.clock.advance(4 * DAY)
        self.assertEqual(self.mode(), "")  # it has expired

    # SMTP trap 46: another id
    def test_a_new_id(self) -> None:
        self.mode()
        self.record("two")
        self.hosts.answer = policy("testing")
        self.assertEqual([self.mode(), self.mode()], ["testing"] * 2)
        self.assertEqual(len(self.hosts.asked), 2)

    def test_a_new_id_whose_policy_cannot_be_had(self) -> None:
        self.mode()
        self.record("two")
        for answer in (FAILURE, b"no policy"):
            self.hosts.answer = answer
            self.clock.advance(RETRY)
            self.assertEqual(self.mode(), "enforce")

    def test_refreshed_each_day_so_that_it_does_not_expire(self) -> None:
        for _ in range(20):
            self.assertEqual(self.mode(), "enforce")
            self.clock.advance(REFRESH)
        self.assertEqual(len(self.hosts.asked), 20)
        self.mode()
        self.clock.advance(REFRESH - 1)
        self.mode()
        self.assertEqual(len(self.hosts.asked), 21)

    def test_a_refresh_that_fails(self) -> None:
        self.mode()
        self.hosts.answer = FAILURE
        self.clock.advance(6 * DAY)
        self.assertEqual(self.mode(), "enforce")
        self.clock.advance(DAY)
        self.assertEqual(self.mode(), "")

    def test_none_to_be_had_and_none_kept(self) -> None:
        self.hosts.answer = FAILURE
        self.assertEqual([self.mode(), self.mode()], ["", ""])
        self.assertEqual(len(self.hosts.asked), 1)  # not tried again at once
        self.assertEqual((self.events[0][1]["result"], self.events[0][1]["reason"]), (FAILURE.result, FAILURE.text))
        self.clock.advance(RETRY)
        self.hosts.answer = policy()
        self.assertEqual(self.mode(), "enforce")

    def test_a_new_id_is_tried_at_once_after_a_failure(self) -> None:
        self.hosts.answer = b"version: STSv9"
        self.assertEqual(self.mode(), "")
        self.assertEqual(self.events[0][1]["result"], "sts-policy-invalid")
        self.record("two")
        self.hosts.answer = policy()
        self.assertEqual(self.mode(), "enforce")

    # SMTP trap 46: none
    def test_mode_none_is_no_policy_and_is_kept(self) -> None:
        self.hosts.answer = policy("none")
        self.assertEqual([self.mode(), self.mode()], ["", ""])
        self.assertEqual(len(self.hosts.asked), 1)

    def test_a_clock_that_steps_back_costs_a_fetch(self) -> None:
        self.mode()
        self.clock.rightNow -= 3600
        self.assertEqual(self.mode(), "enforce")
        self.assertEqual(len(self.hosts.asked), 2)

    def test_many_at_once_fetch_once(self) -> None:
        self.hosts.answer = arriving = Deferred()
        asking = [Deferred.fromCoroutine(self.sts.find("d.example")) for _ in range(5)]
        asking[0].cancel()
        self.failureResultOf(asking[0], CancelledError)  # which does not make it go on without the policy
        arriving.callback(policy())
        for one in asking[1:]:
            found = self.successResultOf(one)
            self.assertEqual(found.mode if found else "", "enforce")
        self.assertEqual(len(self.hosts.asked), 1)

    def test_a_failure_is_noted(self) -> None:
        noted: list[TlsSession] = []
        self.sts = MtaSts(self.zone, self.hosts, self.kept, self.clock, noted.append)
        for answer in (FAILURE, b"no policy"):
            self.hosts.answer = answer
            self.mode()
            self.clock.advance(RETRY)
        self.assertEqual([one.result for one in noted], ["sts-policy-fetch-error", "sts-policy-invalid"])
        self.assertEqual({one.policy for one in noted}, {ReportedPolicy("d.example", "sts")})

    def test_failures_that_are_remembered_are_bounded(self) -> None:
        self.hosts.answer = FAILURE
        for number in range(MAX_FAILURES + 2):
            self.zone.txt_data[f"_mta-sts.{number}.example"] = [b"v=STSv1; id=1"]
            self.mode(f"{number}.example")
        self.assertLessEqual(len(self.sts._failed), MAX_FAILURES)


class DecisionTests(StsCase):
    A = Hop("mx.d.example", "192.0.2.1")
    B = Hop("other.example", "192.0.2.2")

    def decide(self, *hops: Hop, dane: bool = False) -> dict[str, Decision]:
        policy = TlsPolicy(Dane(self.zone) if dane else None, self.sts)
        return run_now(policy.decide("d.example", hops))

    # SMTP trap 46: enforce
    def test_enforced(self) -> None:
        self.assertEqual(self.decide(self.A, self.B), {"mx.d.example": Decision("verified", TlsRule("sts"))})
        told = [(fields["hosts"], fields["level"], fields["reason"]) for name, fields in self.events[1:]]
        self.assertEqual(told, [("mx.d.example", "verified", ""), ("other.example", "refused", "validation-failure")])

    def test_no_mx_in_the_policy(self) -> None:
        with self.assertRaises(NoRoute) as caught:
            self.decide(self.B)
        self.assertEqual(caught.exception.status, "4.7.5")
        wanted = "MTA-STS: the MX other.example is not in the policy (validation-failure)"
        self.assertEqual(caught.exception.text, wanted)

    def test_what_is_expected_of_a_connection(self) -> None:
        noted: list[TlsSession] = []
        (found,) = run_now(TlsPolicy(None, self.sts, noted.append).decide("d.example", [self.A, self.B])).items()
        lines = ("version: STSv1", "mode: enforce", "mx: mx.d.example", "max_age: 604800")
        policy = ReportedPolicy("d.example", "sts", lines, ("mx.d.example",))
        self.assertEqual(expected("d.example", *found), TlsSession("d.example", policy, "mx.d.example"))
        (refused,) = noted
        self.assertEqual(
            (refused.policy, refused.host, refused.result), (policy, "other.example", "validation-failure")
        )

    def test_a_policy_that_is_too_long_is_cut(self) -> None:
        long = policy(mx="\nmx: ".join(f"{number}.{'x' * 60}.example" for number in range(1000)))
        session = expected("d.example", "mx.d.example", by_sts(read_policy(long), "mx.d.example"))
        self.assertLess(sum(map(len, session.policy.strings)), MAX_STRINGS + 1)
        self.assertGreater(len(session.policy.mx), 200)

    # SMTP trap 46: testing
    def test_testing_refuses_nothing(self) -> None:
        self.hosts.answer = policy("testing")
        decided = self.decide(self.A, self.B)
        self.assertEqual(decided["mx.d.example"], Decision("opportunistic", TlsRule("sts-testing")))
        self.assertEqual(decided["other.example"].level, "opportunistic")
        self.assertEqual(self.events[-1][1]["reason"], "validation-failure")

    def test_no_policy(self) -> None:
        self.hosts.answer = policy("none")
        self.assertEqual(self.decide(self.A), {"mx.d.example": Decision()})

    # SMTP trap 45: before MTA-STS
    def test_dane_goes_first(self) -> None:
        """Where it has a rule the policy is not asked, whatever it would say; a server without one is under the policy."""
        record = TlsaRecord(3, 1, 1, b"x" * 32)
        self.zone.tlsa_data["_25._tcp.other.example"] = [record]
        self.zone.secure = {"_25._tcp.other.example"}
        secure = Hop("other.example", "192.0.2.2", secure=True)
        rule = TlsRule("dane", (record,), ("other.example", "d.example"))
        self.assertEqual(self.decide(secure, dane=True), {"other.example": Decision("dane", rule)})
        self.assertEqual(self.hosts.asked, [])
        both = self.decide(secure, self.A, dane=True)
        self.assertEqual([one.level for one in both.values()], ["dane", "verified"])

    def test_dane_that_fails_is_not_mended_by_a_policy(self) -> None:
        self.zone.tlsa_data["_25._tcp.mx.d.example"] = ResolverFailure
        with self.assertRaises(NoRoute) as caught:
            self.decide(Hop("mx.d.example", "192.0.2.1", secure=True), dane=True)
        self.assertIn("dnssec-invalid", caught.exception.text)
