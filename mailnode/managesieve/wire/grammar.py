"""The commands of ManageSieve: which exist, in which state, with which arguments (RFC 5804 2 and 4).

command = atom *(SP (string / number)) CRLF
string  = quoted / "{" number "+}" CRLF *OCTET

A run of spaces is taken for one, and a quoted string of AUTHENTICATE may be longer than others: programs send tokens so.
"""

from __future__ import annotations

import base64
import binascii
import enum
import re
from collections.abc import Sequence
from dataclasses import dataclass, field

from mailnode.managesieve.wire.responses import MAX_QUOTED

MAX_LINE = (
    16 * 1024
)  # octets with CRLF, of each line of a command: a token for AUTHENTICATE is the longest thing in one
MAX_NUMBER = 2**32 - 1
MAX_STRINGS = 2  # of one command


class ManageState(enum.Enum):
    """RFC 5804 2"""

    BEFORE_LOGIN = enum.auto()
    AFTER_LOGIN = enum.auto()


class Takes(enum.Enum):
    """What an argument is."""

    NAME = "a name"
    SCRIPT = "a script"
    SIZE = "a number"
    MECHANISM = "a mechanism"
    INITIAL = "perhaps a string in base64"
    TAG = "perhaps a string"


_OPTIONAL = (Takes.INITIAL, Takes.TAG)
_BEFORE = frozenset({ManageState.BEFORE_LOGIN})
_AFTER = frozenset({ManageState.AFTER_LOGIN})
_BOTH = _BEFORE | _AFTER

# name -> (states it is valid in, its arguments)
COMMANDS: dict[bytes, tuple[frozenset[ManageState], tuple[Takes, ...]]] = {
    b"AUTHENTICATE": (_BEFORE, (Takes.MECHANISM, Takes.INITIAL)),
    b"STARTTLS": (_BEFORE, ()),
    b"LOGOUT": (_BOTH, ()),
    b"CAPABILITY": (_BOTH, ()),
    b"NOOP": (_BOTH, (Takes.TAG,)),
    b"HAVESPACE": (_AFTER, (Takes.NAME, Takes.SIZE)),
    b"PUTSCRIPT": (_AFTER, (Takes.NAME, Takes.SCRIPT)),
    b"LISTSCRIPTS": (_AFTER, ()),
    b"SETACTIVE": (_AFTER, (Takes.NAME,)),
    b"GETSCRIPT": (_AFTER, (Takes.NAME,)),
    b"DELETESCRIPT": (_AFTER, (Takes.NAME,)),
    b"RENAMESCRIPT": (_AFTER, (Takes.NAME, Takes.NAME)),
    b"CHECKSCRIPT": (_AFTER, (Takes.SCRIPT,)),
    b"UNAUTHENTICATE": (_AFTER, ()),
}


@dataclass(frozen=True, slots=True)
class ManageCommand:
    """One well-formed command, allowed in the state. ``names``: of scripts. ``word``: a mechanism in capitals, or the tag of NOOP,
    None when not given. ``initial``: AUTHENTICATE's decoded initial response, None when not given."""

    verb: str
    names: tuple[str, ...] = ()
    script: bytes = field(default=b"", repr=False)
    size: int = 0
    word: bytes | None = None
    initial: bytes | None = field(default=None, repr=False)


@dataclass(frozen=True, slots=True)
class BadManageCommand:
    """What is no command here. ``reason`` is for the client. ``lost``: nobody can know where the next command begins."""

    reason: str
    code: str = ""
    lost: bool = False


@dataclass(frozen=True, slots=True)
class ManageSaslResponse:
    """The client's answer to a challenge, decoded; None: it cancelled with ``*`` (RFC 5804 2.1)."""

    data: bytes | None = field(repr=False)


@dataclass(frozen=True, slots=True)
class TlsUp:
    """TLS has come up behind STARTTLS: capabilities are said anew (RFC 5804 2.2)."""


Event = ManageCommand | BadManageCommand | ManageSaslResponse | TlsUp

# One of these stands next, whatever is before and behind it: an atom or a number, a quoted string, spaces.
_TOKEN = re.compile(rb'([!#-\'*-\[\]-z|-~]+)|"((?:[^"\\\0\r\n]|\\["\\])*)"|( +)')
_ESCAPED = re.compile(rb"\\(.)")
_NUMBER = re.compile(rb"(?:0|[1-9][0-9]{0,9})\Z")


class _NoArgument(Exception):
    """What stands there is no argument of the command."""


def verb_of(line: bytes) -> bytes:
    """Return the first word of a line, in capitals."""
    return line.lstrip(b" ").partition(b" ")[0].upper()


def not_now(verb: bytes, state: ManageState) -> BadManageCommand | None:
    """Return what a command is refused with whatever its arguments are, None when it is not."""
    known = COMMANDS.get(verb)
    if known is None:
        return BadManageCommand("unknown command")
    if state in known[0]:
        return None
    when = "before the login" if state is ManageState.BEFORE_LOGIN else "after the login"
    return BadManageCommand(f"no {verb.decode('ascii')} {when}")


def parse_command(parts: Sequence[bytes], state: ManageState) -> ManageCommand | BadManageCommand:
    """Read a command. :param parts: a line without what announces a literal, the literal, the rest of the line and so on."""
    verb = verb_of(parts[0])
    refused = not_now(verb, state)
    if refused is not None:
        return refused
    takes, name = COMMANDS[verb][1], verb.decode("ascii")
    try:
        words = _words(parts, None if verb == b"AUTHENTICATE" else MAX_QUOTED)
        return _with_arguments(name, takes, words[1:])
    except _NoArgument as error:
        wanted = " and ".join(one.value for one in takes) or "nothing"
        return BadManageCommand(str(error) or f"{name} takes {wanted}")


def parse_sasl(parts: Sequence[bytes]) -> ManageSaslResponse | BadManageCommand:
    """Read what stands in the place of a SASL response: one string (RFC 5804 2.1)."""
    try:
        words = _words(parts, None)
        if len(words) != 1 or not isinstance(words[0], _String):
            raise _NoArgument
        return ManageSaslResponse(None if words[0] == b"*" else _decode_base64(words[0]))
    except _NoArgument:
        return BadManageCommand("a response is one string, in base64")


class _String(bytes):
    """A string among words: it may say what an atom or a number may."""


def _words(parts: Sequence[bytes], longest: int | None) -> list[bytes]:
    """Split a command into its words. :param longest: octets of a quoted string; None: of any length that a line has."""
    words: list[bytes] = []
    for index, part in enumerate(parts):
        if index % 2:
            words.append(_String(part))
            continue
        apart = not index  # from the word before
        at = 0
        while at < len(part):
            match = _TOKEN.match(part, at)
            if match is None:
                raise _NoArgument
            at = match.end()
            kind = match.lastindex
            if kind == 3:
                apart = True
                continue
            if not apart:
                raise _NoArgument
            apart = False
            words.append(match[1] if kind == 1 else _quoted(match[2], longest))
        if not apart and index + 1 < len(parts):
            raise _NoArgument
    return words


def _quoted(inner: bytes, longest: int | None) -> _String:
    if longest is not None and len(inner) > longest:
        raise _NoArgument(f"a quoted string has at most {longest} octets")
    _text(inner)
    return _String(_ESCAPED.sub(rb"\1", inner))


def _with_arguments(verb: str, takes: Sequence[Takes], words: Sequence[bytes]) -> ManageCommand:
    names: list[str] = []
    script, size = b"", 0
    word: bytes | None = None
    initial: bytes | None = None
    if len(words) > len(takes):
        raise _NoArgument
    for index, kind in enumerate(takes):
        if index >= len(words):
            if kind not in _OPTIONAL:
                raise _NoArgument
            continue
        given = words[index]
        if kind is Takes.SIZE:
            size = _number(given)
            continue
        if not isinstance(given, _String):
            raise _NoArgument
        if kind is Takes.NAME:
            names.append(_text(given))
        elif kind is Takes.SCRIPT:
            script = bytes(given)
        elif kind is Takes.INITIAL:
            initial = _decode_base64(given)
        else:
            word = given.upper() if kind is Takes.MECHANISM else bytes(given)
    return ManageCommand(verb, tuple(names), script, size, word, initial)


def _number(word: bytes) -> int:
    if isinstance(word, _String) or not _NUMBER.match(word) or int(word) > MAX_NUMBER:
        raise _NoArgument
    return int(word)


def _text(word: bytes) -> str:
    try:
        return word.decode("utf-8")
    except UnicodeDecodeError:
        raise _NoArgument("not UTF-8") from None


def _decode_base64(word: bytes) -> bytes:
    try:
        return base64.b64decode(word, validate=True)
    except (binascii.Error, ValueError):
        raise _NoArgument("not base64") from None
