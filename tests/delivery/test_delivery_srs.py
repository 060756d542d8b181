"""Addresses that stand for senders of forwarded mail: made, known again, and no others."""

import pytest

from mailnode.delivery.srs import NobodyVouches, NotOurs, is_rewritten, restore, rewrite
from mailnode.values.address import Address, parse_address

KEY, OTHER = b"k" * 32, b"o" * 32
NOW = 1_800_000_000.0
DAY = 86_400
ALICE = parse_address("Alice@Far.example")


def made(sender=ALICE, key=KEY, now=NOW):
    return rewrite(sender, "ours.example", key, now)


def test_an_address_is_made_and_known_again():
    address = made()
    assert address.domain == "ours.example" and is_rewritten(address.local)
    assert address.local.startswith("SRS0=") and address.local.endswith("=Far.example=Alice")
    assert restore(address.local, [KEY], NOW) == ALICE
    assert restore(address.local.lower(), [KEY], NOW) == Address("alice", "far.example")
    assert restore(address.local.upper(), [OTHER, KEY], NOW).domain == "FAR.EXAMPLE"


@pytest.mark.parametrize(
    "sender",
    [
        "a=b=c@far.example",
        "SRS0@far.example",
        "srs0x=1@far.example",
        '"john doe"@far.example',
        "ü@bücher.example",
        "SRS1=x@f.example",
    ],
)
def test_any_sender_comes_back_as_it_was(sender):
    sender = parse_address(sender)
    address = parse_address(str(made(sender)))
    restored = restore(address.local, [KEY], NOW)
    assert restored == sender


@pytest.mark.parametrize("sender", ["alice@far.example", "SRS0=ab=cd=x.example=alice@far.example"])
def test_a_sender_that_nobody_vouches_for_looks_the_same_and_never_comes_back(sender):
    sender = parse_address(sender)
    vouched, forged = made(sender), rewrite(sender, "ours.example", KEY, NOW, forged=True)
    assert forged != vouched
    assert len(str(forged)) == len(str(vouched))
    for local in (forged.local, forged.local.lower()):
        with pytest.raises(NobodyVouches):
            restore(local, [OTHER, KEY], NOW)
    with pytest.raises(NotOurs):
        restore(forged.local, [OTHER], NOW)


def test_what_another_forwarder_made_goes_back_to_it():
    theirs = parse_address("SRS0=abcd=XY=far.example=alice@second.example")
    first = made(theirs)
    assert first.local.startswith("SRS1=") and first.local.endswith("=second.example==abcd=XY=far.example=alice")
    assert restore(first.local, [KEY], NOW) == theirs
    third = rewrite(Address(first.local, "ours.example"), "third.example", OTHER, NOW)
    assert third.local.endswith("=second.example==abcd=XY=far.example=alice"), "no longer with each forwarder"
    assert restore(third.local, [OTHER], NOW) == theirs
    assert (
        restore(made(parse_address("srs0+ab=XY=far.example=a@s.example")).local, [KEY], NOW).local
        == "SRS0+ab=XY=far.example=a"
    )


@pytest.mark.parametrize("days", [0, 1, 20, 21])
def test_it_lasts_for_its_days(days):
    assert restore(made().local, [KEY], NOW + days * DAY) == ALICE


@pytest.mark.parametrize("days", [-1, 22, 500, 1023])
def test_it_ends_with_its_days(days):
    with pytest.raises(NotOurs, match="too old"):
        restore(made().local, [KEY], NOW + days * DAY)


FORGED = made().local


@pytest.mark.parametrize(
    "local",
    [
        FORGED.replace("Alice", "Bob"),
        FORGED.replace("Far", "near"),
        FORGED[:5] + "A" * 10 + FORGED[15:],
        FORGED[:5] + FORGED[16:],
        "SRS1" + FORGED[4:],
        "SRS0=",
        "SRS0==",
        "SRS0====",
        "SRS1===",
        "SRS0=é=AA=far.example=alice",
        "SRS0=" + "=" * 800,
    ],
)
def test_what_was_not_made_here_is_not_known(local):
    assert is_rewritten(local)
    with pytest.raises(NotOurs):
        restore(local, [KEY, OTHER], NOW)


def test_a_key_that_is_gone_makes_it_unknown():
    with pytest.raises(NotOurs, match="hash"):
        restore(made().local, [OTHER], NOW)
    with pytest.raises(NotOurs, match="hash"):
        restore(made().local, [], NOW)


@pytest.mark.parametrize("local", ["alice", "SRS0", "SRS2=x", "srs", "SRS0-x", "xSRS0=y"])
def test_other_addresses_are_left_alone(local):
    assert not is_rewritten(local)
