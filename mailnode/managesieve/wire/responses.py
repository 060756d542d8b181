"""Responses of ManageSieve as octets (RFC 5804 1.2, 1.3 and 4)."""

from __future__ import annotations

import base64
import re
from dataclasses import dataclass

MAX_QUOTED = 1024  # octets between the quotes; a longer string is a literal

_QUOTABLE = re.compile(rb"[^\0\r\n]*\Z")
_SPECIALS = re.compile(rb'(["\\])')


@dataclass(frozen=True, slots=True)
class ManageReply:
    """What ends the answer to a command. ``code`` is a response code without parentheses; ``argument`` the string behind it."""

    word: str  # "OK", "NO" or "BYE"
    text: str = ""  # for a person; may have several lines
    code: str = ""
    argument: bytes | None = None

    def __bytes__(self) -> bytes:
        words = [self.word.encode("ascii")]
        if self.code:
            argument = b"" if self.argument is None else b" " + string(self.argument)
            words.append(b"(" + self.code.encode("ascii") + argument + b")")
        if self.text:
            words.append(string(self.text.encode("utf-8", "replace").replace(b"\0", b" ")))
        return b" ".join(words) + b"\r\n"


def ok(text: str = "", code: str = "", argument: bytes | None = None) -> ManageReply:
    """The command was carried out."""
    return ManageReply("OK", text, code, argument)


def no(text: str, code: str = "") -> ManageReply:
    """It was not."""
    return ManageReply("NO", text, code)


def bye(text: str, code: str = "") -> ManageReply:
    """The connection ends."""
    return ManageReply("BYE", text, code)


def string(data: bytes) -> bytes:
    """Return a quoted string, or a literal of what may not stand in one: line ends, NUL, what is not UTF-8 or too long."""
    if len(data) <= MAX_QUOTED and _QUOTABLE.match(data):
        quoted = _SPECIALS.sub(rb"\\\1", data)
        if len(quoted) <= MAX_QUOTED and _is_utf8(data):
            return b'"' + quoted + b'"'
    return literal(data)


def literal(data: bytes) -> bytes:
    """Return a literal, as servers send them."""
    return b"{%d}\r\n" % len(data) + data


def line(*words: bytes) -> bytes:
    """Return a line that stands before what ends the answer."""
    return b" ".join(words) + b"\r\n"


def challenge(data: bytes) -> bytes:
    """Return a SASL challenge (RFC 5804 2.1); an empty one is an empty string."""
    return line(string(base64.b64encode(data)))


def _is_utf8(data: bytes) -> bool:
    try:
        data.decode("utf-8")
    except UnicodeDecodeError:
        return False
    return True
