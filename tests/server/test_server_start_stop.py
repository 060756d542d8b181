"""A whole server in the test's process: what starts is stopped, and a start that fails leaves nothing behind.

Trial fails a test that leaves a socket or a timer in the reactor.
"""

import socket
import time
from inspect import isawaitable
from pathlib import Path

from twisted.internet import reactor
from twisted.trial.unittest import TestCase

from mailnode.config.loader import read
from mailnode.errors import ConfigurationError
from mailnode.server.app import Server
from mailnode.server.config_source import ChosenConfig
from mailnode.server.processes.handover import LogPlace
from mailnode.server.services import ProcessService
from mailnode.server.stores import WorkerStores
from tests.free_ports import free_port


class Given:
    """A configuration that comes from no file, and stays as it is."""

    file = None

    def __init__(self, config):
        self.config = config

    def choose(self, now):
        return ChosenConfig(b"", self.config)


class StartAndStopTests(TestCase):
    def setUp(self):
        self.data, self.port = Path(self.mktemp()).absolute(), free_port()

    def server(self, workers, start=lambda: None):
        settings = {
            "server": {"hostname": "mx.a.test", "data": self.data, "workers": workers, "grace": 5.0},
            "domain": [{"name": "a.test"}],
            "listener": [{"protocol": "smtp", "endpoint": f"tcp:{self.port}:interface=127.0.0.1"}],
        }
        config = read(settings, Path("/"))
        own = ProcessService("own", reactor, start=start, within=lambda: 0.0)
        return Server(ChosenConfig(b"", config), reactor, time.time, Given(config), LogPlace("lines", 1), [own])

    async def come_and_go(self, workers):
        server = self.server(workers)
        await server.bind()
        await server.start()
        assert [one["process"] for one in (await server.status())["processes"]] == list(range(1, workers + 1))
        changes = await server.reload()
        assert (changes["applied"], changes["needs_restart"], changes["mistakes"]) == ([], [], [])
        assert await server.stop("test")

    async def test_one_process(self):
        await self.come_and_go(1)
        await self.come_and_go(1)  # the lock, the port and the control socket were given back

    async def test_two_processes(self):
        await self.come_and_go(2)
        await self.come_and_go(2)

    async def test_what_a_further_process_changes_the_first_knows_at_once(self):
        server = self.server(2)
        await server.bind()
        await server.start()
        further, runtime = server._further, server._process.runtime
        handlers = further._handlers(further._workers._workers[2])

        async def ask(name, *args):
            answer = handlers[name](*args)
            return await answer if isawaitable(answer) else answer

        stores = WorkerStores(server.config, runtime.clock, runtime.threads, runtime.hints, reactor.callFromThread, ask)
        await stores.start()
        directory = server.administration.directory
        assert not await directory.is_local("new.test")  # which is remembered
        await stores.directory.add_domain("new.test")
        assert await directory.is_local("new.test")
        await stores.stop()
        assert await server.stop("test")

    async def test_a_start_that_fails_gives_back_what_was_taken(self):
        def fail():
            raise ConfigurationError(["enough"])

        for workers in (1, 2):
            server = self.server(workers, fail)
            await server.bind()
            with self.assertRaises(ConfigurationError):
                await server.start()
            with socket.create_server(("127.0.0.1", self.port)):
                pass
        await self.come_and_go(1)
