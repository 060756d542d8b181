"""Which mailboxes are meant by a filter (RFC 5465 6, RFC 7377 2.2)."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass

from mailnode.imap.wire.lexer import Lexer
from mailnode.values.mailbox_name import SEPARATOR

ALL_OWN = frozenset({"INBOXES", "PERSONAL"})  # the same: a filter may deliver into each
WITH_NAMES = frozenset({"SUBTREE", "SUBTREE-ONE", "MAILBOXES"})


@dataclass(frozen=True, slots=True)
class MailboxFilter:
    """Mailboxes, whether or not they are there. ``kind`` is PERSONAL (INBOXES are the same), SUBSCRIBED, SUBTREE, SUBTREE-ONE or
    MAILBOXES, the last three with their names."""

    kind: str
    names: frozenset[str] = frozenset()

    def covers(self, name: str, subscribed: bool) -> bool:
        """Whether a mailbox of this name is one of them."""
        return covers(self.kind, self.names, name, subscribed)


def covers(kind: str, names: Collection[str], name: str, subscribed: bool) -> bool:
    """Whether a mailbox is one of those a filter means."""
    if kind == "PERSONAL":
        return True
    if kind == "SUBSCRIBED":
        return subscribed
    if name in names:
        return True
    if kind == "SUBTREE":
        return any(name[:at] in names for at in _levels(name))
    return kind == "SUBTREE-ONE" and name.rpartition(SEPARATOR)[0] in names


def _levels(name: str) -> list[int]:
    return [at for at, char in enumerate(name) if char == SEPARATOR]


# one-or-more-mailbox = mailbox / "(" mailbox *(SP mailbox) ")"
def read_names(lexer: Lexer) -> list[str]:
    """Read the names behind a filter, with the space before them."""
    lexer.space()
    return lexer.parenthesized(lexer.mailbox) if lexer.peek() == b"(" else [lexer.mailbox()]
