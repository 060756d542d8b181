"""STORE and UID STORE (RFC 3501 6.4.6, RFC 7162 3.1.3)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from twisted.internet.defer import ensureDeferred

from mailnode.errors import NoSuchMessage
from mailnode.imap.answers import Answer, SessionEnds
from mailnode.imap.command_types import Command, Store
from mailnode.imap.messages.rendering import flag_update
from mailnode.imap.selecting import UNIT, require_writable
from mailnode.imap.view.view import NoSuchNumber
from mailnode.values.mailbox import FlagsStored
from mailnode.values.sets import compress

if TYPE_CHECKING:
    from mailnode.imap.selected import Selected
    from mailnode.imap.session import ImapSession

RUN = 64  # pipelined commands that are done together at most, of up to UNIT messages in all
_DONE = Answer("STORE completed")


async def store(session: ImapSession, command: Store) -> Answer | None:
    """Change flags; commands that wait behind this one are done together with it."""
    selected = session.mailbox
    require_writable(selected)
    taken: set[int] = set()  # indexes

    def fits(one: Command) -> bool:
        if not isinstance(one, Store) or one.unchanged_since is not None:
            return False
        try:
            spans = selected.view.pick(one.messages)
        except NoSuchNumber:
            return False
        if sum(map(len, spans)) > UNIT - len(taken) or not all(map(taken.isdisjoint, spans)):
            return False
        taken.update(*spans)
        return True

    if session.connection.buffered and fits(command):
        further = [one for one in session.connection.run_of(command, fits, RUN - 1) if isinstance(one, Store)]
        if further:
            await _store_run(session, selected, [command, *further])
            return None
    return await _store(session, selected, command)


async def _store_run(session: ImapSession, selected: Selected, commands: Sequence[Store]) -> None:
    """Change flags for several commands by one hop to the store and one commit. Each is answered in its turn and for
    itself, as if it had come alone. No two name the same message, as a store may do one before the other."""
    view = selected.view
    begun = []
    for command in commands:
        uids = [view.uids[index] for span in view.pick(command.messages) for index in span]
        begun.append(ensureDeferred(_attempt(selected, command, uids)))
    for command, attempt in zip(commands, begun, strict=True):
        try:
            count, stored = await attempt
            if isinstance(stored, Exception):
                raise stored
            _report(session, selected, command, stored)
            if count and not stored.changed and _must_tell(command):
                raise NoSuchMessage
            answer = _DONE
        except SessionEnds:
            raise
        except Exception as error:
            answer = await session.refused(error)
        await session.tell(command, answer)
        await session.pause()
    session.connection.completed()


async def _attempt(selected: Selected, command: Store, uids: list[int]) -> tuple[int, FlagsStored | Exception]:
    """Return how many messages were to be changed, and what became of it: nobody listens to an error yet."""
    flags = command.flags
    try:
        return len(uids), await selected.mailbox.store_flags(uids, command.mode, flags.system, flags.keywords)
    except Exception as error:
        return len(uids), error


async def _store(session: ImapSession, selected: Selected, command: Store) -> Answer:
    """Change flags in units of 1,000 messages, each told when it is durable."""
    view = selected.view
    indexes = [index for span in view.pick(command.messages) for index in span]
    if command.unchanged_since is not None:
        session.enable_condstore()
    modified: list[int] = []
    changed = 0
    for at in range(0, len(indexes), UNIT):
        uids = [view.uids[index] for index in indexes[at : at + UNIT]]
        stored = await selected.mailbox.store_flags(
            uids, command.mode, command.flags.system, command.flags.keywords, command.unchanged_since
        )
        modified.extend(stored.modified)
        changed += len(stored.changed)
        _report(session, selected, command, stored)
        if at + UNIT < len(indexes):
            await session.pause()
    if modified:
        await _report_modified(session, selected, command, modified)
    code = b"MODIFIED " + _numbers(selected, command, modified) if modified else b""
    if changed + len(modified) < len(indexes) and _must_tell(command):
        if modified:  # RFC 7162 3.1.3, example 11
            return Answer("Some messages were expunged", code, b"NO")
        if not changed:
            raise NoSuchMessage
    return Answer("Conditional STORE failed for some", code) if modified else _DONE


def _must_tell(command: Store) -> bool:
    """Whether a client is told by NO that nothing it named is there any more: with numbers, when it asked for the new
    flags (RFC 2180 4.2.2). Of what another session expunged among others it hears by EXPUNGE."""
    return not command.uid and not command.silent


def _report(session: ImapSession, selected: Selected, command: Store, stored: FlagsStored) -> None:
    """Tell the new flags. With .SILENT: the new mod-sequence to who knows what that is, and what others changed too."""
    view = selected.view
    view.learn(stored.keywords)
    session.write(selected.new_keywords())
    names, modseq = selected.names, session.condstore
    uid = command.uid or modseq
    bits = command.flags.system
    for keyword in command.flags.keywords:
        bits |= view.keywords.bit(keyword) or 0
    told = []
    for index, foreign in view.stored(stored.changed, command.mode, bits):
        flags = foreign or not command.silent
        if flags:
            told.append(index)
        if flags or modseq:
            session.write(flag_update(view, names, index, uid, modseq, flags))
    view.told(told)


async def _report_modified(session: ImapSession, selected: Selected, command: Store, modified: list[int]) -> None:
    """Spare the client a FETCH of what failed its condition (RFC 7162 3.1.3 recommends it)."""
    await selected.refresh(force=True)
    session.write(selected.new_keywords())
    view, names = selected.view, selected.names
    indexes = [index for index in map(view.index_of, modified) if index is not None and not view.is_gone(index)]
    for index in indexes:
        session.write(flag_update(view, names, index, True, True))
    view.told(indexes)


def _numbers(selected: Selected, command: Store, uids: list[int]) -> bytes:
    if command.uid:
        return compress(uids).encode("ascii")
    indexes = (selected.view.index_of(uid) for uid in uids)
    return compress(index + 1 for index in indexes if index is not None).encode("ascii")
