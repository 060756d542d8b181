"""The commands and events that an IMAP connection hands to its session: plain, frozen data.

A command event is answered by the session with its tagged response and then ``connection.completed()``; how the other
events are answered stands with each class and in :mod:`mailnode.imap.wire.connection`.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date
from typing import ClassVar, TypeAlias

from mailnode.values.sets import SeqSet, UidSet

MessageSet: TypeAlias = SeqSet | UidSet


@dataclass(frozen=True, slots=True)
class Command:
    """One complete command. ``verb`` is its name in the table of commands, without ``UID``."""

    verb: ClassVar[str] = ""
    tag: bytes

    @property
    def uid(self) -> bool:
        """Whether the client wrote ``UID`` before the verb."""
        return isinstance(getattr(self, "messages", None), UidSet)


# --- any state


@dataclass(frozen=True, slots=True)
class Capability(Command):
    """RFC 3501 6.1.1."""

    verb: ClassVar[str] = "CAPABILITY"


@dataclass(frozen=True, slots=True)
class Noop(Command):
    """RFC 3501 6.1.2."""

    verb: ClassVar[str] = "NOOP"


@dataclass(frozen=True, slots=True)
class Logout(Command):
    """RFC 3501 6.1.3. The connection gives no command after it."""

    verb: ClassVar[str] = "LOGOUT"


@dataclass(frozen=True, slots=True)
class Id(Command):
    """RFC 2971 3.1. ``fields`` are the client's (name, value) pairs; None: ``ID NIL``."""

    verb: ClassVar[str] = "ID"
    fields: tuple[tuple[bytes, bytes | None], ...] | None


# --- not authenticated


@dataclass(frozen=True, slots=True)
class StartTls(Command):
    """RFC 3501 6.2.1. Input behind it is thrown away; no event comes before ``completed()`` (a refusal) or
    ``tls_started()``."""

    verb: ClassVar[str] = "STARTTLS"


@dataclass(frozen=True, slots=True)
class Login(Command):
    """RFC 3501 6.2.3. Not given while LOGINDISABLED holds."""

    verb: ClassVar[str] = "LOGIN"
    user: bytes
    password: bytes

    def __repr__(self) -> str:
        return f"Login(tag={self.tag!r}, user={self.user!r})"


@dataclass(frozen=True, slots=True)
class Authenticate(Command):
    """RFC 3501 6.2.2, RFC 4959. ``initial`` is the decoded initial response: b"" for ``=``, None when not given."""

    verb: ClassVar[str] = "AUTHENTICATE"
    mechanism: str  # in capitals
    initial: bytes | None = None

    def __repr__(self) -> str:
        return f"Authenticate(tag={self.tag!r}, mechanism={self.mechanism!r})"


# --- authenticated


@dataclass(frozen=True, slots=True)
class Enable(Command):
    """RFC 5161 3.1. Names in capitals; unknown ones are the session's to pass over."""

    verb: ClassVar[str] = "ENABLE"
    capabilities: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Select(Command):
    """RFC 3501 6.3.1; with ``(CONDSTORE)`` RFC 7162 3.1.8. Mailbox names everywhere are canonical
    (``values.mailbox_name``)."""

    verb: ClassVar[str] = "SELECT"
    mailbox: str
    condstore: bool = False


@dataclass(frozen=True, slots=True)
class Examine(Select):
    """RFC 3501 6.3.2."""

    verb: ClassVar[str] = "EXAMINE"


@dataclass(frozen=True, slots=True)
class Create(Command):
    """RFC 3501 6.3.3; ``special_use`` are the attributes of RFC 6154 3, canonical case (``\\Sent``)."""

    verb: ClassVar[str] = "CREATE"
    mailbox: str
    special_use: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Delete(Command):
    """RFC 3501 6.3.4."""

    verb: ClassVar[str] = "DELETE"
    mailbox: str


@dataclass(frozen=True, slots=True)
class Rename(Command):
    """RFC 3501 6.3.5."""

    verb: ClassVar[str] = "RENAME"
    source: str
    target: str


@dataclass(frozen=True, slots=True)
class Subscribe(Command):
    """RFC 3501 6.3.6."""

    verb: ClassVar[str] = "SUBSCRIBE"
    mailbox: str


@dataclass(frozen=True, slots=True)
class Unsubscribe(Command):
    """RFC 3501 6.3.7."""

    verb: ClassVar[str] = "UNSUBSCRIBE"
    mailbox: str


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
class Lsub(Command):
    """RFC 3501 6.3.9. ``patterns`` has one member, or none when it cannot be decoded."""

    verb: ClassVar[str] = "LSUB"
    reference: str
    patterns: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Namespace(Command):
    """RFC 2342 5."""

    verb: ClassVar[str] = "NAMESPACE"


@dataclass(frozen=True, slots=True)
class Status(Command):
    """RFC 3501 6.3.10. ``items`` in capitals, in the order asked for, each once; see ``commands.STATUS_ITEMS``."""

    verb: ClassVar[str] = "STATUS"
    mailbox: str
    items: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Flags:
    """Flags as a client writes them: ``system`` is a bitmap of ``values.flags``; ``keywords`` as written, each once."""

    system: int = 0
    keywords: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class InternalDate:
    """A date-time of RFC 3501 9: UTC microseconds since 1970, and minutes east as written."""

    microseconds: int
    offset: int = 0


@dataclass(frozen=True, slots=True)
class AppendStart(Command):
    """APPEND up to its message literal (RFC 3501 6.3.11), before any octet of it is read.

    Answered by ``connection.accept_append()``: the octets follow as :class:`AppendChunk`, then :class:`AppendEnd` or
    :class:`AppendAborted`; or by the tagged NO and ``connection.refuse_append()`` (instead of ``completed()``): the
    message is not asked for or, when it comes anyway, thrown away.
    """

    verb: ClassVar[str] = "APPEND"
    mailbox: str
    flags: Flags
    date: InternalDate | None  # None: now
    size: int  # octets of the literal as announced


@dataclass(frozen=True, slots=True)
class Idle(Command):
    """RFC 2177 3. Answered by ``+ idling`` and ``connection.idling()``; then only :class:`IdleDone` comes."""

    verb: ClassVar[str] = "IDLE"


# --- selected


@dataclass(frozen=True, slots=True)
class Check(Command):
    """RFC 3501 6.4.1."""

    verb: ClassVar[str] = "CHECK"


@dataclass(frozen=True, slots=True)
class Close(Command):
    """RFC 3501 6.4.2."""

    verb: ClassVar[str] = "CLOSE"


@dataclass(frozen=True, slots=True)
class Unselect(Command):
    """RFC 3691 2."""

    verb: ClassVar[str] = "UNSELECT"


@dataclass(frozen=True, slots=True)
class Expunge(Command):
    """RFC 3501 6.4.3; with ``messages`` UID EXPUNGE (RFC 4315 2.1)."""

    verb: ClassVar[str] = "EXPUNGE"
    messages: UidSet | None = None


@dataclass(frozen=True, slots=True)
class Store(Command):
    """RFC 3501 6.4.6; ``unchanged_since`` RFC 7162 3.1.3."""

    verb: ClassVar[str] = "STORE"
    messages: MessageSet
    mode: str  # "set", "add" or "remove": as IMailbox.store_flags takes it
    flags: Flags
    silent: bool = False
    unchanged_since: int | None = None


@dataclass(frozen=True, slots=True)
class Copy(Command):
    """RFC 3501 6.4.7."""

    verb: ClassVar[str] = "COPY"
    messages: MessageSet
    mailbox: str


@dataclass(frozen=True, slots=True)
class Move(Command):
    """RFC 6851 3."""

    verb: ClassVar[str] = "MOVE"
    messages: MessageSet
    mailbox: str


# --- FETCH


@dataclass(frozen=True, slots=True)
class Attribute:
    """A fetch item without arguments: ``FLAGS UID INTERNALDATE RFC822.SIZE ENVELOPE BODYSTRUCTURE BODY MODSEQ``."""

    name: str


@dataclass(frozen=True, slots=True)
class Section:
    """What stands between the brackets of ``BODY[...]`` (RFC 3501 6.4.5).

    ``part`` are the part numbers; ``text`` is "" (the whole), ``HEADER``, ``HEADER.FIELDS``, ``HEADER.FIELDS.NOT``,
    ``TEXT`` or ``MIME``; ``fields`` are header field names as the client wrote them.
    """

    part: tuple[int, ...] = ()
    text: str = ""
    fields: tuple[bytes, ...] = ()


@dataclass(frozen=True, slots=True)
class BodySection:
    """``BODY[section]<origin.length>``. ``label`` is what the response calls it, without the origin: ``BODY[1.TEXT]``,
    or ``RFC822``, ``RFC822.HEADER``, ``RFC822.TEXT``. ``peek`` False sets \\Seen. ``partial`` is (origin, length)."""

    section: Section
    label: bytes
    peek: bool = False
    partial: tuple[int, int] | None = None


FetchItem: TypeAlias = Attribute | BodySection


@dataclass(frozen=True, slots=True)
class Fetch(Command):
    """RFC 3501 6.4.5; ``changed_since`` RFC 7162 3.1.4.1. Macros are expanded, each item stands once; UID FETCH does not
    add ``UID`` here, CHANGEDSINCE does not add ``MODSEQ``: that is the response's matter."""

    verb: ClassVar[str] = "FETCH"
    messages: MessageSet
    items: tuple[FetchItem, ...]
    changed_since: int | None = None


# --- SEARCH


@dataclass(frozen=True, slots=True)
class All:
    """Every message."""


@dataclass(frozen=True, slots=True)
class InSet:
    """Messages of a sequence set, or of ``UID set``."""

    messages: MessageSet


@dataclass(frozen=True, slots=True)
class HasFlag:
    """System flag ``bit`` of ``values.flags`` is set (``on``) or not."""

    bit: int
    on: bool = True


@dataclass(frozen=True, slots=True)
class HasKeyword:
    """KEYWORD (``on``) and UNKEYWORD."""

    keyword: str
    on: bool = True


@dataclass(frozen=True, slots=True)
class IsRecent:
    """RECENT (``on``) and OLD. NEW comes as And(IsRecent(), HasFlag(SEEN, False))."""

    on: bool = True


@dataclass(frozen=True, slots=True)
class InternalDay:
    """BEFORE, ON, SINCE: ``relation`` is "before", "on" or "since"; INTERNALDATE's day in its own zone."""

    relation: str
    day: date


@dataclass(frozen=True, slots=True)
class SentDay:
    """SENTBEFORE, SENTON, SENTSINCE: the Date field's day in its own zone."""

    relation: str
    day: date


@dataclass(frozen=True, slots=True)
class InHeader:
    """HEADER, and FROM, TO, CC, BCC, SUBJECT: ``field`` in lower case; empty ``text``: the field is there."""

    field: str
    text: str


@dataclass(frozen=True, slots=True)
class InBody:
    """BODY: substring of the message without its header."""

    text: str


@dataclass(frozen=True, slots=True)
class InText:
    """TEXT: substring of header or body."""

    text: str


@dataclass(frozen=True, slots=True)
class Larger:
    """RFC822.SIZE above ``octets``."""

    octets: int


@dataclass(frozen=True, slots=True)
class Smaller:
    """RFC822.SIZE below ``octets``."""

    octets: int


@dataclass(frozen=True, slots=True)
class ModSeq:
    """MODSEQ (RFC 7162 3.1.5): mod-sequence of at least ``value``."""

    value: int


@dataclass(frozen=True, slots=True)
class Not:
    """The key does not hold."""

    key: SearchKey


@dataclass(frozen=True, slots=True)
class Or:
    """Either key holds."""

    left: SearchKey
    right: SearchKey


@dataclass(frozen=True, slots=True)
class And:
    """All keys hold; at least two."""

    keys: tuple[SearchKey, ...]


SearchKey: TypeAlias = (
    All
    | InSet
    | HasFlag
    | HasKeyword
    | IsRecent
    | InternalDay
    | SentDay
    | InHeader
    | InBody
    | InText
    | Larger
    | Smaller
    | ModSeq
    | Not
    | Or
    | And
)


@dataclass(frozen=True, slots=True)
class Search(Command):
    """RFC 3501 6.4.4. ``by_uid``: UID SEARCH. ``returns`` are the options of RFC 4731 (``MIN MAX ALL COUNT``; ``RETURN
    ()`` is ALL), None: answer with ``* SEARCH``. ``modseq``: a MODSEQ key was used (RFC 7162 3.1.5)."""

    verb: ClassVar[str] = "SEARCH"
    by_uid: bool
    key: SearchKey
    returns: frozenset[str] | None = None
    modseq: bool = False

    @property
    def uid(self) -> bool:
        """Whether UIDs are to be returned."""
        return self.by_uid


# --- events that are not commands


@dataclass(frozen=True, slots=True)
class Reply:
    """Octets the connection answers by itself, to be written as they are: continuation requests, BAD and NO to what is
    no command. ``close``: the last words (BYE); close the channel after them. Needs no ``completed()``."""

    data: bytes
    close: bool = False


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
class AppendEnd:
    """The message and the command are complete. Answered by APPEND's tagged response and ``completed()``."""


@dataclass(frozen=True, slots=True)
class AppendAborted:
    """What followed the message was not the end of the command: throw the message away, answer BAD with ``text``, then
    ``completed()``."""

    text: str
