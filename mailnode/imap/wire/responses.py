"""The lines a server says, as octets with their CRLF (RFC 3501 7). FETCH has its own module, rendering."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from mailnode.imap.listing import ListRow
from mailnode.imap.wire.names import encode_name
from mailnode.imap.wire.text import astring, string
from mailnode.values.mailbox_name import SEPARATOR
from mailnode.values.sets import compressed

_SEPARATOR = b'"' + SEPARATOR.encode("ascii") + b'"'


def status(tag: bytes, kind: bytes, text: str, code: bytes = b"") -> bytes:
    """Return a status response. Text is always there, also behind a code: some programs break without.

    :param tag: ``b"*"`` for an untagged one. :param kind: OK, NO, BAD, BYE or PREAUTH. :param code: a response code
        without its brackets.
    """
    words = text.encode("ascii", "replace") or b"Done"
    if code:
        return b"%b %b [%b] %b\r\n" % (tag, kind, code, words)
    return b"%b %b %b\r\n" % (tag, kind, words)


def ok(tag: bytes, text: str, code: bytes = b"") -> bytes:
    """Return ``tag OK``."""
    return status(tag, b"OK", text, code)


def no(tag: bytes, text: str, code: bytes = b"") -> bytes:
    """Return ``tag NO``."""
    return status(tag, b"NO", text, code)


def bad(tag: bytes, text: str, code: bytes = b"") -> bytes:
    """Return ``tag BAD``."""
    return status(tag, b"BAD", text, code)


def bye(text: str, code: bytes = b"") -> bytes:
    """Return ``* BYE``."""
    return status(b"*", b"BYE", text, code)


def continuation(text: bytes = b"OK") -> bytes:
    """Return a command continuation request. Its space is always there: a bare ``+`` breaks programs."""
    return b"+ %b\r\n" % text


def untagged(*words: bytes) -> bytes:
    """Return ``* words`` joined by spaces."""
    return b"* %b\r\n" % b" ".join(words)


def parenthesized(words: Iterable[bytes]) -> bytes:
    """Return ``(words)``."""
    return b"(" + b" ".join(words) + b")"


def mailbox(name: str) -> bytes:
    """Return a mailbox name as an astring in modified UTF-7."""
    return astring(encode_name(name))


def capability(names: Sequence[str]) -> bytes:
    """Return ``CAPABILITY names``: for ``untagged`` and as a response code."""
    return b"CAPABILITY " + " ".join(names).encode("ascii")


def enabled(names: Iterable[str]) -> bytes:
    """Return ``* ENABLED`` with what was newly switched on, also when that is nothing (RFC 5161 3.2)."""
    return untagged(b"ENABLED", *(name.encode("ascii") for name in names))


def identification(fields: Mapping[str, str]) -> bytes:
    """Return ``* ID`` (RFC 2971 3.2); ``* ID NIL`` for no fields."""
    if not fields:
        return untagged(b"ID", b"NIL")
    pairs = (string(text.encode("utf-8")) for pair in fields.items() for text in pair)
    return untagged(b"ID", parenthesized(pairs))


def namespace() -> bytes:
    """Return ``* NAMESPACE``: one personal namespace, nothing shared (RFC 2342 5)."""
    return untagged(b"NAMESPACE", b'(("" %b))' % _SEPARATOR, b"NIL", b"NIL")


def list_response(row: ListRow, verb: bytes = b"LIST") -> bytes:
    """Return ``* LIST`` or ``* LSUB``, with CHILDINFO and OLDNAME where the row has them (RFC 5258 6, RFC 9051 7.3.1)."""
    words = [verb, parenthesized(name.encode("ascii") for name in row.attributes), _SEPARATOR, mailbox(row.name)]
    extended = []
    if row.childinfo:
        extended.append(b'"CHILDINFO" ' + parenthesized(b'"%b"' % name.encode("ascii") for name in row.childinfo))
    if row.old_name:
        extended.append(b'"OLDNAME" ' + parenthesized([mailbox(row.old_name)]))
    if extended:
        words.append(parenthesized(extended))
    return untagged(*words)


def mailbox_status(name: str, items: Sequence[tuple[str, int]]) -> bytes:
    """Return ``* STATUS`` with (item, value) pairs in the order asked for."""
    pairs = (b"%b %d" % (item.encode("ascii"), value) for item, value in items)
    return untagged(b"STATUS", mailbox(name), parenthesized(pairs))


@dataclass(frozen=True, slots=True)
class Found:
    """What a search found: how many, the first and the last number, the highest mod-sequence if somebody asked for it."""

    count: int
    first: int = 0
    last: int = 0
    modseq: int | None = None


def search(numbers: Iterable[Sequence[int]], modseq: int | None = None) -> Iterator[bytes]:
    """Yield ``* SEARCH`` in pieces, also when nothing was found.

    :param numbers: those found, ascending, some at a time: all may be millions. :param modseq: the highest of the found
        ones; None where none were found, or nobody asked (RFC 7162 3.1.5).
    """
    yield b"* SEARCH"
    for some in numbers:
        yield b"".join([b" %d" % number for number in some])
    yield (b"" if modseq is None else b" (MODSEQ %d)" % modseq) + b"\r\n"


def esearch(
    tag: bytes,
    uid: bool,
    returns: frozenset[str],
    numbers: Iterable[Sequence[int]],
    about: Found,
) -> Iterator[bytes]:
    """Yield ``* ESEARCH`` in pieces (RFC 4731 3.1): MIN, MAX and ALL are left out when nothing was found, COUNT is 0.

    :param numbers: as for :func:`search`; read only for ALL.
    """
    words = [b"* ESEARCH", b"(TAG %b)" % string(tag)]
    if uid:
        words.append(b"UID")
    if about.count and "MIN" in returns:
        words.append(b"MIN %d" % about.first)
    if about.count and "MAX" in returns:
        words.append(b"MAX %d" % about.last)
    yield b" ".join(words)
    if about.count and "ALL" in returns:
        yield b" ALL "
        for piece in compressed(numbers):
            yield piece.encode("ascii")
    words = [b""]
    if "COUNT" in returns:
        words.append(b"COUNT %d" % about.count)
    if about.modseq is not None:
        words.append(b"MODSEQ %d" % about.modseq)
    yield b" ".join(words) + b"\r\n"
