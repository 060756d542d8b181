"""APPEND: a message streams to a blob, is scanned, and stands in the mailbox when OK is said (RFC 3501 6.3.11)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from twisted.logger import Logger

from mailnode.errors import LimitReached, NoSuchMailbox, OverQuota
from mailnode.imap.answers import UNKNOWN_TROUBLE, Answer, Refusal, SessionEnds, refusal
from mailnode.imap.command_types import AppendAborted, AppendChunk, AppendEnd, AppendStart
from mailnode.imap.mailboxes import find_target
from mailnode.interfaces.store import IBlobWriter
from mailnode.message.lineends import LineEnds
from mailnode.values.events import emit
from mailnode.values.mailbox import NewMessage

if TYPE_CHECKING:
    from mailnode.imap.session import ImapSession

# Line ends grow on the way in: a message of nothing but LF doubles, and one without an end of its last line gets one.
_GROWTH = 2
_LINE_END = len(b"\r\n")

_log = Logger()


class Appending:
    """One message on its way in."""

    def __init__(self, command: AppendStart, mailbox_id: int, writer: IBlobWriter) -> None:
        self.command = command
        self.mailbox_id = mailbox_id
        self.writer: IBlobWriter | None = writer
        self.line_ends = LineEnds()
        self.failure: Exception | None = None  # told when the message has been read to its end

    def drop(self) -> None:
        """Throw away what was written: a lost connection leaves nothing."""
        if self.writer is not None:
            self.writer.abort()
            self.writer = None


async def append(session: ImapSession, command: AppendStart) -> None:
    """Decide before any octet is asked for: no mailbox, too large, over quota."""
    try:
        session.under_way = await _begin(session, command)
    except SessionEnds:
        raise
    except Exception as error:
        answer = refusal(error)
        if answer is None:
            session.trouble(error)
            answer = UNKNOWN_TROUBLE
        session.write(answer.line(command.tag))
        session.connection.refuse_append()
        return
    session.connection.accept_append()


async def _begin(session: ImapSession, command: AppendStart) -> Appending:
    info = await find_target(session, command.mailbox)
    if not command.size:
        raise Refusal("A message cannot be empty", b"CANNOT")
    limit = session.services.append_limit
    if command.size > limit:
        raise Refusal("Message too large", b"TOOBIG")
    usage = await session.mail.usage()
    too_big = usage.bytes_limit and usage.bytes_used + command.size > usage.bytes_limit
    too_many = usage.count_limit and usage.count_used >= usage.count_limit
    if too_big or too_many:
        raise OverQuota
    return Appending(command, info.id, session.mail.blobs().writer(command.size * _GROWTH + _LINE_END))


async def chunk(session: ImapSession, event: AppendChunk) -> None:
    """Octets of the message. After a failure the rest is read all the same, because it is on its way."""
    under_way = session.under_way
    await _feed(session, under_way, under_way.line_ends.feed(event.data))


async def _feed(session: ImapSession, under_way: Appending, data: bytes) -> None:
    if under_way.writer is None or not data:
        return
    try:
        await under_way.writer.write(data)
    except Exception as error:
        under_way.failure = error
        under_way.drop()


async def end(session: ImapSession, event: AppendEnd) -> Answer:
    """Scan and place it; OK means that it is durable."""
    under_way: Appending = session.under_way
    command = under_way.command
    await _feed(session, under_way, under_way.line_ends.finish())
    if under_way.failure is not None:
        if isinstance(under_way.failure, LimitReached):
            raise Refusal("Message too large", b"TOOBIG")
        raise under_way.failure
    assert under_way.writer is not None
    blob, facts = await session.services.stage(under_way.writer)
    under_way.writer = None
    session.under_way = None
    date = command.date
    message = NewMessage(
        blob=blob,
        facts=facts,
        internaldate=int(session.services.clock.seconds() * 1_000_000) if date is None else date.microseconds,
        internaldate_offset=0 if date is None else date.offset,
        flags=command.flags.system,
        keywords=command.flags.keywords,
    )
    try:
        appended = await session.mail.open(under_way.mailbox_id).append([message])
    except NoSuchMailbox:
        raise Refusal("No such mailbox", b"TRYCREATE") from None
    emit(
        _log,
        "message.appended",
        session=session.session,
        account=session.mail.account_id,
        mailbox=command.mailbox,
        uid=appended.uids[0],
        size=blob.ref.size,
    )
    return Answer("APPEND completed", b"APPENDUID %d %d" % (appended.uidvalidity, appended.uids[0]))


async def aborted(session: ImapSession, event: AppendAborted) -> Answer:
    """What followed the message was not the end of the command."""
    session.drop_under_way()
    raise Refusal(event.text, status=b"BAD")
