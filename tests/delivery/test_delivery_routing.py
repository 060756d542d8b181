"""Where mail for a domain goes, and what it is queued under."""

import pytest

from mailnode.delivery.routing import NextHop, Route, RoutingTable

SMART = NextHop("smart.example", 587, "verified", "user", "secret")
INNER = NextHop("192.0.2.1", 25, "none")


def test_without_routes_a_domain_is_its_own_destination_and_found_by_mx():
    table = RoutingTable()
    assert table.destination("There.Example") == "there.example"
    assert table.next_hop("there.example") is None


def test_the_first_route_that_names_a_domain_has_it():
    table = RoutingTable(
        [
            Route(["b.example"], None),
            Route(["a.example", ".b.example"], INNER),
            Route(["*"], SMART),
        ]
    )
    for domain, hop in (
        ("a.example", INNER),
        ("A.EXAMPLE", INNER),
        ("x.a.example", SMART),
        ("b.example", None),
        ("x.b.example", INNER),
        ("y.x.b.example", INNER),
        ("xb.example", SMART),
        ("example", SMART),
        ("[192.0.2.7]", SMART),
    ):
        assert table.next_hop(domain.lower()) is hop, domain
        assert table.destination(domain) == (hop.destination if hop else domain.lower()), domain


def test_a_domain_is_named_in_its_own_letters_or_as_on_the_wire():
    table = RoutingTable([Route(["bücher.example", ".müller.example"], INNER)])
    assert table.destination("xn--bcher-kva.example") == "192.0.2.1:25"
    assert table.destination("a.xn--mller-kva.example") == "192.0.2.1:25"


def test_what_was_queued_for_a_next_hop_is_found_by_what_it_was_called():
    table = RoutingTable([Route(["a.example"], INNER), Route(["*"], SMART)])
    assert table.next_hop("192.0.2.1:25") is INNER
    assert table.next_hop("smart.example:587") is SMART
    assert not table.is_stale("smart.example:587")
    assert not table.is_stale("d.example")


@pytest.mark.parametrize("destination", ["smarthost", "smart.example:465", "2001:db8::1:25"])
def test_what_was_queued_for_a_next_hop_that_is_no_more_is_told_from_domains(destination):
    assert RoutingTable([Route(["*"], SMART)]).is_stale(destination)


@pytest.mark.parametrize("literal", ["[192.0.2.7]", "[ipv6:2001:db8::1]"])
def test_an_address_literal_is_no_next_hop(literal):
    assert not RoutingTable().is_stale(literal)


def test_an_address_in_brackets_is_called_like_one_without():
    hop = NextHop("[2001:db8::1]", 25, "none")
    assert RoutingTable([Route(["*"], hop)]).next_hop("2001:db8::1:25") is hop


def test_one_server_cannot_be_two_next_hops():
    other = NextHop("smart.example", 587, "verified", "somebody", "secret")
    RoutingTable([Route(["a.example"], SMART), Route(["b.example"], SMART)])
    with pytest.raises(ValueError, match="two next hops"):
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
