"""Programs beside the server that are asked about mail: connections to them, and requests over HTTP.

All of it ends early when the Deferred that waits for it is cancelled; who opened a connection closes it in any case.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from zope.interface import Attribute, Interface

from mailnode.values.program import ProgramEndpoint


class ProgramFailed(Exception):
    """A program could not be asked, or gave no answer to use; the text says why, for the log."""


class FailedBefore(ProgramFailed):
    """It was asked about the same, failed, and that was told: it is not asked again."""


class IProgramLink(Interface):
    """One connection to a program. What comes is kept up to a bound, beyond which nothing is read from the transport."""

    answered = Attribute(
        "bool: something has come, or the program ended the connection: who still writes need not go on"
    )
    ended = Attribute("bool: the connection is gone; writes are dropped")

    async def write(data: bytes) -> None:
        """Send octets; return when the connection takes more."""

    async def read(largest: int) -> bytes:
        """Return what comes next, 1 to so many octets; nothing when the connection has ended."""

    def close() -> None:
        """Close behind what was written; at once when the program does not take that. No error if it is gone."""

    def abort() -> None:
        """Close at once. No error if it is gone."""


@dataclass(frozen=True, slots=True)
class HttpPost:
    """``headers``: names and values, which have no control characters. ``read`` gives ``size`` octets of content by offset and
    length. ``largest``: octets that the content of the answer may have."""

    endpoint: ProgramEndpoint
    path: str
    headers: tuple[tuple[str, bytes], ...]
    size: int
    read: Callable[[int, int], Awaitable[bytes]]
    largest: int = 1_048_576


@dataclass(frozen=True, slots=True)
class HttpAnswer:
    """What a program said over HTTP."""

    code: int
    content: bytes


class IPrograms(Interface):
    """Programs beside the server, on this machine or near it."""

    async def connect(endpoint: ProgramEndpoint, seconds: float) -> IProgramLink:
        """Connect. :param seconds: for one address. :raises ProgramFailed:"""

    async def post(request: HttpPost, seconds: float) -> HttpAnswer:
        """Return the answer, whatever its code is. Without TLS: for programs on loopback and in one's own network.

        :param seconds: for all of it. :raises ProgramFailed:
        """
