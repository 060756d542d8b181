"""The lexical grammar of IMAP over one complete command: octets with their literals in place.

Strict RFC 3501 9: one space is one space, line ends never stand inside a token, numbers are decimal digits. Every method
reads at the cursor and moves it, or raises :class:`CommandFault`. Linear in the length of the command.
"""

from __future__ import annotations

import binascii
import re
from collections.abc import Callable
from dataclasses import dataclass
from datetime import date
from typing import TypeVar

from mailnode.errors import BadMailboxName
from mailnode.imap.wire.names import decode_utf8_name
from mailnode.message.modified_utf7 import decode_name
from mailnode.values.flags import MAX_KEYWORD_OCTETS, system_flag
from mailnode.values.mailbox_name import SEPARATOR, mailbox_name
from mailnode.values.sets import STAR, SeqSet, UidSet

T = TypeVar("T")
S = TypeVar("S", bound=SeqSet | UidSet)

MAX_NUMBER = 2**32 - 1  # number and nz-number, RFC 3501 9
MAX_NUMBER64 = 2**63 - 1  # mod-sequence-value, RFC 7162 7

# ATOM-CHAR = <any CHAR except "(" ")" "{" SP CTL "%" "*" DQUOTE "\" "]">
_ATOM_SPECIALS = rb'\x00-\x20\x7f-\xff(){%*"\\\]'
_ATOM = re.compile(rb"[^" + _ATOM_SPECIALS + rb"]+")
# ASTRING-CHAR = ATOM-CHAR / "]"
_ASTRING_CHARS = re.compile(rb'[^\x00-\x20\x7f-\xff(){%*"\\]+')
# list-char = ATOM-CHAR / "%" / "*" / "]"
_LIST_CHARS = re.compile(rb'[^\x00-\x20\x7f-\xff(){"\\]+')
# quoted = DQUOTE *(<any CHAR except DQUOTE "\" CR LF> / "\" DQUOTE / "\\") DQUOTE; octets above 0x7F, which programs put
# there without asking, are read as in a literal
_QUOTED = re.compile(rb'"((?:[^\x00\r\n"\\]|\\["\\])*)"')
_ESCAPED = re.compile(rb'\\(["\\])')
_LITERAL = re.compile(rb"\{([0-9]{1,10})\+?\}\r\n")
_DIGITS = re.compile(rb"[0-9]+")
# sequence-set = (seq-number / seq-range) ["," sequence-set] / "$"; seq-number = nz-number / "*"
_SET = re.compile(rb"[0-9*:,]+\$?|\$")
_RANGE = re.compile(rb"([1-9][0-9]{0,9}|\*)(?::([1-9][0-9]{0,9}|\*))?")
# date-text = 1*2DIGIT "-" date-month "-" 4DIGIT
_DATE = re.compile(rb"([0-9]{1,2})-([A-Za-z]{3})-([0-9]{4})")
# date-time = DQUOTE date-day-fixed "-" date-month "-" date-year SP time SP zone DQUOTE
_DATE_TIME = re.compile(
    rb'"( [0-9]|[0-9]{2})-([A-Za-z]{3})-([0-9]{4}) ([0-9]{2}):([0-9]{2}):([0-9]{2}) ([+-])([0-9]{2})([0-9]{2})"'
)
_MONTHS = {name: n for n, name in enumerate(b"jan feb mar apr may jun jul aug sep oct nov dec".split(), 1)}
_EPOCH = date(1970, 1, 1).toordinal()


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


class CommandFault(Exception):
    """A command that is answered without being carried out. ``status`` is BAD or NO, ``code`` a response code without
    its brackets or b"", ``text`` general words that repeat nothing the client sent."""

    def __init__(self, text: str, *, status: bytes = b"BAD", code: bytes = b"") -> None:
        super().__init__(text)
        self.status = status
        self.code = code
        self.text = text


class Lexer:
    """A cursor over a complete command."""

    def __init__(self, data: bytes, position: int = 0, utf8: bool = False) -> None:
        """:param utf8: quoted strings and names of mailboxes are in UTF-8 (RFC 6855 3)."""
        self._data = data
        self._at = position
        self.utf8 = utf8

    @property
    def at_end(self) -> bool:
        """Whether nothing is left."""
        return self._at >= len(self._data)

    def end(self) -> None:
        """Require the end of the command."""
        if not self.at_end:
            raise CommandFault("Unexpected text at the end of the command")

    def space(self) -> None:
        """Read exactly one SP."""
        self.expect(b" ")

    def expect(self, mark: bytes) -> None:
        """Read fixed octets."""
        if not self.accept(mark):
            raise CommandFault("Missing arguments or misplaced characters")

    def accept(self, mark: bytes) -> bool:
        """Read fixed octets if they come next."""
        if self._data.startswith(mark, self._at):
            self._at += len(mark)
            return True
        return False

    def follows(self, word: bytes) -> bool:
        """Whether fixed octets, letters in either case, come next. :param word: in capitals."""
        return self._data[self._at : self._at + len(word)].upper() == word

    def accept_word(self, word: bytes) -> bool:
        """Read fixed octets, letters in either case, if they come next. :param word: in capitals."""
        if self.follows(word):
            self._at += len(word)
            return True
        return False

    def remainder(self) -> bytes:
        """Read all that is left."""
        at, self._at = self._at, len(self._data)
        return self._data[at:]

    def peek(self) -> bytes:
        """Return the next octet without reading it; b"" at the end."""
        return self._data[self._at : self._at + 1]

    def match(self, pattern: re.Pattern[bytes], what: str) -> re.Match[bytes]:
        """Read what a linear regular expression matches."""
        found = pattern.match(self._data, self._at)
        if found is None:
            raise CommandFault(f"Expected {what}")
        self._at = found.end()
        return found

    def parenthesized(self, item: Callable[[], T], *, minimum: int = 1) -> list[T]:
        """Read ``"(" item *(SP item) ")"``."""
        self.expect(b"(")
        items: list[T] = []
        if minimum == 0 and self.accept(b")"):
            return items
        items.append(item())
        while not self.accept(b")"):
            self.space()
            items.append(item())
        return items

    # Strings

    def atom(self) -> bytes:
        """Read an atom."""
        return self.match(_ATOM, "an atom").group()

    def word(self) -> str:
        """Read an atom that names something, in capitals."""
        return self.atom().decode("ascii").upper()

    def astring(self) -> bytes:
        """Read an astring; ``NIL`` is the three letters (RFC 3501 4.5)."""
        if self.peek() in (b'"', b"{"):
            return self.string()
        return self.match(_ASTRING_CHARS, "an atom or a string").group()

    def string(self) -> bytes:
        """Read a quoted string or a literal."""
        if self.peek() == b"{":
            return self._literal()
        inner = self.match(_QUOTED, "a string").group(1)
        if self.utf8 and not _is_utf8(inner):
            raise CommandFault("String is not UTF-8")
        return _ESCAPED.sub(rb"\1", inner) if b"\\" in inner else inner

    def nstring(self) -> bytes | None:
        """Read a string or NIL (None)."""
        if self.peek() in (b'"', b"{"):
            return self.string()
        self.nil()
        return None

    def nstring8(self) -> bytes | None:
        """Read a string, a literal8 (RFC 3516 4.4), which may hold NUL, or NIL (None)."""
        return self._literal(binary=True) if self.accept(b"~") else self.nstring()

    def nil(self) -> None:
        """Read NIL."""
        if self.word() != "NIL":
            raise CommandFault("Expected a string or NIL")

    def _literal(self, binary: bool = False) -> bytes:
        head = self.match(_LITERAL, "a literal")
        size = int(head.group(1))
        data = self._data[self._at : self._at + size]
        if len(data) < size:
            raise CommandFault("Literal is incomplete")
        if not binary and b"\0" in data:  # RFC 3501 9: CHAR8 is any octet except NUL
            raise CommandFault("Literal contains NUL")
        self._at += size
        return data

    # Numbers and sets

    def number(self, largest: int = MAX_NUMBER) -> int:
        """Read an unsigned decimal number of at most ``largest``."""
        return decimal(self.match(_DIGITS, "a number").group(), largest)

    def sequence_set(self, kind: type[S]) -> S:
        """Read a sequence-set; it stays as the client wrote it and is never expanded. ``$`` is its end (RFC 5182 3)."""
        text = self.match(_SET, "a message set").group()
        if text.isdigit() and text[0] != 0x30:
            number = decimal(text, MAX_NUMBER)
            return kind(((number, number),))
        saved = text.endswith(b"$")
        if text == b"$":
            return kind((), saved)
        if saved:
            text = text.removesuffix(b",$")
        ranges = []
        for part in text.split(b","):
            found = _RANGE.fullmatch(part)
            if found is None:
                raise CommandFault("Bad message set")
            first = _set_number(found.group(1))
            ranges.append((first, first if found.group(2) is None else _set_number(found.group(2))))
        return kind(tuple(ranges), saved)

    # Dates

    def date(self) -> date:
        """Read a date, quoted or not (RFC 3501 9)."""
        quoted = self.accept(b'"')
        found = self.match(_DATE, "a date")
        if quoted:
            self.expect(b'"')
        return _date(*found.groups())

    def date_time(self) -> InternalDate:
        """Read a date-time. The second 60 is taken as 59, a zone is less than a day."""
        found = self.match(_DATE_TIME, "a date and time")
        day = _date(found.group(1).strip(), found.group(2), found.group(3))
        hour, minute, second = (int(found.group(n)) for n in (4, 5, 6))
        zone_hours, zone_minutes = int(found.group(8)), int(found.group(9))
        if hour > 23 or minute > 59 or second > 60 or zone_hours > 23 or zone_minutes > 59:
            raise CommandFault("Time or zone out of range")
        offset = zone_hours * 60 + zone_minutes
        if found.group(7) == b"-":
            offset = -offset
        minutes = ((day.toordinal() - _EPOCH) * 24 + hour) * 60 + minute - offset
        return InternalDate((minutes * 60 + min(second, 59)) * 1_000_000, offset)

    # Names and flags

    def mailbox(self) -> str:
        """Read a mailbox name, decoded and canonical.

        :raises CommandError: with NO [CANNOT] for a name no mailbox can have.
        """
        return self.mailbox_as_written()[0]

    def mailbox_as_written(self) -> tuple[str, str]:
        """As :meth:`mailbox`; also return the name as it is written, decoded, without a separator at its end."""
        name = self.encoded_name()
        try:
            if name is not None:
                return mailbox_name(name), name.removesuffix(SEPARATOR)
        except BadMailboxName:
            pass
        raise CommandFault("Mailbox name is not allowed", status=b"NO", code=b"CANNOT")

    def encoded_name(self) -> str | None:
        """Read what names a mailbox, or where names begin; None where nothing can be named so."""
        return self._decoded(self.astring())

    def list_mailbox(self) -> str | None:
        """Read a mailbox pattern of LIST or LSUB; None where it can match nothing."""
        if self.peek() in (b'"', b"{"):
            return self._decoded(self.string())
        return self._decoded(self.match(_LIST_CHARS, "a mailbox pattern").group())

    def _decoded(self, wire: bytes) -> str | None:
        return decode_utf8_name(wire) if self.utf8 else decode_name(wire)

    def flag(self) -> bytes:
        """Read one flag: ``\\Name`` or a keyword."""
        return b"\\" + self.atom() if self.accept(b"\\") else self.atom()

    def flag_list(self, *, recent: bool = False) -> Flags:
        """Read a flag-list; see :func:`flags_from`."""
        return flags_from(self.parenthesized(self.flag, minimum=0), recent=recent)


def flags_from(names: list[bytes], *, recent: bool = False) -> Flags:
    """Return flags by their names; keywords once each, compared without case.

    :param recent: pass over ``\\Recent``, which mail programs that copy flags send with APPEND; else it is BAD.
    :raises CommandError: an unknown system flag (BAD), a keyword over 100 octets (NO [LIMIT]).
    """
    system = 0
    keywords: dict[str, str] = {}
    for name in names:
        text = name.decode("ascii")
        if not text.startswith("\\"):
            if len(text) > MAX_KEYWORD_OCTETS:
                raise CommandFault("Keyword too long", status=b"NO", code=b"LIMIT")
            keywords.setdefault(text.lower(), text)
            continue
        bit = system_flag(text)
        if bit is None and not (recent and text.lower() == "\\recent"):
            raise CommandFault("Unknown system flag")
        system |= bit or 0
    return Flags(system, tuple(keywords.values()))


def decimal(digits: bytes, largest: int) -> int:
    """Return the value of ASCII digits. :raises CommandError: anything else, or above ``largest``."""
    if digits.isdigit() and len(digits) <= 19 and (value := int(digits)) <= largest:
        return value
    raise CommandFault("Number out of range")


def decode_base64(text: bytes) -> bytes | None:
    """Return what base64 stands for, or None when it is not exactly base64 (RFC 4648 4): stray bits and padding too."""
    try:
        data = binascii.a2b_base64(text, strict_mode=True)
    except binascii.Error:
        return None
    return data if binascii.b2a_base64(data, newline=False) == text else None


def _is_utf8(text: bytes) -> bool:
    try:
        return text.isascii() or bool(text.decode("utf-8"))
    except UnicodeDecodeError:
        return False


def _set_number(text: bytes) -> int:
    return STAR if text == b"*" else decimal(text, MAX_NUMBER)


def _date(day: bytes, month: bytes, year: bytes) -> date:
    try:
        return date(int(year), _MONTHS[month.lower()], int(day))
    except (KeyError, ValueError):
        raise CommandFault("No such date") from None
