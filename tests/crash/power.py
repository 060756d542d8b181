"""The power goes: what a server had written until some moment is left as a disk may leave it, and a server is started on that."""

from __future__ import annotations

import json
import random
import shutil
import signal
import threading
import time
from bisect import bisect_right
from collections.abc import Callable
from pathlib import Path

from tests.crash.actors import ACTORS
from tests.crash.disk import Disk
from tests.crash.expected import Expected, Fault, There
from tests.crash.run import Run
from tests.crash.server import LEASE, Look, Lost, descendants, end_one
from tests.crash.trace import Event, command, events
from tests.end_to_end.servers import Process, program, wait_for
from tests.processes import PATIENCE

_MOST_SECONDS = 120.0  # of recording


class PowerCuts:
    """One recording of a server at work, and any number of cuts."""

    def __init__(self, folder: Path, *, seed: int, workers: int = 1) -> None:
        self.run = Run(folder, seed=seed, workers=workers)
        self._base = folder / "base"
        self._trace = folder / "trace"
        self._seed = seed
        self._chance = random.Random(seed)
        self._events: list[Event] = []
        self.cuts = 0

    def record(self, acknowledged: int) -> None:
        """Have clients work until so much was acknowledged, and keep what was done to files meanwhile."""
        program("strace")
        run, node = self.run, self.run.node
        run.prepare()
        node.stop()
        shutil.copytree(node.data, self._base)
        node.clock.set(LEASE)
        server = Process(
            command(self._trace, node.twistd("--config", str(node.config))), cwd=node.folder, env=node.environment
        )
        try:
            server.wait_ready("server.start")
            over = threading.Event()
            actors = [kind(node, run.journal, run.expected, 0, str(self._seed), over.is_set) for kind in ACTORS]
            for actor in actors:
                actor.start()
            run.journal.wait(acknowledged, _MOST_SECONDS)
            over.set()
        finally:
            for pid in descendants(server.popen.pid):
                end_one(pid, signal.SIGKILL)
            server.popen.wait(PATIENCE)
        for actor in actors:
            actor.join(PATIENCE)
            if actor.trouble is not None:
                raise Lost(f"{actor.name}: {actor.trouble}") from actor.trouble
        self._events = events(self._trace, node.data)

    @property
    def events(self) -> int:
        """How many changes and syncs were recorded."""
        return len(self._events)

    def cut(self, count: int) -> None:
        """Cut so often, at random moments. :raises Lost: what was acknowledged does not hold."""
        self.cut_at(sorted(self._moment() for _ in range(count)))

    def cut_at(self, moments: list[int], forget: Callable[[Event], bool] = lambda _: False, left: str = "") -> None:
        """Cut after so many events each. :param forget: syncs that the server is to have left out.
        :param left: what is left of what was not synced, see :meth:`Disk.write`. :raises Lost: see above."""
        disk = Disk(self._base, self.run.node.data)
        reached = 0
        for moment in moments:
            for event in self._events[reached:moment]:
                if event.kind != "sync" or not forget(event):
                    disk.apply(event)
            reached = moment
            shutil.rmtree(self.run.node.data)
            disk.write(self.run.node.data, self._chance, left)
            try:
                self._look_at(self._events[moment - 1].at)
            except (Lost, AssertionError) as error:
                raise Lost(f"cut after event {moment} of {self.events}: {error}") from None
            self.cuts += 1

    def _moment(self) -> int:
        """Return how many events were before a cut: any number, or those before something was acknowledged."""
        if self._chance.random() < 0.5:
            return self._chance.randint(1, len(self._events))
        at = self._chance.choice([entry["at"] for entry in self._entries() if entry["phase"] == "done"])
        return max(1, bisect_right([event.at for event in self._events], at))

    def _entries(self) -> list[dict]:
        return [json.loads(line) for line in self.run.journal.path.read_text().splitlines()]

    def _look_at(self, at: float) -> None:
        """Start a server on what is left, and compare with what was acknowledged before a time."""
        node = self.run.node
        expected = Expected()
        expected.take(entry for entry in self._entries() if entry["at"] <= at)
        node.clock.set(2 * LEASE)
        began = time.time()
        node.start()
        try:
            look = Look(node)
            wait_for(lambda: node.queued() == 0, "an empty queue")
            self._check(expected, look)
            names = {name for when, name in self.run.sink.taken if when <= at or when >= began}
            lost = [name for name, there in expected.far.items() if there is There.YES and name not in names]
            if lost or self.run.sink.broken:
                raise Lost(f"never went on: {lost}, not whole: {self.run.sink.broken}")
        finally:
            node.kill()

    @staticmethod
    def _check(expected: Expected, look: Look) -> None:
        faults: list[Fault] = expected.faults(look.mailboxes(everything=True))
        if faults:
            raise Lost("\n".join(map(str, faults[:20])))

    def close(self) -> None:
        """End everything."""
        self.run.close()
