"""What accounts may send, and to whom."""

from __future__ import annotations

from collections.abc import Sequence

from zope.interface import Interface

from mailnode.values.sending import Suppression


class ISuppressions(Interface):
    """Recipients that bounced for an account, and those it is not let send to any more. A recipient is an address' key."""

    async def suppressed(account_id: str, recipient: str, now: float) -> Suppression | None:
        """Return what stands against a recipient now, None where nothing does."""

    async def bounced(
        account_id: str, recipient: str, status: str, reply: str, now: float, after: int, seconds: float
    ) -> Suppression:
        """Note a bounce. With the ``after``-th it is suppressed for so many seconds, with each that follows, once that time
        has passed, for twice as long as before, 90 days at most. It is remembered for 30 days more."""

    async def suppress(account_id: str, recipient: str, now: float, until: float) -> Suppression:
        """Suppress a recipient because an operator wants it."""

    async def listed(account_id: str) -> Sequence[Suppression]:
        """All that bounced or are suppressed, by recipient; the store keeps the last 5,000 of an account."""

    async def remove(account_id: str, recipient: str) -> bool:
        """Forget a recipient with its bounces; False where there is nothing of it."""

    async def sweep(now: float) -> int:
        """Forget those whose time has passed; return how many."""


class ISending(Interface):
    """What accounts send: one object of a server asks and counts."""

    async def admit(account_id: str, recipient: str) -> None:
        """Say whether an account may send to a recipient, an address' key.

        :raises mailnode.errors.Refused: it may not, and why.
        """

    async def bounced(account_id: str, recipient: str, status: str, reply: str) -> None:
        """A recipient's server refused the mail of an account for good. :param status: RFC 3463."""
