"""Operations that steer mail that waits: it is tried now, once more, another way, or not any more."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import TypedDict

from mailnode.admin.administration import Administration
from mailnode.admin.operations import OperationFailed, Reason, Seconds, operation
from mailnode.admin.queue import TOGETHER, State, chosen, destination_key, filter_of, no_envelope
from mailnode.values.queue import (
    BOUNCED,
    DROPPED,
    EVERYTHING,
    LAST_TRY,
    LEASED,
    WAITING,
    QueuedEnvelope,
    QueuedRecipient,
    QueueFilter,
    Steered,
    Steering,
)


class MailSteered(TypedDict):
    """How many recipients were meant."""

    recipients: int
    trying: int  # of them in a try, which ends first
    held: int  # of them held: nothing happens to them until they are released


@operation("queue.retry", changes=True)
async def queue_retry(
    admin: Administration,
    envelope_id: str | None = None,
    destination: str | None = None,
    recipient: str | None = None,
    domain: str | None = None,
    sender: str | None = None,
    older_than: Seconds | None = None,
    state: State | None = None,
    reply: str | None = None,
    reason: str | None = None,
) -> MailSteered:
    """Make waiting recipients due now: of one envelope, of one destination, those that are meant, or all."""
    which = filter_of(admin, domain, sender, older_than, state, reply, reason)
    if which == EVERYTHING and envelope_id is None:
        count = await admin.queue.retry(destination_key(destination) or None, admin.clock.seconds())
        admin.hints.wake_queue()
        return {"recipients": count, "trying": 0, "held": 0}
    if destination is not None:
        raise OperationFailed(Reason.WRONG_VALUE, "a destination is given alone")
    return await _steer(admin, envelope_id, recipient, which)


@operation("queue.expire", changes=True)
async def queue_expire(
    admin: Administration,
    envelope_id: str | None = None,
    recipient: str | None = None,
    domain: str | None = None,
    sender: str | None = None,
    older_than: Seconds | None = None,
    state: State | None = None,
    reply: str | None = None,
    reason: str | None = None,
) -> MailSteered:
    """Try once more, now; when that fails too, give up and tell the sender, as at the end of the mail's lifetime."""
    which = filter_of(admin, domain, sender, older_than, state, reply, reason)
    return await _steer(admin, envelope_id, recipient, which, given_up=LAST_TRY)


@operation("queue.reroute", changes=True)
async def queue_reroute(
    admin: Administration,
    envelope_id: str | None = None,
    to: str | None = None,
    recipient: str | None = None,
    domain: str | None = None,
    sender: str | None = None,
    older_than: Seconds | None = None,
    state: State | None = None,
    reply: str | None = None,
    reason: str | None = None,
) -> MailSteered:
    """Send on to another server, HOST or HOST:PORT, from now on, or by the routes of the configuration again."""
    which = filter_of(admin, domain, sender, older_than, state, reply, reason)
    routing = admin.routing()
    given = None if to is None else routing.by_hand(to)

    def destination(envelope: QueuedEnvelope, one: QueuedRecipient) -> str:
        sender = one.sender(envelope.reverse_path)
        return given or routing.destination(one.address.rpartition("@")[2], sender, envelope.account)

    return await _steer(admin, envelope_id, recipient, which, destination)


@operation("queue.drop", destroys=True)
async def queue_drop(
    admin: Administration,
    envelope_id: str | None = None,
    recipient: str | None = None,
    bounce: bool = False,
    domain: str | None = None,
    sender: str | None = None,
    older_than: Seconds | None = None,
    state: State | None = None,
    reply: str | None = None,
    reason: str | None = None,
) -> MailSteered:
    """Give up without another try; the sender is told only with a bounce."""
    which = filter_of(admin, domain, sender, older_than, state, reply, reason)
    if envelope_id is None or recipient is not None or bounce:
        return await _steer(admin, envelope_id, recipient, which, given_up=BOUNCED if bounce else DROPPED)
    chosen(envelope_id, which)
    (envelope,) = await _meant(admin, envelope_id, None, "", which)
    if not await admin.queue.drop(envelope_id):  # as a whole, in whatever phase it is
        raise no_envelope(envelope_id)
    return {"recipients": len(envelope.recipients), "trying": 0, "held": 0}


def _same_way(envelope: QueuedEnvelope, recipient: QueuedRecipient) -> str:
    return ""


async def _steer(
    admin: Administration,
    envelope_id: str | None,
    recipient: str | None,
    which: QueueFilter,
    destination: Callable[[QueuedEnvelope, QueuedRecipient], str] = _same_way,
    given_up: str = "",
) -> MailSteered:
    """Change what becomes of recipients: of one envelope, or those that are meant, a few envelopes at a time."""
    chosen(envelope_id, which)
    if recipient is not None and envelope_id is None:
        raise OperationFailed(Reason.WRONG_VALUE, "a recipient is one of an envelope: give that too")
    done, after = Steered(), ""
    now = admin.clock.seconds()
    while page := await _meant(admin, envelope_id, recipient, after, which):
        steps: dict[tuple[str, str], list[int]] = {}
        for envelope in page:
            for one in envelope.recipients:
                steps.setdefault((envelope.id, destination(envelope, one)), []).append(one.index)
        changes = [(one, indexes, Steering(now, way, given_up)) for (one, way), indexes in steps.items()]
        done = sum(await admin.queue.steer_several(changes), done)
        if envelope_id is not None:
            break
        after = page[-1].id
    admin.hints.wake_queue()
    return {"recipients": done.recipients, "trying": done.leased, "held": done.held}


async def _meant(
    admin: Administration, envelope_id: str | None, recipient: str | None, after: str, which: QueueFilter
) -> list[QueuedEnvelope]:
    """Return one envelope, or the next page of those that are meant, each with the recipients that are."""
    if envelope_id is None:
        return await admin.queue.envelopes(after, TOGETHER, which)
    envelope = await admin.queue.envelope(envelope_id)
    if envelope is None:
        raise no_envelope(envelope_id)
    meant = tuple(
        one
        for one in envelope.recipients
        if one.state in (WAITING, LEASED) and (recipient is None or recipient.lower() == one.address.lower())
    )
    if recipient is not None and not meant:
        raise OperationFailed(Reason.NOT_FOUND, f"{recipient}: no recipient of {envelope_id} that waits")
    return [replace(envelope, recipients=meant)]
