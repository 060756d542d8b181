"""Keys that need the message itself: together, each text decoded once; how many searches do it, and when they end."""

import gc
import itertools
import pickle

import pytest
from imap_world import World
from twisted.internet.defer import Deferred, fail
from twisted.internet.task import Clock
from twisted.logger import globalLogPublisher

from mailnode.errors import Busy, StoreUnavailable
from mailnode.imap.commands import matching as search
from mailnode.imap.commands.inprogress import AFTER_CLOSE, AFTER_SILENCE
from mailnode.imap.commands.matching import KEYS
from mailnode.imap.messages import judging
from mailnode.imap.messages.judging import TextJudge, not_found, reduced
from mailnode.imap.messages.search_keys import And, InBody, InHeader, InText, Not, Or, leaves
from mailnode.imap.searches import AT_ONCE, OF_ACCOUNT, SLICE, Searches
from mailnode.message import pieces, words
from mailnode.message import search_text as matching

A, B, C = InBody("a"), InText("b"), InHeader("x", "c")
MESSAGE = b"Subject: one\r\nX-Other: kept\r\n\r\nthe fox\r\n"


class WaitingProcess:
    """Calls wait until they are let go on, one by one."""

    def __init__(self) -> None:
        self.waiting: list[tuple[Deferred, object, tuple]] = []

    def begin(self, function):
        pass

    async def run(self, function, *args):
        waiting = Deferred()
        self.waiting.append((waiting, function, args))
        return await waiting

    def go_on(self) -> None:
        waiting, function, args = self.waiting.pop(0)
        waiting.callback(function(*pickle.loads(pickle.dumps(args))))


def waiting_world(make_world, messages=1):
    world: World = make_world()
    process = WaitingProcess()
    world.services.searches._processes = process
    for number in range(messages):
        world.put(MESSAGE + b"%d\r\n" % number)
    return world, process


# --- trees


@pytest.mark.parametrize(
    ("key", "known", "left"),
    [
        (A, {A: True}, True),
        (A, {B: True}, A),
        (Not(A), {A: True}, False),
        (Not(A), {}, Not(A)),
        (Or(A, B), {A: True}, True),
        (Or(A, B), {B: True}, True),
        (Or(A, B), {A: False}, B),
        (Or(A, B), {B: False}, A),
        (And((A, B, C)), {B: True}, And((A, C))),
        (And((A, B)), {B: True}, A),
        (And((A, B, C)), {B: False}, False),
        (And((A, B)), {A: True, B: True}, True),
        (Not(Or(A, And((B, C)))), {C: False}, Not(A)),
    ],
)
def test_what_is_left_of_a_tree(key, known, left):
    assert reduced(key, known) == left


def test_what_was_not_found_is_not_there():
    assert not_found(Not(A)) is True
    assert not_found(Or(A, And((Not(B), Not(C))))) is True
    assert not_found(And((Not(B), A))) is False
    assert list(leaves(Not(Or(A, And((B, C)))))) == [A, B, C]


def test_a_header_decides_what_it_can():
    block = b"Subject: =?utf-8?q?B=C3=A4r?=\r\nX: Cat\r\nX: dog\r\n\r\n"
    judge = TextJudge(And((C, InHeader("x", "DOG"), InText("bär"), InBody(""), A)))
    assert judge.by_header(block) == A
    assert TextJudge(And((A, InHeader("x", "bird")))).by_header(block) is False
    assert TextJudge(InHeader("y", "")).by_header(block) is False
    assert TextJudge(InHeader("x", "")).by_header(block) is True


# --- how often


def count_decoded(monkeypatch):
    decoded = []
    judging.folded.cache_clear()

    def searchable(part, raw):
        decoded.append(len(raw))
        return pieces.searchable(part, raw)

    monkeypatch.setattr(judging, "searchable", searchable)
    return decoded


@pytest.mark.parametrize("filler", [b"", b"0123456789abcdef\r\n" * 20_000])
def test_each_text_is_decoded_once_for_all_keys(make_world, monkeypatch, filler):
    decoded = count_decoded(monkeypatch)
    world = make_world()
    world.put(b"Subject: one\r\n\r\n" + filler + b"one fox\r\n")
    world.put(b"Subject: two\r\n\r\n" + filler + b"two foxes\r\n")
    client = world.connect(select="INBOX")
    keys = " ".join(f"OR BODY no{n} NOT TEXT not{n}" for n in range(45))
    assert client.ask(f"a SEARCH {keys} BODY fox OR (BODY foxes FLAGGED) BODY one")[0] == "* SEARCH 1"
    assert len(decoded) == 2
    assert len(world.processes.calls) == (1 if not filler else 4)


def test_many_keys_are_looked_for_in_a_large_text_by_several_steps(make_world, monkeypatch):
    decoded = count_decoded(monkeypatch)
    world = make_world()
    world.put(b"Subject: one\r\n\r\n" + b"0123456789abcdef\r\n" * 20_000 + b"fox\r\n")
    client = world.connect(select="INBOX")
    keys = " ".join(f"NOT BODY no{n}" for n in range(2 * KEYS))
    assert client.ask(f"a SEARCH {keys} BODY fox")[0] == "* SEARCH 1"
    assert world.processes.calls == ["judge_header"] + ["judge_piece"] * 3
    assert len(decoded) == 1
    world.processes.calls.clear()
    assert client.ask(f"a SEARCH OR BODY fox ({keys})")[0] == "* SEARCH 1"
    assert world.processes.calls == ["judge_header", "judge_piece"]


def test_what_the_header_or_a_cheap_branch_decides_is_not_decoded(make_world, monkeypatch):
    decoded = count_decoded(monkeypatch)
    world = make_world()
    for _ in range(3):
        world.put(MESSAGE)
    client = world.connect(select="INBOX")
    client.ask("a STORE 2 +FLAGS.SILENT (\\Flagged)")
    assert client.ask("a SEARCH HEADER X-Other lost BODY fox")[0] == "* SEARCH"
    assert decoded == []
    world.processes.calls.clear()
    assert client.ask("a SEARCH OR 1:3 BODY fox")[0] == "* SEARCH 1 2 3"
    assert world.processes.calls == []
    assert client.ask("a SEARCH OR (FLAGGED BODY fox) (NOT FLAGGED SMALLER 5 BODY fox)")[0] == "* SEARCH 2"
    assert len(decoded) == 1


def test_a_header_is_decoded_once_for_all_keys(make_world, monkeypatch):
    decoded = []

    def decode_words(text):
        decoded.append(text)
        return words.decode_words(text)

    monkeypatch.setattr(matching, "decode_words", decode_words)
    world = make_world()
    for number in range(10):
        world.put(b"From: a@a.test\r\nSubject: =?utf-8?q?n_%d?=\r\n\r\nx\r\n" % number)
    client = world.connect(select="INBOX")
    keys = " ".join(f"NOT SUBJECT no{n} NOT FROM no{n}" for n in range(50))
    assert client.ask(f'a SEARCH {keys} SUBJECT "n 7"')[0] == "* SEARCH 8"
    assert len(decoded) == 2 * 10


def test_many_cheap_keys_let_others_have_their_turn(make_world, monkeypatch):
    monkeypatch.setattr("mailnode.imap.commands.matching.TESTS", 20)
    world = make_world()
    for _ in range(12):
        world.put(MESSAGE)
    client = world.connect(select="INBOX")
    pauses = []
    pause = client.session.pause

    async def counted():
        pauses.append(True)
        await pause()

    client.session.pause = counted
    for keys, least in (("SUBJECT one " * 10, 6), ("NOT SEEN " * 10, 6), ("OR BODY fox SUBJECT one " * 5, 6)):
        pauses.clear()
        assert client.ask(f"a SEARCH {keys.strip()}")[0].endswith(" 12")
        assert len(pauses) >= least, keys


# --- whose turn it is


def test_an_account_has_so_many_searches_at_work_and_the_others_wait_in_order(make_world):
    world, process = waiting_world(make_world)
    clients = [world.connect(str(number), select="INBOX") for number in range(OF_ACCOUNT + 3)]
    for number, client in enumerate(clients):
        client.send(b"a%d SEARCH BODY fox\r\n" % number)
    answered = []
    while process.waiting:
        assert len(process.waiting) <= OF_ACCOUNT
        process.go_on()
        answered += [number for number, client in enumerate(clients) if b" OK SEARCH" in client.received()]
    assert answered == list(range(OF_ACCOUNT + 3))
    assert not world.services.searches._accounts


def test_steps_are_bounded_over_all_accounts_and_go_round():
    searches = Searches(WaitingProcess(), of_account=1)
    order = []
    holding = []

    async def search(account):
        async with searches.of(account, messages=True):
            for step in range(3):
                async with searches.step():
                    order.append((account, step))
                    waiting = Deferred()
                    holding.append(waiting)
                    await waiting

    for account in "abcd":
        Deferred.fromCoroutine(search(account))
    while holding:
        assert len(holding) <= AT_ONCE
        holding.pop(0).callback(None)
    assert [step for _, step in order] == [0] * 4 + [1] * 4 + [2] * 4
    assert sorted(order) == [(account, step) for account in "abcd" for step in range(3)]


class Rounds(Clock):
    """A clock that runs what is due as a reactor does: what that adds has to wait for the next round."""

    tick = 0.0  # how long each look at it takes

    def seconds(self):
        self.rightNow += self.tick
        return super().seconds()

    def round(self):
        for call in [call for call in self.getDelayedCalls() if call.getTime() <= self.rightNow]:
            self.calls.remove(call)
            call.called = 1
            call.func(*call.args, **call.kw)


def test_all_searches_together_have_one_slice_of_a_round():
    clock = Rounds()
    searches = Searches(WaitingProcess())
    done = []

    async def search(name):
        for step in range(3):
            await searches.slice(clock)
            done.append((name, step))
            clock.rightNow += 2 * SLICE  # the time that the step takes

    for name in "abc":
        Deferred.fromCoroutine(search(name))
    assert done == [("a", 0)]
    for count in range(2, 10):
        clock.round()
        assert len(done) == count
    assert sorted(done) == [(name, step) for name in "abc" for step in range(3)]
    clock.round()
    assert clock.getDelayedCalls() == []


def test_short_steps_of_several_searches_share_a_round():
    clock = Rounds()
    searches = Searches(WaitingProcess())
    done = []

    async def search(name):
        for _ in range(10):
            await searches.slice(clock)
            done.append(name)
            clock.rightNow += SLICE * 0.6

    for name in "ab":
        Deferred.fromCoroutine(search(name))
    assert done == ["a", "a"]
    clock.round()
    assert done[2:] == ["a", "b"]  # each in its turn


@pytest.mark.parametrize("keys", ["OR SEEN FLAGGED OR SEEN UNSEEN", "SUBJECT one SUBJECT one", "NOT $"])
def test_whoever_searches_holds_nobody_up_for_longer_than_a_slice(make_world, monkeypatch, keys):
    monkeypatch.setattr("mailnode.imap.commands.matching.VIEW_ROWS", 1)
    monkeypatch.setattr("mailnode.imap.commands.matching.TESTS", 1)
    world = make_world()
    for _ in range(12):
        world.put(MESSAGE)
    clients = [world.connect(str(number), select="INBOX") for number in range(4)]
    other = world.connect("other", select="INBOX")
    clock, searches = Rounds(), world.services.searches
    clock.tick = SLICE / 2
    monkeypatch.setattr(searches, "slice", lambda _, of_all=searches.slice: of_all(clock))
    for client in clients:
        client.send(b"a SEARCH %b\r\n" % keys.encode())
    rounds = 0
    while not all(client.transport.value() for client in clients):
        assert other.ask("a NOOP") == ["a OK NOOP completed"]
        clock.round()
        rounds += 1
    assert rounds > len(clients) * 12
    for client in clients:
        assert client.received().endswith(b"a OK SEARCH completed\r\n")


def test_cheap_searches_wait_for_none(make_world):
    world, process = waiting_world(make_world)
    for number in range(OF_ACCOUNT + 1):
        world.connect(str(number), select="INBOX").send(b"a SEARCH TEXT fox\r\n")
    assert len(process.waiting) == OF_ACCOUNT
    assert world.connect("c", select="INBOX").ask("a SEARCH UNSEEN SUBJECT one")[0] == "* SEARCH 1"


def test_a_process_that_cannot_be_had_is_said_and_leaves_the_place_to_others(make_world):
    world, process = waiting_world(make_world)
    client = world.connect(select="INBOX")
    process.run = lambda function, *args: fail(Busy())
    for _ in range(OF_ACCOUNT + AT_ONCE + 1):
        assert client.ask("a SEARCH BODY fox") == ["a NO [UNAVAILABLE] Too busy, try again later"]


# --- who has gone


def test_a_search_whose_client_has_gone_ends_at_the_next_range(make_world, monkeypatch):
    monkeypatch.setattr("mailnode.imap.commands.matching.BATCH", 1)
    world, process = waiting_world(make_world, messages=5)
    others = [world.connect(str(number), select="INBOX") for number in range(OF_ACCOUNT * 2)]
    for client in others:
        client.send(b"a SEARCH BODY fox\r\n")
    for client in others:
        client.lose()
    for _ in range(OF_ACCOUNT):
        process.go_on()
    assert process.waiting == []  # neither the rest of those at work, nor those that waited behind them
    assert world.logins.standing == 0
    last = world.connect("last", select="INBOX")
    last.send(b"a SEARCH BODY fox\r\n")
    for _ in range(5):
        process.go_on()
    assert last.received() == b"* SEARCH 1 2 3 4 5\r\na OK SEARCH completed\r\n"


def test_a_client_that_closed_its_side_is_told_that_the_search_goes_on(make_world):
    """Whether it has gone shows by that: its system refuses what is sent to it."""
    world, process = waiting_world(make_world)
    client = world.connect(select="INBOX")
    client.send(b"a SEARCH BODY fox\r\nb LOGOUT\r\n")
    client.pump.readConnectionLost()
    for _ in range(2):
        world.clock.advance(AFTER_CLOSE)
        assert client.received() == b'* OK [INPROGRESS ("a" NIL NIL)] Still at it\r\n'
    process.go_on()
    world.clock.advance(0)
    said = b"* SEARCH 1\r\na OK SEARCH completed\r\n* BYE Logging out\r\nb OK LOGOUT completed\r\n"
    assert client.received() == said
    world.clock.advance(AFTER_SILENCE * 2)
    assert client.received() == b""


def test_a_long_search_says_now_and_then_that_it_goes_on(make_world):
    world, process = waiting_world(make_world)
    client = world.connect(select="INBOX")
    client.send(b"a SEARCH BODY fox\r\n")
    for _ in range(int(AFTER_SILENCE / AFTER_CLOSE) * 2):
        world.clock.advance(AFTER_CLOSE)
    assert client.received() == b'* OK [INPROGRESS ("a" NIL NIL)] Still at it\r\n' * 2
    process.go_on()
    world.clock.advance(0)
    assert client.received() == b"* SEARCH 1\r\na OK SEARCH completed\r\n"


def test_logout_behind_a_search_waits_for_its_answer(make_world):
    world, process = waiting_world(make_world)
    client = world.connect(select="INBOX")
    client.send(b"a SEARCH BODY fox\r\nb NOOP\r\nc LOGOUT\r\n")
    assert client.received() == b""
    process.go_on()
    assert [line[:4] for line in client.received().split(b"\r\n")] == [b"* SE", b"a OK", b"b OK", b"* BY", b"c OK", b""]
    assert client.closed


def test_some_messages_are_read_while_those_before_are_looked_into(make_world, monkeypatch):
    monkeypatch.setattr("mailnode.imap.commands.matching.BATCH", 1)
    world, process = waiting_world(make_world, messages=4)
    client = world.connect(select="INBOX")
    client.send(b"a SEARCH BODY fox\r\n")
    assert len(process.waiting) == 2
    process.go_on()
    assert len(process.waiting) == 2
    for _ in range(3):
        process.go_on()
    assert client.received().startswith(b"* SEARCH 1 2 3 4\r\na OK")


@pytest.mark.parametrize("fails", [2, 3])
def test_what_fails_meanwhile_is_told_once_and_nothing_goes_on(make_world, monkeypatch, fails):
    gc.collect()  # searches that other tests have left
    monkeypatch.setattr("mailnode.imap.commands.matching.BATCH", 1)
    world, process = waiting_world(make_world, messages=6)
    client = world.connect(select="INBOX")
    numbers, read_rows = itertools.count(1), search.read_rows

    async def failing(*args):
        if next(numbers) >= fails:
            raise StoreUnavailable
        return await read_rows(*args)

    monkeypatch.setattr(search, "read_rows", failing)
    failures = []
    globalLogPublisher.addObserver(failures.append)
    try:
        client.send(b"a SEARCH BODY fox\r\n")
        while process.waiting:
            process.go_on()
        assert client.received().startswith(b"a NO ")
        assert next(numbers) <= fails + 2
        del process, client
        gc.collect()
    finally:
        globalLogPublisher.removeObserver(failures.append)
    assert [event for event in failures if "log_failure" in event] == [], "somebody has looked at each"


def test_a_reader_that_stopped_holds_nobody_else_up(make_world, monkeypatch):
    monkeypatch.setattr("mailnode.imap.commands.matching.BATCH", 1)
    world, process = waiting_world(make_world, messages=3)
    stopped = [world.connect(str(number), select="INBOX") for number in range(OF_ACCOUNT)]
    for client in stopped:
        client.send(b"a SEARCH BODY fox\r\n")
        client.pump.pauseProducing()
    for _ in range(2 * OF_ACCOUNT):  # each had begun one more
        process.go_on()
    assert process.waiting == []  # they wait for their readers, without a step

    async def step():
        async with world.services.searches.step():
            return "had"

    had = []
    for _ in range(AT_ONCE + 1):
        Deferred.fromCoroutine(step()).addCallback(had.append)
    assert had == ["had"] * (AT_ONCE + 1)


def test_a_fetch_whose_client_has_gone_ends_at_the_next_range(make_world, monkeypatch):
    monkeypatch.setattr("mailnode.imap.fetching.BATCH", 1)
    world, _ = waiting_world(make_world, messages=6)
    client = world.connect(select="INBOX")
    mailbox = client.session.selected.mailbox
    read, reads = mailbox.rows, []

    class Slow:
        id = mailbox.id

        def __getattr__(self, name):
            return getattr(mailbox, name)

        async def rows(self, uids, columns, keep=False):
            reads.append(Deferred())
            await reads[-1]
            return await read(uids, columns)

    client.session.selected.mailbox = Slow()
    client.send(b"a FETCH 1:6 BODY.PEEK[]\r\n")
    reads[0].callback(None)
    assert len(reads) == 2
    client.lose()
    reads[1].callback(None)
    assert len(reads) == 2


def test_a_tree_may_be_as_wide_and_deep_as_the_grammar_allows(make_world):
    world = make_world()
    world.put(MESSAGE)
    client = world.connect(select="INBOX")
    wide = " ".join(f"NOT BODY n{number}" for number in range(900))
    assert client.ask(f"a SEARCH {wide}")[-2] == "* SEARCH 1"
    deep = "NOT " * 48 + "BODY fox"
    assert client.ask(f"a SEARCH {deep}")[0] == "* SEARCH 1"


def test_an_account_has_some_searches_of_rows_at_work(make_world, request):
    """What waits is shown by what the store is asked."""
    if "fake" not in request.node.name:
        return
    world = make_world()
    world.put(MESSAGE)
    clients = [world.connect(str(number), select="INBOX") for number in range(OF_ACCOUNT + 2)]
    waiting = []
    for client in clients:
        mailbox = client.session.selected.mailbox
        rows = mailbox.rows

        async def slow(*args, rows=rows):
            asked = Deferred()
            waiting.append(asked)
            await asked
            return await rows(*args)

        mailbox.rows = slow
        client.send(b"a SEARCH SUBJECT one\r\n")
    assert len(waiting) == OF_ACCOUNT
    assert len(world.services.searches._accounts) == 1
    while waiting:
        assert len(waiting) <= OF_ACCOUNT
        waiting.pop(0).callback(None)
    assert [client.received() for client in clients] == [b"* SEARCH 1\r\na OK SEARCH completed\r\n"] * len(clients)
    assert not world.services.searches._accounts
