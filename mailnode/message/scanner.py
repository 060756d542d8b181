"""Message bytes to facts in one pass over each level: MIME parts with octet offsets, ENVELOPE, BODYSTRUCTURE, sort keys.

Bodies are searched with ``bytes.find`` and counted with ``bytes.count`` only. Beyond a limit the rest of a part is one
opaque leaf; nothing here raises, whatever the octets.
"""

from __future__ import annotations

import re

from mailnode.message import render, sortkeys
from mailnode.message.entity import (
    ENVELOPE_FIELDS,
    MESSAGE,
    OPAQUE,
    PART_FIELDS,
    REV1_MESSAGES,
    REV2_MESSAGES,
    TEXT_PLAIN,
    Entity,
    MediaTypes,
)
from mailnode.message.headers import MAX_HEADER, scan_fields, unfold
from mailnode.message.parameters import MediaType, parse_media_type
from mailnode.message.preview import preview
from mailnode.values.facts import KEPT_FIELDS, EncodedFacts, MessageFacts, encode, encode_parts

MAX_DEPTH = 100  # of nested multiparts and messages
MAX_PARTS = 1000
MAX_HEADERS = 4 * MAX_HEADER  # octets of all header blocks of one message that are read

# A level searches its own span again, so that depth times size would be the work; a message may cost this many passes.
PASSES = 32
SMALL = 16 * 1024 * 1024
QUOTED = b"quoted-printable"
DOUBTS = 20  # closing delimiters with more on their line that are looked at, of one multipart
MAX_BOUNDARY = 200  # octets of such a line that are compared
HYPHENS = 100  # that are looked at one by one for a delimiter

_LINE_REST = re.compile(rb"[ \t]*(?:\r\n|\Z)")
_WANTED = PART_FIELDS | ENVELOPE_FIELDS
_LOOKED_AT = _WANTED | KEPT_FIELDS


def scan(data: bytes) -> MessageFacts:
    """Return the facts of one message (header block and body, lines ended by CRLF)."""
    scanned = _Scan(data)
    root = scanned.message("", 0, len(data), 0)
    body, bodystructure = render.body_structures(root)
    parts = tuple(root.parts())
    return MessageFacts(
        size=len(data),
        header_size=root.body_start,
        envelope=render.envelope(root.headers),
        bodystructure=bodystructure,
        body=body,
        fields=_kept(data, root.body_start, scanned.kept),
        parts=parts,
        sort=sortkeys.sort_keys(root.headers),
        preview=preview(data, parts),
    )


def read_facts(data: bytes) -> EncodedFacts:
    """Return the facts of one message as the store keeps them."""
    return encode(scan(data))


def with_global_messages(data: bytes) -> dict[str, bytes]:
    """Return ``body``, ``bodystructure`` and ``parts`` of a message as in its facts, but that message/global is a message as
    message/rfc822 is (RFC 9051 7.5.2 and 9): its parts have sections, what is told of it an ENVELOPE and its structure."""
    root = _Scan(data, REV2_MESSAGES).message("", 0, len(data), 0)
    body, bodystructure = render.body_structures(root, messages=REV2_MESSAGES)
    return {"body": body, "bodystructure": bodystructure, "parts": encode_parts(tuple(root.parts()))}


def scan_entity(data: bytes) -> Entity:
    """Return the tree of parts of a message."""
    return _Scan(data).message("", 0, len(data), 0)


def kept_fields(header: bytes) -> bytes:
    """Return the raw lines of ``values.facts.KEPT_FIELDS`` in stored order, each with its CRLF."""
    return _lines([header[start:end] for start, name, _, end in scan_fields(header) if name.lower() in KEPT_FIELDS])


def _kept(data: bytes, header_size: int, kept: list[bytes] | None) -> bytes:
    """As :func:`kept_fields`; of a message without an empty line the last line end is missing, which tells so."""
    found = kept_fields(data[:header_size]) if kept is None else _lines(kept)
    open_end = header_size == len(data) and not data.endswith(b"\r\n\r\n") and data != b"\r\n"
    return found.removesuffix(b"\r\n") if open_end else found


def _lines(kept: list[bytes]) -> bytes:
    """Only the last field of a header without an empty line may lack its CRLF."""
    fields = b"".join(kept)
    return fields if not fields or fields.endswith(b"\r\n") else fields + b"\r\n"


class _Scan:
    """One pass over one message."""

    def __init__(self, data: bytes, messages: MediaTypes = REV1_MESSAGES) -> None:
        """:param messages: the types whose parts are messages."""
        self.data = data
        self._messages = messages
        self.parts = 0
        self.kept: list[bytes] | None = None  # fields of the outermost header that are in KEPT_FIELDS
        self.headers_left = MAX_HEADERS
        self.work_left = PASSES * len(data) + SMALL

    def message(self, section: str, start: int, end: int, depth: int) -> Entity:
        """Scan a message, header block first; "" is the outermost one, else the section of the part it lies in."""
        entity, whole = self._entity(section, start, end, TEXT_PLAIN)
        if section:
            # RFC 3501 6.4.5: the body of a message in part n is n.1 unless it is a multipart, whose parts are n.1, n.2 ...
            entity.section = f"{section}.1"
        self._descend(entity, whole, section, depth)
        if section and entity.kind == "multipart":
            entity.section = f"{section}.TEXT"
        return entity

    def part(self, section: str, start: int, end: int, default: MediaType, depth: int) -> Entity:
        """Scan one part of a multipart."""
        entity, whole = self._entity(section, start, end, default)
        self._descend(entity, whole, section, depth)
        return entity

    def _entity(self, section: str, start: int, end: int, default: MediaType) -> tuple[Entity, bool]:
        """Read the header block; also tell whether it was read to its end."""
        self.parts += 1
        body_start, whole = self._header_end(start, end)
        headers: dict[bytes, list[bytes]] = {}
        if self.headers_left < body_start - start:
            whole = False
        else:
            self.headers_left -= body_start - start
            self._read_header(headers, start, body_start)
        media = default
        if b"content-type" in headers:
            media = parse_media_type(headers[b"content-type"][0]) or TEXT_PLAIN
        return Entity(section, start, body_start, end, media, headers), whole

    def _header_end(self, start: int, end: int) -> tuple[int, bool]:
        data = self.data
        if data.startswith(b"\r\n", start, end):
            return start + 2, True
        limit = min(end, start + MAX_HEADER)
        found = data.find(b"\r\n\r\n", start, limit)
        if found >= 0:
            return found + 4, True
        if limit == end:
            return end, True
        cut = data.rfind(b"\r\n", start, limit)  # a header block over the limit: what follows is body
        return (cut + 2 if cut >= 0 else limit), False

    def _read_header(self, headers: dict[bytes, list[bytes]], start: int, end: int) -> None:
        data = self.data
        kept: list[bytes] = []
        for field_start, written, value_start, field_end in scan_fields(data, start, end):
            name = written.lower()
            if name not in _LOOKED_AT:
                continue
            if name in _WANTED:
                headers.setdefault(name, []).append(unfold(data[value_start:field_end]))
            if start == 0 and name in KEPT_FIELDS:
                kept.append(data[field_start:field_end])
        if start == 0:
            self.kept = kept

    def _descend(self, entity: Entity, whole: bool, section: str, depth: int) -> None:
        """Find out the kind and scan what is inside."""
        kind = (entity.media.type, entity.media.subtype)
        # A message in base64 or quoted-printable, which RFC 2046 5.2.1 forbids, is a file: its octets are no header.
        is_message = kind in self._messages and entity.encoding not in (b"base64", QUOTED)
        composite = kind[0] == b"multipart" or is_message
        size = entity.end - entity.body_start
        if composite and (not whole or depth >= MAX_DEPTH or self.parts >= MAX_PARTS or self.work_left < size):
            entity.media, composite = OPAQUE, False
        self.work_left -= size
        if composite and kind[0] == b"multipart":
            entity.kind = "multipart"
            self._multipart(entity, section, depth)
            return
        if composite or kind[0] == b"text":  # of which BODYSTRUCTURE tells it
            entity.lines = self.data.count(b"\n", entity.body_start, entity.end)
        if composite:
            entity.kind = "message"
            # A whole message that is a message (section "") is part 1 of itself.
            inside = entity.section or "1"
            entity.children.append(self.message(inside, entity.body_start, entity.end, depth + 1))

    def _multipart(self, entity: Entity, section: str, depth: int) -> None:
        default = MESSAGE if entity.media.subtype == b"digest" else TEXT_PLAIN
        prefix = section + "." if section else ""
        boundary = entity.media.get(b"boundary") or b""
        for start, end in self._spans(entity, boundary):
            number = f"{prefix}{len(entity.children) + 1}"
            if self.parts >= MAX_PARTS:
                rest = Entity(number, start, start, entity.end, OPAQUE, {})
                entity.children.append(rest)
                return
            entity.children.append(self.part(number, start, end, default, depth + 1))
        if not entity.children:
            # RFC 3501 9 wants at least one body in a multipart: its text is the one.
            self.parts += 1
            only = Entity(f"{prefix}1", entity.body_start, entity.body_start, entity.end, TEXT_PLAIN, {})
            only.lines = self.data.count(b"\n", entity.body_start, entity.end)
            entity.children.append(only)

    def _spans(self, entity: Entity, boundary: bytes) -> list[tuple[int, int]]:
        """Return (start, end) of each part between the delimiter lines of a boundary (RFC 2046 5.1.1)."""
        spans: list[tuple[int, int]] = []
        if not boundary:
            return spans
        data, end = self.data, entity.end
        needle = b"\r\n--" + boundary
        part_start = -1
        # The line end before a delimiter may be the one that ended the header or the delimiter before.
        position = max(entity.body_start - 2, entity.header_start)
        doubts = DOUBTS
        while len(spans) < MAX_PARTS:
            found = _find_delimiter(data, needle, position, end)
            if found < 0:
                break
            after = found + len(needle)
            closing = data.startswith(b"--", after, end)
            line_end = _LINE_REST.match(data, after + 2 if closing else after, end)
            if line_end is None and closing and doubts and not self._declared(entity, found + 4, after + 2):
                return [*spans, (part_start, max(part_start, found))] if part_start >= 0 else spans
            if line_end is None:  # only the beginning of a longer boundary or of a text line
                doubts -= closing and doubts > 0
                position = self._next_delimiter(needle, found + 2, end, doubts > 0)
                continue
            if part_start >= 0:
                spans.append((part_start, max(part_start, found)))
            if closing:
                return spans
            part_start = line_end.end()
            position = max(part_start - 2, after)
        if part_start >= 0:
            spans.append((part_start, end))  # no closing delimiter, or too many parts: the rest is the last one
        return spans

    def _declared(self, entity: Entity, start: int, least: int) -> bool:
        """Whether a line that begins like a closing delimiter and goes on is the delimiter of a part inside, whose boundary
        then stands before it. If not it closes: a boundary need not be the whole line (RFC 2046 5.1.1)."""
        line_end = self.data.find(b"\r\n", least, entity.end)
        line = self.data[start : line_end if line_end >= 0 else entity.end][:MAX_BOUNDARY].rstrip(b" \t")
        return self.data.find(line.removesuffix(b"--"), entity.body_start, start - 4) >= 0

    def _next_delimiter(self, needle: bytes, position: int, end: int, doubtful: bool) -> int:
        """The offset of the next whole delimiter, or the end. Slower than ``find`` where there is none, and much faster
        in a text whose every line begins like one."""
        rest = rb"(?:--|[ \t]*(?:\r\n|\Z))" if doubtful else rb"(?:--)?[ \t]*(?:\r\n|\Z)"
        found = re.compile(re.escape(needle) + rest).search(self.data, position, end)
        return found.start() if found is not None else end


def _find_delimiter(data: bytes, needle: bytes, position: int, end: int) -> int:
    """``data.find(needle, position, end)``, the first hyphens looked at one by one: to find a single octet is ten times
    faster, and base64, which most of a large message is, has none."""
    hyphen = position + 1
    for _ in range(HYPHENS):
        hyphen = data.find(b"-", hyphen + 1, end)
        if hyphen < 0:
            return -1
        if data.startswith(needle, hyphen - 2, end):
            return hyphen - 2
    return data.find(needle, max(position, hyphen - 1), end)
