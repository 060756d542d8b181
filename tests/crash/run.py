"""A server that is killed again and again while clients are at work, and looked through after each start."""

from __future__ import annotations

import itertools
import random
import threading
import time
from collections.abc import Iterable
from pathlib import Path

from tests.crash.actors import ACTORS, FETCHER, GONE, MAILBOXES, READERS
from tests.crash.expected import Expected, Fault, There
from tests.crash.journal import Journal
from tests.crash.postgres import Postgres
from tests.crash.server import LEASE, Look, Lost, Node, Sink
from tests.end_to_end.servers import wait_for
from tests.processes import PATIENCE
from tests.stress.client import Client

_MOST_ACKNOWLEDGED = 40  # between a start and a kill
_AT_WORK = 20.0  # seconds until a kill at the latest
_EARLY = 0.1  # how many starts are killed before they serve


class Run:
    """One of them."""

    def __init__(
        self,
        folder: Path,
        *,
        seed: int,
        workers: int = 1,
        database: Postgres | None = None,
        kill_database: bool = False,
    ) -> None:
        """:param database: what has the store, instead of SQLite. :param kill_database: it is killed and started again, too, each
        time before the server is."""
        folder.mkdir(parents=True, exist_ok=True)
        self.sink = Sink()
        self.journal = Journal(folder)
        self.node = Node(folder / "node", workers=workers, sink=self.sink, store=database.settings if database else "")
        self._database = database if kill_database else None
        self.database_kills = 0
        self.expected = Expected()
        self.kills = 0
        self.look = Look(self.node)
        self._seed = seed
        self._chance = random.Random(seed)
        self._began: list[float] = []  # when the server was started, by the wall clock

    @property
    def acknowledged(self) -> int:
        """How much was."""
        return self.journal.acknowledged

    def prepare(self) -> None:
        """Start for the first time, with accounts and mailboxes."""
        self.node.start()
        self._began.append(time.time())
        for account in (*READERS, FETCHER):
            self.node.add_account(account)
        for account in READERS:
            client = Client(self.node, account)
            for mailbox in MAILBOXES[1:]:
                list(client.responses(client.send(b"CREATE " + mailbox.encode())))
            client.close()

    def run(self, kills: int) -> None:
        """Kill it so often. :raises Lost: something acknowledged does not hold."""
        self.prepare()
        for _ in range(kills):
            self.work()
            self.restart()
            self.check()
        self.finish()

    def work(self) -> None:
        """Let the clients work, and kill the server meanwhile."""
        killed = threading.Event()
        actors = [
            kind(self.node, self.journal, self.expected, self.kills, f"{self._seed} {self.kills}", killed.is_set)
            for kind in ACTORS
        ]
        for actor in actors:
            actor.start()
        self.journal.wait(self.acknowledged + self._chance.randint(1, _MOST_ACKNOWLEDGED), _AT_WORK)
        time.sleep(self._chance.uniform(0, 0.03))  # into the midst of what follows
        killed.set()
        if self._database is not None:
            self._kill_database(self._database)
        self._kill()
        for actor in actors:
            actor.join(PATIENCE)
            if actor.is_alive() or actor.trouble is not None:
                raise Lost(f"{actor.name}: {actor.trouble or 'does not end'}") from actor.trouble

    def _kill_database(self, database: Postgres) -> None:
        """Kill it and start it again, and see that the server, which lives on, serves by itself."""
        database.kill(self._chance)
        self.database_kills += 1
        database.launch()
        self._began.append(time.time())
        wait_for(self._is_served, "service")

    def _is_served(self) -> bool:
        try:
            self.look.mailboxes()
        except (GONE, Lost):
            return False
        return True

    def _kill(self) -> None:
        self.node.kill()
        self.sink.drain()
        self.kills += 1
        self.node.clock.set(self.kills * LEASE)  # what the killed one had in its hands is due

    def restart(self) -> None:
        """Start it again; now and then it is killed once more meanwhile."""
        if self._chance.random() < _EARLY:
            self._began.append(time.time())
            self.node.begin()
            time.sleep(self._chance.uniform(0, 1))
            self._kill()
        self._began.append(time.time())
        self.node.start()

    def check(self, *, everything: bool = False) -> None:
        """Compare the mailboxes with what was acknowledged."""
        self.journal.feed(self.expected)
        found = self.look.mailboxes(everything=everything)
        deadline = time.monotonic() + PATIENCE
        while (faults := self.expected.faults(found)) and all(fault.passing for fault in faults):
            if time.monotonic() > deadline:
                break
            time.sleep(0.05)  # what waits in the queue is being delivered
            found = self.look.mailboxes()
        self._raise(faults)
        self.expected.settle(found)

    def finish(self) -> None:
        """Wait until nothing is on its way, and look at everything once more."""
        wait_for(lambda: self.node.queued() == 0, "an empty queue")
        self.check(everything=True)
        self._raise(self._relayed())
        done = self.node.ctl("store", "verify", check=False)
        if done.returncode or self.node.complaints():
            raise Lost(f"{done.stdout}{done.stderr}" + "\n".join(self.node.complaints()))
        if ended := self.node.stop():
            raise Lost(f"the server ended with {ended}")

    def _relayed(self) -> Iterable[Fault]:
        """What went on to others: nothing is lost, and a second time only where a kill came between 250 and its settlement."""
        names = {name for _, name in self.sink.taken}
        for name, there in self.expected.far.items():
            if there is There.YES and name not in names:
                yield Fault(f"{name} was acknowledged and never went on")
        yield from (Fault(f"{name} went on and was never sent") for name in names - set(self.expected.far))
        yield from (Fault(f"{name} went on and is not whole") for name in self.sink.broken)
        for name in self.sink.twice():
            times = sorted(at for at, taken in self.sink.taken if taken == name)
            for first, second in itertools.pairwise(times):
                if not any(first < began < second for began in self._began):
                    yield Fault(f"{name} went on twice with no kill between")

    @staticmethod
    def _raise(faults: Iterable[Fault]) -> None:
        if faults := list(faults):
            raise Lost("\n".join(map(str, faults[:20])))

    def close(self) -> None:
        """End everything."""
        self.node.close()
        self.journal.close()
        self.sink.stop()
