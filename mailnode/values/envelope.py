"""The envelope of RFC 5321 2.3.1 and where it came from."""

from __future__ import annotations

from dataclasses import dataclass, field

from mailnode.values.address import Address


@dataclass(frozen=True, slots=True)
class Recipient:
    """One forward-path with its RFC 3461 parameters.

    ``notify`` holds any of ``SUCCESS FAILURE DELAY`` or only ``NEVER``; empty means not given.
    ``orcpt`` is the decoded ``addr-type;address`` or None.
    """

    address: Address
    notify: frozenset[str] = frozenset()
    orcpt: str | None = None


@dataclass(frozen=True, slots=True)
class Origin:
    """Who handed the message over: goes into Received, into policies and into the log."""

    session: str
    protocol: str  # RFC 3848 keyword: SMTP ESMTP ESMTPS ESMTPSA ESMTPA LMTP UTF8SMTPS ...; "local" for our own DSNs
    peer: str = ""  # the client's IP address, no port; "" for ourselves
    helo: str = ""
    tls: str = ""  # e.g. "TLSv1.3 TLS_AES_256_GCM_SHA384"; "" without TLS
    account_id: str = ""  # of the authenticated submitter; "" otherwise


@dataclass(frozen=True, slots=True)
class Envelope:
    """One mail transaction. ``reverse_path`` None is the null sender ``<>``."""

    id: str
    reverse_path: Address | None
    recipients: tuple[Recipient, ...]
    origin: Origin
    received_at: float  # UTC seconds
    body: str = "7BIT"  # or 8BITMIME
    smtputf8: bool = False
    ret: str = ""  # FULL, HDRS or "" (RFC 3461 4.3)
    envid: str = ""  # decoded (RFC 3461 4.4)
    tags: dict[str, str] = field(default_factory=dict)  # verdicts of policies, for the log and for delivery
    trace: bytes = b""  # whole fields of policies, known only after the content: on top of each copy placed here
