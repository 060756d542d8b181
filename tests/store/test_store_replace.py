"""A message in the place of another (REPLACE, RFC 8508): the contract of IMailbox.replace."""

import pytest

from mailnode.errors import KeywordLimit, NoSuchMailbox, NoSuchMessage, OverQuota
from mailnode.values.flags import MAX_KEYWORDS

DRAFTS = "Drafts"


@pytest.fixture
def ann(store):
    return store.account("ann")


@pytest.fixture
def inbox(ann):
    return ann.open(1)


@pytest.fixture
def drafts(ann, loop):
    return ann.open(loop.run(ann.named(DRAFTS)).id)


def live(loop, box):
    return loop.run(box.snapshot()).uids.tolist()


def test_one_goes_and_one_comes(inbox, drafts, ann, loop, make, hints):
    loop.run(drafts.append([make(), make()]))
    before = loop.run(drafts.snapshot())
    usage = loop.run(ann.usage())
    appended = loop.run(drafts.replace(1, drafts.id, make(b"a: much longer than the other\r\n\r\n")))
    assert appended.uids == (3,) and live(loop, drafts) == [2, 3]
    changes = loop.run(drafts.changes(before.highest_modseq))
    assert list(changes.expunged) == [1] and [row[0] for row in changes.changed] == [3]
    assert loop.run(ann.usage()).count_used == usage.count_used
    assert loop.run(ann.modseq()) == appended.modseq
    assert hints.published[-1][1] == appended.modseq
    appended = loop.run(drafts.replace(3, inbox.id, make()))
    assert appended.uids == (1,) and (live(loop, drafts), live(loop, inbox)) == ([2], [1])


def test_all_or_nothing(inbox, drafts, ann, store, loop, make):
    loop.run(drafts.append([make()]))
    before, usage = loop.run(ann.modseq()), loop.run(ann.usage())
    with pytest.raises(NoSuchMessage):
        loop.run(drafts.replace(2, inbox.id, make()))
    with pytest.raises(NoSuchMailbox):
        loop.run(drafts.replace(1, 999, make()))
    with pytest.raises(KeywordLimit):
        loop.run(drafts.replace(1, inbox.id, make(keywords=[f"k{n}" for n in range(MAX_KEYWORDS + 1)])))
    loop.run(store.set_quota("ann", usage.bytes_used, 1))
    with pytest.raises(OverQuota):
        loop.run(drafts.replace(1, inbox.id, make(b"a: much longer than the other\r\n\r\n" * 9)))
    assert (live(loop, drafts), live(loop, inbox)) == ([1], [])
    assert loop.run(ann.modseq()) == before and loop.run(ann.usage()).bytes_used == usage.bytes_used
    # what goes makes room for what comes
    loop.run(drafts.replace(1, inbox.id, make()))
    assert (live(loop, drafts), live(loop, inbox)) == ([], [1])


def test_one_that_was_expunged_is_not_replaced(drafts, loop, make):
    loop.run(drafts.append([make()]))
    loop.run(drafts.expunge([1], False))
    with pytest.raises(NoSuchMessage):
        loop.run(drafts.replace(1, drafts.id, make()))
    assert live(loop, drafts) == []
