"""Addresses and their keys."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mailnode.errors import BadAddress
from mailnode.values.address import (
    MAX_PATH,
    Address,
    check_local,
    check_own,
    domain_key,
    local_key,
    parse_address,
    quote_local,
)


@pytest.mark.parametrize(
    ("written", "key"),
    [
        ("example.com", "example.com"),
        ("EXAMPLE.Com", "example.com"),
        ("faß.de", "xn--fa-hia.de"),  # IDNA 2008; 2003 would say fass.de, somebody else's domain
        ("FASS.DE", "fass.de"),
        ("xn--fa-hia.de", "xn--fa-hia.de"),
        ("XN--FA-HIA.DE", "xn--fa-hia.de"),
        ("BÜCHER.example", "xn--bcher-kva.example"),
        ("bu\u0308cher.example", "xn--bcher-kva.example"),  # decomposed
        ("例え.テスト", "xn--r8jz45g.xn--zckzah"),
        ("localhost", "localhost"),
        ("_dmarc.example", "_dmarc.example"),
        ("a-b.example", "a-b.example"),
        ("x" * 63 + ".example", "x" * 63 + ".example"),
        ("[192.0.2.1]", "[192.0.2.1]"),
        ("[IPv6:::FFFF:192.0.2.1]", "[192.0.2.1]"),
        ("[IPv6:2001:DB8:0:0::1]", "[IPv6:2001:db8::1]"),
        ("[ipv6:::1]", "[IPv6:::1]"),
    ],
)
def test_domain_keys(written, key):
    assert domain_key(written) == key
    assert domain_key(key) == key


@pytest.mark.parametrize(
    "domain",
    ["", ".", "example.com.", ".example", "a..b", "-a.example", "a-.example", "a b", "a\0b", "a\r\nb", "a@b", "a/b",
     "x" * 64 + ".example", "x." * 130 + "example", "xn--a", "xn--\u00fc", "[", "]", "[]", "[1.2.3]", "[1.2.3.4", "[1.2.3.256]",
     "[01.2.3.4]", "[::1]", "[IPv6:1.2.3.4]", "[IPv6:fe80::1%eth0]", "[IPv6:fe80::1%a\r\nb]", "[x-tag:y]", "\ud800.example",
     "a\u200bb.example\0", "☃\ud83d.example"],
)  # fmt: skip
def test_what_is_no_domain(domain):
    with pytest.raises(BadAddress):
        domain_key(domain)


@given(st.text(max_size=300))
def test_any_domain_has_an_ascii_key_or_none(text):
    try:
        key = domain_key(text)
    except BadAddress:
        return
    assert key.isascii()
    assert key.isprintable()
    assert " " not in key
    assert domain_key(key) == key


def test_local_keys():
    assert local_key("Bob.Smith") == "bob.smith"
    assert local_key("STRASSE") == local_key("straße")
    assert local_key("é") == local_key("e\u0301") == local_key("É")


def test_address_keeps_what_was_written_beside_its_key():
    address = Address("Bob+List", "Faß.DE")
    assert str(address) == "Bob+List@Faß.DE"
    assert address.key == "bob+list@xn--fa-hia.de"
    assert address.domain_key == "xn--fa-hia.de"
    assert not address.is_ascii
    assert Address("a", "b").is_ascii


def test_detail():
    address = Address("bob+list+more", "x")
    assert address.base() == Address("bob", "x")
    assert address.detail() == "list+more"
    assert Address("bob", "x").base() == Address("bob", "x")
    assert Address("bob", "x").detail() is None
    assert Address("+bob", "x").base() == Address("+bob", "x")
    assert Address("+bob", "x").detail() is None
    assert Address("bob+", "x").detail() == ""
    assert Address("bob-a+b", "x").base("-") == Address("bob", "x")
    assert address.base("") == address
    assert address.detail("") is None


@pytest.mark.parametrize(
    ("local", "text"),
    [
        ("bob", "bob@x"),
        ("a.b", "a.b@x"),
        ("a b", '"a b"@x'),
        ('a"b', '"a\\"b"@x'),
        ("a\\b", '"a\\\\b"@x'),
        (".a", ".a@x"),
        ("a..b", "a..b@x"),
        ("name.", "name.@x"),
        ("..", "..@x"),
        ("a@b", '"a@b"@x'),
        ("", '""@x'),
        ("é", "é@x"),
    ],
)
def test_text_form(local, text):
    assert str(Address(local, "x")) == text
    if local:
        assert parse_address(text) == Address(local, "x")


def test_bare_postmaster():
    assert str(Address("Postmaster", "")) == "Postmaster"


@pytest.mark.parametrize(
    "text",
    ["", "a", "@", "@x", "a@", "a@x.", "a b@x", '"a"b"@x', '"a\\"@x', '""@x', '"a@x', 'a"@x',
     "a\r\n@x", '"a\r\nb"@x', '"\0"@x', "\x80@x", "<a@x>", "a@b@c", "a@b c", "x" * 899 + "@y", "é" * 450 + "@y",
     "a@" + "x." * 127 + "xx", "\ud800@x"],
)  # fmt: skip
def test_what_is_no_address(text):
    with pytest.raises(BadAddress):
        parse_address(text)


# SMTP trap 23: the longest
def test_longest_address():
    longest = "x" * 898 + "@y"
    assert len(longest) == MAX_PATH
    assert str(parse_address(longest)) == longest
    with pytest.raises(BadAddress):
        parse_address("x" + longest)


def test_odd_dots_go_on_as_they_came():
    for text in ("name.@x", "a..b@x", ".a@x", '"name."@x', '"a..b"@x', '".a"@x'):
        assert str(parse_address(text)) == text
    assert parse_address("a..b@x") == parse_address('"a..b"@x')
    assert str(parse_address('"a.b"@x')) == "a.b@x"  # RFC 5321 4.1.2: as few quotes as can be


def test_what_is_made_here_keeps_the_usual_bounds():
    longest = "x" * 64 + "@" + ("y" * 60 + ".") * 3 + "y" * 6
    assert len(longest) == 254
    check_own(parse_address(longest))
    check_own(parse_address('"a b"@x'))
    for text in (longest + "y", "x" * 65 + "@y", "é" * 33 + "@y", "name.@x", "a..b@x", '".a"@x'):
        with pytest.raises(BadAddress):
            check_own(parse_address(text))


@given(st.text(max_size=80))
def test_any_text_is_an_address_or_refused(text):
    try:
        address = parse_address(text)
    except BadAddress:
        return
    assert parse_address(str(address)) == address
    assert "\n" not in str(address)
    assert "\r" not in str(address)


@given(st.text(min_size=1, max_size=20))
def test_quoting_can_be_undone(local):
    try:
        check_local(local)
    except BadAddress:
        return
    assert parse_address(quote_local(local) + "@x").local == local
