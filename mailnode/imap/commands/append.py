"""APPEND: messages stream to blobs, are scanned, and stand in the mailbox when OK is said (RFC 3501 6.3.11), all of them or
none (RFC 3502)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import ClassVar

from mailnode.errors import NoSuchMailbox, NotPermitted
from mailnode.imap.answers import Answer, CommandRefused
from mailnode.imap.commands.context import Context
from mailnode.imap.commands.list import say_normalized
from mailnode.imap.commands.mailboxes import argument_as_written, find_target
from mailnode.imap.commands.row import AFTER_LOGIN, CommandRow
from mailnode.imap.commands.uploading import Uploading, log_appended
from mailnode.imap.mailbox_scripts import after_arrival
from mailnode.imap.others import mail_of
from mailnode.imap.wire.command import Upload
from mailnode.imap.wire.lexer import Lexer
from mailnode.imap.wire.literals import LiteralMark
from mailnode.imap.wire.uploads import read_passage
from mailnode.values.mailbox import Appended, NewMessage
from mailnode.values.mailbox_event import APPEND
from mailnode.values.rights import INSERT, READ
from mailnode.values.sets import compress


# append = "APPEND" SP mailbox 1*append-message  # RFC 3502
@dataclass(frozen=True, slots=True)
class AppendStart(Upload):
    """APPEND up to its first message literal."""

    verb: ClassVar[str] = "APPEND"
    mailbox: str
    written: str = field(default="", compare=False)


def _parse_streamed(tag: bytes, lexer: Lexer, mark: LiteralMark) -> AppendStart | None:
    """Read as far as the first message literal, whose marker is cut off.

    :returns: None when the literal that comes next is the mailbox name, or a URL.
    """
    lexer.space()
    if lexer.at_end:
        return None
    mailbox, written = lexer.mailbox_as_written()
    passage = read_passage(lexer, mark)
    return None if passage is None else AppendStart(tag, passage, mailbox, written)


def _parse(tag: bytes, lexer: Lexer) -> AppendStart:
    """APPEND without any message literal, made of parts of other messages (RFC 4469, RFC 5550)."""
    mailbox, written = argument_as_written(lexer)
    passage = read_passage(lexer, None)
    assert passage is not None, "no literal comes next"
    return AppendStart(tag, passage, mailbox, written)


class Appending(Uploading):
    """The messages of APPEND."""

    def __init__(self, mailbox: str, mailbox_id: int, account_id: str, tells_uids: bool) -> None:
        """:param tells_uids: the session may select the mailbox; see ``others.may_read``."""
        super().__init__(mailbox, mailbox_id, account_id)
        self._tells_uids = tells_uids

    async def place(self, context: Context, messages: Sequence[NewMessage]) -> Answer:
        """Place them where the command says."""
        context.ensure_there()
        try:
            appended = await mail_of(context, self.account_id).open(self.mailbox_id).append(messages)
        except NoSuchMailbox:
            raise CommandRefused("No such mailbox", b"TRYCREATE") from None
        log_appended(context, self.mailbox, appended, messages)
        await after_arrival(context, APPEND, self.account_id, self.mailbox_id, appended.uids)
        return Answer("APPEND completed", append_uid(context, appended) if self._tells_uids else b"")


def append_uid(context: Context, appended: Appended) -> bytes:
    """Return the response code that says which UIDs messages have, in their order (RFC 4315 3), if it is to be said."""
    if "UIDPLUS" in context.hidden:
        return b""
    return f"APPENDUID {appended.uidvalidity} {compress(appended.uids)}".encode()


async def append(context: Context, command: AppendStart) -> Answer | None:
    """Decide before any octet is asked for: no mailbox, too large, over quota."""
    info = await find_target(context, command.mailbox)
    rights = (await mail_of(context, info.account_id).rights([info.id])).get(info.id, "")
    if INSERT not in rights:
        raise NotPermitted(INSERT)
    await say_normalized(context, command.mailbox, command.written)
    appending = Appending(command.mailbox, info.id, info.account_id, READ in rights)
    return await appending.begin(context, command.passage)


ROWS = (
    CommandRow(
        name=b"APPEND",
        states=AFTER_LOGIN,
        parse=_parse,
        run=append,
        parse_streamed=_parse_streamed,
        capabilities=("MULTIAPPEND", "CATENATE", "URL-PARTIAL"),
        asks_after=True,
    ),
)
