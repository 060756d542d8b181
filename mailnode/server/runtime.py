"""What a process gives its rooms: clock, threads, processes that help it, hints, a resolver, metrics."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass

from mailnode.config.schema import Config
from mailnode.imap.message_keys import ANSWERS, MessageKeys
from mailnode.imap.open_views import OpenViews
from mailnode.imap.searches import Searches
from mailnode.interfaces.reactor import IServerReactor
from mailnode.interfaces.runtime import IClock, IHints
from mailnode.message.scanner import read_facts
from mailnode.net.batches import Batches
from mailnode.net.clock import WallClock
from mailnode.net.descriptors import dns_at_once
from mailnode.net.pickled import Names
from mailnode.net.processes import Processes
from mailnode.net.resolver import Resolver
from mailnode.net.threads import Threads
from mailnode.server.reading import read
from mailnode.store.blobs import codec
from mailnode.web.metrics import Metrics

SEARCH_NICENESS = 5  # of the process that searches: what is new goes before what is looked for
INDEX_NICENESS = 5  # of the process that indexes
# Messages that the process which reads is given at a time: its work and what follows from it take about as long, and while it
# had many, nothing was left to do here; then nothing there.
READ_AT_ONCE = 4
SEARCH_IDLE = 60.0  # seconds after which either is ended
# What the processes that help may answer with: what they find in messages, what they search with, errors.
ANSWERED = Names(
    "mailnode.values.",
    "mailnode.message.",
    "mailnode.imap.messages.",
    "mailnode.sieve.",
    "mailnode.store.search.",
    "mailnode.errors",
)


@dataclass(frozen=True, slots=True)
class Runtime:
    """What the rooms of one process share. ``searching``: one process, behind everything else that wants the
    machine; ``indexing``: another."""

    reactor: IServerReactor
    clock: IClock
    threads: Threads
    processes: Processes
    searching: Processes
    indexing: Processes
    hints: IHints
    resolver: Resolver
    views: OpenViews
    searches: Searches
    keys: MessageKeys
    answers: MessageKeys
    metrics: Metrics
    batches: Batches | None  # None: everything small is scanned in this process
    reader: Batches | None  # None: and each is read by whoever asks about it

    def forget_mail(self) -> None:
        """Forget what was found out of messages: what is known of them may be otherwise now."""
        self.keys.clear()
        self.answers.clear()

    def stop_helpers(self) -> None:
        """End the processes that help this one. Calls under way fail with Busy."""
        self.processes.stop()
        self.searching.stop()
        self.indexing.stop()
        for batches in (self.batches, self.reader):
            if batches is not None:
                batches.stop()


def make_runtime(config: Config, reactor: IServerReactor, wall: Callable[[], float], hints: IHints) -> Runtime:
    """Return it; threads are not started. :param reactor: its own seconds never step. :param wall: returns UTC seconds."""
    searching = Processes(reactor, ANSWERED, nice=SEARCH_NICENESS, idle=SEARCH_IDLE)
    return Runtime(
        reactor,
        WallClock(wall, reactor),
        Threads(reactor),
        Processes(reactor, ANSWERED),
        searching,
        Processes(reactor, ANSWERED, nice=INDEX_NICENESS, idle=SEARCH_IDLE),
        hints,
        Resolver(reactor, config.dns.servers, at_once=dns_at_once(), validates=config.dns.validates),
        OpenViews(reactor),
        Searches(searching),
        MessageKeys(),
        MessageKeys(ANSWERS),
        Metrics(),
        *_helpers(config, reactor),
    )


def _helpers(config: Config, reactor: IServerReactor) -> tuple[Batches | None, Batches | None]:
    """Return what scans and encodes small messages, and what reads all that is asked of those that are judged, where there is a
    core for other processes."""
    if (os.cpu_count() or 1) > config.server.workers:
        return Batches(reactor, ANSWERED, read_facts, codec.encode), Batches(reactor, ANSWERED, read, most=READ_AT_ONCE)
    return None, None
