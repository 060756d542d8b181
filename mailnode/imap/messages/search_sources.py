"""In which mailboxes ESEARCH looks (RFC 7377 2.2)."""

from __future__ import annotations

from dataclasses import dataclass

from mailnode.imap.messages.mailbox_filters import ALL_OWN, WITH_NAMES, MailboxFilter, read_names
from mailnode.imap.wire.lexer import CommandFault, Lexer

MAX_NAMES = 1000  # of mailboxes and trees in one ESEARCH


@dataclass(frozen=True, slots=True)
class Sources:
    """``selected``: the selected mailbox; ``filters``: others, in which it may be too; of each kind one."""

    selected: bool
    filters: tuple[MailboxFilter, ...] = ()

    @property
    def only_selected(self) -> bool:
        """Whether it is the selected mailbox alone."""
        return self.selected and not self.filters


SELECTED_ONE = Sources(True)


# esearch-source-opts = "IN" SP "(" filter-mailboxes *(SP filter-mailboxes) [SP "(" scope-options ")"] ")"
def read_sources(lexer: Lexer) -> Sources:
    """Read ``IN (...)`` with the space behind it; where it is not there the selected mailbox is meant.

    :raises CommandFault: an unknown filter; any scope option, as none is defined; NO [LIMIT] where too much is named.
    """
    if not lexer.accept_word(b"IN "):
        return SELECTED_ONE
    selected, count = False, 0
    filters: dict[str, set[str]] = {}

    def one() -> None:
        nonlocal selected, count
        kind = lexer.word()
        if kind == "SELECTED":
            selected = True
        elif kind in WITH_NAMES:
            names = read_names(lexer)
            count += len(names)
            filters.setdefault(kind, set()).update(names)
        elif kind in ALL_OWN or kind == "SUBSCRIBED":
            filters.setdefault("PERSONAL" if kind in ALL_OWN else kind, set())
        else:
            raise CommandFault("Unknown mailbox filter")

    lexer.parenthesized(one)
    lexer.space()
    if count > MAX_NAMES:
        raise CommandFault("Too many mailboxes", status=b"NO", code=b"LIMIT")
    return Sources(selected, tuple(MailboxFilter(kind, frozenset(names)) for kind, names in filters.items()))
