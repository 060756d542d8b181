"""The door into mailboxes and queue, and plans that wait in the queue."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from delivery_fakes import Batches, Blobs, MailStore, Processes, Threads
from memory_queue import MemoryQueue
from twisted.internet.defer import Deferred
from twisted.trial.unittest import SynchronousTestCase
from zope.interface.verify import verifyObject

from mailnode.delivery.acceptance import MANY, MANY_COPIES, MIDDLE, SMALL, TINY, Acceptance, is_simple
from mailnode.delivery.local import LocalAgent
from mailnode.delivery.plans import copies, decode_plan, prefix_of, queued_recipients
from mailnode.delivery.routing import NextHop, Route, RoutingTable, Way
from mailnode.delivery.scratch import remove_scratch
from mailnode.errors import Busy, LimitReached, NoSuchAccount, OverQuota, StoreUnavailable
from mailnode.interfaces.delivery import IDelivery
from mailnode.interfaces.queue import IDeliveryAgent
from mailnode.interfaces.runtime import IBatches
from mailnode.interfaces.store import IBlobs
from mailnode.message.scanner import read_facts
from mailnode.net.hints import LocalHints
from mailnode.net.no_reactor import run_now
from mailnode.values.address import Address, parse_address
from mailnode.values.attempt import DEFERRED, REJECTED, SENT
from mailnode.values.blob import StagedBlob
from mailnode.values.directory import Account, Resolved
from mailnode.values.envelope import Envelope, MailOptions, Origin, RcptOptions, Recipient
from mailnode.values.facts import EncodedFacts
from mailnode.values.flags import FLAGGED
from mailnode.values.mailbox import Usage
from mailnode.values.plan import AS_IT_IS, Judgement, RecipientPlan
from mailnode.values.queue import LOCAL_DESTINATION, Claim, QueuedEnvelope

NOW = 1_700_000_000.25
CONTENT = b"Subject: hello\r\n\r\nbody\r\n"


def local(*names: str, **more: Any) -> Resolved:
    return Resolved(True, tuple((f"id-{name}", f"{name}@here.example") for name in names), **more)


class AcceptanceCase(SynchronousTestCase):
    def setUp(self) -> None:
        self.blobs, self.mail, self.queue = Blobs(), MailStore(), MemoryQueue()
        self.threads, self.processes, self.hints = Threads(), Processes(), LocalHints()
        self.woken = 0
        self.hints.on_queue(self.wake)
        self.acceptance = self.make()

    def wake(self, destinations: Sequence[str]) -> None:
        self.woken += 1
        self.hinted = list(destinations)

    def make(self, **more: Any) -> Acceptance:
        return Acceptance(
            self.blobs,
            self.mail,
            self.queue,
            self.threads,
            self.processes,
            self.hints,
            expires=lambda created, null: created + (2 if null else 5),
            **more,
        )

    def accept(self, *recipients: tuple[str, Resolved], sender: str = "sender@there.example", **more: Any) -> None:
        asked = RcptOptions(more.pop("notify", frozenset()), more.pop("orcpt", ""))
        facts = read_facts(CONTENT) if more.pop("scanned", True) else None
        plan = more.pop("plan", AS_IT_IS)
        rows = tuple(Recipient(parse_address(text), asked) for text, _ in recipients)
        envelope = Envelope(
            "env1",
            parse_address(sender) if sender else None,
            rows,
            Origin("sess", "ESMTP", account_id="acc"),
            NOW,
            **more,
        )
        routes: dict[Address, Resolved] = {row.address: route for row, (_, route) in zip(rows, recipients, strict=True)}
        blob = self.blobs.stage(CONTENT)
        judgement = Judgement(tuple(routes), routes, dict.fromkeys(routes, plan))
        run_now(self.acceptance.accept(envelope, judgement, blob, facts))

    def accept_later(self, gate: Deferred[None]) -> Deferred[None]:
        """Begin to place a message, which ends when the gate opens."""
        deliver = self.mail.deliver

        async def held(*args: Any, **more: Any) -> Any:
            await gate
            return await deliver(*args, **more)

        self.patch(self.mail, "deliver", held)
        address = parse_address("alice@here.example")
        envelope = Envelope("env", None, (Recipient(address),), Origin("s", "SMTP"), NOW)
        blob = self.blobs.stage(CONTENT)
        accepting = self.acceptance.accept(
            envelope, Judgement((address,), {address: local("alice")}), blob, read_facts(CONTENT)
        )
        return Deferred.fromCoroutine(accepting)

    def queued(self) -> QueuedEnvelope:
        return self.queue.added[0].envelope


class AcceptTests(AcceptanceCase):
    def test_contracts(self) -> None:
        verifyObject(IDelivery, self.acceptance)
        verifyObject(IBlobs, self.blobs)
        verifyObject(IBatches, Batches())

    def test_few_local_recipients_are_placed_by_one_unit(self) -> None:
        self.accept(("alice@here.example", local("alice")), ("bob+tag@here.example", local("bob")))
        self.assertEqual(len(self.mail.units), 1)
        envelope_id, plans, message, applied_once = self.mail.units[0]
        self.assertEqual((envelope_id, applied_once), ("env1", False))
        self.assertEqual([plan.mailbox for plan in plans], ["INBOX", "INBOX"])
        self.assertEqual(
            plans[1].prefix, b"Return-Path: <sender@there.example>\r\nDelivered-To: bob+tag@here.example\r\n"
        )
        self.assertEqual(message.internaldate, 1_700_000_000_250_000)
        self.assertEqual((self.queue.added, self.woken), ([], 0))

    def test_one_copy_an_account(self) -> None:
        self.accept(("all@here.example", local("alice", "bob")), ("alice@here.example", local("alice")))
        self.assertEqual(self.mail.copies(), ["id-alice", "id-bob"])

    def test_a_policy_chooses_the_mailbox(self) -> None:
        self.accept(("alice@here.example", local("alice")), plan=RecipientPlan("Junk", FLAGGED, ("$Junk",)))
        placed = self.mail.units[0][1][0]
        self.assertEqual((placed.mailbox, placed.flags, placed.keywords), ("Junk", FLAGGED, ("$Junk",)))

    def test_a_policy_chooses_the_mailbox_by_its_special_use(self) -> None:
        plan = RecipientPlan("Lists").then(RecipientPlan(special_use="\\Junk"))
        self.assertEqual(plan.then(RecipientPlan(flags=FLAGGED)), RecipientPlan("", FLAGGED, special_use="\\Junk"))
        self.assertEqual(plan.then(RecipientPlan("Lists")), RecipientPlan("Lists"))
        self.accept(("alice@here.example", local("alice")), plan=plan)
        self.assertEqual(self.mail.units[0][1][0].special_use, "\\Junk")
        alice = parse_address("alice@here.example")
        envelope = Envelope("env1", None, (Recipient(alice),), Origin("s", "SMTP"), NOW)
        made = copies(envelope, Judgement((alice,), {alice: local("alice")}, {alice: plan}))
        (row,) = queued_recipients(made, NOW, RoutingTable(), "")
        self.assertEqual(decode_plan(row)[0], made.local[0].plan)

    def test_a_redirect_makes_a_copy_that_is_not_filed_as_the_recipient_wants_it(self) -> None:
        alice, bob, away = (
            parse_address(text) for text in ("alice@here.example", "bob@here.example", "c@there.example")
        )
        plan = RecipientPlan("Junk", redirects=(bob, away), prefix=b"X-Redirected: yes\r\n")
        envelope = Envelope("env1", None, (Recipient(alice),), Origin("s", "SMTP"), NOW)
        routes = {alice: local("alice"), bob: local("bob"), away: Resolved(True, remote=(str(away),))}
        made = copies(envelope, Judgement((alice,), routes, {alice: plan}))
        self.assertEqual([copy.plan.mailbox for copy in made.local], ["Junk", "INBOX"])
        self.assertEqual([copy.address for copy in made.remote], ["c@there.example"])
        for prefix in (made.local[0].plan.prefix, made.local[1].plan.prefix, made.remote[0].prefix):
            self.assertTrue(prefix.endswith(b"X-Redirected: yes\r\n"))

    def test_who_is_a_recipient_has_an_own_copy_whoever_redirects_to_them(self) -> None:
        alice, bob = (parse_address(text) for text in ("alice@here.example", "bob@here.example"))
        asked = RcptOptions(frozenset({"SUCCESS"}))
        envelope = Envelope("env1", None, (Recipient(alice, asked), Recipient(bob, asked)), Origin("s", "SMTP"), NOW)
        routes = {alice: local("alice"), bob: local("bob")}
        plans = {alice: RecipientPlan("Junk", redirects=(bob,)), bob: RecipientPlan("Lists", FLAGGED)}
        made = copies(envelope, Judgement((alice, bob), routes, plans)).local
        self.assertEqual([(copy.plan.mailbox, copy.plan.flags) for copy in made], [("Junk", 0), ("Lists", FLAGGED)])
        self.assertIn(b"Delivered-To: bob@here.example\r\n", made[1].plan.prefix)
        self.assertEqual([copy.options for copy in made], [asked, asked])

    def test_what_is_discarded_goes_only_where_it_is_redirected(self) -> None:
        alice, bob = (parse_address(text) for text in ("alice@here.example", "bob@here.example"))
        envelope = Envelope("env1", None, (Recipient(alice),), Origin("s", "SMTP"), NOW)
        routes = {alice: local("alice"), bob: local("bob")}
        plan = RecipientPlan(redirects=(bob,), discard=True)
        judgement = Judgement((alice,), routes, {alice: plan})
        self.assertEqual([copy.plan.account_id for copy in copies(envelope, judgement).local], ["id-bob"])
        self.assertTrue(judgement.is_kept)
        self.assertFalse(Judgement((alice,), routes, {alice: RecipientPlan(discard=True)}).is_kept)

    def test_a_queued_copy_keeps_what_goes_on_top_of_it(self) -> None:
        far = Resolved(True, remote=("c@there.example",))
        self.accept(
            ("c@there.example", far), trace=b"X-Spam: no\r\n", plan=RecipientPlan(prefix="X-\u00fc: 1\r\n".encode())
        )
        row = self.queued().recipients[0]
        self.assertEqual(prefix_of(row), "X-Spam: no\r\nX-\u00fc: 1\r\n".encode())

    def test_fields_of_policies_stand_on_top_of_each_copy(self) -> None:
        self.accept(("alice@here.example", local("alice")), trace=b"X-Spam: no\r\n")
        self.assertTrue(self.mail.units[0][1][0].prefix.endswith(b"Delivered-To: alice@here.example\r\nX-Spam: no\r\n"))

    def test_the_null_sender(self) -> None:
        self.accept(("alice@here.example", local("alice")), sender="")
        self.assertTrue(self.mail.units[0][1][0].prefix.startswith(b"Return-Path: <>\r\n"))

    def test_everything_else_is_one_entry_of_the_queue(self) -> None:
        remote = Resolved(True, remote=("Carol@There.Example",))
        self.accept(
            ("alice@here.example", local("alice")),
            ("Carol@There.Example", remote),
            options=MailOptions(0, "8BITMIME", False, "HDRS", "e"),
        )
        self.assertEqual((self.mail.units, self.woken), ([], 1))
        envelope = self.queued()
        self.assertEqual(
            (envelope.id, envelope.reverse_path, envelope.options, envelope.session),
            ("env1", "sender@there.example", MailOptions(0, "8BITMIME", False, "HDRS", "e"), "sess"),
        )
        self.assertEqual((envelope.created, envelope.expires), (NOW, NOW + 5))
        here, there = envelope.recipients
        self.assertEqual((here.destination, here.account_id), (LOCAL_DESTINATION, "id-alice"))
        self.assertEqual(json.loads(here.plan)["mailbox"], "INBOX")
        self.assertEqual((there.destination, there.address), ("there.example", "Carol@There.Example"))
        self.assertEqual({here.next_try, there.next_try}, {NOW})
        self.assertIsNotNone(self.queue.added[0].facts)

    def test_remote_mail_needs_no_facts(self) -> None:
        self.accept(
            ("c@bücher.example", Resolved(True, remote=("c@bücher.example",))),
            options=MailOptions(smtputf8=True),
            sender="",
        )
        self.assertEqual(self.queued().recipients[0].destination, "xn--bcher-kva.example")
        self.assertIsNone(self.queue.added[0].facts)
        self.assertEqual(self.queued().expires, NOW + 2)

    def test_smarthost(self) -> None:
        self.acceptance = self.make(routing=RoutingTable([Route(["*"], Way(NextHop("smart.example", 587)))]))
        self.accept(("c@there.example", Resolved(True, remote=("c@there.example",))))
        self.assertEqual(self.queued().recipients[0].destination, "smart.example:587")

    def test_the_same_foreign_address_twice_is_one_copy(self) -> None:
        once = Resolved(True, remote=("c@there.example",))
        self.accept(("all@here.example", once), ("c@THERE.example", Resolved(True, remote=("c@THERE.example",))))
        self.assertEqual(len(self.queued().recipients), 1)

    def test_several_partitions_go_through_the_queue(self) -> None:
        self.accept(("alice@here.example", local("alice")), ("zoe@here.example", local("zoe")))
        self.assertEqual(self.mail.units, [])
        self.assertEqual(len(self.queued().recipients), 2)

    def test_what_is_held_goes_into_the_queue_even_for_a_mailbox_here(self) -> None:
        self.accept(("alice@here.example", local("alice")), held=True)
        self.assertEqual(self.mail.units, [])
        self.assertTrue(self.queued().held)

    def test_many_recipients_go_through_the_queue(self) -> None:
        self.accept(*((f"u{n}@here.example", local(f"u{n}")) for n in range(51)))
        self.assertEqual(len(self.queued().recipients), 51)

    def test_the_copies_of_a_long_list_are_worked_out_in_a_thread(self) -> None:
        for members, calls in ((MANY_COPIES, []), (MANY_COPIES + 1, [("cpu", "copies"), ("cpu", "queued_envelope")])):
            self.threads.calls.clear()
            listed = Resolved(
                True, remote=tuple(f"m{number}@there.example" for number in range(members)), owner="o@here.example"
            )
            self.accept(("list@here.example", listed), scanned=False)
            self.assertEqual(self.threads.calls, calls)
            self.assertEqual(len(self.queue.added[-1].envelope.recipients), members)

    def test_success_notices_and_full_accounts_go_through_the_queue(self) -> None:
        self.accept(("alice@here.example", local("alice")), notify=frozenset({"SUCCESS"}))
        self.assertEqual(self.queued().recipients[0].options.notify, {"SUCCESS"})
        self.queue.added.clear()
        self.accept(("all@here.example", local("alice", "bob", over_quota=("id-bob",))))
        plans = [json.loads(row.plan).get("wait_for_room") for row in self.queued().recipients]
        self.assertEqual(plans, [None, True])

    def test_an_account_that_went_meanwhile_is_sorted_out_by_the_queue(self) -> None:
        self.mail.gone.add("id-bob")
        self.accept(("all@here.example", local("alice", "bob")))
        self.assertEqual(self.mail.units, [])
        self.assertEqual(len(self.queued().recipients), 2)

    def test_an_account_of_several_that_is_full_meanwhile_waits_in_the_queue(self) -> None:
        self.mail.full.add("id-bob")
        self.accept(("all@here.example", local("alice", "bob")))
        self.assertEqual(self.mail.units, [])
        self.assertEqual(len(self.queued().recipients), 2)

    def test_the_only_account_that_is_full_meanwhile_is_refused(self) -> None:
        self.mail.full.add("id-alice")
        with self.assertRaises(OverQuota):
            self.accept(("alice@here.example", local("alice")))
        self.assertEqual((self.mail.units, self.queue.added), ([], []))

    def test_no_false_success(self) -> None:
        self.mail.error = StoreUnavailable("full")
        with self.assertRaises(StoreUnavailable):
            self.accept(("alice@here.example", local("alice")))
        with self.assertRaises(ValueError):
            self.accept(("alice@here.example", Resolved(True)))

    def test_facts_are_for_mailboxes(self) -> None:
        foreign = Resolved(True, remote=("one@there.example",))
        self.accept(("one@there.example", foreign), scanned=False)
        self.assertIsNone(self.queue.added[0].facts)
        with self.assertRaises(ValueError):
            self.accept(("one@there.example", foreign), ("alice@here.example", local("alice")), scanned=False)

    def test_notify_and_orcpt_of_aliases(self) -> None:
        """RFC 3461 5.2.7: one target takes all over; of several, one."""
        wanted = frozenset({"SUCCESS", "FAILURE"})
        self.accept(("one@here.example", Resolved(True, remote=("x@there.example",))), notify=wanted)
        row = self.queued().recipients[0]
        self.assertEqual(row.options, RcptOptions(wanted, "rfc822;one@here.example"))
        self.queue.added.clear()
        several = Resolved(True, (("id-alice", "alice@here.example"),), ("x@there.example", "y@there.example"))
        self.accept(("all@here.example", several), notify=wanted, orcpt="rfc822;first@else.example")
        rows = self.queued().recipients
        self.assertEqual([row.options.notify for row in rows], [wanted, {"FAILURE"}, {"FAILURE"}])
        self.assertEqual({row.options.orcpt for row in rows}, {"rfc822;first@else.example"})
        self.queue.added.clear()
        self.accept(("all@here.example", several), notify=frozenset({"SUCCESS"}))
        self.assertEqual([row.options.notify for row in self.queued().recipients], [{"SUCCESS"}, {"NEVER"}, {"NEVER"}])

    def test_the_writer_has_a_limit(self) -> None:
        writer = self.acceptance.writer(1000)
        run_now(writer.write(b"x" * 1000))
        failed = Deferred.fromCoroutine(writer.write(b"x" * 70_000))
        self.failureResultOf(failed, LimitReached)


class ScanTests(AcceptanceCase):
    def scratch(self) -> Path:
        temporary = tempfile.TemporaryDirectory()
        self.addCleanup(temporary.cleanup)
        return Path(temporary.name)

    def test_small_messages_are_scanned_in_a_thread(self) -> None:
        self.assertEqual(run_now(self.acceptance.scan(self.blobs.stage(CONTENT))), read_facts(CONTENT))
        self.assertEqual(self.threads.calls, [("cpu", "read_facts")])

    def test_tiny_plain_ones_at_once_but_not_those_made_to_be_slow(self) -> None:
        slow = (
            b"Content-Type: multipart/mixed; boundary=b\r\n\r\n" + b"--b\r\n\r\n" * 1100,
            b"To: " + b"a@b," * 1500 + b"\r\n\r\n",
            b"To: " + b"(a)" * 2000 + b"\r\n\r\n",
            b"To: " + b"a:;" * 2000 + b"\r\n\r\n",
            b"To: no end of the header",
        )
        for content, calls in ((CONTENT, []), *((content, [("cpu", "read_facts")]) for content in slow)):
            self.threads.calls.clear()
            self.assertLessEqual(len(content), TINY)
            staged = replace(self.blobs.stage(content), content=content)
            self.assertEqual(run_now(self.acceptance.scan(staged)), read_facts(content))
            self.assertEqual(self.threads.calls, calls)

    def test_what_is_stored_is_never_scanned_at_once(self) -> None:
        async def read(offset: int, length: int) -> bytes:
            return content[offset : offset + length]

        for content in (CONTENT, CONTENT + b"x" * MIDDLE):
            self.threads.calls.clear()
            self.assertEqual(run_now(self.acceptance.scan_stored(len(content), read)), read_facts(content))
            self.assertEqual(("cpu", "read_facts") in self.threads.calls, content == CONTENT)
        self.assertEqual(len(self.processes.calls), 1)

    async def stage(self, content: bytes) -> tuple[StagedBlob, EncodedFacts]:
        writer = self.blobs.writer(len(content))
        await writer.write(content)
        return await self.acceptance.stage(writer)

    def test_tiny_ones_in_a_process_while_others_are_on_their_way(self) -> None:
        batches = Batches()
        self.acceptance = self.make(batches=batches)
        facts = read_facts(CONTENT)
        self.assertEqual(run_now(self.stage(CONTENT))[1], facts)
        self.assertEqual(batches.asked, [])  # nothing else is going on
        gate: Deferred[None] = Deferred()
        accepting = [self.accept_later(gate) for _ in range(MANY)]
        scans = [Deferred.fromCoroutine(self.stage(CONTENT)) for _ in range(2)]
        slow = CONTENT.replace(b"hello", b"," * 1000)
        self.assertEqual(run_now(self.stage(slow))[1], read_facts(slow))
        self.assertEqual([argument for argument, _ in batches.asked], [CONTENT, CONTENT])
        batches.asked[0][1].callback(("facts", (b"digest", "zstd", b"stored")))
        batches.asked[1][1].errback(Busy())
        self.assertEqual([self.successResultOf(one)[1] for one in scans], ["facts", facts])
        self.assertEqual(self.blobs.put_encoded, [None, None, (b"digest", "zstd", b"stored"), None])
        gate.callback(None)
        for one in accepting:
            self.successResultOf(one)
        self.assertEqual(run_now(self.stage(CONTENT))[1], facts)
        self.assertEqual(len(batches.asked), 2)

    def test_simple_ones_too_when_they_are_not_very_large(self) -> None:
        content = CONTENT + b"line\r\n" * SMALL
        self.assertEqual(run_now(self.acceptance.scan(self.blobs.stage(content))), read_facts(content))
        self.assertEqual(self.threads.calls[-1], ("cpu", "read_facts"))
        for hard in (b"--x\r\n" * SMALL, b""):
            content = CONTENT + hard if hard else b"Subject: no end\r\n" * SMALL
            self.assertEqual(run_now(self.acceptance.scan(self.blobs.stage(content))), read_facts(content))
        self.assertEqual(len(self.processes.calls), 2)

    def test_hyphens_do_not_make_it_slow(self) -> None:
        for line, simple in ((b"a-b-c" * 100, True), (b"--", False)):
            content = CONTENT + (line + b"\r\n") * 2000
            self.assertEqual(is_simple(content), simple)
        self.assertTrue(is_simple(CONTENT))

    def test_what_is_staged_is_scanned_beside_unless_it_is_hard_or_not_in_memory(self) -> None:
        simple = CONTENT + b"line\r\n" * SMALL
        hard = CONTENT + b"--x\r\n" * SMALL
        for content, keeps, read in ((CONTENT, True, 0), (simple, True, 0), (simple, False, 1), (hard, True, 2)):
            self.blobs.reads.clear()
            self.blobs.keeps = keeps
            writer = self.blobs.writer(len(content))
            run_now(writer.write(content))
            blob, facts = run_now(self.acceptance.stage(writer))
            self.assertEqual((blob.data, facts), (content, read_facts(content)))
            self.assertGreaterEqual(len(self.blobs.reads), read)
            self.assertEqual(bool(self.blobs.reads), bool(read))
        self.assertEqual(len(self.processes.calls), 1)

    def test_large_ones_in_a_process_a_piece_at_a_time(self) -> None:
        scratch = self.scratch()
        self.acceptance = self.make(scratch=str(scratch))
        content = CONTENT + b"--line\r\n" * 500_000
        self.assertGreater(len(content), 2 * SMALL)
        facts = run_now(self.acceptance.scan(self.blobs.stage(content)))
        self.assertEqual(facts, read_facts(content))
        self.assertEqual(len(self.processes.calls), 1)
        first, *others = self.blobs.reads
        self.assertEqual(first, (0, len(content)))  # to see whether it is simple
        self.assertEqual(max(length or 0 for _, length in others), 1024 * 1024)
        self.assertEqual(list(scratch.iterdir()), [])

    def test_what_a_crash_left_is_thrown_away(self) -> None:
        scratch = self.scratch()
        (scratch / "mailnode-scan-old").write_bytes(b"x")
        (scratch / "other").write_bytes(b"x")
        remove_scratch(scratch)
        self.assertEqual([path.name for path in scratch.iterdir()], ["other"])

    def test_what_another_process_scans_from_stays(self) -> None:
        scratch = self.scratch()
        (scratch / "mailnode-scan-neighbour").write_bytes(b"x")
        self.acceptance = self.make(scratch=str(scratch))
        run_now(self.acceptance.scan(self.blobs.stage(b"x" * 2 * SMALL)))
        self.assertEqual([path.name for path in scratch.iterdir()], ["mailnode-scan-neighbour"])

    def test_nothing_is_left_behind_after_a_failure(self) -> None:
        scratch = self.scratch()
        self.acceptance = self.make(scratch=str(scratch))

        async def broken(function: Any, *args: Any) -> Any:
            raise StoreUnavailable("died")

        self.processes.run = broken  # type: ignore[method-assign]
        scanning = Deferred.fromCoroutine(self.acceptance.scan(self.blobs.stage(b"x" * SMALL * 2)))
        self.failureResultOf(scanning, StoreUnavailable)
        self.assertEqual(list(scratch.iterdir()), [])


class Accounts:
    """What the agent asks the directory for."""

    def __init__(self) -> None:
        self.ids: set[str] = set()

    async def account(self, account_id: str) -> Account:
        if account_id not in self.ids:
            raise NoSuchAccount(account_id)
        return Account(account_id, f"{account_id}@here.example")


class LocalAgentTests(AcceptanceCase):
    def setUp(self) -> None:
        super().setUp()
        self.directory = Accounts()
        self.agent = LocalAgent(self.directory, self.mail, self.queue)  # type: ignore[arg-type]

    def claim(self, *recipients: tuple[str, Resolved]) -> Claim:
        self.accept(*recipients, notify=frozenset({"SUCCESS"}))
        submission = self.queue.added.pop()
        return Claim("token", NOW + 60, submission.envelope, submission.facts)

    def test_plans_are_applied_once_by_partition(self) -> None:
        verifyObject(IDeliveryAgent, self.agent)
        claim = self.claim(("all@here.example", local("alice", "zoe", "bob")))
        for _ in range(2):
            report = run_now(self.agent.attempt(claim))
            self.assertEqual([attempt.result for attempt in report.attempts], [SENT] * 3)
        self.assertEqual(
            [[plan.account_id for plan in unit[1]] for unit in self.mail.units][:2],
            [
                ["id-alice", "id-bob"],
                ["id-zoe"],
            ],
        )
        self.assertEqual(sorted(self.mail.copies()), ["id-alice", "id-bob", "id-zoe"])
        self.assertEqual({unit[3] for unit in self.mail.units}, {True})
        self.assertEqual(self.mail.units[0][2].internaldate, 1_700_000_000_250_000)

    def test_a_gone_account_fails_alone(self) -> None:
        claim = self.claim(("all@here.example", local("alice", "bob", "carol")))
        self.mail.gone.add("id-bob")
        report = run_now(self.agent.attempt(claim))
        results = {attempt.index: (attempt.result, attempt.status) for attempt in report.attempts}
        self.assertEqual(results, {0: (SENT, "2.0.0"), 1: (REJECTED, "5.1.1"), 2: (SENT, "2.0.0")})

    def test_an_account_that_only_its_partition_does_not_have_is_waited_for(self) -> None:
        claim = self.claim(("all@here.example", local("alice", "bob")))
        self.mail.gone.add("id-bob")
        self.directory.ids.add("id-bob")
        report = run_now(self.agent.attempt(claim))
        results = {attempt.index: (attempt.result, attempt.status) for attempt in report.attempts}
        self.assertEqual(results, {0: (SENT, "2.0.0"), 1: (DEFERRED, "4.3.0")})

    def test_an_account_that_became_full_waits_for_room_alone(self) -> None:
        claim = self.claim(("all@here.example", local("alice", "bob", "carol")))
        self.mail.full.add("id-bob")
        self.mail.gone.add("id-carol")
        report = run_now(self.agent.attempt(claim))
        results = {attempt.index: (attempt.result, attempt.status) for attempt in report.attempts}
        self.assertEqual(results, {0: (SENT, "2.0.0"), 1: (DEFERRED, "4.2.2"), 2: (REJECTED, "5.1.1")})
        self.mail.full.clear()
        rest = replace(claim, envelope=replace(claim.envelope, recipients=claim.envelope.recipients[1:2]))
        self.assertEqual(run_now(self.agent.attempt(rest)).attempts[0].result, SENT)

    def test_a_full_account_waits_for_room(self) -> None:
        claim = self.claim(("all@here.example", local("alice", "bob", over_quota=("id-bob",))))
        self.mail.usages["id-bob"] = Usage(1000, 1000, 1, 0)
        report = run_now(self.agent.attempt(claim))
        self.assertEqual(
            {(a.index, a.result, a.status) for a in report.attempts}, {(0, SENT, "2.0.0"), (1, DEFERRED, "4.2.2")}
        )
        self.mail.usages["id-bob"] = Usage(0, 1000, 1, 0)
        rest = replace(claim, envelope=replace(claim.envelope, recipients=claim.envelope.recipients[1:]))
        self.assertEqual(run_now(self.agent.attempt(rest)).attempts[0].result, SENT)

    def test_trouble_of_the_store_is_passed_on(self) -> None:
        claim = self.claim(("alice@here.example", local("alice")))
        self.mail.error = StoreUnavailable("full")
        self.failureResultOf(Deferred.fromCoroutine(self.agent.attempt(claim)), StoreUnavailable)
