"""Arguments of the commands about mailboxes: SELECT, CREATE, LIST, STATUS and their like (RFC 3501 6.3)."""

from __future__ import annotations

from functools import lru_cache

from mailnode.imap.command_types import (
    Create,
    Delete,
    Examine,
    List,
    Lsub,
    Rename,
    Select,
    Status,
    Subscribe,
    Unsubscribe,
)
from mailnode.imap.wire.lexer import CommandError, Lexer
from mailnode.imap.wire.names import decode_name

MAX_PATTERNS = 64  # of one LIST
REMEMBERED = 1024  # arguments of STATUS
LONGEST_REMEMBERED = 512  # octets; what is kept is bounded
STATUS_ITEMS = frozenset({"MESSAGES", "RECENT", "UIDNEXT", "UIDVALIDITY", "UNSEEN", "HIGHESTMODSEQ"})
SELECTION_OPTIONS = frozenset({"SUBSCRIBED", "REMOTE", "RECURSIVEMATCH", "SPECIAL-USE"})
RETURN_OPTIONS = frozenset({"SUBSCRIBED", "CHILDREN", "SPECIAL-USE", "STATUS"})
# RFC 6154 2, by capitals.
SPECIAL_USES = {
    name.upper(): name for name in ("\\All", "\\Archive", "\\Drafts", "\\Flagged", "\\Junk", "\\Sent", "\\Trash")
}


def parse_select(tag: bytes, lexer: Lexer) -> Select:
    """Read `` mailbox [(CONDSTORE)]``."""
    mailbox = argument(lexer)
    return Select(tag, mailbox, _condstore(lexer))


def parse_examine(tag: bytes, lexer: Lexer) -> Examine:
    """Read `` mailbox [(CONDSTORE)]``."""
    mailbox = argument(lexer)
    return Examine(tag, mailbox, _condstore(lexer))


def _condstore(lexer: Lexer) -> bool:
    if not lexer.accept(b" "):
        return False
    if set(lexer.parenthesized(lexer.word)) != {"CONDSTORE"}:
        raise CommandError("Unknown parameter")
    return True


def parse_create(tag: bytes, lexer: Lexer) -> Create:
    """Read `` mailbox [(USE (\\Sent ...))]`` (RFC 6154 3)."""
    mailbox = argument(lexer)
    uses: tuple[str, ...] = ()
    if lexer.accept(b" "):
        lexer.expect(b"(")
        if lexer.word() != "USE":
            raise CommandError("Unknown parameter")
        lexer.space()
        uses = tuple(dict.fromkeys(lexer.parenthesized(lambda: _special_use(lexer), minimum=0)))
        lexer.expect(b")")
    return Create(tag, mailbox, uses)


def _special_use(lexer: Lexer) -> str:
    name = SPECIAL_USES.get(lexer.flag().decode("ascii").upper())
    if name is None:
        raise CommandError("Unknown special use", status=b"NO", code=b"USEATTR")
    return name


def parse_delete(tag: bytes, lexer: Lexer) -> Delete:
    """Read `` mailbox``."""
    return Delete(tag, argument(lexer))


def parse_rename(tag: bytes, lexer: Lexer) -> Rename:
    """Read `` mailbox mailbox``."""
    return Rename(tag, argument(lexer), argument(lexer))


def parse_subscribe(tag: bytes, lexer: Lexer) -> Subscribe:
    """Read `` mailbox``."""
    return Subscribe(tag, argument(lexer))


def parse_unsubscribe(tag: bytes, lexer: Lexer) -> Unsubscribe:
    """Read `` mailbox``."""
    return Unsubscribe(tag, argument(lexer))


def argument(lexer: Lexer) -> str:
    """Read `` mailbox``."""
    lexer.space()
    return lexer.mailbox()


def parse_status(tag: bytes, lexer: Lexer) -> Status:
    """Read `` mailbox (items)``, which end the command. Programs ask the same of the same mailboxes again and again."""
    text = lexer.rest()
    return Status(tag, *(_remembered if len(text) <= LONGEST_REMEMBERED else _mailbox_and_items)(text))


def _mailbox_and_items(text: bytes) -> tuple[str, tuple[str, ...]]:
    lexer = Lexer(text)
    mailbox = argument(lexer)
    lexer.space()
    items = _status_items(lexer)
    lexer.end()
    return mailbox, items


_remembered = lru_cache(maxsize=REMEMBERED)(_mailbox_and_items)


def _status_items(lexer: Lexer) -> tuple[str, ...]:
    items = tuple(dict.fromkeys(lexer.parenthesized(lexer.word)))
    if not STATUS_ITEMS.issuperset(items):
        raise CommandError("Unknown status item")
    return items


def parse_list(tag: bytes, lexer: Lexer) -> List:
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
        raise CommandError("Too many patterns", status=b"NO", code=b"LIMIT")
    returns: set[str] = set()
    status: tuple[str, ...] = ()
    if lexer.accept(b" "):
        extended = True
        status = _returns(lexer, returns)
    return List(
        tag,
        reference or "",
        _decoded(reference, patterns),
        selection,
        frozenset(returns),
        status,
        extended,
    )


def parse_lsub(tag: bytes, lexer: Lexer) -> Lsub:
    """Read `` reference pattern``."""
    lexer.space()
    reference = decode_name(lexer.astring())
    lexer.space()
    return Lsub(tag, reference or "", _decoded(reference, [lexer.list_mailbox()]))


def _decoded(reference: str | None, patterns: list[bytes]) -> tuple[str, ...]:
    """Return the patterns that can match something."""
    if reference is None:
        return ()
    return tuple(text for text in map(decode_name, patterns) if text is not None)


def _selection(lexer: Lexer) -> frozenset[str]:
    options = frozenset(lexer.parenthesized(lexer.word, minimum=0))
    if not options <= SELECTION_OPTIONS:
        raise CommandError("Unknown selection option")
    # RFC 5258 3.1: it modifies a base option; SPECIAL-USE (RFC 6154 6) and REMOTE are none.
    if "RECURSIVEMATCH" in options and "SUBSCRIBED" not in options:
        raise CommandError("RECURSIVEMATCH needs SUBSCRIBED")
    return options


def _returns(lexer: Lexer, returns: set[str]) -> tuple[str, ...]:
    """Read ``RETURN (options)`` into a set; return the items of ``STATUS (items)`` (RFC 5819 4)."""
    if lexer.word() != "RETURN":
        raise CommandError("Expected RETURN")
    lexer.space()
    status: list[str] = []

    def option() -> None:
        name = lexer.word()
        if name not in RETURN_OPTIONS:
            raise CommandError("Unknown return option")
        returns.add(name)
        if name == "STATUS":
            lexer.space()
            status.extend(_status_items(lexer))

    lexer.parenthesized(option, minimum=0)
    return tuple(dict.fromkeys(status))
