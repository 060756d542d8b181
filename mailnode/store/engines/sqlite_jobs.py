"""Units on their way through the SQLite engine."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Protocol

import apsw
from twisted.internet.defer import Deferred

from mailnode.errors import DiskFull, StoreDamaged, StoreUnavailable
from mailnode.store.engines.engine import Arguments
from mailnode.store.engines.sqlite_files import is_damage


class RunsJobs(Protocol):
    """A tenancy, as a job knows it."""

    def run_batch(self, jobs: Sequence[Job]) -> None:
        """Run writing units in one transaction."""

    def run_read(self, job: Job) -> None:
        """Run a reading unit."""


class Job:
    """One unit with its arguments and, afterwards, its result or error."""

    __slots__ = ("args", "done", "error", "kwargs", "result", "tenancy", "unit")

    def __init__(
        self, unit: Callable[..., object], args: Arguments = (), kwargs: Mapping[str, object] | None = None
    ) -> None:
        self.unit = unit
        self.args = args
        self.kwargs = kwargs or {}
        self.result: object = None
        self.error: Exception | None = None
        self.tenancy: RunsJobs | None = None  # the engine's, as is
        self.done: Deferred[object]  # to fire with the outcome, where somebody waits for it

    def outcome(self) -> object:
        """Return the result or raise the error."""
        if self.error is not None:
            raise self.error
        return self.result


def refuse(jobs: Iterable[Job], error: apsw.Error | None) -> None:
    """Give jobs an error that says that nothing of them was kept. :param error: why."""
    for job in jobs:
        job.result = None
        if isinstance(error, apsw.FullError):
            job.error = DiskFull("the disk is full")
        else:
            job.error = (StoreDamaged if is_damage(error) else StoreUnavailable)("nothing was kept")
        job.error.__cause__ = error
