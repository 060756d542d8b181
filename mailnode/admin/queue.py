"""Operations on mail that waits."""

from __future__ import annotations

from typing import Any

from mailnode.admin.administration import Administration
from mailnode.admin.finding import moment
from mailnode.admin.operations import NOT_FOUND, CommandFailed, command
from mailnode.values.address import domain_key
from mailnode.values.queue import QueuedEnvelope, QueuedRecipient

PAGE = 500  # rows of the queue read at a time
MAX_LISTED = 10_000  # envelopes one answer holds


@command("queue.list")
async def queue_list(admin: Administration) -> Any:
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


@command("queue.show")
async def queue_show(admin: Administration, envelope_id: str) -> Any:
    """One envelope with all its recipients, done ones included."""
    envelope = await admin.queue.envelope(envelope_id)
    if envelope is None:
        raise _no_envelope(envelope_id)
    return _envelope(envelope)


@command("queue.retry", changes=True)
async def queue_retry(admin: Administration, envelope_id: str | None = None, destination: str | None = None) -> Any:
    """Make waiting recipients due now: of one envelope, of one destination, or all."""
    if envelope_id is not None and await admin.queue.envelope(envelope_id) is None:
        raise _no_envelope(envelope_id)
    if destination is not None:
        destination = domain_key(destination)
    count = await admin.queue.retry(envelope_id, destination, admin.clock.seconds())
    admin.hints.wake_queue()
    return {"recipients": count}


@command("queue.hold", changes=True)
async def queue_hold(admin: Administration, envelope_id: str) -> Any:
    """Keep an envelope from being tried until it is released."""
    if not await admin.queue.hold(envelope_id, True):
        raise _no_envelope(envelope_id)
    return {"held": envelope_id}


@command("queue.release", changes=True)
async def queue_release(admin: Administration, envelope_id: str) -> Any:
    """Let a held envelope go on."""
    if not await admin.queue.hold(envelope_id, False):
        raise _no_envelope(envelope_id)
    admin.hints.wake_queue()
    return {"released": envelope_id}


@command("queue.drop", destroys=True)
async def queue_drop(admin: Administration, envelope_id: str) -> Any:
    """Remove an envelope; nobody is told."""
    if not await admin.queue.drop(envelope_id):
        raise _no_envelope(envelope_id)
    return {"dropped": envelope_id}


def _no_envelope(envelope_id: str) -> CommandFailed:
    return CommandFailed(NOT_FOUND, f"{envelope_id}: no such envelope in the queue")


def _envelope(envelope: QueuedEnvelope) -> dict[str, Any]:
    return {
        "id": envelope.id,
        "sender": envelope.reverse_path,
        "size": envelope.blob.size,
        "created": moment(envelope.created),
        "expires": moment(envelope.expires),
        "held": envelope.held,
        "recipients": [_recipient(recipient) for recipient in envelope.recipients],
    }


def _recipient(recipient: QueuedRecipient) -> dict[str, Any]:
    return {
        "address": recipient.address,
        "destination": recipient.destination,
        "state": recipient.state,
        "attempts": recipient.attempts,
        "next_try": moment(recipient.next_try),
        "last_status": recipient.last_status,
        "last_reply": recipient.last_reply,
        "last_host": recipient.last_host,
    }
