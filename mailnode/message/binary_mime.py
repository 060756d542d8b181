"""A message with binary parts (RFC 3030 3) made one of lines, as it is stored and passed on: parts that are no lines get a transfer
encoding (RFC 2045 6), every other octet stays.

What is octets becomes base64, text whose lines are only too long quoted-printable. Where nothing says that octets count, a bare LF
is a line end, as it is in any message that comes by BDAT. What cannot be said in lines without changing what it says is not
touched: header fields, what has a transfer encoding, and what a signature or encryption holds together (RFC 1847 2.1).
"""

from __future__ import annotations

from mailnode.message.entity import OPAQUE, Entity
from mailnode.message.scanner import scan_entity
from mailnode.message.seven_bit import BOUND, in_base64, quoted, relabelled
from mailnode.message.transfer import IDENTITY

LONGEST = 998  # octets of a line without its end (RFC 5322 2.1.1)

_SOFT_DELIMITER = b"=\r\n--"  # what a line broken for its length must not begin to look like


class _NotInLines(Exception):
    """Something that is no lines has to stay."""


def to_lines(data: bytes) -> bytes | None:
    """Return a message in lines of at most 998 octets that end with CRLF, None when it cannot be said so.

    :param data: header block and body, of any octets."""
    try:
        data = _said(data, scan_entity(data)) or data
    except _NotInLines:
        return None
    return data if data.endswith(b"\r\n") else data + b"\r\n"


def are_lines(data: bytes) -> bool:
    """Whether these octets are lines; the last one need not end."""
    return not _has_bare(data) and not _has_long(data)


def _has_bare(data: bytes) -> bool:
    """Whether there is a CR or LF without the other, or a NUL; by counts, because levels of parts are looked at again and again."""
    ends = data.count(b"\r\n")
    return data.count(b"\n") != ends or data.count(b"\r") != ends or b"\0" in data


def _has_long(data: bytes) -> bool:
    start = 0
    while len(data) - start > LONGEST:
        end = data.rfind(b"\r\n", start, start + LONGEST + 2)
        if end < 0:
            return True
        start = end + 2
    return False


def _with_line_ends(octets: bytes) -> bytes:
    return octets.replace(b"\r\n", b"\n").replace(b"\n", b"\r\n")


def _said(data: bytes, entity: Entity) -> bytes | None:
    """Return a part anew, None where it stays. Octets are looked at once, however deep they lie. :raises _NotInLines:"""
    block = data[entity.header_start : entity.body_start]
    if not are_lines(block):
        raise _NotInLines
    if entity.kind == "leaf":
        body = data[entity.body_start : entity.end]
        return None if are_lines(body) else _leaf(entity, block, body)
    inside = _inside(data, entity)
    if inside is None:
        return None
    if not block or (entity.kind == "multipart" and entity.media.subtype in BOUND):
        raise _NotInLines
    return relabelled(block, b"7bit" if inside.isascii() else b"8bit", entity) + inside


def _leaf(entity: Entity, block: bytes, body: bytes) -> bytes:
    encoding = entity.encoding.decode("latin-1")
    if encoding != "binary":
        body = _with_line_ends(body)
        if are_lines(body):
            return block + body
    if not block or encoding not in IDENTITY or entity.media is OPAQUE or entity.media.type == b"message":
        raise _NotInLines
    said = quoted(body) if entity.media.type == b"text" and not _has_bare(body) else b""
    if said and _SOFT_DELIMITER not in said:
        return relabelled(block, b"quoted-printable", entity) + said
    return relabelled(block, b"base64", entity) + in_base64(body)


def _inside(data: bytes, entity: Entity) -> bytes | None:
    """Return the body of what has parts, they and what stands between them; None where it stays."""
    pieces: list[bytes | memoryview] = []
    changed, at = False, entity.body_start
    view = memoryview(data)
    for child in entity.children:
        said = _said(data, child)
        between = _between(data[at : child.header_start])
        changed = changed or said is not None or between is not None
        pieces += [between or view[at : child.header_start], said or view[child.header_start : child.end]]
        at = child.end
    behind = _between(data[at : entity.end])
    if not changed and behind is None:
        return None
    return b"".join([*pieces, behind or view[at : entity.end]])


def _between(octets: bytes) -> bytes | None:
    """Return what stands between parts in lines, None where it stays."""
    if are_lines(octets):
        return None
    octets = _with_line_ends(octets)
    if not are_lines(octets):
        raise _NotInLines
    return octets
