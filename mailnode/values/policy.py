"""Verdicts of policies and what a policy is shown. Verdicts are data: the chain decides, nobody replies on the spot."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field

from mailnode.values.address import Address
from mailnode.values.envelope import Envelope, Origin, Recipient
from mailnode.values.plan import AS_IT_IS, RecipientPlan

STAGES = ("connect", "helo", "mail", "rcpt", "message")


@dataclass(frozen=True, slots=True)
class Verdict:
    """``action``: "pass" (no opinion), "accept" (skip later policies of this stage), "defer" (4xx), "refuse" (5xx).

    ``status`` is an RFC 3463 code; ``text`` one line for the peer; ``tags`` are added to the envelope;
    ``headers`` are complete field lines with CRLF to stand on top of the message. ``plan`` is what is to become of the
    copies: at stage "rcpt" of that recipient's, else of everybody's. ``hold``: the message waits in the queue, for all its
    recipients, until an operator releases it.
    """

    action: str = "pass"
    status: str = ""
    text: str = ""
    tags: dict[str, str] = field(default_factory=dict)
    headers: tuple[bytes, ...] = ()
    plan: RecipientPlan = AS_IT_IS
    hold: bool = False


PASS = Verdict()


@dataclass(frozen=True, slots=True)
class PolicyRequest:
    """What is known at a stage. ``header`` is the message's header block at stage "message" (CRLF, limit 1 MiB), ``size``
    the octets of the message there, before that what the client says, and ``read`` returns octets of it, by offset and
    length; fewer only at its end."""

    stage: str
    origin: Origin
    reverse_path: Address | None = None
    recipient: Recipient | None = None
    envelope: Envelope | None = None
    header: bytes = b""
    size: int = 0
    submission: bool = False  # an authenticated user's message
    read: Callable[[int, int], Awaitable[bytes]] | None = None  # at stage "message"
