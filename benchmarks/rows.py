"""What a row is: a name, a unit, a bar, and a function that measures."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, replace

from benchmarks.lab import Lab
from benchmarks.report import Measurement
from tests.end_to_end.ways import WAYS, Way


@dataclass(frozen=True)
class Row:
    """One row of the table; ``measure`` fills ``ours``, ``theirs`` and ``notes`` of the measurement it is given."""

    name: str
    unit: str
    measure: Callable[[Lab, Measurement], None]
    peer: str = ""
    bar: float | None = None
    ceiling: float | None = None
    slow: bool = False  # left out of a quick run
    large: bool = False  # moves more than a buffer over one connection
    way: Way | None = None  # None: as the row has it by itself

    def run(self, lab: Lab) -> Measurement:
        """Measure."""
        made = Measurement(self.name, self.unit, self.peer, self.bar, self.ceiling)
        lab.way = self.way
        try:
            self.measure(lab, made)
        finally:
            lab.way = None
        return made

    def over(self, names: list[str]) -> list[Row]:
        """Return this row in each of the named ways to connect, where it moves enough for that to matter."""
        if not (self.large and names):
            return [self]
        return [
            replace(self, name=f"{self.name}, over {name}", way=WAYS[name], bar=None, ceiling=None) for name in names
        ]


def in_turn(lab: Lab, made: Measurement, ours: Callable[[], float], theirs: Callable[[], float] | None) -> None:
    """Measure ours, theirs, ours, theirs."""
    for _ in range(lab.rounds):
        made.ours.append(ours())
        if theirs is not None:
            made.theirs.append(theirs())


def seconds(work: Callable[[], object]) -> float:
    """Return how long a call takes."""
    started = time.perf_counter()
    work()
    return time.perf_counter() - started


def best_of(times: int, work: Callable[[], object]) -> float:
    """Return the median seconds of several calls, for what takes little time."""
    return sorted(seconds(work) for _ in range(times))[times // 2]
