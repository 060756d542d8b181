"""The lines a server says, as octets with their CRLF (RFC 3501 7). FETCH has its own module, rendering."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from mailnode.imap.wire.text import astring, quoted
from mailnode.message.modified_utf7 import encode_name
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


def mailbox(name: str, utf8: bool = False) -> bytes:
    """Return a mailbox name as an astring in modified UTF-7. :param utf8: in UTF-8 (RFC 6855 3)."""
    if utf8 and not name.isascii():
        return quoted(name.encode("utf-8"))
    return astring(name.encode("ascii") if utf8 else encode_name(name))


def vanished(uids: str, earlier: bool = False) -> bytes:
    """Return ``* VANISHED``. :param uids: a set. :param earlier: before the mailbox was selected (RFC 7162 3.2.10)."""
    return untagged(b"VANISHED (EARLIER)" if earlier else b"VANISHED", uids.encode("ascii"))


def capability(names: Sequence[str]) -> bytes:
    """Return ``CAPABILITY names``: for ``untagged`` and as a response code."""
    return b"CAPABILITY " + " ".join(names).encode("ascii")
