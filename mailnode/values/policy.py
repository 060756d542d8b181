"""Verdicts of policies and what a policy is shown. Verdicts are data: the chain decides, nobody replies on the spot."""

from __future__ import annotations

from dataclasses import dataclass, field

from mailnode.values.address import Address
from mailnode.values.envelope import Envelope, Origin, Recipient

STAGES = ("connect", "helo", "mail", "rcpt", "message")


@dataclass(frozen=True, slots=True)
class Verdict:
    """``action``: "pass" (no opinion), "accept" (skip later policies of this stage), "defer" (4xx), "refuse" (5xx).

    ``status`` is an RFC 3463 code; ``text`` one line for the peer; ``tags`` are added to the envelope;
    ``headers`` are complete field lines with CRLF to stand on top of the message.
    """

    action: str = "pass"
    status: str = ""
    text: str = ""
    tags: dict[str, str] = field(default_factory=dict)
    headers: tuple[bytes, ...] = ()


PASS = Verdict()


@dataclass(frozen=True, slots=True)
class PolicyRequest:
    """What is known at a stage. ``header`` is the message's header block at stage "message" (CRLF, limit 1 MiB)."""

    stage: str
    origin: Origin
    reverse_path: Address | None = None
    recipient: Recipient | None = None
    envelope: Envelope | None = None
    header: bytes = b""
    size: int = 0
    submission: bool = False  # an authenticated user's message
