"""What filters learn from what people do with their mail, on each engine; the learner runs on the store."""

from __future__ import annotations

import pytest
from store_support import PARTITIONS

from mailnode.message.tokens import words
from mailnode.net.hints import LocalHints
from mailnode.net.no_reactor import CallingThread
from mailnode.store.engines.engine import mail_tenancy
from mailnode.store.facades import filters as facade
from mailnode.store.facades.filters import Filters
from mailnode.upkeep import learner
from mailnode.upkeep.learner import AGAIN, CATCH_UP, ROUND, Learner
from mailnode.values.flags import ANSWERED, DELETED, FLAGGED, SEEN
from mailnode.values.learning import FilterState
from mailnode.values.mailbox import DeliveryPlan

US = "mx.us.test"
RECEIVED = (
    b"Received: from far.test ([8.8.8.8])\r\n\tby mx.us.test with ESMTP\r\n\tid x; Mon, 1 Jan 2024 00:00:00 +0000\r\n"
)
RESULTS = b"Authentication-Results: mx.us.test; dmarc=pass header.from=shop.test\r\n"
PREFIX = b"Return-Path: <x@shop.test>\r\nDelivered-To: ann@x.test\r\n" + RESULTS


@pytest.fixture
def filters(engine, store, clock):
    return Filters(engine, store.partition, PARTITIONS, clock)


def test_what_is_learnt_while_another_filter_is_asked_about_troubles_nobody(filters, engine, loop, monkeypatch):
    loop.run(filters.learnt(["ann"]))
    asked = engine.read

    async def read(*args):
        await filters.forget("ann")
        return await asked(*args)

    monkeypatch.setattr(engine, "read", read)
    assert list(loop.run(filters.learnt(["ann", "bea"]))) == ["ann", "bea"]


class House:
    """An account whose mail is learnt."""

    def __init__(self, store, filters, clock, loop, make):
        self.store, self.filters, self.clock, self.loop, self.make = store, filters, clock, loop, make
        self.account = store.account("ann")
        self.hints = LocalHints()
        self.learner = self.new_learner()
        self.boxes = {one.name: one.id for one in loop.run(self.account.mailboxes())}

    def new_learner(self):
        return Learner(self.filters, self.store, self.hints, CallingThread(), self.clock, US)

    def message(self, number, subject="cheap watches"):
        return (
            RECEIVED
            + f"Message-ID: <{number}@shop.test>\r\nFrom: shop@shop.test\r\nSubject: {subject}\r\n\r\n".encode()
            + f"buy {number}x now\r\n".encode()
        )

    def deliver(self, number, subject="cheap watches", junk=False, prefix=PREFIX):
        told = b"X-Mailnode-Reason: " + (b"junk, score 7.0 of 5.0" if junk else b"not junk, score 1.0 of 5.0") + b"\r\n"
        plan = DeliveryPlan(
            "ann",
            "ann@x.test",
            keywords=("$Junk",) if junk else (),
            prefix=prefix + told,
            special_use="\\Junk" if junk else "",
        )
        message = self.make(self.message(number, subject))
        (placed,) = self.loop.run(self.store.deliver(f"e{number}", [plan], message, False))
        self.clock.advance(1)
        return placed.uid

    def box(self, name="INBOX"):
        return self.account.open(self.boxes[name])

    def move(self, uid, target, source="INBOX"):
        (copy,) = self.loop.run(self.box(source).move([uid], self.boxes[target])).target
        return copy

    def flag(self, uid, flags=0, *keywords, name="INBOX", mode="add"):
        self.loop.run(self.box(name).store_flags([uid], mode, flags, keywords))

    def upload(self, content, name):
        return self.loop.run(self.box(name).append([self.make(content)])).uids[0]

    def learnt(self):
        """Look; return how much was learnt as junk and as good."""
        self.loop.run(self.learner.look("ann"))
        state = self.loop.run(self.filters.state("ann"))
        return state.junk, state.good

    def count(self, content, word):
        number = next(number for number, one in words(content).items() if one == word)
        return self.loop.run(self.filters.words(["ann"], [number]))["ann"].words.get(number, (0, 0))


@pytest.fixture
def house(store, filters, clock, loop, make):
    return House(store, filters, clock, loop, make)


def test_what_is_moved_to_junk_is_learnt_once(house):
    uid = house.deliver(1)
    assert house.learnt() == (0, 0)
    junk = house.move(uid, "Junk")
    assert house.learnt() == (1, 0)
    assert house.count(house.message(1), b"buy") == (1, 0)
    house.flag(junk, SEEN | FLAGGED, "$Junk", name="Junk")
    assert house.learnt() == (1, 0)
    house.learner = house.new_learner()
    assert house.learnt() == (1, 0)


def test_what_moves_back_is_learnt_the_other_way_round(house):
    uid = house.move(house.deliver(1), "Junk")
    assert house.learnt() == (1, 0)
    uid = house.move(uid, "INBOX", "Junk")
    assert house.learnt() == (0, 1)
    assert house.count(house.message(1), b"buy") == (0, 1)
    house.move(uid, "Trash")
    assert house.learnt() == (0, 1)


def test_a_copy_that_is_deleted_afterwards_is_a_move(house):
    uid = house.deliver(1)
    house.loop.run(house.box().copy([uid], house.boxes["Junk"]))
    house.flag(uid, DELETED)
    house.loop.run(house.box().expunge([uid], True))
    assert house.learnt() == (1, 0)


def test_our_own_judgement_teaches_nothing(house):
    uid = house.deliver(1, junk=True)
    house.flag(uid, SEEN, name="Junk")
    assert house.learnt() == (0, 0)
    house.move(uid, "INBOX", "Junk")  # its keyword goes with it
    assert house.learnt() == (0, 1)


@pytest.mark.parametrize(
    ("junk", "good"),
    [("$Junk", "$NotJunk"), ("Junk", "NonJunk"), ("$junk", "NotJunk")],
    ids=["rfc", "thunderbird", "other"],
)
def test_keywords_of_mail_programs(house, junk, good):
    uid = house.deliver(1)
    house.flag(uid, 0, junk)
    assert house.learnt() == (1, 0)
    uid = house.move(uid, "Junk")
    assert house.learnt() == (1, 0)
    house.flag(uid, 0, junk, name="Junk", mode="remove")
    house.flag(uid, 0, good, name="Junk")
    assert house.learnt() == (0, 1)
    house.move(uid, "INBOX", "Junk")
    assert house.learnt() == (0, 1)


def test_a_keyword_that_stays_does_not_outweigh_a_later_move(house):
    uid = house.deliver(1)
    house.flag(uid, 0, "Junk")
    uid = house.move(uid, "Junk")
    assert house.learnt() == (1, 0)
    house.move(uid, "INBOX", "Junk")
    assert house.learnt() == (0, 1)


def test_a_place_does_not_outweigh_a_later_keyword(house):
    uid = house.move(house.deliver(1), "Junk")
    assert house.learnt() == (1, 0)
    house.flag(uid, 0, "NotJunk", name="Junk")
    assert house.learnt() == (0, 1)
    house.flag(uid, SEEN, name="Junk")
    assert house.learnt() == (0, 1)


def test_what_is_answered_flagged_or_filed_is_no_junk(house):
    house.flag(house.deliver(1), ANSWERED)
    house.flag(house.deliver(2), FLAGGED)
    house.flag(house.deliver(3), SEEN)
    house.move(house.deliver(4), "Archive")
    house.move(house.deliver(5), "Trash")
    assert house.learnt() == (0, 3)


def test_a_program_that_moves_by_uploading_again(house):
    uid = house.deliver(1)
    whole = PREFIX + b"X-Mailnode-Reason: not junk, score 1.0 of 5.0\r\n" + house.message(1)
    house.upload(b"X-TUID: 123\r\n" + whole, "Junk")
    house.flag(uid, DELETED)
    assert house.learnt() == (1, 0)
    house.upload(whole, "Archive")
    assert house.learnt() == (0, 1)


def test_an_archive_that_is_uploaded_teaches_junk_alone(house):
    for number in range(3):
        house.upload(house.message(number), "Archive")
        house.upload(house.message(number + 10), "Junk")
    assert house.learnt() == (3, 0)
    taken_for_junk = b"X-Mailnode-Reason: junk, score 9.0 of 5.0\r\n" + house.message(20)
    house.upload(taken_for_junk, "Archive")
    assert house.learnt() == (3, 1)


def test_below_junk_is_junk_and_a_use_goes_for_what_is_below(house):
    for name, use in (("Junk/Old", ""), ("Trash/x", "")):
        house.boxes[name] = house.loop.run(house.account.create(name, use)).id
    house.move(house.deliver(1), "Junk/Old")
    house.move(house.deliver(2), "Trash/x")
    assert house.learnt() == (1, 0)


def test_a_change_that_says_nothing_is_not_looked_into(house):
    uid = house.deliver(1)
    house.flag(uid, SEEN)
    assert house.loop.run(house.filters.acted("ann", 0, None)).acted == ()
    for name in ("Drafts", "Sent", "Trash"):  # what one writes oneself, or throws away
        house.upload(house.message(2), name)
    assert house.loop.run(house.filters.acted("ann", 0, None)).acted == ()
    house.flag(uid, FLAGGED)
    assert [one.uid for one in house.loop.run(house.filters.acted("ann", 0, None)).acted] == [uid]


def test_more_than_one_look_reads_at_once(house, monkeypatch):
    monkeypatch.setattr("mailnode.store.units.acts.ROWS", 3)
    uids = [house.deliver(number) for number in range(10)]
    house.loop.run(house.box().move(uids[:7], house.boxes["Junk"]))
    house.loop.run(house.box().move(uids[7:], house.boxes["Archive"]))
    assert house.learnt() == (7, 3)


def test_the_sender_is_the_domain_that_was_authenticated_else_the_network(house):
    ours = PREFIX.replace(RESULTS, b"")
    for number, prefix in enumerate((PREFIX, PREFIX, ours)):
        house.move(house.deliver(number, prefix=prefix), "Junk")
    house.flag(house.deliver(9), ANSWERED)
    house.learnt()
    said = house.loop.run(house.filters.senders(["ann"], "shop.test"))["ann"]
    assert (round(said.junk, 3), round(said.good, 3)) == (2.0, 1.0)
    assert house.loop.run(house.filters.senders(["ann"], "8.8.8.0/24"))["ann"].junk == pytest.approx(1.0, abs=0.01)
    assert house.loop.run(house.filters.senders(["ann", "bea"], "far.test")) == {}
    house.clock.advance(120 * 86_400)
    faded = house.loop.run(house.filters.senders(["ann"], "shop.test"))["ann"]
    assert faded.junk == pytest.approx(1.0, abs=0.01)


def test_hints_and_the_look_for_accounts_of_which_none_told(house):
    house.move(house.deliver(1), "Junk")
    house.learner.start()
    house.clock.advance(ROUND)
    house.loop.run(settled(house))
    assert house.loop.run(house.filters.state("ann")).junk == 1
    house.move(house.deliver(2), "Junk")
    house.hints.publish("ann", 99)
    for _ in range(int(AGAIN / ROUND) + 2):
        house.clock.advance(ROUND)
        house.loop.run(settled(house))
    assert house.loop.run(house.filters.state("ann")).junk == 2
    house.move(house.deliver(3), "Junk")
    house.clock.advance(CATCH_UP)
    house.loop.run(settled(house))
    assert house.loop.run(house.filters.state("ann")).junk == 3
    house.loop.run(house.learner.stop())
    assert house.clock.getDelayedCalls() == []


async def settled(house):
    """The round that the clock began comes to its end."""
    while house.learner._rounds._round is not None:
        await house.filters.state("ann")


def test_a_crash_between_learning_and_noting_learns_nothing_twice(house, monkeypatch):
    async def lost(account_id, until):
        raise RuntimeError("the process is gone")

    house.move(house.deliver(1), "Junk")
    monkeypatch.setattr(house.filters, "looked", lost)
    with pytest.raises(RuntimeError):
        house.loop.run(house.learner.look("ann"))
    monkeypatch.undo()
    house.learner = house.new_learner()
    assert house.learnt() == (1, 0)
    assert house.count(house.message(1), b"buy") == (1, 0)


def test_many_messages_that_came_by_one_change_are_looked_at_once(house, monkeypatch):
    monkeypatch.setattr(learner, "NOTED", 5)
    house.loop.run(house.box().append([house.make(house.message(number, "s")) for number in range(6)]))
    assert len(house.loop.run(house.filters.acted("ann", 0, None)).acted) == 6
    assert house.learnt() == (0, 0)
    assert house.loop.run(house.filters.acted("ann", 0, None)).acted == ()


def test_two_that_learn_the_same_learn_it_once(house):
    house.move(house.deliver(1), "Junk")
    house.loop.together(house.learner.look("ann"), house.new_learner().look("ann"))
    assert house.loop.run(house.filters.state("ann")).junk == 1
    assert house.count(house.message(1), b"buy") == (1, 0)


def test_what_was_learnt_fades_and_has_bounds(house, monkeypatch):
    for number in range(8):
        house.move(house.deliver(number), "Junk")
    house.learnt()
    monkeypatch.setattr(facade, "MAX_LEARNT", 7)
    assert house.loop.run(house.filters.tidy("ann"))
    state = house.loop.run(house.filters.state("ann"))
    assert state.junk == 4
    assert house.count(house.message(1), b"buy") == (4, 0)
    monkeypatch.setattr(facade, "MAX_WORDS", state.words - 1)
    assert house.loop.run(house.filters.tidy("ann"))
    assert house.loop.run(house.filters.state("ann")).words < state.words
    monkeypatch.setattr(facade, "MAX_SENDERS", 0)
    assert house.loop.run(house.filters.tidy("ann"))
    assert house.loop.run(house.filters.state("ann")).senders == 0
    assert house.loop.run(house.filters.senders(["ann"], "shop.test")) == {}


def test_forgotten_is_all_and_nothing_of_before_is_learnt_again(house):
    house.move(house.deliver(1), "Junk")
    house.learnt()
    house.loop.run(house.filters.forget("ann"))
    house.learner = house.new_learner()
    assert house.learnt() == (0, 0)
    assert house.loop.run(house.filters.state("ann")) == FilterState()
    house.move(house.deliver(2), "Junk")
    assert house.learnt() == (1, 0)


def test_old_messages_and_senders_are_swept(house, clock):
    house.move(house.deliver(1), "Junk")
    house.learnt()
    now = clock.seconds()
    assert house.loop.run(house.filters.sweep(now + facade.MESSAGES_KEPT - 60)) == 0
    assert house.loop.run(house.filters.sweep(now + facade.MESSAGES_KEPT + 60)) == 1
    assert house.loop.run(house.filters.sweep(now + facade.SENDERS_KEPT + 60)) == 1
    assert house.loop.run(house.filters.state("ann")).senders == 0


def test_a_removed_account_leaves_nothing(house, engine):
    house.move(house.deliver(1), "Junk")
    house.learnt()
    house.loop.run(house.store.remove("ann"))
    house.loop.run(house.learner.look("ann"))
    tenancy = mail_tenancy(house.store.partition("ann"))
    for table in ("filter", "filter_word", "filter_message", "reputation"):
        count = house.loop.run(
            engine.read(tenancy, lambda tx, table=table: tx.execute(f"SELECT count(*) FROM {table}"))
        )
        assert count == [(0,)]


def test_how_much_was_learnt_is_remembered_for_a_while(house):
    assert house.loop.run(house.filters.learnt(["ann", "bea"])) == {"ann": FilterState(), "bea": FilterState()}
    house.move(house.deliver(1), "Junk")
    assert house.learnt() == (1, 0)
    assert house.loop.run(house.filters.learnt(["ann"]))["ann"].junk == 1  # it learnt here


class Asked:
    """An engine that counts how often it is asked."""

    def __init__(self, engine):
        self._engine, self.reads = engine, []

    def __getattr__(self, name):
        return getattr(self._engine, name)

    async def read(self, tenancy, unit, *arguments):
        self.reads.append((unit.__name__, *arguments))
        return await self._engine.read(tenancy, unit, *arguments)


@pytest.fixture
def asked(engine):
    return Asked(engine)


@pytest.fixture
def elsewhere(asked, store, clock):
    """The filters as another process sees them."""
    return Filters(asked, store.partition, PARTITIONS, clock)


def words_of(house, filters, *words):
    numbers = {word: number for number, word in words_in(house).items()}
    said = house.loop.run(filters.words(["ann", "bea"], [numbers[word] for word in words]))
    return {account: [one.words.get(numbers[word], (0, 0)) for word in words] for account, one in said.items()}


def words_in(house):
    return words(house.message(1)) | words(house.message(2))


def test_words_are_asked_for_once_and_those_alone_that_are_new(house, asked, elsewhere):
    house.move(house.deliver(1), "Junk")
    house.learnt()
    assert words_of(house, elsewhere, b"buy") == {"ann": [(1, 0)]}
    asked.reads.clear()
    assert words_of(house, elsewhere, b"buy", b"now") == {"ann": [(1, 0), (1, 0)]}
    assert words_of(house, elsewhere, b"now", b"buy") == {"ann": [(1, 0), (1, 0)]}
    (unit, _, new), *others = asked.reads
    assert (unit, len(new), others) == ("words", 1, [])


def test_a_lesson_is_seen_at_once_here_and_soon_elsewhere(house, elsewhere):
    house.move(house.deliver(1), "Junk")
    house.learnt()
    assert words_of(house, house.filters, b"buy") == words_of(house, elsewhere, b"buy") == {"ann": [(1, 0)]}
    house.move(house.deliver(2), "Junk")
    house.learnt()
    assert words_of(house, house.filters, b"buy") == {"ann": [(2, 0)]}
    house.clock.advance(facade.STATES_KNOWN)
    assert words_of(house, elsewhere, b"buy") == {"ann": [(2, 0)]}
    house.loop.run(house.filters.forget("ann"))
    assert words_of(house, house.filters, b"buy") == {}
    house.clock.advance(facade.STATES_KNOWN)
    assert words_of(house, elsewhere, b"buy") == {}


def test_a_lesson_between_two_looks_elsewhere_mixes_no_counts(house, elsewhere):
    house.move(house.deliver(1), "Junk")
    house.learnt()
    assert words_of(house, elsewhere, b"buy") == {"ann": [(1, 0)]}
    house.move(house.deliver(2), "Junk")
    house.learnt()
    assert words_of(house, elsewhere, b"buy", b"now") == {"ann": [(2, 0), (2, 0)]}


def test_counts_that_fade_are_seen_elsewhere_too(house, elsewhere, monkeypatch):
    for number in range(8):
        house.move(house.deliver(number), "Junk")
    house.learnt()
    assert words_of(house, house.filters, b"buy") == words_of(house, elsewhere, b"buy") == {"ann": [(8, 0)]}
    monkeypatch.setattr(facade, "MAX_LEARNT", 7)
    house.loop.run(house.filters.tidy("ann"))
    assert words_of(house, house.filters, b"buy") == {"ann": [(4, 0)]}
    house.clock.advance(facade.STATES_KNOWN)
    assert words_of(house, elsewhere, b"buy") == {"ann": [(4, 0)]}


def test_a_sender_is_asked_for_once_until_a_lesson(house, asked, elsewhere):
    house.move(house.deliver(1), "Junk")
    house.learnt()
    for _ in range(2):
        assert house.loop.run(elsewhere.senders(["ann", "bea"], "shop.test"))["ann"].junk == pytest.approx(1.0)
        assert house.loop.run(elsewhere.senders(["ann", "bea"], "far.test")) == {}
    assert [unit for unit, *_ in asked.reads].count("senders") == 2
    house.move(house.deliver(2), "Junk")
    house.learnt()
    house.clock.advance(facade.STATES_KNOWN)
    assert house.loop.run(elsewhere.senders(["ann"], "shop.test"))["ann"].junk == pytest.approx(2.0)
