"""The runner on the real queue store: a dead destination with ten thousand recipients, a crash, a local copy."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Any

from memory_queue import Bouncer, Metrics, queued, report
from twisted.internet import reactor
from twisted.internet.defer import Deferred
from twisted.trial.unittest import TestCase
from zope.interface import implementer

from mailnode.interfaces.queue import IDeliveryAgent
from mailnode.net.hints import LocalHints
from mailnode.net.threads import Threads
from mailnode.queue.runner import QueueRunner, RunnerSettings
from mailnode.store.blobs.local import LocalBlobs
from mailnode.store.engines.sqlite import SqliteEngine
from mailnode.store.facades.queue import Queue
from mailnode.values.attempt import DEFERRED, SENT, AttemptReport
from mailnode.values.blob import StagedBlob
from mailnode.values.queue import Claim, NewEnvelope


@implementer(IDeliveryAgent)
class Agent:
    """``live`` takes mail at once, ``refused`` fails at once, ``silent`` never answers; tells of every try."""

    def __init__(self) -> None:
        self.tries: dict[str, int] = {}
        self.sent: Deferred[float] = Deferred()

    async def attempt(self, claim: Claim) -> AttemptReport:
        name = claim.envelope.recipients[0].destination.split(".")[0]
        self.tries[name] = self.tries.get(name, 0) + 1
        if name == "live":
            self.sent.callback(reactor.seconds())
            return report(claim, SENT, "2.0.0", "ok")
        if name == "silent":
            await Deferred()
        return report(claim, DEFERRED, "4.4.1", "connection refused", reached=False)


class SqliteTests(TestCase):
    timeout = 50

    def setUp(self) -> Deferred[None]:
        temporary = tempfile.TemporaryDirectory()
        self.addCleanup(temporary.cleanup)
        directory = Path(temporary.name)
        self.threads = Threads(reactor)
        self.threads.start()
        self.addCleanup(self.threads.stop)
        self.engine = SqliteEngine(directory / "data", 1, reactor.callFromThread)
        self.blobs = LocalBlobs(directory / "blobs", self.threads, reactor)
        self.store = Queue(self.engine, self.blobs)
        self.hints = LocalHints()
        self.agent = Agent()
        return Deferred.fromCoroutine(self.engine.start())

    def tearDown(self) -> Deferred[None]:
        return Deferred.fromCoroutine(self.engine.stop())

    def runner(self, **settings: Any) -> QueueRunner:
        return QueueRunner(
            self.store,
            self.agent,
            self.agent,
            Bouncer(),
            reactor,
            self.hints,
            RunnerSettings(**settings),
            Metrics(),
        )

    async def add(self, name: str, destination: str, recipients: int = 1) -> None:
        blob: StagedBlob = await self.blobs.put(f"Subject: {name}\r\n\r\n".encode())
        envelope = queued(name, reactor.seconds(), destination=destination, recipients=recipients)
        await self.store.enqueue(NewEnvelope(envelope, blob))
        self.hints.wake_queue()

    def test_ten_thousand_at_a_dead_destination_delay_nobody(self) -> Deferred[None]:
        async def case() -> None:
            for destination in ("refused.example", "silent.example"):
                for number in range(25):
                    await self.add(f"{destination[:3]}{number}", destination, recipients=400)
            runner = self.runner(drain=0.0)
            runner.start()
            await self.add("live", "live.example")
            started = reactor.seconds()
            self.assertLess(await self.agent.sent - started, 2.0)
            await runner.stop()
            self.assertGreater(self.agent.tries["refused"], 0)

        return Deferred.fromCoroutine(case())

    def test_what_is_new_is_tried_at_once_with_thousands_waiting_and_every_place_taken(self) -> Deferred[None]:
        async def case() -> None:
            for number in range(200):
                await self.add(f"s{number}", f"silent.d{number}.example", recipients=25)
            runner = self.runner(destinations=20, spare=1, drain=0.0, poll=1000.0)
            runner.start()
            while self.agent.tries.get("silent", 0) < 20:
                pause: Deferred[None] = Deferred()
                reactor.callLater(0.01, pause.callback, None)
                await pause
            await self.add("live", "live.example")
            started = reactor.seconds()
            self.hints.wake_queue(["live.example"])
            self.assertLess(await self.agent.sent - started, 1.0)
            await runner.stop()
            self.assertEqual(self.agent.tries["silent"], 20)

        return Deferred.fromCoroutine(case())

    def test_a_dead_destination_is_worked_off_without_a_try_for_each(self) -> Deferred[None]:
        async def case() -> None:
            for number in range(60):
                await self.add(f"e{number}", "refused.example")
            runner = self.runner()
            runner.start()
            while await self.store.due(reactor.seconds(), 10):
                pause: Deferred[None] = Deferred()
                reactor.callLater(0.02, pause.callback, None)
                await pause
            await runner.stop()
            self.assertLess(self.agent.tries["refused"], 30)
            tally = await self.store.tally(reactor.seconds())
            self.assertEqual((tally.envelopes, tally.by_state["waiting"]), (60, 60))

        return Deferred.fromCoroutine(case())

    def test_a_cut_off_try_is_due_again_at_once(self) -> Deferred[None]:
        async def case() -> None:
            await self.add("e", "silent.example")
            runner = self.runner(drain=0.0)
            runner.start()
            while not self.agent.tries:
                pause: Deferred[None] = Deferred()
                reactor.callLater(0.01, pause.callback, None)
                await pause
            await runner.stop()
            due = await self.store.due(reactor.seconds(), 10)
            self.assertEqual([d.destination for d in due], ["silent.example"])
            envelope = await self.store.envelope("e")
            assert envelope is not None
            self.assertEqual(envelope.recipients[0].attempts, 0)

        return Deferred.fromCoroutine(case())

    def test_what_a_crash_left_leased_is_taken_up_when_the_lease_ends(self) -> Deferred[None]:
        async def case() -> None:
            await self.add("e", "live.example")
            await self.store.claim("live.example", reactor.seconds(), 0.2, 50)  # and then the process was killed
            runner = self.runner(poll=0.05)
            runner.start()
            await self.agent.sent
            await runner.stop()
            self.assertEqual((await self.store.tally(reactor.seconds())).envelopes, 0)

        return Deferred.fromCoroutine(case())
