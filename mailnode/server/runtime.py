"""What a process gives its rooms: clock, threads, processes that help it, hints, a resolver, metrics."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass

from mailnode.config.schema import Config
from mailnode.imap.open_views import OpenViews
from mailnode.imap.searches import Searches
from mailnode.interfaces.reactor import IServerReactor
from mailnode.interfaces.runtime import IClock, IHints
from mailnode.message.scanner import read_facts
from mailnode.net.batches import Batches
from mailnode.net.clock import WallClock
from mailnode.net.descriptors import dns_at_once
from mailnode.net.processes import Processes
from mailnode.net.resolver import Resolver
from mailnode.net.threads import Threads
from mailnode.store.blobs import codec
from mailnode.web.metrics import Metrics

SEARCH_NICENESS = 5  # of the process that searches: what is new goes before what is looked for
SEARCH_IDLE = 60.0  # seconds after which it is ended


@dataclass(frozen=True, slots=True)
class Runtime:
    """What the rooms of one process share. ``searching``: one process, behind everything else that wants the machine."""

    reactor: IServerReactor
    clock: IClock
    threads: Threads
    processes: Processes
    searching: Processes
    hints: IHints
    resolver: Resolver
    views: OpenViews
    searches: Searches
    metrics: Metrics
    batches: Batches | None  # None: everything small is scanned in this process

    def stop_helpers(self) -> None:
        """End the processes that help this one. Calls under way fail with Busy."""
        self.processes.stop()
        self.searching.stop()
        if self.batches is not None:
            self.batches.stop()


def make_runtime(config: Config, reactor: IServerReactor, wall: Callable[[], float], hints: IHints) -> Runtime:
    """Return it; threads are not started. :param reactor: its own seconds never step. :param wall: returns UTC seconds."""
    searching = Processes(reactor, nice=SEARCH_NICENESS, idle=SEARCH_IDLE)
    return Runtime(
        reactor,
        WallClock(wall, reactor),
        Threads(reactor),
        Processes(reactor),
        searching,
        hints,
        Resolver(reactor, config.dns.servers, at_once=dns_at_once(), validates=config.dns.validates),
        OpenViews(reactor),
        Searches(searching),
        Metrics(),
        # Small messages are scanned and encoded by another process where there is a core for it.
        Batches(reactor, read_facts, codec.encode) if (os.cpu_count() or 1) > config.server.workers else None,
    )
