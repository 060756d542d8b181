"""Content-Type and Content-Disposition values: the token before the first semicolon and the parameters.

RFC 2045 5.1, RFC 2183, RFC 2231; tolerant of missing quotes, comments, doubled semicolons and parameters without value.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import lru_cache
from urllib.parse import unquote_to_bytes

from mailnode.message.quoted import read_quoted
from mailnode.message.words import decode_bytes, decode_words

SHORT = 128  # octets of a Content-Type that is remembered for a while: few are common
MAX_PARAMETERS = 200  # of one field; the rest is not looked at
MAX_DECODED = 8192  # octets of a parameter that are decoded

Parameters = tuple[tuple[bytes, bytes], ...]  # (lower-case name, value), each name once

_TOKEN = rb"[!#$%&'*+\-.^_`{|}~0-9A-Za-z]"
_MEDIA_TYPE = re.compile(rb"(" + _TOKEN + rb"{1,127}) */ *(" + _TOKEN + rb"{1,127})(?!" + _TOKEN + rb")")
_DISPOSITION = re.compile(_TOKEN + rb"{1,127}")
_SPACE = re.compile(rb"[ \t;]*")
_NAME = re.compile(rb"([^\x00-\x20;=\"()\x7f-\xff]+)[ \t]*(=?)[ \t]*")
_BARE = re.compile(rb"[^;]*")
_BARE_WORD = re.compile(rb"[^; \t]*")
_COMMENT_MARK = re.compile(rb'[()"\\]')

# RFC 2231 3 and 4: name, section number, "*" for percent-encoded text
_EXTENDED = re.compile(rb"(.+?)(?:\*([0-9]{1,4}))?(\*?)\Z", re.DOTALL)


@dataclass(frozen=True, slots=True)
class MediaType:
    """A parsed Content-Type: lower-case type and subtype."""

    type: bytes
    subtype: bytes
    parameters: Parameters

    def get(self, name: bytes) -> bytes | None:
        """Return the value of a parameter by its lower-case name, or None."""
        return next((value for key, value in self.parameters if key == name), None)


def parse_media_type(value: bytes) -> MediaType | None:
    """Read an unfolded Content-Type; None when there is no ``type/subtype`` in it (RFC 2045 5.2 then says text/plain)."""
    return _short_media_type(value) if len(value) <= SHORT else _media_type(value)


@lru_cache(maxsize=64)
def _short_media_type(value: bytes) -> MediaType | None:
    return _media_type(value)


def _media_type(value: bytes) -> MediaType | None:
    text = strip_comments(value)
    found = _MEDIA_TYPE.match(text)
    if found is None:
        return None
    return MediaType(found[1].lower(), found[2].lower(), parse_parameters(text[found.end() :]))


def parse_disposition(value: bytes) -> tuple[bytes, Parameters] | None:
    """Read an unfolded Content-Disposition as (lower-case type, parameters); None when it has no type (RFC 2183)."""
    text = strip_comments(value)
    found = _DISPOSITION.match(text)
    if found is None:
        return None
    return found[0].lower(), parse_parameters(text[found.end() :])


def parse_parameters(text: bytes) -> Parameters:
    """Read ``; name=value ...``, comments taken out already. The first of equal names counts; sections of one value
    are joined under its name, with ``*`` at the end when it is percent-encoded (RFC 2231 6)."""
    pairs: list[tuple[bytes, bytes]] = []
    position = 0
    while len(pairs) < MAX_PARAMETERS:
        blank = _SPACE.match(text, position)
        position = blank.end() if blank else position
        if position >= len(text):
            break
        name = _NAME.match(text, position)
        if name is None or not name[2]:
            # Junk, or a word without "=": it is not a parameter, and NIL is not a value.
            bare = _BARE.match(text, position)
            position = max(bare.end() if bare else position, position + 1)
            continue
        key = name[1].lower()
        value, position = _value(text, name.end(), key)
        pairs.append((key, value))
    return _join_sections(pairs)


def _value(text: bytes, position: int, name: bytes) -> tuple[bytes, int]:
    if text.startswith(b'"', position):
        return read_quoted(text, position + 1)
    # A bare file name may hold spaces though it should not; a bare boundary or charset never does.
    bare = (_BARE if name in (b"name", b"filename") else _BARE_WORD).match(text, position)
    return (bare[0].strip(b" \t"), bare.end()) if bare else (b"", position)


def _join_sections(pairs: list[tuple[bytes, bytes]]) -> Parameters:
    plain: dict[bytes, bytes] = {}
    sections: dict[bytes, dict[int, tuple[bytes, bool]]] = {}
    order: list[bytes] = []
    for written, value in pairs:
        found = _EXTENDED.match(written)
        if found is not None and found[2] is not None:
            name = found[1]
            if name not in sections:
                sections[name] = {}
                order.append(name)
            sections[name].setdefault(int(found[2]), (value, bool(found[3])))
        elif written not in plain:
            plain[written] = value
            order.append(written)
    result: dict[bytes, bytes] = {}
    for name in order:
        if name in sections and name not in result and name + b"*" not in result and name not in plain:
            joined, value = _whole_parameter(name, sections[name])
            result.setdefault(joined, value)
        elif name in plain:
            result.setdefault(name, plain[name])
    return tuple(result.items())


def _whole_parameter(name: bytes, numbered: dict[int, tuple[bytes, bool]]) -> tuple[bytes, bytes]:
    pieces: list[tuple[bytes, bool]] = []
    while len(pieces) in numbered:
        pieces.append(numbered[len(pieces)])
    if not pieces:  # they do not begin with 0: take what there is, in order
        pieces = [numbered[number] for number in sorted(numbered)]
    if not any(encoded for _, encoded in pieces):
        return name, b"".join(value for value, _ in pieces)
    first = pieces[0][0] if pieces[0][1] else b"''" + _percent(pieces[0][0])
    return name + b"*", first + b"".join(value if encoded else _percent(value) for value, encoded in pieces[1:])


def _percent(value: bytes) -> bytes:
    return b"".join(b"%%%02X" % octet if octet in b"%'*" or octet > 126 else bytes((octet,)) for octet in value)


def decode_parameter(parameters: Parameters, name: bytes) -> str:
    """Return a parameter as text: RFC 2231 charset, else RFC 2047 words as many programs write them; "" without it."""
    for key, whole in parameters:
        value = whole[:MAX_DECODED]
        if key == name + b"*":
            charset, quote, rest = value.partition(b"'")
            _, quote2, text = rest.partition(b"'")
            if quote and quote2:
                return decode_bytes(unquote_to_bytes(text), charset.decode("ascii", "replace"))
            return decode_bytes(unquote_to_bytes(value), "")
        if key == name:
            return decode_words(value)
    return ""


def strip_comments(value: bytes) -> bytes:
    """Return a structured field body without its comments (RFC 5322 3.2.2); one that never ends goes to the end."""
    if b"(" not in value:
        return value.strip(b" \t")
    kept: list[bytes] = []
    position = start = depth = 0
    quoted = False
    while (mark := _COMMENT_MARK.search(value, position)) is not None:
        position = mark.end()
        sign = mark[0]
        if sign == b"\\":
            position += 1
        elif sign == b'"':
            quoted = not quoted if depth == 0 else quoted
        elif not quoted and sign == b"(":
            if depth == 0:
                if mark.start() and value[mark.start() - 1] not in b" \t;)":
                    continue  # inside a word, as in name=report(1).pdf
                kept.append(value[start : mark.start()])
            depth += 1
        elif not quoted and depth:
            depth -= 1
            if depth == 0:
                start = position
    if depth == 0:
        kept.append(value[start:])
    return b" ".join(kept).strip(b" \t")
