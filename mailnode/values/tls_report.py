"""How connections to the servers of other domains fared: what is counted for reports (RFC 8460), and remembered."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

DAY = 86_400  # seconds; a report is of one, UTC (RFC 8460 4.1)

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
