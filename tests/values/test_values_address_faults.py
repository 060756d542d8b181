"""Which rule an address or a domain breaks, in words."""

import pytest

from mailnode.errors import BadAddress
from mailnode.values.address import check_own, domain_key, parse_address


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("alice", "there is no @"),
        ("@a.test", "nothing stands before the @"),
        ("alice@", "no domain stands there"),
        ("al ice@a.test", "a space stands in it"),
        (" alice@a.test", "a space"),
        ("al\tice@a.test", "a control character"),
        ("alice@b@a.test", "more than one @"),
        ('"alice@a.test', "a quotation mark"),
        ("<alice@a.test>", "angle brackets"),
        ("Alice <alice@a.test>", "angle brackets"),
        ("alice@a.test>", "angle brackets"),
        ("al,ice@a.test", "in quotation marks only"),
        ("alice@a.test.", "ends with a dot"),
        ("alice@a..test", "between dots"),
        ("alice@.a.test", "between dots"),
        ("alice@a b.test", "a space stands in the domain"),
        ("alice@-a.test", "hyphen"),
        ("alice@a-.test", "hyphen"),
        ("alice@a/b.test", "other than letters"),
        ("alice@" + "x" * 64 + ".test", "longer than 63"),
        ("alice@" + "x." * 130 + "test", "longer than 255"),
        ("alice@\u2603-\ufffd.test", "IDNA"),
        ("x" * 900 + "@a.test", "longer than 900 octets"),
    ],
)
def test_the_rule_is_named(text, words):
    with pytest.raises(BadAddress, match=words) as raised:
        parse_address(text)
    assert text not in str(raised.value)


@pytest.mark.parametrize(("text", "words"), [("a b", "space"), ("a@b", "no @"), ("", "no domain"), ("x..y", "dots")])
def test_of_a_domain_too(text, words):
    with pytest.raises(BadAddress, match=words):
        domain_key(text)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("x" * 65 + "@a.test", "more than 64 octets"),
        ("x@" + "y." * 125 + "test", "longer than 254 octets"),
        ("a..b@a.test", "a dot"),
    ],
)
def test_of_an_address_that_is_made_here(text, words):
    with pytest.raises(BadAddress, match=words):
        check_own(parse_address(text))
