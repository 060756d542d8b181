"""A PostgreSQL server that is killed and started again."""

from __future__ import annotations

import random
import signal
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from tests.crash.server import descendants, end_one, runs
from tests.end_to_end.servers import STRICT, wait_for
from tests.store.postgres_cluster import Cluster, binaries


class Postgres(Cluster):
    """One that knows what is to be said of it in mailnode's configuration."""

    @property
    def settings(self) -> str:
        """Return the section of the configuration."""
        return f'[store]\nurl = "postgresql://tests@/postgres?host={self.directory}"\n'

    def kill(self, chance: random.Random) -> None:
        """End it without a checkpoint, and wait: SIGKILL to the first process, without which the others end, or to all of them, or
        an immediate shutdown."""
        first = int((self._data / "postmaster.pid").read_text().split()[0])
        others = descendants(first)
        number, pids = chance.choice(
            [(signal.SIGKILL, [first]), (signal.SIGKILL, [first, *others]), (signal.SIGQUIT, [first])]
        )
        for pid in pids:
            end_one(pid, number)
        wait_for(lambda: not any(map(runs, [first, *others])), "the end of PostgreSQL")
        for path in (self._data / "postmaster.pid", *self.directory.glob(".s.PGSQL.*.lock")):
            path.unlink(missing_ok=True)  # the number in it may be that of a zombie


@contextmanager
def postgres() -> Iterator[Postgres]:
    """Yield a server, which is stopped at the end."""
    programs = binaries()
    if programs is None:
        (pytest.fail if STRICT else pytest.skip)("no PostgreSQL server is installed (initdb)")
    server = Postgres(programs)
    server.start()
    try:
        yield server
    finally:
        server.stop()
