"""What a session asks of policies: about its client, once, and about each message."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from types import MappingProxyType
from typing import NamedTuple

from mailnode.interfaces.delivery import IReadAhead
from mailnode.interfaces.policy import IPolicyChain
from mailnode.smtp.transaction import MailTransaction
from mailnode.smtp.wire.events import Mail
from mailnode.smtp.wire.replies import verdict_reply
from mailnode.values.authentication import BodyDigest
from mailnode.values.envelope import Envelope, Origin, Recipient
from mailnode.values.policy import NOTHING_FOUND, Findings, PolicyRequest, Verdict

_OF_THE_CLIENT = ("connect", "helo")  # stages whose verdicts go with every message


class About(NamedTuple):
    """What a question is about, besides the client. :class:`PolicyRequest` says more of each."""

    mail: Mail | None = None
    recipient: Recipient | None = None
    envelope: Envelope | None = None
    header: bytes = b""
    size: int = 0
    read: Callable[[int, int], Awaitable[bytes]] | None = None
    digests: Mapping[bytes, BodyDigest] = MappingProxyType({})
    ahead: IReadAhead | None = None


NOTHING_MORE = About()


class Asker(NamedTuple):
    """Whose question it is. ``known``: see :class:`PolicyRequest`."""

    origin: Origin
    submission: bool
    known: bool


class Asking:
    """Asks for one session. ``silent``: about this client nobody is asked."""

    def __init__(self, policies: IPolicyChain) -> None:
        self.silent = False
        self._policies = policies
        self._standing: dict[str, Verdict] = {}  # of the client: they go with every message

    def judges(self, stage: str, known: bool) -> bool:
        """Whether anybody has a say at a stage."""
        return not self.silent and self._policies.judges(stage, known)

    def forget(self, *stages: str) -> None:
        """The client begins anew: what was said of it at these stages counts no more."""
        for stage in stages:
            self._standing.pop(stage, None)

    def tell(self, transaction: MailTransaction) -> None:
        """Note in a new transaction what was said of its client."""
        for verdict in self._standing.values():
            transaction.judged.hear(verdict)
            transaction.note(verdict)

    def stand(self, stage: str, verdict: Verdict) -> None:
        """Have what was said of the client at a stage go with every message, whatever it was."""
        self._standing[stage] = verdict

    async def ask(self, stage: str, asker: Asker, transaction: MailTransaction | None, about: About) -> Verdict:
        """Return what the policies of a stage say."""
        if stage in _OF_THE_CLIENT:
            transaction = None  # of which it is not, should one be under way
        request = PolicyRequest(
            stage,
            asker.origin,
            about.mail.reverse_path if about.mail is not None else None,
            about.recipient,
            about.envelope,
            about.header,
            about.size,
            asker.submission,
            about.read,
            transaction.found if transaction is not None else self._found(stage),
            transaction.found_own if transaction is not None else {},
            transaction.routes if transaction is not None else {},
            asker.known,
            transaction is not None and transaction.answers_each,
            about.digests,
            about.ahead.read if about.ahead is not None else None,
        )
        verdict: Verdict = await self._policies.ask(request)
        # Who is refused stays who it was, and may go on as that.
        if stage in _OF_THE_CLIENT and verdict_reply(verdict) is None:
            self._standing[stage] = verdict
        return verdict

    def _found(self, stage: str) -> Findings:
        """Return what was found about the client at other stages."""
        found = NOTHING_FOUND
        for other, verdict in self._standing.items():
            if other != stage:
                found = found.then(verdict)
        return found
