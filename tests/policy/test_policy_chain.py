"""The chain decides; policies only give verdicts."""

from dataclasses import fields

from twisted.internet.defer import Deferred
from twisted.internet.task import Clock
from twisted.logger import capturedLogs
from twisted.trial.unittest import SynchronousTestCase
from zope.interface import implementer
from zope.interface.verify import verifyObject

from mailnode.interfaces.policy import IHearsSessions, IPolicy, IPolicyChain
from mailnode.interfaces.programs import FailedBefore, ProgramFailed
from mailnode.policy.chain import DEADLINE, ChainedPolicy, PolicyChain
from mailnode.values.address import parse_address
from mailnode.values.envelope import Origin
from mailnode.values.flags import SEEN
from mailnode.values.plan import AS_IT_IS, RecipientPlan
from mailnode.values.policy import PASS, STAGES, Findings, PolicyRequest, ScoredReason, Verdict

REQUEST = PolicyRequest("mail", Origin("s1", "ESMTP"))


@implementer(IPolicy)
class Says:
    stages = frozenset(["mail"])
    only_strangers = False

    def __init__(self, verdict, name="says"):
        self.name = name
        self.verdict = verdict
        self.asked = 0

    async def judge(self, request):
        self.asked += 1
        if isinstance(self.verdict, Exception):
            raise self.verdict
        if isinstance(self.verdict, Deferred):
            return await self.verdict
        return self.verdict


class ChainTests(SynchronousTestCase):
    def setUp(self):
        self.clock = Clock()

    def ask(self, *links, request=REQUEST):
        links = [link if isinstance(link, ChainedPolicy) else ChainedPolicy(link) for link in links]
        return Deferred.fromCoroutine(PolicyChain(links, self.clock).ask(request))

    def test_provides(self):
        verifyObject(IPolicyChain, PolicyChain([], self.clock))
        verifyObject(IPolicy, Says(PASS))

    def test_nobody_has_an_opinion(self):
        self.assertEqual(self.successResultOf(self.ask()), PASS)
        self.assertEqual(self.successResultOf(self.ask(Says(PASS))).action, "pass")

    def test_other_stages_are_not_asked(self):
        policy = Says(Verdict("refuse", "5.7.1", "no"))
        request = PolicyRequest("helo", Origin("s1", "ESMTP"))
        self.assertEqual(self.successResultOf(self.ask(policy, request=request)), PASS)
        self.assertEqual(policy.asked, 0)
        chain = PolicyChain([ChainedPolicy(policy)], self.clock)
        self.assertEqual(
            [stage for stage in STAGES if chain.judges(stage, False) and stage != "end"], sorted(policy.stages)
        )

    def test_the_first_refusal_wins_and_tags_add_up(self):
        late = Says(Verdict("defer", "4.7.1", "later"))
        verdict = self.successResultOf(
            self.ask(
                Says(Verdict(tags={"a": "1"}, headers=(b"X: 1\r\n",))), Says(Verdict("refuse", "5.7.1", "no")), late
            )
        )
        self.assertEqual(
            verdict,
            Verdict("refuse", "5.7.1", "no", {"a": "1"}, (b"X: 1\r\n",), reasons=(ScoredReason("says", "no"),)),
        )
        self.assertEqual(late.asked, 0)

    def test_one_that_wants_the_message_held_is_enough(self):
        verdict = self.successResultOf(self.ask(Says(Verdict(hold=True)), Says(Verdict("accept"))))
        self.assertEqual(verdict, Verdict("accept", hold=True))
        self.assertFalse(self.successResultOf(self.ask(Says(Verdict(tags={"a": "1"})))).hold)

    def test_accept_ends_the_stage(self):
        late = Says(Verdict("refuse", "5.7.1", "no"))
        self.assertEqual(self.successResultOf(self.ask(Says(Verdict("accept")), late)).action, "accept")
        self.assertEqual(late.asked, 0)

    def test_a_failing_policy_passes_or_defers_as_configured(self):
        broken = Says(RuntimeError("database on fire"))
        self.assertEqual(self.successResultOf(self.ask(broken)).action, "pass")
        verdict = self.successResultOf(self.ask(ChainedPolicy(broken, "defer")))
        self.assertEqual(verdict.action, "defer")
        self.assertNotIn("fire", verdict.text)

    def test_what_cannot_be_carried_out_is_a_failure_of_the_policy(self):
        for rubbish in (
            None,
            "refuse",
            Verdict("drop"),
            Verdict("refuse", "550"),
            Verdict(text=b"no"),
            Verdict(tags=("a",)),
            Verdict(headers=("X: 1\r\n",)),
            Verdict(headers=(b"X: 1",)),
            Verdict(headers=(b"X: 1\n\r\n",)),
            Verdict(hold="yes"),
            Verdict(plan="Junk"),
            Verdict(plan=RecipientPlan(5)),
            Verdict(plan=RecipientPlan("x\r\n* BYE")),
            Verdict(plan=RecipientPlan(special_use="Junk")),
            Verdict(plan=RecipientPlan(special_use=None)),
            Verdict(plan=RecipientPlan(flags="Seen")),
            Verdict(plan=RecipientPlan(flags=-1)),
            Verdict(plan=RecipientPlan(flags=1 << 40)),
            Verdict(plan=RecipientPlan(keywords="$Junk")),
            Verdict(plan=RecipientPlan(keywords=("a b",))),
            Verdict(plan=RecipientPlan(keywords=("x)\r\n* BYE",))),
            Verdict(plan=RecipientPlan(keywords=("\\Seen",))),
            Verdict(plan=RecipientPlan(keywords=("\u00fc",))),
            Verdict(plan=RecipientPlan(keywords=("k" * 101,))),
            Verdict(plan=RecipientPlan(redirects=("a@there.example",))),
            Verdict(plan=RecipientPlan(discard="no")),
            Verdict(plan=RecipientPlan(prefix="X: 1\r\n")),
            Verdict(plan=RecipientPlan(prefix=b"X: 1")),
            Verdict(plan=RecipientPlan(prefix=b" X: 1\r\n")),
            Verdict(plan=RecipientPlan(prefix=b"X: 1\r\n\r\nthe body\r\n")),
        ):
            self.assertIs(self.successResultOf(self.ask(Says(rubbish))).action, "pass", rubbish)
            self.assertEqual(self.successResultOf(self.ask(Says(rubbish))).plan, AS_IT_IS)
            self.assertEqual(
                self.successResultOf(self.ask(ChainedPolicy(Says(rubbish), "defer"))).action, "defer", rubbish
            )

    def test_what_can_be_carried_out_stays_as_it_is(self):
        plan = RecipientPlan(
            "Lists/a", SEEN, ("$Junk",), (parse_address("a@there.example"),), True, b"X: 1\r\n 2\r\nY: 3\r\n"
        )
        verdict = Verdict("accept", tags={"a": "1"}, headers=(b"X: 1\r\n\t2\r\n",), plan=plan)
        self.assertEqual(self.successResultOf(self.ask(Says(verdict))), verdict)

    def test_a_policy_that_never_answers_defers_at_the_deadline(self):
        asking = self.ask(Says(Deferred()))
        self.clock.advance(DEADLINE - 1)
        self.assertNoResult(asking)
        self.clock.advance(1)
        self.assertEqual(self.successResultOf(asking).action, "defer")

    def test_a_refusal_stands_though_one_that_is_asked_past_it_never_answers(self):
        links = [ChainedPolicy(Says(Verdict("refuse", "5.7.1", "no"), "first")), ChainedPolicy(Says(Deferred()))]
        asking = Deferred.fromCoroutine(PolicyChain(links, self.clock, past_refusals=True).ask(REQUEST))
        self.clock.advance(DEADLINE)
        verdict = self.successResultOf(asking)
        self.assertEqual((verdict.action, verdict.by), ("refuse", "first"))

    def test_there_is_no_deadline_where_nobody_waits_and_none_is_left_behind(self):
        self.assertEqual(self.successResultOf(self.ask(Says(Verdict(score=1.0)))).action, "pass")
        self.assertEqual(self.clock.getDelayedCalls(), [])
        answer = Deferred()
        asking = self.ask(Says(answer))
        self.assertEqual(len(self.clock.getDelayedCalls()), 1)
        answer.callback(PASS)
        self.assertEqual(self.successResultOf(asking).action, "pass")
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_who_wants_to_hears_of_ends_of_sessions(self):
        @implementer(IHearsSessions)
        class Hears(Says):
            def session_ended(self, session):
                self.verdict = session

        hears = Hears(PASS)
        verifyObject(IHearsSessions, hears)
        chain = PolicyChain([ChainedPolicy(Says(PASS)), ChainedPolicy(hears)], self.clock)
        chain.session_ended("s1")
        self.assertEqual((chain.hears_sessions, hears.verdict), (True, "s1"))
        self.assertFalse(PolicyChain([ChainedPolicy(Says(PASS))], self.clock).hears_sessions)

    def test_a_failure_that_was_told_before_is_one_and_not_told_again(self):
        told = []
        with capturedLogs() as logs:
            for error in (ProgramFailed("down"), FailedBefore("down")):
                verdict = self.successResultOf(self.ask(ChainedPolicy(Says(error), "defer")))
                told.append((verdict.action, len(logs)))
        self.assertEqual(told, [("defer", 1), ("defer", 1)])

    def test_no_timer_is_left(self):
        self.successResultOf(self.ask(Says(PASS)))
        self.assertEqual(self.clock.getDelayedCalls(), [])


def test_what_else_was_found_changes_nothing_else_of_a_request():
    values = {name: object() for name in PolicyRequest._fields}
    request, found, left = PolicyRequest(**values), Findings(), Clock().seconds
    assert request.with_found(found)._asdict() == values | {"found": found}
    assert request.with_time(left)._asdict() == values | {"dns_left": left}


def test_what_is_decided_changes_nothing_else_of_a_verdict():
    values = {one.name: object() for one in fields(Verdict)}
    verdict = Verdict(**values)
    new = {name: object() for name in ("outcome", "headers", "plan", "own")}
    assert asked(verdict.decided(**new)) == values | new
    assert asked(verdict.because("reasons")) == values | {"reasons": "reasons"}
    assert asked(verdict.answered("answers")) == values | {"answers": "answers"}


def asked(verdict):
    return {one.name: getattr(verdict, one.name) for one in fields(Verdict)}
