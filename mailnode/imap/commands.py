"""The table of commands: what each is called, when it is allowed, how its arguments are read, what may be told during it.

A new extension adds its rows to :data:`TABLE` and a module that reads their arguments.
"""

from __future__ import annotations

import enum
import re
from collections.abc import Callable
from dataclasses import dataclass

from mailnode.imap import mailbox_commands as mailbox
from mailnode.imap import message_commands as message
from mailnode.imap.command_types import (
    Authenticate,
    Capability,
    Check,
    Close,
    Command,
    Enable,
    Expunge,
    Id,
    Idle,
    Login,
    Logout,
    Namespace,
    Noop,
    StartTls,
    Unselect,
)
from mailnode.imap.messages.fetch_items import parse_fetch
from mailnode.imap.messages.search_keys import parse_search
from mailnode.imap.wire.lexer import CommandError, Lexer, decode_base64
from mailnode.values.sets import SeqSet, UidSet

MAX_ID_FIELDS = 30  # RFC 2971 3.3
MAX_ID_NAME = 30  # octets
MAX_ID_VALUE = 1024  # octets

# tag = 1*<any ASTRING-CHAR except "+">; then SP and the name of the command, UID's with its second word
HEAD = re.compile(rb'([^\x00-\x20\x7f-\xff(){%*"\\+]+)(?: ((?:[Uu][Ii][Dd] )?[^ ]*)|\Z)')


class State(enum.Enum):
    """RFC 3501 3."""

    NOT_AUTHENTICATED = enum.auto()
    AUTHENTICATED = enum.auto()
    SELECTED = enum.auto()
    LOGOUT = enum.auto()


_ANY = frozenset({State.NOT_AUTHENTICATED, State.AUTHENTICATED, State.SELECTED})
_BEFORE = frozenset({State.NOT_AUTHENTICATED})
_AFTER = frozenset({State.AUTHENTICATED, State.SELECTED})
_SELECTED = frozenset({State.SELECTED})


@dataclass(frozen=True, slots=True)
class Row:
    """One command of the table.

    ``sequence_numbers``: its arguments count messages by position, so they mean what the client saw last and no EXPUNGE
    may come between. ``expunge``: EXPUNGE may be reported while it runs (RFC 3501 7.4.1). ``secret``: refused while
    LOGINDISABLED holds. ``without_tls``: not allowed once TLS is up. ``streamed``: its last literal is a message and is not
    gathered (APPEND). ``long``: it may be as long before login as others are after it.
    """

    states: frozenset[State]
    parse: Callable[[bytes, Lexer], Command]
    sequence_numbers: bool = False
    expunge: bool = True
    secret: bool = False
    without_tls: bool = False
    streamed: bool = False
    long: bool = False


def row_of(command: Command) -> Row:
    """Return the row a command was read by."""
    name = command.verb.encode("ascii")
    return TABLE[b"UID " + name if command.uid else name]


def _bare(kind: type[Command]) -> Callable[[bytes, Lexer], Command]:
    return lambda tag, lexer: kind(tag)


def _login(tag: bytes, lexer: Lexer) -> Login:
    lexer.space()
    user = lexer.astring()
    lexer.space()
    return Login(tag, user, lexer.astring())


def _authenticate(tag: bytes, lexer: Lexer) -> Authenticate:
    """Read `` mechanism [initial response]`` (RFC 4959 3)."""
    lexer.space()
    mechanism = lexer.word()
    if not lexer.accept(b" "):
        return Authenticate(tag, mechanism)
    if lexer.accept(b"="):
        return Authenticate(tag, mechanism, b"")
    initial = decode_base64(lexer.rest())
    if not initial:
        raise CommandError("Initial response is not base64")
    return Authenticate(tag, mechanism, initial)


def _enable(tag: bytes, lexer: Lexer) -> Enable:
    names: list[str] = []
    while not lexer.at_end or not names:
        lexer.space()
        names.append(lexer.word())
    return Enable(tag, tuple(dict.fromkeys(names)))


def _id(tag: bytes, lexer: Lexer) -> Id:
    lexer.space()
    if lexer.peek() != b"(":
        lexer.nil()
        return Id(tag, None)

    def pair() -> tuple[bytes, bytes | None]:
        name = lexer.string()
        lexer.space()
        return name, lexer.nstring()

    fields = tuple(lexer.parenthesized(pair, minimum=0))
    too_long = any(len(name) > MAX_ID_NAME or len(value or b"") > MAX_ID_VALUE for name, value in fields)
    if len(fields) > MAX_ID_FIELDS or too_long:
        raise CommandError("Too many or too long ID fields")
    return Id(tag, fields)


def _append(tag: bytes, lexer: Lexer) -> Command:
    """APPEND that ended before any message literal; with one, the connection reads it as it comes."""
    raise CommandError("APPEND needs a message literal")


TABLE: dict[bytes, Row] = {
    b"CAPABILITY": Row(_ANY, _bare(Capability)),
    b"NOOP": Row(_ANY, _bare(Noop)),
    b"LOGOUT": Row(_ANY, _bare(Logout)),
    b"ID": Row(_ANY, _id, long=True),  # RFC 2971 3.3: 30 pairs of up to 30 and 1,024 octets
    b"STARTTLS": Row(_BEFORE, _bare(StartTls), without_tls=True),
    b"LOGIN": Row(_BEFORE, _login, secret=True),
    b"AUTHENTICATE": Row(_BEFORE, _authenticate, secret=True),
    b"ENABLE": Row(_AFTER, _enable),
    b"SELECT": Row(_AFTER, mailbox.parse_select),
    b"EXAMINE": Row(_AFTER, mailbox.parse_examine),
    b"CREATE": Row(_AFTER, mailbox.parse_create),
    b"DELETE": Row(_AFTER, mailbox.parse_delete),
    b"RENAME": Row(_AFTER, mailbox.parse_rename),
    b"SUBSCRIBE": Row(_AFTER, mailbox.parse_subscribe),
    b"UNSUBSCRIBE": Row(_AFTER, mailbox.parse_unsubscribe),
    b"LIST": Row(_AFTER, mailbox.parse_list),
    b"LSUB": Row(_AFTER, mailbox.parse_lsub),
    b"NAMESPACE": Row(_AFTER, _bare(Namespace)),
    b"STATUS": Row(_AFTER, mailbox.parse_status),
    b"APPEND": Row(_AFTER, _append, streamed=True),
    b"IDLE": Row(_AFTER, _bare(Idle)),
    b"CHECK": Row(_SELECTED, _bare(Check)),
    b"CLOSE": Row(_SELECTED, _bare(Close)),
    b"UNSELECT": Row(_SELECTED, _bare(Unselect)),
    b"EXPUNGE": Row(_SELECTED, _bare(Expunge)),
    b"SEARCH": Row(_SELECTED, lambda t, x: parse_search(t, x, False), sequence_numbers=True, expunge=False),
    b"FETCH": Row(_SELECTED, lambda t, x: parse_fetch(t, x, SeqSet), sequence_numbers=True, expunge=False),
    b"STORE": Row(_SELECTED, lambda t, x: message.parse_store(t, x, SeqSet), sequence_numbers=True, expunge=False),
    b"COPY": Row(_SELECTED, lambda t, x: message.parse_copy(t, x, SeqSet), sequence_numbers=True),
    b"MOVE": Row(_SELECTED, lambda t, x: message.parse_move(t, x, SeqSet), sequence_numbers=True),
    b"UID EXPUNGE": Row(_SELECTED, message.parse_uid_expunge),
    b"UID SEARCH": Row(_SELECTED, lambda t, x: parse_search(t, x, True), sequence_numbers=True),
    b"UID FETCH": Row(_SELECTED, lambda t, x: parse_fetch(t, x, UidSet)),
    b"UID STORE": Row(_SELECTED, lambda t, x: message.parse_store(t, x, UidSet)),
    b"UID COPY": Row(_SELECTED, lambda t, x: message.parse_copy(t, x, UidSet)),
    b"UID MOVE": Row(_SELECTED, lambda t, x: message.parse_move(t, x, UidSet)),
}
