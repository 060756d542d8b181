"""Which names LIST and LSUB return, and with which attributes: pure functions over names.

RFC 3501 6.3.8 and 6.3.9, RFC 5258, RFC 3348 (CHILDREN), RFC 6154 (SPECIAL-USE).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from mailnode.errors import BadMailboxName
from mailnode.imap.command_types import List, Lsub
from mailnode.imap.wire.names import Patterns
from mailnode.values.mailbox import MailboxInfo
from mailnode.values.mailbox_name import INBOX, SEPARATOR, mailbox_name


@dataclass(frozen=True, slots=True)
class ListRow:
    """One LIST or LSUB response. ``name`` "" with ``\\Noselect`` is the answer to ``LIST "" ""``. ``childinfo`` are the
    selection options a descendant meets. ``mailbox`` is None for a name that does not exist."""

    name: str
    attributes: tuple[str, ...]
    childinfo: tuple[str, ...] = ()
    mailbox: MailboxInfo | None = None
    old_name: str = ""


def list_matches(command: List, mailboxes: Sequence[MailboxInfo], subscriptions: Iterable[str]) -> list[ListRow]:
    """Return the rows of LIST, INBOX first, then by name.

    :param mailboxes: all of the account, or where :func:`only_name` says one, that and an inferior of it.
    :param subscriptions: subscribed names, whether or not they exist; read only where the command asks for them.
    """
    if asks_separator(command):
        return [ListRow("", ("\\Noselect",))]
    return _Listing(command, mailboxes, frozenset(subscriptions)).rows()


def asks_separator(command: List) -> bool:
    """Whether this LIST asks for the hierarchy separator and for no mailbox (RFC 3501 6.3.8)."""
    return not command.extended and command.patterns == ("",)


def only_name(command: List) -> str | None:
    """Return the one name this LIST can show, in its canonical form; None: it may show several, or none at all."""
    if len(command.patterns) != 1 or command.selection:
        return None
    name = command.reference + command.patterns[0]
    if "*" in name or "%" in name:
        return None
    try:
        return mailbox_name(name)
    except BadMailboxName:
        return None


def lsub_matches(command: Lsub, subscriptions: Iterable[str]) -> list[ListRow]:
    """Return the rows of LSUB. ``\\Noselect`` means here: not subscribed, but with subscribed names below it, which the
    trailing ``%`` hid (RFC 3501 6.3.9)."""
    subscribed = frozenset(subscriptions)
    patterns = Patterns(command.reference, command.patterns)
    rows: dict[str, tuple[str, ...]] = {name: () for name in subscribed if patterns.match(name)}
    if any(pattern.endswith("%") for pattern in command.patterns):
        for parent in {p for name in subscribed for p in _superiors(name)} - subscribed:
            if patterns.match(parent):
                rows[parent] = ("\\Noselect",)
    return [ListRow(name, rows[name]) for name in sorted(rows, key=_order)]


class _Listing:
    def __init__(self, command: List, mailboxes: Sequence[MailboxInfo], subscribed: frozenset[str]) -> None:
        self._command = command
        self._existing = {m.name: m for m in mailboxes}
        self._subscribed = subscribed
        self._parents = {p for name in self._existing for p in _superiors(name)}
        self._by_subscription = "SUBSCRIBED" in command.selection
        self._by_use = "SPECIAL-USE" in command.selection
        self._show_subscribed = self._by_subscription or "SUBSCRIBED" in command.returns

    def rows(self) -> list[ListRow]:
        patterns = Patterns(self._command.reference, self._command.patterns)
        selected = self._selected()
        names = {name for name in selected if patterns.match(name)}
        recursive = "RECURSIVEMATCH" in self._command.selection
        with_child = {p for name in selected for p in _superiors(name)} if recursive else set()
        if recursive:
            # RFC 5258 3.5: a name that is not selected itself stands for the selected ones the pattern leaves out.
            hidden = {p for name in selected - names for p in _superiors(name)} - selected
            names |= {name for name in hidden if patterns.match(name)}
        if not self._by_subscription and not self._by_use:
            names |= self._missing_superiors()
        return [self._row(name, name in with_child) for name in sorted(names, key=_order)]

    def _selected(self) -> set[str]:
        names = set(self._subscribed) if self._by_subscription else set(self._existing)
        if self._by_use:
            names = {name for name in names if name in self._existing and self._existing[name].special_use}
        return names

    def _missing_superiors(self) -> set[str]:
        """Levels that exist only as part of longer names; a trailing ``%`` shows them (RFC 3501 6.3.8)."""
        levels = [pattern for pattern in self._command.patterns if pattern.endswith("%")]
        missing = self._parents - self._existing.keys() if levels else set()
        patterns = Patterns(self._command.reference, levels)
        return {name for name in missing if patterns.match(name)}

    def _row(self, name: str, with_child: bool) -> ListRow:
        mailbox = self._existing.get(name)
        attributes = []
        if mailbox is None:
            attributes.append("\\NonExistent")
            if not self._command.extended:
                attributes.append("\\Noselect")  # for programs that know RFC 3501 only
        elif not mailbox.selectable:
            attributes.append("\\Noselect")
        if self._show_subscribed and name in self._subscribed:
            attributes.append("\\Subscribed")
        attributes.append("\\HasChildren" if name in self._parents else "\\HasNoChildren")
        if mailbox is not None and mailbox.special_use:
            attributes.append(mailbox.special_use)
        return ListRow(name, tuple(attributes), ("SUBSCRIBED",) if with_child else (), mailbox)


def _superiors(name: str) -> Iterator[str]:
    at = name.rfind(SEPARATOR)
    while at > 0:
        yield name[:at]
        at = name.rfind(SEPARATOR, 0, at)


def _order(name: str) -> tuple[bool, str]:
    return name != INBOX, name
