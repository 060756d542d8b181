"""The commands of POP3: which exist, in which state, with which arguments.

RFC 1939, RFC 2449, RFC 2595, RFC 5034, RFC 6856.

command = keyword *(SP param) CRLF       ; RFC 2449 3, 255 octets with CRLF
"""

from __future__ import annotations

import base64
import binascii
import enum
from dataclasses import dataclass

MAX_COMMAND = 255  # octets with CRLF, RFC 2449 4
MAX_SASL_LINE = 12288  # octets with CRLF, RFC 5034 4; also allowed for AUTH itself, whose initial responses grow long
MAX_DIGITS = 10


class PopState(enum.Enum):
    """RFC 1939 3. UPDATE is not a state of the grammar: no command is read in it."""

    AUTHORIZATION = enum.auto()
    TRANSACTION = enum.auto()


class Arguments(enum.Enum):
    """What may follow a keyword."""

    NONE = enum.auto()
    REMAINDER = enum.auto()  # everything after one space, spaces included
    WORD = enum.auto()  # an optional word
    AUTH = enum.auto()  # [mechanism [initial-response]]
    NUMBER = enum.auto()
    MAYBE_NUMBER = enum.auto()
    NUMBER_LINES = enum.auto()


_BEFORE = frozenset({PopState.AUTHORIZATION})
_AFTER = frozenset({PopState.TRANSACTION})
_BOTH = _BEFORE | _AFTER

# keyword -> (states it is valid in, its arguments)
COMMANDS: dict[bytes, tuple[frozenset[PopState], Arguments]] = {
    b"USER": (_BEFORE, Arguments.REMAINDER),
    b"PASS": (_BEFORE, Arguments.REMAINDER),
    b"AUTH": (_BEFORE, Arguments.AUTH),
    b"STLS": (_BEFORE, Arguments.NONE),
    b"UTF8": (_BEFORE, Arguments.NONE),
    b"STAT": (_AFTER, Arguments.NONE),
    b"LIST": (_AFTER, Arguments.MAYBE_NUMBER),
    b"UIDL": (_AFTER, Arguments.MAYBE_NUMBER),
    b"RETR": (_AFTER, Arguments.NUMBER),
    b"DELE": (_AFTER, Arguments.NUMBER),
    b"TOP": (_AFTER, Arguments.NUMBER_LINES),
    b"NOOP": (_AFTER, Arguments.NONE),
    b"RSET": (_AFTER, Arguments.NONE),
    b"CAPA": (_BOTH, Arguments.NONE),
    b"LANG": (_BOTH, Arguments.WORD),
    b"QUIT": (_BOTH, Arguments.NONE),
}


@dataclass(frozen=True, slots=True)
class PopCommand:
    """One well-formed command, allowed in the state. ``number`` is a message number, 0 when an optional one is left out;
    ``text`` the word or rest; ``initial`` AUTH's decoded initial response, None when not given."""

    verb: str
    text: bytes = b""
    number: int = 0
    lines: int = 0
    initial: bytes | None = None


@dataclass(frozen=True, slots=True)
class BadCommand:
    """A line that is no command here. ``reason`` is for the client."""

    reason: str


@dataclass(frozen=True, slots=True)
class PopSaslResponse:
    """The client's answer to a challenge, decoded; None: it cancelled with ``*`` (RFC 5034 4)."""

    data: bytes | None


Event = PopCommand | BadCommand | PopSaslResponse


def parse_command(line: bytes, state: PopState) -> PopCommand | BadCommand:
    """Read one line without its CRLF."""
    keyword, _, rest = line.partition(b" ")
    verb = keyword.upper()
    known = COMMANDS.get(verb)
    if known is None:
        return BadCommand("unknown command")
    states, arguments = known
    if state not in states:
        return BadCommand("not in this state")
    parsed = _with_arguments(verb.decode("ascii"), arguments, rest)
    return parsed if parsed is not None else BadCommand("bad arguments")


def _with_arguments(verb: str, arguments: Arguments, rest: bytes) -> PopCommand | None:
    if arguments is Arguments.REMAINDER:
        return PopCommand(verb, text=rest) if rest and b"\0" not in rest else None
    words = rest.split()
    if arguments is Arguments.NONE:
        return PopCommand(verb) if not words else None
    if arguments is Arguments.WORD:
        return PopCommand(verb, text=b"".join(words)) if len(words) <= 1 else None
    if arguments is Arguments.AUTH:
        return _auth(verb, words)
    if arguments is Arguments.MAYBE_NUMBER and not words:
        return PopCommand(verb)
    if len(words) != (2 if arguments is Arguments.NUMBER_LINES else 1):
        return None
    # Message 0 exists no more than message -1 does; it also stands for "none given".
    number = decimal(words[0])
    lines = decimal(words[1]) if len(words) > 1 else 0
    return PopCommand(verb, number=number, lines=lines) if number and lines is not None else None


def _auth(verb: str, words: list[bytes]) -> PopCommand | None:
    if len(words) > 2:
        return None
    mechanism = words[0].upper() if words else b""
    if len(words) < 2:
        return PopCommand(verb, text=mechanism)
    initial = b"" if words[1] == b"=" else decode_base64(words[1])  # RFC 5034 4: "=" is an empty response
    return PopCommand(verb, text=mechanism, initial=initial) if initial is not None else None


def decimal(word: bytes) -> int | None:
    """Return a plain decimal of at most ten digits, or None."""
    return int(word) if word.isdigit() and len(word) <= MAX_DIGITS else None


def decode_base64(text: bytes) -> bytes | None:
    """Return strictly decoded base64, or None."""
    try:
        return base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        return None


def parse_sasl(line: bytes) -> PopSaslResponse | BadCommand:
    """Read one line of a SASL exchange without its CRLF."""
    if line == b"*":
        return PopSaslResponse(None)
    data = decode_base64(line)
    return PopSaslResponse(data) if data is not None else BadCommand("not base64")
