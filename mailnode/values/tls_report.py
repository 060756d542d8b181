"""How connections to the servers of other domains fared: what is counted for reports (RFC 8460), and remembered."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

DAY = 86_400  # seconds; a report is of one, UTC (RFC 8460 4.1)


def day_name(day: int) -> str:
    """Return a day, counted since 1970, as ``2026-11-23``."""
    return datetime.fromtimestamp(day * DAY, UTC).strftime("%Y-%m-%d")


# How well a connection keeps its mail secret, the worst first: not at all, from those who only listen, from all others.
PLAIN, ENCRYPTED, AUTHENTIC = "plain", "encrypted", "verified"
LEVELS = (PLAIN, ENCRYPTED, AUTHENTIC)


@dataclass(frozen=True, slots=True)
class ReportedPolicy:
    """What is published about TLS with servers, as a report says it (RFC 8460 4.4, 4.5). ``kind``: "tlsa", "sts" or
    "no-policy-found". ``domain``: who published it, in A-labels: for "tlsa" the server that has the records (RFC 8460 1.1).
    ``mx``: patterns of the hosts that a policy of "sts" names."""

    domain: str
    kind: str = "no-policy-found"
    strings: tuple[str, ...] = ()
    mx: tuple[str, ...] = ()


MAX_PLACES = 5  # to which one domain has its reports
MAX_URI = 1000  # characters of one of them
MAX_STRINGS = 16_384  # characters of a policy that are reported: what a stranger published


def reported_policy(domain: str, kind: str = "no-policy-found", strings: Sequence[str] = ()) -> ReportedPolicy:
    """Return a policy as it is reported. :param strings: the whole of it; what is too much is left out."""
    kept, left = [], MAX_STRINGS
    for string in strings:
        left -= len(string)
        if left < 0:
            break
        kept.append(string)
    mx = [string.removeprefix("mx: ") for string in kept if kind == "sts" and string.startswith("mx: ")]
    return ReportedPolicy(domain, kind, tuple(kept), tuple(mx))


@dataclass(frozen=True, slots=True)
class TlsSession:
    """How one connection for mail to a ``domain`` (in A-labels) fared, or why there could be none. ``result``: "" success, else
    by RFC 8460 4.3, and ``reason`` in words. ``host``: the MX, "" where none was come to, with the IP ``address`` it was
    called at and our own, ``source``, as far as they are known. ``level``: one of ``LEVELS``, "" without a connection."""

    domain: str
    policy: ReportedPolicy
    host: str = ""
    address: str = ""
    source: str = ""
    result: str = ""
    reason: str = ""
    level: str = ""


@dataclass(frozen=True, slots=True)
class CountedSession:
    """How many connections fared alike; ``session.level`` is not kept."""

    session: TlsSession
    count: int


@dataclass(frozen=True, slots=True)
class CollectedDay:
    """What is to be reported of a domain. ``day``: since 1970, UTC. ``due``: UTC seconds of the next try to send it, after
    ``tries``."""

    day: int
    domain: str
    due: float
    tries: int
    succeeded: int
    failed: int


@dataclass(frozen=True, slots=True)
class DueReport:
    """A report that is to be sent now, by the ``tries``-th try of which the first was ``begun``, UTC seconds. ``again``: when
    the next will be, None where this is the last."""

    day: int
    domain: str
    begun: float
    tries: int
    again: float | None


@dataclass(frozen=True, slots=True)
class Remembered:
    """How well connections to a server of a domain were encrypted of late: UTC seconds of the last one that was, at least to
    those who only listen, and to all others too; 0 for never."""

    domain: str
    host: str
    encrypted: float
    verified: float

    @property
    def level(self) -> str:
        """The best there was."""
        return AUTHENTIC if self.verified else ENCRYPTED if self.encrypted else PLAIN


@dataclass(frozen=True, slots=True)
class Downgrade:
    """A connection to a server of a domain that was encrypted worse than before. ``was``, ``now``: of ``LEVELS``. ``since``:
    when it was last as good as that; ``at``: when it was not; UTC seconds."""

    domain: str
    host: str
    address: str
    was: str
    now: str
    since: float
    at: float
    result: str
    reason: str


@dataclass(frozen=True, slots=True)
class ReportSettings:
    """Who reports. ``sender``: an ASCII address, which reports by mail come from. ``contact``: one in the same domain."""

    sender: str
    organization: str
    contact: str

    @property
    def domain(self) -> str:
        """Whose reports these are (RFC 8460 5.3), in small letters."""
        return self.sender.rpartition("@")[2].lower()


_RECORD = re.compile(rb"v=TLSRPTv1[ \t]*;")


def places(records: Sequence[bytes]) -> tuple[str, ...]:
    """Return the URIs that the TXT records of ``_smtp._tls`` name for reports (RFC 8460 3), the first few; none where they say
    that nobody wants any."""
    found = [record for record in records if _RECORD.match(record)]
    if len(found) != 1:
        return ()
    for part in found[0].decode("ascii", "replace").split(";")[1:]:
        key, _, value = part.partition("=")
        if key.strip(" \t") == "rua":
            uris = (uri.strip(" \t") for uri in value.split(","))
            return tuple(uri for uri in dict.fromkeys(uris) if _is_place(uri))[:MAX_PLACES]
    return ()


def _is_place(uri: str) -> bool:
    known = uri.lower().startswith(("mailto:", "https:"))
    return known and len(uri) <= MAX_URI and uri.isascii() and uri.isprintable()
