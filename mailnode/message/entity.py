"""The tree the scanner builds: one entity a MIME part (RFC 2045 2.4), with offsets and the header fields that matter."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import lru_cache

from mailnode.message.parameters import MediaType, Parameters, decode_parameter, parse_disposition
from mailnode.message.transfer import meant
from mailnode.values.facts import Part

PART_FIELDS = frozenset(
    b"content-type content-transfer-encoding content-disposition content-id content-description content-md5 "
    b"content-language content-location".split()
)
ENVELOPE_FIELDS = frozenset(b"date subject from sender reply-to to cc bcc in-reply-to message-id references".split())

TEXT_PLAIN = MediaType(b"text", b"plain", ())
MESSAGE = MediaType(b"message", b"rfc822", ())
OPAQUE = MediaType(b"application", b"octet-stream", ())

MediaTypes = frozenset[tuple[bytes, bytes]]  # type and subtype
REV1_MESSAGES: MediaTypes = frozenset({(b"message", b"rfc822")})  # RFC 3501 9 media-message
REV2_MESSAGES: MediaTypes = REV1_MESSAGES | {(b"message", b"global")}  # RFC 9051 9 media-message, RFC 6532 3.7

MAX_FILENAME = 255  # characters
MAX_NAME = 60  # octets of a charset or a transfer encoding


@dataclass(slots=True)
class Entity:
    """One part. ``headers`` maps lower-case names of the fields above to their unfolded bodies, in order."""

    section: str
    header_start: int
    body_start: int
    end: int
    media: MediaType
    headers: dict[bytes, list[bytes]]
    kind: str = "leaf"
    lines: int = 0
    children: list[Entity] = field(default_factory=list)

    def first(self, name: bytes) -> bytes | None:
        """The unfolded body of the first field of that name, or None."""
        values = self.headers.get(name)
        return values[0] if values else None

    @property
    def encoding(self) -> bytes:
        """Content-Transfer-Encoding in lower case, a misspelt one as it is meant; 7bit when there is none (RFC 2045 6.1)."""
        value = self.first(b"content-transfer-encoding")
        if not value:
            return b"7bit"
        written = value.split(b";")[0].split(b"(")[0]
        found = written.strip(b" \t\"'").lower()[:MAX_NAME]
        return meant(_ascii(found)).encode() or b"7bit"

    @property
    def disposition(self) -> tuple[bytes, Parameters] | None:
        """Content-Disposition, or None."""
        value = self.first(b"content-disposition")
        return parse_disposition(value) if value is not None else None

    def to_part(self) -> Part:
        """Return what is kept of the entity."""
        disposition, parameters = self.disposition or (b"", ())
        filename = decode_parameter(parameters, b"filename") or decode_parameter(self.media.parameters, b"name")
        return Part(
            section=self.section,
            kind=self.kind,
            header_start=self.header_start,
            body_start=self.body_start,
            end=self.end,
            lines=self.lines,
            content_type=f"{_ascii(self.media.type)}/{_ascii(self.media.subtype)}",
            charset=_ascii((self.media.get(b"charset") or b"")[:MAX_NAME]).lower(),
            encoding=_ascii(self.encoding),
            disposition=_ascii(disposition),
            filename="".join([c for c in filename[:MAX_FILENAME] if c.isprintable()]) if filename else "",
        )

    def parts(self) -> list[Part]:
        """Return the parts of this entity and all below it in pre-order."""
        found: list[Part] = []
        waiting = [self]
        while waiting:
            entity = waiting.pop()
            found.append(entity.to_part())
            waiting.extend(reversed(entity.children))
        return found


def _ascii(value: bytes) -> str:
    return _short_ascii(value[:127])


@lru_cache(maxsize=256)  # types, charsets and encodings: the same few
def _short_ascii(value: bytes) -> str:
    return value.decode("ascii", "replace").replace("\0", "\ufffd")
