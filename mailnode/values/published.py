"""What this server publishes about itself and its domains, so that other servers and mail programs find and trust it."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field

# Names that programs look for their settings under, with a domain behind them.
CLIENT_HOSTS = ("autoconfig", "autodiscover")

# Labels of services in SRV records (RFC 6186 3, RFC 8314 5.1, RFC 5804 1.8), with the protocol and the kind of TLS each stands for.
SERVICES: Mapping[str, tuple[str, str]] = {
    "submissions": ("submission", "implicit"),
    "submission": ("submission", "starttls"),
    "imaps": ("imap", "implicit"),
    "imap": ("imap", "starttls"),
    "pop3s": ("pop3", "implicit"),
    "pop3": ("pop3", "starttls"),
    "sieve": ("managesieve", "starttls"),
}


@dataclass(frozen=True, slots=True)
class DnsRecord:
    """One record. ``name`` is a full name in A-labels without trailing dot. ``value``: the text of a TXT record in one
    piece; of others the words of a zone file, host names without trailing dot, "." for none."""

    name: str
    type: str
    value: str
    why: str  # what it is for, for a person


@dataclass(frozen=True, slots=True)
class OwnStsPolicy:
    """The MTA-STS policy of our domains (RFC 8461 3.2)."""

    mode: str  # "testing", "enforce" or "none"
    max_age: int  # seconds
    hostname: str

    @property
    def text(self) -> str:
        """What the policy host answers."""
        lines = ("version: STSv1", f"mode: {self.mode}", f"mx: {self.hostname}", f"max_age: {self.max_age}", "")
        return "\r\n".join(lines)

    @property
    def id(self) -> str:
        """What the record calls this policy (RFC 8461 3.1): another one when its content is another."""
        return hashlib.sha256(self.text.encode("ascii")).hexdigest()[:20]


@dataclass(frozen=True, slots=True)
class Published:
    """What is the same for every domain."""

    hostname: str
    addresses: tuple[str, ...] = ()  # at which others reach it; empty: not known
    services: Mapping[str, int] = field(default_factory=dict)  # a label of SERVICES -> the port
    key_digests: tuple[str, ...] = ()  # SHA-256 of the public keys of certificates in use, in hexadecimal
    certificate_names: tuple[str, ...] = ()  # that certificates here are for, lower case; a wildcard begins with "*."
    sts: OwnStsPolicy | None = None  # None: nothing serves it
    dmarc: str = "quarantine"  # what others are asked to do with mail that is not ours
    reports_to: str = ""  # the address that reports go to; "": postmaster of each domain
    issuers: Mapping[str, str] = field(default_factory=dict)  # by a certificate's name: its issuer's organization
    clients: int = 0  # the port at which programs find their settings by https; 0: nothing shows them
    relays: tuple[str, ...] = ()  # hosts that mail leaves through instead of by MX records
