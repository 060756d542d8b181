"""REPLACE and UID REPLACE: a message in the place of another, in one step (RFC 8508)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from typing import ClassVar

from mailnode.errors import NoSuchMailbox, NoSuchMessage
from mailnode.imap.answers import Answer, CommandRefused
from mailnode.imap.commands.append import append_uid
from mailnode.imap.commands.context import Context
from mailnode.imap.commands.copy import crosses, picked, which_is_gone
from mailnode.imap.commands.mailboxes import argument, find_target, require_writable
from mailnode.imap.commands.row import SELECTED, CommandRow
from mailnode.imap.commands.uploading import Uploading, log_appended
from mailnode.imap.mailbox_scripts import after_arrival
from mailnode.imap.wire import responses
from mailnode.imap.wire.command import MessageSet, Upload
from mailnode.imap.wire.lexer import CommandFault, Lexer
from mailnode.imap.wire.literals import LiteralMark
from mailnode.imap.wire.uploads import read_passage
from mailnode.values.mailbox import MailboxInfo, NewMessage
from mailnode.values.mailbox_event import APPEND
from mailnode.values.sets import SeqSet, UidSet


# replace = ["UID" SP] "REPLACE" SP seq-number SP mailbox append-message
@dataclass(frozen=True, slots=True)
class Replace(Upload):
    """REPLACE up to its message literal (RFC 8508 5). ``messages``: one number."""

    verb: ClassVar[str] = "REPLACE"
    messages: MessageSet
    mailbox: str


def _parse_streamed(tag: bytes, lexer: Lexer, mark: LiteralMark, kind: type[SeqSet] | type[UidSet]) -> Replace | None:
    """Read as far as the message literal, whose marker is cut off. :returns: None when mailbox name or URL come next."""
    messages = _message(lexer, kind)
    lexer.space()
    if lexer.at_end:
        return None
    mailbox = lexer.mailbox()
    passage = read_passage(lexer, mark, alone=True)
    return None if passage is None else Replace(tag, passage, messages, mailbox)


def _parse(tag: bytes, lexer: Lexer, kind: type[SeqSet] | type[UidSet]) -> Replace:
    """REPLACE without any message literal, by parts of other messages (RFC 8508 4.2)."""
    messages = _message(lexer, kind)
    mailbox = argument(lexer)
    passage = read_passage(lexer, None, alone=True)
    assert passage is not None, "no literal comes next"
    return Replace(tag, passage, messages, mailbox)


def _message(lexer: Lexer, kind: type[SeqSet] | type[UidSet]) -> MessageSet:
    lexer.space()
    messages = lexer.sequence_set(kind)
    if messages.saved or len(messages.ranges) != 1 or messages.ranges[0][0] != messages.ranges[0][1]:
        raise CommandFault("One message is replaced")
    return messages


class Replacing(Uploading):
    """The message of REPLACE."""

    def __init__(self, target: MailboxInfo, uid: int, size: int) -> None:
        """:param size: octets of the message that goes."""
        super().__init__(target.name, target.id, freed=(size, 1))
        self._target = target
        self._uid = uid

    async def place(self, context: Context, messages: Sequence[NewMessage]) -> Answer:
        """Place it. APPENDUID comes in an untagged OK, because it must stand before the EXPUNGE (RFC 8508 4.3)."""
        selected = context.mailbox
        try:
            appended = await selected.mailbox.replace(self._uid, self.mailbox_id, messages[0])
        except NoSuchMailbox:
            raise await which_is_gone(context, self._target) from None
        selected.view.vanish((self._uid,))
        log_appended(context, self.mailbox, appended, messages)
        await after_arrival(context, APPEND, self.account_id, self.mailbox_id, appended.uids)  # RFC 8508 4.4
        context.write(responses.ok(b"*", "Replacement message ready", append_uid(context, appended)))
        return Answer("REPLACE completed")


async def replace(context: Context, command: Replace) -> Answer | None:
    """Decide before any octet is asked for."""
    selected = context.mailbox
    require_writable(selected)
    uids = picked(context, command.messages)
    target = await find_target(context, command.mailbox)
    if selected.mailbox.account_id != context.mail.account_id or crosses(context, target):
        raise CommandRefused("Not possible with mailboxes of others", b"CANNOT")
    rows = await selected.mailbox.rows(uids, ("size",))
    if not rows:
        raise NoSuchMessage
    return await Replacing(target, uids[0], rows[0][1]).begin(context, command.passage)


ROWS = (
    CommandRow(
        name=b"REPLACE",
        states=SELECTED,
        parse=partial(_parse, kind=SeqSet),
        run=replace,
        parse_streamed=partial(_parse_streamed, kind=SeqSet),
        capabilities=("REPLACE",),
        sequence_numbers=True,
        needs_view=True,
        asks_after=True,
    ),
    CommandRow(
        name=b"UID REPLACE",
        states=SELECTED,
        parse=partial(_parse, kind=UidSet),
        run=replace,
        parse_streamed=partial(_parse_streamed, kind=UidSet),
        needs_view=True,
        asks_after=True,
    ),
)
