"""One look for all accounts that idle sessions watch: what it costs, and that nothing it is for gets lost."""

from twisted.internet.defer import Deferred
from twisted.internet.task import Clock

from mailnode.errors import StoreUnavailable
from mailnode.imap.watching import POLL_SECONDS, Watching
from mailnode.net.no_reactor import run_now
from mailnode.values.flags import SEEN


class Store:
    """Accounts are numbers as text, in two partitions."""

    def __init__(self) -> None:
        self.reads: list[list[str]] = []
        self.found: dict[str, int] = {}
        self.broken: set[int] = set()
        self.waiting: Deferred | None = None

    def partition(self, account_id):
        return int(account_id) % 2

    async def modseqs(self, account_ids):
        self.reads.append(list(account_ids))
        if self.partition(account_ids[0]) in self.broken:
            raise StoreUnavailable
        found = {account_id: self.found[account_id] for account_id in account_ids if account_id in self.found}
        if self.waiting is not None:
            await self.waiting
        return found


def watching():
    store, clock = Store(), Clock()
    return store, clock, Watching(clock, store)


def test_five_thousand_watched_accounts_cost_one_read_a_partition_and_interval():
    store, clock, watcher = watching()
    heard = []
    store.found = {str(number): 7 for number in range(5000)}
    for number in range(5000):
        watcher.watch(str(number), lambda modseq, number=number: heard.append((number, modseq)))
    clock.advance(POLL_SECONDS)
    assert [len(asked) for asked in store.reads] == [2500, 2500]
    assert len(heard) == 5000  # each once: what its session saw when it began may be older
    heard.clear()
    store.found["4711"] = 8
    for _ in range(10):
        clock.advance(POLL_SECONDS)
    assert len(store.reads) == 2 * 11
    assert heard == [(4711, 8)]


def test_all_watchers_of_an_account_hear_and_those_that_ended_do_not():
    store, clock, watcher = watching()
    heard: list[str] = []
    store.found = {"1": 7}
    ends = [watcher.watch("1", lambda modseq, name=name: heard.append(name)) for name in "abc"]
    clock.advance(POLL_SECONDS)
    ends[1]()
    ends[1]()
    store.found["1"] = 8
    clock.advance(POLL_SECONDS)
    assert heard == ["a", "b", "c", "a", "c"]
    ends[0]()
    ends[2]()
    assert not clock.getDelayedCalls()
    watcher.watch("1", lambda modseq: heard.append("d"))
    clock.advance(POLL_SECONDS)
    assert heard[5:] == ["d"]


def test_a_partition_that_does_not_answer_keeps_nobody_else_waiting():
    store, clock, watcher = watching()
    heard: list[tuple[str, int]] = []
    store.found = {"1": 7, "2": 7}
    for name in "12":
        watcher.watch(name, lambda modseq, name=name: heard.append((name, modseq)))
    store.broken = {1}
    for _ in range(3):
        clock.advance(POLL_SECONDS)
    assert heard == [("2", 7)]
    store.broken = set()
    clock.advance(POLL_SECONDS)
    assert heard == [("2", 7), ("1", 7)]


def test_who_comes_or_goes_during_a_look():
    store, clock, watcher = watching()
    heard: list[str] = []
    store.found = {"1": 7, "2": 7, "3": 7}
    end = watcher.watch("1", lambda modseq: heard.append("1"))
    watcher.watch("2", lambda modseq: heard.append("2"))
    store.waiting = Deferred()
    clock.advance(POLL_SECONDS)
    end()
    watcher.watch("3", lambda modseq: heard.append("3"))
    clock.advance(POLL_SECONDS * 3)  # the next look waits for the end of this one
    assert len(store.reads) == 2
    waiting, store.waiting = store.waiting, None
    waiting.callback(None)
    assert heard == ["2"]
    clock.advance(POLL_SECONDS)
    assert heard == ["2", "3"]


def test_an_account_that_is_gone_is_told_as_such():
    store, clock, watcher = watching()
    heard: list[int | None] = []
    store.found = {"1": 7}
    watcher.watch("1", heard.append)
    clock.advance(POLL_SECONDS)
    store.found = {}
    clock.advance(POLL_SECONDS)
    assert heard == [7, None]


def test_idle_sessions_read_nothing_while_nothing_happens_and_hear_of_what_no_hint_told(file_world):
    world = file_world
    reads = []
    engine_read = world.engine.read

    async def read(*args):
        reads.append(args)
        return await engine_read(*args)

    world.engine.read = read
    clients = [world.connect(str(number), select="INBOX") for number in range(5)]
    for client in clients:
        client.send(b"a IDLE\r\n")
    world.clock.advance(POLL_SECONDS)
    for client in clients:
        assert client.received() == b"+ idling\r\n"
    reads.clear()
    looks = world.looks
    for _ in range(20):
        world.clock.advance(POLL_SECONDS)
    assert len(reads) == world.looks - looks == 20  # none but the looks
    world.hints.lost = True
    world.put()
    world.clock.advance(POLL_SECONDS)
    for client in clients:
        assert b"* 1 EXISTS" in client.received()
    world.flag(1, "add", SEEN)
    world.clock.advance(POLL_SECONDS)
    for client in clients:
        assert b"* 1 FETCH (FLAGS (\\Seen" in client.received()
        client.send(b"DONE\r\n")
    assert run_now(world.account.modseq()) > 1
    reads.clear()
    world.clock.advance(POLL_SECONDS * 5)
    assert reads == []  # nobody watches
