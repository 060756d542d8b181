"""The queue runner on a clock of its own, with a queue in memory."""

from __future__ import annotations

from collections.abc import Coroutine
from dataclasses import replace
from itertools import pairwise
from typing import Any

from memory_queue import Agent, Bouncer, MemoryQueue, Metrics, TurningClock, queued, report
from twisted.internet.defer import Deferred
from twisted.logger import globalLogPublisher
from twisted.trial.unittest import SynchronousTestCase
from zope.interface.verify import verifyObject

from mailnode.errors import BlobDamaged, StoreUnavailable
from mailnode.interfaces.queue import IBouncer, IDeliveryAgent
from mailnode.interfaces.store import IQueueStore
from mailnode.net.hints import LocalHints
from mailnode.queue import runner
from mailnode.queue.runner import QueueRunner, RunnerSettings
from mailnode.queue.schedule import Schedule
from mailnode.values.attempt import DEFERRED, REJECTED, SENT, Attempt, AttemptReport
from mailnode.values.blob import StagedBlob
from mailnode.values.envelope import RcptOptions
from mailnode.values.queue import (
    BOUNCED,
    DELIVERED,
    DROPPED,
    FAILED,
    GIVEN_UP_DESTINATION,
    LAST_TRY,
    LOCAL_DESTINATION,
    UNLIMITED,
    WAITING,
    Claim,
    DestinationLimits,
    DueDestination,
    NewEnvelope,
    QueuedEnvelope,
)

NOW = 1_700_000_000.0
DAY = 86400.0

ON_SUCCESS = RcptOptions(frozenset({"SUCCESS"}))


class RunnerCase(SynchronousTestCase):
    settings = RunnerSettings()
    turns = 0  # tries begin where the test stands

    def setUp(self) -> None:
        self.clock = TurningClock()
        self.clock.advance(NOW)
        self.store = MemoryQueue()
        self.remote = Agent()
        self.local = Agent()
        self.bouncer = Bouncer()
        self.hints = LocalHints()
        self.runner = self.make()

    def make(self, **more: Any) -> QueueRunner:
        return QueueRunner(
            self.store,
            self.remote,
            self.local,
            self.bouncer,
            self.clock,
            self.hints,
            replace(self.settings, turns=self.turns),
            Metrics(),
            random=lambda: 0.5,
            **more,
        )

    def add(self, *envelopes: QueuedEnvelope) -> None:
        for envelope in envelopes:
            self.wait(self.store.enqueue(NewEnvelope(envelope, StagedBlob(envelope.blob))))

    def wait(self, coroutine: Coroutine[Deferred[Any], Any, Any]) -> Any:
        return self.successResultOf(Deferred.fromCoroutine(coroutine))

    def pass_time(self, seconds: float, step: float = 1.0) -> None:
        end = self.clock.seconds() + seconds
        while self.clock.seconds() < end:
            self.clock.advance(min(step, end - self.clock.seconds()))


class GivenUpTests(RunnerCase):
    """What an operator gave up, and the runner brings to its end."""

    def end(self, result: str, **recipient: Any) -> tuple[str, list[str]]:
        """One try of one recipient: the state it comes to, and what its sender is told."""

        async def behave(claim: Claim) -> AttemptReport:
            return report(claim, result, "4.2.1", "451 later")

        self.remote.behave = behave
        self.add(queued("e1", NOW, **recipient))
        self.runner.start()
        outcome = self.store.outcomes()[0]
        return outcome.state, [fate.action for _, fates in self.bouncer.calls for fate in fates]

    def test_the_last_try_needs_no_others_before_it(self) -> None:
        assert self.end(DEFERRED, given_up=LAST_TRY) == (FAILED, ["failed"])

    def test_the_last_try_may_succeed(self) -> None:
        assert self.end(SENT, given_up=LAST_TRY) == (DELIVERED, [])

    def test_the_last_try_that_could_not_be_told_of_is_made_again_later(self) -> None:
        self.bouncer.error = StoreUnavailable()
        assert self.end(DEFERRED, given_up=LAST_TRY) == (WAITING, [])
        assert self.store.outcomes()[0].given_up == LAST_TRY
        assert self.store.outcomes()[0].next_try > NOW + 100
        assert len(self.flushLoggedErrors(StoreUnavailable)) == 1

    def test_a_bounce_needs_no_connection_and_tells_the_last_reply(self) -> None:
        recipient = {"destination": GIVEN_UP_DESTINATION, "given_up": BOUNCED, "last_reply": "451 go away"}
        assert self.end(SENT, **recipient) == (FAILED, ["failed"])
        assert [claim.envelope.id for claim in self.remote.claims] == ["bounce1"]
        [fate] = self.bouncer.calls[0][1]
        assert (fate.status, fate.diagnostic) == ("5.0.0", False)
        assert "given up by the administrator" in fate.reply and "451 go away" in fate.reply

    def test_what_had_ended_when_it_was_queued_is_told_as_it_was_said(self) -> None:
        recipient = {"destination": GIVEN_UP_DESTINATION, "last_status": "5.4.6", "last_reply": "a loop"}
        assert self.end(SENT, **recipient) == (FAILED, ["failed"])
        [fate] = self.bouncer.calls[0][1]
        assert (fate.status, fate.reply, fate.diagnostic) == ("5.4.6", "a loop", False)

    def test_of_what_is_dropped_nobody_is_told(self) -> None:
        assert self.end(SENT, destination=GIVEN_UP_DESTINATION, given_up=DROPPED) == (FAILED, [])
        assert self.remote.claims == []


class FlowTests(RunnerCase):
    def test_stand_ins_keep_the_contract(self) -> None:
        verifyObject(IQueueStore, self.store)
        verifyObject(IDeliveryAgent, self.remote)
        verifyObject(IBouncer, self.bouncer)

    def test_due_at_start_is_sent(self) -> None:
        self.add(queued("e1", NOW, recipients=3))
        self.runner.start()
        self.assertEqual([o.state for o in self.store.outcomes()], [DELIVERED] * 3)
        self.assertEqual(len(self.remote.claims), 1)
        self.assertEqual(self.store.recipients, {})

    def test_the_log_says_where_to_how_and_after_what_time(self) -> None:
        lines: list[tuple[str, dict[str, Any]]] = []

        def observe(event: Any) -> None:
            if str(event.get("event")).startswith("queue."):
                lines.append((event["event"], event["fields"]))

        globalLogPublisher.addObserver(observe)
        self.addCleanup(globalLogPublisher.removeObserver, observe)
        there = {"address": "192.0.2.1", "tls": "TLSv1.3 X", "verified": True}

        async def behave(claim: Claim) -> AttemptReport:
            first = len(self.remote.claims) == 1
            made = report(claim, DEFERRED if first else SENT, "4.0.0" if first else "2.0.0", "text")
            return replace(made, attempts=tuple(replace(attempt, **there) for attempt in made.attempts))

        self.remote.behave = behave
        self.add(queued("e1", NOW))
        self.runner.start()
        self.pass_time(301, 1)
        (deferred, later), (sent, done) = lines
        self.assertEqual((deferred, sent), ("queue.deferred", "queue.sent"))
        self.assertEqual((later["ip"], later["next_try"]), ("192.0.2.1", "2023-11-14T22:18:20.000Z"))
        self.assertEqual((done["host"], done["ip"]), ("mx.example", "192.0.2.1"))
        self.assertEqual((done["tls"], done["verified"], done["delay"]), ("TLSv1.3 X", "yes", 300.0))

    def test_a_hint_wakes_it(self) -> None:
        self.runner.start()
        self.add(queued("e1", NOW))
        self.assertEqual(self.remote.claims, [])
        self.hints.wake_queue()
        self.assertEqual(len(self.remote.claims), 1)

    def test_a_lost_hint_costs_a_poll(self) -> None:
        self.runner.start()
        self.add(queued("e1", NOW))
        self.pass_time(self.settings.poll + 1)
        self.assertEqual(len(self.remote.claims), 1)

    def test_it_sleeps_until_the_next_is_due(self) -> None:
        self.add(replace(queued("e1", NOW), created=NOW))
        key = "e1", 0
        self.store.recipients[key] = replace(self.store.recipients[key], next_try=NOW + 7)
        self.runner.start()
        self.clock.advance(6.9)
        self.assertEqual(self.remote.claims, [])
        self.clock.advance(0.2)
        self.assertEqual(len(self.remote.claims), 1)

    def test_local_plans_go_to_the_local_agent(self) -> None:
        self.add(queued("e1", NOW, destination=LOCAL_DESTINATION), queued("e2", NOW))
        self.runner.start()
        self.assertEqual([c.envelope.id for c in self.local.claims], ["e1"])
        self.assertEqual([c.envelope.id for c in self.remote.claims], ["e2"])

    def test_many_recipients_go_in_several_tries(self) -> None:
        self.add(queued("e1", NOW, recipients=120))
        self.runner.start()
        self.assertEqual([len(c.envelope.recipients) for c in self.remote.claims], [50, 50, 20])

    def test_one_claim_fills_the_window_of_a_destination(self) -> None:
        self.add(*(queued(f"e{number}", NOW) for number in range(30)))
        hanging: list[Deferred[AttemptReport]] = []

        async def hang(claim: Claim) -> AttemptReport:
            hanging.append(Deferred())
            return await hanging[-1]

        self.remote.behave = hang
        self.runner.start()
        self.assertEqual(len(hanging), self.settings.destination.start)
        self.assertEqual(self.store.claims, 1)

    def test_more_destinations_than_one_look_shows(self) -> None:
        self.add(*(queued(f"e{number}", NOW, destination=f"d{number}.example") for number in range(450)))
        self.runner.start()
        self.assertEqual(len(self.remote.claims), 450)


class OutcomeTests(RunnerCase):
    def behave(self, result: str, status: str, reply: str, **more: Any) -> None:
        async def answer(claim: Claim) -> AttemptReport:
            return report(claim, result, status, reply, **more)

        self.remote.behave = answer

    def test_deferred_by_the_schedule(self) -> None:
        self.add(queued("e1", NOW, recipients=2))
        self.behave(DEFERRED, "4.2.0", "later")
        self.runner.start()
        times: list[float] = []
        while len(times) < 6:
            self.clock.advance(1)
            times = [o.next_try for o in self.store.outcomes() if o.index == 0]
        tried = [NOW, *times]
        waits = [later - earlier for earlier, later in pairwise(tried)]
        for wait, minutes in zip(waits, (5, 10, 20, 40, 60, 60), strict=True):
            self.assertAlmostEqual(wait, minutes * 60, delta=1.5)
        self.assertEqual(self.bouncer.calls, [])

    def test_a_short_wait_is_not_rounded_up_to_a_poll(self) -> None:
        self.settings = RunnerSettings(Schedule(intervals=(1.0,)))
        self.runner = self.make()
        self.runner.start()
        self.add(queued("e1", NOW))
        self.behave(DEFERRED, "4.2.0", "later")
        self.hints.wake_queue()
        for _ in range(10):
            self.clock.advance(0.5)
        self.assertEqual(len(self.remote.claims), 6)

    def test_recipients_tried_together_stay_together(self) -> None:
        self.add(queued("e1", NOW, recipients=5))
        self.behave(DEFERRED, "4.2.0", "later")
        self.runner.start()
        self.assertEqual(len({o.next_try for o in self.store.outcomes()}), 1)

    def test_rejected_bounces_in_the_same_step(self) -> None:
        self.add(queued("e1", NOW, recipients=2))
        self.behave(REJECTED, "5.1.1", "no such user")
        self.runner.start()
        self.assertEqual([o.state for o in self.store.settlements[0].outcomes], [FAILED, FAILED])
        self.assertEqual(len(self.store.settlements[0].bounces), 1)
        self.assertEqual([f.action for f in self.bouncer.calls[0][1]], ["failed", "failed"])
        # and the bounce is tried at once, the settlement having hinted
        self.assertEqual(self.remote.claims[-1].envelope.id, "bounce1")

    def test_expiry(self) -> None:
        created = NOW - 5 * DAY - 1
        self.add(queued("e1", created, attempts=100))
        self.behave(DEFERRED, "4.4.1", "connection refused")
        self.runner.start()
        self.assertEqual([o.state for o in self.store.settlements[0].outcomes], [FAILED])
        self.assertEqual([f.action for f in self.bouncer.calls[0][1]], ["failed"])

    def test_delay_is_told_once(self) -> None:
        self.add(queued("e1", NOW))
        self.behave(DEFERRED, "4.4.1", "connection refused")
        self.runner.start()
        for _ in range(10 * 120):
            self.clock.advance(30)
        delayed = [f for envelope, fates in self.bouncer.calls if envelope.id == "e1" for f in fates]
        self.assertEqual([f.action for f in delayed], ["delayed"])
        self.assertEqual(delayed[0].retry_until, NOW + 5 * DAY)

    def test_delay_is_told_at_the_first_try_after_four_hours(self) -> None:
        self.add(queued("e1", NOW))
        self.behave(DEFERRED, "4.4.1", "connection refused")
        self.runner.start()
        self.pass_time(4 * 3600, 30)
        self.assertEqual(self.bouncer.calls, [])
        self.pass_time(1.2 * 3600, 30)  # the longest wait between two tries, varied by a tenth
        self.assertEqual([envelope.id for envelope, _ in self.bouncer.calls][:1], ["e1"])

    def test_success_is_told_only_when_asked_and_nobody_else_will(self) -> None:
        self.add(queued("e1", NOW), queued("e2", NOW, options=ON_SUCCESS))
        self.runner.start()
        self.assertEqual([(e.id, [f.action for f in fates]) for e, fates in self.bouncer.calls], [("e2", ["relayed"])])
        self.add(queued("e3", NOW, options=ON_SUCCESS, destination=LOCAL_DESTINATION))
        self.hints.wake_queue()
        self.assertEqual([f.action for f in self.bouncer.calls[1][1]], ["delivered"])

        async def told_further_on(claim: Claim) -> AttemptReport:
            whole = report(claim, SENT, "2.0.0", "ok")
            return replace(whole, attempts=tuple(replace(a, remote_dsn=True) for a in whole.attempts))

        self.remote.behave = told_further_on
        self.add(queued("e4", NOW, options=ON_SUCCESS))
        self.hints.wake_queue()
        self.assertEqual(len(self.bouncer.calls), 2)

    def test_failure_without_a_notice_is_not_given_up(self) -> None:
        self.add(queued("e1", NOW))
        self.behave(REJECTED, "5.1.1", "no such user")
        self.bouncer.error = StoreUnavailable("disk full")
        self.runner.start()
        self.assertEqual([o.state for o in self.store.outcomes()], [WAITING])
        self.assertEqual(len(self.flushLoggedErrors(StoreUnavailable)), 1)
        self.bouncer.error = None
        self.pass_time(400, 20)
        self.assertEqual(self.store.outcomes()[1].state, FAILED)

    def test_sent_without_a_notice_stays_sent(self) -> None:
        self.add(queued("e1", NOW, options=ON_SUCCESS))
        self.bouncer.error = StoreUnavailable("disk full")
        self.runner.start()
        self.assertEqual([o.state for o in self.store.outcomes()], [DELIVERED])
        self.flushLoggedErrors(StoreUnavailable)

    def test_unknown_trouble_of_an_agent_is_temporary(self) -> None:
        async def broken(claim: Claim) -> AttemptReport:
            raise ZeroDivisionError

        self.add(queued("e1", NOW))
        self.remote.behave = broken
        self.runner.start()
        self.assertEqual(len(self.flushLoggedErrors(ZeroDivisionError)), 1)
        self.assertEqual([(o.state, o.status) for o in self.store.outcomes()], [(WAITING, "4.3.0")])

    def test_of_whom_an_agent_says_nothing_is_tried_again(self) -> None:
        async def forgetful(claim: Claim) -> AttemptReport:
            return AttemptReport((Attempt(0, SENT, "2.0.0", "taken"),))

        self.add(queued("e1", NOW, recipients=2))
        self.remote.behave = forgetful
        self.runner.start()
        self.assertEqual(
            [(o.state, o.status) for o in self.store.outcomes()], [(DELIVERED, "2.0.0"), (WAITING, "4.3.0")]
        )

    def test_a_message_that_cannot_be_read_is_held_for_every_recipient_by_name_however_old(self) -> None:
        async def unreadable(claim: Claim) -> AttemptReport:
            raise BlobDamaged("files/x/y/id: No such file")

        said: list[dict[str, Any]] = []
        globalLogPublisher.addObserver(said.append)
        self.addCleanup(globalLogPublisher.removeObserver, said.append)
        for destination, agent in (("a.example", self.remote), (LOCAL_DESTINATION, self.local)):
            agent.behave = unreadable
            long_ago = NOW - 99 * 86400.0
            self.add(queued(f"to-{destination}", long_ago, destination=destination, recipients=2))
        self.runner.start()
        outcomes = [(o.state, o.status, o.reply, o.reason) for o in self.store.outcomes()]
        self.assertEqual(outcomes, [(WAITING, "4.3.0", "the message cannot be read", "damaged")] * 4)
        self.assertEqual(self.store.held, {"to-a.example", f"to-{LOCAL_DESTINATION}"})
        self.pass_time(86400.0, 600.0)
        self.assertEqual([len(settlement.outcomes) for settlement in self.store.settlements], [2, 2])  # no further try
        self.assertFalse(any(settlement.bounces for settlement in self.store.settlements))
        deferred = [event["fields"] for event in said if event.get("event") == "queue.deferred"]
        self.assertEqual(len({(fields["envelope"], fields["recipient"]) for fields in deferred}), 4)
        told = [event["fields"] for event in said if event.get("event") == "queue.unreadable"]
        self.assertEqual([(one["held"], one["error"]) for one in told], [("yes", "files/x/y/id: No such file")] * 2)

    def test_a_message_that_could_not_be_read_for_want_of_something_is_tried_again(self) -> None:
        async def unreadable(claim: Claim) -> AttemptReport:
            damaged = BlobDamaged("files/x/y/id: Too many open files")
            damaged.passing = True
            raise damaged

        self.remote.behave = unreadable
        self.add(queued("e1", NOW))
        self.runner.start()
        self.assertEqual([(o.state, o.counts_as_attempt) for o in self.store.outcomes()], [(WAITING, True)])
        self.assertEqual(self.store.held, set())

    # SMTP trap 37: what a server replied
    def test_a_reply_cannot_forge_a_line(self) -> None:
        self.add(queued("e1", NOW))
        self.behave(DEFERRED, "4.2.0", "later\r\nevil\x00" + "x" * 5000)
        self.runner.start()
        reply = self.store.outcomes()[0].reply
        self.assertTrue(reply.isprintable())
        self.assertLessEqual(len(reply), 500)

    def test_what_was_sent_is_recorded_once_the_store_is_back(self) -> None:
        self.add(queued("e1", NOW))
        self.store.broken = [StoreUnavailable("full"), StoreUnavailable("full")]
        self.runner.start()
        self.assertEqual(self.store.outcomes(), [])
        self.pass_time(5)
        self.assertEqual([o.state for o in self.store.outcomes()], [DELIVERED])
        self.assertEqual(len(self.remote.claims), 1)

    def test_a_store_that_is_away_for_a_while_is_asked_again_and_its_engine_alone_tells_why(self) -> None:
        self.add(queued("e1", NOW))
        self.store.away = [StoreUnavailable("away"), StoreUnavailable("away")]
        self.runner.start()
        self.pass_time(3 * self.settings.poll)
        self.assertEqual([o.state for o in self.store.outcomes()], [DELIVERED])
        self.assertEqual(self.flushLoggedErrors(), [])

    def test_what_nobody_foresaw_of_a_claim_is_told(self) -> None:
        self.add(queued("e1", NOW))
        self.store.away = [RuntimeError("a mistake")]
        self.runner.start()
        self.assertEqual(len(self.flushLoggedErrors(RuntimeError)), 1)


class HangingCase(RunnerCase):
    """Tries to destinations named ``dead`` hang until they are ended."""

    def setUp(self) -> None:
        super().setUp()
        self.open: list[tuple[Claim, Deferred[AttemptReport]]] = []
        self.remote.behave = self.hang

    async def hang(self, claim: Claim) -> AttemptReport:
        if not claim.envelope.recipients[0].destination.startswith("dead"):
            return report(claim, SENT, "2.0.0", "ok")
        ending: Deferred[AttemptReport] = Deferred()
        self.open.append((claim, ending))
        return await ending

    def end(self, result: str, address: str = "", **more: Any) -> None:
        claim, ending = self.open.pop(0)
        ended = report(claim, result, "4.4.1" if result == DEFERRED else "2.0.0", "text", **more)
        ending.callback(replace(ended, attempts=tuple(replace(one, address=address) for one in ended.attempts)))


class ConcurrencyTests(HangingCase):
    def test_window_of_one_destination(self) -> None:
        self.add(*(queued(f"e{number:03d}", NOW, destination="dead.example") for number in range(100)))
        self.runner.start()
        self.assertEqual(len(self.open), 5)
        for _ in range(60):
            self.end(SENT)
        self.assertGreater(len(self.open), 8)
        self.assertLessEqual(len(self.open), 20)

    def test_what_is_new_is_tried_before_what_waits_for_the_same_destination_but_half_of_that_goes_on(self) -> None:
        self.add(*(queued(f"e{number:03d}", NOW - 100 + number, destination="dead.example") for number in range(50)))
        self.runner.start()
        for number in range(4):
            self.add(queued(f"new{number}", NOW, destination="dead.example"))
            self.hints.wake_queue(["dead.example"])
        self.end(SENT)  # the window grows with it
        begun = [claim.envelope.id for claim, _ in self.open]
        self.assertEqual(begun[:4] + begun[4:5], ["e001", "e002", "e003", "e004", "new3"])
        while len(begun) < 12:
            self.hints.wake_queue(["dead.example"])
            self.end(SENT)
            begun.append(self.open[-1][0].envelope.id)
        self.assertGreaterEqual(sum(one.startswith("e") for one in begun[5:]), 3)
        self.assertGreaterEqual(sum(one.startswith("new") for one in begun[5:]), 2)

    def test_tries_that_nobody_waits_for_begin_by_turns_and_what_is_new_between_them(self) -> None:
        self.turns = 2
        self.runner = self.make()
        self.add(*(queued(f"e{number}", NOW, destination=f"dead{number}.example") for number in range(10)))
        self.runner.start()
        self.assertEqual([claim.envelope.id for claim, _ in self.open], ["e0"])
        self.add(queued("new", NOW, destination="live.example"))
        self.hints.wake_queue(["live.example"])
        self.assertEqual([o.envelope_id for o in self.store.outcomes()], ["new"])
        for _ in range(4):
            self.clock.turn()
        self.assertEqual([claim.envelope.id for claim, _ in self.open], ["e0", "e1", "e2"])

    def test_few_claims_at_a_time_and_what_is_new_does_not_wait_for_them(self) -> None:
        claim, slow, asked = self.store.claim, Deferred[None](), []

        async def claim_slowly(destination: str, *args: Any) -> list[Claim]:
            asked.append(destination)
            if destination != "live.example":
                await slow
            return await claim(destination, *args)

        self.store.claim = claim_slowly  # type: ignore[method-assign, assignment]
        self.add(*(queued(f"e{number}", NOW, destination=f"dead{number}.example") for number in range(10)))
        self.runner.start()
        self.assertEqual(len(asked), runner.CLAIMS)
        self.add(queued("new", NOW, destination="live.example"))
        self.hints.wake_queue(["live.example"])
        self.assertEqual([o.envelope_id for o in self.store.outcomes()], ["new"])
        slow.callback(None)
        self.assertEqual(len(self.open), 10)

    def test_ten_thousand_for_a_dead_destination_delay_nobody(self) -> None:
        self.add(*(queued(f"d{number:05d}", NOW, destination="dead.example") for number in range(10_000)))
        self.runner.start()
        self.add(queued("live", NOW, destination="live.example"))
        self.hints.wake_queue()
        self.assertIn(("live", DELIVERED), [(o.envelope_id, o.state) for o in self.store.outcomes()])

    def test_many_dead_destinations_delay_nobody(self) -> None:
        for domain in range(300):
            self.add(
                *(queued(f"d{domain}-{n}", NOW, destination=f"dead{domain}.example") for n in range(3)),
            )
        self.runner.start()
        self.assertEqual(len({c.envelope.recipients[0].destination for c, _ in self.open}), 300)
        self.assertEqual(len(self.open), 400)  # one each, and the total
        self.add(queued("live", NOW, destination="live.example"))
        self.hints.wake_queue()
        self.assertEqual([o.envelope_id for o in self.store.outcomes()], ["live"])

    def test_no_more_destinations_than_there_are_places_for(self) -> None:
        self.settings = RunnerSettings(destinations=30, spare=2)
        self.runner = self.make()
        self.add(*(queued(f"d{domain}", NOW, destination=f"dead{domain}.example") for domain in range(200)))
        self.runner.start()
        self.assertEqual(len(self.open), 30)
        for number in range(3):
            destination = f"dead-new{number}.example"
            self.add(queued(f"new{number}", NOW, destination=destination))
            self.hints.wake_queue([destination])
        self.assertEqual([claim.envelope.id for claim, _ in self.open[30:]], ["new0", "new1"])
        for _ in range(203):
            self.assertLessEqual(len(self.open), 32)
            self.end(SENT)
        self.assertEqual((self.open, self.store.recipients), ([], {}))

    def test_what_is_new_does_not_wait_behind_what_is_due_for_others(self) -> None:
        """The newest is the last that a look shows, and a look shows no more than so many."""
        self.settings = RunnerSettings(destinations=30, spare=2)
        self.runner = self.make()
        self.add(*(queued(f"d{domain}", NOW, destination=f"dead{domain}.example") for domain in range(1000)))
        self.runner.start()
        self.add(queued("live", NOW, destination="live.example"))
        self.hints.wake_queue(["live.example"])
        self.assertEqual([o.envelope_id for o in self.store.outcomes()], ["live"])

    def test_more_destinations_are_due_than_may_wait_for_a_place(self) -> None:
        self.settings = RunnerSettings(destinations=30, poll=1e6)
        self.runner = self.make()
        self.patch(runner, "MOST_STARVED", 50)
        self.add(*(queued(f"d{domain}", NOW, destination=f"dead{domain}.example") for domain in range(1000)))
        looks, due = [0], self.store.due

        async def count(now: float, limit: int) -> list[DueDestination]:
            looks[0] += 1
            return await due(now, limit)

        self.store.due = count  # type: ignore[method-assign]
        self.runner.start()
        self.assertLess(looks[0], 10)
        for _ in range(1000):
            self.end(SENT)
            self.clock.advance(0.05)
        self.assertEqual((self.open, self.store.recipients), ([], {}))
        self.assertLess(looks[0], 1000)

    def test_places_that_get_free_are_given_without_asking_all_that_wait(self) -> None:
        self.settings = RunnerSettings(destinations=30)
        self.runner = self.make()
        self.add(*(queued(f"d{domain}", NOW, destination=f"dead{domain}.example") for domain in range(500)))
        self.runner.start()
        before = self.store.claims
        self.end(SENT)
        self.assertLessEqual(self.store.claims - before, 2)

    def test_a_place_that_gets_free_goes_to_who_waits(self) -> None:
        for domain in range(60):
            self.add(*(queued(f"d{domain}-{n}", NOW, destination=f"dead{domain}.example") for n in range(4)))
        self.runner.start()
        self.assertEqual(len(self.open), 160)
        for _ in range(240):
            self.end(SENT)
        self.assertEqual(self.open, [])
        self.assertEqual(self.store.recipients, {})

    def test_dead_destination_is_put_off_without_tries_then_probed(self) -> None:
        self.add(*(queued(f"e{number:03d}", NOW, destination="dead.example") for number in range(200)))
        self.runner.start()
        tries = 0
        while self.open:
            self.end(DEFERRED, reached=False, address="192.0.2.1")
            tries += 1
        self.assertLess(tries, 25)
        self.assertEqual(len(self.store.outcomes()), 200)
        self.assertTrue(all(o.next_try > NOW for o in self.store.outcomes()))
        self.assertEqual([o.address for o in self.store.outcomes()].count("192.0.2.1"), tries)
        self.assertEqual({o.tried_at for o in self.store.outcomes()}, {NOW})
        self.pass_time(301, 20)
        self.assertEqual(len(self.open), 1)
        self.end(SENT)
        self.assertGreaterEqual(len(self.open), 1)

    def test_stop_waits_for_running_tries(self) -> None:
        self.add(*(queued(f"e{number}", NOW, destination="dead.example") for number in range(8)))
        self.runner.start()
        stopped = Deferred.fromCoroutine(self.runner.stop())
        self.assertNoResult(stopped)
        while self.open:
            self.end(SENT)
        self.successResultOf(stopped)
        self.assertEqual([o.state for o in self.store.outcomes()], [DELIVERED] * 5)
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_stop_cuts_off_what_lasts_too_long_and_it_stays_due(self) -> None:
        self.add(queued("e1", NOW, destination="dead.example"))
        self.runner.start()
        stopped = Deferred.fromCoroutine(self.runner.stop())
        self.clock.advance(self.settings.drain)
        self.successResultOf(stopped)
        outcome = self.store.outcomes()[0]
        self.assertEqual((outcome.state, outcome.counts_as_attempt), (WAITING, False))
        self.assertLessEqual(outcome.next_try, self.clock.seconds())
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_what_waited_for_its_turn_until_tries_are_cut_off_is_not_begun_and_stays_due(self) -> None:
        self.turns = 10
        self.runner = self.make()
        self.add(*(queued(f"e{number}", NOW, destination=f"dead{number}.example") for number in range(2)))
        self.runner.start()
        stopped = Deferred.fromCoroutine(self.runner.stop(within=0))
        for _ in range(10):
            self.clock.turn()
        self.successResultOf(stopped)
        self.assertEqual([claim.envelope.id for claim in self.remote.claims], ["e0"])
        ended = [(one.envelope_id, one.state, one.counts_as_attempt) for one in self.store.outcomes()]
        self.assertEqual(ended, [("e0", WAITING, False), ("e1", WAITING, False)])

    def test_a_claim_under_way_at_stop_is_not_left_leased(self) -> None:
        self.add(queued("e1", NOW, destination="dead.example"))
        claim, slow = self.store.claim, Deferred[None]()

        async def claim_slowly(*args: Any) -> list[Claim]:
            taken = await claim(*args)
            await slow
            return taken

        self.store.claim = claim_slowly  # type: ignore[method-assign, assignment]
        self.runner.start()
        stopped = Deferred.fromCoroutine(self.runner.stop())
        slow.callback(None)
        self.assertNoResult(stopped)
        self.end(SENT)
        self.successResultOf(stopped)
        self.assertEqual([o.state for o in self.store.outcomes()], [DELIVERED])

    def test_nothing_is_taken_after_stop(self) -> None:
        self.runner.start()
        self.successResultOf(Deferred.fromCoroutine(self.runner.stop()))
        self.add(queued("e1", NOW))
        self.hints.wake_queue()
        self.pass_time(100, 10)
        self.assertEqual(self.remote.claims, [])


class FallbackTests(RunnerCase):
    """Recipients whose server says "blocked", or for whom three tries failed, go by a smarthost."""

    settings = RunnerSettings(
        fallback=lambda sender, recipient, tries, reply: (
            "smart.example:587" if "smart" not in recipient.destination and ("blocked" in reply or tries >= 3) else ""
        )
    )

    def setUp(self) -> None:
        super().setUp()
        self.first: tuple[str, str, str] = (REJECTED, "5.7.1", "550 5.7.1 blocked")
        self.then: tuple[str, str, str] = (SENT, "2.0.0", "ok")

        async def answer(claim: Claim) -> AttemptReport:
            smart = claim.envelope.recipients[0].destination == "smart.example:587"
            return report(claim, *(self.then if smart else self.first))

        self.remote.behave = answer

    def tried(self) -> list[str]:
        return [claim.envelope.recipients[0].destination for claim in self.remote.claims]

    def test_a_refusal_goes_the_other_way_at_once_and_bounces_nothing(self) -> None:
        self.add(queued("e1", NOW, recipients=2, destination="d.example"))
        self.runner.start()
        self.pass_time(1)
        self.assertEqual(self.tried(), ["d.example", "smart.example:587"])
        self.assertEqual([one.state for one in self.store.outcomes()], [WAITING] * 2 + [DELIVERED] * 2)
        self.assertEqual(self.bouncer.calls, [])

    def test_after_so_many_tries(self) -> None:
        self.first = (DEFERRED, "4.2.0", "451 later")
        self.add(queued("e1", NOW, destination="d.example"))
        self.runner.start()
        self.pass_time(300 + 600 + 2)
        self.assertEqual(self.tried(), ["d.example"] * 3 + ["smart.example:587"])

    def test_what_the_other_way_refuses_is_refused(self) -> None:
        self.then = (REJECTED, "5.7.1", "554 5.7.1 blocked")
        self.add(queued("e1", NOW, destination="d.example"))
        self.runner.start()
        self.pass_time(1)
        self.assertEqual([one.state for one in self.store.outcomes()][:2], [WAITING, FAILED])

    def test_copies_for_mailboxes_here_have_no_other_way(self) -> None:
        async def answer(claim: Claim) -> AttemptReport:
            return report(claim, DEFERRED, "4.3.0", "blocked")

        self.local.behave = answer
        self.add(queued("e1", NOW, destination=LOCAL_DESTINATION))
        self.runner.start()
        self.assertEqual([one.moved for one in self.store.outcomes()], [None])


class LimitTests(HangingCase):
    settings = RunnerSettings(
        limits=lambda name: {
            "slow.example": DestinationLimits(per_minute=3),
            "dead-one.example": DestinationLimits(concurrency=1),
            "dead-bulk": DestinationLimits(concurrency=2, counted_as="dead-bulk"),
            "news": DestinationLimits(per_minute=3, counted_as="news"),
        }.get(name.partition("/")[0], UNLIMITED)
    )

    def test_a_destination_has_so_many_messages_a_minute_and_others_as_many_as_come(self) -> None:
        self.add(*(queued(f"s{number}", NOW, destination="slow.example") for number in range(7)))
        self.add(*(queued(f"f{number}", NOW, destination="fast.example") for number in range(7)))
        self.runner.start()
        for minute in range(3):
            sent = [claim.envelope.recipients[0].destination for claim in self.remote.claims]
            self.assertEqual((sent.count("slow.example"), sent.count("fast.example")), (min(3 * minute + 3, 7), 7))
            self.pass_time(58.0)
            self.assertEqual(len(self.remote.claims), len(sent))
            self.pass_time(2.0)

    def test_a_destination_has_a_cap_of_its_own(self) -> None:
        self.add(*(queued(f"o{number}", NOW, destination="dead-one.example") for number in range(9)))
        self.runner.start()
        for _ in range(9):
            self.assertEqual(len(self.open), 1)
            self.end(SENT)

    def test_destinations_of_a_route_have_its_messages_a_minute_together(self) -> None:
        names = [f"news/{letter}.example" for letter in "abcde"]
        self.add(*(queued(f"{name}{number}", NOW, destination=name) for name in names for number in range(2)))
        self.runner.start()
        for sent in (3, 6, 9, 10):
            self.assertEqual(len(self.remote.claims), sent)
            self.pass_time(58.0)
            self.assertEqual(len(self.remote.claims), sent)
            self.pass_time(2.0)

    def claim_slowly(self) -> Deferred[None]:
        """Have the store answer no claim before what is returned is called back."""
        claim, slow = self.store.claim, Deferred[None]()

        async def claim_slowly(*args: Any) -> list[Claim]:
            await slow
            return await claim(*args)

        self.store.claim = claim_slowly  # type: ignore[method-assign, assignment]
        return slow

    def test_what_one_destination_of_a_route_leaves_of_its_minute_is_another_s(self) -> None:
        slow = self.claim_slowly()
        self.add(*(queued(f"e{number}", NOW, destination=f"news/d{number}.example") for number in range(9)))
        self.runner.start()
        slow.callback(None)
        self.assertEqual(len(self.remote.claims), 3)
        self.pass_time(60.0)
        self.assertEqual(len(self.remote.claims), 6)

    def test_very_many_destinations_of_a_route_that_has_nothing_left_hold_up_no_others(self) -> None:
        self.add(*(queued(f"n{number}", NOW, destination=f"news/d{number}.example") for number in range(1000)))
        self.add(queued("live", NOW, destination="live.example"))
        self.runner.start()
        self.assertEqual([one.envelope_id for one in self.store.outcomes()], ["n0", "n1", "n2", "live"])
        self.pass_time(60.0)
        self.assertEqual(len(self.store.outcomes()), 7)

    def test_very_many_that_wait_for_a_claim_and_find_nothing_left_hold_up_no_others(self) -> None:
        self.add(*(queued(f"n{number}", NOW, destination=f"news/d{number}.example") for number in range(3)))
        self.runner.start()
        slow = self.claim_slowly()
        others = [f"o{number}" for number in range(runner.CLAIMS)]
        self.add(*(queued(one, NOW, destination=f"{one}.example") for one in others))
        self.add(*(queued(f"m{number}", NOW, destination=f"news/m{number}.example") for number in range(1000)))
        self.hints.wake_queue()
        slow.callback(None)
        self.assertEqual([one.envelope_id for one in self.store.outcomes()][3:], others)
        self.add(queued("last", NOW, destination="last.example"))
        self.hints.wake_queue()
        self.assertEqual(self.store.outcomes()[-1].envelope_id, "last")

    def test_what_waits_for_its_turn_to_begin_counts_already(self) -> None:
        self.turns = 2
        self.runner = self.make()
        self.add(*(queued(f"s{number}", NOW, destination="slow.example") for number in range(9)))
        self.runner.start()
        self.pass_time(50.0)
        self.assertEqual(len(self.remote.claims), 3)

    def test_destinations_of_a_route_take_turns_in_its_places(self) -> None:
        names = [f"dead-bulk/{letter}.example" for letter in "abcde"]
        self.add(*(queued(f"{name}{number}", NOW, destination=name) for name in names for number in range(3)))
        self.runner.start()
        tried = []
        for _ in range(15):
            self.assertEqual(len(self.open), min(2, 15 - len(tried)))
            tried.append(self.open[0][0].envelope.recipients[0].destination)
            self.end(SENT)
        self.assertEqual(self.open, [])
        self.assertEqual({name: tried.count(name) for name in names}, dict.fromkeys(names, 3))
        self.assertEqual(set(tried[:7]), set(names), "none has to wait until all of another's has gone")

    def test_a_place_that_one_destination_leaves_is_another_s(self) -> None:
        self.add(*(queued(f"a{number}", NOW, destination="dead-bulk/a.example") for number in range(2)))
        self.runner.start()
        self.add(queued("b", NOW, destination="dead-bulk/b.example"))
        self.hints.wake_queue(["dead-bulk/b.example"])
        self.assertEqual(len(self.open), 2)
        self.end(SENT)
        self.assertEqual(sorted(claim.envelope.id for claim, _ in self.open), ["a1", "b"])


class LeaseTests(HangingCase):
    """Leases under long tries and steps of the clock."""

    def test_a_long_try_keeps_its_lease(self) -> None:
        self.add(queued("e1", NOW, destination="dead.example"))
        self.runner.start()
        self.pass_time(1800, 5)
        self.assertEqual(len(self.open), 1)
        self.assertEqual(self.store.claims, 1)
        self.end(SENT)
        self.assertEqual([o.state for o in self.store.outcomes()], [DELIVERED])

    def test_what_waits_for_its_turn_to_begin_keeps_its_lease(self) -> None:
        self.turns = 10
        self.runner = self.make()
        self.add(*(queued(f"e{number}", NOW, destination=f"dead{number}.example") for number in range(2)))
        self.runner.start()
        for _ in range(9):
            self.clock.rightNow += 20
            self.clock.turn()
            self.assertEqual([until for _, until in self.store.leases.values() if until <= self.clock.seconds()], [])
        self.assertEqual((len(self.open), self.store.claims), (1, 2))
        self.clock.turn()
        self.assertEqual(len(self.open), 2)

    def test_a_step_forward_starts_no_second_try(self) -> None:
        self.add(queued("e1", NOW, destination="dead.example", recipients=2))
        self.runner.start()
        for delayed in self.clock.calls:  # a step: the clock jumps, timers keep their distance
            delayed.time += 3600
        self.clock.rightNow += 3600
        self.hints.wake_queue()
        self.assertEqual(self.store.claims, 2)
        self.assertEqual(len(self.open), 1)
        self.end(SENT)
        self.assertEqual([o.state for o in self.store.outcomes()], [DELIVERED] * 2)

    # SMTP trap 36: back
    def test_a_step_back_stalls_nothing(self) -> None:
        self.add(queued("e1", NOW, destination="dead.example"))
        self.runner.start()
        self.end(DEFERRED)
        for delayed in self.clock.calls:
            delayed.time -= 3600
        self.clock.rightNow -= 3600
        self.pass_time(330, 5)
        self.assertEqual(len(self.open), 1)

    def test_a_queue_written_by_a_clock_ahead_is_tried_within_the_longest_wait(self) -> None:
        self.add(queued("e1", NOW, destination="live.example"))
        key = "e1", 0
        self.store.recipients[key] = replace(self.store.recipients[key], next_try=NOW + 300 * DAY)
        self.runner.start()
        self.pass_time(4000, 20)
        self.assertEqual([o.state for o in self.store.outcomes()], [DELIVERED])

    def test_a_lease_is_no_wait_of_the_schedule(self) -> None:
        """With intervals shorter than a lease the queue's time once ran ahead by what was missing, at each look."""
        self.settings = replace(self.settings, schedule=Schedule(intervals=(20.0,), jitter=0.0))
        self.runner = self.make()
        self.add(queued("e1", NOW, destination="dead1.example"), queued("e2", NOW, destination="dead2.example"))
        self.runner.start()
        self.pass_time(100, 5)
        self.open.reverse()
        self.end(DEFERRED)
        self.assertEqual([o.next_try for o in self.store.outcomes()], [self.clock.seconds() + 20])

    # SMTP trap 36: forward
    def test_a_step_forward_is_no_storm(self) -> None:
        self.add(*(queued(f"e{n:04d}", NOW, destination=f"dead{n % 3}.example") for n in range(1000)))
        self.runner.start()
        for key, recipient in self.store.recipients.items():
            if recipient.state == WAITING:
                self.store.recipients[key] = replace(recipient, next_try=NOW + 3000)
        while self.open:
            self.end(DEFERRED)
        self.clock.rightNow += 3600
        self.hints.wake_queue()
        self.assertLessEqual(len(self.open), 60)


class BounceBookTests(RunnerCase):
    def test_who_was_refused_for_good_is_told_of_with_the_account(self) -> None:
        told: list[tuple[str, ...]] = []

        class Book:
            async def bounced(self, *about: str) -> None:
                told.append(about)

        async def refuse(claim: Claim) -> AttemptReport:
            made = report(claim, REJECTED, "5.1.1", "550 gone")
            if not claim.envelope.reverse_path:
                return made
            return replace(made, attempts=(*made.attempts[:1], replace(made.attempts[1], result=SENT)))

        self.remote.behave = self.local.behave = refuse
        self.runner = self.make(sending=Book())
        self.add(
            replace(queued("ours", NOW, recipients=2), account_id="ann"),
            queued("theirs", NOW, recipients=2),
            replace(queued("here", NOW, recipients=2, destination=LOCAL_DESTINATION), account_id="ann"),
        )
        self.runner.start()
        self.assertEqual(told, [("ann", "user0@a.example", "5.1.1", "550 gone")])
        self.assertEqual(self.store.recipients, {})
