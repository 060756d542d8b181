"""The process pool: results, errors, a worker that dies, and the end of the server."""

from __future__ import annotations

import errno
import os
import signal
import subprocess
import sys
import textwrap
from collections.abc import Callable
from typing import Any
from unittest import mock

from twisted.internet import reactor
from twisted.internet.defer import Deferred, DeferredList
from twisted.internet.task import deferLater
from twisted.logger import globalLogPublisher
from twisted.trial.unittest import TestCase
from zope.interface.verify import verifyObject

from mailnode.errors import BadMailboxName, Busy
from mailnode.interfaces.runtime import IProcesses
from mailnode.net import processes
from mailnode.net.pickled import Names, NotAllowed
from mailnode.net.processes import Processes

NAMES = Names("mailnode.errors", "test_net_processes")


class Found:
    """What may be an answer."""


class Hostile:
    """What may be one too, and runs something where it is read."""

    def __reduce__(self) -> Any:
        return os.makedirs, ("hostile",)


async def until(holds: Callable[[], bool]) -> None:
    """Wait for what the reactor does."""
    while not holds():
        await deferLater(reactor, 0.001)  # type: ignore[arg-type]


def refuse() -> None:
    """Fail with an error of ours."""
    raise BadMailboxName("so it says")


class ProcessesTests(TestCase):
    def setUp(self) -> None:
        self.processes = Processes(reactor, NAMES, waiting=2)
        self.addCleanup(self.processes.stop)
        self.events: list[Any] = []
        globalLogPublisher.addObserver(self.events.append)
        self.addCleanup(globalLogPublisher.removeObserver, self.events.append)

    def run_in(self, function: Any, *args: Any) -> Deferred[Any]:
        return Deferred.fromCoroutine(self.processes.run(function, *args))

    def test_results_errors_and_a_dying_worker(self) -> Deferred[Any]:
        verifyObject(IProcesses, self.processes)

        async def check() -> None:
            self.assertNotEqual(await self.run_in(os.getpid), os.getpid())
            with self.assertRaisesRegex(RuntimeError, "^ZeroDivisionError: "):
                await self.run_in(divmod, 1, 0)
            with self.assertRaises(Busy):
                await self.run_in(os._exit, 3)  # dies, and again
            self.assertEqual(await self.run_in(divmod, 7, 2), (3, 1))
            victim = await self.run_in(os.getpid)
            os.kill(victim, signal.SIGKILL)
            self.assertNotEqual(await self.run_in(os.getpid), victim)
            self.processes.stop()
            works = [event["fields"]["work"] for event in self.events if event.get("event") == "helper.ended"]
            self.assertEqual(works, ["_exit", "_exit", "getpid"])

        return Deferred.fromCoroutine(check())

    def test_too_many_are_refused(self) -> Deferred[Any]:
        async def check() -> None:
            calls = [self.run_in(divmod, number, 2) for number in range(5)]
            ended: Any = await DeferredList(calls, consumeErrors=True)
            self.assertEqual([good for good, _ in ended], [True, True, True, False, False])
            self.assertTrue(ended[3][1].check(Busy))

        return Deferred.fromCoroutine(check())

    def test_they_are_nice_and_end_when_nothing_was_asked_for_a_while(self) -> Deferred[Any]:
        processes = Processes(reactor, NAMES, nice=5, idle=0.0)
        self.addCleanup(processes.stop)

        async def check() -> None:
            self.assertEqual(await processes.run(os.nice, 0), os.nice(0) + 5)
            process = processes._link
            await until(lambda: processes._link is None)
            self.assertEqual(await processes.run(divmod, 7, 2), (3, 1))
            self.assertIsNot(processes._link, process)

        return Deferred.fromCoroutine(check())

    def test_one_begins_before_it_is_asked_and_ends_when_it_is_not(self) -> Deferred[Any]:
        processes = Processes(reactor, NAMES, idle=0.0)
        self.addCleanup(processes.stop)
        processes.begin(divmod)
        process = processes._link
        self.assertIsNotNone(process)
        processes.begin(divmod)  # there is one
        self.assertIs(processes._link, process)

        async def check() -> None:
            await until(lambda: processes._link is None)
            processes.begin(divmod)
            self.assertEqual(await processes.run(divmod, 7, 2), (3, 1))
            processes.stop()
            processes.begin(divmod)
            self.assertIsNone(processes._link)

        return Deferred.fromCoroutine(check())

    def test_one_that_dies_takes_what_it_worked_on_alone(self) -> Deferred[Any]:
        async def check() -> None:
            calls = [self.run_in(os._exit, 3), self.run_in(divmod, 7, 2), self.run_in(divmod, 9, 2)]
            ended: Any = await DeferredList(calls, consumeErrors=True)
            self.assertTrue(ended[0][1].check(Busy))
            self.assertEqual(ended[1:], [(True, (3, 1)), (True, (4, 1))])

        return Deferred.fromCoroutine(check())

    def test_an_error_of_ours_travels_as_it_is(self) -> Deferred[Any]:
        return self.assertFailure(self.run_in(refuse), BadMailboxName)

    def test_what_names_something_else_is_not_read_and_ends_its_process(self) -> Deferred[Any]:
        async def check() -> None:
            self.assertIsInstance(await self.run_in(Found), Found)
            victim = await self.run_in(os.getpid)
            with self.assertRaises(Busy):
                await self.run_in(Hostile)
            self.assertEqual(len(self.flushLoggedErrors(NotAllowed)), 2)  # it was tried once more
            self.assertNotIn("hostile", os.listdir())
            self.assertNotEqual(await self.run_in(os.getpid), victim)

        return Deferred.fromCoroutine(check())

    def test_no_process_can_be_started(self) -> Deferred[Any]:
        def none(*args: Any) -> Any:
            raise OSError(errno.EAGAIN, "no more processes")

        async def check() -> None:
            with mock.patch.object(processes, "start_helper", none), self.assertRaises(Busy):
                await self.run_in(os.getpid)
            self.assertEqual(await self.run_in(divmod, 7, 2), (3, 1))

        return Deferred.fromCoroutine(check())

    def test_a_helper_loads_nothing_of_the_server(self) -> Deferred[Any]:
        async def check() -> None:
            loaded = await self.run_in(eval, "sorted(__import__('sys').modules)")
            self.assertIn("mailnode.net.frames", loaded)
            for name in "twisted", "zope", "mailnode.net.processes":
                self.assertNotIn(name, loaded)

        return Deferred.fromCoroutine(check())

    def test_nothing_runs_after_the_end(self) -> Deferred[Any]:
        self.processes.stop()
        return self.assertFailure(self.run_in(os.getpid), Busy)


SERVER = textwrap.dedent("""
    import os, signal, sys
    from twisted.internet import reactor
    from twisted.internet.defer import Deferred
    from mailnode.net.pickled import Names
    from mailnode.net.processes import Processes

    async def main():
        processes = Processes(reactor, Names())
        print(await processes.run(eval, "'twisted' in __import__('sys').modules"))  # as this module would load it
        print(await processes.run(os.getpid), flush=True)
        os.kill(os.getpid(), signal.SIGKILL)

    if __name__ == "__main__":
        reactor.callWhenRunning(lambda: Deferred.fromCoroutine(main()))
        reactor.run()
""")


def test_the_process_ends_with_a_killed_server(tmp_path: Any) -> None:
    script = tmp_path / "server.py"
    script.write_text(SERVER)
    paths = os.pathsep.join(path for path in sys.path if path)
    # The process inherits standard error: that reaches its end only when the process has ended as well.
    done = subprocess.run(
        [sys.executable, script], capture_output=True, env=os.environ | {"PYTHONPATH": paths}, timeout=30, check=False
    )
    assert done.returncode == -signal.SIGKILL, done.stderr
    loaded, pid = done.stdout.split()
    assert loaded == b"False" and int(pid) > 0
