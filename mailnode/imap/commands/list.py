"""LIST (RFC 3501 6.3.8, RFC 5258, RFC 5819, RFC 3348, RFC 6154, RFC 8440, RFC 9590)."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator, Awaitable, Callable, Collection, Iterable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from functools import lru_cache
from itertools import islice
from typing import ClassVar, TypeVar

from mailnode.errors import BadMailboxName, DomainError, NoSuchMailbox
from mailnode.imap.answers import Answer
from mailnode.imap.commands import condstore, rev2
from mailnode.imap.commands.acl import my_rights
from mailnode.imap.commands.context import Context
from mailnode.imap.commands.metadata import entries, listed_values
from mailnode.imap.commands.row import AFTER_LOGIN, CommandRow
from mailnode.imap.commands.status import as_viewed, status_items, status_line
from mailnode.imap.messages import needs
from mailnode.imap.others import mail_of, shared_mailboxes
from mailnode.imap.wire import responses
from mailnode.imap.wire.command import Command
from mailnode.imap.wire.lexer import CommandFault, Lexer
from mailnode.imap.wire.names import Patterns
from mailnode.values.mailbox import SPECIAL_USES, MailboxInfo, MailboxStatus
from mailnode.values.mailbox_name import INBOX, SEPARATOR, mailbox_name

MAX_PATTERNS = 64  # of one LIST

# Attributes that came with capabilities.
_SAID_WITH = {
    "CHILDREN": {"\\HasChildren", "\\HasNoChildren"},
    "LIST-EXTENDED": {"\\NonExistent"},
    "SPECIAL-USE": set(SPECIAL_USES.values()),
}

SELECTION_OPTIONS = frozenset({"SUBSCRIBED", "REMOTE", "RECURSIVEMATCH", "SPECIAL-USE"})
RETURN_OPTIONS = frozenset({"SUBSCRIBED", "CHILDREN", "SPECIAL-USE", "STATUS", "METADATA", "MYRIGHTS"})


_WILDCARD = re.compile(r"[*%]")
_BATCH = 100  # mailboxes whose counts are asked for at a time
_STEP = (
    32  # names looked at between two looks at the time; one takes up to 0.3 ms, with the longest patterns there can be
)

T = TypeVar("T")
U = TypeVar("U")
Pause = Callable[[], Awaitable[None]]


# list = "LIST" [SP "(" [selection *(SP selection)] ")"] SP mailbox SP patterns [SP "RETURN (" [return *(SP return)] ")"]
# patterns = list-mailbox / "(" list-mailbox *(SP list-mailbox) ")"
@dataclass(frozen=True, slots=True)
class List(Command):
    """RFC 3501 6.3.8, RFC 5258 3, RFC 5819, RFC 6154 5.2.

    ``reference`` and ``patterns`` are decoded from modified UTF-7 and not otherwise changed; a pattern that cannot be
    decoded is left out, because no mailbox can match it. ``selection`` holds any of ``SUBSCRIBED REMOTE RECURSIVEMATCH
    SPECIAL-USE``, ``returns`` any of ``SUBSCRIBED CHILDREN SPECIAL-USE STATUS METADATA MYRIGHTS``; ``status`` are the items of
    ``STATUS (...)``, ``entries`` those of ``METADATA (...)`` (RFC 9590). ``extended``: any syntax of RFC 5258 was used
    (else ``LIST "" ""`` asks for the separator).
    """

    verb: ClassVar[str] = "LIST"
    reference: str
    patterns: tuple[str, ...]
    selection: frozenset[str] = frozenset()
    returns: frozenset[str] = frozenset()
    status: tuple[str, ...] = ()
    extended: bool = False
    entries: tuple[bytes, ...] = ()


@dataclass(frozen=True, slots=True)
class ListRow:
    """One LIST or LSUB response. ``name`` "" with ``\\Noselect`` is the answer to ``LIST "" ""``. ``childinfo`` are the
    selection options a descendant meets. ``mailbox`` is None for a name that does not exist."""

    name: str
    attributes: tuple[str, ...]
    childinfo: tuple[str, ...] = ()
    mailbox: MailboxInfo | None = None
    old_name: str = ""


def _parse(tag: bytes, lexer: Lexer) -> List:
    """Read `` [(selection)] reference pattern-or-patterns [RETURN (options)]`` (RFC 5258 6)."""
    lexer.space()
    selection: frozenset[str] = frozenset()
    extended = lexer.peek() == b"("
    if extended:
        selection = _selection(lexer)
        lexer.space()
    reference = lexer.encoded_name()
    lexer.space()
    if lexer.peek() == b"(":
        extended = True
        patterns = lexer.parenthesized(lexer.list_mailbox)
    else:
        patterns = [lexer.list_mailbox()]
    if len(patterns) > MAX_PATTERNS:
        raise CommandFault("Too many patterns", status=b"NO", code=b"LIMIT")
    returns = _Returns()
    if lexer.accept(b" "):
        extended = True
        returns.read(lexer)
    return List(
        tag,
        reference or "",
        decoded_patterns(reference, patterns),
        selection,
        frozenset(returns.options),
        tuple(dict.fromkeys(returns.status)),
        extended,
        returns.entries,
    )


def decoded_patterns(reference: str | None, patterns: list[str | None]) -> tuple[str, ...]:
    """Return the patterns that can match something."""
    if reference is None:
        return ()
    return tuple(text for text in patterns if text is not None)


def _selection(lexer: Lexer) -> frozenset[str]:
    options = frozenset(lexer.parenthesized(lexer.word, minimum=0))
    if not options <= SELECTION_OPTIONS:
        raise CommandFault("Unknown selection option")
    # RFC 5258 3.1: it modifies a base option; SPECIAL-USE (RFC 6154 6) and REMOTE are none.
    if "RECURSIVEMATCH" in options and "SUBSCRIBED" not in options:
        raise CommandFault("RECURSIVEMATCH needs SUBSCRIBED")
    return options


class _Returns:
    """``RETURN (options)``, with the items of ``STATUS (items)`` (RFC 5819 4) and the entries of ``METADATA (entries)``
    (RFC 9590 5)."""

    def __init__(self) -> None:
        self.options: set[str] = set()
        self.status: list[str] = []
        self.entries: tuple[bytes, ...] = ()

    def read(self, lexer: Lexer) -> None:
        if lexer.word() != "RETURN":
            raise CommandFault("Expected RETURN")
        lexer.space()
        lexer.parenthesized(lambda: self._option(lexer), minimum=0)

    def _option(self, lexer: Lexer) -> None:
        name = lexer.word()
        if name not in RETURN_OPTIONS:
            raise CommandFault("Unknown return option")
        self.options.add(name)
        if name == "STATUS":
            lexer.space()
            self.status.extend(status_items(lexer))
        elif name == "METADATA":
            lexer.space()
            self.entries = entries(lexer)


async def list_mailboxes(context: Context, command: List) -> Answer:
    """RFC 3501 6.3.8, RFC 5258; with counts RFC 5819, with what is noted RFC 9590."""
    rev2.refuse_removed_items(context, command.status)
    known = await _known(context, command)
    asked = "SUBSCRIBED" in command.selection | command.returns
    subscriptions = await context.mail.subscriptions() if asked else ()
    rows = await list_matches(command, known, subscriptions, context.pause)
    for at in range(0, len(rows), _BATCH):
        batch = rows[at : at + _BATCH]
        if command.status or command.entries or "MYRIGHTS" in command.returns:
            await _say_with_more(context, command, batch)
        else:
            context.write(b"".join(_responses(context, batch)))
        await context.pause()
    if "HIGHESTMODSEQ" in command.status:
        condstore.enable(context)
    return Answer("LIST completed")


async def _say_with_more(context: Context, command: List, rows: Sequence[ListRow]) -> None:
    """Write rows, each with what else is asked of it."""
    besides = [item for row in rows if (item := _item(row)) is not None]
    counts = await _counts(context, besides) if command.status else {}
    said = [table for table in await _tables(context, command, besides) if table]
    for row in rows:
        if (item := _item(row)) is None:
            context.write(_response(context, row))
            continue
        context.write(await _with_status(context, command, row, counts.get(item)))
        context.write(b"".join([table[item] for table in said if item in table]))


async def _with_status(context: Context, command: List, row: ListRow, counts: MailboxStatus | None) -> bytes:
    """Return ``* LIST`` of a mailbox, and ``* STATUS`` if that was asked for. One of which there is no STATUS cannot be selected
    (RFC 5819 2): it went meanwhile, or is one of others that may be looked up and no more."""
    line = b""
    if counts is not None:
        with suppress(NoSuchMailbox):  # it went meanwhile
            line = await status_line(context, row.name, command.status, counts)
    if command.status and not line and "\\Noselect" not in row.attributes:
        row = replace(row, attributes=("\\Noselect", *row.attributes))
    return _response(context, row) + line


async def say_listed(context: Context, name: str, written: str) -> None:
    """Write LIST of one mailbox (RFC 9051 6.3.2). :param name: canonical. :param written: what the client called it, which
    OLDNAME says where that differs (6.3.9.7)."""
    known = await _with_inferior(context, name)
    [row] = await _Listing(List(b"", "", ()), known, frozenset(), context.checkpoint).rows_of([name])
    old_name = written if written != name else ""
    context.write(_response(context, replace(row, old_name=old_name)))


def _response(context: Context, row: ListRow) -> bytes:
    return _responses(context, [row])[0]


def _responses(context: Context, rows: Sequence[ListRow]) -> list[bytes]:
    """Return ``* LIST`` of each without the attributes of what is hidden. In IMAP4rev2 one attribute says whether a name can be
    selected (RFC 9051 9, mbx-list-sflag)."""
    utf8 = context.connection.utf8
    if rev2.is_enabled(context):
        rows = [
            replace(row, attributes=tuple([one for one in row.attributes if one != "\\Noselect"]))
            if "\\NonExistent" in row.attributes
            else row
            for row in rows
        ]
    if not _SAID_WITH.keys().isdisjoint(context.hidden):
        unsaid = set().union(*(names for name, names in _SAID_WITH.items() if name in context.hidden))
        rows = [replace(row, attributes=tuple([name for name in row.attributes if name not in unsaid])) for row in rows]
    return [list_response(row, utf8=utf8) for row in rows]


async def say_normalized(context: Context, name: str, written: str) -> None:
    """Tell a session of IMAP4rev2 what a mailbox is called that it calls otherwise (RFC 9051 6.3.4 to 6.3.6 and 6.3.12). What
    it asked for is done, or will be: that this cannot be said is no reason to answer NO."""
    if rev2.is_enabled(context) and written != name:
        try:
            await say_listed(context, name, written)
        except DomainError as error:
            context.trouble(error)


async def _known(context: Context, command: List) -> Sequence[MailboxInfo]:
    """Return as few mailboxes as the rows of this LIST are made of."""
    if asks_separator(command):
        return ()
    name = only_name(command)
    if name is None:
        return [*await context.mail.mailboxes(), *await shared_mailboxes(context, _beginnings(command))]
    return await _with_inferior(context, name)


async def _with_inferior(context: Context, name: str) -> list[MailboxInfo]:
    return [*await context.mail.with_inferior(name), *await shared_mailboxes(context, [name])]


def _beginnings(command: List) -> list[str]:
    """Return what every name that is shown begins with, by pattern; what stands above those that match may be shown too."""
    return [_WILDCARD.split(command.reference + pattern, maxsplit=1)[0] for pattern in command.patterns]


@dataclass(frozen=True, slots=True)
class _Item:
    """A mailbox of a row, among those of several accounts."""

    account_id: str  # "" is one's own
    mailbox_id: int
    name: str
    selectable: bool


def _item(row: ListRow) -> _Item | None:
    info = row.mailbox
    return None if info is None else _Item(info.account_id, info.id, row.name, info.selectable)


def _by_account(items: Iterable[_Item]) -> dict[str, dict[int, _Item]]:
    groups: dict[str, dict[int, _Item]] = {}
    for item in items:
        groups.setdefault(item.account_id, {})[item.mailbox_id] = item
    return groups


async def _counts(context: Context, items: Sequence[_Item]) -> dict[_Item, MailboxStatus]:
    """Return counts; those of the selected mailbox are the view's, told before they are used."""
    found = {}
    for account_id, group in _by_account(item for item in items if item.selectable).items():
        for counts in await mail_of(context, account_id).status(list(group)):
            found[group[counts.mailbox_id]] = await as_viewed(context, counts)
    return found


async def _tables(context: Context, command: List, items: Sequence[_Item]) -> list[dict[_Item, bytes]]:
    """Return what else is said of mailboxes: MYRIGHTS (RFC 8440), METADATA (RFC 9590)."""
    rights: dict[_Item, bytes] = {}
    values: dict[_Item, bytes] = {}
    for account_id, group in _by_account(items).items():
        mail, names = mail_of(context, account_id), {number: item.name for number, item in group.items()}
        if "MYRIGHTS" in command.returns:
            may = await mail.rights(list(group))
            utf8 = context.connection.utf8
            rights |= {group[number]: my_rights(names[number], letters, utf8) for number, letters in may.items()}
        if command.entries:
            told = await listed_values(context, mail, names, command.entries)
            values |= {group[number]: line for number, line in told.items()}
    return [rights, values]


async def list_matches(
    command: List, mailboxes: Sequence[MailboxInfo], subscriptions: Iterable[str], pause: Pause
) -> list[ListRow]:
    """Return the rows of LIST, INBOX first, then by name.

    :param mailboxes: all of the account, or where :func:`only_name` says one, that and an inferior of it.
    :param subscriptions: subscribed names, whether or not they exist; read only where the command asks for them.
    :param pause: lets others have their turn, if it is time: ten thousand names and 64 patterns take seconds.
    """
    if asks_separator(command):
        return [ListRow("", ("\\Noselect",))]
    return await _Listing(command, mailboxes, frozenset(subscriptions), pause).rows()


async def rows_of(
    names: Iterable[str], mailboxes: Sequence[MailboxInfo], subscriptions: Iterable[str], pause: Pause
) -> list[ListRow]:
    """Return the rows of these names as extended LIST has them with SUBSCRIBED, whether or not they exist; see
    :func:`list_matches`."""
    command = List(b"", "", (), returns=frozenset({"SUBSCRIBED"}), extended=True)
    return await _Listing(command, mailboxes, frozenset(subscriptions), pause).rows_of(names)


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


class _Listing:
    def __init__(
        self, command: List, mailboxes: Sequence[MailboxInfo], subscribed: frozenset[str], pause: Pause
    ) -> None:
        self._command = command
        self._existing = {m.name: m for m in mailboxes}
        self._subscribed = subscribed
        self._pause = pause
        self._parents: set[str] = set()
        self._by_subscription = "SUBSCRIBED" in command.selection
        self._by_use = "SPECIAL-USE" in command.selection
        self._show_subscribed = self._by_subscription or "SUBSCRIBED" in command.returns

    async def rows(self) -> list[ListRow]:
        self._parents = await superiors_of(self._existing, self._pause)
        patterns = Patterns(self._command.reference, self._command.patterns)
        selected = self._selected()
        names = await matching(patterns, selected, self._pause)
        recursive = "RECURSIVEMATCH" in self._command.selection
        with_child = await superiors_of(selected, self._pause) if recursive else set()
        if recursive:
            # RFC 5258 3.5: a name that is not selected itself stands for the selected ones the pattern leaves out.
            hidden = await superiors_of(selected - names, self._pause) - selected
            names |= await matching(patterns, hidden, self._pause)
        if not self._by_subscription and not self._by_use:
            names |= await self._missing_superiors()
        return await in_steps(
            sorted(names, key=order), self._pause, lambda some: [self._row(name, name in with_child) for name in some]
        )

    async def rows_of(self, names: Iterable[str]) -> list[ListRow]:
        self._parents = await superiors_of(self._existing, self._pause)
        return await in_steps(names, self._pause, lambda some: [self._row(name, False) for name in some])

    def _selected(self) -> set[str]:
        names = set(self._subscribed) if self._by_subscription else set(self._existing)
        if self._by_use:
            names = {name for name in names if name in self._existing and self._existing[name].special_use}
        return names

    async def _missing_superiors(self) -> set[str]:
        """Levels that exist only as part of longer names; a trailing ``%`` shows them (RFC 3501 6.3.8)."""
        levels = [pattern for pattern in self._command.patterns if pattern.endswith("%")]
        missing = self._parents - self._existing.keys() if levels else set()
        return await matching(Patterns(self._command.reference, levels), missing, self._pause)

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


async def unhurried(items: Iterable[T], pause: Pause) -> AsyncIterator[T]:
    """Yield the items, and let others have their turn now and then."""
    remaining = iter(items)
    while some := list(islice(remaining, _STEP)):
        for item in some:
            yield item
        if len(some) < _STEP:
            return
        await pause()


async def in_steps(items: Iterable[T], pause: Pause, make: Callable[[Sequence[T]], Iterable[U]]) -> list[U]:
    """Return what is made of a few items at a time, and let others have their turn in between."""
    made: list[U] = []
    remaining = iter(items)
    while some := list(islice(remaining, _STEP)):
        made += make(some)
        if len(some) < _STEP:
            break
        await pause()
    return made


async def matching(patterns: Patterns, names: Collection[str], pause: Pause) -> set[str]:
    """Return the names that match."""
    return set(await in_steps(names, pause, lambda some: [name for name in some if patterns.match(name)]))


async def superiors_of(names: Collection[str], pause: Pause) -> set[str]:
    """Return all levels above these names, whether or not they exist."""
    return set(await in_steps(names, pause, lambda some: [above for name in some for above in _superiors(name)]))


def _superiors(name: str) -> Iterator[str]:
    at = name.rfind(SEPARATOR)
    while at > 0:
        yield name[:at]
        at = name.rfind(SEPARATOR, 0, at)


def order(name: str) -> tuple[bool, str]:
    return name != INBOX, name


def list_response(row: ListRow, verb: bytes = b"LIST", utf8: bool = False) -> bytes:
    """Return ``* LIST`` or ``* LSUB``, with CHILDINFO and OLDNAME where the row has them (RFC 5258 6, RFC 9051 7.3.1).

    :param utf8: names in UTF-8."""
    words = [
        verb,
        _attributes(row.attributes),
        responses.HIERARCHY,
        responses.mailbox(row.name, utf8),
    ]
    extended = []
    if row.childinfo:
        extended.append(
            b'"CHILDINFO" ' + responses.parenthesized(b'"%b"' % name.encode("ascii") for name in row.childinfo)
        )
    if row.old_name:
        extended.append(b'"OLDNAME" ' + responses.parenthesized([responses.mailbox(row.old_name, utf8)]))
    if extended:
        words.append(responses.parenthesized(extended))
    return responses.untagged(*words)


@lru_cache(maxsize=256)
def _attributes(names: tuple[str, ...]) -> bytes:
    return responses.parenthesized([name.encode("ascii") for name in names])


_NEEDED_OPTIONS = {
    "CHILDREN": "CHILDREN",
    "METADATA": "LIST-METADATA",
    "MYRIGHTS": "LIST-MYRIGHTS",
    "SPECIAL-USE": "SPECIAL-USE",
    "STATUS": "LIST-STATUS",
}


def _needs(command: List) -> Iterator[str]:
    if command.extended:
        yield "LIST-EXTENDED"
        for option in command.selection | command.returns:
            if option in _NEEDED_OPTIONS:
                yield _NEEDED_OPTIONS[option]
        yield from needs.of_status(command.status)


ROWS = (
    CommandRow(
        name=b"LIST",
        states=AFTER_LOGIN,
        parse=_parse,
        run=list_mailboxes,
        needs=_needs,
        capabilities=("CHILDREN", "LIST-EXTENDED", "LIST-STATUS", "SPECIAL-USE", "LIST-METADATA", "LIST-MYRIGHTS"),
    ),
)
