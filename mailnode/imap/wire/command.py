"""What the connection hands to its session, as plain frozen data, and what it must know of a command to read it.

A command is answered by the session with its tagged response and then ``connection.completed()``; how the other events are
answered stands with each class and in :mod:`mailnode.imap.wire.connection`.
"""

from __future__ import annotations

import enum
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, ClassVar, Generic, TypeAlias, TypeVar

from mailnode.imap.wire.lexer import Lexer
from mailnode.imap.wire.literals import LiteralMark
from mailnode.imap.wire.uploads import NOTHING, Passage
from mailnode.values.sets import SeqSet, UidSet

MessageSet: TypeAlias = SeqSet | UidSet


class ImapState(enum.Enum):
    """RFC 3501 3."""

    NOT_AUTHENTICATED = enum.auto()
    AUTHENTICATED = enum.auto()
    SELECTED = enum.auto()
    LOGOUT = enum.auto()


@dataclass(frozen=True, slots=True)
class Command:
    """One complete command. ``verb`` is its name in the table of commands, without ``UID``."""

    verb: ClassVar[str] = ""
    tag: bytes

    @property
    def uid(self) -> bool:
        """Whether the client wrote ``UID`` before the verb."""
        return isinstance(getattr(self, "messages", None), UidSet)


@dataclass(frozen=True, slots=True)
class Upload(Command):
    """A command with messages, up to the first of their literals, before any octet of it is read.

    ``connection.accept_append()`` asks for the octets, which follow as :class:`AppendChunk`, then :class:`AppendMore` where
    another literal comes, :class:`AppendEnd` or :class:`AppendAborted`. With its tagged response in the place of that, and
    ``completed()``, the message is not asked for or, when it comes anyway, thrown away.
    """

    passage: Passage


C = TypeVar("C", bound=Command)


@dataclass(frozen=True, slots=True, kw_only=True)
class CommandSyntax(Generic[C]):
    """When a command is allowed, and how its arguments are read.

    ``name``: in capitals, with ``UID``. ``parse``: given the tag and a cursor behind the name. ``secret``: refused while
    LOGINDISABLED holds. ``without_tls``: not allowed once TLS is up. ``long``: it may be as long before login as others are
    after it. ``parse_streamed``: it has messages, whose literals are not gathered (APPEND); given tag, cursor and what a
    literal is announced by, before that is asked for, it returns None when no message is what comes next. ``binary``: its
    literals may be binary (RFC 3516).

    ``sequence_numbers``: its arguments count messages by position, so they mean what the client saw last and no EXPUNGE
    may come between. ``expunge``: EXPUNGE may be reported while it runs (RFC 3501 7.4.1). ``together``: commands of one
    group that wait whole behind one another may run together (RFC 3501 5.5), but none with sequence numbers behind one
    that may report EXPUNGE; they come as one :class:`Together`.
    """

    name: bytes
    states: frozenset[ImapState]
    parse: Callable[[bytes, Lexer], C]
    secret: bool = False
    without_tls: bool = False
    long: bool = False
    parse_streamed: Callable[[bytes, Lexer, LiteralMark], Upload | None] | None = None
    binary: bool = False
    sequence_numbers: bool = False
    expunge: bool = True
    together: str = ""


AnySyntax: TypeAlias = CommandSyntax[Any]  # of whichever command


# --- events that are not commands


@dataclass(frozen=True, slots=True)
class Together:
    """At least two commands that the client sent behind one another without waiting (RFC 3501 5.5) and that may run
    together. Each is answered by its tagged response, in this order; then ``completed()``, once."""

    commands: tuple[Command, ...]


@dataclass(frozen=True, slots=True)
class ConnectionReply:
    """Octets the connection answers by itself, to be written as they are: continuation requests, BAD and NO to what is
    no command. ``closes``: why these are the last words (BYE); close the channel after them. Needs no ``completed()``."""

    data: bytes
    closes: str = ""


@dataclass(frozen=True, slots=True)
class SaslResponse:
    """A line of an AUTHENTICATE exchange, decoded; None: the client cancelled (``*``) or the line was not base64, and
    the tagged BAD is the session's to write. Answered by ``+ challenge`` and ``connection.continue_sasl()``, or by the
    tagged response and ``completed()``."""

    data: bytes | None


@dataclass(frozen=True, slots=True)
class IdleDone:
    """``DONE``, the only thing that ends IDLE. Answered by IDLE's tagged response and ``completed()``. Any other line is
    answered BAD by the connection and IDLE goes on."""


@dataclass(frozen=True, slots=True)
class AppendChunk:
    """Some octets of the message as they came: at most ``connection.CHUNK``, cut anywhere; bare line ends and NUL are the
    session's matter."""

    data: bytes


@dataclass(frozen=True, slots=True)
class AppendMore:
    """A message literal has been read to its end, another is announced. Answered as :class:`Upload` is."""

    passage: Passage


@dataclass(frozen=True, slots=True)
class AppendEnd:
    """The messages and the command are complete. Answered by the tagged response and ``completed()``."""

    passage: Passage = NOTHING


@dataclass(frozen=True, slots=True)
class AppendAborted:
    """What followed a message cannot be read: throw all messages away, answer with status, code and text, then
    ``completed()``."""

    text: str
    status: bytes = b"BAD"
    code: bytes = b""


Continuation: TypeAlias = SaslResponse | IdleDone | AppendChunk | AppendMore | AppendEnd | AppendAborted

# All that the connection gives its session.
Event: TypeAlias = (
    Command
    | Together
    | ConnectionReply
    | SaslResponse
    | IdleDone
    | AppendChunk
    | AppendMore
    | AppendEnd
    | AppendAborted
)
