"""The first words of a message, as a list of messages shows them beside the subject (RFC 8970 3)."""

from __future__ import annotations

import re
from collections.abc import Sequence

from mailnode.message.text import html_text
from mailnode.message.transfer import decode_transfer
from mailnode.message.words import clean, decode_bytes
from mailnode.values.facts import Part

LENGTH = 200  # characters of a preview
READ = 16 * 1024  # octets of a part that are looked at, where the first few say too little
READ_FIRST = 640  # enough of most writings and encodings
LOOKED_AT = 20  # parts

# Lines that are not the writer's own words: quotations, and what follows the line that ends the words, "-- ".
_QUOTED = re.compile(r"^[ \t]*>.*$", re.MULTILINE)
_SIGNATURE = re.compile(r"\n-- ?\r?\n")
_RULER = re.compile(r"(?:-{4,}|_{4,}|={4,}|\*{4,})")
_RULERS = ("----", "____", "====", "****")
# Of a terminal that shows the list, they might change more than the line.
_CONTROLS = re.compile("[\x00-\x1f\x7f-\x9f]+")
_BODY = re.compile(rb"<body", re.IGNORECASE)
# What HTML hides before its first words: characters that are not to be seen and keep space.
_UNSEEN = re.compile("[\u00ad\u034f\u061c\u115f\u1160\u17b4\u17b5\u180e\u200b-\u200f\u2028-\u202e\u2060-\u2064\ufeff]+")


def preview(data: bytes, parts: Sequence[Part]) -> bytes:
    """Return at most ``LENGTH`` characters of the first text there is, in one line and UTF-8; nothing where there is none.

    :param data: the message. :param parts: its parts, as the scanner found them.
    """
    for part in parts[:LOOKED_AT]:
        if part.kind != "leaf" or not part.content_type.startswith("text/") or part.disposition == "attachment":
            continue
        end = min(part.end, part.body_start + READ)
        middle = min(end, part.body_start + READ_FIRST)
        words = _words(data[part.body_start : middle], part, middle < part.end)
        if len(words) < LENGTH and middle < end:
            words = _words(data[part.body_start : end], part, end < part.end)
        if words:
            return words.encode()
    return b""


def _words(raw: bytes, part: Part, cut: bool) -> str:
    """Return the words of a part. :param cut: more follows than ``raw``: what stands at its end may be half a character."""
    decoded = decode_transfer(raw, part.encoding)
    if decoded is None:
        return ""
    if cut and (last := max(decoded.rfind(b" "), decoded.rfind(b"\n"))) > 0:
        decoded = decoded[:last]
    if part.content_type == "text/html":
        body = _BODY.search(decoded)  # before it stand styles, of which there may be much
        text = html_text(decode_bytes(decoded if body is None else decoded[body.start() :], part.charset))
    else:
        text = _own_words(decode_bytes(decoded, part.charset))
    if not text.isascii():
        text = _UNSEEN.sub("", text)
    text = _line(text)[:LENGTH].rstrip()
    return text if text.isprintable() else clean(_CONTROLS.sub("", text))


def _line(text: str) -> str:
    """Return what begins a text as one line, without what rules it off: ``LENGTH`` characters and more, if it has so many."""
    line = " ".join(text[: LENGTH + LENGTH // 2].split())
    if len(line) >= LENGTH + len(_RULERS[0]) and not _is_ruled(line):
        return line
    line = " ".join(text[: 4 * LENGTH].split())
    return " ".join(_RULER.sub(" ", line).split()) if _is_ruled(line) else line


def _is_ruled(line: str) -> bool:
    return any([ruler in line for ruler in _RULERS])  # noqa: C419 (a list is quicker here)


def _own_words(text: str) -> str:
    """Leave out what the writer quotes and signs with, unless nothing else is left."""
    own = _QUOTED.sub("", text) if ">" in text else text
    signed = _SIGNATURE.search(own) if "\n-- " in own else None
    if signed is not None:
        own = own[: signed.start()]
    return own if own is text or own.strip() else text
