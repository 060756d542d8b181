"""Between the queue runner and those who deliver for it."""

from __future__ import annotations

from collections.abc import Sequence

from zope.interface import Interface

from mailnode.values.attempt import AttemptReport, Fate
from mailnode.values.queue import Claim, NewEnvelope, QueuedEnvelope


class IDeliveryAgent(Interface):
    """Delivers what the runner has claimed: to other servers, or into mailboxes here."""

    async def attempt(claim: Claim) -> AttemptReport:
        """Try once for every recipient of the claim; one result each. What it raises counts as temporary trouble."""


class IBouncer(Interface):
    """Writes the notices senders are owed (RFC 3461, RFC 3464)."""

    async def compose(envelope: QueuedEnvelope, fates: Sequence[Fate]) -> tuple[NewEnvelope, ...]:
        """Return one DSN for each kind of fate among recipients of one envelope; empty when nobody is to be told: the null
        sender, NOTIFY, or a reverse-path that leads nowhere.

        :raises mailnode.errors.DomainError: it cannot be written now.
        """
