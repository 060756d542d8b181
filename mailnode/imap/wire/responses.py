"""The lines a server says, as octets with their CRLF (RFC 3501 7). FETCH has its own module, rendering."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from mailnode.imap.wire.names import encode_name
from mailnode.imap.wire.text import astring
from mailnode.values.mailbox_name import SEPARATOR

HIERARCHY = b'"' + SEPARATOR.encode("ascii") + b'"'


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
