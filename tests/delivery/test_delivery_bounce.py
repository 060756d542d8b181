"""Who is told of what, and the notice as a message of the queue."""

from __future__ import annotations

import json
from dataclasses import replace
from email import message_from_bytes
from email.message import Message
from typing import Any

from delivery_fakes import Blobs, Directory, Scanner
from memory_queue import MemoryQueue, queued
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase
from zope.interface.verify import verifyObject

from mailnode.delivery.bounce import Bouncer, is_owed
from mailnode.delivery.routing import NextHop, Route, RoutingTable, Way
from mailnode.errors import BlobDamaged, Refused, StoreUnavailable
from mailnode.interfaces.queue import IBouncer
from mailnode.message.scanner import read_facts
from mailnode.net.no_reactor import run_now
from mailnode.values.address import Address, parse_address
from mailnode.values.attempt import Fate
from mailnode.values.directory import Resolved
from mailnode.values.envelope import ALL_NOTICES, FAILURES_ALONE, MAYBE_FORGED, NO_NOTICES, MailOptions, RcptOptions
from mailnode.values.queue import LOCAL_DESTINATION, NewEnvelope, QueuedEnvelope, QueuedRecipient

NOW = 1_700_000_000.0


def fate(action: str = "failed", notify: tuple[str, ...] = (), index: int = 0, **more: Any) -> Fate:
    row = QueuedRecipient(
        index, f"user{index}@d.example", "d.example", options=RcptOptions(frozenset(notify), more.pop("orcpt", ""))
    )
    return Fate(row, action, "5.1.1", "550 5.1.1 no such user", "mx.d.example", diagnostic=True, **more)


class OwedTests(SynchronousTestCase):
    # SMTP trap 38: NOTIFY=NEVER
    def test_by_notify(self) -> None:
        table: dict[tuple[str, ...], tuple[str, ...]] = {
            (): ("failed", "delayed"),
            ("NEVER",): (),
            ("FAILURE",): ("failed",),
            ("DELAY",): ("delayed",),
            ("SUCCESS",): ("delivered", "relayed"),
            ("DELAY", "FAILURE", "SUCCESS"): ("failed", "delayed", "delivered", "relayed"),
        }
        for notify, wanted in table.items():
            owed = tuple(a for a in ("failed", "delayed", "delivered", "relayed") if is_owed(fate(a, notify)))
            self.assertEqual(owed, wanted, notify)


class ListedTests(SynchronousTestCase):
    """``notices`` of an envelope, beyond what NOTIFY asks for."""

    def told(self, notices: str, action: str, sender: str = "") -> int:
        bouncer = BouncerTests()
        bouncer.setUp()
        bouncer.directory.routes["owner@here.example"] = Resolved(True, (("id-owner", "owner@here.example"),))
        one = fate(action, ("SUCCESS", "FAILURE", "DELAY"))
        if sender:
            one = replace(one, recipient=replace(one.recipient, plan=json.dumps({"sender": sender})))
        return len(bouncer.compose(one, notices=notices))

    def test_a_list_is_told_of_failures_and_what_stands_for_its_members_of_nothing(self) -> None:
        every = ("failed", "delayed", "delivered", "relayed")
        told = ((ALL_NOTICES, every), (FAILURES_ALONE, ("failed",)), (NO_NOTICES, ()), (MAYBE_FORGED, ()))
        for notices, wanted in told:
            self.assertEqual(tuple(one for one in every if self.told(notices, one)), wanted)

    def test_the_owner_of_a_list_of_ours_is_told_of_failures(self) -> None:
        self.assertEqual(self.told(NO_NOTICES, "failed", "owner@here.example"), 1)
        self.assertEqual(self.told(NO_NOTICES, "delayed", "owner@here.example"), 0)
        self.assertEqual(self.told(MAYBE_FORGED, "failed", "owner@here.example"), 1)


class BouncerTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.clock, self.queue, self.blobs = Clock(), MemoryQueue(), Blobs()
        self.clock.advance(NOW)
        self.directory = Directory(a="alice")
        self.bouncer = self.make()
        self.queue.content = b"Subject: secret plans\r\nMessage-ID: <orig@here.example>\r\n\r\nthe body\r\n"

    def make(self, **more: Any) -> Bouncer:
        return Bouncer(
            self.directory,  # type: ignore[arg-type]
            self.queue,
            self.blobs,
            Scanner(read_facts),
            self.clock,
            hostname="mail.here.example",
            expires=lambda created, null: created + (2 if null else 5),
            **more,
        )

    def envelope(self, reverse_path: str = "alice@here.example", **more: Any) -> QueuedEnvelope:
        envelope = queued("orig", NOW - 60, reverse_path=reverse_path)
        blob = envelope.blob._replace(size=len(self.queue.content))
        return replace(envelope, blob=blob, session="sess", **more)

    def compose(self, *fates: Fate, **more: Any) -> tuple[NewEnvelope, ...]:
        made: tuple[NewEnvelope, ...] = run_now(self.bouncer.compose(self.envelope(**more), fates))
        return made

    def parts(self, submission: NewEnvelope) -> tuple[Message, list[Message]]:
        message = message_from_bytes(submission.blob.data)
        return message, message.get_payload()  # type: ignore[return-value]

    def test_a_notice_has_the_priority_of_what_it_is_about(self) -> None:
        (submission,) = self.compose(fate(), options=MailOptions(envid="x", ret="HDRS", priority=4))
        self.assertEqual(submission.envelope.options, MailOptions(priority=4))

    def test_a_notice_of_what_required_tls_requires_it_and_has_the_header_alone(self) -> None:
        for ret in ("FULL", ""):
            (submission,) = self.compose(fate(), options=MailOptions(ret=ret, tls="required"))
            self.assertEqual(submission.envelope.options, MailOptions(tls="required"))
            self.assertIn(b"secret plans", submission.blob.data)
            self.assertNotIn(b"the body", submission.blob.data)
        (submission,) = self.compose(fate(), options=MailOptions(tls="optional"))
        self.assertEqual(submission.envelope.options.tls, "optional")
        self.assertIn(b"the body", submission.blob.data)

    def test_a_member_of_a_list_is_told_of_to_its_owner_and_forwarding_to_the_sender(self) -> None:
        self.directory.routes["owner@here.example"] = Resolved(True, (("id-owner", "owner@here.example"),))
        fates = []
        for index, plan in enumerate(('{"sender":"owner@here.example"}', '{"sender":"SRS0=x=y=z=a@here.example"}', "")):
            one = fate(index=index)
            fates.append(replace(one, recipient=replace(one.recipient, plan=plan)))
        made = self.compose(*fates)
        told = {one.envelope.recipients[0].account_id: one.blob.data.count(b"Final-Recipient:") for one in made}
        self.assertEqual(told, {"id-owner": 1, "id-alice": 2})

    def test_who_sent_what_was_forwarded_here_and_came_back_is_told(self) -> None:
        class Forwarding:
            async def restored(self, recipient: Address, null_sender: bool) -> Address | None:
                if "forged" in recipient.local:
                    raise Refused("5.1.1", "no")
                known = {"SRS1=x": "SRS0=x@here.example", "SRS0=x": "far@f.example"}.get(recipient.local)
                return parse_address(known) if known and null_sender else None

        self.directory.routes["far@f.example"] = Resolved(True, remote=("far@f.example",))
        self.bouncer = self.make(forwarding=Forwarding())
        [told] = self.compose(fate(), reverse_path="SRS1=x@here.example")
        self.assertEqual([one.address for one in told.envelope.recipients], ["far@f.example"])
        self.assertIn(b"To: <far@f.example>", told.blob.data)
        self.assertEqual(self.compose(fate(), reverse_path="SRS0=forged@here.example"), ())

    def test_failure_to_a_sender_here(self) -> None:
        verifyObject(IBouncer, self.bouncer)
        (submission,) = self.compose(
            fate(orcpt="rfc822;First@d.example"), fate(index=1), options=MailOptions(envid="their-id")
        )
        envelope = submission.envelope
        self.assertEqual((envelope.reverse_path, envelope.session), ("", "sess"))
        self.assertEqual((envelope.created, envelope.expires), (NOW, NOW + 2))
        (row,) = envelope.recipients
        self.assertEqual((row.destination, row.account_id, row.next_try), (LOCAL_DESTINATION, "id-alice", NOW))
        self.assertEqual(row.options.notify, frozenset())
        self.assertEqual(submission.facts, read_facts(submission.blob.data))
        self.assertNotEqual(envelope.id, "orig")
        message, parts = self.parts(submission)
        self.assertEqual(message["To"], "<alice@here.example>")
        self.assertEqual(message.get_param("report-type"), "delivery-status")
        status = parts[1].as_string()
        for line in (
            "Original-Envelope-Id: their-id",
            "Reporting-MTA: dns; mail.here.example",
            "Original-Recipient: rfc822; First@d.example",
            "Final-Recipient: rfc822; user0@d.example",
            "Final-Recipient: rfc822; user1@d.example",
            "Action: failed",
            "Status: 5.1.1",
            "Remote-MTA: dns; mx.d.example",
            "Diagnostic-Code: smtp; 550 5.1.1 no such user",
        ):
            self.assertIn(line, status)
        self.assertEqual(parts[2].get_content_type(), "message/rfc822")
        self.assertIn("the body", parts[2].as_string())

    def test_to_a_sender_elsewhere(self) -> None:
        (submission,) = self.compose(fate(), reverse_path="Bob@There.example")
        (row,) = submission.envelope.recipients
        self.assertEqual((row.destination, row.address), ("there.example", "Bob@There.example"))
        self.assertIsNone(submission.facts)
        self.bouncer = self.make(routing=RoutingTable([Route(["*"], Way(NextHop("smart.example", 587)))]))
        (submission,) = self.compose(fate(), reverse_path="bob@there.example")
        self.assertEqual(submission.envelope.recipients[0].destination, "smart.example:587")

    # SMTP trap 38: none for the null sender
    def test_never_for_the_null_sender(self) -> None:
        for action in ("failed", "delayed", "delivered", "relayed"):
            self.assertEqual(self.compose(fate(action, ("FAILURE", "DELAY", "SUCCESS")), reverse_path=""), ())

    def test_the_reverse_path_alone_decides_not_what_a_list_or_a_program_says_of_itself(self) -> None:
        fields = b"List-Id: <l.there.example>\r\nPrecedence: bulk\r\nAuto-Submitted: auto-generated\r\n"
        self.queue.content = fields + b"Subject: x\r\n\r\nx\r\n"
        self.assertEqual(len(self.compose(fate(), reverse_path="l-bounces@there.example")), 1)
        self.assertEqual(self.compose(fate(), reverse_path=""), ())

    # SMTP trap 38: none for a notice
    def test_there_is_no_notice_about_a_notice(self) -> None:
        (notice,) = self.compose(fate())
        self.assertIn(b"\r\nAuto-Submitted: auto-replied\r\n", notice.blob.data)
        again = run_now(self.bouncer.compose(notice.envelope, [fate(notify=("FAILURE", "DELAY", "SUCCESS"))]))
        self.assertEqual(again, ())

    def test_only_those_who_ask_are_in_it(self) -> None:
        (submission,) = self.compose(fate(notify=("NEVER",)), fate(index=1), fate(notify=("SUCCESS",), index=2))
        status = self.parts(submission)[1][1].as_string()
        self.assertEqual(status.count("Final-Recipient"), 1)
        self.assertIn("user1@d.example", status)
        self.assertEqual(self.compose(fate(notify=("NEVER",))), ())

    def test_one_notice_a_kind(self) -> None:
        made = self.compose(fate(), fate("delayed", index=1, retry_until=NOW + 5), fate("delayed", index=2))
        self.assertEqual(len(made), 2)
        self.assertEqual(len({submission.envelope.id for submission in made}), 2)
        delayed = self.parts(made[1])[1]
        self.assertIn("Will-Retry-Until:", delayed[1].as_string())
        self.assertEqual(delayed[2].get_content_type(), "text/rfc822-headers")

    # SMTP trap 38: RET, and above a size the header alone
    def test_what_comes_back_of_the_message(self) -> None:
        success = fate("relayed", ("SUCCESS",))
        for what, ret, size, whole in (
            (fate(), "", 100, True),
            (fate(), "FULL", 100, True),
            (fate(), "HDRS", 100, False),
            (fate(), "FULL", 64 * 1024 + 1, False),
            (success, "FULL", 100, False),
            (fate("delayed"), "FULL", 100, False),
        ):
            self.queue.content = (b"Subject: plans\r\n\r\n" + b"the body\r\n" * size)[:size]
            (submission,) = self.compose(what, options=MailOptions(ret=ret))
            data = submission.blob.data
            self.assertIn(b"Subject: plans", data)
            self.assertEqual(b"the body" in data, whole, (what.action, ret, size))

    def test_a_message_without_a_body(self) -> None:
        self.queue.content = b"Subject: only a header\r\n"
        (submission,) = self.compose(fate(), options=MailOptions(ret="HDRS"))
        self.assertIn(b"Subject: only a header", submission.blob.data)

    def test_a_damaged_message_is_told_of_all_the_same(self) -> None:
        async def damaged(blob: Any, offset: int = 0, length: int | None = None) -> bytes:
            raise BlobDamaged

        self.queue.read = damaged  # type: ignore[method-assign]
        self.assertEqual(len(self.compose(fate())), 1)

    def test_trouble_of_the_store_is_passed_on(self) -> None:
        async def unavailable(blob: Any, offset: int = 0, length: int | None = None) -> bytes:
            raise StoreUnavailable("x")

        self.queue.read = unavailable  # type: ignore[method-assign]
        with self.assertRaises(StoreUnavailable):
            self.compose(fate())

    def test_senders_that_lead_nowhere(self) -> None:
        for sender in ("nobody@here.example", "not an address", "x@bad..example"):
            self.assertEqual(self.compose(fate(), reverse_path=sender), ())
        self.bouncer = self.make(refuse_foreign=True)
        self.assertEqual(self.compose(fate(), reverse_path="bob@there.example"), ())
        self.assertEqual(len(self.compose(fate())), 1)

    # SMTP trap 24: the notice to such a sender
    def test_an_internationalized_sender(self) -> None:
        (submission,) = self.compose(fate(), reverse_path="jürgen@there.example")
        self.assertTrue(submission.envelope.options.smtputf8)
        self.assertEqual(submission.envelope.options.body, "8BITMIME")
        (submission,) = self.compose(fate(), reverse_path="j@there.example", options=MailOptions(smtputf8=True))
        self.assertFalse(submission.envelope.options.smtputf8)
        self.assertEqual(submission.envelope.options.body, "7BIT")

    def test_words_of_strangers_stay_in_their_field(self) -> None:
        evil = replace(fate(), reply="550 no\r\nBcc: victim@d.example\r\n\r\nboo\x00")
        (submission,) = self.compose(evil, options=MailOptions(envid="a\r\nX-Evil: 1"))
        for line in submission.blob.data.split(b"\r\n"):
            self.assertFalse(line.lower().startswith((b"bcc:", b"x-evil:")), line)

    def test_a_notice_is_signed_by_the_domain_of_the_server(self) -> None:
        signer: Any = Signer()
        self.bouncer = self.make(signer=signer)
        (made,) = self.compose(fate())
        domains, envelope_id, content = signer.signed
        self.assertEqual(domains, ["mail.here.example", "here.example"])
        self.assertEqual(envelope_id, made.envelope.id)
        self.assertEqual(made.blob.content, b"DKIM-Signature: x\r\n" + content)
        self.assertIn(b"\r\nFrom: ", b"\r\n" + content)


class Signer:
    """Signs everything."""

    async def sign(self, domains: list[str], envelope_id: str, header: bytes, body: bytes) -> bytes:
        self.signed = (domains, envelope_id, header + body)
        return b"DKIM-Signature: x\r\n"
