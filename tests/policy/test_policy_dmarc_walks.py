"""Walks to records of DMARC that were just made: asked for once, and not for longer than a second or a record allows."""

import pytest
from twisted.internet.task import Clock

from mailnode.errors import NoSuchName, ResolverFailure
from mailnode.interfaces.outbound import Records
from mailnode.net.no_reactor import run_now
from mailnode.policy import dmarc_walks
from mailnode.policy.dmarc_walks import AGAIN, RecentWalks

RECORD = b"v=DMARC1; p=reject"


class Names:
    """What DNS says, with one time to live; it is told how often it was asked."""

    def __init__(self, ttl=3600.0):
        self.ttl, self.asked, self.record, self.fails = ttl, [], RECORD, False

    async def txt(self, name):
        self.asked.append(name)
        if self.fails:
            raise ResolverFailure("silent")
        if name != "_dmarc.far.test":
            raise NoSuchName("none")
        return Records([self.record], ttl=self.ttl)


@pytest.fixture
def clock():
    made = Clock()
    made.advance(1000.0)
    return made


def policy_of(walks, names, domain="far.test"):
    return run_now(walks.walk(domain, names)).policy.record.p


def test_a_walk_is_made_once_for_a_moment(clock):
    walks, names = RecentWalks(clock), Names()
    assert [policy_of(walks, names) for _ in range(3)] == ["reject"] * 3
    assert names.asked == ["_dmarc.far.test", "_dmarc.test"]
    assert policy_of(walks, names, "news.far.test") == "reject"


def test_another_record_is_seen_after_that(clock):
    walks, names = RecentWalks(clock), Names()
    assert policy_of(walks, names) == "reject"
    names.record = b"v=DMARC1; p=none"
    clock.advance(AGAIN / 2)
    assert policy_of(walks, names) == "reject"
    clock.advance(AGAIN / 2)
    assert policy_of(walks, names) == "none"
    names.record = RECORD
    clock.advance(-500.0)
    assert policy_of(walks, names) == "reject"


def test_no_longer_than_a_record_allows(clock):
    walks, names = RecentWalks(clock), Names(ttl=0.25)
    assert policy_of(walks, names) == "reject"
    names.record = b"v=DMARC1; p=none"
    clock.advance(0.25)
    assert policy_of(walks, names) == "none"
    walks, names = RecentWalks(clock), Names(ttl=0.0)
    for _ in range(2):
        policy_of(walks, names)
    assert len(names.asked) == 4


def test_a_failure_is_not_remembered(clock):
    walks, names = RecentWalks(clock), Names()
    names.fails = True
    for _ in range(2):
        with pytest.raises(ResolverFailure):
            policy_of(walks, names)
    names.fails = False
    assert policy_of(walks, names) == "reject"


def test_there_are_not_more_than_so_many(clock, monkeypatch):
    monkeypatch.setattr(dmarc_walks, "MAX_JUST_WALKED", 3)
    walks, names = RecentWalks(clock), Names()
    for number in range(10):
        policy_of(walks, names, f"x{number}.far.test")
        assert len(walks._walked) <= 3
