"""What the daily look needs besides the checks: something to remember by, and a way to tell."""

from __future__ import annotations

from zope.interface import Interface


class IKeptRecord(Interface):
    """A small record that is kept over restarts, whole or not at all."""

    async def read() -> bytes:
        """Return it; b"" when there is none. :raises OSError:"""

    async def write(content: bytes) -> None:
        """Replace it; it is durable then. :raises OSError:"""


class INewsMail(Interface):
    """Mail of the server's own to who looks after it."""

    async def send(envelope_id: str, to: str, subject: str, lines: list[str], created: float) -> None:
        """Queue a message; once more with the same id is the same message, which comes once. ``created``: UTC seconds.

        :param to: "": postmaster of the first domain; beside it accounts of administrators get it. :raises
            mailnode.errors.DomainError: all of them lead nowhere, or it cannot be queued.
        """
