"""In what Dovecot and we differ about mail that breaks the rules, and why. docs/imap.rst has the same list with the same numbers.

A class has a predicate, which looks at one value of an answer, and the most that may belong to it among the messages of the test.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass

from tests.interop.compare import ABSENT, Difference

_CONTENT_TYPE = re.compile(rb"(?im)^content-type[ \t]*:[ \t]*(.*)$")
_READABLE_TYPE = re.compile(rb"(?i)[a-z0-9.+-]+/[a-z0-9.+-]+[ \t]*(?:;|\(|$)")
_ENCODING = re.compile(rb"(?im)^content-transfer-encoding[ \t]*:[ \t]*(.*?)[ \t]*$")
_KNOWN = (b"7bit", b"8bit", b"binary", b"base64", b"quoted-printable")
_NO_FIELD = re.compile(rb"(?m)^[^:\r\n]*(?: [^:\r\n]*:|\r$)")
_ADDRESSES = ("from", "sender", "reply-to", "to", "cc", "bcc")
_BOUNDARY = re.compile(rb'(?i)boundary="([^"\r\n]*)"')
Predicate = Callable[[Difference], bool]


@dataclass(frozen=True, slots=True)
class Class:
    """Why some values differ."""

    most: int  # of them
    rfc: str
    holds: Predicate


def _where(difference: Difference) -> object:
    return next((key for key in reversed(difference.path) if isinstance(key, str)), None)


def _parent(difference: Difference, key: str) -> object:
    return difference.parent.get(key) if isinstance(difference.parent, dict) else None


def _text(difference: Difference) -> bool:
    return isinstance(difference.ours, bytes) and isinstance(difference.theirs, bytes)


def _more(difference: Difference) -> int:
    """How much more we say it is; 0 where one says nothing."""
    both = difference.ours, difference.theirs
    return both[0] - both[1] if all(isinstance(each, int) for each in both) else 0


def _no_section(one: Difference) -> bool:
    return one.asked.startswith("BODY.PEEK[") and one.ours is None and one.theirs == b""


def _first_of_none(one: Difference) -> bool:
    return bool(re.search(r"\d\.\d", one.asked)) and one.ours is None and isinstance(one.theirs, bytes)


def _last_line(one: Difference) -> bool:
    if one.message.endswith(b"\r\n"):
        return False
    if one.asked == "RFC822.SIZE":
        return int(one.ours) - int(one.theirs) == 2
    if _where(one) in ("size", "lines"):
        return _more(one) == (2 if _where(one) == "size" else 1)
    return _text(one) and one.ours.startswith(one.theirs) and (one.theirs + b"\r\n").startswith(one.ours)


def _before_delimiter(one: Difference) -> bool:
    if _where(one) in ("size", "lines"):
        return _more(one) == -(2 if _where(one) == "size" else 1)
    return _text(one) and one.theirs == one.ours + b"\r\n"


def _no_parts(one: Difference) -> bool:
    if _where(one) in ("size", "lines"):
        return _parent(one, "size") == 0 and one.theirs == 0
    return _text(one) and b"" in (one.ours, one.theirs) and one.asked.startswith("BODY.PEEK[")


def _boundary(one: Difference) -> bool:
    told = _boundaries(one.message)
    if b"" not in told and len(set(told)) == len(told) and not any(each.endswith(b"--") for each in told):
        return False
    return one.asked.startswith(("BODY", "SEARCH BODY", "SEARCH TEXT"))


def _boundaries(message: bytes) -> list[bytes]:
    return [found.lower() for found in _BOUNDARY.findall(message)]


def _without_boundary(message: bytes) -> bool:
    """Whether a multipart names none, or one at which nothing is split."""
    types = [
        found[1].lower() for found in _CONTENT_TYPE.finditer(message) if found[1].lower().startswith(b"multipart/")
    ]
    return any(b'boundary="' not in told or b"boundary=other" in told for told in types)


def _inner_fields(one: Difference) -> bool:
    fields = ("id", "description", "encoding", "md5", "disposition", "language", "location")
    return "body" in one.path and one.path[-1] in fields and one.theirs in (None, b"7bit") and (
        _parent(one, "type"), _parent(one, "subtype")) == (b"text", b"plain")  # fmt: skip


def _encoded_message(one: Difference) -> bool:
    return _parent(one, "type") == b"message" and _where(one) in ("type", "subtype", "envelope", "body", "lines") and (
        one.ours in (b"application", b"octet-stream", ABSENT)
    )  # fmt: skip


def _type(one: Difference) -> bool:
    return _where(one) in ("type", "subtype", "params", "lines") and (
        b"" in (_parent(one, "type"), _parent(one, "subtype")) and _parent(one, "type") != b"multipart"
    )


def _parameters(one: Difference) -> bool:
    if _where(one) != "params":
        return False
    ours, theirs = ({name: value for name, value in reversed(told or ()) if name} for told in (one.ours, one.theirs))
    return ours == theirs or b"unclosed" in ours.values()


def _disposition(one: Difference) -> bool:
    return _where(one) == "disposition" and one.ours is None and one.theirs["type"] == b""


def _misspelt_encoding(one: Difference) -> bool:
    return _where(one) == "encoding" and one.ours in _KNOWN and one.theirs == b"7bit"


def _comment_in_language(one: Difference) -> bool:
    return _where(one) == "language" and re.sub(rb" *\(.*\)", b"", one.ours) == one.theirs


def _blank_line(one: Difference) -> bool:
    return "HEADER.FIELDS" in one.asked and b"\r\n\r\n" not in one.message and one.theirs == one.ours + b"\r\n"


def _addresses(told: object) -> list[tuple]:
    told = told if isinstance(told, list) else [told]
    said = {b"MISSING_MAILBOX": b"", b"MISSING_DOMAIN": b"", b"SYNTAX_ERROR": b""}
    return [tuple(said.get(part, part) for part in address) for address in told if address is not None]


def _placeholder(one: Difference) -> bool:
    if _where(one) not in _ADDRESSES:
        return False
    theirs = [address for address in _all(one.theirs) if address != (None, None, b"MISSING_MAILBOX", b"MISSING_DOMAIN")]
    return _addresses(one.ours) == _addresses(one.theirs) or _all(one.ours or []) == theirs


def _syntax_error(one: Difference) -> bool:
    if _found(one, "FROM", "TO", "CC", "BCC"):
        return re.search(rb"(?m)<[^>\r\n]*\r?$", one.header) is not None
    return _where(one) in _ADDRESSES and any(b"SYNTAX_ERROR" in address for address in _all(one.theirs))


def _all(told: object) -> list[tuple]:
    return told if isinstance(told, list) else [told]


def _name(one: Difference) -> bool:
    if _where(one) not in _ADDRESSES or not isinstance(one.ours, tuple) or not isinstance(one.theirs, tuple):
        return False
    return one.ours[1:] == one.theirs[1:] and one.theirs[0] is None


def _words(one: Difference) -> bool:
    if _where(one) not in _ADDRESSES or not isinstance(one.ours, tuple) or not isinstance(one.theirs, tuple):
        return False
    return b"MISSING_MAILBOX" in one.theirs and one.ours[3] == b""


def _two_at_signs(one: Difference) -> bool:
    return _where(one) in _ADDRESSES and isinstance(one.ours, tuple) and b"@" in (one.ours[2] or b"")


def _found(one: Difference, *keys: str, ours: bool = True) -> bool:
    return one.asked.startswith(tuple(f"SEARCH {key}" for key in keys)) and one.ours is ours


def _unreadable_part(one: Difference) -> bool:
    types = [found[1] for found in _CONTENT_TYPE.finditer(one.message)]
    encodings = [found[1].strip().lower() for found in _ENCODING.finditer(one.message)]
    return _found(one, "BODY", "TEXT") and (
        any(not _READABLE_TYPE.match(told.strip()) for told in types)
        or any(told not in _KNOWN for told in encodings)
        or _without_boundary(one.message)
    )


def _eight_bit(one: Difference) -> bool:
    return (
        _found(one, "BODY", "TEXT")
        and not one.asked.isascii()
        and (not one.message.isascii() or b"base64" in one.message.lower())
    )


def _inner_header(one: Difference) -> bool:
    return _found(one, "BODY") and re.search(rb"(?i)message/rfc822|multipart/digest", one.message) is not None


def _no_date(one: Difference) -> bool:
    date = re.search(rb"(?im)^date:[ \t]*(.*?)\r?$", one.header)
    return _found(one, "SENT", ours=False) and (date is None or not re.search(rb"\d+ [A-Z][a-z]{2} \d+", date[1]))


def _no_field(one: Difference) -> bool:
    return _found(one, "HEADER", ours=False) and _NO_FIELD.search(one.message) is not None


def _key_read_otherwise(one: Difference) -> bool:
    if not one.asked.startswith("SORT "):
        return False
    ours, theirs = (
        [number for number in order if number not in one.read_otherwise] for order in (one.ours, one.theirs)
    )
    return ours == theirs


# What each is, stands in docs/imap.rst, "Where Dovecot answers otherwise", by this name.
CLASSES: dict[str, Class] = {
    "no such section": Class(3790, "RFC 3501 7.4.2", _no_section),
    "part 1 of a part without parts": Class(211, "RFC 3501 6.4.5", _first_of_none),
    "a header without an end": Class(7, "RFC 3501 6.4.5", _blank_line),
    "the last line has no end": Class(438, "RFC 5322 2.1", _last_line),
    "the line end before a delimiter": Class(29, "RFC 2046 5.1.1", _before_delimiter),
    "a multipart without parts": Class(216, "RFC 2046 5.1.1", _no_parts),
    "a message without a type": Class(18, "RFC 2045 5.2", _inner_fields),
    "a message in an encoding": Class(4, "RFC 2046 5.2.1", _encoded_message),
    "a type that cannot be read": Class(536, "RFC 2045 5.2", _type),
    "parameters that cannot be read": Class(80, "RFC 2045 5.1", _parameters),
    "no disposition": Class(51, "RFC 2183 2", _disposition),
    "an encoding with a comment or quotes": Class(56, "RFC 2045 6.1", _misspelt_encoding),
    "a language with a comment": Class(18, "RFC 3501 7.4.2", _comment_in_language),
    "no mailbox, no domain": Class(241, "RFC 3501 7.4.2", _placeholder),
    "an address with an error": Class(65, "RFC 5322 3.4", _syntax_error),
    "a name, or none": Class(135, "RFC 5322 3.4", _name),
    "words that are no address": Class(119, "RFC 5322 3.4", _words),
    "two at signs": Class(48, "RFC 5322 3.4.1", _two_at_signs),
    "a boundary that is empty, or not its own": Class(124, "RFC 2046 5.1.2", _boundary),
    "SEARCH: text in an unreadable part": Class(501, "RFC 2045 5.2", _unreadable_part),
    "SEARCH: octets that the charset has not": Class(83, "RFC 2045 6.1", _eight_bit),
    "SEARCH: the header of a message inside": Class(46, "RFC 3501 6.4.4", _inner_header),
    "SEARCH: no date": Class(142, "RFC 3501 6.4.4", _no_date),
    "SEARCH: a line that is no field": Class(46, "RFC 5322 2.2", _no_field),
    "SORT: a key that is read otherwise": Class(10, "RFC 5256 3", _key_read_otherwise),
}  # fmt: skip


def class_of(difference: Difference) -> str | None:
    """Return the name of the first class that a difference belongs to."""
    return next((name for name, one in CLASSES.items() if one.holds(difference)), None)
