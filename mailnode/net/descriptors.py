"""How the file descriptors of a process are shared out, so that a crowd of connections leaves the store what it needs."""

from __future__ import annotations

import contextlib
import os
import resource
from dataclasses import dataclass

KEPT_BACK = 80  # for what threads open for a moment, log, control socket, helper processes
OF_DATABASE = 10  # for idle read connections and the checkpoint's of one SQLite file, with their logs
OF_CONNECTION = 2  # a socket, and the file of the message that comes in
WEB = 20  # http connections at a time
DNS = 200  # questions at a time, at most
OUTGOING = 2  # connections for each that may be in use: as many are kept for a while
DESTINATIONS = 1050  # first connections to so many destinations at a time, where the limit allows it
FEW = 512  # descriptors, of those beyond which one in eight is for these
LEAST = 10  # connections taken however low the limit is
UNKNOWN = 150  # open ones, where /proc is not to be seen: twice what a server with four partitions has

_UNBOUNDED = 1 << 20  # what is believed of a limit that is none


@dataclass(frozen=True, slots=True)
class Shares:
    """``connections`` of all mail listeners of a process and ``outgoing`` connections in use, at a time, beside the first to
    each of so many ``destinations``. ``scarce``: the limit is too low to keep back enough."""

    limit: int
    connections: int
    outgoing: int
    destinations: int
    scarce: bool


def raise_limit() -> int:
    """Raise the soft limit on open files to the hard one, where that is allowed; return it."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft != hard:
        with contextlib.suppress(OSError, ValueError):  # a sandbox may forbid it
            resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    return limit()


def limit() -> int:
    """How many descriptors this process may have."""
    soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    return _UNBOUNDED if soft == resource.RLIM_INFINITY else soft


def in_use() -> int:
    """How many descriptors this process has open. Looks at each of them."""
    try:
        return len(os.listdir("/proc/self/fd"))
    except OSError:
        return UNKNOWN


def dns_at_once(most: int | None = None) -> int:
    """Return how many questions to DNS may be under way. :param most: descriptors; None: of this process."""
    return max(1, min(DNS, (limit() if most is None else most) // 8))


def share(most: int, used: int, store: int, outgoing: int) -> Shares:
    """Share ``most`` descriptors out, ``used`` of which are open before there is any connection.

    :param store: what the store may yet open. :param outgoing: connections in use that are wanted; 0: none are made.
    """
    outgoing = min(outgoing, max(1, most // 16))
    destinations = max(1, min(DESTINATIONS, (most - FEW) // 8)) if outgoing else 0
    left = most - used - KEPT_BACK - store - WEB - OUTGOING * outgoing - destinations - dns_at_once(most)
    connections = left // OF_CONNECTION
    return Shares(most, max(LEAST, connections), outgoing, destinations, connections < LEAST)
