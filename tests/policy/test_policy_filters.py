"""What recipients' own experience says: the words of a message, and who it is from."""

import math
import random
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st
from twisted.internet.task import Clock
from zope.interface import implementer
from zope.interface.verify import verifyObject

from mailnode.errors import ConfigurationError, StoreUnavailable
from mailnode.interfaces.learning import IFilters
from mailnode.interfaces.policy import IPolicy
from mailnode.message.tokens import MAX_OCTETS, MAX_WORDS, message_key, words
from mailnode.net.no_reactor import CallingThread, run_now
from mailnode.policy.chances import chance, likely
from mailnode.policy.shared_counts import SharedCounts
from mailnode.server.plugins import NoFilters, NothingCounted, PluginContext, UnchangedMemory, make_policies
from mailnode.server.reading import read as read_message
from mailnode.values.address import parse_address
from mailnode.values.authentication import AuthenticationResult
from mailnode.values.directory import Resolved
from mailnode.values.envelope import Envelope, Origin, Recipient
from mailnode.values.learning import FilterState, SenderCounts, WordCounts
from mailnode.values.policy import PASS, Findings, PolicyRequest
from mailnode.values.reading import AskedFilter, PackedWords, ReadMessage, packed

ALICE, BOB, TEAM, AWAY = (parse_address(f"{name}@us.test") for name in ("alice", "bob", "team", "away"))
ROUTES = {
    ALICE: Resolved(True, (("a", "alice@us.test"),)),
    BOB: Resolved(True, (("b", "bob@us.test"),)),
    TEAM: Resolved(True, (("a", "alice@us.test"), ("b", "bob@us.test"))),
    AWAY: Resolved(True, (("a", "alice@us.test"),), ("x@far.test",)),
}
HEADER = b"From: shop@far.test\r\nSubject: cheap watches\r\n\r\n"
BODY = b"buy many cheap watches today\r\n"
DMARC = AuthenticationResult("dmarc", "pass", (("header.from", "far.test"),))


@implementer(IFilters)
class Filters:
    """Knows what it is told."""

    def __init__(self, junk=(), good=(), of=("a", "b"), senders=None):
        self.states, self.counts, self.known, self.asked = {}, {}, senders or {}, []
        for account in of:
            found = {}
            for place, messages in enumerate((junk, good)):
                for message in messages:
                    for number in words(message):
                        found.setdefault(number, [0, 0])[place] += 1
            self.counts[account] = WordCounts(len(junk), len(good), {one: tuple(both) for one, both in found.items()})
            self.states[account] = FilterState(len(junk), len(good), len(found), len(self.known))

    async def learnt(self, account_ids):
        return {one: self.states.get(one, FilterState()) for one in account_ids}

    async def words(self, account_ids, numbers):
        self.asked.append((account_ids, numbers))
        found = {}
        for one in account_ids:
            counts = self.counts[one]
            found[one] = WordCounts(
                counts.junk, counts.good, {number: counts.words[number] for number in numbers if number in counts.words}
            )
        return found

    async def senders(self, account_ids, sender):
        return {one: self.known[one, sender] for one in account_ids if (one, sender) in self.known}


@implementer(IFilters)
class Broken:
    async def learnt(self, account_ids):
        raise StoreUnavailable("mail-00")

    words = senders = learnt


JUNK = [b"Subject: cheap watches %d\r\n\r\nbuy cheap watches and pills today %d\r\n" % (n, n) for n in range(30)]
GOOD = [b"Subject: meeting %d\r\n\r\nshall we talk about the garden on monday %d\r\n" % (n, n) for n in range(30)]


def policy(name, filters, **options):
    context = PluginContext(
        Clock(),
        None,
        CallingThread(),
        None,
        "mx.us.test",
        UnchangedMemory(),
        NothingCounted(),
        filters,
    )
    (made,) = make_policies([("judgement", name, options)], context)
    assert verifyObject(IPolicy, made)
    return made


def judge(name, filters, *recipients, **more):
    asked = {key: more.pop(key) for key in ("header", "body", "results", "peer") if key in more}
    return run_now(policy(name, filters, **more).judge(request(*recipients, **asked)))


def request(*recipients, header=HEADER, body=BODY, results=(), peer="8.8.8.8"):
    async def read(offset, length):
        return (header + body)[offset : offset + length]

    routes = {one: ROUTES[one] for one in recipients or (ALICE,)}
    envelope = Envelope("e1", None, tuple(map(Recipient, routes)), Origin("s1", "ESMTP", peer), 0.0)
    return PolicyRequest(
        "end",
        Origin("s1", "ESMTP", peer),
        envelope=envelope,
        header=header,
        size=len(header + body),
        read=read,
        routes=routes,
        found=Findings(tuple(results)),
    )


# words


def test_words_like_those_in_junk_speak_for_junk_to_who_learnt_them():
    verdict = judge("words", Filters(JUNK, GOOD, of=("a",)), ALICE, BOB)
    assert set(verdict.own) == {ALICE}
    own = verdict.own[ALICE]
    assert 5.0 < own.score <= 6.0
    assert own.reason.startswith("words like those in what you took for junk: ") and "cheap" in own.reason


def test_words_like_those_in_mail_that_is_kept_speak_against():
    own = judge("words", Filters(JUNK, GOOD), body=GOOD[3], header=b"Subject: garden\r\n\r\n").own[ALICE]
    assert -3.0 <= own.score < -2.0
    assert own.reason.startswith("words like those in mail you keep: ")


def test_no_opinion_before_enough_of_both_kinds_are_learnt():
    assert judge("words", Filters(JUNK, GOOD[:19])) is PASS
    assert judge("words", Filters(JUNK[:19], GOOD)) is PASS
    assert judge("words", Filters(JUNK[:20], GOOD[:20])) is not PASS
    assert judge("words", Filters(JUNK[:5], GOOD[:5]), enough=5) is not PASS


def test_no_opinion_of_words_nobody_knows():
    assert judge("words", Filters(JUNK, GOOD), header=b"X: y\r\n\r\n", body=b"lorem ipsum dolor\r\n") is PASS


def test_of_several_behind_an_address_the_mildest_decides_and_all_need_an_opinion():
    both = Filters(JUNK, GOOD)
    assert set(judge("words", both, TEAM).own) == {TEAM}
    assert judge("words", Filters(JUNK, GOOD, of=("a",)), TEAM) is PASS
    both.counts["b"] = WordCounts(30, 30, dict.fromkeys(both.counts["b"].words, (0, 30)))
    assert judge("words", both, TEAM).own[TEAM].score < 0


def test_who_is_led_on_elsewhere_has_no_filter():
    assert judge("words", Filters(JUNK, GOOD), AWAY) is PASS


def test_a_store_that_cannot_say_keeps_nobody_waiting():
    for name in ("words", "reputation"):
        assert judge(name, Broken(), results=[DMARC]) is PASS


def test_large_messages_are_read_in_part_beside_the_reactor():
    filters = Filters(JUNK, GOOD)
    assert judge("words", filters, body=BODY * 20_000).own[ALICE].score > 5.0
    assert len(filters.asked[0][1]) <= MAX_WORDS
    assert judge("words", filters, header=b"X: " + b"y" * 2 * MAX_OCTETS + b"\r\n" + HEADER) is PASS


def test_words_that_another_process_has_read_say_the_same():
    read, asked = packed(words(HEADER + BODY)), []

    async def ahead(keys):
        asked.append(keys)
        return ReadMessage("facts", "encoded", {}, read, ((), ""), None)

    async def died(keys):
        return None

    made = policy("words", Filters(JUNK, GOOD))
    here, there, at_last = (
        run_now(made.judge(request()._replace(ahead=one, **more)))
        for one, more in ((None, {}), (ahead, {"read": None, "header": b""}), (died, {}))
    )
    assert here.own[ALICE].score > 5.0 and here == there == at_last
    assert asked == [{}]


class ReadAhead:
    """A message that is read as another process does, which is asked about these filters."""

    def __init__(self, *asked):
        self.reading = read_message(HEADER + BODY, len(HEADER), {}, 0.0, asked)

    async def __call__(self, keys):
        return self.reading


def judged(filters, ahead, *to):
    verdict = run_now(policy("words", filters).judge(request(*to)._replace(ahead=ahead, read=None, header=b"")))
    asked, filters.asked = filters.asked, []
    return verdict, asked


def test_filters_that_another_process_has_asked_say_the_same():
    filters, message = Filters(JUNK, GOOD), words(HEADER + BODY)
    said = filters.counts["a"]
    counts = {number: said.words.get(number, (0, 0)) for number in message}
    some = dict(list(counts.items())[:-1])
    rest = {number: both for number, both in counts.items() if number not in some}
    here, asked = judged(filters, ReadAhead(AskedFilter("a")))
    assert here.own[ALICE].score > 5.0 and "watches" in here.own[ALICE].reason and len(asked) == 1
    for fresh, known in ((some, False), ({}, False), (rest, True), ({}, True)):
        ahead = ReadAhead(AskedFilter("a", 1, said.junk, said.good, fresh))
        assert judged(filters, ahead) == (here, [] if known else asked)
        assert (ahead.reading.words is None) == known
    both = judged(filters, ReadAhead(AskedFilter("a", 1, said.junk, said.good), AskedFilter("b")), ALICE, BOB)
    assert both[0].own == {ALICE: here.own[ALICE], BOB: here.own[ALICE]} and both[1] == [(["b"], list(message))]
    assert (
        ReadAhead(AskedFilter("a", 2, said.junk, said.good)).reading.chances == {}
    )  # with another number all begins anew
    assert ReadAhead().reading.words is None  # nobody has learnt anything


def test_counts_of_filters_unused_longest_go_when_there_is_no_room():
    shared, message = SharedCounts(most=4), {1: b"one", 2: b"two"}
    for number in (1, 2):
        assert shared.tell(AskedFilter("a", number, 30, 30, {1: (1, 0), 2: (0, 0)}), message) is not None
    assert shared.tell(AskedFilter("a", 1, 30, 30), message) is not None
    assert shared.tell(AskedFilter("a", 3, 30, 30, {1: (1, 0)}), message) is None
    assert [shared.tell(AskedFilter("a", one, 30, 30), message) is not None for one in (1, 2)] == [True, False]


@given(st.dictionaries(st.integers(0, 2**32 - 1), st.binary(max_size=300), max_size=20))
def test_words_travel_packed(found):
    travelled = PackedWords(*packed(found))
    assert travelled.unpacked() == list(found)
    assert travelled.named(found) == list(found.values())


def test_a_packed_word_is_found_by_the_whole_of_its_number():
    first, second, wanted = 0x11223344, 0x55667788, int.from_bytes(b"\x33\x44\x55\x66", "big")
    for one, other in ((first, second), (second, first)):  # in either order of octets one way hits between two numbers
        assert packed({one: b"a", other: b"bc", wanted: b"def"}).named([wanted, one]) == [b"def", b"a"]
        with pytest.raises(ValueError):
            packed({one: b"a", other: b"bc"}).named([wanted])


def test_options_have_bounds():
    for options in ({"enough": 0}, {"junk": -1.0}, {"speed": 3}):
        with pytest.raises(ConfigurationError):
            policy("words", NoFilters(), **options)


# the mathematics


def test_a_word_seen_seldom_says_little_and_one_seen_often_much():
    counts = WordCounts(100, 100)
    assert likely(counts, 0, 0) == 0.5
    assert 0.5 < likely(counts, 1, 0) < likely(counts, 5, 0) < likely(counts, 50, 0) < 1
    assert likely(counts, 10, 10) == pytest.approx(0.5)
    assert likely(WordCounts(1000, 10), 10, 1) == pytest.approx(0.125, abs=0.02)


def test_evidence_for_both_is_none_and_much_for_one_is_certain():
    words_ = {number: (20, 0) if number % 2 else (0, 20) for number in range(100)}
    counts = WordCounts(30, 30, words_)
    assert chance(counts, words_).junk == pytest.approx(0.5, abs=0.01)
    assert chance(counts, [1, 3, 5, 7]).junk > 0.99
    assert chance(counts, [0, 2, 4, 6]).junk < 0.01
    assert chance(counts, [1, 3, 5, 7]).telling == (1, 3, 5, 7)
    assert chance(counts, []).junk == 0.5


@given(st.dictionaries(st.integers(0, 2**32 - 1), st.tuples(st.integers(0, 5000), st.integers(0, 5000)), max_size=300))
def test_it_is_a_chance_whatever_was_counted(counted):
    found = chance(WordCounts(40, 2000, counted), counted)
    assert 0.0 <= found.junk <= 1.0
    assert len(found.telling) <= 5


def by_accident(half, count):
    """Fisher's chance, term by term."""
    terms = [math.exp(-half)]
    for number in range(1, count):
        terms.append(terms[-1] * half / number)
    return min(1.0, sum(terms))


@pytest.mark.parametrize("number", [1, 2, 7, 40, 150])
@pytest.mark.parametrize("often", [1, 2, 30, 4000])
def test_evidence_is_put_together_by_fishers_method_to_the_last_digit(number, often):
    counts = WordCounts(4000, 4000, {one: (often, 0) if one % 9 else (0, 1) for one in range(number)})
    each = [likely(counts, *counts.words[one]) for one in range(number)]
    for_junk, against = (
        by_accident(-math.fsum(math.log(one) for one in said), number) for said in ([1 - f for f in each], each)
    )
    assert chance(counts, range(number)).junk == pytest.approx((1 + against - for_junk) / 2, rel=1e-11)


def test_those_that_say_most_are_told_first_and_of_equals_those_of_the_lowest_numbers():
    counts = WordCounts(
        30, 30, {9: (2, 0), 8: (20, 0), 7: (2, 0), 6: (0, 9), 5: (2, 0), 4: (20, 0), 3: (2, 0), 2: (2, 0)}
    )
    assert chance(counts, [9, 8, 7, 6, 5, 4, 3, 2]).telling == (4, 8, 2, 3, 5)


def test_it_tells_two_kinds_of_text_apart_that_share_most_words():
    draw = random.Random(7)
    shared, ads, talk = ([f"{kind}{number}" for number in range(300)] for kind in ("word", "offer", "garden"))

    def made(own):
        body = " ".join(draw.choices(shared, k=80) + draw.choices(own, k=8))
        return f"Subject: x\r\n\r\n{body}\r\n".encode()

    filters = Filters([made(ads) for _ in range(60)], [made(talk) for _ in range(60)])
    scores = [chance(filters.counts["a"], words(made(kind))).junk for kind in (ads, talk) for _ in range(100)]
    assert sum(score > 0.7 for score in scores[:100]) > 90
    assert sum(score > 0.7 for score in scores[100:]) == 0


# what is counted of a message


@given(st.binary(max_size=3000))
def test_words_of_anything_are_few_and_the_same_each_time(data):
    found = words(data)
    assert len(found) <= MAX_WORDS
    assert found == words(data)
    assert all(0 <= number < 2**32 for number in found)


def test_words_of_header_and_text_links_files_and_scripts_without_spaces():
    message = (
        "From: Shop <News@Shop.test>\r\nSubject: =?utf-8?q?Gr=C3=BC=C3=9Fe?= Today\r\nList-Unsubscribe: <x>\r\n"
        "Content-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\nContent-Type: text/html; charset=utf-8\r\n\r\n"
        "<p>Don't <b>mi</b>ss 12345 <a href='https://win.test/x?y=abcdef'>this</a> \u4fbf\u5b9c\u624b\u8868</p>\r\n--b\r\n"
        "Content-Type: application/pdf; name=Bill.PDF\r\n\r\nxyz\r\n--b--\r\n"
    )
    found = {word.decode() for word in words(message.encode()).values()}
    assert {"from:news@shop.test", "from:@shop.test", "subject:gr\u00fc\u00dfe", "subject:today"} <= found
    assert {"has:list-unsubscribe", "type:multipart/mixed", "file:pdf", "link:win.test"} <= found
    assert {"don't", "miss", "\u4fbf\u5b9c", "\u5b9c\u624b"} <= found
    assert "12345" not in found and "abcdef" not in found


@given(st.text("ab9_$%'- .\n/", max_size=200))
def test_words_of_plain_text_are_as_the_expression_for_them_finds_them(text):
    expected = {one for one in re.findall(r"[\w$%][\w'-]{1,28}[\w$%]", text) if not one.isdigit()}
    assert set(words(b"\r\n" + text.encode()).values()) == {one.encode() for one in expected}


def test_padding_does_not_crowd_out_every_word():
    padded = b"Subject: x\r\n\r\n" + b" ".join(b"pad%d" % n for n in range(3000)) + b"\r\n" + BODY
    assert MAX_WORDS - 10 < len(words(padded)) <= MAX_WORDS
    assert words(padded) != words(padded.replace(b"pad", b"fill"))


def test_a_message_is_known_whatever_is_put_on_top_of_it():
    header = b"Message-ID: <1@a>\r\nDate: today\r\nFrom: a@b\r\nSubject: x\r\n\r\n"
    assert message_key(b"Return-Path: <z>\r\nX-TUID: 1\r\n" + header) == message_key(header)
    assert message_key(header.replace(b"<1@a>", b"<2@a>")) != message_key(header)
    assert message_key(header + b"text") != message_key(header)


# reputation


def reputation(counts, name="far.test", results=(DMARC,), **more):
    return judge(
        "reputation", Filters(JUNK, GOOD, senders={("a", name): SenderCounts(*counts)}), results=results, **more
    )


def test_a_sender_is_judged_by_what_became_of_its_mail():
    own = reputation((10, 0)).own[ALICE]
    assert 2.5 < own.score <= 3.0
    assert own.reason == "you took 10 of 10 messages from far.test for junk"
    assert reputation((0, 10)).own[ALICE].score < -2.5
    assert reputation((1, 1)) is PASS
    assert reputation((5, 5)) is PASS


def test_a_domain_counts_only_where_it_was_authenticated():
    spf = AuthenticationResult("spf", "pass", (("smtp.mailfrom", "news@Far.test"),))
    failed = AuthenticationResult("dkim", "fail", (("header.d", "far.test"),))
    assert reputation((10, 0), results=[spf]).own[ALICE].score > 2.5
    assert reputation((10, 0), results=[failed]) is PASS
    assert reputation((10, 0), results=[]) is PASS


def test_a_network_counts_half_where_nobody_vouches():
    assert 1.2 < reputation((10, 0), "8.8.8.0/24", results=[]).own[ALICE].score <= 1.5
    v6 = reputation((10, 0), "2a00:1450:4001::/48", results=[], peer="2a00:1450:4001:80b::2004")
    assert v6.own[ALICE].score > 1.2
    assert reputation((10, 0), "127.0.0.0/24", results=[], peer="127.0.0.1") is PASS


def test_what_nobody_knows_has_no_reputation():
    assert judge("reputation", NoFilters(), results=[DMARC]) is PASS
