"""The one door into mailboxes and queue: what passed it is durable, for all recipients or none.

Two ways through. Few recipients, all in one partition of this server: one unit places the message. Anything else: one
unit puts envelope and plans into the queue, and each account applies its own plan afterwards, idempotently.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from functools import partial
from typing import cast

from twisted.logger import Logger
from zope.interface import implementer

from mailnode.delivery.local import log_delivered
from mailnode.delivery.plans import MANY_COPIES, Copies, copies, leads_to_many, queued_recipients
from mailnode.delivery.routing import RoutingTable
from mailnode.delivery.scratch import remove, scratch_file
from mailnode.errors import Busy, NoSuchAccount, OverQuota
from mailnode.interfaces.delivery import IDelivery
from mailnode.interfaces.runtime import IBatches, IHints, IProcesses, IThreads
from mailnode.interfaces.store import IBlobs, IBlobWriter, IMailStore, IQueueStore
from mailnode.message.scanner import read_facts
from mailnode.values.blob import EncodedContent, StagedBlob
from mailnode.values.envelope import Envelope
from mailnode.values.events import emit
from mailnode.values.facts import EncodedFacts
from mailnode.values.filtered import Filtered, ScriptMail
from mailnode.values.mailbox import NewMessage
from mailnode.values.plan import Judgement
from mailnode.values.queue import EnqueuedTogether, GuardedEnvelope, NewEnvelope, QueuedEnvelope
from mailnode.values.reading import ReadMessage

_log = Logger()

_Scanned = tuple[EncodedFacts, EncodedContent]  # what the functions of the batches return
_Staged = dict[int, tuple[StagedBlob, EncodedFacts | None]]  # by the identity of contents, which many mails share

MAX_DIRECT = 50  # copies placed by one unit
MANY = 2  # other messages on their way to disk, from which on another process scans the tiny ones
TINY = 8 * 1024  # octets up to which a plain message is scanned at once: a way to a thread and back costs more
PLAIN_LINES = 20  # lines that may be boundaries, of a plain message at most
PLAIN_MARKS = 200  # commas, semicolons and comments in a plain message's header block at most
SMALL = 256 * 1024  # octets up to which a message is scanned in a thread
MIDDLE = 4 * 1024 * 1024  # octets up to which one is scanned in a thread when it is simple
SIMPLE_HEADER = 64 * 1024  # octets of a simple message's header block at most
SIMPLE_LINES = 1000  # lines that may be boundaries, of a simple message at most
PIECE = 1024 * 1024  # octets of a large message that are in memory at a time
HEADER_ROOM = 64 * 1024  # octets that trace and policy fields may add to a message of the largest size


@implementer(IDelivery)
class Acceptance:
    """Takes accepted messages."""

    def __init__(
        self,
        blobs: IBlobs,
        mail: IMailStore,
        queue: IQueueStore,
        threads: IThreads,
        processes: IProcesses,
        hints: IHints,
        *,
        expires: Callable[[float, bool], float],
        routing: RoutingTable | None = None,
        scratch: str | None = None,
        batches: IBatches | None = None,
        returned: Callable[[Sequence[str], StagedBlob, EncodedFacts], None] | None = None,
        taken: Callable[[Envelope, StagedBlob, EncodedFacts], None] | None = None,
    ) -> None:
        """:param blobs: where new messages are written; mail partitions and queue must both be able to take them over.
        :param expires: the queue schedule's rule: (created, null sender) -> when an envelope gets too old.
        :param routing: where foreign mail goes; None: by MX. :param scratch: directory for the copies that large
            messages are scanned from; None: the system's.
        :param batches: runs ``read_facts`` and what the blob store encodes with in another process; None where there is
            no second core for it.
        :param returned: told of messages from the null sender, and of the accounts they are for.
        :param taken: told of all messages for mailboxes here."""
        self._taken = taken
        self._returned = returned
        self._blobs = blobs
        self._mail = mail
        self._queue = queue
        self._threads = threads
        self._processes = processes
        self._hints = hints
        self._expires = expires
        self._routing = routing or RoutingTable()
        self._scratch = scratch
        self._batches = batches
        self._under_way = 0  # messages that are scanned or placed at the moment

    def writer(self, size: int) -> IBlobWriter:
        """Where a new message is written."""
        return self._blobs.writer(size + HEADER_ROOM)

    async def scan(self, blob: StagedBlob) -> EncodedFacts:
        """Compute facts: at once when the message is tiny and plain, in a thread when it is small or simple, else in
        another process."""
        if blob.content and blob.ref.size <= TINY and is_trivial(blob.content):
            return read_facts(blob.content)
        return await self.scan_stored(blob.ref.size, partial(self._blobs.read_staged, blob))

    async def scan_stored(self, size: int, read: Callable[[int, int], Awaitable[bytes]]) -> EncodedFacts:
        """Compute facts, never in this thread. :param read: returns octets by offset and length."""
        if size <= MIDDLE:
            content = await read(0, size)
            if is_quick(content):
                return await self._threads.run("cpu", read_facts, content)
        file = await self._threads.run("disk", scratch_file, self._scratch)
        try:
            for offset in range(0, size, PIECE):
                piece = await read(offset, PIECE)
                await self._threads.run("disk", file.write, piece)
            await self._threads.run("disk", file.close)
            return await self._processes.run(scan_file, file.name)
        finally:
            await self._threads.run("disk", remove, file)

    async def stage(self, writer: IBlobWriter, reading: ReadMessage | None = None) -> tuple[StagedBlob, EncodedFacts]:
        """Finish a message and scan it: beside hashing and compression when it is neither tiny nor hard."""
        if reading is not None:
            return await self._blobs.put(writer.take(), reading.encoded), reading.facts
        if writer.size <= TINY:
            return await self._stage_tiny(writer.take())
        blob, facts = await writer.finish_with(facts_if_quick)
        return blob, await self.scan(blob) if facts is None else facts

    async def _stage_tiny(self, content: bytes) -> tuple[StagedBlob, EncodedFacts]:
        """Scan and encode at once when little else is going on, which is soonest; else let another core do it."""
        if self._batches is not None and self._under_way >= MANY and is_trivial(content):
            self._under_way += 1
            try:
                facts, encoded = cast(_Scanned, await self._batches.run(content))
            except Busy:
                pass  # it died, is behind, or could not scan this one
            else:
                return await self._blobs.put(content, encoded), facts
            finally:
                self._under_way -= 1
        blob = await self._blobs.put(content)
        return blob, await self.scan(blob)

    async def accept(
        self, envelope: Envelope, judgement: Judgement, blob: StagedBlob, facts: EncodedFacts | None
    ) -> None:
        """Make the message durable; see :class:`IDelivery`. :raises ValueError: no recipient leads anywhere."""
        self._under_way += 1
        try:
            made = await self._copies(envelope, judgement)
            if not made.local and not made.remote:
                raise ValueError("no recipients")
            if made.local and facts is None:
                raise ValueError("mail for a mailbox without facts")
            direct = self._is_direct(made) and not envelope.held
            if facts is None or not direct or not await self._place(envelope, made, blob, facts):
                await self._enqueue(envelope, made, blob, facts)
        finally:
            self._under_way -= 1
        self._tell_taken(envelope, made, blob, facts)

    async def accept_filtered(
        self, envelope: Envelope, filtered: Filtered, blob: StagedBlob | None, facts: EncodedFacts | None
    ) -> None:
        """See :class:`IDelivery`."""
        envelopes = []
        made = await self._copies(envelope, filtered.judgement)
        if blob is not None and (made.local or made.remote):
            envelopes.append(GuardedEnvelope(await self._submission(envelope, made, blob, facts)))
        staged: _Staged = {}
        for mail in filtered.mail:
            submission = await self._script_mail(mail, blob, facts, staged)
            if submission is not None:
                envelopes.append(GuardedEnvelope(submission, mail.once))
        now = envelope.received_at
        left = await self._queue.enqueue_together(EnqueuedTogether(tuple(envelopes), filtered.remembered, now))
        self._tell_added([one.submission for one in envelopes if one.submission.envelope.id not in left])
        if blob is not None:
            self._tell_taken(envelope, made, blob, facts)

    async def _script_mail(
        self, mail: ScriptMail, blob: StagedBlob | None, facts: EncodedFacts | None, staged: _Staged
    ) -> NewEnvelope | None:
        """Return what a script sends, as the queue keeps it; None: it leads nowhere. :param blob: the message that came."""
        made = await self._copies(mail.envelope, mail.judgement)
        if not made.local and not made.remote:
            return None
        if mail.content is not None:
            blob, facts = staged.get(id(mail.content)) or (await self._blobs.put(mail.content), None)
            if made.local and facts is None:
                facts = await self.scan(blob)
            staged[id(mail.content)] = blob, facts
        if blob is None:
            raise ValueError("a message that was not kept is sent on")
        return await self._submission(mail.envelope, made, blob, facts)

    def _tell_taken(self, envelope: Envelope, made: Copies, blob: StagedBlob, facts: EncodedFacts | None) -> None:
        if not made.local or facts is None:
            return
        if self._returned is not None and envelope.reverse_path is None:
            self._returned([copy.plan.account_id for copy in made.local], blob, facts)
        if self._taken is not None:
            self._taken(envelope, blob, facts)

    async def _copies(self, envelope: Envelope, judgement: Judgement) -> Copies:
        many = leads_to_many(judgement)
        return await self._threads.run("cpu", copies, envelope, judgement) if many else copies(envelope, judgement)

    async def _submission(
        self, envelope: Envelope, made: Copies, blob: StagedBlob, facts: EncodedFacts | None
    ) -> NewEnvelope:
        of = envelope, made, blob, self._expires, self._routing
        many = len(made.remote) + len(made.local) > MANY_COPIES
        queued = await self._threads.run("cpu", queued_envelope, *of) if many else queued_envelope(*of)
        return NewEnvelope(queued, blob, facts if made.local else None)

    async def _enqueue(self, envelope: Envelope, made: Copies, blob: StagedBlob, facts: EncodedFacts | None) -> None:
        submission = await self._submission(envelope, made, blob, facts)
        await self._queue.enqueue(submission)
        self._tell_added([submission])

    def _tell_added(self, submissions: Sequence[NewEnvelope]) -> None:
        """Log what the queue has taken, and have it looked at."""
        for submission in submissions:
            queued = submission.envelope
            emit(
                _log,
                "queue.added",
                envelope=queued.id,
                sender=queued.reverse_path,
                recipients=len(queued.recipients),
                size=submission.blob.ref.size,
                session=queued.session,
            )
        self._hints.wake_queue(
            list(dict.fromkeys(row.destination for one in submissions for row in one.envelope.recipients))
        )

    def _is_direct(self, made: Copies) -> bool:
        """Whether one unit can place all copies: nothing has to wait, and nobody to be told of success."""
        if made.remote or len(made.local) > MAX_DIRECT:
            return False
        for copy in made.local:
            if copy.wait_for_room or "SUCCESS" in copy.options.notify:
                return False
        return len(made.local) == 1 or len({self._mail.partition(copy.plan.account_id) for copy in made.local}) == 1

    async def _place(self, envelope: Envelope, made: Copies, blob: StagedBlob, facts: EncodedFacts) -> bool:
        """Place all copies by one unit; False when an account of several is gone or full meanwhile, or the only one is gone:
        the queue sorts that out. :raises OverQuota: the only one is full meanwhile."""
        message = NewMessage(blob, facts, internaldate(envelope.received_at))
        plans = [copy.plan for copy in made.local]
        try:
            delivered = await self._mail.deliver(envelope.id, plans, message, applied_once=False)
        except NoSuchAccount:
            return False
        except OverQuota:
            if len(plans) == 1:
                raise
            return False
        log_delivered(envelope.id, plans, delivered)
        return True


def queued_envelope(
    envelope: Envelope, made: Copies, blob: StagedBlob, expires: Callable[[float, bool], float], routing: RoutingTable
) -> QueuedEnvelope:
    """Return an envelope as the queue keeps it, due now."""
    created = envelope.received_at
    reverse_path = str(envelope.reverse_path) if envelope.reverse_path is not None else ""
    return QueuedEnvelope(
        id=envelope.id,
        reverse_path=reverse_path,
        blob=blob.ref,
        created=created,
        expires=expires(created, envelope.reverse_path is None),
        options=envelope.options,
        session=envelope.origin.session,
        account_id=envelope.origin.account_id,
        account=envelope.origin.account,
        held=envelope.held,
        notices=envelope.notices,
        internaldate=internaldate(created),
        recipients=queued_recipients(made, created, routing, reverse_path, envelope.origin.account),
    )


def internaldate(seconds: float) -> int:
    """UTC seconds as the microseconds of INTERNALDATE."""
    return int(seconds * 1_000_000)


def is_trivial(content: bytes) -> bool:
    """Whether a tiny message is scanned in well under a millisecond. One made to be slow takes 40 ms, which nobody else's
    session should wait for."""
    end = content.find(b"\r\n\r\n")
    marks = content.count(b",", 0, end) + content.count(b";", 0, end) + content.count(b"(", 0, end)
    return end >= 0 and marks <= PLAIN_MARKS and content.count(b"\r\n--") <= PLAIN_LINES


def is_quick(content: bytes) -> bool:
    """Whether a message can be scanned in a thread."""
    return len(content) <= SMALL or (len(content) <= MIDDLE and is_simple(content))


def facts_if_quick(content: bytes) -> EncodedFacts | None:
    """Return the facts of a message that can be scanned in a thread, else None."""
    return read_facts(content) if is_quick(content) else None


def is_simple(content: bytes) -> bool:
    """Whether scanning is quick however long the message is: searching for boundaries lets other threads run soon
    enough, reading headers and parts does not."""
    if content.find(b"\r\n\r\n", 0, SIMPLE_HEADER) < 0:
        return False
    return _has_few(content, b"-", 2 * SIMPLE_LINES) or content.count(b"\r\n--") <= SIMPLE_LINES


def _has_few(content: bytes, octet: bytes, most: int) -> bool:
    """Whether an octet comes ``most`` times or less. To find a single octet where there are few is ten times faster than
    to count it, or to count several at a time: base64, which most of a large message is, has no hyphens."""
    position = -1
    for _ in range(most + 1):
        position = content.find(octet, position + 1)
        if position < 0:
            return True
    return False


def scan_file(path: str) -> EncodedFacts:
    """Compute the facts of a message in a file; runs in another process."""
    with open(path, "rb") as file:
        return read_facts(file.read())
