"""FETCH and UID FETCH (RFC 3501 6.4.5, RFC 3516 4.2, RFC 7162 3.1.4, RFC 8514, RFC 8970, RFC 9394)."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache, partial
from typing import ClassVar

from mailnode.errors import BlobDamaged, DomainError, NoSuchMessage
from mailnode.imap.answers import Answer, CommandRefused
from mailnode.imap.commands import condstore, message_limit, qresync
from mailnode.imap.commands.context import Context
from mailnode.imap.commands.row import SELECTED, CommandRow
from mailnode.imap.fetching import Fetching
from mailnode.imap.messages import needs
from mailnode.imap.messages.fetch_items import Attribute, FetchItem, parse_items
from mailnode.imap.messages.ranges import at_places
from mailnode.imap.messages.rendering import plan_fetch
from mailnode.imap.messages.search_returns import PartialRange
from mailnode.imap.view.changes import changed
from mailnode.imap.view.view import View
from mailnode.imap.wire.command import Command, MessageSet
from mailnode.imap.wire.lexer import MAX_NUMBER64, CommandFault, Lexer
from mailnode.values.sets import SeqSet, UidSet

REMEMBERED = 256  # item lists: every program repeats its few
LONGEST_REMEMBERED = 512  # octets; what is kept is bounded


# fetch = ["UID" SP] "FETCH" SP sequence-set SP items [SP "(" modifier *(SP modifier) ")"]
# modifier = "CHANGEDSINCE" SP mod-sequence-valzer / "VANISHED" / "PARTIAL" SP partial-range
# items = "ALL" / "FULL" / "FAST" / fetch-att / "(" fetch-att *(SP fetch-att) ")"
@dataclass(frozen=True, slots=True)
class Fetch(Command):
    """RFC 3501 6.4.5; ``changed_since`` RFC 7162 3.1.4.1, ``vanished`` 3.2.6; ``places`` RFC 9394 3.3. Macros are expanded, each
    item stands once; UID FETCH does not add ``UID`` here, CHANGEDSINCE does not add ``MODSEQ``: that is the response's
    matter."""

    verb: ClassVar[str] = "FETCH"
    messages: MessageSet
    items: tuple[FetchItem, ...]
    changed_since: int | None = None
    vanished: bool = False
    places: PartialRange | None = None


@dataclass(slots=True)
class _Modifiers:
    """What stands behind the items."""

    changed_since: int | None = None
    vanished: bool = False
    places: PartialRange | None = None


def _parse(tag: bytes, lexer: Lexer, kind: type[SeqSet] | type[UidSet]) -> Fetch:
    """Read `` set items [modifiers]``."""
    lexer.space()
    messages = lexer.sequence_set(kind)
    lexer.space()
    text = lexer.remainder()
    items, modifiers = (_remembered if len(text) <= LONGEST_REMEMBERED else _arguments)(text)
    if modifiers.vanished and (kind is not UidSet or modifiers.changed_since is None):
        raise CommandFault("VANISHED belongs to UID FETCH with CHANGEDSINCE")
    return Fetch(tag, messages, items, modifiers.changed_since, modifiers.vanished, modifiers.places)


def _arguments(text: bytes) -> tuple[tuple[FetchItem, ...], _Modifiers]:
    """Read ``items [modifiers]``, which end the command."""
    lexer = Lexer(text)
    items = parse_items(lexer)
    modifiers = _modifiers(lexer) if lexer.accept(b" ") else _Modifiers()
    lexer.end()
    return items, modifiers


_remembered = lru_cache(maxsize=REMEMBERED)(_arguments)


def _modifiers(lexer: Lexer) -> _Modifiers:
    """Read ``(CHANGEDSINCE n VANISHED PARTIAL a:b)``; 0 is taken too, because phones send it."""
    modifiers = _Modifiers()

    def modifier() -> None:
        name = lexer.word()
        if name == "CHANGEDSINCE" and modifiers.changed_since is None:
            lexer.space()
            modifiers.changed_since = lexer.number(MAX_NUMBER64)
        elif name == "VANISHED" and not modifiers.vanished:
            modifiers.vanished = True
        elif name == "PARTIAL" and modifiers.places is None:
            lexer.space()
            modifiers.places = PartialRange.read(lexer)
        else:
            raise CommandFault("Unknown or repeated fetch modifier")

    lexer.parenthesized(modifier)
    return modifiers


async def fetch(context: Context, command: Fetch) -> Answer:
    """Answer for every message the set names, in order."""
    if command.vanished:
        qresync.require(context)
    picked, limit = message_limit.newest(context, _picked(context.mailbox.view, command))
    await _say(context, command, picked)
    return Answer("FETCH completed", limit)


async def tell_new(context: Context, uids: UidSet, items: tuple[FetchItem, ...]) -> None:
    """Say unasked what is wanted of new messages (RFC 5465 5.2 and 7), of all of them: what limits commands is not for this."""
    command = Fetch(b"*", uids, items)
    try:
        await _say(context, command, _picked(context.mailbox.view, command))
    except CommandRefused:  # what the message itself does not allow the client will hear when it asks
        pass
    except DomainError as error:
        context.trouble(error)


async def _say(context: Context, command: Fetch, picked: Sequence[range]) -> None:
    """Write what a command asks of these messages."""
    selected = context.mailbox
    view, uid = selected.view, command.uid
    spans: Iterable[Sequence[int]] = picked
    names = {item.name for item in command.items if isinstance(item, Attribute)}
    if command.changed_since is not None or "MODSEQ" in names:
        condstore.enable(context)
    modseq = command.changed_since is not None or ("CONDSTORE" in context.enabled and "FLAGS" in names)
    if "FLAGS" in names:
        context.write(selected.new_keywords())
    plan = plan_fetch(command.items, uid, modseq, "UIDONLY" in context.enabled)
    job = Fetching(context, selected, plan, names, uid, command.changed_since is not None, sum(map(len, picked)))
    if command.changed_since is not None:
        if command.vanished and isinstance(command.messages, UidSet):
            await qresync.vanished_of(context, command.messages, command.changed_since)
        spans = changed(view.modseqs, spans, command.changed_since)
    await job.answer(spans)
    if job.damaged:
        raise BlobDamaged
    if job.unknown_encoding:
        raise CommandRefused("A part has an unknown transfer encoding", b"UNKNOWN-CTE")
    if job.missing and not uid:
        raise NoSuchMessage


def _picked(view: View, command: Fetch) -> Sequence[range]:
    """Return the messages a command names, of which PARTIAL leaves some before anything else is asked of them (RFC 9394
    3.4)."""
    spans = view.pick(command.messages)
    return spans if command.places is None else at_places(spans, command.places.of(sum(map(len, spans))))


def _needs(command: Fetch) -> Iterator[str]:
    yield from needs.of_set(command.messages)
    yield from needs.of_items(command.items)
    if command.changed_since is not None:
        yield "CONDSTORE"
    if command.vanished:
        yield "QRESYNC"
    if command.places is not None:
        yield "PARTIAL"


ROWS = (
    CommandRow(
        name=b"FETCH",
        states=SELECTED,
        parse=partial(_parse, kind=SeqSet),
        run=fetch,
        needs=_needs,
        sequence_numbers=True,
        expunge=False,
        needs_view=True,
        capabilities=("SAVEDATE", "PREVIEW", "BINARY"),
    ),
    CommandRow(name=b"UID FETCH", states=SELECTED, parse=partial(_parse, kind=UidSet), run=fetch, needs_view=True),
)
