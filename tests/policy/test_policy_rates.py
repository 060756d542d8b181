"""How much may come from one place in a time."""

import pytest
from policy_support import MemoryInADict, ask, request, spf
from twisted.internet.task import Clock
from zope.interface.verify import verifyObject

from mailnode.errors import ConfigurationError
from mailnode.interfaces.policy import IPolicy
from mailnode.policy.options import read
from mailnode.policy.rates import OPTIONS, RatesPolicy


class World:
    def __init__(self, *limits):
        self.policy = RatesPolicy(read(OPTIONS, {"limits": list(limits)} if limits else {}), MemoryInADict(Clock()))
        verifyObject(IPolicy, self.policy)

    def ask(self, stage="mail", *recipients, **more):
        return ask(self.policy, request(stage, *recipients, **more)).action


def test_so_many_messages_of_an_address():
    world = World({"by": "address", "messages": 2})
    assert [world.ask() for _ in range(3)] == ["pass", "pass", "defer"]
    assert world.ask(peer="192.0.2.2") == "pass"
    assert [world.ask(peer=f"2001:db8::{last}") for last in (1, 2, 3)] == ["pass", "pass", "defer"]
    assert world.ask("rcpt") == "pass"


# SMTP trap 28
# SMTP trap 28: of recipients that are one too many
def test_so_many_recipients_of_a_network_whether_they_exist_or_not():
    world = World({"by": "network", "recipients": 2, "within": "1m"})
    asked = [("alice@us.test", 1), ("nobody@us.test", 2), ("alice@us.test", 3), ("nobody@us.test", 4)]
    verdicts = [ask(world.policy, request("rcpt", who, peer=f"192.0.2.{last}")) for who, last in asked]
    assert [one.action for one in verdicts] == ["pass", "pass", "defer", "defer"]
    assert verdicts[2] == verdicts[3]
    assert world.ask("rcpt", peer="192.0.3.1") == "pass"


def test_a_domain_counts_what_is_its_own():
    world = World({"by": "domain", "messages": 1})
    assert [world.ask() for _ in range(3)] == ["pass"] * 3  # anybody could use its name up
    known = {"found": [spf("far.test")]}
    assert [world.ask(**known, peer=peer) for peer in ("192.0.2.1", "198.51.100.1")] == ["pass", "defer"]
    assert world.ask(found=[spf("other.test")], sender="a@other.test") == "pass"


def test_what_one_limit_refuses_counts_for_no_other():
    world = World({"by": "address", "messages": 1}, {"by": "network", "messages": 2})
    assert [world.ask() for _ in range(5)] == ["pass"] + ["defer"] * 4
    assert [world.ask(peer="192.0.2.2") for _ in range(2)] == ["pass", "defer"]
    assert world.ask(peer="192.0.2.3") == "defer"


def test_without_options_a_server_of_some_size_gets_through():
    world = World()
    assert [world.ask() for _ in range(301)].count("defer") == 1


def test_mistakes_in_the_options():
    for mistake in ({"by": "moon"}, {"messages": 1}, {"by": "address", "messages": -1}, {"by": "address", "within": 0}):
        with pytest.raises(ConfigurationError):
            read(OPTIONS, {"limits": [mistake]})
