"""What a server runs, by name and in order: the same list, whether there are further processes or not."""

import time
from pathlib import Path

import pytest
from twisted.internet.testing import MemoryReactorClock

from mailnode.config.loader import read
from mailnode.net.client_counts import ClientCountsMemory
from mailnode.server.app import Server
from mailnode.server.config_source import ChosenConfig, ConfigSource
from mailnode.server.processes.handover import Clients, Handover, LogPlace, Served
from mailnode.server.processes.link import ProcessLink
from mailnode.server.processes.worker import WorkerServer
from mailnode.server.services import EndedAtOnce, ProcessService, Services

FIRST_PROCESS = [
    "certificates",
    "ports",
    "event counts",
    "threads",
    "store",
    "helper processes",
    "scratch files",
    "rooms",
    "keys",
    "versions of the configuration",
    "control socket",
    "outgoing connections",
    "look at DNS",
    "looks at keys",
    "watch of certificates",
    "signals",
    "queue",
    "sweeper",
    "learner",
    "indexer",
    "daily reports",
    "daily look",
    "further processes",
    "sessions",
    "listeners",
]
FURTHER_PROCESS = [
    "event counts",
    "threads",
    "store",
    "helper processes",
    "ports",
    "rooms",
    "news of the first process",
    "sessions",
    "listeners",
]


class Reactor(MemoryReactorClock):
    """One that has nothing to call, for nothing is started."""

    def callFromThread(self, function, *args):
        raise AssertionError(function)


def config(data, workers):
    listeners = [{"protocol": "pop3", "endpoint": "tcp:110"}, {"protocol": "http", "endpoint": "tcp:80"}]
    return read(
        {"server": {"hostname": "mx.a.test", "data": data, "workers": workers}, "listener": listeners}, Path("/")
    )


@pytest.mark.parametrize("workers", [1, 2])
def test_the_first_process_is_one_list_however_many_there_are(tmp_path, workers):
    given, reactor = config(tmp_path, workers), Reactor()
    signals = ProcessService("signals", reactor, within=lambda: 0.0)
    server = Server(
        ChosenConfig(b"", given), reactor, time.time, ConfigSource(None, None), LogPlace("lines", 1), [signals]
    )
    assert server.services.names == FIRST_PROCESS


def test_a_further_process_is_made_of_the_same_parts(tmp_path):
    given = config(tmp_path, 2)
    memory = ClientCountsMemory.make(2, 2)
    clients = Clients(memory.descriptor, memory.key, 2, 2)
    handover = Handover(2, Served(1, given, ()), (), clients, LogPlace("lines", 1))
    server = WorkerServer(handover, ProcessLink({}, lambda: None), None)
    assert server.services.names == FURTHER_PROCESS
    assert set(FURTHER_PROCESS) - set(FIRST_PROCESS) == {"news of the first process"}
    memory.close()


def flat(services):
    """Return the services of a list and of the lists in it."""
    found = []
    for one in services._waiting:
        found += flat(one) if isinstance(one, Services) else [one]
    return found


def test_only_what_waits_for_the_grace_time_ends_together(tmp_path):
    given, reactor = config(tmp_path, 1), Reactor()
    server = Server(ChosenConfig(b"", given), reactor, time.time, ConfigSource(None, None), LogPlace("lines", 1))
    groups = [one for one in server.services._waiting if isinstance(one, EndedAtOnce)]
    assert [group.names for group in groups] == [
        ["queue", "sweeper", "learner", "indexer", "daily reports", "daily look", "further processes", "sessions"]
    ]
    grace = given.server.grace
    waits = {one.names[0] for one in flat(server.services) if one._within() > grace}
    assert waits == set(groups[0].names), "or the grace time would pass more than once"
