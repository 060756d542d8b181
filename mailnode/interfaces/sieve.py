"""Running filter scripts (RFC 5228) for accounts, wherever a message is: on its way in, or in a mailbox already."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence

from zope.interface import Attribute, Interface

from mailnode.sieve.facts import SieveFacts
from mailnode.sieve.questions import Question, SieveAnswer
from mailnode.sieve.sequence import SequenceOutcome
from mailnode.values.envelope import Envelope
from mailnode.values.filtered import Filtered, ScriptMail
from mailnode.values.plan import Judgement
from mailnode.values.remembered import ScriptMemory
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


class IServerScripts(Interface):
    """The scripts of the server and of its domains."""

    has_any: bool = Attribute("Whether there are any.")

    def included(name: str) -> StoredScript | None:
        """Return a script that others may include by its name (RFC 6609 3.2, ``:global``)."""

    def around(domain: str) -> tuple[Sequence[StoredScript], Sequence[StoredScript]]:
        """Return those that run before and after the script of an account. :param domain: of its address, as a key."""


class IFiltering(Interface):
    """What scripts make of messages on their way in."""

    async def filtered(
        envelope: Envelope,
        judgement: Judgement,
        size: int,
        read: Callable[[int, int], Awaitable[bytes]],
        answers_each: bool = False,
        score: float | None = None,
    ) -> Filtered:
        """Run the scripts of all accounts that a message comes to; where there are none, that costs nothing, and the message is
        not read.

        :param size: octets of the message as it will be stored, which :param read: has by offset and length.
        :param answers_each: each recipient is told by itself what became of it. :param score: how much speaks for junk;
            None: nobody looked.
        :raises mailnode.errors.StoreUnavailable: what scripts ask cannot be answered. :raises mailnode.errors.Busy: too much is to
            be done.
        """

    async def sent(account_id: str, mail: Sequence[ScriptMail], remembered: Sequence[ScriptMemory]) -> Filtered:
        """Run the scripts of accounts that mail comes to which an account's script sends of a message in a mailbox. ``judgement``
        leads to nobody. :param remembered: with it. :raises: as :meth:`filtered` does."""
