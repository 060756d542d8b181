"""MTA-STS records and policies, as others write them."""

from __future__ import annotations

import pytest

from mailnode.values.sts_policy import MAX_AGE, MAX_PATTERNS, StsPolicy, read_id, read_policy

GOOD = b"version: STSv1\r\nmode: enforce\r\nmx: mail.example.com\r\nmx: *.example.net\r\nmax_age: 604800\r\n"


@pytest.mark.parametrize(
    ("records", "identity"),
    [
        ([b"v=STSv1; id=20160831085700Z;"], "20160831085700Z"),
        ([b"v=STSv1;id=a"], "a"),
        ([b"v=STSv1; other=x; id=a ;more=y"], "a"),
        ([b"v=spf1 -all", b"v=STSv1; id=a;"], "a"),
        ([], ""),
        ([b"v=STSv1; id=a", b"v=STSv1; id=a"], ""),
        ([b"v=STSv1;"], ""),
        ([b"v=STSv1; id=" + b"x" * 33], ""),
        ([b"v=STSv1; id=a-b"], ""),
        ([b"v=STSv10; id=a"], ""),
        ([b"v=STSv1; id=\xff"], ""),
        ([b"id=a; v=STSv1"], ""),
    ],
)
def test_records(records, identity):
    assert read_id(records) == identity


def test_a_policy():
    policy = StsPolicy("enforce", ("mail.example.com", "*.example.net"), 604_800)
    assert read_policy(GOOD) == policy
    assert read_policy(GOOD.replace(b"\r\n", b"\n")) == policy
    assert read_policy(GOOD.replace(b": ", b":\t ")) == policy
    assert read_policy(GOOD + b"mode: none\r\nfuture: thing\r\n\r\nno field at all") == policy  # the first counts
    assert read_policy(GOOD.replace(b"mail.example.com", b"MAIL.Example.COM.")) == policy


def test_ages():
    assert read_policy(GOOD.replace(b"604800", b"0")).max_age == 0
    assert read_policy(GOOD.replace(b"604800", b"9999999999")).max_age == MAX_AGE


def test_a_policy_of_none_needs_no_mx():
    assert read_policy(b"version: STSv1\nmode: none\nmax_age: 1") == StsPolicy("none", (), 1)


@pytest.mark.parametrize(
    ("old", "new"),
    [
        (b"STSv1", b"STSv2"),
        (b"version: STSv1\r\n", b""),
        (b"enforce", b"Enforce"),
        (b"mode: enforce\r\n", b""),
        (b"604800", b"-1"),
        (b"604800", b"1e5"),
        (b"604800", b"\xd9\xa1"),
        (b"604800", b"12345678901"),
        (b"max_age: 604800\r\n", b""),
        (b"mail.example.com", b"mail..example.com"),
        (b"mail.example.com", b"mail.*.com"),
        (b"mail.example.com", b"a b"),
        (b"mx: mail.example.com\r\nmx: *.example.net\r\n", b""),
        (b"mx: mail.example.com\r\n", b"mx: a.example\r\n" * (MAX_PATTERNS + 1)),
    ],
)
def test_what_is_none(old, new):
    assert old in GOOD
    with pytest.raises(ValueError, match="the policy"):
        read_policy(GOOD.replace(old, new))


# SMTP trap 46: one label for a wildcard
def test_which_servers_it_allows():
    policy = read_policy(GOOD)
    for host in ("mail.example.com", "MAIL.example.com", "a.example.net"):
        assert policy.allows(host), host
    for host in ("example.com", "b.mail.example.com", "a.b.example.net", "example.net", ".example.net.x", "net", ""):
        assert not policy.allows(host), host
