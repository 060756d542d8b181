"""The process pool: results, errors, a worker that dies, and the end of the server."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import textwrap
from typing import Any

from twisted.internet import reactor
from twisted.internet.defer import Deferred, DeferredList
from twisted.logger import globalLogPublisher
from twisted.trial.unittest import TestCase
from zope.interface.verify import verifyObject

from mailnode.errors import Busy
from mailnode.interfaces.runtime import IProcesses
from mailnode.net.processes import Processes


class ProcessesTests(TestCase):
    def setUp(self) -> None:
        self.processes = Processes(reactor, workers=1, waiting=2)
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
            with self.assertRaises(ZeroDivisionError):
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
        processes = Processes(reactor, nice=5, idle=0.0)
        self.addCleanup(processes.stop)

        async def check() -> None:
            self.assertEqual(await processes.run(os.nice, 0), os.nice(0) + 5)
            process = next(iter(processes._pool._processes.values()))  # type: ignore[union-attr]
            ended: Deferred[None] = Deferred()
            reactor.callInThread(  # type: ignore[attr-defined]
                lambda: (process.join(), reactor.callFromThread(ended.callback, None))  # type: ignore[attr-defined]
            )
            await ended
            self.assertEqual(await processes.run(divmod, 7, 2), (3, 1))

        return Deferred.fromCoroutine(check())

    def test_one_begins_before_it_is_asked_and_ends_when_it_is_not(self) -> Deferred[Any]:
        processes = Processes(reactor, idle=0.0)
        self.addCleanup(processes.stop)
        processes.begin(divmod)
        process = next(iter(processes._pool._processes.values()))  # type: ignore[union-attr]
        processes.begin(divmod)  # there is one
        self.assertEqual(list(processes._pool._processes.values()), [process])  # type: ignore[union-attr]

        async def check() -> None:
            ended: Deferred[None] = Deferred()
            reactor.callInThread(  # type: ignore[attr-defined]
                lambda: (process.join(), reactor.callFromThread(ended.callback, None))  # type: ignore[attr-defined]
            )
            await ended
            processes.begin(divmod)
            self.assertEqual(await processes.run(divmod, 7, 2), (3, 1))
            processes.stop()
            processes.begin(divmod)
            self.assertIsNone(processes._pool)

        return Deferred.fromCoroutine(check())

    def test_a_helper_loads_nothing_of_the_server(self) -> Deferred[Any]:
        async def check() -> None:
            loaded = await self.run_in(eval, "sorted(__import__('sys').modules)")
            self.assertIn("mailnode.net.helper_process", loaded)
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
    from mailnode.net.processes import Processes

    async def main():
        processes = Processes(reactor)
        print(await processes.run(eval, "'twisted' in __import__('sys').modules"))  # as this module would load it
        print(await processes.run(os.getpid), flush=True)
        os.kill(os.getpid(), signal.SIGKILL)

    if __name__ == "__main__":
        reactor.callWhenRunning(lambda: Deferred.fromCoroutine(main()))
        reactor.run()
""")


def test_workers_end_with_a_killed_server(tmp_path: Any) -> None:
    script = tmp_path / "server.py"
    script.write_text(SERVER)
    paths = os.pathsep.join(path for path in sys.path if path)
    # The worker inherits standard output: it reaches its end only when the worker has ended as well.
    done = subprocess.run(
        [sys.executable, script],
        stdout=subprocess.PIPE,
        env=os.environ | {"PYTHONPATH": paths},
        timeout=30,
        check=False,
    )
    assert done.returncode == -signal.SIGKILL
    loaded, pid = done.stdout.split()
    assert loaded == b"False" and int(pid) > 0
