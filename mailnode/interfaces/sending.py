"""What accounts may send, and to whom."""

from __future__ import annotations

from collections.abc import Sequence

from zope.interface import Interface

from mailnode.values.sending import Admitted, Counted, FailedRecipient, Loud, Standing, Suppression


class ISuppressions(Interface):
    """Recipients that bounced for an account, and those it is not let send to any more. A recipient is an address' key."""

    async def suppressed(account_id: str, recipient: str, now: float) -> Suppression | None:
        """Return what stands against a recipient now, None where nothing does."""

    async def bounced(
        account_id: str, recipient: str, status: str, reply: str, now: float, after: int, seconds: float
    ) -> Suppression:
        """Note a bounce. With the ``after``-th it is suppressed for so many seconds, with each that follows, once that time
        has passed, for twice as long as before, 90 days at most. It is remembered for 30 days more."""

    async def returned(
        account_ids: Sequence[str], envelope_ids: Sequence[str], recipient: str, now: float
    ) -> Sequence[tuple[str, str, str]]:
        """Note that mail to a recipient came back, after its server had taken it, which one of the accounts had sent in one of
        the envelopes; return (envelope, account, address) of what is known to have been sent so, each once."""

    async def suppress(account_id: str, recipient: str, now: float, until: float) -> Suppression:
        """Suppress a recipient because an operator wants it."""

    async def listed(account_id: str) -> Sequence[Suppression]:
        """All that bounced or are suppressed, by recipient; the store keeps the last 5,000 of an account."""

    async def remove(account_id: str, recipient: str) -> bool:
        """Forget a recipient with its bounces; False where there is nothing of it."""

    async def sweep(now: float) -> int:
        """Forget those whose time has passed; return how many."""


class ISentCounts(Interface):
    """What accounts sent, and to whom: counts that may be lost. Written without sync; no mail waits on it."""

    async def standing(account_id: str, now: float) -> Standing:
        """What an account sent of late. What is counted at once after this is counted on top of it."""

    def count(account_id: str, counted: Counted, now: float) -> None:
        """Add to what an account sent."""

    async def knows(account_id: str, recipient: str) -> bool:
        """Whether an account has sent to a recipient, an address' key, in the last 400 days."""

    def met(account_id: str, recipients: Sequence[str], now: float) -> None:
        """Note that an account sent to recipients."""

    async def set_loud(account_id: str, since: float, held: bool) -> None:
        """Note since when an account sends unusually much, and whether its mail waits for an operator."""

    async def sweep(now: float) -> int:
        """Forget what is too old; return how much."""


class IAlarm(Interface):
    """What is done about an account that sends unusually much."""

    async def hold(account_id: str) -> None:
        """Hold what the account has in the queue. :raises mailnode.errors.StoreUnavailable:"""

    async def tell(loud: Loud) -> None:
        """Tell postmaster of the account's domain. :raises mailnode.errors.DomainError: nobody could be told."""


class ISending(Interface):
    """What accounts send: one object of a server asks and counts."""

    async def admit(account_id: str, recipient: str, first: bool) -> Admitted:
        """Count a recipient, an address' key, of a message of an account. :param first: of this message.

        :raises mailnode.errors.Refused: the account may not send to it, or not now; why. Nothing was counted.
        """

    def give_back(account_id: str, counted: Counted) -> None:
        """Take back what was counted for a message that was not taken."""

    def sent(account_id: str, recipients: Sequence[str]) -> None:
        """A message to these was taken: they are strangers to the account no more."""

    async def bounced(account_id: str, recipient: str, status: str, reply: str) -> None:
        """A recipient's server refused the mail of an account for good. :param status: RFC 3463."""

    async def returned(
        account_ids: Sequence[str], envelope_ids: Sequence[str], failures: Sequence[FailedRecipient]
    ) -> None:
        """A notice came for accounts, which anybody may have written: it says that what may be envelopes of theirs failed."""
