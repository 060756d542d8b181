"""What the world is like, for scripts that ask: mailboxes and annotations of the account, what came before, other scripts."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

from zope.interface import implementer

from mailnode.errors import BadScriptName, NoSuchAccount, NoSuchMailbox, NoSuchScript
from mailnode.interfaces.runtime import IClock
from mailnode.interfaces.scripts import IScripts
from mailnode.interfaces.sieve import IScriptAnswers
from mailnode.interfaces.store import IMailStore, IQueueStore
from mailnode.sieve.questions import (
    DuplicateSeen,
    IncludedScript,
    MailboxIdExists,
    MailboxPresent,
    MetadataValue,
    Question,
    SieveAnswer,
    SpecialUseExists,
)
from mailnode.values.mailbox import MailboxInfo
from mailnode.values.object_ids import MAILBOX, number_of
from mailnode.values.remembered import SEEN, key_of
from mailnode.values.scripts import StoredScript

ACCOUNT = 0  # the mailbox id of annotations that are of none


@implementer(IScriptAnswers)
class ScriptAnswers:
    """Asks the store."""

    def __init__(
        self,
        mail: IMailStore,
        queue: IQueueStore,
        scripts: IScripts,
        clock: IClock,
        included: Callable[[str], StoredScript | None] = lambda name: None,
    ) -> None:
        """:param included: returns a script of the server by its name (``include :global``)."""
        self._mail = mail
        self._queue = queue
        self._scripts = scripts
        self._clock = clock
        self._included = included

    def of(self, account_id: str) -> Callable[[Question], Awaitable[SieveAnswer | StoredScript]]:
        """See :class:`IScriptAnswers`."""
        return _AccountAnswers(account_id, self._mail, self._queue, self._scripts, self._clock, self._included).answer


class _AccountAnswers:
    """The questions of one run. Mailboxes are looked up once."""

    def __init__(
        self,
        account_id: str,
        mail: IMailStore,
        queue: IQueueStore,
        scripts: IScripts,
        clock: IClock,
        included: Callable[[str], StoredScript | None],
    ) -> None:
        self._account_id = account_id
        self._mail = mail
        self._queue = queue
        self._scripts = scripts
        self._clock = clock
        self._included = included
        self._mailboxes: list[MailboxInfo] | None = None

    async def answer(self, question: Question) -> SieveAnswer | StoredScript:
        """Answer one question. Of lists nothing is known (RFC 6134 2.7): there are none outside of scripts."""
        if isinstance(question, IncludedScript):
            return await self._script(question)
        if isinstance(question, DuplicateSeen):
            key = key_of(question.handle, question.id)
            return await self._queue.is_remembered(self._account_id, SEEN, key, self._clock.seconds())
        if isinstance(question, MetadataValue):
            return await self._annotation(question)
        if isinstance(question, MailboxPresent):
            return any(one.name == question.name and one.selectable for one in await self._listed())
        if isinstance(question, SpecialUseExists):
            return any(
                one.special_use.lower() == question.use.lower()
                and one.selectable
                and question.mailbox in ("", one.name)
                for one in await self._listed()
            )
        if isinstance(question, MailboxIdExists):
            number = number_of(MAILBOX, self._account_id, question.id)
            return any(one.id == number and one.selectable for one in await self._listed())
        return None

    async def _listed(self) -> list[MailboxInfo]:
        if self._mailboxes is None:
            try:
                self._mailboxes = await self._mail.account(self._account_id).mailboxes()
            except NoSuchMailbox:  # the account is gone
                self._mailboxes = []
        return self._mailboxes

    async def _annotation(self, asked: MetadataValue) -> str | None:
        mailbox_id = ACCOUNT
        if asked.mailbox:
            found = next((one for one in await self._listed() if one.name == asked.mailbox), None)
            if found is None:
                return None
            mailbox_id = found.id
        account = self._mail.account(self._account_id)
        values = (await account.annotations([mailbox_id], self._account_id)).get(mailbox_id, {})
        value = values.get(asked.annotation.lower())
        return None if value is None else value.decode("utf-8", "replace")

    async def _script(self, wanted: IncludedScript) -> StoredScript | None:
        if wanted.location == "global":
            return self._included(wanted.name)
        try:
            return await self._scripts.read(self._account_id, wanted.name)
        except (NoSuchScript, BadScriptName, NoSuchAccount):
            return None
