"""Reports that others make of mail from domains here, and of TLS with the servers here, as they are kept."""

from __future__ import annotations

from dataclasses import dataclass

DMARC, TLS = "dmarc", "tls"  # kinds


@dataclass(frozen=True, slots=True)
class ReceivedRow:
    """What a report says of what came from one place. ``source``: an IP address, "" where it does not say. ``about``: the domain
    in From, or of the policy of TLS. ``passed``: by DMARC, or that TLS was what it should be. ``result``: what became of
    the messages ("none", "pass", "quarantine", "reject"), or by RFC 8460 4.3. ``count``: of messages, or connections.
    ``detail``: more, in words."""

    source: str
    about: str
    passed: bool
    result: str
    count: int
    detail: str = ""


@dataclass(frozen=True, slots=True)
class ReceivedReport:
    """One report. ``identifier``: the name it has there. ``domain``: that it is about, in A-labels. ``begun``, ``ended``: UTC
    seconds. ``published``: the policy as they saw it, in words. ``left_out``: messages or connections in rows that are not
    kept. All text is what a stranger wrote, printable and bounded."""

    kind: str
    organization: str
    contact: str
    identifier: str
    domain: str
    begun: int
    ended: int
    published: str
    rows: tuple[ReceivedRow, ...]
    left_out: int = 0


@dataclass(frozen=True, slots=True)
class KeptReport:
    """A report that is kept, without its rows. ``sender``: the domain of the mail that brought it, ``verified`` whether DMARC
    vouches for that. ``received``: UTC seconds."""

    id: str
    kind: str
    organization: str
    contact: str
    identifier: str
    domain: str
    begun: int
    ended: int
    published: str
    left_out: int
    received: float
    sender: str
    verified: bool
    passed: int
    failed: int


@dataclass(frozen=True, slots=True)
class ReportedSource:
    """What reports say of one address that sends as a domain here. ``last``: UTC seconds of the end of the latest, ``report`` its
    id."""

    domain: str
    source: str
    passed: int
    failed: int
    reports: int
    last: int
    report: str
