"""What was found out about who a message is from, by SPF, DKIM, DMARC or ARC (RFC 8601)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple


class AuthenticationResult(NamedTuple):
    """What one method found. ``method``: "arc", "dkim", "dmarc", "spf" ... ``result``: a word of RFC 8601 2.7, "pass" or "fail"
    or ... ``properties``: what it was found about, such as ``("header.d", "example.org")``; values as they came, of whatever
    characters. ``reason``: for people, in ASCII; "" none."""

    method: str
    result: str
    properties: tuple[tuple[str, str], ...] = ()
    reason: str = ""


@dataclass(frozen=True, slots=True)
class BodyDigest:
    """The SHA-256 of a message's body in one form (RFC 6376 3.4.3 and 3.4.4). ``octets``: of that form."""

    digest: bytes
    octets: int


@dataclass(frozen=True, slots=True)
class ChainVerdict:
    """What a chain of ARC comes to. ``sealers``: the domains of those who sealed, the first one first; () where it does not
    hold."""

    result: AuthenticationResult
    sealers: tuple[str, ...] = ()
