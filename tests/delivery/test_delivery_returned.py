"""Notices that come for accounts are looked at behind their delivery, a few at a time, whatever becomes of it."""

from __future__ import annotations

from collections.abc import Sequence

from delivery_fakes import Blobs, MailStore, Processes, Threads
from memory_queue import MemoryQueue
from twisted.internet.defer import Deferred
from twisted.trial.unittest import SynchronousTestCase

from mailnode.delivery.acceptance import Acceptance
from mailnode.delivery.returned import AT_ONCE, ReturnedMail
from mailnode.errors import BlobDamaged
from mailnode.message.scanner import read_facts
from mailnode.net.hints import LocalHints
from mailnode.net.no_reactor import run_now
from mailnode.values.address import parse_address
from mailnode.values.blob import StagedBlob
from mailnode.values.directory import Resolved
from mailnode.values.envelope import Envelope, Origin, Recipient
from mailnode.values.plan import Judgement
from mailnode.values.sending import FailedRecipient

ID = "06f1qgk2m8w5t7vx3yzb"
NOTICE = (
    b'Content-Type: multipart/report; boundary="b"\r\n\r\n--b\r\n\r\nIt failed.\r\n--b\r\n'
    b"Content-Type: message/delivery-status\r\n\r\nReporting-MTA: dns; x\r\n\r\nFinal-Recipient: rfc822; bob@b.example\r\n"
    b"Action: failed\r\nStatus: 5.1.1\r\n\r\n--b\r\nContent-Type: text/rfc822-headers\r\n\r\n"
    b"Received: by x id " + ID.encode() + b"; now\r\nSubject: x\r\n\r\n--b--\r\n"
)
SAID = (["id-ann"], [ID], [FailedRecipient("bob@b.example", "5.1.1", "")])


class Sending:
    """Hears what notices say."""

    def __init__(self) -> None:
        self.told: list[tuple[Sequence[str], Sequence[str], Sequence[FailedRecipient]]] = []

    async def returned(self, accounts: Sequence[str], ids: Sequence[str], failed: Sequence[FailedRecipient]) -> None:
        self.told.append((accounts, ids, failed))


class SlowSending(Sending):
    """Finds what was sent when a test says so."""

    def __init__(self) -> None:
        super().__init__()
        self.waiting: list[Deferred[None]] = []

    async def returned(self, accounts: Sequence[str], ids: Sequence[str], failed: Sequence[FailedRecipient]) -> None:
        self.waiting.append(Deferred())
        await self.waiting[-1]
        await super().returned(accounts, ids, failed)


class SlowBlobs(Blobs):
    """Blobs that are read when a test says so."""

    def __init__(self) -> None:
        super().__init__()
        self.waiting: list[Deferred[None]] = []

    async def read_staged(self, blob: StagedBlob, offset: int = 0, length: int | None = None) -> bytes:
        self.waiting.append(Deferred())
        await self.waiting[-1]
        return await super().read_staged(blob, offset, length)


class ReturnedMailTests(SynchronousTestCase):
    def accept(self, content: bytes = NOTICE, sender: str = "", blobs: Blobs | None = None) -> Sending:
        blobs, sending, threads = blobs or Blobs(), Sending(), Threads()
        acceptance = Acceptance(
            blobs,
            MailStore(),
            MemoryQueue(),
            threads,
            Processes(),
            LocalHints(),
            expires=lambda created, null: created + 5,
            returned=ReturnedMail(blobs, threads, sending).look,  # type: ignore[arg-type]
        )
        address = parse_address("ann@here.example")
        resolved = Resolved(True, (("id-ann", "ann@here.example"),))
        reverse_path = parse_address(sender) if sender else None
        envelope = Envelope("env1", reverse_path, (Recipient(address),), Origin("s", "ESMTP"), 1.0)
        judgement = Judgement((address,), {address: resolved})
        run_now(acceptance.accept(envelope, judgement, blobs.stage(content), read_facts(content)))
        return sending

    def test_what_a_notice_says_is_told(self) -> None:
        self.assertEqual(self.accept().told, [SAID])

    def test_other_mail_says_nothing(self) -> None:
        self.assertEqual(self.accept(sender="eve@b.example").told, [])
        self.assertEqual(self.accept(b"Subject: x\r\n\r\ny\r\n").told, [])

    def test_the_message_is_accepted_before_it_is_read_and_few_are_at_a_time(self) -> None:
        blobs, sending = SlowBlobs(), Sending()
        returned = ReturnedMail(blobs, Threads(), sending)  # type: ignore[arg-type]
        facts = read_facts(NOTICE)
        for _ in range(AT_ONCE + 1):
            returned.look(["id-ann"], blobs.stage(NOTICE), facts)
        self.assertEqual((len(blobs.waiting), sending.told), (AT_ONCE, []))
        for waiting in blobs.waiting:  # grows: each notice is read at two places
            waiting.callback(None)
        self.assertEqual(sending.told, [SAID] * AT_ONCE)
        returned.look(["id-ann"], blobs.stage(NOTICE), facts)
        self.assertEqual(len(blobs.waiting), 2 * AT_ONCE + 1)

    def test_few_are_looked_for_in_the_store_at_a_time(self) -> None:
        blobs, sending = Blobs(), SlowSending()
        returned = ReturnedMail(blobs, Threads(), sending)  # type: ignore[arg-type]
        facts = read_facts(NOTICE)
        for _ in range(AT_ONCE + 1):
            returned.look(["id-ann"], blobs.stage(NOTICE), facts)
        self.assertEqual(len(sending.waiting), AT_ONCE)
        sending.waiting[0].callback(None)
        self.assertEqual(sending.told, [SAID])
        returned.look(["id-ann"], blobs.stage(NOTICE), facts)
        self.assertEqual(len(sending.waiting), AT_ONCE + 1)

    def test_a_message_that_is_gone_meanwhile_is_passed_over(self) -> None:
        blobs = SlowBlobs()
        sending = self.accept(blobs=blobs)
        blobs.waiting[0].errback(BlobDamaged("gone"))
        self.assertEqual(sending.told, [])
