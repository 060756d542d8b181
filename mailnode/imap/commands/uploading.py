"""Messages on their way in by APPEND and REPLACE: written as they come, scanned one by one, placed all or none (RFC 3502)."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Sequence

from twisted.logger import Logger

from mailnode.errors import LimitReached, OverQuota
from mailnode.imap.answers import Answer, CommandRefused
from mailnode.imap.bodies import PIECE, read_exactly
from mailnode.imap.commands import utf8
from mailnode.imap.commands.catenate import find_linked
from mailnode.imap.commands.context import Context, UnderWay
from mailnode.imap.commands.message_limit import require_few
from mailnode.imap.others import mail_of
from mailnode.imap.wire.command import AppendAborted, AppendChunk, AppendEnd, AppendMore, Continuation
from mailnode.imap.wire.uploads import Begin, Octets, Passage, UrlPart
from mailnode.interfaces.store import IBlobWriter
from mailnode.message.lineends import LineEnds
from mailnode.values.blob import StagedBlob
from mailnode.values.events import emit
from mailnode.values.facts import EncodedFacts
from mailnode.values.mailbox import Appended, NewMessage

# Line ends grow on the way in: a message of nothing but LF doubles, and one without an end of its last line gets one.
_GROWTH = 2
_LINE_END = len(b"\r\n")

MAX_MESSAGES = 500  # of one APPEND: they are placed by one unit
MAX_HELD = 32 * 1024 * 1024  # octets of small messages, and facts, of one command that are in memory until it ends

_log = Logger()


class Uploading(UnderWay):
    """The messages of one command."""

    def __init__(self, mailbox: str, mailbox_id: int, account_id: str = "", freed: tuple[int, int] = (0, 0)) -> None:
        """:param account_id: the owner, where that is somebody else. :param freed: octets and messages that go in the same step."""
        self.mailbox = mailbox
        self.mailbox_id = mailbox_id
        self.account_id = account_id
        self._freed = freed
        self.writer: IBlobWriter | None = None  # of the message that is being read
        self._begin: Begin | None = None
        self._line_ends = LineEnds()
        self._binary = False  # what comes is written as it comes
        self._failure: Exception | None = None  # told when the literal has been read to its end
        self._messages: list[NewMessage] = []
        self._octets = 0  # of all messages
        self._size = 0  # of the one that is being read, as announced
        self._held = 0

    @abstractmethod
    async def place(self, context: Context, messages: Sequence[NewMessage]) -> Answer:
        """Place them, all or none; OK means that they are durable."""

    async def begin(self, context: Context, passage: Passage) -> Answer | None:
        """Take what the command says before its first literal; refuse that before it is asked for."""
        context.under_way = self
        await self._follow(context, passage)
        if passage.ends:
            return await self._finish(context)
        context.connection.accept_append()
        return None

    async def go_on(self, context: Context, event: Continuation) -> Answer | None:
        """Take octets of a message, another literal, or the end. After a failure a literal is read to its end all the same: it
        is on its way."""
        match event:
            case AppendChunk():
                await self._write(event.data if self._binary else self._line_ends.convert(event.data))
            case AppendMore():
                await self._follow(context, event.passage)
                context.connection.accept_append()
            case AppendEnd():
                await self._follow(context, event.passage)
                return await self._finish(context)
            case AppendAborted():
                raise CommandRefused(event.text, event.code, event.status)
        return None

    async def _finish(self, context: Context) -> Answer:
        await self._end_message(context)
        messages, self._messages = self._messages, []
        context.under_way = None
        return await self.place(context, messages)

    def drop(self) -> None:
        """Throw away what was written: a lost connection leaves nothing."""
        if self.writer is not None:
            self.writer.abort()
            self.writer = None
        self._messages = []

    async def _follow(self, context: Context, passage: Passage) -> None:
        for step in passage.steps:
            match step:
                case Begin():
                    await self._end_message(context)
                    if self._messages:
                        _require(context, "MULTIAPPEND")
                    if step.utf8:
                        _require(context, utf8.NAME)
                    if step.utf8 and not context.connection.utf8:
                        raise CommandRefused("UTF8=ACCEPT is not enabled", b"CANNOT")
                    require_few(context, len(self._messages) + 1)
                    self._begin = step
                case Octets():
                    if step.part:
                        _require(context, "CATENATE")
                    elif step.binary and not self._begin_is_utf8:
                        _require(context, "BINARY")
                    await self._expect(context, step.size, step.part)
                    self._binary = step.binary
                case UrlPart():
                    _require(context, "CATENATE")
                    await self._copy(context, step.url)

    @property
    def _begin_is_utf8(self) -> bool:
        return self._begin is not None and self._begin.utf8

    async def _copy(self, context: Context, url: bytes) -> None:
        """Go on with part of a message that is there (RFC 4469 3)."""
        mailbox, blob, found = await find_linked(context, url)
        await self._expect(context, found.size, True)
        await self._write(self._line_ends.convert(found.head))
        for start in range(found.start, found.end, PIECE):
            data = await read_exactly(mailbox, blob, start, min(start + PIECE, found.end))
            await self._write(self._line_ends.convert(data))
            await context.checkpoint()
            context.ensure_there()

    async def _expect(self, context: Context, size: int, part: bool = False) -> None:
        """Refuse what comes next before it is asked for: empty, too large (RFC 7889 4, RFC 4469 4.2), over quota.

        :param part: it is one of several parts of a message.
        """
        if not size and not part:
            raise CommandRefused("A message cannot be empty", b"CANNOT")
        self._size += size
        size = self._size
        limit = context.services.append_limit
        if size > limit:
            raise CommandRefused("Message too large", b"TOOBIG")
        if len(self._messages) == MAX_MESSAGES or self._held > MAX_HELD:
            raise CommandRefused("Too many messages at once", b"LIMIT")
        mail = mail_of(context, self.account_id)
        usage = await mail.usage()
        octets, messages = self._octets + size - self._freed[0], len(self._messages) + 1 - self._freed[1]
        too_big = usage.bytes_limit and usage.bytes_used + octets > usage.bytes_limit
        too_many = usage.count_limit and usage.count_used + messages > usage.count_limit
        if too_big or too_many:
            raise OverQuota
        if self.writer is None and self._failure is None:
            self.writer = mail.blobs().writer((limit if part else size) * _GROWTH + _LINE_END)

    async def _write(self, data: bytes) -> None:
        if self.writer is None or not data:
            return
        try:
            await self.writer.write(data)
        except Exception as error:
            self._failure = error
            self.writer.abort()
            self.writer = None

    async def _end_message(self, context: Context) -> None:
        """Scan the message that was read, if one was."""
        begin, self._begin = self._begin, None
        if begin is None:
            return
        if not self._size:
            raise CommandRefused("A message cannot be empty", b"CANNOT")
        blob, facts = await context.services.stage(await self._written(context))
        self.writer = None
        self._size = 0
        self._octets += blob.ref.size
        self._held += held_octets(blob, facts)
        date = begin.date
        self._messages.append(
            NewMessage(
                blob=blob,
                facts=facts,
                internaldate=int(context.services.clock.seconds() * 1_000_000) if date is None else date.microseconds,
                internaldate_offset=0 if date is None else date.offset,
                flags=begin.flags.system,
                keywords=begin.flags.keywords,
            )
        )

    async def _written(self, context: Context) -> IBlobWriter:
        """Return the writer with the whole message in it, in lines."""
        await self._write(self._line_ends.finish())
        if isinstance(self._failure, LimitReached):
            raise CommandRefused("Message too large", b"TOOBIG")
        if self._failure is not None:
            raise self._failure
        assert self.writer is not None
        if self._binary:
            said = await context.services.in_lines(self.writer)
            if said is None:  # RFC 3516 4.4
                raise CommandRefused("The message cannot be said in lines", b"UNKNOWN-CTE")
            self.writer.abort()
            self.writer = said
        return self.writer


def _require(context: Context, capability: str) -> None:
    if capability in context.hidden:
        raise CommandRefused("Unknown arguments", status=b"BAD")


def held_octets(blob: StagedBlob, facts: EncodedFacts) -> int:
    """How much a staged message takes in memory."""
    return len(blob.data) + len(blob.content) + sum(map(len, facts[3:11]))  # its octets and texts


def log_appended(context: Context, mailbox: str, appended: Appended, messages: Sequence[NewMessage]) -> None:
    """Tell the log of each message."""
    for uid, message in zip(appended.uids, messages, strict=True):
        emit(
            _log,
            "message.appended",
            session=context.session,
            account=context.account_id,
            mailbox=mailbox,
            uid=uid,
            size=message.blob.ref.size,
        )
