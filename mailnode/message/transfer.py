"""Content-Transfer-Encodings undone (RFC 2045 6), tolerantly: broken input gives what can be read, never an error."""

from __future__ import annotations

import binascii

from mailnode.message.words import lenient_base64

IDENTITY = frozenset({"", "7bit", "8bit", "binary"})
KNOWN = IDENTITY | {"base64", "quoted-printable"}


def decode_transfer(data: bytes, encoding: str) -> bytes | None:
    """Return the decoded body of a part, or None when the encoding is not one of :data:`KNOWN`.

    :param encoding: lower-case, as in ``values.facts.Part.encoding``.
    """
    if encoding in IDENTITY:
        return data
    if encoding == "base64":
        return lenient_base64(data)
    if encoding == "quoted-printable":
        return binascii.a2b_qp(data)
    return None
