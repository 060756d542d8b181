"""A message in 8-bit octets made one in ASCII, for a server without 8BITMIME (RFC 6152 3): parts that are not ASCII get a
transfer encoding (RFC 2045 6), every other octet stays.

Text becomes quoted-printable, anything else base64. What cannot be said in ASCII without changing what it says is not
touched: header fields with 8-bit octets, and what a signature or encryption holds together (RFC 1847 2.1).
"""

from __future__ import annotations

import binascii
from collections.abc import Iterator
from itertools import pairwise

from mailnode.message import headers
from mailnode.message.entity import OPAQUE, Entity
from mailnode.message.scanner import scan_entity
from mailnode.message.transfer import IDENTITY

BOUND = (b"signed", b"encrypted")  # subtypes of multipart whose parts nobody between may change
_ENCODING = b"content-transfer-encoding"
_UNKNOWN_TEXT = b"Content-Type: text/plain; charset=unknown-8bit\r\n"  # RFC 1428 3


class _CannotBeSaid(Exception):
    """Something that is not ASCII has to stay."""


def to_seven_bit(data: bytes) -> bytes | None:
    """Return a message in ASCII, None when it cannot be said in ASCII. :param data: header block and body, with CRLF."""
    if data.isascii():
        return data
    root = scan_entity(data)
    try:
        return b"".join(_said(data, root))
    except _CannotBeSaid:
        return None


def _said(data: bytes, entity: Entity) -> Iterator[bytes]:
    """Yield a part anew, header block first. :raises _CannotBeSaid:"""
    whole = data[entity.header_start : entity.end]
    if whole.isascii():
        yield whole
        return
    block, body = data[entity.header_start : entity.body_start], data[entity.body_start : entity.end]
    if not block or not block.isascii() or entity.encoding.decode("latin-1") not in IDENTITY:
        raise _CannotBeSaid
    if entity.kind == "leaf":
        if entity.media is OPAQUE or entity.media.type == b"message":
            raise _CannotBeSaid  # more than a scan goes into, or what must not be encoded (RFC 2046 5.2)
        encoding = b"quoted-printable" if entity.media.type == b"text" else b"base64"
        yield relabelled(block, encoding, entity)
        yield quoted(body) if encoding == b"quoted-printable" else in_base64(body)
        return
    if entity.kind == "multipart" and entity.media.subtype in BOUND:
        raise _CannotBeSaid
    yield relabelled(block, b"7bit", entity)
    yield from _inside(data, entity)


def _inside(data: bytes, entity: Entity) -> Iterator[bytes]:
    """Yield the body of what has parts: they, and what stands between them."""
    children = entity.children
    yield _ascii(data[entity.body_start : children[0].header_start])
    for child, following in pairwise(children):
        yield from _said(data, child)
        yield _ascii(data[child.end : following.header_start])
    yield from _said(data, children[-1])
    yield _ascii(data[children[-1].end : entity.end])


def _ascii(between: bytes) -> bytes:
    if not between.isascii():
        raise _CannotBeSaid
    return between


def relabelled(block: bytes, encoding: bytes, entity: Entity) -> bytes:
    """Return a header block that tells how the body is encoded now, as the last of its fields."""
    kept = headers.remove(block, [_ENCODING])
    end = headers.header_end(kept)
    fields = kept[: end - 2] if end >= 0 else kept
    if (
        entity.kind == "leaf" and b"content-type" not in entity.headers
    ):  # a digest has messages without it (RFC 2046 5.1.5)
        fields += _UNKNOWN_TEXT
    if entity.header_start == 0 and headers.first(block, b"mime-version") is None:
        fields += b"MIME-Version: 1.0\r\n"
    return fields + b"Content-Transfer-Encoding: " + encoding + b"\r\n\r\n"


def quoted(body: bytes) -> bytes:
    """Return text in quoted-printable, its line ends as they are."""
    # The encoder breaks long lines by what ends the first one.
    return binascii.b2a_qp(b"\r\n" + body, quotetabs=False)[2:]


def in_base64(body: bytes) -> bytes:
    """Return octets in base64, in lines of 76, without the last line end."""
    step = 57
    lines = [binascii.b2a_base64(body[at : at + step], newline=False) for at in range(0, len(body), step)]
    return b"\r\n".join(lines)
