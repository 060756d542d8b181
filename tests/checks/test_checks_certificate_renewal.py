"""Whether certificates that the server gets by itself are renewed in time."""

from __future__ import annotations

from dataclasses import replace

import pytest
from world import NOW, FakeWorld

from mailnode.values.acme import CertificateStanding, RenewalStanding
from mailnode.values.item import ItemState

DAY = 86_400.0
GOOD = CertificateStanding("ecdsa", ("mail.a.test",), NOW + 60 * DAY, NOW + 30 * DAY, "", "ab" * 32)


def found(*certificates, **changes):
    standing = RenewalStanding("https://ca.example", certificates, **changes)
    return FakeWorld().with_facts(renewal=standing).only("certificate-renewal")


def test_nothing_is_looked_at_where_nothing_is_renewed():
    assert FakeWorld().only("certificate-renewal")[0] is ItemState.SKIPPED


def test_one_that_is_renewed_in_time():
    state, seen, mend = found(GOOD)
    assert (state, mend) == (ItemState.DONE, "") and "2027-02-14" in seen


@pytest.mark.parametrize(
    ("changes", "state", "words"),
    [
        ({"not_after": 0.0, "renew_at": 0.0}, ItemState.TO_DO, "none yet"),
        ({"renew_at": NOW - 2 * DAY}, ItemState.FAILED, "was due"),
        ({"renew_at": NOW - 60}, ItemState.DONE, "renewed"),
        ({"key_note": "its record is not there yet"}, ItemState.TO_DO, "not there yet"),
    ],
)
def test_what_is_wrong_with_one(changes, state, words):
    told = found(replace(GOOD, **changes))
    assert told[0] is state and words in told[1]


def test_a_try_that_failed_is_told_while_the_certificate_is_good():
    state, seen, mend = found(GOOD, trouble="CAA records do not allow it", failures=3)
    assert state is ItemState.FAILED and "CAA" in seen and "certificate renew" in mend
