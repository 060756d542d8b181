"""Where mail for a domain goes, and what it is queued under."""

import re
from dataclasses import replace

import pytest

from mailnode.delivery.routing import BY_MX, NextHop, Route, RoutingTable, Way
from mailnode.errors import BadAddress
from mailnode.values.queue import UNLIMITED, DestinationLimits

SMART = Way(NextHop("smart.example", 587, "verified", "user", "secret"))
INNER = Way(NextHop("192.0.2.1", 25, "none"))


def test_without_routes_a_domain_is_its_own_destination_and_found_by_mx():
    table = RoutingTable()
    assert table.destination("There.Example") == "there.example"
    assert table.way("there.example") == (BY_MX, "there.example")


def test_the_first_route_that_names_a_domain_has_it():
    table = RoutingTable(
        [
            Route(["b.example"], BY_MX),
            Route(["a.example", ".b.example"], INNER),
            Route(["*"], SMART),
        ]
    )
    for domain, way in (
        ("a.example", INNER),
        ("A.EXAMPLE", INNER),
        ("x.a.example", SMART),
        ("b.example", BY_MX),
        ("x.b.example", INNER),
        ("y.x.b.example", INNER),
        ("xb.example", SMART),
        ("example", SMART),
        ("[192.0.2.7]", SMART),
    ):
        assert table.way(domain.lower())[0] is way, domain
        assert table.destination(domain) == (way.next_hop.destination if way.next_hop else domain.lower()), domain


def test_a_domain_is_named_in_its_own_letters_or_as_on_the_wire():
    table = RoutingTable([Route(["bücher.example", ".müller.example"], INNER)])
    assert table.destination("xn--bcher-kva.example") == "192.0.2.1:25"
    assert table.destination("a.xn--mller-kva.example") == "192.0.2.1:25"


def test_what_was_queued_for_a_next_hop_is_found_by_what_it_was_called():
    table = RoutingTable([Route(["a.example"], INNER), Route(["*"], SMART)])
    assert table.way("192.0.2.1:25") == (INNER, "")
    assert table.way("smart.example:587") == (SMART, "")
    assert not table.is_stale("smart.example:587")
    assert not table.is_stale("d.example")


@pytest.mark.parametrize("destination", ["smarthost", "smart.example:465", "2001:db8::1:25"])
def test_what_was_queued_for_a_next_hop_that_is_no_more_is_told_from_domains(destination):
    assert RoutingTable([Route(["*"], SMART)]).is_stale(destination)


@pytest.mark.parametrize("destination", ["bulk/d.example", "own/smart.example:587", "own/smart.example:25"])
def test_what_was_queued_under_a_name_that_is_no_more_is_stale(destination):
    table = RoutingTable([Route(["*"], Way(name="other")), Route(["*"], Way(SMART.next_hop, name="mine"))])
    assert table.is_stale(destination)
    assert not table.is_stale("other/d.example") and not table.is_stale("mine/smart.example:587")
    assert table.is_stale("mine/d.example") and table.is_stale("other/smart.example:587")


def test_a_route_by_mx_with_a_name_is_a_destination_for_each_domain():
    bulk = Way(name="bulk", sources=("192.0.2.9",))
    table = RoutingTable([Route(["*"], bulk, ["news.example"])])
    assert table.destination("D.example", "a@news.example") == "bulk/d.example"
    assert table.destination("d.example", "a@here.example") == "d.example"
    assert table.way("bulk/d.example", "a@here.example") == (bulk, "d.example")


def test_one_server_with_two_logins_is_two_destinations():
    ways = [Way(NextHop("s.example", username=user, password="p"), name=user) for user in ("a", "b")]
    table = RoutingTable([Route(["*"], way, [f"{way.name}.example"]) for way in ways])
    for way in ways:
        assert table.destination("d.example", f"x@{way.name}.example") == f"{way.name}/s.example:587"
        assert table.way(f"{way.name}/s.example:587") == (way, "")


@pytest.mark.parametrize(
    ("senders", "sender", "named"),
    [
        (["News@Here.example"], "news@here.example", True),
        (["news@here.example"], "news+bounce=a@HERE.example", True),
        (["news@here.example"], "newsletter@here.example", False),
        (["here.example"], "a@here.example", True),
        (["here.example"], "a@x.here.example", False),
        ([".here.example"], "a@x.here.example", True),
        (["bücher.example"], "a@xn--bcher-kva.example", True),
        (["<>"], "", True),
        (["<>"], "a@here.example", False),
        (["here.example"], "", False),
        (["*"], "", True),
        (["*"], "neither this nor that", True),
    ],
)
def test_a_route_names_senders(senders, sender, named):
    table = RoutingTable([Route(["*"], INNER, senders)])
    assert (table.destination("d.example", sender) == "192.0.2.1:25") is named
    assert (table.way("d.example", sender)[0] is INNER) is named


def test_domain_and_sender_must_both_be_named():
    table = RoutingTable([Route(["d.example"], INNER, ["here.example"])])
    assert table.destination("d.example", "a@here.example") == "192.0.2.1:25"
    assert table.destination("e.example", "a@here.example") == "e.example"
    assert table.destination("d.example", "a@there.example") == "d.example"


def test_a_unix_socket_is_a_destination():
    way = Way(NextHop("", lmtp=True, socket="/run/lists/lmtp"))
    table = RoutingTable([Route(["lists.example"], way)])
    assert table.destination("lists.example") == "unix:/run/lists/lmtp"
    assert table.way("unix:/run/lists/lmtp") == (way, "") and not table.is_stale("unix:/run/lists/lmtp")
    assert table.is_stale("unix:/run/lists/other")


def fallbacks(*more):
    blocked = Route(["*"], SMART, when_reply=re.compile("5[.]7[.]1 .*blocked", re.IGNORECASE))
    return RoutingTable([blocked, *more])


def test_a_fallback_takes_nobody_at_first():
    assert fallbacks().destination("d.example") == "d.example"
    assert fallbacks().way("d.example")[0] is BY_MX and fallbacks().way("smart.example:587")[0] is SMART


def test_a_fallback_takes_whom_a_reply_sends_there_and_never_twice():
    table = fallbacks()
    said = "550 5.7.1 Mail from you is BLOCKED"
    assert table.fallback("d.example", "d.example", "", 1, said) == "smart.example:587"
    assert table.fallback("d.example", "d.example", "", 9, "450 4.7.1 later") == ""
    assert table.fallback("smart.example:587", "d.example", "", 1, said) == ""


def test_fallbacks_are_asked_in_their_order_and_each_names_whom_it_takes():
    last = Route(["*"], INNER, after_attempts=3)
    table = fallbacks(Route(["e.example"], Way(name="e"), ["<>"], after_attempts=2), last)
    assert table.fallback("e.example", "e.example", "", 2, "") == "e/e.example"
    assert table.fallback("e.example", "e.example", "a@here.example", 2, "") == ""
    assert table.fallback("e/e.example", "e.example", "", 3, "5.7.1 blocked") == "192.0.2.1:25"
    assert table.fallback("smart.example:587", "d.example", "", 3, "") == "192.0.2.1:25"
    assert table.fallback("d.example", "d.example", "", 0, "") == ""


def test_no_fallback_takes_whom_an_operator_sends_to_a_server():
    table = fallbacks(Route(["*"], INNER, after_attempts=1))
    assert table.fallback("d.example", "d.example", "", 9, "later") == "192.0.2.1:25"
    assert table.fallback("[relay.example]:25", "d.example", "", 9, "later") == ""


def test_by_who_submitted_it():
    shop, club = Way(name="shop"), Way(name="club")
    table = RoutingTable(
        [
            Route(["*"], shop, accounts=["Shop@Here.Example", ".bulk.example"]),
            Route(["*"], club, ["club.example"], accounts=["club.example"]),
        ]
    )
    for sender, account, destination in (
        ("info@here.example", "shop@here.example", "shop/d.example"),
        ("", "shop@here.example", "shop/d.example"),
        ("info@here.example", "a@x.bulk.example", "shop/d.example"),
        ("shop@here.example", "", "d.example"),
        ("shop@here.example", "other@here.example", "d.example"),
        ("x@club.example", "a@club.example", "club/d.example"),
        ("x@club.example", "a@here.example", "d.example"),
        ("x@here.example", "a@club.example", "d.example"),
    ):
        assert table.destination("d.example", sender, account) == destination, (sender, account)
    assert table.way("d.example", "x@club.example", "a@club.example")[0] is club


def test_a_fallback_by_who_submitted_it():
    table = RoutingTable([Route(["*"], SMART, after_attempts=1, accounts=["shop@here.example"])])
    assert table.fallback("d.example", "d.example", "", 1, "", "shop@here.example") == "smart.example:587"
    assert table.fallback("d.example", "d.example", "", 1, "", "a@here.example") == ""
    assert table.fallback("d.example", "d.example", "shop@here.example", 1, "") == ""


def test_limits_are_those_of_the_way():
    few, mine = DestinationLimits(1, 2, 3), DestinationLimits(per_hour=9)
    table = RoutingTable([Route(["*"], Way(SMART.next_hop, limits=few)), Route(["*"], Way(name="mine", limits=mine))])
    assert table.limits("smart.example:587") == replace(few, counted_as="smart.example:587")
    assert table.limits("mine/d.example") == table.limits("mine/e.example") == replace(mine, counted_as="mine")
    assert table.limits("d.example") == table.limits("other/d.example") == UNLIMITED


def test_a_source_is_of_the_family_of_what_is_connected_to():
    assert BY_MX.source("192.0.2.1") == ""
    way = Way(sources=("192.0.2.9", "2001:db8::9"))
    assert (way.source("198.51.100.1"), way.source("2001:db8::1")) == ("192.0.2.9", "2001:db8::9")
    assert Way(sources=("192.0.2.9",)).source("2001:db8::1") is None


@pytest.mark.parametrize(
    ("given", "destination", "hop"),
    [
        ("Relay.Example", "[relay.example]:25", NextHop("relay.example", 25, "opportunistic")),
        ("relay.example:2525", "[relay.example]:2525", NextHop("relay.example", 2525, "opportunistic")),
        ("bücher.example", "[xn--bcher-kva.example]:25", NextHop("xn--bcher-kva.example", 25, "opportunistic")),
        ("192.0.2.7", "[192.0.2.7]:25", NextHop("192.0.2.7", 25, "opportunistic")),
        ("[2001:DB8::7]", "[2001:db8::7]:25", NextHop("2001:db8::7", 25, "opportunistic")),
        ("[2001:db8::7]:26", "[2001:db8::7]:26", NextHop("2001:db8::7", 26, "opportunistic")),
        ("smart.example:587", "smart.example:587", SMART.next_hop),
        ("192.0.2.1", "192.0.2.1:25", INNER.next_hop),
        ("own/smart.example:587", "own/smart.example:587", SMART.next_hop),
    ],
)
def test_an_operator_chooses_a_server_or_what_a_route_leads_to(given, destination, hop):
    own = Way(SMART.next_hop, name="own")
    table = RoutingTable([Route(["a.example"], INNER), Route(["b.example"], SMART), Route(["*"], own)])
    assert table.by_hand(given) == destination
    assert (table.way(destination)[0].next_hop, table.way(destination)[1]) == (hop, "")
    assert not table.is_stale(destination)


@pytest.mark.parametrize(
    "given",
    ["", "a:b:c", "a.example:0", "a.example:65536", "a.example:", "other/a.example:25", "no name", "[", "[]:25"],
)
def test_an_operator_who_names_no_server_is_told_so(given):
    with pytest.raises((ValueError, BadAddress)):
        RoutingTable().by_hand(given)


@pytest.mark.parametrize("literal", ["[192.0.2.7]", "[ipv6:2001:db8::1]"])
def test_an_address_literal_is_no_next_hop(literal):
    assert not RoutingTable().is_stale(literal)


def test_an_address_in_brackets_is_called_like_one_without():
    way = Way(NextHop("[2001:db8::1]", 25, "none"))
    assert RoutingTable([Route(["*"], way)]).way("2001:db8::1:25") == (way, "")


def test_one_server_cannot_be_two_next_hops():
    other = Way(NextHop("smart.example", 587, "verified", "somebody", "secret"))
    RoutingTable([Route(["a.example"], SMART), Route(["b.example"], SMART)])
    with pytest.raises(ValueError, match="two routes"):
        RoutingTable([Route(["a.example"], SMART), Route(["b.example"], other)])


def test_a_login_wants_encryption_and_its_password_is_not_shown():
    for tls in ("none", "opportunistic"):
        NextHop("smart.example", 587, tls)
        with pytest.raises(ValueError, match="login"):
            NextHop("smart.example", 587, tls, "user", "secret")
    for tls in ("required", "verified", "implicit"):
        assert "secret" not in repr(NextHop("smart.example", 587, tls, "user", "secret"))
    with pytest.raises(ValueError, match="unknown level"):
        NextHop("smart.example", tls="maybe")
