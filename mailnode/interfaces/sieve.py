"""Running filter scripts (RFC 5228) for accounts, wherever a message is: on its way in, or in a mailbox already."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence

from zope.interface import Interface

from mailnode.sieve.facts import SieveFacts
from mailnode.sieve.questions import Question, SieveAnswer
from mailnode.sieve.sequence import SequenceOutcome
from mailnode.values.scripts import StoredScript


class IScriptAnswers(Interface):
    """What scripts may ask of the world."""

    def of(account_id: str) -> Callable[[Question], Awaitable[SieveAnswer | StoredScript]]:
        """Return what answers the questions of one run for an account; a script that is to be included as its source.

        What is returned raises :class:`~mailnode.errors.StoreUnavailable`: nobody can say at the moment."""


class ISieve(Interface):
    """Runs scripts."""

    async def run(account_id: str, scripts: Sequence[StoredScript], facts: SieveFacts) -> SequenceOutcome:
        """Run scripts on a message for an account, one behind the other (:mod:`mailnode.sieve.sequence`), without holding up
        the reactor, whatever the size of either. Nothing is done of what they say, or remembered.

        A script that cannot be compiled, or fails, is told of in the outcome. :raises mailnode.errors.StoreUnavailable: what
        one asks cannot be answered. :raises mailnode.errors.Busy: too much is to be done at the moment."""
