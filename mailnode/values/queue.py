"""The queue's records. States and transitions are documented in docs/queue.rst."""

from __future__ import annotations

import json
from dataclasses import dataclass, field

from mailnode.values.blob import BlobRef, StagedBlob
from mailnode.values.envelope import ALL_NOTICES, PLAIN_MAIL, PLAIN_RCPT, MailOptions, RcptOptions
from mailnode.values.facts import EncodedFacts
from mailnode.values.remembered import ScriptMemory

# States of one recipient. "waiting" covers new and deferred ones (next_try tells); "leased" is in a runner's hands;
# the last two are ends. A held envelope keeps its recipients' states and is not handed out.
WAITING, LEASED, DELIVERED, FAILED = "waiting", "leased", "delivered", "failed"

# What a filter may ask for besides: of a held envelope; waiting after a try.
HELD, DEFERRED = "held", "deferred"

SENT = "sent"  # what the history of what was sent is asked for; it tells DELIVERED

EVERY_DESTINATION = ""  # of a pause of the whole queue

LOCAL_DESTINATION = "."  # destination of recipients whose plan is applied in the store

# Destination of recipients that nobody is tried for, or not any more: only the end is left to be written.
GIVEN_UP_DESTINATION = "!"

# How an operator gave a recipient up: the next try is the last one, or there is none, and the sender is told, or not.
LAST_TRY, BOUNCED, DROPPED = "last try", "bounced", "dropped"


@dataclass(frozen=True, slots=True)
class QueuedRecipient:
    """One recipient of one queued envelope."""

    index: int  # unique in the envelope
    address: str  # as it goes on the wire; for local plans the address it came in for
    destination: str  # domain key, "host:port" of a next hop, either with "name/" of a route; or LOCAL_DESTINATION
    account_id: str = ""  # local plans only
    plan: str = ""  # JSON: of a local plan mailbox, flags, keywords, prefix; else "" or prefix
    options: RcptOptions = PLAIN_RCPT
    state: str = WAITING
    attempts: int = 0
    next_try: float = 0.0  # UTC seconds
    last_status: str = ""  # RFC 3463 code of the last try
    last_reply: str = ""  # the remote's reply or our reason, one line, sanitised
    last_host: str = ""
    reason: str = ""  # the WaitReason that the last try came to
    delay_told: bool = False  # a delay DSN went out
    given_up: str = ""  # LAST_TRY, BOUNCED, DROPPED; "": not by an operator
    began: float = 0.0  # when the last try began; 0.0: none did
    unsettled: int = (
        0  # tries that began since the last one that was settled: 1 in a runner's hands, more after crashes
    )

    def sender(self, reverse_path: str) -> str:
        """Return the reverse-path of this copy, which may have one of its own. :param reverse_path: of the envelope."""
        return str(json.loads(self.plan).get("sender", reverse_path)) if self.plan else reverse_path


@dataclass(frozen=True, slots=True)
class QueuedEnvelope:
    """One queued envelope with (some of) its recipients."""

    id: str
    reverse_path: str  # "" is the null sender
    blob: BlobRef
    created: float
    expires: float
    options: MailOptions = PLAIN_MAIL
    session: str = ""
    account_id: str = ""  # who submitted it; "" for other mail
    account: str = ""  # the primary address that they had then
    held: bool = False
    notices: str = ALL_NOTICES  # that may be sent to the reverse-path, see Envelope
    internaldate: int = 0
    recipients: tuple[QueuedRecipient, ...] = ()


@dataclass(frozen=True, slots=True)
class NewEnvelope:
    """What goes into the queue as one unit. ``facts`` go along when a local plan needs them."""

    envelope: QueuedEnvelope
    blob: StagedBlob
    facts: EncodedFacts | None = None


@dataclass(frozen=True, slots=True)
class GuardedEnvelope:
    """One of several that go into the queue together. ``once``: it does not go when that is remembered already, and else that is
    remembered with it."""

    submission: NewEnvelope
    once: ScriptMemory | None = None


@dataclass(frozen=True, slots=True)
class EnqueuedTogether:
    """What goes into the queue as one unit, all or none: a message, what scripts send because of it, and what is remembered in
    any case. ``now``: UTC seconds."""

    envelopes: tuple[GuardedEnvelope, ...]
    remembered: tuple[ScriptMemory, ...]
    now: float

    @property
    def rows(self) -> int:
        """About how many rows that writes."""
        recipients = sum([len(one.submission.envelope.recipients) for one in self.envelopes])
        return recipients + len(self.envelopes) + len(self.remembered)


@dataclass(frozen=True, slots=True)
class Claim:
    """Recipients of one destination handed to one runner until ``lease_until``; ``token`` fences late settlements."""

    token: str
    lease_until: float
    envelope: QueuedEnvelope  # recipients: only those claimed
    facts: EncodedFacts | None = None
    stored: bytes | None = None  # the stored form of inline content, which need not be read then


@dataclass(frozen=True, slots=True)
class Outcome:
    """How one try for one recipient ended. ``state`` is WAITING (deferred: next_try), DELIVERED or FAILED. ``moved``: it was
    queued under the first and waits under the second from now on."""

    envelope_id: str
    index: int
    state: str
    next_try: float = 0.0
    status: str = ""
    reply: str = ""
    host: str = ""
    delay_told: bool = False
    counts_as_attempt: bool = True
    given_up: str = ""  # of the recipient as it was claimed
    tried_at: float = 0.0  # UTC seconds
    address: str = ""  # IP address that was tried; "": no connection was begun
    tls: str = ""
    moved: tuple[str, str] | None = None
    reason: str = ""  # a WaitReason
    is_kept: bool = False  # whether an end stays in the history of what was sent


@dataclass(frozen=True, slots=True)
class PastAttempt:
    """What one try for one recipient came to."""

    index: int  # of the recipient
    tried_at: float  # UTC seconds
    state: str  # what it led to
    status: str
    reply: str
    host: str
    address: str
    tls: str
    reason: str = ""  # a WaitReason; "": it was sent, or ended before there were any


@dataclass(frozen=True, slots=True)
class PastRecipient:
    """What became of one recipient, told after the envelope is gone from the queue."""

    envelope_id: str
    index: int
    reverse_path: str
    created: float  # UTC seconds
    size: int  # octets of the message, which is not kept
    address: str
    destination: str
    attempts: tuple[PastAttempt, ...]  # the last tries; the last one ended it


@dataclass(frozen=True, slots=True)
class Settlement:
    """One atomic step: outcomes of a claim, and the DSNs they cause. Settled under an expired token, nothing happens."""

    token: str
    outcomes: tuple[Outcome, ...]
    bounces: tuple[NewEnvelope, ...] = field(default=())


@dataclass(frozen=True, slots=True)
class QueueFilter:
    """Which open recipients are meant: those all that is given holds for; nothing given: all. Letters count in any case."""

    domain: str | None = None  # of the recipient's address, or the destination
    sender: str | None = None  # the reverse-path, or its domain; "": the null sender
    created_before: float | None = None  # UTC seconds
    state: str | None = None  # WAITING, DEFERRED, LEASED or HELD; of the past SENT or FAILED
    reason: str | None = None  # a WaitReason
    reply: str | None = None  # stands somewhere in the last status and reply
    account: str | None = None  # the id of the account that sent it


EVERYTHING = QueueFilter()


@dataclass(frozen=True, slots=True)
class Steering:
    """What an operator does to open recipients: all that is given; they are due at ``now``, which of a try under way is after
    it. Those that are delivered here keep their destination, and so do those that no try is left for."""

    now: float  # UTC seconds
    destination: str = ""  # "": as it is
    given_up: str = ""  # LAST_TRY, BOUNCED or DROPPED; "": it goes on


@dataclass(frozen=True, slots=True)
class Steered:
    """How many recipients were steered; of them ``leased``: in a try that ends first, ``held``: nothing happens to them until
    they are released."""

    recipients: int = 0
    leased: int = 0
    held: int = 0

    def __add__(self, other: Steered) -> Steered:
        return Steered(self.recipients + other.recipients, self.leased + other.leased, self.held + other.held)


@dataclass(slots=True)
class QueueTally:
    """Open recipients, counted. ``ages``: how many came less than each of ``TALLY_AGES`` seconds ago, but not less than the
    one before; the last, how many came longer ago."""

    recipients: int = 0
    envelopes: int = 0  # they are of
    by_state: dict[str, int] = field(default_factory=lambda: {WAITING: 0, LEASED: 0})
    oldest: float | None = None  # when the oldest came, UTC seconds
    by_destination: dict[str, list[int]] = field(default_factory=dict)  # -> ages
    by_reason: dict[str, list[int]] = field(default_factory=dict)  # WaitReason -> ages


TALLY_AGES = (300, 1200, 4800, 19_200, 76_800)  # seconds


@dataclass(frozen=True, slots=True)
class DestinationLimits:
    """What a destination may have. 0: no bound of its own. ``concurrency``: tries at once; the others count messages.
    ``counted_as``: destinations with the same have this together; "": one by itself."""

    concurrency: int = 0
    per_minute: int = 0
    per_hour: int = 0
    counted_as: str = ""


UNLIMITED = DestinationLimits()


@dataclass(frozen=True, slots=True)
class DueDestination:
    """A destination with recipients to try now."""

    destination: str
    oldest: float  # when the first of them became due, the queue's seconds
