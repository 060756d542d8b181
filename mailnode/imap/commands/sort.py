"""SORT and UID SORT (RFC 5256 3, RFC 5957 3, RFC 6203 6): what SEARCH finds, in order; with return options as SEARCH has them
(RFC 5267 3 and 4)."""

from __future__ import annotations

from array import array
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import ClassVar

from mailnode.imap.answers import Answer
from mailnode.imap.commands import condstore, esearch
from mailnode.imap.commands.context import Context
from mailnode.imap.commands.inprogress import going_on
from mailnode.imap.commands.matching import matching
from mailnode.imap.commands.message_limit import searched
from mailnode.imap.commands.ordering import in_order
from mailnode.imap.commands.relevancy import scores_of
from mailnode.imap.commands.row import SELECTED, CommandRow
from mailnode.imap.messages import needs
from mailnode.imap.messages.ordered import RELEVANCY, Criterion
from mailnode.imap.messages.search_keys import SearchKey, SearchProgram, read_charset
from mailnode.imap.messages.search_returns import Returns, read_returns
from mailnode.imap.messages.sort_order import read_criteria
from mailnode.imap.updating import follow, refuse_used_tag
from mailnode.imap.wire.command import Command
from mailnode.imap.wire.lexer import CommandFault, Lexer


# sort = ["UID" SP] "SORT" [SP "RETURN (" [option *(SP option)] ")"] SP sort-criteria SP charset 1*(SP search-key)
@dataclass(frozen=True, slots=True)
class Sort(Command):
    """RFC 5256 3. ``by_uid``: UID SORT. ``returns`` None: answer with ``* SORT``. ``modseq``: a MODSEQ key was used
    (RFC 7162 3.1.5). ``fuzzy``: FUZZY stands somewhere (RFC 6203)."""

    verb: ClassVar[str] = "SORT"
    by_uid: bool
    criteria: tuple[Criterion, ...]
    key: SearchKey
    returns: Returns | None = None
    modseq: bool = False
    fuzzy: bool = field(default=False, compare=False)

    @property
    def uid(self) -> bool:
        """Whether UIDs are to be returned."""
        return self.by_uid


def _parse(tag: bytes, lexer: Lexer, by_uid: bool) -> Sort:
    """Read ``[RETURN (...)] (criteria) charset keys``."""
    lexer.space()
    returns = read_returns(lexer)
    criteria = read_criteria(lexer)
    lexer.space()
    charset = read_charset(lexer)
    lexer.space()
    program = SearchProgram(lexer, charset)
    key = program.keys()
    by_relevancy = any(criterion.key == RELEVANCY for criterion in criteria)
    if not program.fuzzy and (by_relevancy or (returns is not None and returns.relevancy)):  # RFC 6203 4 and 6
        raise CommandFault("RELEVANCY is that of FUZZY keys")
    return Sort(tag, by_uid, criteria, key, returns, program.modseq, program.fuzzy)


async def sort(context: Context, command: Sort) -> Answer:
    """Find, order, answer with numbers or UIDs; nothing found is an answer too."""
    refuse_used_tag(context, command.tag, command.returns)
    if command.modseq:
        condstore.enable(context)
    with esearch.saving(context, command.returns), going_on(context, command):
        candidates, limit = searched(context, command.key)
        found = await matching(context, command.key, candidates)
        ordered = await _in_order(context, command, found)
        scores = await _told_scores(context, command, ordered)
    await context.pause()
    await esearch.say(context, command.tag, command.uid, ordered, command.returns, command.modseq, b"SORT", scores)
    await follow(
        context, command.tag, command.uid, command.key, command.returns, found, command.criteria, whole=not limit
    )
    return Answer("SORT completed", limit)


async def _told_scores(context: Context, command: Sort, ordered: Sequence[int]) -> Sequence[int]:
    if command.returns is None or not command.returns.relevancy:
        return ()
    told = [ordered[place] for place in command.returns.scored(len(ordered))]
    ascending = sorted(told)
    scores = dict(zip(ascending, await scores_of(context, command.key, ascending), strict=True))
    return [scores[index] for index in told]


async def _in_order(context: Context, command: Sort, found: Sequence[int]) -> Sequence[int]:
    """Return indexes of the view in the order of the criteria."""
    if len(found) < 2:
        return found
    scores = array("B")
    if any(criterion.key == RELEVANCY for criterion in command.criteria):
        scores = await scores_of(context, command.key, found)
    return await in_order(context, command.criteria, found, scores)


def _needs(command: Sort) -> Iterator[str]:
    yield "SORT"
    if any(criterion.key.startswith("DISPLAY") for criterion in command.criteria):
        yield "SORT=DISPLAY"
    yield from needs.of_returns(command.returns, "ESORT", "CONTEXT=SORT")
    yield from needs.of_key(command.key, command.fuzzy)


ROWS = (
    CommandRow(
        name=b"SORT",
        states=SELECTED,
        parse=partial(_parse, by_uid=False),
        run=sort,
        needs=_needs,
        capabilities=("SORT", "SORT=DISPLAY", "ESORT", "CONTEXT=SORT"),
        sequence_numbers=True,
        expunge=False,
        needs_view=True,
    ),
    CommandRow(
        name=b"UID SORT",
        states=SELECTED,
        parse=partial(_parse, by_uid=True),
        run=sort,
        sequence_numbers=True,
        needs_view=True,
    ),
)
