"""What a script is told: the message, its envelope, the time, and what runs it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, tzinfo


@dataclass(frozen=True, slots=True)
class EnvelopeFacts:
    """The envelope (RFC 5228 5.4). ``parts``: what extensions add to it, by the name that the test envelope has for it."""

    sender: str  # "" for the null reverse-path
    recipient: str
    parts: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class SieveFacts:
    """One message, for one account."""

    message: bytes  # header block and body, lines ended by CRLF
    envelope: EnvelopeFacts
    now: float  # UTC seconds since 1970
    zone: tzinfo = UTC  # of the account
    environment: Mapping[str, str] = field(default_factory=dict)  # RFC 5183 4.1
    own_addresses: frozenset[str] = frozenset()  # of the account, in lower case (RFC 5230 4.5)
    mailbox: str = "INBOX"  # where keep puts it
    spam: float | None = None  # from 0, none, to 1, no doubt; None: nobody looked (RFC 5235 2)
    virus: int | None = None  # from 1, clear, to 5, infected; None: nobody looked (RFC 5235 3)
    flags: tuple[str, ...] = ()  # it has already (RFC 6785 4.4)
    is_delivery: bool = True  # it is not in a mailbox yet; else RFC 6785 3.8 says what may be done
