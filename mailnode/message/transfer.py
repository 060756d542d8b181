"""Content-Transfer-Encodings undone (RFC 2045 6), tolerantly: broken input gives what can be read, never an error."""

from __future__ import annotations

import binascii
import re
from functools import lru_cache

from mailnode.message.words import decode_words, lenient_base64

IDENTITY = frozenset({"", "7bit", "8bit", "binary"})
KNOWN = IDENTITY | {"base64", "quoted-printable"}


# What senders write for them, letters and digits alone.
_MEANT = {
    **dict.fromkeys(("7", "7bits", "bit7", "usascii", "ascii"), "7bit"),
    **dict.fromkeys(("8", "8bits", "bit8", "utf8", "utf", "text", "plain", "none", "identity", "iso88591"), "8bit"),
    **dict.fromkeys(("binary8bit", "raw"), "binary"),
    **dict.fromkeys(("base", "b64", "64", "xbase64", "mimebase64", "base64encoding"), "base64"),
    **dict.fromkeys(
        ("quotedprintable", "quotedprintible", "quotedprintabel", "qp", "quoted", "printable"), "quoted-printable"
    ),
}
_NOT_LETTERS = re.compile(r"[^a-z0-9]+")


@lru_cache(maxsize=256)
def meant(encoding: str) -> str:
    """Return which of :data:`KNOWN` a transfer encoding means, however it is spelt, or it as it is.

    :param encoding: lower-case and short.
    """
    if encoding in KNOWN:
        return encoding
    letters = _NOT_LETTERS.sub("", decode_words(encoding.encode("utf-8", "replace")).lower())
    return letters if letters in KNOWN - {""} else _MEANT.get(letters, encoding)


def decode_transfer(data: bytes, encoding: str) -> bytes | None:
    """Return the decoded body of a part, or None when the encoding means none of :data:`KNOWN`.

    :param encoding: lower-case, as in ``values.facts.Part.encoding``.
    """
    encoding = meant(encoding)
    if encoding in IDENTITY:
        return data
    if encoding == "base64":
        return lenient_base64(data)
    if encoding == "quoted-printable":
        return binascii.a2b_qp(data)
    return None
