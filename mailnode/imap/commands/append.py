"""APPEND: a message streams to a blob, is scanned, and stands in the mailbox when OK is said (RFC 3501 6.3.11)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from twisted.logger import Logger

from mailnode.dialog.session import SessionEnds
from mailnode.errors import LimitReached, NoSuchMailbox, OverQuota
from mailnode.imap.answers import Answer, CommandRefused
from mailnode.imap.commands.context import Context, UnderWay
from mailnode.imap.commands.mailboxes import find_target
from mailnode.imap.commands.row import AFTER_LOGIN, CommandRow
from mailnode.imap.wire.command import AppendAborted, AppendChunk, Command, Continuation
from mailnode.imap.wire.lexer import CommandFault, Flags, InternalDate, Lexer
from mailnode.interfaces.store import IBlobWriter
from mailnode.message.lineends import LineEnds
from mailnode.values.events import emit
from mailnode.values.mailbox import NewMessage

# Line ends grow on the way in: a message of nothing but LF doubles, and one without an end of its last line gets one.
_GROWTH = 2
_LINE_END = len(b"\r\n")

_log = Logger()


# append = "APPEND" SP mailbox [SP flag-list] [SP date-time] SP literal
@dataclass(frozen=True, slots=True)
class AppendStart(Command):
    """APPEND up to its message literal (RFC 3501 6.3.11), before any octet of it is read.

    Answered by ``connection.accept_append()``: the octets follow as :class:`AppendChunk`, then :class:`AppendEnd` or
    :class:`AppendAborted`; or by the tagged NO and ``connection.refuse_append()`` (instead of ``completed()``): the
    message is not asked for or, when it comes anyway, thrown away.
    """

    verb: ClassVar[str] = "APPEND"
    mailbox: str
    flags: Flags
    date: InternalDate | None  # None: now
    size: int  # octets of the literal as announced


def _parse_streamed(tag: bytes, lexer: Lexer, size: int) -> AppendStart | None:
    """Read `` mailbox [(flags)] [date-time] `` as far as the message literal, whose marker is cut off.

    :returns: None when the literal that comes next is the mailbox name.
    """
    lexer.space()
    if lexer.at_end:
        return None
    mailbox = lexer.mailbox()
    lexer.space()
    flags = Flags()
    if lexer.peek() == b"(":
        flags = lexer.flag_list(recent=True)
        lexer.space()
    date = None
    if lexer.peek() == b'"':
        date = lexer.date_time()
        lexer.space()
    lexer.end()
    return AppendStart(tag, mailbox, flags, date, size)


def _parse(tag: bytes, lexer: Lexer) -> AppendStart:
    """APPEND that ended before any message literal; with one, the connection reads it as it comes."""
    raise CommandFault("APPEND needs a message literal")


class Appending(UnderWay):
    """One message on its way in."""

    def __init__(self, command: AppendStart, mailbox_id: int, writer: IBlobWriter) -> None:
        self.command = command
        self.mailbox_id = mailbox_id
        self.writer: IBlobWriter | None = writer
        self.line_ends = LineEnds()
        self.failure: Exception | None = None  # told when the message has been read to its end

    async def go_on(self, context: Context, event: Continuation) -> Answer | None:
        """Take octets of the message, or its end. After a failure the rest is read all the same: it is on its way."""
        match event:
            case AppendChunk():
                await self._write(self.line_ends.convert(event.data))
                return None
            case AppendAborted():  # what followed the message was not the end of the command
                context.drop_under_way()
                raise CommandRefused(event.text, status=b"BAD")
        return await self._place(context)

    def drop(self) -> None:
        """Throw away what was written: a lost connection leaves nothing."""
        if self.writer is not None:
            self.writer.abort()
            self.writer = None

    async def _write(self, data: bytes) -> None:
        if self.writer is None or not data:
            return
        try:
            await self.writer.write(data)
        except Exception as error:
            self.failure = error
            self.drop()

    async def _place(self, context: Context) -> Answer:
        """Scan and place it; OK means that it is durable."""
        blob, facts = await context.services.stage(await self._written())
        self.writer = None
        context.under_way = None
        command, date = self.command, self.command.date
        message = NewMessage(
            blob=blob,
            facts=facts,
            internaldate=int(context.services.clock.seconds() * 1_000_000) if date is None else date.microseconds,
            internaldate_offset=0 if date is None else date.offset,
            flags=command.flags.system,
            keywords=command.flags.keywords,
        )
        try:
            appended = await context.mail.open(self.mailbox_id).append([message])
        except NoSuchMailbox:
            raise CommandRefused("No such mailbox", b"TRYCREATE") from None
        emit(
            _log,
            "message.appended",
            session=context.session,
            account=context.mail.account_id,
            mailbox=command.mailbox,
            uid=appended.uids[0],
            size=blob.ref.size,
        )
        return Answer("APPEND completed", b"APPENDUID %d %d" % (appended.uidvalidity, appended.uids[0]))

    async def _written(self) -> IBlobWriter:
        """Return the writer with the whole message in it."""
        await self._write(self.line_ends.finish())
        if isinstance(self.failure, LimitReached):
            raise CommandRefused("Message too large", b"TOOBIG")
        if self.failure is not None:
            raise self.failure
        assert self.writer is not None
        return self.writer


async def append(context: Context, command: AppendStart) -> None:
    """Decide before any octet is asked for: no mailbox, too large, over quota."""
    try:
        context.under_way = await _begin(context, command)
    except SessionEnds:
        raise
    except Exception as error:
        answer = await context.refused(error)
        context.write(answer.line(command.tag))
        context.connection.refuse_append()
        return
    context.connection.accept_append()


async def _begin(context: Context, command: AppendStart) -> Appending:
    info = await find_target(context, command.mailbox)
    if not command.size:
        raise CommandRefused("A message cannot be empty", b"CANNOT")
    limit = context.services.append_limit
    if command.size > limit:
        raise CommandRefused("Message too large", b"TOOBIG")
    usage = await context.mail.usage()
    too_big = usage.bytes_limit and usage.bytes_used + command.size > usage.bytes_limit
    too_many = usage.count_limit and usage.count_used >= usage.count_limit
    if too_big or too_many:
        raise OverQuota
    return Appending(command, info.id, context.mail.blobs().writer(command.size * _GROWTH + _LINE_END))


ROWS = (
    CommandRow(
        name=b"APPEND", states=AFTER_LOGIN, parse=_parse, run=append, parse_streamed=_parse_streamed, asks_after=True
    ),
)
