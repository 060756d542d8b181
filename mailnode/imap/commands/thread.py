"""THREAD and UID THREAD (RFC 5256 3): what SEARCH finds, as trees of what answers what."""

from __future__ import annotations

from array import array
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import ClassVar

from mailnode.imap.answers import Answer
from mailnode.imap.commands import condstore
from mailnode.imap.commands.context import Context
from mailnode.imap.commands.inprogress import going_on
from mailnode.imap.commands.matching import matching
from mailnode.imap.commands.message_limit import searched
from mailnode.imap.commands.ordering import Ordering, digest
from mailnode.imap.commands.row import SELECTED, CommandRow
from mailnode.imap.messages import needs
from mailnode.imap.messages.search_keys import SearchKey, SearchProgram, read_charset
from mailnode.imap.messages.sort_order import THREAD_KEYS, threaded
from mailnode.imap.wire.command import Command
from mailnode.imap.wire.lexer import CommandFault, Lexer

PIECE = 64 * 1024  # octets of an answer said between two turns of the reactor


# thread = ["UID" SP] "THREAD" SP thread-alg SP charset 1*(SP search-key)
@dataclass(frozen=True, slots=True)
class Thread(Command):
    """RFC 5256 3. ``by_uid``: UID THREAD. ``algorithm`` is a key of ``THREAD_KEYS``. ``modseq``: a MODSEQ key was used.
    ``fuzzy``: FUZZY stands somewhere (RFC 6203)."""

    verb: ClassVar[str] = "THREAD"
    by_uid: bool
    algorithm: str
    key: SearchKey
    modseq: bool = False
    fuzzy: bool = field(default=False, compare=False)

    @property
    def uid(self) -> bool:
        """Whether UIDs are to be returned."""
        return self.by_uid


def _parse(tag: bytes, lexer: Lexer, by_uid: bool) -> Thread:
    """Read ``algorithm charset keys``."""
    lexer.space()
    algorithm = lexer.atom().decode("ascii").upper()
    if algorithm not in THREAD_KEYS:
        raise CommandFault("Unknown threading algorithm")
    lexer.space()
    charset = read_charset(lexer)
    lexer.space()
    program = SearchProgram(lexer, charset)
    key = program.keys()
    return Thread(tag, by_uid, algorithm, key, program.modseq, program.fuzzy)


async def thread(context: Context, command: Thread) -> Answer:
    """Find, thread, answer with numbers or UIDs; nothing found is an answer too."""
    if command.modseq:
        condstore.enable(context)
    with going_on(context, command):
        candidates, limit = searched(context, command.key)
        found = await matching(context, command.key, candidates)
        lists = await _lists(context, command, found) if found else b""
    await context.pause()
    context.write(b"* THREAD " if lists else b"* THREAD")
    for at in range(0, len(lists), PIECE):
        context.write(lists[at : at + PIECE])
        await context.pause(within=True)
    context.write(b"\r\n")
    return Answer("THREAD completed", limit)


async def _lists(context: Context, command: Thread, found: Sequence[int]) -> bytes:
    ordering = Ordering(context, found)
    indexes = None if command.uid else array("I", found)
    algorithm = command.algorithm
    lists: bytes = await ordering.made(
        ("THREAD", algorithm, indexes and digest(indexes)),
        THREAD_KEYS[algorithm],
        threaded,
        algorithm,
        indexes,
    )
    return lists


def _needs(command: Thread) -> Iterator[str]:
    yield f"THREAD={command.algorithm}"
    yield from needs.of_key(command.key, command.fuzzy)


ROWS = (
    CommandRow(
        name=b"THREAD",
        states=SELECTED,
        parse=partial(_parse, by_uid=False),
        run=thread,
        needs=_needs,
        capabilities=("THREAD=ORDEREDSUBJECT", "THREAD=REFERENCES", "THREAD=REFS"),
        sequence_numbers=True,
        expunge=False,
        needs_view=True,
    ),
    CommandRow(
        name=b"UID THREAD",
        states=SELECTED,
        parse=partial(_parse, by_uid=True),
        run=thread,
        sequence_numbers=True,
        needs_view=True,
    ),
)
