"""Who vouches for a reverse-path."""

import pytest

from mailnode.message.vouched_sender import may_be_forged
from mailnode.values.address import parse_address
from mailnode.values.authentication import AuthenticationResult

PROPERTIES = {
    "spf": "smtp.mailfrom",
    "dkim": "header.d",
    "dmarc": "header.from",
    "helo": "smtp.helo",
    "arc": "header.d",
}


def results(*found):
    made = []
    for text in found:
        method, result, about = text.split()
        made.append(AuthenticationResult("spf" if method == "helo" else method, result, ((PROPERTIES[method], about),)))
    return made


@pytest.mark.parametrize(
    ("found", "forged"),
    [
        ([], False),  # nobody looked
        (["helo fail mail.example.org"], False),
        (["dkim pass example.net"], False),
        (["spf pass a@example.org"], False),
        (["spf pass a@EXAMPLE.org"], False),
        (["spf pass a@sub.example.org"], True),
        (["spf pass a@org"], True),
        (["spf pass postmaster@example.net"], True),
        (["spf none a@example.org"], True),
        (["spf temperror a@example.org"], True),
        (["spf fail a@example.org", "dkim pass example.org"], False),
        (["spf fail a@example.org", "dkim fail example.org"], True),
        (["spf fail a@example.org", "dkim pass other.org"], True),
        (["spf fail a@example.org", "dkim pass ample.org"], True),
        (["spf fail a@example.org", "dkim pass org"], True),
        (["spf fail a@example.org", "dkim pass sub.example.org"], True),
        (["spf fail a@example.org", "dmarc pass example.org"], False),
        (["spf fail a@example.org", "dmarc pass other.org", "arc pass example.org"], True),
        (["helo pass example.org", "spf fail a@example.org"], True),
    ],
)
def test_who_vouches(found, forged):
    assert may_be_forged(parse_address("a@example.org"), results(*found)) == forged


def test_a_signature_of_a_domain_vouches_for_those_below():
    below = parse_address("bounce@mail.example.org")
    assert not may_be_forged(below, results("spf none bounce@mail.example.org", "dkim pass example.org"))
    assert may_be_forged(below, results("spf pass a@example.org"))


def test_an_address_literal_has_nobody_who_vouches():
    assert may_be_forged(parse_address("a@[192.0.2.1]"), results("spf none a@[192.0.2.1]", "dkim pass example.org"))
