"""STORE and UID STORE (RFC 3501 6.4.6, RFC 7162 3.1.3)."""

from __future__ import annotations

from collections import deque
from collections.abc import Awaitable, Iterator, Sequence, Set
from dataclasses import dataclass
from functools import lru_cache, partial
from typing import ClassVar, NamedTuple

from twisted.internet.defer import Deferred, ensureDeferred

from mailnode.errors import NoSuchMessage
from mailnode.imap.answers import Answer
from mailnode.imap.commands import condstore, message_limit
from mailnode.imap.commands.context import Context
from mailnode.imap.commands.mailboxes import UNIT, require_writable
from mailnode.imap.commands.row import SELECTED, CommandRow
from mailnode.imap.mailbox_scripts import after_flags
from mailnode.imap.messages import needs
from mailnode.imap.messages.manner import manner_of
from mailnode.imap.messages.rendering import flag_update
from mailnode.imap.selected import Selected
from mailnode.imap.view.view import NoSuchNumber
from mailnode.imap.wire.command import Command, MessageSet
from mailnode.imap.wire.lexer import MAX_NUMBER64, CommandFault, Flags, Lexer, flags_from
from mailnode.values.mailbox import FlagsStored
from mailnode.values.sets import SeqSet, UidSet, compress

_DONE = Answer("STORE completed")

_MODES = {"+FLAGS": "add", "-FLAGS": "remove", "FLAGS": "set"}
_SHORT = 128  # octets of a STORE's item and flags that are remembered: mail programs set the same few flags all day


# store = ["UID" SP] "STORE" SP sequence-set [SP "(UNCHANGEDSINCE" SP mod-sequence-valzer ")"] SP store-att-flags
# store-att-flags = ["+" / "-"] "FLAGS" [".SILENT"] SP (flag-list / flag *(SP flag))
@dataclass(frozen=True, slots=True)
class Store(Command):
    """RFC 3501 6.4.6; ``unchanged_since`` RFC 7162 3.1.3."""

    verb: ClassVar[str] = "STORE"
    messages: MessageSet
    mode: str  # "set", "add" or "remove": as IMailbox.store_flags takes it
    flags: Flags
    silent: bool = False
    unchanged_since: int | None = None


class _Stored(NamedTuple):
    """What became of a change. ``scripted``: the mailbox's script ran, and may have changed more."""

    flags: FlagsStored
    scripted: bool


def _parse(tag: bytes, lexer: Lexer, kind: type[SeqSet] | type[UidSet]) -> Store:
    """Read `` set [(UNCHANGEDSINCE n)] [+-]FLAGS[.SILENT] flags``."""
    lexer.space()
    messages = lexer.sequence_set(kind)
    lexer.space()
    unchanged_since = None
    if lexer.accept(b"("):
        if lexer.word() != "UNCHANGEDSINCE":
            raise CommandFault("Unknown store modifier")
        lexer.space()
        unchanged_since = lexer.number(MAX_NUMBER64)
        lexer.expect(b")")
        lexer.space()
    item = lexer.remainder()
    mode, flags, silent = _known_item(item) if len(item) <= _SHORT else _item(item)
    return Store(tag, messages, mode, flags, silent, unchanged_since)


def _item(text: bytes) -> tuple[str, Flags, bool]:
    """Read ``[+-]FLAGS[.SILENT] flags``. :return: mode, flags, whether it is silent. :raises CommandError:"""
    lexer = Lexer(text)
    name = lexer.word()
    silent = name.endswith(".SILENT")
    mode = _MODES.get(name.removesuffix(".SILENT"))
    if mode is None:
        raise CommandFault("Unknown store item")
    lexer.space()
    flags = _flags(lexer)
    lexer.end()
    return mode, flags, silent


_known_item = lru_cache(maxsize=256)(_item)


def _flags(lexer: Lexer) -> Flags:
    """Read a flag-list, or flags without parentheses around them."""
    if lexer.peek() == b"(":
        return lexer.flag_list()
    names = [lexer.flag()]
    while lexer.accept(b" "):
        names.append(lexer.flag())
    return flags_from(names)


def store_together(context: Context, commands: Sequence[Store]) -> Iterator[Awaitable[Answer]]:
    """Yield what answers each of several commands in its turn and for itself, as if it had come alone: those that name
    different messages are carried out by one hop to the store and one commit, begun before the first of them is answered."""
    waiting = deque(commands)
    while waiting:
        run = _next_run(context.mailbox, waiting, message_limit.limit_of(context) or UNIT)
        if len(run) == 1:
            yield store(context, run[0][0])
            continue
        begun = [ensureDeferred(_attempt(context, context.mailbox, command, uids)) for command, uids in run]
        for (command, _), attempt in zip(run, begun, strict=True):
            yield _attempted(context, command, attempt)


def _next_run(selected: Selected, waiting: deque[Store], most: int) -> list[tuple[Store, list[int]]]:
    """Take the first command, and those behind it that can be carried out together with it: no two name the same message,
    as a store may do one before the other. With each, the UIDs it names. :param most: messages that one may work on."""
    run: list[tuple[Store, list[int]]] = []
    taken: set[int] = set()
    while waiting:
        uids = _fitting(selected, waiting[0], taken)
        if uids is None or len(uids) > most:
            return run or [(waiting.popleft(), [])]
        taken.update(uids)
        run.append((waiting.popleft(), uids))
    return run


def _fitting(selected: Selected, command: Store, taken: Set[int]) -> list[int] | None:
    """Return the UIDs that a command names, or None when it is not to be carried out together with what took others."""
    if selected.examined or command.unchanged_since is not None:
        return None
    try:
        spans = selected.view.pick(command.messages)
    except NoSuchNumber:
        return None
    if sum(map(len, spans)) > UNIT - len(taken):
        return None
    uids = [selected.view.uids[index] for span in spans for index in span]
    return uids if taken.isdisjoint(uids) else None


async def _attempt(
    context: Context, selected: Selected, command: Store, uids: list[int]
) -> tuple[int, _Stored | Exception]:
    """Return how many messages were to be changed, and what became of it: nobody listens to an error yet."""
    try:
        return len(uids), await _store(context, selected, command, uids)
    except Exception as error:
        return len(uids), error


async def _attempted(context: Context, command: Store, attempt: Deferred[tuple[int, _Stored | Exception]]) -> Answer:
    count, stored = await attempt
    if isinstance(stored, Exception):
        raise stored
    await _report(context, context.mailbox, command, stored)
    if count and not stored.flags.changed and _must_tell(command):
        raise NoSuchMessage
    return _DONE


async def _store(context: Context, selected: Selected, command: Store, uids: Sequence[int]) -> _Stored:
    """Change flags by one unit, and tell the mailbox's script."""
    stored = await selected.mailbox.store_flags(
        uids, command.mode, command.flags.system, command.flags.keywords, command.unchanged_since
    )
    return _Stored(stored, await after_flags(context, selected.mailbox, stored))


async def store(context: Context, command: Store) -> Answer:
    """Change flags in units of 1,000 messages, each told when it is durable."""
    selected = context.mailbox
    require_writable(selected)
    view = selected.view
    spans, limit = message_limit.newest(context, view.pick(command.messages))
    indexes = [index for span in spans for index in span]
    held = view.uids
    if command.unchanged_since is not None:
        condstore.enable(context)
    modified: list[int] = []
    changed = 0
    for at in range(0, len(indexes), UNIT):
        uids = [held[index] for index in indexes[at : at + UNIT]]
        stored = await _store(context, selected, command, uids)
        modified.extend(stored.flags.modified)
        changed += len(stored.flags.changed)
        await _report(context, selected, command, stored)
        if at + UNIT < len(indexes):
            await context.pause()
    if modified:
        await _report_modified(context, selected, command, modified)
    code = b"MODIFIED " + _numbers(selected, command, modified) if modified else b""
    if changed + len(modified) < len(indexes) and _must_tell(command):
        if modified:  # RFC 7162 3.1.3, example 11
            return Answer("Some messages were expunged", code, b"NO")
        if not changed:
            raise NoSuchMessage
    if modified or limit:
        text = "Conditional STORE failed for some" if modified else "STORE completed"
        return Answer(text, message_limit.beside(context, limit, code))
    return _DONE


def _must_tell(command: Store) -> bool:
    """Whether a client is told by NO that nothing it named is there any more: with numbers, when it asked for the new
    flags (RFC 2180 4.2.2). Of what another session expunged among others it hears by EXPUNGE."""
    return not command.uid and not command.silent


async def _report(context: Context, selected: Selected, command: Store, stored: _Stored) -> None:
    """Tell the new flags. With .SILENT: the new mod-sequence to who knows what that is, and what others changed too."""
    view = selected.view
    view.learn(stored.flags.keywords)
    context.write(selected.new_keywords())
    names, manner = selected.names, manner_of(context.enabled)
    uid = command.uid or manner.uid
    bits = command.flags.system
    for keyword in command.flags.keywords:
        bits |= view.keywords.bit(keyword) or 0
    told = []
    for index, foreign in view.stored(stored.flags.changed, command.mode, bits):
        flags = foreign or not command.silent
        if flags:
            told.append(index)
        if flags or manner.modseq:
            context.write(flag_update(view, names, index, uid, manner, flags))
    view.told(told)
    if stored.scripted:
        await selected.refresh(force=True)  # what the script has changed is told before the answer


async def _report_modified(context: Context, selected: Selected, command: Store, modified: list[int]) -> None:
    """Spare the client a FETCH of what failed its condition (RFC 7162 3.1.3 recommends it)."""
    await selected.refresh(force=True)
    context.write(selected.new_keywords())
    view, names = selected.view, selected.names
    indexes = [index for index in map(view.index_of, modified) if index is not None and not view.is_gone(index)]
    for index in indexes:
        context.write(flag_update(view, names, index, True, manner_of(context.enabled), modseq=True))
    view.told(indexes)


def _numbers(selected: Selected, command: Store, uids: list[int]) -> bytes:
    if command.uid:
        return compress(uids).encode("ascii")
    indexes = (selected.view.index_of(uid) for uid in uids)
    return compress(index + 1 for index in indexes if index is not None).encode("ascii")


def _needs(command: Store) -> Iterator[str]:
    yield from needs.of_set(command.messages)
    if command.unchanged_since is not None:
        yield "CONDSTORE"


ROWS = (
    CommandRow(
        name=b"STORE",
        states=SELECTED,
        parse=partial(_parse, kind=SeqSet),
        run=store,
        needs=_needs,
        run_together=store_together,
        capabilities=("CONDSTORE",),
        together="flags",
        sequence_numbers=True,
        expunge=False,
        needs_view=True,
    ),
    CommandRow(
        name=b"UID STORE",
        states=SELECTED,
        parse=partial(_parse, kind=UidSet),
        run=store,
        run_together=store_together,
        together="flags",
        needs_view=True,
    ),
)
