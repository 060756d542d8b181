"""What one try to deliver came to, as delivery agents tell the queue runner."""

from __future__ import annotations

from dataclasses import dataclass

from mailnode.values.queue import QueuedRecipient

# How a try for one recipient ended.
SENT, DEFERRED, REJECTED = "sent", "deferred", "rejected"


@dataclass(frozen=True, slots=True)
class Attempt:
    """The result for one recipient. ``status`` is an RFC 3463 code; ``reply`` one line, the remote's or ours.

    ``diagnostic``: whether ``reply`` is an SMTP reply of ``host`` (it becomes the DSN's Diagnostic-Code). ``remote_dsn``:
    the next hop took over the duty of DSNs (RFC 3461 5.2.1). ``address``: the IP address of ``host`` that was tried.
    ``verified``: TLS was used, and the certificate is that of ``host``. ``reason``: a word for it when it was not sent.
    """

    index: int
    result: str
    status: str
    reply: str
    host: str = ""
    tls: str = ""
    diagnostic: bool = False
    remote_dsn: bool = False
    address: str = ""
    verified: bool = False
    reason: str = ""  # a WaitReason


@dataclass(frozen=True, slots=True)
class AttemptReport:
    """The results for the recipients of a claim, and what the try says of the destination.

    ``reached``: a server of the destination worked with us, whatever it said about recipients. ``slow_down``: it asked
    for less, by 421 or by a complaint of too many connections or messages.
    """

    attempts: tuple[Attempt, ...]
    reached: bool = True
    slow_down: bool = False


@dataclass(frozen=True, slots=True)
class Fate:
    """What a sender may have to be told of one recipient: ``action`` is the DSN's (RFC 3464 2.3.3): "failed", "delayed",
    "delivered" or "relayed". ``retry_until`` (UTC seconds) goes with "delayed"."""

    recipient: QueuedRecipient
    action: str
    status: str
    reply: str
    host: str = ""
    diagnostic: bool = False
    retry_until: float = 0.0
