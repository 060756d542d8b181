"""SEARCH and UID SEARCH (RFC 3501 6.4.4, RFC 9585, RFC 4731, RFC 5032, RFC 5182, RFC 5255 4.3, RFC 5267 4, RFC 6203,
RFC 7162 3.1.5, RFC 9394)."""

from __future__ import annotations

from array import array
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import ClassVar, NamedTuple, Protocol

from mailnode.imap.answers import Answer, CommandRefused
from mailnode.imap.commands import condstore, esearch, rev2, utf8
from mailnode.imap.commands.context import Context, Searching
from mailnode.imap.commands.inprogress import going_on
from mailnode.imap.commands.matching import first_matching, matching
from mailnode.imap.commands.message_limit import searched
from mailnode.imap.commands.relevancy import scores_of
from mailnode.imap.commands.row import SELECTED, CommandRow
from mailnode.imap.messages import needs
from mailnode.imap.messages.search_keys import All, SearchKey, SearchProgram, read_charset
from mailnode.imap.messages.search_returns import ALL_OF_THEM, Returns, read_returns
from mailnode.imap.updating import follow, refuse_used_tag
from mailnode.imap.wire.command import Command
from mailnode.imap.wire.lexer import CommandFault, Lexer

FEW = 20_000  # found messages whose numbers may stay as they are: they take less than a megabyte


# search = ["UID" SP] "SEARCH" [SP "RETURN (" [option *(SP option)] ")"] [SP "CHARSET" SP astring] 1*(SP search-key)
@dataclass(frozen=True, slots=True)
class Search(Command):
    """RFC 3501 6.4.4. ``by_uid``: UID SEARCH. ``returns`` None: answer with ``* SEARCH``. ``modseq``: a MODSEQ key was used
    (RFC 7162 3.1.5). ``refusal``: what is wrong with its keys, when its failing changes what ``$`` stands for.
    ``names_charset``: it says in what charset its strings are. ``fuzzy``: FUZZY stands somewhere (RFC 6203)."""

    verb: ClassVar[str] = "SEARCH"
    by_uid: bool
    key: SearchKey
    returns: Returns | None = None
    modseq: bool = False
    refusal: CommandFault | None = None
    names_charset: bool = field(default=False, compare=False)
    fuzzy: bool = field(default=False, compare=False)

    @property
    def uid(self) -> bool:
        """Whether UIDs are to be returned."""
        return self.by_uid


def _parse(tag: bytes, lexer: Lexer, by_uid: bool) -> Search:
    """Read ``[RETURN (...)] [CHARSET c] keys``."""
    lexer.space()
    returns = read_returns(lexer)
    key, modseq, refusal, names_charset, fuzzy = read_program(lexer, returns)
    return Search(tag, by_uid, key, returns, modseq, refusal, names_charset, fuzzy)


class Program(NamedTuple):
    """What is looked for, and what :class:`Search` says of it."""

    key: SearchKey
    modseq: bool
    refusal: CommandFault | None
    names_charset: bool
    fuzzy: bool = False


def read_program(lexer: Lexer, returns: Returns | None) -> Program:
    """Read ``[CHARSET c] keys`` behind the return options."""
    charset = lexer.follows(b"CHARSET ")
    try:
        program, key = _read_keys(lexer)
    except CommandFault as error:
        if returns is None or not returns.save or error.status != b"NO":
            raise
        lexer.remainder()
        return Program(All(), False, error, charset)
    if returns is not None and returns.relevancy and not program.fuzzy:  # RFC 6203 4
        raise CommandFault("RELEVANCY is that of FUZZY keys")
    return Program(key, program.modseq, None, charset, program.fuzzy)


def _read_keys(lexer: Lexer) -> tuple[SearchProgram, SearchKey]:
    charset = ""
    if lexer.accept_word(b"CHARSET "):
        charset = read_charset(lexer)
        lexer.space()
    program = SearchProgram(lexer, charset)
    return program, program.keys()


async def search(context: Context, command: Search) -> Answer:
    """Find, then answer with numbers or UIDs; nothing found is an answer too."""
    begin(context, command)
    refuse_used_tag(context, command.tag, command.returns)
    with esearch.saving(context, command.returns), going_on(context, command):
        if command.refusal is not None:
            raise CommandRefused(command.refusal.text, command.refusal.code)
        candidates, limit = searched(context, command.key)
        found = await found_by(context, command.key, command.returns, candidates)
        scores = await told_scores(context, command.key, command.returns, found)
    if len(found) > FEW and not isinstance(found, range):
        found = array("I", found)  # it stays for as long as somebody reads the answer
    await context.pause()
    returns = command.returns or (ALL_OF_THEM if rev2.is_enabled(context) else None)  # RFC 9051 6.4.4
    await esearch.say(context, command.tag, command.uid, found, returns, command.modseq, scores=scores)
    await follow(context, command.tag, command.uid, command.key, command.returns, found, whole=not limit)
    return Answer("SEARCH completed", limit)


class Asked(Protocol):
    """A command that searches."""

    @property
    def modseq(self) -> bool:
        """Whether a MODSEQ key was used."""

    @property
    def names_charset(self) -> bool:
        """Whether it says in what charset its strings are."""


def begin(context: Context, command: Asked) -> None:
    """Do what is done before anything is looked for."""
    if command.names_charset and utf8.NAME in context.enabled:  # RFC 6855 3
        raise CommandRefused("All strings are UTF-8 now", status=b"BAD")
    if command.modseq:
        condstore.enable(context)


async def found_by(
    context: Searching, key: SearchKey, returns: Returns | None, candidates: Sequence[int]
) -> Sequence[int]:
    """Return the indexes of those for which the keys hold, or of the first or last ones when these are enough."""
    enough = returns and returns.enough
    if not enough:
        return await matching(context, key, candidates)
    return await first_matching(context, key, candidates, *enough)


async def told_scores(
    context: Searching, key: SearchKey, returns: Returns | None, found: Sequence[int]
) -> Sequence[int]:
    """Return the scores that are told with what was found."""
    if returns is None or not returns.relevancy:
        return ()
    places = returns.scored(len(found))
    return await scores_of(context, key, found[places.start : places.stop])


def _needs(command: Search) -> Iterator[str]:
    yield from needs.of_returns(command.returns)
    yield from needs.of_key(command.key, command.fuzzy)


ROWS = (
    CommandRow(
        name=b"SEARCH",
        states=SELECTED,
        parse=partial(_parse, by_uid=False),
        run=search,
        needs=_needs,
        capabilities=(
            "ESEARCH",
            "SEARCHRES",
            "PARTIAL",
            "WITHIN",
            "I18NLEVEL=1",
            "INPROGRESS",
            "SEARCH=FUZZY",
            "CONTEXT=SEARCH",
        ),
        sequence_numbers=True,
        expunge=False,
        needs_view=True,
    ),
    CommandRow(
        name=b"UID SEARCH",
        states=SELECTED,
        parse=partial(_parse, by_uid=True),
        run=search,
        sequence_numbers=True,
        needs_view=True,
    ),
)
