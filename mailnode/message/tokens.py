"""What a statistical filter counts of a message: words of its header and its text, each as a number.

The same octets always give the same words, so that what was learnt of a message can be taken back. Work is bounded whatever the
message: a bounded beginning is read, and of many words those with the lowest numbers are taken, which are the same few of the
vocabulary in every message, wherever in it they stand.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable, Iterator
from zlib import crc32

from mailnode.message.headers import first, header_end, unfold
from mailnode.message.places import places
from mailnode.message.scanner import scan_entity
from mailnode.message.text import part_text
from mailnode.message.words import decode_words
from mailnode.values.facts import Part

MAX_OCTETS = 32 * 1024  # of a message that are read
MAX_WORDS = 160  # of a message
MAX_HEADER_WORDS = 48  # of them from its header
MAX_FIELD = 1000  # octets of a field that are read
MAX_PARTS = 20  # with text, that are read

_WORD = re.compile(r"[\w$\u20ac\xa3%][\w'\u2019-]{1,28}[\w$\u20ac\xa3%]")
_ASCII_WORD = re.compile(rb"[\w$%][\w'-]{1,28}[\w$%]")  # the same of what is ASCII
_LINK = re.compile(r"https?://([\w.-]{3,80})[^\s\"'<>]{0,400}")
_ADDRESS = re.compile(r"[\w.+=-]{1,64}@([\w.-]{1,100})")
# How the words of a field are told from those of the text. Only fields that stay as they are wherever a message goes.
_FIELDS = {
    b"subject": "subject",
    b"from": "from",
    b"reply-to": "reply-to",
    b"sender": "sender",
    b"list-id": "list",
    b"x-mailer": "program",
    b"user-agent": "program",
    b"content-type": "type",
}
_SIGNS = (b"list-unsubscribe", b"precedence", b"auto-submitted", b"in-reply-to", b"x-priority")
_TOLD = (*_FIELDS, *_SIGNS)
_NAMED_BY = (
    b"message-id",
    b"date",
    b"from",
    b"subject",
)  # what tells a message from others, beside how its text begins
MAX_NAMED = 512  # octets of the text


def words(data: bytes) -> dict[int, bytes]:
    """Return the words of a message, in UTF-8, by their numbers, of 32 bits. :param data: the message; a bounded part is read."""
    data = data[:MAX_OCTETS]
    root = scan_entity(data)
    return words_in(data, root.body_start, root.parts())


def words_in(data: bytes, header_size: int, parts: Iterable[Part]) -> dict[int, bytes]:
    """The same of a message that has been scanned. :param data: of :data:`MAX_OCTETS` at most."""
    found: dict[int, bytes] = {}
    for word in _header_words(data[:header_size]):
        written = word.encode("utf-8", "replace")
        found[crc32(written)] = written
        if len(found) >= MAX_HEADER_WORDS:
            break
    of_text = _text_words(data, parts)
    text = dict(zip(map(crc32, of_text), of_text, strict=True))
    room = MAX_WORDS - len(found)
    taken = text if len(text) <= room else sorted(text)[:room]
    return {number: one for number in taken if not (one := text[number]).isdigit()} | found  # digits say nothing


def message_key(data: bytes) -> int:
    """Return a number of 64 bits that tells a message from others of its reader: a mail program that moves it by uploading it
    again, with fields of its own on top, uploads the same message. :param data: its beginning, the header block whole."""
    digest = hashlib.blake2b(digest_size=8)
    for name in _NAMED_BY:
        digest.update((first(data, name) or b"") + b"\n")
    end = header_end(data)
    if end >= 0:
        digest.update(data[end : end + MAX_NAMED])
    return int.from_bytes(digest.digest(), "big", signed=True)


def _header_words(header: bytes) -> Iterator[str]:
    found = places(header)
    in_order = sorted([(place, name) for name in _TOLD if name in found for place in found[name]])
    for (_, value_start, end), name in in_order:
        kind = _FIELDS.get(name)
        if kind is None:
            yield f"has:{name.decode('ascii')}"
            continue
        value = decode_words(unfold(header[value_start : min(end, value_start + MAX_FIELD)])).lower()
        if kind == "type":
            yield f"type:{value.partition(';')[0].strip()[:60]}"
            continue
        if "@" in value:
            for address in _ADDRESS.finditer(value):
                yield f"{kind}:{address[0]}"
                yield f"{kind}:@{address[1]}"
            value = _ADDRESS.sub(" ", value)
        for word in _single(_WORD.findall(value)):
            yield f"{kind}:{word}"


def _text_words(data: bytes, parts: Iterable[Part]) -> set[bytes]:
    found: set[bytes] = set()
    read = 0
    for part in parts:
        if part.filename:
            found.add(f"file:{part.filename.lower().rpartition('.')[2][:20]}".encode("utf-8", "replace"))
        if part.kind != "leaf" or not part.content_type.startswith("text/") or read >= MAX_PARTS:
            continue
        read += 1
        text = part_text(part, data[part.body_start : part.end]).lower()
        if "://" in text:
            found.update(f"link:{host}".encode("utf-8", "replace") for host in _LINK.findall(text))
            text = _LINK.sub(" ", text)
        if text.isascii():  # as nearly always
            found.update(_ASCII_WORD.findall(text.encode("ascii")))
        else:
            found.update(word.encode("utf-8", "replace") for word in _single(_WORD.findall(text)))
    return found


def _single(found: Iterable[str]) -> Iterator[str]:
    """Yield words; of a script that puts no spaces between them, each pair of characters."""
    for word in found:
        if word[0] >= "\u2e80":
            yield from (word[at : at + 2] for at in range(len(word) - 1))
        else:
            yield word
