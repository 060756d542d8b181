"""SELECT and EXAMINE (RFC 3501 6.3.1 and 6.3.2)."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import partial
from typing import ClassVar

from mailnode.imap.answers import Answer
from mailnode.imap.commands import condstore, qresync, rev2, uidonly
from mailnode.imap.commands.context import Context
from mailnode.imap.commands.list import say_listed
from mailnode.imap.commands.mailboxes import argument_as_written, find
from mailnode.imap.commands.qresync import Resync, read_resync
from mailnode.imap.commands.row import AFTER_LOGIN, CommandRow
from mailnode.imap.others import mail_of
from mailnode.imap.selected import Selected
from mailnode.imap.view.view import View
from mailnode.imap.wire import responses
from mailnode.imap.wire.command import Command
from mailnode.imap.wire.lexer import CommandFault, Lexer
from mailnode.values.object_ids import mailbox_id_code


# select = "SELECT" SP mailbox [SP "(" parameter *(SP parameter) ")"]
# examine = "EXAMINE" SP mailbox [SP "(" parameter *(SP parameter) ")"]
# parameter = "CONDSTORE" / "QRESYNC" SP "(" ... ")"
@dataclass(frozen=True, slots=True)
class Select(Command):
    """RFC 3501 6.3.1; with ``(CONDSTORE)`` RFC 7162 3.1.8, with ``(QRESYNC (...))`` 3.2.5. Mailbox names everywhere are
    canonical (``values.mailbox_name``); ``written``: as the client wrote it."""

    verb: ClassVar[str] = "SELECT"
    mailbox: str
    condstore: bool = False
    resync: Resync | None = None
    written: str = field(default="", compare=False)


@dataclass(frozen=True, slots=True)
class Examine(Select):
    """RFC 3501 6.3.2."""

    verb: ClassVar[str] = "EXAMINE"


def _parse(tag: bytes, lexer: Lexer, kind: type[Select]) -> Select:
    """Read `` mailbox [(parameters)]``."""
    mailbox, written = argument_as_written(lexer)
    if not lexer.accept(b" "):
        return kind(tag, mailbox, written=written)

    def parameter() -> Resync | None:
        name = lexer.word()
        if name == "QRESYNC":
            return read_resync(lexer)
        if name != "CONDSTORE":
            raise CommandFault("Unknown parameter")
        return None

    parameters = lexer.parenthesized(parameter)
    resyncs = [one for one in parameters if one is not None]
    if len(resyncs) > 1:
        raise CommandFault("QRESYNC stands there twice")
    return kind(tag, mailbox, None in parameters, resyncs[0] if resyncs else None, written)


async def select(context: Context, command: Select) -> Answer:
    """RFC 3501 6.3.1 and 6.3.2, RFC 9051 6.3.2, RFC 7162 3.1.2, RFC 8474 4.2. Whatever was selected is left, also when this
    fails."""
    if command.resync is not None:
        qresync.require(context)
        if command.resync.matches and "UIDONLY" in context.enabled:
            raise uidonly.refusal()
    second = rev2.is_enabled(context)
    if context.selected is not None and (second or "QRESYNC" not in context.hidden):
        # all behind it is of another mailbox (RFC 7162 3.2.11, RFC 9051 7.1)
        context.write(responses.ok(b"*", "Previous mailbox closed", b"CLOSED"))
    context.deselect()
    info = await find(context, command.mailbox)
    mailbox = mail_of(context, info.account_id).open(info.id)
    rights = await mailbox.rights()
    examined = isinstance(command, Examine)
    snapshot = await mailbox.snapshot(claim_recent=not examined and not second)
    view = View(snapshot, others_seen=mailbox.account_id != context.mail.account_id)
    if second:
        view.forget_recent()
    services = context.services
    selected = Selected(mailbox, view, examined, rights, services.clock.seconds, context.checkpoint, services.threads)
    if command.condstore:
        condstore.enable(context)
    context.write(selected.flags_lines())
    context.write(b"* %d EXISTS\r\n" % view.exists)
    if second:
        await say_listed(context, command.mailbox, command.written or command.mailbox)
    else:
        _write_first_ones(context, view)
    context.write(responses.ok(b"*", "UIDs valid", b"UIDVALIDITY %d" % view.uidvalidity))
    context.write(responses.ok(b"*", "Predicted next UID", b"UIDNEXT %d" % view.uidnext))
    if "CONDSTORE" not in context.hidden:
        context.write(selected.highest_modseq_line())
    if "OBJECTID" not in context.hidden:
        context.write(responses.ok(b"*", "Mailbox id", mailbox_id_code(mailbox.account_id, info.id)))
    context.select(selected)
    if command.resync is not None:
        await qresync.resynchronize(context, selected, command.resync)
    return Answer(f"{command.verb} completed", b"READ-ONLY" if selected.read_only else b"READ-WRITE")


def _write_first_ones(context: Context, view: View) -> None:
    """What IMAP4rev2 has no more (RFC 9051, Appendix E, 11 and 12)."""
    context.write(b"* %d RECENT\r\n" % view.recent)
    if view.first_unseen is not None and "UIDONLY" not in context.enabled:  # it is a sequence number
        context.write(responses.ok(b"*", "First unseen message", b"UNSEEN %d" % view.first_unseen))


def _needs(command: Select) -> Iterator[str]:
    if command.condstore:
        yield "CONDSTORE"
    if command.resync is not None:
        yield "QRESYNC"


ROWS = (
    CommandRow(
        name=b"SELECT",
        states=AFTER_LOGIN,
        parse=partial(_parse, kind=Select),
        run=select,
        needs=_needs,
        capabilities=("OBJECTID", "QRESYNC"),
    ),
    CommandRow(name=b"EXAMINE", states=AFTER_LOGIN, parse=partial(_parse, kind=Examine), run=select, needs=_needs),
)
