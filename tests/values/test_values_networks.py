"""Addresses as sockets tell them."""

import pytest

from mailnode.values.networks import unmapped


@pytest.mark.parametrize(
    ("told", "is_really"),
    [
        ("::ffff:192.0.2.1", "192.0.2.1"),
        ("::FFFF:192.0.2.1", "192.0.2.1"),
        ("::ffff:c000:201", "192.0.2.1"),
        ("192.0.2.1", "192.0.2.1"),
        ("2001:db8::1", "2001:db8::1"),
        ("fe80::1%eth0", "fe80::1%eth0"),
        ("::ffff:nonsense", "::ffff:nonsense"),
        ("", ""),
    ],
)
def test_an_ipv4_address_that_came_in_on_a_socket_for_both_families_is_one(told, is_really):
    assert unmapped(told) == is_really
