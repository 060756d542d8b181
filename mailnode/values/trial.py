"""A message that is judged to see what would become of it, and what came of that. Nothing is delivered or learnt."""

from __future__ import annotations

from dataclasses import dataclass

from mailnode.values.address import Address
from mailnode.values.policy import PolicyAnswer


@dataclass(frozen=True, slots=True)
class TriedMail:
    """``peer``: the client's IP address. ``helo``: what it calls itself. ``reverse_path`` None is the null sender. ``content``: the
    message, lines ending as they may."""

    peer: str
    helo: str
    reverse_path: Address | None
    recipients: tuple[Address, ...]
    content: bytes


@dataclass(frozen=True, slots=True)
class TriedAnswer:
    """What a policy answered. ``recipient``: about whom it was asked, at stage "rcpt"; else ""."""

    answer: PolicyAnswer
    recipient: str = ""


@dataclass(frozen=True, slots=True)
class TriedLookup:
    """One question to DNS. ``records``: as text, a few of them. ``failure``: why there are none, "" where the answer was good.
    ``seconds``: how long it took."""

    type: str
    name: str
    records: tuple[str, ...]
    failure: str
    seconds: float


@dataclass(frozen=True, slots=True)
class TriedRecipient:
    """What would become of one recipient's copy.

    ``outcome``: "inbox", "junk", the mailbox that a policy names, "discard", "refuse" or "defer". ``reply``: what the client hears
    where it is one of the last two. ``header``: fields on top of this copy alone.
    """

    address: str
    outcome: str
    reply: str = ""
    header: bytes = b""


@dataclass(frozen=True, slots=True)
class Tried:
    """``outcome``: "inbox", "junk", "mixed" (not the same for all), "held", "refuse" or "defer", with the ``reply`` to the client.
    ``stage`` and ``policy``: where it was refused, and by whom; "" where no policy did. ``score``: what counts for all recipients;
    from ``junk_at`` on it is junk, from ``refuse_at`` on refused. ``header``: fields on top of everybody's copy."""

    outcome: str
    reply: str
    stage: str
    policy: str
    score: float
    answers: tuple[TriedAnswer, ...]
    recipients: tuple[TriedRecipient, ...]
    header: bytes
    lookups: tuple[TriedLookup, ...] = ()
    junk_at: float = 0.0
    refuse_at: float = 0.0
