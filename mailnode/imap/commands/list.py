"""LIST (RFC 3501 6.3.8, RFC 5258, RFC 5819, RFC 3348, RFC 6154)."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Collection, Iterable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import ClassVar, TypeVar

from mailnode.errors import BadMailboxName, NoSuchMailbox
from mailnode.imap.answers import Answer
from mailnode.imap.commands import condstore
from mailnode.imap.commands.context import Context
from mailnode.imap.commands.row import AFTER_LOGIN, CommandRow
from mailnode.imap.commands.status import as_viewed, status_items, status_line
from mailnode.imap.wire import responses
from mailnode.imap.wire.command import Command
from mailnode.imap.wire.lexer import CommandFault, Lexer
from mailnode.imap.wire.names import Patterns, decode_name
from mailnode.values.mailbox import MailboxInfo, MailboxStatus
from mailnode.values.mailbox_name import INBOX, SEPARATOR, mailbox_name

MAX_PATTERNS = 64  # of one LIST

SELECTION_OPTIONS = frozenset({"SUBSCRIBED", "REMOTE", "RECURSIVEMATCH", "SPECIAL-USE"})
RETURN_OPTIONS = frozenset({"SUBSCRIBED", "CHILDREN", "SPECIAL-USE", "STATUS"})


_BATCH = 100  # mailboxes whose counts are asked for at a time
_STEP = (
    32  # names looked at between two looks at the time; one takes up to 0.3 ms, with the longest patterns there can be
)

T = TypeVar("T")
Pause = Callable[[], Awaitable[None]]


# list = "LIST" [SP "(" [selection *(SP selection)] ")"] SP mailbox SP patterns [SP "RETURN (" [return *(SP return)] ")"]
# patterns = list-mailbox / "(" list-mailbox *(SP list-mailbox) ")"
@dataclass(frozen=True, slots=True)
class List(Command):
    """RFC 3501 6.3.8, RFC 5258 3, RFC 5819, RFC 6154 5.2.

    ``reference`` and ``patterns`` are decoded from modified UTF-7 and not otherwise changed; a pattern that cannot be
    decoded is left out, because no mailbox can match it. ``selection`` holds any of ``SUBSCRIBED REMOTE RECURSIVEMATCH
    SPECIAL-USE``, ``returns`` any of ``SUBSCRIBED CHILDREN SPECIAL-USE STATUS``; ``status`` are the items of
    ``STATUS (...)``. ``extended``: any syntax of RFC 5258 was used (else ``LIST "" ""`` asks for the separator).
    """

    verb: ClassVar[str] = "LIST"
    reference: str
    patterns: tuple[str, ...]
    selection: frozenset[str] = frozenset()
    returns: frozenset[str] = frozenset()
    status: tuple[str, ...] = ()
    extended: bool = False


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
    reference = decode_name(lexer.astring())
    lexer.space()
    if lexer.peek() == b"(":
        extended = True
        patterns = lexer.parenthesized(lexer.list_mailbox)
    else:
        patterns = [lexer.list_mailbox()]
    if len(patterns) > MAX_PATTERNS:
        raise CommandFault("Too many patterns", status=b"NO", code=b"LIMIT")
    returns: set[str] = set()
    status: tuple[str, ...] = ()
    if lexer.accept(b" "):
        extended = True
        status = _returns(lexer, returns)
    return List(
        tag,
        reference or "",
        decoded_patterns(reference, patterns),
        selection,
        frozenset(returns),
        status,
        extended,
    )


def decoded_patterns(reference: str | None, patterns: list[bytes]) -> tuple[str, ...]:
    """Return the patterns that can match something."""
    if reference is None:
        return ()
    return tuple(text for text in map(decode_name, patterns) if text is not None)


def _selection(lexer: Lexer) -> frozenset[str]:
    options = frozenset(lexer.parenthesized(lexer.word, minimum=0))
    if not options <= SELECTION_OPTIONS:
        raise CommandFault("Unknown selection option")
    # RFC 5258 3.1: it modifies a base option; SPECIAL-USE (RFC 6154 6) and REMOTE are none.
    if "RECURSIVEMATCH" in options and "SUBSCRIBED" not in options:
        raise CommandFault("RECURSIVEMATCH needs SUBSCRIBED")
    return options


def _returns(lexer: Lexer, returns: set[str]) -> tuple[str, ...]:
    """Read ``RETURN (options)`` into a set; return the items of ``STATUS (items)`` (RFC 5819 4)."""
    if lexer.word() != "RETURN":
        raise CommandFault("Expected RETURN")
    lexer.space()
    status: list[str] = []

    def option() -> None:
        name = lexer.word()
        if name not in RETURN_OPTIONS:
            raise CommandFault("Unknown return option")
        returns.add(name)
        if name == "STATUS":
            lexer.space()
            status.extend(status_items(lexer))

    lexer.parenthesized(option, minimum=0)
    return tuple(dict.fromkeys(status))


async def list_mailboxes(context: Context, command: List) -> Answer:
    """RFC 3501 6.3.8, RFC 5258; with counts RFC 5819."""
    known = await _known(context, command)
    asked = "SUBSCRIBED" in command.selection | command.returns
    subscriptions = await context.mail.subscriptions() if asked else ()
    rows = await list_matches(command, known, subscriptions, context.pause)
    for at in range(0, len(rows), _BATCH):
        batch = rows[at : at + _BATCH]
        countable = [row.mailbox for row in batch if row.mailbox is not None and row.mailbox.selectable]
        counts = await _counts(context, countable) if command.status else {}
        for row in batch:
            context.write(list_response(row))
            if row.mailbox is not None and row.mailbox.id in counts:
                with suppress(NoSuchMailbox):  # it went meanwhile
                    context.write(await status_line(context, row.name, command.status, counts[row.mailbox.id]))
        await context.pause()
    if "HIGHESTMODSEQ" in command.status:
        condstore.enable(context)
    return Answer("LIST completed")


async def _known(context: Context, command: List) -> Sequence[MailboxInfo]:
    """Return as few mailboxes as the rows of this LIST are made of."""
    if asks_separator(command):
        return ()
    name = only_name(command)
    return await (context.mail.mailboxes() if name is None else context.mail.with_inferior(name))


async def _counts(context: Context, mailboxes: Sequence[MailboxInfo]) -> dict[int, MailboxStatus]:
    """Return counts by mailbox id; those of the selected mailbox are the view's, told before they are used."""
    found = await context.mail.status([info.id for info in mailboxes])
    return {counts.mailbox_id: await as_viewed(context, counts) for counts in found}


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
        ordered = unhurried(sorted(names, key=order), self._pause)
        return [self._row(name, name in with_child) async for name in ordered]

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
    for number, item in enumerate(items, 1):
        yield item
        if number % _STEP == 0:
            await pause()


async def matching(patterns: Patterns, names: Collection[str], pause: Pause) -> set[str]:
    """Return the names that match."""
    return {name async for name in unhurried(names, pause) if patterns.match(name)}


async def superiors_of(names: Collection[str], pause: Pause) -> set[str]:
    """Return all levels above these names, whether or not they exist."""
    return {superior async for name in unhurried(names, pause) for superior in _superiors(name)}


def _superiors(name: str) -> Iterator[str]:
    at = name.rfind(SEPARATOR)
    while at > 0:
        yield name[:at]
        at = name.rfind(SEPARATOR, 0, at)


def order(name: str) -> tuple[bool, str]:
    return name != INBOX, name


def list_response(row: ListRow, verb: bytes = b"LIST") -> bytes:
    """Return ``* LIST`` or ``* LSUB``, with CHILDINFO and OLDNAME where the row has them (RFC 5258 6, RFC 9051 7.3.1)."""
    words = [
        verb,
        responses.parenthesized(name.encode("ascii") for name in row.attributes),
        responses.HIERARCHY,
        responses.mailbox(row.name),
    ]
    extended = []
    if row.childinfo:
        extended.append(
            b'"CHILDINFO" ' + responses.parenthesized(b'"%b"' % name.encode("ascii") for name in row.childinfo)
        )
    if row.old_name:
        extended.append(b'"OLDNAME" ' + responses.parenthesized([responses.mailbox(row.old_name)]))
    if extended:
        words.append(responses.parenthesized(extended))
    return responses.untagged(*words)


ROWS = (
    CommandRow(
        name=b"LIST",
        states=AFTER_LOGIN,
        parse=_parse,
        run=list_mailboxes,
        capabilities=("CHILDREN", "LIST-EXTENDED", "LIST-STATUS", "SPECIAL-USE"),
    ),
)
