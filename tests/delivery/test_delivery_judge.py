"""What verdicts come to for each recipient."""

import pytest
from twisted.logger import globalLogPublisher

from mailnode.delivery.judge import MAX_REDIRECTS, Judge
from mailnode.errors import Refused, StoreUnavailable
from mailnode.net.no_reactor import run_now
from mailnode.values.address import parse_address
from mailnode.values.directory import Resolved
from mailnode.values.envelope import Envelope, Origin, Recipient
from mailnode.values.flags import FLAGGED, SEEN
from mailnode.values.plan import AS_IT_IS, RecipientPlan

ALICE, BOB, AWAY, NOBODY, CLOSED = (
    parse_address(f"{text}.example") for text in ("alice@here", "bob@here", "c@there", "nobody@here", "closed@here")
)
ROUTES = {
    ALICE: Resolved(True, (("id-alice", str(ALICE)),)),
    BOB: Resolved(True, (("id-bob", str(BOB)),)),
    AWAY: Resolved(True, remote=(str(AWAY),)),
    CLOSED: Resolved(True, refusal="5.2.1"),
}


class Router:
    def __init__(self):
        self.asked = []
        self.trouble = None

    async def resolve(self, recipient, relay, size=0):
        assert relay
        self.asked.append(recipient)
        if self.trouble is not None:
            raise self.trouble
        if recipient not in ROUTES:
            raise Refused("5.1.1", "No such user here")
        return ROUTES[recipient]


@pytest.fixture
def router():
    return Router()


@pytest.fixture
def events():
    found = []

    def keep(event):
        if "event" in event:
            found.append((event["event"], {name: str(value) for name, value in event["fields"].items()}))

    globalLogPublisher.addObserver(keep)
    yield found
    globalLogPublisher.removeObserver(keep)


def judge(router, common=AS_IT_IS, own=None, recipients=(ALICE, BOB)):
    envelope = Envelope("e1", None, tuple(map(Recipient, recipients)), Origin("s", "SMTP"), 0.0)
    routes = {address: ROUTES[address] for address in recipients}
    return run_now(Judge(router).judge(envelope, routes, common, own or {}))


def test_without_wishes_everybody_has_the_ordinary_plan_and_nobody_is_asked(router):
    judgement = judge(router)
    assert judgement.plan(ALICE) == judgement.plan(BOB) == AS_IT_IS
    assert router.asked == []
    assert judgement.is_kept and judgement.is_for_mailboxes


def test_what_is_wanted_for_one_recipient_does_not_touch_the_others(router):
    judgement = judge(router, own={ALICE: RecipientPlan("Junk", FLAGGED)})
    assert judgement.plan(ALICE) == RecipientPlan("Junk", FLAGGED)
    assert judgement.plan(BOB) == AS_IT_IS


def test_wishes_for_everybody_and_for_one_add_up(router):
    common = RecipientPlan("Junk", SEEN, ("a", "b"), prefix=b"X: 1\r\n")
    judgement = judge(router, common, {ALICE: RecipientPlan("Lists", FLAGGED, ("b", "c"), prefix=b"Y: 2\r\n")})
    assert judgement.plan(ALICE) == RecipientPlan("Lists", SEEN | FLAGGED, ("a", "b", "c"), prefix=b"X: 1\r\nY: 2\r\n")
    assert judgement.plan(BOB) == common


def test_where_redirects_lead_is_found_once(router):
    judgement = judge(router, RecipientPlan(redirects=(AWAY,)))
    assert router.asked == [AWAY]
    assert [route.remote for route, _ in judgement.reached(BOB)] == [(), (str(AWAY),)]
    assert judgement.plan(BOB).redirects == (AWAY,)


def test_a_redirect_that_leads_nowhere_leaves_the_recipient_its_copy(router, events):
    for target in (NOBODY, CLOSED):
        plan = RecipientPlan(redirects=(target, AWAY), discard=True)
        judgement = judge(router, own={ALICE: plan}, recipients=(ALICE,))
        assert judgement.plan(ALICE) == RecipientPlan(redirects=(AWAY,))
        assert [route.local for route, _ in judgement.reached(ALICE)] == [ROUTES[ALICE].local, ()]
    assert [(name, fields["target"]) for name, fields in events] == [
        ("message.not_redirected", str(NOBODY)),
        ("message.not_redirected", str(CLOSED)),
    ]


def test_more_redirects_than_are_allowed_are_passed_over_and_the_copy_stays(router):
    many = tuple(parse_address(f"u{number}@there.example") for number in range(MAX_REDIRECTS + 1))
    leading = {address: Resolved(True, remote=(str(address),)) for address in many}
    ROUTES.update(leading)
    try:
        plan = judge(router, own={ALICE: RecipientPlan(redirects=many, discard=True)}, recipients=(ALICE,)).plan(ALICE)
    finally:
        for address in many:
            del ROUTES[address]
    assert plan == RecipientPlan(redirects=many[:MAX_REDIRECTS])


def test_a_message_nobody_wants_is_kept_by_nobody_and_said(router, events):
    judgement = judge(router, RecipientPlan(discard=True))
    assert not judgement.is_kept and not judgement.is_for_mailboxes
    assert [(name, fields["recipient"]) for name, fields in events] == [
        ("message.discarded", str(ALICE)),
        ("message.discarded", str(BOB)),
    ]


def test_a_discarded_copy_that_goes_away_needs_no_mailbox(router):
    judgement = judge(router, RecipientPlan(redirects=(AWAY,), discard=True))
    assert judgement.is_kept and not judgement.is_for_mailboxes


def test_a_store_that_does_not_answer_defers_the_message(router):
    router.trouble = StoreUnavailable("down")
    with pytest.raises(StoreUnavailable):
        judge(router, RecipientPlan(redirects=(AWAY,), discard=True))
