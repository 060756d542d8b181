"""The columns of the table of commands; each file beside this one has the rows of its noun in ``ROWS``."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

from mailnode.imap.answers import Answer
from mailnode.imap.commands.context import Context
from mailnode.imap.selected import STALE
from mailnode.imap.wire.command import C, CommandSyntax, ImapState
from mailnode.imap.wire.lexer import Lexer

ANY_STATE = frozenset({ImapState.NOT_AUTHENTICATED, ImapState.AUTHENTICATED, ImapState.SELECTED})
BEFORE_LOGIN = frozenset({ImapState.NOT_AUTHENTICATED})
AFTER_LOGIN = frozenset({ImapState.AUTHENTICATED, ImapState.SELECTED})
SELECTED = frozenset({ImapState.SELECTED})


@dataclass(frozen=True, slots=True, kw_only=True)
class CommandRow(CommandSyntax[C]):
    """One command of the table.

    ``run`` answers; None from it: further events of the command follow, and go to what it left as
    ``context.under_way``. ``capabilities``: what CAPABILITY says because this command is there; those of a command that is
    allowed before login only are said before login only.

    ``needs``: the capabilities that what a command says belongs to, in capitals: it is not taken where one of them is hidden.
    None: the first of ``capabilities``; of a command of RFC 3501 none. Those with ``UID`` need what those without do.

    ``run_together``, the same for all of a group ``together``, runs several at once: it yields what answers each, in their
    order.

    With a mailbox selected, ``needs_view``: it looks into the view's arrays; ``stale_after``: seconds after which the store
    is asked before it runs even when no hint came; ``asks_after``: it may have changed the mailbox, which is told before
    its answer.
    """

    run: Callable[[Context, C], Awaitable[Answer | None]]
    needs: Callable[[C], Iterable[str]] | None = None
    run_together: Callable[[Context, Sequence[C]], Iterable[Awaitable[Answer]]] | None = None
    capabilities: tuple[str, ...] = ()
    needs_view: bool = False
    stale_after: float = STALE
    asks_after: bool = False


AnyRow: TypeAlias = CommandRow[Any]  # of whichever command


def bare(kind: type[C]) -> Callable[[bytes, Lexer], C]:
    """Return what reads a command without arguments."""
    return lambda tag, lexer: kind(tag)
