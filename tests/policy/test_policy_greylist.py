"""Greylisting: who is new comes again; who is known, or vouched for, does not have to."""

import pytest
from policy_support import MemoryInADict, ask, request, spf
from twisted.internet.task import Clock
from zope.interface.verify import verifyObject

from mailnode.errors import ConfigurationError
from mailnode.interfaces.policy import IPolicy
from mailnode.policy.greylist import DAY, OPTIONS, GreylistPolicy
from mailnode.policy.options import read
from mailnode.server.plugins import policy_factories
from mailnode.values.authentication import AuthenticationResult
from mailnode.values.policy import PASS, Findings, ScoredReason

DMARC = AuthenticationResult("dmarc", "pass")


class World:
    def __init__(self, **options):
        self.clock = Clock()
        self.clock.advance(1_800_000_000)
        self.memory = MemoryInADict(self.clock)
        self.policy = GreylistPolicy(read(OPTIONS, options), self.memory, self.clock)
        verifyObject(IPolicy, self.policy)

    def ask(self, stage="end", *recipients, **more):
        return ask(self.policy, request(stage, *recipients, **more)).action


@pytest.fixture(params=["end", "rcpt"])
def world(request):
    return World(at=request.param)


def test_who_is_new_is_put_off_and_let_in_after_the_delay(world):
    stage = world.policy._options.at
    assert world.ask(stage) == "defer"
    world.clock.advance(299)
    assert world.ask(stage) == "defer"
    world.clock.advance(1)
    assert world.ask(stage) == "pass"
    for _ in range(10):  # in use it is remembered on and on
        world.clock.advance(30 * DAY)
        assert world.ask(stage) == "pass"
    world.clock.advance(36 * DAY)
    assert world.ask(stage) == "defer"


def test_who_comes_too_late_is_new_again(world):
    stage = world.policy._options.at
    assert world.ask(stage) == "defer"
    world.clock.advance(DAY)
    assert world.ask(stage) == "defer"
    world.clock.advance(300)
    assert world.ask(stage) == "pass"


def test_what_is_new(world):
    stage = world.policy._options.at
    world.ask(stage)
    world.clock.advance(300)
    assert world.ask(stage, peer="192.0.2.250", sender="other@far.test") == "pass"  # neighbours, and of the same domain
    for other in ({"peer": "192.0.3.1"}, {"sender": "a@farther.test"}, {"sender": None}, {"peer": "2001:db8::1"}):
        assert world.ask(stage, **other) == "defer", other
    one = World(at=stage, by="address", known=False)
    one.ask(stage)
    one.clock.advance(300)
    assert (one.ask(stage), one.ask(stage, sender="b@far.test")) == ("pass", "defer")
    assert one.ask(stage, "bob@us.test") == "defer"


# SMTP trap 28
# SMTP trap 28: of recipients that are put off
def test_everybody_hears_the_same_whether_the_recipient_exists_or_not():
    world = World(at="rcpt")
    verdicts = [ask(world.policy, request("rcpt", who)) for who in ("alice@us.test", "nobody@us.test")]
    assert verdicts[0] == verdicts[1]
    assert (verdicts[0].action, verdicts[0].status) == ("defer", "4.7.1")
    assert verdicts[0].text == "Not known here yet, try again in 5 minutes"
    assert World(at="end").policy.stages == {"end"}  # RCPT is not answered by it at all


def test_a_message_for_several_waits_for_all_of_them():
    world = World(known=False)
    assert world.ask("end", "alice@us.test") == "defer"
    world.clock.advance(300)
    assert world.ask("end", "alice@us.test", "bob@us.test") == "defer"
    world.clock.advance(300)
    assert world.ask("end", "alice@us.test", "bob@us.test") == "pass"


def test_the_servers_of_a_domain_that_spf_knows_take_turns():
    world = World(known=False)
    assert world.ask(found=[spf("far.test")]) == "defer"
    world.clock.advance(300)
    assert world.ask(found=[spf("far.test")], peer="198.51.100.7") == "pass"
    assert world.ask(found=[spf("far.test", "fail")], peer="198.51.100.7") == "defer"


def test_what_dmarc_passes_waits_for_nothing():
    assert World().ask(found=[DMARC]) == "pass"
    assert World().ask(found=[AuthenticationResult("dmarc", "fail")]) == "defer"
    assert World(dmarc=False).ask(found=[DMARC]) == "defer"


def test_whom_a_user_wrote_to_waits_for_nothing():
    world = World()
    assert world.ask("end", "A@Far.test", sender="alice@us.test", known=True, submission=True) == "pass"
    assert world.ask(sender="A@far.test", found=[spf("far.test")]) == "pass"
    assert world.ask(sender="b@farther.test", found=[spf("farther.test")]) == "defer"
    world.clock.advance(401 * DAY)
    assert world.ask(sender="A@far.test", peer="198.51.100.9", found=[spf("far.test")]) == "defer"
    world = World()
    world.ask("end", "a@far.test", known=True)  # a server of ours, that hands over mail from anywhere
    assert world.ask() == "defer"


def test_who_only_writes_the_name_of_somebody_a_user_wrote_to_waits(world):
    stage = world.policy._options.at
    world.memory.remember("known", "a@far.test", "written 0", DAY)
    signed = AuthenticationResult("dkim", "pass", (("header.d", "far.test"),))
    forged = (
        [],
        [spf("far.test", "fail")],
        [spf("elsewhere.test")],
        [AuthenticationResult("dkim", "fail", signed.properties)],
    )
    for found in forged:
        assert world.ask(stage, found=found, peer="198.51.100.9") == "defer", found
    assert world.ask(stage, found=[spf("far.test")], peer="203.0.113.9") == "pass"
    assert world.ask(stage, found=[spf("far.test", "fail"), signed], peer="203.0.112.9") == "pass"
    assert world.ask(stage, sender=None, found=[signed], peer="203.0.112.9") == "defer"


def test_from_where_mail_came_that_was_no_junk_more_may_come():
    world = World()
    world.ask()
    world.clock.advance(300)
    assert world.ask() == "pass"
    assert world.ask("end", "bob@us.test") == "pass"
    assert World(known=False).ask("end", "bob@us.test") == "defer"


@pytest.mark.parametrize("junk", [Findings(reasons=(ScoredReason("dnsbl", "listed", 2.5),)), Findings(quarantine=True)])
def test_junk_that_came_again_makes_nobody_known(junk):
    world = World()
    world.ask(found=junk)
    world.clock.advance(300)
    assert world.ask(found=junk) == "pass"
    assert world.ask("end", "bob@us.test") == "defer"


def test_what_is_remembered_is_written_once_a_day():
    world = World()
    world.ask()
    world.clock.advance(300)
    world.ask()
    kept = dict(world.memory.kept)
    world.clock.advance(3600)
    assert world.ask() == "pass" and world.memory.kept == kept


def test_mistakes_in_the_options():
    for mistake in ({"at": "data"}, {"delay": "soon"}, {"delay": 0}, {"by": "moon"}, {"lists": []}):
        with pytest.raises(ConfigurationError):
            read(OPTIONS, mistake)
    with pytest.raises(ConfigurationError, match="longer than delay"):
        policy_factories()["greylist"].make({"delay": "2d"}, None)
    assert read(OPTIONS, {"delay": "10m"}).delay == 600.0
    assert ask(World(delay="1m").policy, request("end")).text == "Not known here yet, try again in 1 minute"
    assert World().ask("helo") == "pass" and PASS.action == "pass"
