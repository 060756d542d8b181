"""Batches: results in order, errors of one call alone, a process that dies, rests or is not wanted any more."""

from __future__ import annotations

import errno
import os
import pickle
import signal
import socket
import subprocess
import sys
import textwrap
import threading
from typing import Any
from unittest import mock

from twisted.internet import reactor
from twisted.internet.defer import Deferred, DeferredList
from twisted.logger import globalLogPublisher
from twisted.trial.unittest import TestCase
from zope.interface.verify import verifyObject

from mailnode.errors import Busy
from mailnode.interfaces.runtime import IBatches
from mailnode.net import batches
from mailnode.net.batch_process import serve
from mailnode.net.batches import Batches
from mailnode.net.frames import FrameReader, frame
from mailnode.net.helper_link import HelperLink
from mailnode.net.pickled import Names

NAMES = Names()


def where(argument: bytes) -> tuple[bytes, int]:
    """What the process runs: a value, an error, its own death, or that it stands still."""
    if argument == b"die":
        os.kill(os.getpid(), signal.SIGKILL)
    if argument == b"stop":
        os.kill(os.getpid(), signal.SIGSTOP)
    if argument == b"fail":
        raise ValueError("so it says")
    return argument, os.getpid()


def together(*arguments: object) -> tuple[object, ...]:
    """What the process was given."""
    return arguments


class BatchesTests(TestCase):
    def setUp(self) -> None:
        self.batches = Batches(reactor, NAMES, where)
        self.addCleanup(self.batches.stop)

    def ask(self, argument: bytes) -> Deferred[Any]:
        async def ask() -> Any:
            return (await self.batches.run(argument))[0]

        return Deferred.fromCoroutine(ask())

    def test_results_in_order_and_errors_of_one_call_alone(self) -> Deferred[Any]:
        verifyObject(IBatches, self.batches)

        async def check() -> None:
            asked = [b"%d" % number for number in range(200)] + [b"fail", b"x" * 100_000]
            ended: Any = await DeferredList([self.ask(one) for one in asked], consumeErrors=True)
            good, failed = [value for fine, value in ended if fine], [value for fine, value in ended if not fine]
            self.assertEqual([value[0] for value in good], [one for one in asked if one != b"fail"])
            self.assertEqual(len({pid for _, pid in good} - {os.getpid()}), 1)
            self.assertEqual([failure.check(Busy) for failure in failed], [Busy])
            said = [event["error"] for event in events if "error" in event]
            self.assertEqual(said, ["ValueError: so it says"])

        events: list[Any] = []
        globalLogPublisher.addObserver(events.append)
        self.addCleanup(globalLogPublisher.removeObserver, events.append)
        return Deferred.fromCoroutine(check())

    def test_a_process_that_dies_is_replaced(self) -> Deferred[Any]:
        async def check() -> None:
            victim = (await self.ask(b"a"))[1]
            ended: Any = await DeferredList([self.ask(b"die"), self.ask(b"b"), self.ask(b"c")], consumeErrors=True)
            self.assertEqual([failure.check(Busy) for _, failure in ended], [Busy] * 3)
            self.assertNotEqual((await self.ask(b"d"))[1], victim)
            self.batches.stop()
            works = [event["fields"]["work"] for event in events if event.get("event") == "helper.ended"]
            self.assertEqual(works, [f"{where.__module__}:where"])

        events: list[Any] = []
        globalLogPublisher.addObserver(events.append)
        self.addCleanup(globalLogPublisher.removeObserver, events.append)
        return Deferred.fromCoroutine(check())

    def test_a_process_that_stands_still_is_ended_and_replaced(self) -> Deferred[Any]:
        async def check() -> None:
            victim = (await self.ask(b"a"))[1]
            with mock.patch.object(batches, "ANSWER_SECONDS", 0.05):
                asked = [self.ask(one) for one in (b"stop", b"b", b"c")]
                ended: Any = await DeferredList(asked, consumeErrors=True).addTimeout(30.0, reactor)
            self.assertEqual([failure.check(Busy) for _, failure in ended], [Busy] * 3)
            self.assertNotEqual((await self.ask(b"d"))[1], victim)
            self.assertEqual(
                [event.get("event") for event in events if "work" in event.get("fields", {})], ["helper.ended"]
            )

        events: list[Any] = []
        globalLogPublisher.addObserver(events.append)
        self.addCleanup(globalLogPublisher.removeObserver, events.append)
        return Deferred.fromCoroutine(check())

    def test_further_arguments(self) -> Deferred[Any]:
        async def check() -> None:
            made = Batches(reactor, NAMES, together)
            self.addCleanup(made.stop)
            self.assertEqual(await made.run(b"a", 1, {"b": None}), ((b"a", 1, {"b": None}),))

        return Deferred.fromCoroutine(check())

    def test_no_more_at_a_time_than_wanted(self) -> Deferred[Any]:
        sent: list[int] = []
        send = HelperLink.send

        def counted(link: Any, octets: bytes) -> None:
            sent.append(len(pickle.loads(FrameReader().receive(octets)[0])))
            send(link, octets)

        async def check() -> None:
            self.patch(HelperLink, "send", counted)
            made = Batches(reactor, NAMES, together, most=2)
            self.addCleanup(made.stop)
            asked = [Deferred.fromCoroutine(made.run(b"%d" % number)) for number in range(6)]
            found: Any = [(await one)[0][0] for one in asked]
            self.assertEqual(found, [b"%d" % number for number in range(6)])
            self.assertEqual(sent, [1, 1, 2, 2])  # the first two go at once: nothing waits yet

        return Deferred.fromCoroutine(check())

    def test_too_many_are_refused(self) -> Deferred[Any]:
        self.patch(batches, "WAITING", 2)

        async def check() -> None:
            ended: Any = await DeferredList([self.ask(b"%d" % number) for number in range(6)], consumeErrors=True)
            self.assertEqual([good for good, _ in ended], [True] * 4 + [False] * 2)
            self.assertTrue(ended[-1][1].check(Busy))

        return Deferred.fromCoroutine(check())

    def test_a_process_that_cannot_be_started(self) -> Deferred[Any]:
        def full(*args: Any) -> None:
            raise OSError(errno.EMFILE, "no more descriptors")

        async def check() -> None:
            start = batches.start_helper
            self.patch(batches, "start_helper", full)
            with self.assertRaises(Busy):
                await self.ask(b"a")
            self.patch(batches, "start_helper", start)
            self.assertEqual((await self.ask(b"b"))[0], b"b")

        return Deferred.fromCoroutine(check())

    def test_it_ends_when_it_has_rested_and_begins_again(self) -> Deferred[Any]:
        self.patch(batches, "IDLE_SECONDS", 0.01)

        async def check() -> None:
            first = (await self.ask(b"a"))[1]
            while self.batches._link is not None:  # the reactor turns until it has rested
                turn: Deferred[None] = Deferred()
                reactor.callLater(0.01, turn.callback, None)  # type: ignore[attr-defined]
                await turn
            self.assertNotEqual((await self.ask(b"b"))[1], first)

        return Deferred.fromCoroutine(check())

    def test_nothing_runs_after_the_end(self) -> Deferred[Any]:
        async def check() -> None:
            asked = self.ask(b"a")
            self.batches.stop()
            for one in (asked, self.ask(b"b")):
                with self.assertRaises(Busy):
                    await one

        return Deferred.fromCoroutine(check())


def test_the_process_takes_batches_cut_anywhere_and_ends_with_the_connection() -> None:
    ours, its = socket.socketpair()
    served = threading.Thread(target=serve, args=(its, where))
    served.start()
    reader = FrameReader()
    for arguments in ([(b"a",), (b"fail",)], [], [(b"b",)]):
        for octet in frame(pickle.dumps(arguments)):
            ours.send(bytes([octet]))
        payloads: list[bytes] = []
        while not payloads:
            payloads = reader.receive(ours.recv(65536))
        assert [good for good, _ in pickle.loads(payloads[0])] == [argument != (b"fail",) for argument in arguments]
    ours.close()
    served.join(30)
    assert not served.is_alive()
    its.close()


SERVER = textwrap.dedent("""
    import os, signal
    from twisted.internet import reactor
    from twisted.internet.defer import Deferred
    from mailnode.message.scanner import read_facts
    from mailnode.net.batches import Batches
    from mailnode.net.pickled import Names

    async def main():
        facts, length = await Batches(reactor, Names("mailnode.values."), read_facts, len).run(b"Subject: x\\r\\n\\r\\n")
        print(facts.size, length, flush=True)
        os.kill(os.getpid(), signal.SIGKILL)

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
    assert done.stdout == b"14 14\n"
