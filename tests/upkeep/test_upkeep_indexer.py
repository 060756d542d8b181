"""What arrives is indexed behind everybody's backs, in steps of a bounded size, one account after another."""

from __future__ import annotations

import pytest
from twisted.internet.defer import Deferred
from twisted.internet.task import Clock

from mailnode.errors import Busy, StoreDamaged, StoreUnavailable
from mailnode.message.scanner import read_facts
from mailnode.net.hints import LocalHints
from mailnode.net.no_reactor import CallingThread, run_now
from mailnode.store.blobs.local import LocalBlobs
from mailnode.store.engines.sqlite import SqliteEngine
from mailnode.store.facades.mail_store import MailStore
from mailnode.store.facades.search_index import SearchIndex
from mailnode.store.units import search_index
from mailnode.upkeep import indexer as module
from mailnode.upkeep.indexer import CATCH_UP, ROUND, Indexer
from mailnode.values.mailbox import NewMessage
from mailnode.values.search import BODY, Needle

DAY = 86_400.0
LATER = 100_000  # seconds: rests between steps, and rounds


class Process:
    """Runs at once; dies, or does not answer, when it is told to."""

    def __init__(self):
        self.calls = []
        self.broken = 0
        self.held = None

    async def run(self, function, *args):
        self.calls.append(function.__name__)
        if self.broken:
            self.broken -= 1
            raise Busy
        if self.held is not None:
            await self.held
        return function(*args)


class House:
    """A store of one partition, its index and what fills it."""

    def __init__(self, directory, **options):
        self.clock = Clock()
        self.clock.advance(1_700_000_000)
        self.engine = SqliteEngine(None, 1)
        run_now(self.engine.start())
        self.hints = LocalHints()
        self.blobs = LocalBlobs(directory, CallingThread(), self.clock)
        self.blobs.prepare()
        self.mail = MailStore(self.engine, self.blobs, self.hints, self.clock, 1, self.elsewhere)
        self.index = SearchIndex(self.engine, self.mail.partition, 1)
        self.process = Process()
        self.indexer = Indexer(self.index, self.mail, self.hints, self.process, self.clock, **options)
        self.account("ann")

    async def elsewhere(self, blob_ids):
        return set()

    def account(self, name):
        run_now(self.mail.provision(name))

    def put(self, text, account="ann", raw=None):
        raw = raw or b"From: a@b.test\r\nSubject: s\r\n\r\n" + text.encode() + b"\r\n"
        blob = run_now(self.blobs.put(raw))
        message = NewMessage(blob, read_facts(raw), int(self.clock.seconds()) * 1_000_000)
        return run_now(self.mail.account(account).open(1).append([message])).uids[0]

    def rounds(self, seconds=4 * ROUND):
        for _ in range(int(seconds / ROUND * 8)):
            self.clock.advance(ROUND / 8)

    def maybe(self, text, account="ann", zones=(BODY,)):
        found = run_now(
            self.index.candidates(account, 1, (1, 10**6), [Needle(text, frozenset(zones))], 1e9, lambda: None)
        )
        return None if found is None else set().union(*found[0])

    def stop(self):
        run_now(self.indexer.stop())
        run_now(self.engine.stop())


@pytest.fixture
def house(tmp_path):
    house = House(tmp_path)
    house.indexer.start()
    yield house
    house.stop()


def test_what_arrives_is_indexed_and_told_so(house):
    house.put("apples and pears")
    house.put("plums")
    assert house.maybe("apples") is None, "nothing is known yet"
    house.rounds()
    assert house.maybe("apples") == {1}
    assert house.maybe("lum") == {2}
    assert house.maybe("grapes") == set()


def test_what_is_not_indexed_yet_may_hold_anything(house):
    house.put("apples")
    house.rounds()
    house.put("plums")
    assert house.maybe("apples") == {1, 2}
    house.rounds()
    assert house.maybe("apples") == {1}


def test_copies_stand_in_their_mailbox(house):
    house.put("apples")
    house.rounds()
    box = house.mail.account("ann").open(1)
    run_now(box.copy([1], 1))
    assert house.maybe("apples") == {1, 2}
    assert house.maybe("plums") == set()


@pytest.mark.parametrize(("heard", "rest"), [(0, 0.025), (1000, 0.8)])
def test_while_much_comes_mail_goes_first(house, monkeypatch, heard, rest):
    """A step of a tenth of a second, then another after a quarter of it, or after eight times it."""
    monkeypatch.setattr(search_index, "MESSAGES", 1)
    for _ in range(3):
        house.put("apples")

    def step():
        held, house.process.held = house.process.held, Deferred()
        house.clock.advance(0.1)
        held.callback(None)

    house.process.held = Deferred()
    house.clock.advance(ROUND)
    step()
    house.clock.advance(0.03)
    assert len(house.process.calls) == 2
    for modseq in range(heard):
        house.hints.publish("ann", modseq)
    step()
    house.clock.advance(rest * 0.9)
    assert len(house.process.calls) == 2
    house.clock.advance(rest * 0.2)
    assert len(house.process.calls) == 3
    house.process.held.callback(None)


def test_steps_are_bounded_and_accounts_take_turns(house, monkeypatch):
    monkeypatch.setattr(search_index, "MESSAGES", 2)
    house.account("bob")
    turns = []
    add = house.index.add

    async def noted(account_id, work, segment, joined):
        turns.append((account_id, len(work.messages)))
        return await add(account_id, work, segment, joined)

    house.index.add = noted
    for _ in range(5):
        house.put("apples")
    house.put("plums", "bob")
    house.rounds()
    assert turns == [("ann", 2), ("bob", 1), ("ann", 2), ("ann", 1)]
    assert house.maybe("apples") == {1, 2, 3, 4, 5}


def test_what_no_hint_told_of_is_found_later(house):
    house.rounds()
    house.hints.publish = lambda account_id, modseq: None
    house.put("apples")
    house.rounds()
    assert house.maybe("apples") is None
    house.rounds(CATCH_UP)
    assert house.maybe("apples") == {1}


def test_an_older_store_is_indexed_from_the_start(tmp_path):
    house = House(tmp_path)
    house.put("apples")
    house.indexer.start()
    house.rounds()
    assert house.maybe("apples") == {1} and house.maybe("plums") == set()
    house.stop()


def test_the_lag_is_known(house, monkeypatch):
    monkeypatch.setattr(search_index, "MESSAGES", 1)
    for _ in range(3):
        house.put("apples")
    house.process.held = Deferred()
    house.clock.advance(ROUND)
    held, house.process.held = house.process.held, Deferred()
    held.callback(None)
    lag = house.indexer.lag()
    assert lag.messages == 2 and lag.since == 1_700_000_000
    held, house.process.held = house.process.held, None
    held.callback(None)
    house.rounds()
    assert house.indexer.lag().messages == 0 and house.indexer.lag().since is None


def test_swept_messages_leave_the_index(house):
    house.put("apples secret")
    house.put("apples")
    house.rounds()
    run_now(house.mail.account("ann").open(1).expunge([1], False))
    run_now(house.mail.sweep(house.clock.seconds() + 8 * DAY))
    house.hints.publish("ann", 99)
    house.rounds()
    [segment] = run_now(
        house.engine.read(
            "mail-00",
            search_index.read,
            "ann",
            run_now(house.engine.read("mail-00", search_index.places, "ann")),
        )
    )
    terms = [term for term, _ in module_terms(segment)]
    assert b"apples" in terms and b"secret" not in terms
    assert house.maybe("apples") == {2}


def module_terms(segment):
    from mailnode.store.search.segments import Zone

    return Zone.whole(segment.zones[BODY]).terms()


def test_nothing_is_left_of_an_account_whose_mail_is_gone(house):
    house.put("apples")
    house.rounds()
    run_now(house.mail.account("ann").open(1).expunge([1], False))
    run_now(house.mail.sweep(house.clock.seconds() + 8 * DAY))
    house.hints.publish("ann", 99)
    house.rounds()
    assert run_now(house.engine.read("mail-00", search_index.places, "ann")) == []
    house.put("plums")
    house.rounds()
    assert house.maybe("plums") == {2}


def test_a_message_that_is_swept_while_it_is_indexed_leaves_it_too(house):
    house.put("apples")
    house.put("plums")
    house.process.held = Deferred()
    house.clock.advance(ROUND)
    run_now(house.mail.account("ann").open(1).expunge([1], False))
    run_now(house.mail.sweep(house.clock.seconds() + 8 * DAY))
    held, house.process.held = house.process.held, None
    held.callback(None)
    house.rounds()
    [place] = run_now(house.engine.read("mail-00", search_index.places, "ann"))
    assert place.messages == 1


def test_a_process_that_dies_is_asked_again(house):
    house.put("apples")
    house.process.broken = 2
    house.rounds(20 * ROUND)
    assert house.maybe("apples") == {1}


def test_an_index_that_cannot_be_read_is_made_anew(house):
    def damage(tx):
        tx.execute("UPDATE search_terms SET data = ?", (b"garbage",))

    house.put("apples")
    house.put("plums")
    house.rounds()
    run_now(house.engine.write("mail-00", damage))
    assert house.maybe("apples") == {1, 2}, "what cannot be read says nothing"
    house.rounds()
    house.hints.publish("ann", 99)
    house.rounds()
    assert house.maybe("apples") == {1}


def test_an_index_of_another_version_counts_as_none_and_is_made_anew(house):
    house.put("apples")
    house.rounds()
    newer = SearchIndex(house.engine, house.mail.partition, 1, version=house.index._version + 1)
    house.index = newer
    assert house.maybe("plums") is None
    second = Indexer(newer, house.mail, house.hints, house.process, house.clock)
    second.start()
    house.rounds()
    assert house.maybe("plums") == set() and house.maybe("apples") == {1}
    run_now(second.stop())


def test_forgotten_while_it_is_indexed(house, monkeypatch):
    monkeypatch.setattr(search_index, "MESSAGES", 1)
    house.put("apples")
    house.rounds()
    house.put("plums")
    house.process.held = Deferred()
    house.clock.advance(ROUND)
    run_now(house.index.forget("ann"))
    held, house.process.held = house.process.held, None
    held.callback(None)
    house.hints.publish("ann", 99)
    house.rounds()
    assert house.maybe("apples") == {1} and house.maybe("plums") == {2}


def test_what_cannot_be_read_may_hold_anything(house, tmp_path):
    house.put("", raw=b"Subject: x\r\n\r\n" + bytes(range(32, 127)) * 4000)
    house.put("plums")
    for path in tmp_path.rglob("*"):
        if path.is_file() and path.stat().st_size > 1000:
            path.write_bytes(b"damaged")
    house.rounds()
    assert house.maybe("apples") == set() or house.maybe("apples") == {1}
    assert house.maybe("plums") in ({2}, {1, 2})


def test_a_large_message_is_indexed_by_its_texts_alone(house):
    raw = (
        b"Subject: big\r\nContent-Type: multipart/mixed; boundary=B\r\n\r\n--B\r\n\r\napples in text\r\n--B\r\n"
        b"Content-Type: application/octet-stream\r\nContent-Transfer-Encoding: base64\r\n\r\n"
        + b"QUJD" * 100_000
        + b"\r\n--B--\r\n"
    )
    house.put("", raw=raw)
    house.rounds()
    assert house.maybe("apples in") == {1}
    assert house.maybe("qujdqujd") == set()


def test_all_that_one_step_takes_is_read_however_long_the_headers(house, monkeypatch):
    monkeypatch.setattr(search_index, "OCTETS", 40_000)
    monkeypatch.setattr(module, "HELD", 40_000)
    raw = b"".join(b"X-Field-%d: %b\r\n" % (number, b"x" * 60) for number in range(100)) + b"\r\nplums\r\n"
    for _ in range(5):
        house.put("", raw=raw)
    house.rounds()
    assert house.maybe("apples") == set()
    assert house.maybe("plums") == {1, 2, 3, 4, 5}


def test_too_much_text_is_not_indexed_but_read(house, monkeypatch):
    monkeypatch.setattr(module, "MAX_INDEXED", 100_000)
    house.put("word " * 60_000)
    house.put("plums")
    house.rounds()
    assert house.maybe("apples") == {1}
    assert house.maybe("plums") == {1, 2}


def test_switched_off_nothing_is_indexed_and_what_was_is_forgotten(tmp_path):
    house = House(tmp_path, wanted=False)
    on = Indexer(house.index, house.mail, house.hints, house.process, house.clock)
    on.start()
    house.put("apples")
    house.rounds()
    run_now(on.stop())
    assert house.maybe("apples") == {1}
    house.indexer.start()
    house.put("plums")
    house.rounds()
    assert house.maybe("apples") is None
    house.stop()


def test_it_stops_between_two_steps(house, monkeypatch):
    monkeypatch.setattr(search_index, "MESSAGES", 1)
    for _ in range(3):
        house.put("apples")
    house.process.held = Deferred()
    house.clock.advance(ROUND)
    stopping = Deferred.fromCoroutine(house.indexer.stop())
    assert not stopping.called
    held, house.process.held = house.process.held, None
    held.callback(None)
    assert stopping.called
    house.rounds()
    assert house.process.calls == ["_index"]


def test_a_store_that_is_not_available_is_asked_again(house):
    to_index, failing = house.index.to_index, [True]

    async def unavailable(account_id):
        if failing:
            raise StoreUnavailable("mail-00")
        return await to_index(account_id)

    house.index.to_index = unavailable
    house.put("apples")
    house.rounds()
    failing.clear()
    house.rounds()
    assert house.maybe("apples") == {1}


def test_damage_is_no_search_s_trouble(house):
    house.put("apples")
    house.rounds()

    async def damaged(tenancy, unit, *args):
        raise StoreDamaged("mail-00")

    house.engine.read, read = damaged, house.engine.read
    assert house.maybe("apples") is None
    house.engine.read = read


def test_a_process_that_is_away_is_not_asked_again_at_once(house):
    house.put("apples")
    house.process.broken = 1000
    house.rounds(10 * ROUND)
    assert 2 <= len(house.process.calls) <= 11
    house.process.broken = 0
    house.rounds()
    assert house.maybe("apples") == {1}
