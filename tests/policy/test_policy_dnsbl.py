"""Lists in DNS: what is asked, what answers mean, what of a list that is broken, and how long anybody waits."""

import pytest
from dns_zone import Zone
from policy_support import ask, request
from twisted.internet.defer import Deferred
from twisted.internet.task import Clock
from twisted.logger import globalLogPublisher
from zope.interface.verify import verifyObject

from mailnode.errors import ConfigurationError
from mailnode.interfaces.policy import IPolicy
from mailnode.net.no_reactor import CallingThread
from mailnode.policy.dns_lists import answer_pattern, domain_labels, reversed_address, shown
from mailnode.policy.dnsbl import OPTIONS, DnsblPolicy
from mailnode.policy.list_lookups import HOUR, ListLookups
from mailnode.policy.options import read
from mailnode.server.plugins import policy_factories
from mailnode.values.policy import PASS

NIBBLES = "2.0.0.0.0.0.f.7.f.f.f.f." + "0." * 20
TESTED = {
    "2.0.0.127.bl.test": "127.0.0.2",
    "test.dbl.test": "127.0.1.2",
    **{f"2.0.0.127.{zone}.test": "127.0.0.2" for zone in ("wl", "good", "slow")},
    NIBBLES + "bl.test": "127.0.0.2",
}


class World:
    def __init__(self, addresses=None, texts=None, **options):
        self.zone = Zone(texts, {**TESTED, **(addresses or {})}, ttl=900.0)
        self.clock = Clock()
        self.clock.advance(1_800_000_000)
        options.setdefault("lists", [{"zone": "bl.test", "score": 2.5}])
        lookups = ListLookups(self.zone, self.clock, "dnsbl")
        self.policy = DnsblPolicy(read(OPTIONS, options), lookups, self.clock, CallingThread())
        verifyObject(IPolicy, self.policy)

    def ask(self, stage, *recipients, **more):
        return ask(self.policy, request(stage, *recipients, **more))

    def asked(self):
        return [name for kind, name in self.zone.asked if kind == "A"]


@pytest.fixture
def told():
    events = []

    def observe(event):
        if event.get("event") == "policy.list_unfit":
            events.append((event["fields"]["zone"], event["fields"]["reason"]))

    globalLogPublisher.addObserver(observe)
    yield events
    globalLogPublisher.removeObserver(observe)


LISTED = {"1.2.0.192.bl.test": "127.0.0.2"}


def test_a_listed_address_scores_for_the_recipient_with_what_the_list_says():
    world = World(LISTED, {"1.2.0.192.bl.test": "see http://bl.test/\r\n550 no"})
    verdict = world.ask("rcpt")
    assert (verdict.action, verdict.score) == ("pass", 2.5)
    assert verdict.reason == "192.0.2.1 is listed in bl.test: see http://bl.test/??550 no"
    assert world.ask("rcpt", peer="192.0.2.2") is PASS
    assert world.ask("rcpt", peer="127.0.0.2") is PASS  # no list has anything to say of us
    assert world.asked().count("2.0.0.127.bl.test") == 1  # the list itself is looked at


def test_it_refuses_from_a_total_on_but_not_for_postmaster():
    world = World(LISTED, refuse_at=2.5)
    verdict = world.ask("rcpt")
    assert (verdict.action, verdict.status) == ("refuse", "5.7.1")
    assert verdict.text == "Refused: 192.0.2.1 is listed in bl.test" and verdict.text.isprintable()
    for exempt in ("postmaster@us.test", "PostMaster@us.test"):
        assert world.ask("rcpt", exempt) is PASS
    assert World(LISTED, refuse_at=2.6).ask("rcpt").action == "pass"
    assert World(LISTED, exempt=["alice@us.test"]).ask("rcpt", "alice@us.test") is PASS


def test_the_author_is_not_held_against_postmaster_either():
    lists = [{"zone": "dbl.test", "of": ["from"], "score": 3}]
    for refuse_at, action in ((0, "pass"), (3, "refuse")):
        world = World({"author.test.dbl.test": "127.0.1.2"}, lists=lists, refuse_at=refuse_at)
        header = "From: me@author.test\r\n"
        assert world.ask("end", "postmaster@us.test", header=header) is PASS
        verdict = world.ask("end", "postmaster@us.test", "alice@us.test", header=header)
        assert (verdict.action, verdict.score) == ("pass", 0.0)
        [(address, own)] = verdict.own.items()
        assert (str(address), own.action) == ("alice@us.test", action)
        assert own.score == (0.0 if refuse_at else 3.0)


def test_before_the_greeting_it_refuses_from_a_total_of_the_lists_of_addresses_on():
    lists = [{"zone": "bl.test", "score": 2.5}, {"zone": "good.test", "score": -1}, {"zone": "wl.test", "accept": True}]
    lists.append({"zone": "dbl.test", "of": ["helo"], "score": 50})
    world = World({**LISTED, "mx.bad.test.dbl.test": "127.0.1.2"}, lists=lists, refuse_clients_at=2)
    verdict = world.ask("connect", sender=None)
    assert (verdict.action, verdict.status) == ("refuse", "5.7.1")
    assert verdict.text == "Refused: 192.0.2.1 is listed in bl.test"
    assert world.ask("connect", sender=None, peer="192.0.2.2") is PASS
    assert world.ask("helo", helo="mx.bad.test", sender=None) is PASS
    for other in ("good.test", "wl.test"):
        several = World({**LISTED, f"1.2.0.192.{other}": "127.0.0.2"}, lists=lists, refuse_clients_at=2)
        assert several.ask("connect", sender=None) is PASS
    assert several.ask("rcpt").action == "accept"


def test_before_the_greeting_what_is_not_enough_counts_once_and_what_takes_too_long_not_at_all():
    world = World(LISTED, refuse_clients_at=3)
    assert world.ask("connect", sender=None) is PASS
    assert world.ask("rcpt").score == 2.5
    assert World(LISTED, refuse_at=1).ask("connect", sender=None) is PASS
    slow = World(lists=[{"zone": "slow.test", "score": 9}], refuse_clients_at=9)
    slow.policy._lookups._resolver = Slow(None, {**TESTED, "1.2.0.192.slow.test": "127.0.0.2"})
    done = []
    Deferred.fromCoroutine(slow.policy.judge(request("connect", sender=None))).addCallback(done.append)
    slow.clock.advance(4.9)
    assert not done
    slow.clock.advance(0.2)
    assert done == [PASS]


def test_it_is_not_made_where_no_list_could_refuse_a_client():
    options = {"lists": [{"zone": "dbl.test", "of": ["helo"]}], "refuse_clients_at": 1}
    with pytest.raises(ConfigurationError, match="no list is asked about addresses"):
        policy_factories()["dnsbl"].make(options, None)


def test_look_ups_begin_with_the_connection_and_are_asked_once():
    world = World(LISTED, lists=[{"zone": "bl.test"}, {"zone": "dbl.test", "of": ["helo", "mail"]}])
    assert world.policy.stages == {"connect", "helo", "mail", "rcpt"}
    assert world.ask("connect", helo="", sender=None) is PASS
    assert world.asked() == ["1.0.0.127.bl.test", "2.0.0.127.bl.test", "1.2.0.192.bl.test"]
    assert world.ask("helo", helo="mx.far.test", sender=None) is PASS
    assert world.ask("mail", helo="mx.far.test", sender="a@far.test") is PASS
    assert world.asked()[3:] == ["invalid.dbl.test", "test.dbl.test", "mx.far.test.dbl.test", "far.test.dbl.test"]
    before = len(world.zone.asked)
    for recipient in ("alice@us.test", "bob@us.test"):
        assert world.ask("rcpt", recipient, helo="mx.far.test").score == 2.0
    assert len(world.zone.asked) == before
    world.clock.advance(301)
    world.ask("rcpt")
    assert len(world.zone.asked) > before


def test_domains_of_helo_reverse_path_and_from():
    names = {f"{name}.dbl.test": "127.0.1.2" for name in ("bad.test", "mx.bad.test", "author.test")}
    lists = [{"zone": "dbl.test", "of": ["helo", "mail", "from"], "score": 3}]
    world = World(names, lists=lists)
    assert world.policy.stages == {"helo", "mail", "rcpt", "end"}
    assert world.ask("rcpt", helo="mx.bad.test", sender="x@bad.test").score == 6.0
    assert world.ask("rcpt", helo="bad.test", sender="x@bad.test").score == 3.0  # one thing is no two
    assert world.ask("rcpt", helo="[192.0.2.1]", sender="x@[192.0.2.1]") is PASS
    assert world.ask("rcpt", helo="localhost", sender=None) is PASS
    verdict = world.ask("end", helo="bad.test", header="From: Me <me@Author.test>\r\n")
    assert (verdict.score, verdict.reason) == (3.0, "author.test is listed in dbl.test")
    assert world.ask("end", header="From: me@good.test\r\n") is PASS
    large = "X: " + "y" * 70_000 + "\r\n"
    assert world.ask("end", header=f"{large}From: me@author.test\r\n").score == 3.0


def test_ipv6_is_asked_by_nibbles():
    name = "1." + "0." * 23 + "8.b.d.0.1.0.0.2.bl.test"
    assert World({name: "127.0.0.2"}).ask("rcpt", peer="2001:db8::1").score == 2.5
    world = World({name: "127.0.0.2"}, lists=[{"zone": "bl.test", "of": ["ipv6"]}])
    assert world.ask("rcpt", peer="192.0.2.1") is PASS and world.zone.asked == []
    assert world.ask("rcpt", peer="2001:db8::1").score == 2.0
    assert reversed_address("::ffff:192.0.2.1") == ("ipv4", "1.2.0.192")
    for nowhere in ("::1", "fe80::1", "10.1.2.3", "192.168.0.1", "172.16.0.1", "127.0.0.2", "", "/run/socket"):
        assert reversed_address(nowhere) is None


ANSWERS = [
    {"match": "127.0.0.2-3", "score": 6},
    {"match": "127.0.0.4", "score": 4},
    {"match": "127.0.*.10", "score": -1},
    {"match": "127.0.9.&12", "score": 1.5},
]


@pytest.mark.parametrize(
    ("answers", "score"),
    [
        (["127.0.0.2"], 6),
        (["127.0.0.3", "127.0.0.4"], 6),
        (["127.0.0.4"], 4),
        (["127.0.77.10"], -1),
        (["127.0.9.8"], 1.5),
        (["127.0.9.7"], 1.5),
        (["127.0.9.3"], None),
        (["127.0.0.5"], None),
    ],
)
def test_what_answers_weigh(answers, score):
    lists = [{"zone": "bl.test", "answers": ANSWERS}]
    verdict = World({"1.2.0.192.bl.test": answers}, lists=lists).ask("rcpt")
    assert (None if verdict is PASS else verdict.score) == score


@pytest.mark.parametrize("text", ["127.0.0", "127.0.0.256", "127.0.0.x", "127.0.0.2-999", "1.2.3.4.5", "127.0.0.&999"])
def test_patterns_that_are_none(text):
    with pytest.raises(ValueError, match="number"):
        answer_pattern(text)
    with pytest.raises(ConfigurationError):
        read(OPTIONS, {"lists": [{"zone": "bl.test", "answers": [{"match": text, "score": 1}]}]})


@pytest.mark.parametrize(
    "mistake",
    [
        {"lists": [{"zone": "bl"}]},
        {"lists": [{"zone": "bl..test"}]},
        {"lists": [{"zone": "bl.test", "of": []}]},
        {"lists": [{"zone": "bl.test", "of": ["body"]}]},
        {"lists": [{"zone": "bl.test", "score": float("nan")}]},
        {"lists": [{"zone": "bl.test", "weight": 1}]},
        {"timeout": 0},
    ],
)
def test_mistakes_in_the_options(mistake):
    with pytest.raises(ConfigurationError):
        read(OPTIONS, mistake)


@pytest.mark.parametrize("answer", ["127.255.255.254", "127.255.255.252", "127.0.0.1", "192.0.2.80"])
def test_what_is_no_answer_of_a_list_is_not_heeded_and_told_once(told, answer):
    world = World({"1.2.0.192.bl.test": answer, "9.2.0.192.bl.test": answer})
    assert world.ask("rcpt") is PASS
    assert world.ask("rcpt", peer="192.0.2.9") is PASS
    [(zone, reason)] = told
    assert zone == "bl.test" and answer in reason


def test_a_list_that_lists_everything_is_not_asked_for_an_hour(told):
    world = World({"1.0.0.127.bl.test": "127.0.0.2", **LISTED}, refuse_at=1)
    assert world.ask("rcpt") is PASS
    assert world.ask("rcpt", peer="192.0.2.2") is PASS
    assert world.asked() == ["1.0.0.127.bl.test"]
    [(zone, reason)] = told
    assert zone == "bl.test" and "which no list does" in reason
    del world.zone.records["A"]["1.0.0.127.bl.test"]
    world.clock.advance(HOUR)
    assert world.ask("rcpt").action == "refuse"


def test_a_domain_list_that_lists_what_cannot_be_there(told):
    lists = [{"zone": "dbl.test", "of": ["mail"]}]
    world = World({"invalid.dbl.test": "127.0.1.2", "far.test.dbl.test": "127.0.1.2"}, lists=lists)
    assert world.ask("rcpt") is PASS
    assert told[0][0] == "dbl.test"


def test_one_that_begins_to_list_everything_is_found_out_and_forgotten(told):
    world = World(LISTED)
    assert world.ask("rcpt").score == 2.5
    world.zone.records["A"]["1.0.0.127.bl.test"] = "127.0.0.2"
    world.clock.advance(HOUR)
    assert world.ask("rcpt") is PASS and len(told) == 1


def test_a_list_that_does_not_list_what_all_do_is_told_of_once_a_day_and_asked_all_the_same(told):
    world = World(LISTED)
    del world.zone.records["A"]["2.0.0.127.bl.test"]
    for _ in range(24):
        assert world.ask("rcpt").score == 2.5
        world.clock.advance(HOUR - 1)
    [(zone, reason)] = told
    assert zone == "bl.test" and "may have died" in reason


def test_where_dns_fails_there_is_no_opinion(told):
    world = World({"1.2.0.192.bl.test": "fails"})
    assert world.ask("rcpt") is PASS
    assert told == [("bl.test", "DNS does not answer")]
    assert World({"1.0.0.127.bl.test": "fails", **LISTED}).ask("rcpt").score == 2.5


def test_lists_that_let_in():
    lists = [{"zone": "bl.test"}, {"zone": "wl.test", "accept": True}, {"zone": "good.test", "score": -1}]
    world = World({**LISTED, "1.2.0.192.wl.test": "127.0.0.2"}, lists=lists, refuse_at=1)
    for stage in ("rcpt", "end"):
        verdict = world.ask(stage, header="From: a@far.test\r\n")
        assert (verdict.action, verdict.reason) == ("accept", "192.0.2.1 is listed in wl.test")
    world = World({**LISTED, "1.2.0.192.good.test": "127.0.0.2"}, lists=lists)
    assert world.ask("rcpt").score == 1.0
    assert world.ask("end", header="From: a@far.test\r\n") is PASS


class Slow(Zone):
    async def a(self, name):
        if name.endswith(".slow.test"):
            await Deferred()
        return await super().a(name)


def test_all_lists_together_have_so_many_seconds():
    world = World(LISTED, lists=[{"zone": "bl.test"}, {"zone": "slow.test"}], timeout=5)
    world.policy._lookups._resolver = Slow(None, {**TESTED, **LISTED})
    done = []
    asking = Deferred.fromCoroutine(world.policy.judge(request("rcpt")))
    asking.addCallback(done.append)
    world.clock.advance(4.9)
    assert not done
    world.clock.advance(0.2)
    assert [one.score for one in done] == [2.0]
    assert world.clock.getDelayedCalls() == []


def test_who_has_not_logged_in_yet_is_not_looked_for():
    world = World(LISTED)
    assert world.ask("connect", submission=True) is PASS and world.zone.asked == []


def test_without_lists_nothing_is_asked():
    world = World(LISTED, lists=[])
    assert world.policy.stages == frozenset()


def test_memory_is_bounded(monkeypatch):
    monkeypatch.setattr("mailnode.policy.list_lookups.REMEMBERED", 3)
    world = World()
    for number in range(10):
        world.ask("rcpt", peer=f"192.0.2.{number}")
    assert len(world.policy._lookups._known) == 3


def test_names_that_are_none():
    assert domain_labels("a.test.") == "a.test" and domain_labels("A.Test") == "a.test"
    for none in ("", "localhost", "[1.2.3.4]", "1.2.3.4", "a..b", ".a.b", "a b.c", "\u00fc.test", "a.b\r\nc"):
        assert domain_labels(none) == ""
    assert World().ask("rcpt", sender="a@" + ".".join(["x" * 60] * 4)) is PASS


def test_what_a_list_says_of_itself_is_one_line_of_ascii():
    assert shown(b"a\r\n\x1b[2Jb\xff" + b"c" * 1000).isprintable()
    assert len(shown(b"c" * 10_000)) <= 150
