"""What a text search looks into: a message as pieces, each octets of the blob and how they are read (RFC 9051 6.4.4).

The body of a message is more than the text of its text parts: what stands before, between and behind them is read too,
the headers of parts with the decoded names of their files, and messages inside, however they are encoded.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import NamedTuple

from mailnode.message.scanner import scan_entity
from mailnode.message.text import MAX_TEXT, header_text, part_text
from mailnode.message.transfer import decode_transfer
from mailnode.message.words import decode_bytes
from mailnode.values.facts import Part

MAX_WRAPPED = 3  # messages within each other in an encoding that hides them

# Kinds of pieces that no part has: they say how octets which are no part's body are read.
_HEADER, _PREAMBLE, _EPILOGUE = "header", "preamble", "epilogue"


class Piece(NamedTuple):
    """What TEXT looks into besides a message's own header: octets of the blob from ``start`` to ``end``, the part they
    belong to (its kind says how they are read), and whether BODY looks into them too."""

    part: Part
    start: int
    end: int
    in_body: bool


def searched_pieces(parts: Sequence[Part]) -> Iterator[Piece]:
    """Yield the pieces of a message in order, of each no more than ``MAX_TEXT`` octets."""
    last_ends = _ends_of_children(parts)
    for index, part in enumerate(parts):
        named = part._replace(kind=_HEADER)
        if index == 0:
            if part.filename:  # as its own header has it perhaps in sections and percent signs
                yield Piece(named, 0, 0, False)
        elif part.body_start > part.header_start:
            # A part's header is searched by TEXT alone; that of a message inside is part of the body.
            yield Piece(named, part.header_start, part.body_start, parts[index - 1].kind == "message")
        if part.kind == "multipart":
            first, last = parts[index + 1].header_start, last_ends.get(_prefix(part), part.end)
            if first > part.body_start:
                yield Piece(
                    part._replace(kind=_PREAMBLE), part.body_start, min(first, part.body_start + MAX_TEXT), True
                )
            if part.end > last:
                yield Piece(part._replace(kind=_EPILOGUE), last, min(part.end, last + MAX_TEXT), True)
        elif part.kind == "leaf" and part.content_type.startswith(("text/", "message/")):
            yield Piece(part, part.body_start, min(part.end, part.body_start + MAX_TEXT), True)


def _prefix(part: Part) -> str:
    return part.section.removesuffix("TEXT").removesuffix(".")


def _ends_of_children(parts: Sequence[Part]) -> dict[str, int]:
    """The end of the last child of each multipart, by the section its children's begin with."""
    ends: dict[str, int] = {}
    for part in parts[1:]:
        if not part.section.endswith("TEXT"):
            ends[part.section.rpartition(".")[0]] = part.end
    return ends


def searchable(part: Part, raw: bytes) -> str:
    """Return the text of a :class:`Piece`."""
    return _searchable(part, raw, MAX_WRAPPED)


def _searchable(part: Part, raw: bytes, wrapped: int) -> str:
    if part.kind == _HEADER:
        return f"{header_text(raw)}\n{part.filename}"
    if part.kind == _PREAMBLE:  # the last line is the delimiter
        return decode_bytes(raw[: raw.rfind(b"\r\n", 0, -2) + 2], "") if b"\r\n" in raw[:-2] else ""
    if part.kind == _EPILOGUE:  # the first line is the delimiter, behind its line end
        _, _, behind = raw[2:].partition(b"\r\n")
        return decode_bytes(behind, "")
    if part.content_type in ("message/rfc822", "message/global") and wrapped:
        return _message_text(decode_transfer(raw, part.encoding) or b"", wrapped - 1)
    return part_text(part, raw)


def _message_text(data: bytes, wrapped: int) -> str:
    """Return the text of a message that stood in an encoding."""
    parts = scan_entity(data).parts()
    texts = [header_text(data[: parts[0].body_start])]
    texts += [_searchable(piece.part, data[piece.start : piece.end], wrapped) for piece in searched_pieces(parts)]
    return "\n".join(texts)
