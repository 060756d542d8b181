"""SPF as a policy: who is asked about, what it says, how long it waits and remembers; hostile records."""

import time

import pytest
from dns_zone import Zone
from hypothesis import given
from hypothesis import strategies as st
from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.task import Clock
from zope.interface.verify import verifyObject

from mailnode.interfaces.outbound import IResolver
from mailnode.interfaces.policy import IPolicy
from mailnode.net.no_reactor import CallingThread
from mailnode.policy.options import read
from mailnode.policy.spf import OPTIONS, SpfPolicy
from mailnode.policy.spf_check import MAX_REMEMBERED, MAX_REMEMBERED_SECONDS, SECONDS, SpfCheck
from mailnode.policy.spf_query import MAX_RECORD, SpfIdentity, evaluate
from mailnode.values.address import Address, parse_address
from mailnode.values.envelope import Origin
from mailnode.values.policy import PASS, PolicyRequest

PEER = "192.0.2.7"
RESULTS = {"none", "neutral", "pass", "fail", "softfail", "temperror", "permerror"}


class Asked:
    """A policy on a zone, and a clock."""

    def __init__(self, zone, **options):
        verifyObject(IResolver, zone)
        self.clock = Clock()
        self.clock.advance(1000)
        check = SpfCheck(zone, CallingThread(), self.clock, "mx.test")
        self.policy = SpfPolicy(read(OPTIONS, options), check)
        verifyObject(IPolicy, self.policy)

    def begin(self, sender="a@example.com", *, stage="mail", peer=PEER, helo="mail.example.net"):
        path = parse_address(sender) if isinstance(sender, str) and sender else sender or None
        request = PolicyRequest(stage, Origin("s1", "ESMTP", peer, helo), path)
        return Deferred.fromCoroutine(self.policy.judge(request))

    def judge(self, *arguments, **more):
        done = []
        self.begin(*arguments, **more).addBoth(done.append)
        if not hasattr(done[0], "action"):
            done[0].raiseException()
        return done[0]


def said(verdict):
    [result] = verdict.results
    assert result.method == "spf"
    return (result.result, *result.properties[0])


@pytest.mark.parametrize(
    ("record", "result", "score", "words"),
    [
        ("v=spf1 ip4:192.0.2.0/24 -all", "pass", 0.0, "example.com lets 192.0.2.7 send"),
        ("v=spf1 -all", "fail", 2.0, "example.com says that 192.0.2.7 may not send for it"),
        ("v=spf1 ~all", "softfail", 1.0, "probably may not"),
        ("v=spf1 ?all", "neutral", 0.0, "says nothing about 192.0.2.7"),
        ("something else", "none", 0.0, "does not say who may send"),
        ("v=spf1 moo -all", "permerror", 0.5, "Unknown mechanism found: moo"),
        ("fails", "temperror", 0.0, "DNS does not say now"),
    ],
)
def test_the_sender_in_mail(record, result, score, words):
    verdict = Asked(Zone({"example.com": record})).judge()
    assert (verdict.action, verdict.score, said(verdict)) == ("pass", score, (result, "smtp.mailfrom", "a@example.com"))
    assert words in verdict.reason


def test_scores_are_options():
    assert Asked(Zone({"example.com": "v=spf1 -all"}), fail=4.5).judge().score == 4.5


def test_the_null_sender_is_the_postmaster_of_the_name_in_helo():
    verdict = Asked(Zone({"mail.example.net": "v=spf1 ip4:192.0.2.7 -all"})).judge(None)
    assert said(verdict) == ("pass", "smtp.mailfrom", "postmaster@mail.example.net")


def test_the_name_in_helo():
    helo = Asked(Zone({"mail.example.net": "v=spf1 -all"})).judge(None, stage="helo")
    assert (said(helo), helo.score) == (("fail", "smtp.helo", "mail.example.net"), 1.0)
    assert "mail.example.net, which it calls itself" in helo.reason
    good = Asked(Zone({"mail.example.net": "v=spf1 ip4:192.0.2.7 -all"})).judge(None, stage="helo")
    assert (said(good)[0], good.reason) == ("pass", "")


@pytest.mark.parametrize("helo", ["localhost", "[192.0.2.7]", "x" * 64 + ".example", "a..b", "bad name.example"])
def test_what_is_no_domain_is_not_asked_for(helo):
    zone = Zone()
    assert said(Asked(zone).judge(None, stage="helo", helo=helo)) == ("none", "smtp.helo", helo)
    assert zone.asked == []


@pytest.mark.parametrize("peer", ["127.0.0.1", "::1", "::ffff:127.0.0.1", ""])
def test_a_client_on_this_machine_is_not_judged(peer):
    asked = Asked(Zone({"example.com": "v=spf1 -all"}))
    assert asked.judge(peer=peer) is PASS
    assert asked.judge(None, peer=peer, stage="helo") is PASS


def test_an_ipv4_client_in_the_form_of_ipv6():
    zone = Zone({"example.com": "v=spf1 ip4:192.0.2.7 -all"})
    assert said(Asked(zone).judge(peer="::ffff:192.0.2.7"))[0] == "pass"


def test_a_local_part_with_an_at_sign_names_no_domain():
    zone = Zone({"example.com": "v=spf1 -all", "victim.example": "v=spf1 +all"})
    verdict = Asked(zone).judge(Address("x@victim.example", "example.com"))
    assert said(verdict)[0] == "fail"
    assert [name for _, name in zone.asked] == ["example.com"]


def test_a_local_part_that_is_not_ascii_matches_nothing():
    zone = Zone({"example.com": "v=spf1 exists:%{l}.example.org -all"})
    assert said(Asked(zone).judge("b\u00fccher@example.com"))[0] == "fail"
    assert len(zone.asked) == 1


def test_a_domain_that_is_not_ascii_is_asked_for_by_its_a_labels():
    zone = Zone({"xn--bcher-kva.example": "v=spf1 ip4:192.0.2.7 -all"})
    assert said(Asked(zone).judge("a@b\u00fccher.example")) == ("pass", "smtp.mailfrom", "a@xn--bcher-kva.example")


def test_refused_where_that_is_asked_for_and_told_who_explains():
    zone = Zone({"example.com": "v=spf1 -all exp=why.example.com", "why.example.com": "See %{h}\r\n250 ok"})
    verdict = Asked(zone, refuse_fail=True).judge()
    assert (verdict.action, verdict.status) == ("refuse", "5.7.23")
    assert verdict.text.startswith("Refused by the SPF policy of example.com: 192.0.2.7 may not send for it")
    assert verdict.text.endswith("It explains: See mail.example.net??250 ok")
    assert Asked(Zone({"example.com": "v=spf1 ~all"}), refuse_fail=True).judge().action == "pass"


def test_dns_that_takes_too_long_is_no_opinion():
    asked = Asked(Zone(waits=["example.com"]))
    done = []
    asked.begin().addCallback(done.append)
    asked.clock.advance(SECONDS - 1)
    assert done == []
    asked.clock.advance(1)
    assert (said(done[0])[0], done[0].score) == ("temperror", 0.0)
    assert asked.clock.getDelayedCalls() == []


def test_who_is_cut_off_is_cut_off():
    asked = Asked(Zone(waits=["example.com"]))
    failed = []
    waiting = asked.begin()
    waiting.addErrback(lambda failure: failed.append(failure.check(CancelledError)))
    waiting.cancel()
    assert failed == [CancelledError]
    assert asked.clock.getDelayedCalls() == []


def test_hosts_of_mx_are_asked_for_together_and_names_of_ptr():
    hosts = [f"m{number}.example.com" for number in range(10)]
    zone = Zone(
        {"example.com": "v=spf1 mx -all"}, dict.fromkeys(hosts, "198.51.100.1"), {"example.com": hosts}, waits=hosts
    )
    Asked(zone).begin()
    assert [name for kind, name in zone.asked if kind == "A"] == hosts
    names = {"liar.example": "198.51.100.9", "broken.example": "fails", "good.example.com": PEER}
    zone = Zone({"example.com": "v=spf1 ptr -all"}, names, ptr={PEER: list(names)})
    assert said(Asked(zone).judge())[0] == "pass"


@pytest.mark.parametrize(
    ("record", "result"),
    [
        ("v=spf1 " + " ".join(f"a:a{number}.example" for number in range(11)) + " +all", "permerror"),
        ("v=spf1 " + " ".join(f"exists:no{number}.example" for number in range(3)) + " +all", "permerror"),
        ("v=spf1 " + " ".join(f"exists:no{number}.example" for number in range(2)) + " +all", "pass"),
        ("v=spf1 include:example.com +all", "permerror"),
        ("v=spf1 redirect=example.com", "permerror"),
        ("v=spf1 mx +all", "permerror"),
        ("v=spf1 " + "ip4:192.0.2.99 " * MAX_RECORD + "+all", "permerror"),
        ("v=spf1 a:" + "x" * 600 + ".example +all", "permerror"),
        ("v=spf1 exists:" + "%{s}" * 41 + ".example +all", "permerror"),
    ],
)
def test_limits(record, result):
    addresses = {f"a{number}.example": "198.51.100.1" for number in range(11)}
    mx = {"example.com": [f"a{number}.example" for number in range(11)]}
    assert said(Asked(Zone({"example.com": record}, addresses, mx)).judge())[0] == result


def test_a_name_that_grows_too_long_is_cut_from_the_left():
    local = ".".join(["abcdefghi"] * 40)
    zone = Zone({"example.com": "v=spf1 exists:%{l}.e.example.com -all"})
    Asked(zone).judge(Address(local, "example.com"))
    [name] = [name for kind, name in zone.asked if kind == "A"]
    assert len(name) <= 253
    assert f"{local}.e.example.com".endswith(f".{name}")


def test_a_result_is_remembered_as_long_as_its_records_may_be():
    zone = Zone({"example.com": "v=spf1 a:h.example.com ~all"}, {"h.example.com": PEER}, ttl=60.0)
    asked = Asked(zone)
    assert {said(asked.judge(f"{name}@example.com"))[0] for name in "abc"} == {"pass"}
    assert len(zone.asked) == 2
    assert said(asked.judge(peer="198.51.100.1"))[0] == "softfail"  # another client is another matter
    asked.clock.advance(59)
    asked.judge()
    assert len(zone.asked) == 4
    asked.clock.advance(1)
    asked.judge()
    assert len(zone.asked) == 6


@pytest.mark.parametrize("macro", ["%{s}", "%{L}", "%{h}", "%{t}"])
def test_a_result_that_depends_on_more_is_not_remembered(macro):
    zone = Zone({"example.com": f"v=spf1 exists:{macro}.example.org exp=x.example.com ~all"}, ttl=60.0)
    asked = Asked(zone)
    asked.judge("a@example.com")
    before = len(zone.asked)
    asked.judge("b@example.com")
    assert len(zone.asked) == 2 * before


def test_what_dns_did_not_say_is_not_remembered():
    zone = Zone({"example.com": "fails"}, ttl=60.0)
    asked = Asked(zone)
    asked.judge()
    zone.records["TXT"]["example.com"] = "v=spf1 -all"
    assert said(asked.judge())[0] == "fail"


def test_memory_is_bounded_in_number_and_time():
    zone = Zone({"example.com": "v=spf1 -all"}, ttl=1e6)
    asked = Asked(zone)
    check = asked.policy._check
    for number in range(MAX_REMEMBERED + 10):
        asked.judge(peer=f"198.18.{number // 250}.{number % 250}")
    assert len(check._remembered) == MAX_REMEMBERED
    before = len(zone.asked)
    asked.clock.advance(MAX_REMEMBERED_SECONDS)
    asked.judge(peer="198.18.10.10")
    assert len(zone.asked) == before + 1


HOSTILE = [
    b"=a ", b"a/1", b"/1", b"a:", b"ip4:1.1.1.1 ", b"%", b"%{s}", b"%{d1r.}", b"exp=", b"a", b".", b"redirect=x.y ", b"k=%{s} ",
]  # fmt: skip


@pytest.mark.parametrize("unit", HOSTILE)
def test_a_long_record_takes_no_long_time(unit):
    record = (b"v=spf1 " + unit * MAX_RECORD)[: MAX_RECORD - 5] + b" -all"
    who = SpfIdentity(PEER, "l" * 60, "example.com", "h.example")
    started = time.perf_counter()
    evaluate(who, {("example.com", "TXT"): (record,)}, "mx.test", 0.0)
    assert time.perf_counter() - started < 0.5  # seconds; it takes milliseconds where nothing else runs


TERM = st.one_of(
    st.sampled_from(
        ["a", "mx", "ptr", "-all", "?all", "include:", "exists:", "redirect=", "exp=", "ip4:", "ip6:", "/24", "//64"]
    ),
    st.sampled_from(
        ["%{i}", "%{ir}", "%{p}", "%{l1r+-}", "%{}", "%{", "%", ":", "=", ".", "example.com", "1.2.3.4", "::1"]
    ),
    st.text(st.characters(max_codepoint=255), max_size=3),
)


@given(st.lists(TERM, max_size=12), st.booleans())
def test_any_record_gets_one_of_the_results(terms, spaced):
    record = "v=spf1 " + (" " if spaced else "").join(terms)
    zone = Zone({"example.com": record}, {"example.com": PEER}, ptr={PEER: ["example.com"]})
    assert said(Asked(zone).judge())[0] in RESULTS
