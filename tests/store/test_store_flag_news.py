"""What a process remembers of flag changes."""

from __future__ import annotations

import pytest

from mailnode.store.facades import flag_news as flag_news
from mailnode.store.facades.flag_news import FlagNews
from mailnode.values.flags import FLAGGED, SEEN, KeywordTable

EMPTY, ONE = KeywordTable(), KeywordTable(("one",))


@pytest.fixture
def news():
    return FlagNews()


def fill(news, *modseqs, account="ann", mailbox=1):
    for modseq in modseqs:
        news.add(account, mailbox, modseq, [(modseq * 10, SEEN, modseq)], EMPTY)


def uids(changes):
    return None if changes is None else [uid for uid, _, _ in changes.changed]


def test_what_happened_after_a_modseq_in_one_mailbox(news):
    news.add("ann", 1, 5, [(1, SEEN, 5), (2, SEEN, 5)], EMPTY)
    news.add("ann", 2, 6, [(1, FLAGGED, 6)], EMPTY)
    news.add("ann", 1, 7, [(1, 0, 7)], ONE)
    found = news.since("ann", 1, 4, 7)
    assert found.changed == ((1, 0, 7), (2, SEEN, 5))
    assert (found.highest_modseq, found.keywords, found.expunged, found.recent_from) == (7, ONE, (), 0xFFFFFFFF)
    assert news.since("ann", 1, 5, 7).changed == ((1, 0, 7),)
    assert news.since("ann", 2, 4, 7).changed == ((1, FLAGGED, 6),)
    assert news.since("ann", 2, 4, 7).highest_modseq == 6
    assert (news.since("ann", 1, 7, 7).changed, news.since("ann", 1, 7, 7).highest_modseq) == ((), 7)
    assert news.since("bob", 1, 4, 7) is None


def test_the_same_question_has_the_same_answer_until_something_happens(news):
    fill(news, 5, 6)
    found = news.since("ann", 1, 5, 6)
    assert news.since("ann", 1, 5, 6) is found
    assert uids(news.since("ann", 2, 5, 6)) == []
    assert uids(news.since("ann", 1, 4, 6)) == [50, 60]
    fill(news, 7)
    assert uids(news.since("ann", 1, 4, 7)) == [50, 60, 70]


def test_what_began_later_or_ends_before_the_hint_is_no_answer(news):
    fill(news, 5, 6)
    assert news.since("ann", 1, 3, 6) is None
    assert news.since("ann", 1, 4, 7) is None
    assert uids(news.since("ann", 1, 4, 6)) == [50, 60]


@pytest.mark.parametrize("order", [(5, 7), (5, 7, 6)])
def test_nothing_is_answered_across_a_gap(news, order):
    """A modseq that is missing may be an expunge; one that is late came when the run had begun behind it."""
    fill(news, *order)
    assert news.since("ann", 1, 4, 7) is None
    assert news.since("ann", 1, 5, 7) is None
    assert uids(news.since("ann", 1, 6, 7)) == [70]
    fill(news, 8)
    assert uids(news.since("ann", 1, 6, 8)) == [70, 80]


def test_memory_is_bounded(news, monkeypatch):
    monkeypatch.setattr(flag_news, "MESSAGES", 10)
    monkeypatch.setattr(flag_news, "CHANGES", 5)
    monkeypatch.setattr(flag_news, "ACCOUNTS", 2)
    fill(news, *range(1, 8))
    assert news.since("ann", 1, 1, 7) is None
    assert uids(news.since("ann", 1, 2, 7)) == [30, 40, 50, 60, 70]
    news.add("ann", 1, 8, [(uid, SEEN, 8) for uid in range(1, 9)], EMPTY)
    assert news.since("ann", 1, 4, 8) is None
    assert len(news.since("ann", 1, 5, 8).changed) == 10
    news.add("ann", 1, 9, [(uid, SEEN, 9) for uid in range(1, 12)], EMPTY)
    assert news.since("ann", 1, 8, 9) is None
    assert uids(news.since("ann", 1, 9, 9)) == []
    fill(news, 1, account="bob")
    fill(news, 10)
    fill(news, 1, account="cid")
    assert news.since("bob", 1, 1, 1) is None
    assert uids(news.since("ann", 1, 9, 10)) == [100]


def test_an_account_that_is_gone_is_forgotten(news):
    fill(news, 5)
    news.forget("ann")
    news.forget("ann")
    assert news.since("ann", 1, 5, 5) is None


# behind the contract of IMailbox


def test_other_sessions_hear_of_flags_without_asking_the_store(store, loop, make, monkeypatch):
    mailbox = store.account("ann").open(1)
    appended = loop.run(mailbox.append([make(), make(), make()]))
    stored = loop.run(mailbox.store_flags([1, 2], "add", SEEN, ("one",)))
    loop.run(mailbox.store_flags([2], "add", SEEN))  # altered nothing
    asked = loop.run(mailbox.changes(appended.modseq))

    async def no_read(*arguments):
        raise AssertionError("the store was asked")

    monkeypatch.setattr(mailbox._partition, "read", no_read)
    heard = loop.run(mailbox.changes(appended.modseq, True, stored.modseq))
    assert (heard.changed, heard.highest_modseq, heard.keywords) == (
        asked.changed,
        asked.highest_modseq,
        asked.keywords,
    )
    with pytest.raises(AssertionError):
        loop.run(mailbox.changes(appended.modseq, True, stored.modseq + 1))
    with pytest.raises(AssertionError):
        loop.run(mailbox.changes(appended.modseq - 1, True, stored.modseq))


def test_an_account_removed_and_made_again_begins_anew(store, loop, make):
    for _ in range(2):
        mailbox = store.account("ann").open(1)
        appended = loop.run(mailbox.append([make()]))
        stored = loop.run(mailbox.store_flags([1], "add", SEEN))
        heard = loop.run(mailbox.changes(appended.modseq, heard=stored.modseq))
        assert heard.changed == ((1, SEEN, stored.modseq),)
        loop.run(store.remove("ann"))
        loop.run(store.provision("ann"))
