"""Fields that only this server may write: those that come with a message are taken out."""

from __future__ import annotations

import re

from mailnode.errors import BadAddress
from mailnode.message.headers import Field, remove
from mailnode.message.parameters import strip_comments
from mailnode.values.address import domain_key

MAX_RESULTS = 100  # fields with results that are told apart by whose they are; of more all are taken out
MAX_FIELD = 4 * 1024  # octets of one that may stay: others write a few hundred
MAX_READ = 64 * 1024  # octets of all that may stay
_OURS_ALONE = frozenset({b"return-path", b"authentication-results", b"x-mailnode-reason"})
_CONTROLS = re.compile(rb"[\x00-\x1f\x7f]")  # white space to some readers
_NOT_IN_NAMES = re.compile(rb'[" \t\\]')
_WORD = re.compile(rb"[^ \t/=,:?@<>\[\]]+")  # RFC 2045 5.1: these signs end one, to those who read one
_IN_VERSION = b"0123456789 \t"


def without_forged(block: bytes, names: frozenset[bytes], hostname: str) -> bytes:
    """Return a header block without the fields nobody but us may write: Return-Path is the final server's (RFC 5321 4.4),
    results under our name are ours (RFC 8601 5), and the reason why a message is no junk.

    :param names: of the fields in it, lower case.
    """
    if not names & _OURS_ALONE:
        return block
    if (b"\r\n" + block.lower()).count(b"\r\nauthentication-results") > MAX_RESULTS:
        return remove(block, _OURS_ALONE)
    ours, read = _key(hostname.encode()), 0

    def is_forged(field: Field) -> bool:
        nonlocal read
        read += len(field.raw)
        if read > MAX_READ or not field.is_named(b"Authentication-Results") or len(field.raw) > MAX_FIELD:
            return True
        return ours in _authserv_ids(field.value)

    return remove(block, _OURS_ALONE, is_forged)


def _authserv_ids(value: bytes) -> tuple[str, str]:
    """Return whose results a field may be taken for (RFC 8601 2.2): what stands before the first semicolon and a version,
    and its first word, where the semicolon is missing. No reader is to see our name where we see another."""
    # A comment may begin within a word here, which names of files taught strip_comments not to believe.
    before = strip_comments(_CONTROLS.sub(b" ", value).replace(b"(", b" (")).partition(b";")[0].strip(b" \t")
    word = _WORD.search(before)
    first = word[0] if word is not None else b""
    return _key(_without_version(before)), _key(first)


def _without_version(text: bytes) -> bytes:
    """Return what stands before white space behind which there are digits and white space alone. Looked for from the end:
    an expression would begin anew at each of very many spaces."""
    end = len(text.rstrip(_IN_VERSION))
    space = next((at for at in range(end, len(text)) if text[at] in b" \t"), len(text))
    return text[:space]


def _key(name: bytes) -> str:
    """A host name as it is compared: without quotes, white space and the dot of the root, as lower-case A-label."""
    text = _NOT_IN_NAMES.sub(b"", name).decode("utf-8", "replace").rstrip(".")
    try:
        return domain_key(text)
    except BadAddress:
        return text.lower()
