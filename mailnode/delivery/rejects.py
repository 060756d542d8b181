"""What policies refused to accounts here, where their owners can see it: a small message in a mailbox of its own.

Nobody waits for it, and whatever is in the way, from a store that does not answer to an account without room, ends it. The sender
has been told.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Awaitable, Callable, Iterator
from dataclasses import replace

from twisted.internet.defer import Deferred
from twisted.logger import Logger
from twisted.python.failure import Failure
from zope.interface import implementer

from mailnode.errors import DomainError
from mailnode.interfaces.accounts import IDirectory
from mailnode.interfaces.delivery import IRejects
from mailnode.interfaces.runtime import IClock
from mailnode.interfaces.store import IBlobs, IMailStore
from mailnode.message.compose import message_id
from mailnode.message.headers import fields, first
from mailnode.message.notices import notice
from mailnode.message.words import decode_words
from mailnode.values.address import Address
from mailnode.values.blob import StagedBlob
from mailnode.values.facts import EncodedFacts
from mailnode.values.ids import new_id
from mailnode.values.mailbox import NewMessage
from mailnode.values.refused import RefusedMail

MAILBOX = "Rejects"
MOST = 100  # messages an account keeps there, the newest
KEPT = 14 * 86_400  # seconds they are kept
WAITING = 50  # messages in memory; others meanwhile are not shown
PER_MINUTE = 5  # messages of an account
ACCOUNTS = 10  # behind one recipient
MAX_HEADER = 16 * 1024  # octets of a header block that are shown
MAX_LINE = 900  # octets of a line of it
COUNTED = 10_000  # accounts

_log = Logger()


@implementer(IRejects)
class Rejects:
    """Shows one message after another."""

    def __init__(
        self,
        directory: IDirectory,
        mail: IMailStore,
        blobs: IBlobs,
        scan: Callable[[StagedBlob], Awaitable[EncodedFacts]],
        clock: IClock,
        hostname: str,
    ) -> None:
        """:param scan: computes the facts of a message."""
        self._directory = directory
        self._mail = mail
        self._blobs = blobs
        self._scan = scan
        self._clock = clock
        self._hostname = hostname
        self._waiting: deque[RefusedMail] = deque()
        self._at_work = False
        self._minute = 0
        self._shown: dict[str, int] = {}  # in this minute, by account

    def note(self, refused: RefusedMail) -> None:
        """See :class:`IRejects`."""
        if len(self._waiting) >= WAITING:
            return
        self._waiting.append(replace(refused, header=refused.header[:MAX_HEADER]))
        if not self._at_work:
            self._at_work = True
            self._clock.callLater(0, self._begin)  # the reply goes first

    def _begin(self) -> None:
        Deferred.fromCoroutine(self._work()).addErrback(_failed).addBoth(self._ended)

    def _ended(self, _: object) -> None:
        self._at_work = False

    async def _work(self) -> None:
        while self._waiting:
            refused = self._waiting.popleft()
            for recipient in refused.recipients:
                try:
                    await self._show(refused, recipient)
                except DomainError as error:
                    _log.debug("{recipient}: not shown: {error}", recipient=str(recipient), error=str(error))

    async def _show(self, refused: RefusedMail, recipient: Address) -> None:
        if not recipient.domain or not await self._directory.is_local(recipient.domain):
            return
        route = await self._directory.resolve(recipient)
        accounts = [account_id for account_id, _ in route.local[:ACCOUNTS] if self._may_see(account_id)]
        if not accounts:
            return
        now = self._clock.seconds()
        content = self._content(refused, recipient, now)
        for account_id in accounts:
            blob = await self._blobs.put(content)
            message = NewMessage(blob, await self._scan(blob), int(now * 1_000_000))
            await self._mail.keep_some(account_id, MAILBOX, message, MOST, KEPT)

    def _may_see(self, account_id: str) -> bool:
        """Count one more for an account, unless there were enough in this minute."""
        minute = int(self._clock.seconds() // 60)
        if minute != self._minute or len(self._shown) >= COUNTED:
            self._minute, self._shown = minute, {}
        shown = self._shown.get(account_id, 0)
        self._shown[account_id] = shown + 1
        return shown < PER_MINUTE

    def _content(self, refused: RefusedMail, recipient: Address, now: float) -> bytes:
        subject = decode_words(first(refused.header, b"subject") or b"")
        return notice(
            f"MAILER-DAEMON@{self._hostname}",
            str(recipient),
            f"Refused: {subject or 'mail from ' + (refused.sender or 'a mail server')}",
            list(_lines(refused, recipient)),
            message_id(new_id(now), self._hostname),
            now,
        )


def _lines(refused: RefusedMail, recipient: Address) -> Iterator[str]:
    yield "This server did not take a message for you. Its sender was told so."
    yield ""
    yield f"From:   {refused.sender or '<> (a notice of a mail server)'}"
    yield f"For:    {recipient}"
    yield f"Client: {refused.helo} [{refused.peer}]"
    yield f"Reply:  {refused.reply}"
    yield f"Why:    {refused.why}"
    yield f"In the log: {refused.envelope_id}"
    yield ""
    if refused.header:
        yield "Its header:"
        yield ""
        for field in fields(refused.header[:MAX_HEADER]):
            for line in field.raw.split(b"\r\n"):
                if line:
                    yield "| " + line[:MAX_LINE].decode("utf-8", "replace")
    else:
        yield "It was refused before it came: nothing else of it is known."


def _failed(failure: Failure) -> None:
    _log.failure("what was refused could not be shown", failure)
