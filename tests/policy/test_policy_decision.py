"""What all that was found about a message comes to, and what the person whose mail it is reads about it."""

import pytest
from twisted.internet.defer import Deferred
from twisted.internet.task import Clock
from zope.interface import implementer

from mailnode.interfaces.policy import IPolicy
from mailnode.policy.chain import ChainedPolicy, PolicyChain
from mailnode.policy.decision import DEFAULT_THRESHOLDS, TO_JUNK, Thresholds
from mailnode.values.address import parse_address
from mailnode.values.authentication import AuthenticationResult
from mailnode.values.envelope import Envelope, Origin, Recipient
from mailnode.values.plan import AS_IT_IS
from mailnode.values.policy import Findings, PolicyRequest, ScoredReason, Verdict

ALICE, BOB = parse_address("alice@us.test"), parse_address("bob@us.test")
ORIGIN = Origin("s1", "ESMTP")
SPF = AuthenticationResult("spf", "pass", (("smtp.mailfrom", "a@far.test"),))


@implementer(IPolicy)
class Says:
    name = "says"
    only_strangers = True

    def __init__(self, stage, verdict):
        self.stages = frozenset([stage])
        self.verdict = verdict
        self.requests = []

    async def judge(self, request):
        self.requests.append(request)
        return self.verdict


def request(stage="end", *recipients, **more):
    envelope = Envelope("e1", None, tuple(Recipient(one) for one in recipients or (ALICE,)), ORIGIN, 0.0)
    return PolicyRequest(stage, ORIGIN, envelope=envelope if stage == "end" else None, **more)


def ask(asked, *policies, thresholds=DEFAULT_THRESHOLDS):
    chain = PolicyChain([ChainedPolicy(policy) for policy in policies], Clock(), "mx.us.test", thresholds)
    answers = []
    Deferred.fromCoroutine(chain.ask(asked)).addBoth(answers.append)
    return answers[0]


# SMTP trap 40: ours stand in one field
def test_results_of_all_stages_stand_in_one_field_and_score_and_reasons_in_another():
    before = Findings((SPF,), (ScoredReason("dnsbl", "listed in zen.test", 2.5),))
    dkim = AuthenticationResult("dkim", "none")
    verdict = ask(request(found=before), Says("end", Verdict(score=1.0, reason="no signature", results=(dkim,))))
    assert verdict.action == "pass"
    assert verdict.plan == AS_IT_IS
    assert verdict.headers == (
        b"Authentication-Results: mx.us.test;\r\n spf=pass smtp.mailfrom=a@far.test;\r\n dkim=none\r\n",
        b"X-Mailnode-Reason: not junk, score 3.5 of 5.0;\r\n dnsbl: listed in zen.test (+2.5);\r\n"
        b" says: no signature (+1.0)\r\n",
    )


@pytest.mark.parametrize(
    ("score", "action", "plan"),
    [(4.9, "pass", AS_IT_IS), (5.0, "pass", TO_JUNK), (14.9, "pass", TO_JUNK), (15.0, "refuse", AS_IT_IS)],
)
def test_the_sum_decides(score, action, plan):
    before = Findings((), (ScoredReason("early", "suspicious", 4.0),))
    verdict = ask(request(found=before), Says("end", Verdict(score=score - 4.0, reason="more")))
    assert (verdict.action, verdict.plan) == (action, plan)


def test_thresholds_of_nothing_never_decide():
    verdict = ask(request(), Says("end", Verdict(score=1e6, reason="much")), thresholds=Thresholds(0, 0))
    assert (verdict.action, verdict.plan) == ("pass", AS_IT_IS)


def test_quarantine_is_junk_whatever_the_score():
    verdict = ask(request(), Says("end", Verdict("quarantine", reason="forged", score=-100.0)))
    assert verdict.plan == TO_JUNK
    assert b"junk, score -100.0 of 5.0" in verdict.headers[1]


def test_what_was_found_at_an_early_stage_decides_when_nothing_is_asked_at_the_end():
    early = Says("mail", Verdict("quarantine", reason="forged"))
    found = Findings().then(ask(request("mail"), early))
    assert ask(request(found=found), early).plan == TO_JUNK


def test_later_policies_see_what_earlier_ones_found():
    later = Says("end", Verdict())
    ask(request(), Says("end", Verdict(results=(SPF,), score=1.0, reason="x")), later)
    assert later.requests[0].found == Findings((SPF,), (ScoredReason("says", "x", 1.0),))


def test_a_recipient_of_its_own_mind_has_its_own_copy_judged():
    verdict = ask(
        request("end", ALICE, BOB), Says("end", Verdict(own={BOB: Verdict(score=6.0, reason="bob calls it junk")}))
    )
    assert verdict.plan == AS_IT_IS
    alice, bob = verdict.own[ALICE].plan, verdict.own[BOB].plan
    assert (alice.special_use, bob.special_use) == ("", "\\Junk")
    assert b"bob calls it junk (+6.0)" in bob.prefix
    assert b"bob" not in alice.prefix
    assert verdict.headers == (b"Authentication-Results: mx.us.test; none\r\n",)


def test_a_refusal_of_one_of_several_is_junk_where_there_is_one_reply():
    refuses = Says("end", Verdict(own={BOB: Verdict("refuse", text="not for bob")}))
    one = ask(request("end", ALICE, BOB), refuses)
    assert one.action == "pass"
    assert one.own[BOB].action == "pass"
    assert one.own[BOB].plan.special_use == "\\Junk"
    each = ask(request("end", ALICE, BOB, answers_each=True), refuses)
    assert (each.own[ALICE].action, each.own[BOB].action, each.own[BOB].text) == ("pass", "refuse", "not for bob")
    alone = ask(request("end", BOB), refuses)
    assert (alone.action, alone.text, alone.by) == ("refuse", "not for bob", "says")


def test_what_was_found_about_a_recipient_at_rcpt_counts_for_it_alone():
    own = {BOB: (ScoredReason("rates", "too much for bob", 5.0),)}
    verdict = ask(request("end", ALICE, BOB, own=own), Says("end", Verdict()))
    assert (verdict.own[ALICE].plan.special_use, verdict.own[BOB].plan.special_use) == ("", "\\Junk")


def test_strangers_alone_are_judged_by_those_that_judge_strangers():
    policy = Says("mail", Verdict("refuse"))
    chain = PolicyChain([ChainedPolicy(policy)], Clock())
    assert [chain.judges("mail", known) for known in (False, True)] == [True, False]
    assert [chain.judges("end", known) for known in (False, True)] == [True, False]
    assert ask(request("mail", known=True), policy).action == "pass"


# SMTP trap 37: in Authentication-Results
def test_what_a_stranger_made_policies_say_breaks_no_field():
    verdict = ask(request(), Says("end", Verdict(score=1.0, reason="x\r\nSubject: forged\u00fc" + "y" * 10_000)))
    assert verdict.headers[1].count(b"\r\n") == 2
    assert b"\r\nSubject" not in verdict.headers[1]
    assert len(verdict.headers[1]) < 400
