"""Operations on mail that waits."""

from __future__ import annotations

from typing import TypedDict

from mailnode.admin.administration import Administration
from mailnode.admin.finding import moment
from mailnode.admin.operations import OperationFailed, Reason, operation
from mailnode.values.address import domain_key
from mailnode.values.queue import LEASED, PastAttempt, QueuedEnvelope, QueuedRecipient

PAGE = 500  # rows of the queue read at a time
MAX_LISTED = 10_000  # envelopes one answer holds
MAX_HISTORY = 10_000  # tries one answer holds


class RecipientRecord(TypedDict):
    """A recipient of an envelope that waits."""

    address: str
    destination: str
    state: str
    attempts: int
    next_try: str
    last_status: str
    last_reply: str
    last_host: str
    trying_since: str  # when a try began that has no end yet, or will have none; "": there is none
    without_end: int  # tries of late that had no end: the server died


class AttemptRecord(TypedDict):
    """What a try for one recipient came to."""

    recipient: str
    time: str
    state: str  # what it led to: waiting, delivered, failed
    status: str
    reply: str
    host: str
    address: str  # "": no connection was begun
    tls: str


class EnvelopeRecord(TypedDict):
    """An envelope that waits; times are UTC as 2026-11-23T02:15:00Z."""

    id: str
    sender: str  # "": the null sender
    size: int  # octets
    created: str
    expires: str
    held: bool
    recipients: list[RecipientRecord]


class EnvelopeDetails(EnvelopeRecord):
    """One envelope with what was tried."""

    history: list[AttemptRecord]  # by recipient and time


class MadeDue(TypedDict):
    """How many will be tried now."""

    recipients: int


class Held(TypedDict):
    """The envelope that is held."""

    held: str


class Released(TypedDict):
    """The envelope that goes on."""

    released: str


class Dropped(TypedDict):
    """The envelope that was removed."""

    dropped: str


@operation("queue.list")
async def queue_list(admin: Administration) -> list[EnvelopeRecord]:
    """All envelopes that wait, oldest first; at most :data:`MAX_LISTED`."""
    found: list[QueuedEnvelope] = []
    after = ""
    while len(found) < MAX_LISTED:
        page = await admin.queue.envelopes(after, PAGE)
        found += page
        if len(page) < PAGE:
            break
        after = page[-1].id
    return [_envelope(envelope) for envelope in found[:MAX_LISTED]]


@operation("queue.show")
async def queue_show(admin: Administration, envelope_id: str) -> EnvelopeDetails:
    """One envelope with all its recipients, done ones included, and what their last tries came to."""
    envelope = await admin.queue.envelope(envelope_id)
    if envelope is None:
        raise _no_envelope(envelope_id)
    tried = await admin.queue.history(envelope_id, MAX_HISTORY)
    addresses = {recipient.index: recipient.address for recipient in envelope.recipients}
    history = [_attempt(one, addresses[one.index]) for one in tried if one.index in addresses]
    return {**_envelope(envelope), "history": history}


@operation("queue.retry", changes=True)
async def queue_retry(admin: Administration, envelope_id: str | None = None, destination: str | None = None) -> MadeDue:
    """Make waiting recipients due now: of one envelope, of one destination, or all."""
    if envelope_id is not None and await admin.queue.envelope(envelope_id) is None:
        raise _no_envelope(envelope_id)
    if destination is not None:
        destination = domain_key(destination)
    count = await admin.queue.retry(envelope_id, destination, admin.clock.seconds())
    admin.hints.wake_queue()
    return {"recipients": count}


@operation("queue.hold", changes=True)
async def queue_hold(admin: Administration, envelope_id: str) -> Held:
    """Keep an envelope from being tried until it is released."""
    if not await admin.queue.hold(envelope_id, True):
        raise _no_envelope(envelope_id)
    return {"held": envelope_id}


@operation("queue.release", changes=True)
async def queue_release(admin: Administration, envelope_id: str) -> Released:
    """Let a held envelope go on."""
    if not await admin.queue.hold(envelope_id, False):
        raise _no_envelope(envelope_id)
    admin.hints.wake_queue()
    return {"released": envelope_id}


@operation("queue.drop", destroys=True)
async def queue_drop(admin: Administration, envelope_id: str) -> Dropped:
    """Remove an envelope; nobody is told."""
    if not await admin.queue.drop(envelope_id):
        raise _no_envelope(envelope_id)
    return {"dropped": envelope_id}


def _no_envelope(envelope_id: str) -> OperationFailed:
    return OperationFailed(Reason.NOT_FOUND, f"{envelope_id}: no such envelope in the queue")


def _envelope(envelope: QueuedEnvelope) -> EnvelopeRecord:
    return {
        "id": envelope.id,
        "sender": envelope.reverse_path,
        "size": envelope.blob.size,
        "created": moment(envelope.created),
        "expires": moment(envelope.expires),
        "held": envelope.held,
        "recipients": [_recipient(recipient) for recipient in envelope.recipients],
    }


def _attempt(attempt: PastAttempt, recipient: str) -> AttemptRecord:
    return {
        "recipient": recipient,
        "time": moment(attempt.tried_at),
        "state": attempt.state,
        "status": attempt.status,
        "reply": attempt.reply,
        "host": attempt.host,
        "address": attempt.address,
        "tls": attempt.tls,
    }


def _recipient(recipient: QueuedRecipient) -> RecipientRecord:
    lost = recipient.unsettled - (recipient.state == LEASED)
    return {
        "address": recipient.address,
        "destination": recipient.destination,
        "state": recipient.state,
        "attempts": recipient.attempts,
        "next_try": moment(recipient.next_try),
        "last_status": recipient.last_status,
        "last_reply": recipient.last_reply,
        "last_host": recipient.last_host,
        "trying_since": moment(recipient.began) if recipient.unsettled else "",
        "without_end": lost,
    }
