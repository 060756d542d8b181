"""Operations on mail that waits."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Literal, TypedDict

from mailnode.admin.administration import Administration
from mailnode.admin.finding import moment
from mailnode.admin.operations import Count, OperationFailed, Reason, Seconds, operation
from mailnode.values.address import domain_key
from mailnode.values.queue import (
    EVERY_DESTINATION,
    EVERYTHING,
    FAILED,
    HELD,
    LEASED,
    SENT,
    WAITING,
    PastAttempt,
    PastRecipient,
    QueuedEnvelope,
    QueuedRecipient,
    QueueFilter,
)
from mailnode.values.reason import WaitReason

TOGETHER = 100  # envelopes changed at a time
PAGE = 500  # rows of the queue read at a time
MAX_LISTED = 10_000  # envelopes one answer holds
MAX_SHOWN = 64 * 1024  # octets of a message that are shown
ANY_NUMBER = Count(0)
State = Literal["waiting", "deferred", "leased", "held"]
ListedState = Literal["waiting", "deferred", "leased", "held", "sent", "failed"]
MAX_PAUSED = 1_000  # destinations
MAX_GROUPS = 100  # destinations, and reasons, that a summary names
REASONS = tuple(str(reason) for reason in WaitReason)
MAX_HISTORY = 10_000  # tries one answer holds


class RecipientRecord(TypedDict):
    """A recipient of an envelope that waits."""

    address: str
    destination: str
    state: str
    reason: str  # why it waits, or what the last try came to; "": it was sent, or tried before there were reasons
    attempts: int
    next_try: str
    last_status: str
    last_reply: str
    last_host: str
    given_up: str  # by an operator: "last try", "bounced", "dropped"; "": not
    ended: str  # when the try was that ended it, told once the envelope is gone
    trying_since: str  # when a try began that has no end yet, or will have none; "": there is none
    without_end: int  # tries of late that had no end: the server died


class AttemptRecord(TypedDict):
    """What a try for one recipient came to."""

    recipient: str
    time: str
    state: str  # what it led to: waiting, delivered, failed
    reason: str  # "": it was sent, or tried before there were reasons
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
    expires: str  # "": it is gone from the queue
    held: bool
    wanted_tls: str  # of all further servers: "required" (REQUIRETLS), "optional"; "": what each domain publishes
    recipients: list[RecipientRecord]


class EnvelopeDetails(EnvelopeRecord):
    """One envelope with what was tried."""

    history: list[AttemptRecord]  # by recipient and time


class WaitingGroup(TypedDict):
    """Recipients that have something in common."""

    name: str
    recipients: int
    ages: list[int]  # how many came up to 5 minutes, 20 minutes, 80 minutes, 320 minutes, 1280 minutes, or longer ago


class Summary(TypedDict):
    """What waits."""

    recipients: int
    oldest: str  # when the oldest came; "": nothing waits
    destinations: list[WaitingGroup]
    reasons: list[WaitingGroup]  # why they wait


class MessageShown(TypedDict):
    """A message, as text."""

    id: str  # of its envelope
    content: str  # what is no UTF-8 as \xff
    whole: bool  # whether this is all of it


class Pause(TypedDict):
    """What is not tried."""

    destination: str  # "": the whole queue
    since: str


class Held(TypedDict):
    """The envelope that is held."""

    held: str  # "" where they are chosen by a filter
    envelopes: int  # how many


class Released(TypedDict):
    """The envelope that goes on."""

    released: str  # "" where they are chosen by a filter
    envelopes: int  # how many


@operation("queue.list")
async def queue_list(
    admin: Administration,
    domain: str | None = None,
    sender: str | None = None,
    older_than: Seconds | None = None,
    state: ListedState | None = None,
    reply: str | None = None,
    reason: str | None = None,
    after: str = "",
    limit: Count = ANY_NUMBER,
) -> list[EnvelopeRecord]:
    """Envelopes that wait, oldest first, or that were sent or failed, latest first; with those of their recipients that are
    meant; at most :data:`MAX_LISTED`."""
    which = filter_of(admin, domain, sender, older_than, state, reply, reason)
    most = min(limit or MAX_LISTED, MAX_LISTED)
    if state in (SENT, FAILED):
        return _past_envelopes(await admin.queue.past(after, most, which))[:most]
    found: list[QueuedEnvelope] = []
    while len(found) < most:
        wanted = min(PAGE, most - len(found))
        page = await admin.queue.envelopes(after, wanted, which)
        found += page
        if len(page) < wanted:
            break
        after = page[-1].id
    paused = await admin.queue.paused()
    return [_envelope(envelope, paused) for envelope in found]


def filter_of(
    admin: Administration,
    domain: str | None,
    sender: str | None,
    older_than: int | None,
    state: str | None,
    reply: str | None,
    reason: str | None,
) -> QueueFilter:
    """:raises BadAddress: the domain is none. :raises OperationFailed: there is no such reason."""
    if reason is not None and reason not in REASONS:
        raise OperationFailed(Reason.WRONG_VALUE, f"{reason}: no reason; there are {', '.join(REASONS)}")
    return QueueFilter(
        None if domain is None else destination_key(domain),
        "" if sender == "<>" else sender or None,
        None if older_than is None else admin.clock.seconds() - older_than,
        state,
        reason,
        reply,
    )


@operation("queue.summary")
async def queue_summary(admin: Administration) -> Summary:
    """What waits, by destination and by reason, each with how old it is; the largest first, :data:`MAX_GROUPS` of each."""
    now = admin.clock.seconds()
    tally = await admin.queue.tally(now)
    return {
        "recipients": tally.recipients,
        "oldest": "" if tally.oldest is None else moment(tally.oldest),
        "destinations": _groups(tally.by_destination),
        "reasons": _groups(tally.by_reason),
    }


def _groups(counted: Mapping[str, list[int]]) -> list[WaitingGroup]:
    largest = sorted(counted.items(), key=lambda one: (-sum(one[1]), one[0]))[:MAX_GROUPS]
    return [{"name": name, "recipients": sum(ages), "ages": list(ages)} for name, ages in largest]


@operation("queue.message")
async def queue_message(admin: Administration, envelope_id: str) -> MessageShown:
    """The header and the beginning of a message that waits."""
    envelope = await admin.queue.envelope(envelope_id)
    if envelope is None and await admin.queue.past_of(envelope_id, 1):
        raise OperationFailed(Reason.NOT_FOUND, f"{envelope_id}: is gone from the queue, and its content with it")
    if envelope is None:
        raise no_envelope(envelope_id)
    content = await admin.queue.read(envelope.blob, 0, min(envelope.blob.size, MAX_SHOWN))
    text = content.decode("utf-8", "backslashreplace").replace("\r\n", "\n")
    return {"id": envelope_id, "content": text, "whole": envelope.blob.size <= MAX_SHOWN}


@operation("queue.show")
async def queue_show(admin: Administration, envelope_id: str) -> EnvelopeDetails:
    """One envelope with all its recipients, done ones included, and what their last tries came to."""
    envelope = await admin.queue.envelope(envelope_id)
    if envelope is None:
        past = await admin.queue.past_of(envelope_id, MAX_HISTORY)
        if not past:
            raise no_envelope(envelope_id)
        tries = [_attempt(one, recipient.address) for recipient in past for one in recipient.attempts]
        return {**_past_envelopes(past)[0], "history": tries[:MAX_HISTORY]}
    tried = await admin.queue.history(envelope_id, MAX_HISTORY)
    addresses = {recipient.index: recipient.address for recipient in envelope.recipients}
    history = [_attempt(one, addresses[one.index]) for one in tried if one.index in addresses]
    return {**_envelope(envelope, await admin.queue.paused()), "history": history}


@operation("queue.pause", changes=True)
async def queue_pause(admin: Administration, destination: str | None = None) -> list[Pause]:
    """Try nothing for a destination, or nothing at all, until it is resumed; return all pauses. Tries under way end."""
    meant = destination_key(destination)
    if meant != EVERY_DESTINATION and len(await admin.queue.paused()) >= MAX_PAUSED:
        raise OperationFailed(Reason.CONFLICT, "too much is paused: pause the whole queue")
    await admin.queue.pause(meant, admin.clock.seconds())
    return _pauses(await admin.queue.paused())


@operation("queue.resume", changes=True)
async def queue_resume(admin: Administration, destination: str | None = None) -> list[Pause]:
    """End the pause of a destination, or of the whole queue; return the pauses that are left."""
    if not await admin.queue.resume(destination_key(destination)):
        raise OperationFailed(Reason.NOT_FOUND, f"{destination or 'the queue'}: is not paused")
    admin.hints.wake_queue()
    return _pauses(await admin.queue.paused())


def destination_key(given: str | None) -> str:
    """:raises BadAddress: it is neither a domain nor a next hop, with or without a route's name."""
    if not given:
        return EVERY_DESTINATION
    name, slash, key = given.rpartition("/")
    return name + slash + (key if ":" in key else domain_key(key))  # host:port is a next hop


def _pauses(paused: Mapping[str, float]) -> list[Pause]:
    return [{"destination": name, "since": moment(since)} for name, since in sorted(paused.items())]


@operation("queue.hold", changes=True)
async def queue_hold(
    admin: Administration,
    envelope_id: str | None = None,
    domain: str | None = None,
    sender: str | None = None,
    older_than: Seconds | None = None,
    state: State | None = None,
    reply: str | None = None,
    reason: str | None = None,
) -> Held:
    """Keep from being tried until they are released: an envelope, or all that have a recipient that is meant."""
    which = chosen(envelope_id, filter_of(admin, domain, sender, older_than, state, reply, reason))
    return {"held": envelope_id or "", "envelopes": await _hold(admin, envelope_id, which, True)}


@operation("queue.release", changes=True)
async def queue_release(
    admin: Administration,
    envelope_id: str | None = None,
    domain: str | None = None,
    sender: str | None = None,
    older_than: Seconds | None = None,
    reply: str | None = None,
) -> Released:
    """Let go on what is held: an envelope, or all that have a recipient that is meant."""
    which = chosen(envelope_id, filter_of(admin, domain, sender, older_than, None, reply, None))
    released = await _hold(admin, envelope_id, replace(which, state=HELD), False)
    admin.hints.wake_queue()
    return {"released": envelope_id or "", "envelopes": released}


def chosen(envelope_id: str | None, which: QueueFilter) -> QueueFilter:
    """:raises OperationFailed: not either an envelope or something of a filter is given."""
    if (envelope_id is None) == (which == EVERYTHING):
        raise OperationFailed(Reason.WRONG_VALUE, "give an envelope, or what its recipients have in common")
    return which


async def _hold(admin: Administration, envelope_id: str | None, which: QueueFilter, held: bool) -> int:
    """Hold or release; return how many envelopes. A few at a time, whose units share a sync."""
    if envelope_id is not None:
        if not await admin.queue.hold(envelope_id, held):
            raise no_envelope(envelope_id)
        return 1
    after, total = "", 0
    while page := await admin.queue.envelopes(after, TOGETHER, which):
        total += await admin.queue.hold_several([envelope.id for envelope in page], held)
        after = page[-1].id
    return total


def no_envelope(envelope_id: str) -> OperationFailed:
    return OperationFailed(Reason.NOT_FOUND, f"{envelope_id}: no such envelope in the queue")


def _envelope(envelope: QueuedEnvelope, paused: Mapping[str, float]) -> EnvelopeRecord:
    return {
        "id": envelope.id,
        "sender": envelope.reverse_path,
        "size": envelope.blob.size,
        "created": moment(envelope.created),
        "expires": moment(envelope.expires),
        "held": envelope.held,
        "wanted_tls": envelope.options.tls,
        "recipients": [
            _recipient(recipient, _reason(envelope, recipient, paused)) for recipient in envelope.recipients
        ],
    }


def _attempt(attempt: PastAttempt, recipient: str) -> AttemptRecord:
    return {
        "recipient": recipient,
        "time": moment(attempt.tried_at),
        "state": attempt.state,
        "reason": attempt.reason,
        "status": attempt.status,
        "reply": attempt.reply,
        "host": attempt.host,
        "address": attempt.address,
        "tls": attempt.tls,
    }


def _past_envelopes(past: Sequence[PastRecipient]) -> list[EnvelopeRecord]:
    """Return what is left of envelopes that are gone from the queue, in the order of their recipients."""
    found: dict[str, EnvelopeRecord] = {}
    for recipient in past:
        envelope = found.setdefault(
            recipient.envelope_id,
            {
                "id": recipient.envelope_id,
                "sender": recipient.reverse_path,
                "size": recipient.size,
                "created": moment(recipient.created),
                "expires": "",
                "held": False,
                "wanted_tls": "",
                "recipients": [],
            },
        )
        envelope["recipients"].append(_past_recipient(recipient))
    return list(found.values())


def _past_recipient(recipient: PastRecipient) -> RecipientRecord:
    last = recipient.attempts[-1]
    return {
        "address": recipient.address,
        "destination": recipient.destination,
        "state": last.state,
        "reason": last.reason,
        "attempts": len(recipient.attempts),
        "next_try": "",
        "last_status": last.status,
        "last_reply": last.reply,
        "last_host": last.host,
        "given_up": "",
        "ended": moment(last.tried_at),
        "trying_since": "",
        "without_end": 0,
    }


def _reason(envelope: QueuedEnvelope, recipient: QueuedRecipient, paused: Mapping[str, float]) -> str:
    """Return why a recipient waits; of one that has come to its end, what the last try came to."""
    if recipient.state in (WAITING, LEASED):
        if envelope.held:
            return WaitReason.DAMAGED if recipient.reason == WaitReason.DAMAGED else WaitReason.HELD
        if EVERY_DESTINATION in paused or recipient.destination in paused:
            return WaitReason.PAUSED
        return recipient.reason or (WaitReason.OTHER if recipient.attempts else WaitReason.NEW)
    return recipient.reason


def _recipient(recipient: QueuedRecipient, reason: str) -> RecipientRecord:
    lost = recipient.unsettled - (recipient.state == LEASED)
    return {
        "address": recipient.address,
        "destination": recipient.destination,
        "state": recipient.state,
        "reason": reason,
        "attempts": recipient.attempts,
        "next_try": moment(recipient.next_try),
        "last_status": recipient.last_status,
        "last_reply": recipient.last_reply,
        "last_host": recipient.last_host,
        "given_up": recipient.given_up,
        "ended": "",
        "trying_since": moment(recipient.began) if recipient.unsettled else "",
        "without_end": lost,
    }
