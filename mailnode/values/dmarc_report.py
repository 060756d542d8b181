"""What reports of DMARC say (RFC 9990): those that are made here."""

from __future__ import annotations

from dataclasses import dataclass

from mailnode.values.dmarc import FoundRecord, Identifier


@dataclass(frozen=True, slots=True)
class DmarcSeen:
    """What came of a message that says it is from ``author``, for the domain that has the record (``found``). ``source``: the
    client's IP address. ``reverse_path``: its domain, "" for the null sender. ``disposition``: "pass", or what its failing came
    to, "none", "quarantine" or "reject"; ``override``: why that is not what is asked for, by RFC 9990 3.1.6, with a ``comment``.
    ``dkim``, ``spf``: whether one of that kind passes in alignment. ``identifiers``: all that was found."""

    found: FoundRecord
    source: str
    author: str
    reverse_path: str
    disposition: str
    dkim: bool
    spf: bool
    override: str = ""
    comment: str = ""
    identifiers: tuple[Identifier, ...] = ()


@dataclass(frozen=True, slots=True)
class CountedSeen:
    """Of how many messages the same came."""

    seen: DmarcSeen
    count: int


@dataclass(frozen=True, slots=True)
class DmarcDay:
    """What is to be reported to a domain. ``day``: since 1970, UTC. ``due``: UTC seconds of the next try to send it, after
    ``tries``. ``left_out``: messages that are not told of, for want of room."""

    day: int
    domain: str
    due: float
    tries: int
    passed: int
    failed: int
    left_out: int
