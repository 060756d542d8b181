"""A message that is judged to see what would become of it, and what came of that. Nothing is delivered or learnt."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from mailnode.values.address import Address
from mailnode.values.policy import PolicyAnswer


@dataclass(frozen=True, slots=True)
class TriedMail:
    """``peer``: the client's IP address. ``helo``: what it calls itself. ``reverse_path`` None is the null sender. ``size``: octets
    of the message, lines ending as they may. ``read`` returns some of them, by offset and length; fewer at their end."""

    peer: str
    helo: str
    reverse_path: Address | None
    recipients: tuple[Address, ...]
    size: int
    read: Callable[[int, int], Awaitable[bytes]]


@dataclass(frozen=True, slots=True)
class TriedAnswer:
    """What a policy answered. ``recipient``: about whom it was asked, at stage "rcpt"; else ""."""

    answer: PolicyAnswer
    recipient: str = ""


@dataclass(frozen=True, slots=True)
class TriedRefusal:
    """A reply that would have ended it, or one recipient of it. ``policy``: whose it is; "": no policy's. ``recipient``: "":
    everybody."""

    stage: str
    policy: str
    recipient: str
    reply: str


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
    ``stage`` and ``policy``: where it was refused, and by whom; "" where no policy did. ``refusals``: all there would have been had
    each before been passed over. ``score``: what counts for all recipients, of all policies; from ``junk_at`` on it is junk, from
    ``refuse_at`` on refused. ``header``: fields on top of everybody's copy."""

    outcome: str
    reply: str
    stage: str
    policy: str
    score: float
    answers: tuple[TriedAnswer, ...]
    recipients: tuple[TriedRecipient, ...]
    header: bytes
    refusals: tuple[TriedRefusal, ...] = ()
    lookups: tuple[TriedLookup, ...] = ()
    junk_at: float = 0.0
    refuse_at: float = 0.0
