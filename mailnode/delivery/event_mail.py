"""What scripts of mailboxes send, made ready for the queue, into which it goes at one stroke with what they want remembered."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field, replace

from mailnode.delivery.acceptance import queued_envelope
from mailnode.delivery.plans import copies
from mailnode.delivery.routing import RoutingTable
from mailnode.delivery.sieve_mail import (
    FilteredMail,
    NewMail,
    failure_mail,
    notification_mail,
    notification_sender,
    redirect_fields,
    senders,
)
from mailnode.errors import Refused
from mailnode.interfaces.accounts import IDirectory
from mailnode.interfaces.delivery import IDelivery, IRouter
from mailnode.interfaces.runtime import IHints
from mailnode.interfaces.sending import ISending
from mailnode.interfaces.store import IBlobs, IQueueStore
from mailnode.message.compose import message_id
from mailnode.sieve.actions import FiledCopy, NotifySomebody, RedirectMessage, RememberDuplicate, SieveAction
from mailnode.sieve.sequence import edited
from mailnode.values.address import Address, parse_address
from mailnode.values.envelope import Envelope, MailOptions, Origin, RcptOptions, Recipient
from mailnode.values.ids import new_id
from mailnode.values.plan import Judgement
from mailnode.values.queue import EnqueuedTogether, GuardedEnvelope, NewEnvelope
from mailnode.values.remembered import SEEN, TOLD, ScriptMemory, key_of
from mailnode.values.scripts import StoredScript
from mailnode.values.sending import NOTHING, Counted

TOLD_FOR = 366 * 86_400.0  # seconds for which an owner is not told again that the same script fails


@dataclass(frozen=True, slots=True)
class ScriptOwner:
    """Whose script it is, and in which session it ran, for the log."""

    account_id: str
    address: Address
    session: str


@dataclass(slots=True)
class EventSends:
    """What goes into the queue because of one message. ``filed``: mail that was sent of which a copy is to be filed too."""

    owner: ScriptOwner
    now: float
    envelopes: list[GuardedEnvelope] = field(default_factory=list)
    remembered: list[ScriptMemory] = field(default_factory=list)
    filed: list[tuple[FiledCopy, bytes]] = field(default_factory=list)
    counted: Counted = NOTHING
    recipients: list[str] = field(default_factory=list)  # keys of their addresses


class EventMail:
    """Composes, resolves and queues."""

    def __init__(
        self,
        directory: IDirectory,
        router: IRouter,
        queue: IQueueStore,
        blobs: IBlobs,
        delivery: IDelivery,
        hints: IHints,
        routing: RoutingTable,
        expires: Callable[[float, bool], float],
        hostname: str,
        sending: ISending | None = None,
    ) -> None:
        """:param expires: the queue schedule's rule: (created, null sender) -> when an envelope gets too old.
        :param sending: asked what accounts may send; None: all of it."""
        self._directory = directory
        self._router = router
        self._queue = queue
        self._blobs = blobs
        self._delivery = delivery
        self._hints = hints
        self._routing = routing
        self._expires = expires
        self._hostname = hostname
        self._sending = sending

    async def prepare(
        self, actions: Iterable[SieveAction], owner: ScriptOwner, about: FilteredMail, message: bytes, now: float
    ) -> EventSends:
        """Make ready what a script sends and remembers; nothing of it is in the queue yet.

        :param message: whole, as it came. :param now: UTC seconds. :raises DomainError: some of it cannot be sent."""
        sends = EventSends(owner, now)
        for action in actions:
            if isinstance(action, RedirectMessage):
                await self._redirect(sends, action, about, message)
            elif isinstance(action, NotifySomebody):
                await self._notify(sends, action, about)
            elif isinstance(action, RememberDuplicate):
                key = key_of(action.handle, action.id)
                sends.remembered.append(ScriptMemory(owner.account_id, SEEN, key, now + action.seconds))
        return sends

    async def enqueue(self, sends: EventSends) -> None:
        """Put it into the queue, all or nothing. :raises mailnode.errors.StoreUnavailable:"""
        if not sends.envelopes and not sends.remembered:
            return
        together = EnqueuedTogether(tuple(sends.envelopes), tuple(sends.remembered), sends.now)
        account_id = sends.owner.account_id
        try:
            await self._queue.enqueue_together(together)
        except Exception:
            if self._sending is not None:
                self._sending.give_back(account_id, sends.counted)
            raise
        if self._sending is not None:
            self._sending.sent(account_id, sends.recipients)
        recipients = [one for guarded in sends.envelopes for one in guarded.submission.envelope.recipients]
        self._hints.wake_queue(list(dict.fromkeys(one.destination for one in recipients)))

    async def tell_failure(
        self, owner: ScriptOwner, script: StoredScript, why: str, about: FilteredMail, mailbox: str, now: float
    ) -> None:
        """Tell the owner, once for each version of a script, that it fails.

        :param why: in words, with the line. :param mailbox: that the message is in. :raises mailnode.errors.DomainError:"""
        sends = EventSends(owner, now)
        envelope_id = new_id(now)
        new = self._new(envelope_id, now)
        content = failure_mail(owner.address, script.name, why, about, new, mailbox)
        once = ScriptMemory(owner.account_id, TOLD, key_of(script.name, script.digest), now + TOLD_FOR)
        await self._add(sends, envelope_id, None, [Recipient(owner.address)], content, once=once)
        await self.enqueue(sends)

    async def _redirect(self, sends: EventSends, action: RedirectMessage, about: FilteredMail, message: bytes) -> None:
        if action.from_list:
            raise Refused("5.1.1", f'there is no list "{action.address}"')
        content = redirect_fields(about.recipient) + edited(message, action.content)
        options = RcptOptions(notify=frozenset(filter(None, action.notify.split(","))))
        recipient = Recipient(parse_address(action.address), options)
        await self._add(sends, new_id(sends.now), about.sender, [recipient], content, action.ret)

    async def _notify(self, sends: EventSends, action: NotifySomebody, about: FilteredMail) -> None:
        may_send = all([await self._may_send(sends.owner, one) for one in senders(action.sender)])
        envelope_id = new_id(sends.now)
        content = notification_mail(action, about, self._new(envelope_id, sends.now), sends.owner.address, may_send)
        recipients = [Recipient(parse_address(one)) for one in action.recipients]
        await self._add(sends, envelope_id, notification_sender(action, about, may_send), recipients, content)
        if action.copy is not None:
            sends.filed.append((action.copy, content))

    async def _may_send(self, owner: ScriptOwner, address: Address) -> bool:
        return await self._directory.may_send_as(owner.account_id, address)

    def _new(self, envelope_id: str, now: float) -> NewMail:
        return NewMail(message_id(envelope_id, self._hostname), now, self._hostname)

    async def _add(
        self,
        sends: EventSends,
        envelope_id: str,
        sender: Address | None,
        recipients: list[Recipient],
        content: bytes,
        ret: str = "",
        once: ScriptMemory | None = None,
    ) -> None:
        """:raises DomainError: it leads nowhere."""
        owner = sends.owner
        held = False
        if self._sending is not None and once is None:
            for number, one in enumerate(recipients):
                admitted = await self._sending.admit(owner.account_id, one.address.key, not number)
                sends.counted = sends.counted.plus(admitted.counted)
                sends.recipients.append(one.address.key)
                held = held or admitted.held
        origin = Origin(owner.session, "local", account_id=owner.account_id, account=str(owner.address))
        options = MailOptions(body="7BIT" if content.isascii() else "8BITMIME", ret=ret)
        envelope = Envelope(envelope_id, sender, tuple(recipients), origin, sends.now, options, held=held)
        if not envelope.has_ascii_paths:
            envelope = replace(envelope, options=replace(options, smtputf8=True))
        routes = {one.address: await self._router.resolve(one.address, relay=True) for one in recipients}
        made = copies(envelope, Judgement(tuple(routes), routes))
        if not made.local and not made.remote:
            raise Refused("5.1.1", f"{recipients[0].address} leads nowhere")
        blob = await self._blobs.put(content)
        facts = await self._delivery.scan(blob) if made.local else None
        queued = queued_envelope(envelope, made, blob, self._expires, self._routing)
        sends.envelopes.append(GuardedEnvelope(NewEnvelope(queued, blob, facts), once))
