"""What reports to senders are made of, whatever they tell (RFC 6522): the whole of one, and the message it is about."""

from __future__ import annotations

import base64
import binascii
import hashlib
import re
from collections.abc import Sequence

from mailnode.message.compose import foreign_host, foreign_text
from mailnode.message.headers import first
from mailnode.message.lineends import without_bare
from mailnode.message.sortkeys import message_ids
from mailnode.message.written_text import text_entity

_UNITEXT = re.compile("[^!-*,-<>-\\[\\]-~]")  # RFC 6533 3: what is not a QCHAR
_EMBEDDED = re.compile(r"\\x\{([0-9A-F]{2,6})\}")


def multipart_report(report_type: str, header: Sequence[bytes], parts: Sequence[bytes], message_id: str) -> bytes:
    """Return a multipart/report (RFC 6522 3) of these parts. :param header: fields without their CRLF."""
    boundary = _boundary(message_id, parts)
    lines = [
        *header,
        b"MIME-Version: 1.0",
        b'Content-Type: multipart/report; report-type=%s;\r\n\tboundary="%s"' % (report_type.encode("ascii"), boundary),
    ]
    if not all(part.isascii() for part in parts):
        lines.append(b"Content-Transfer-Encoding: 8bit")
    out = [b"\r\n".join(lines), b"\r\n\r\n"]
    for part in parts:
        out += [b"--", boundary, b"\r\n", part, b"\r\n"]
    return b"".join([*out, b"--", boundary, b"--\r\n"])


def _boundary(identifier: str, parts: Sequence[bytes]) -> bytes:
    """A boundary that stands in no part. It comes from our own id, which the author of the original cannot know."""
    number = 0
    while True:
        digest = hashlib.sha256(f"{number} {identifier}".encode("utf-8", "replace")).hexdigest()[:32]
        boundary = b"=_" + digest.encode()
        if not any(boundary in part for part in parts):
            return boundary
        number += 1


def refusal_lines(host: str, reason: str) -> list[str]:
    """Return what people are told of a message that a filter refused (RFC 5429 2.1.2 and 2.2.1)."""
    refused = "Your message was refused by the recipient's mail filter. The reason that it gave:"
    return [f"This is the mail server {foreign_host(host).decode()}.", "", refused, "", reason]


def explanation_part(text: str) -> bytes:
    """Return the part for people (RFC 6522 3), in 7 bits."""
    return b"Content-Description: Notification\r\n" + text_entity(text)


def answer_fields(original_header: bytes) -> list[bytes]:
    """RFC 3834 3.1.6: show which message this is about, if its id is a clean one."""
    ids = message_ids(first(original_header, b"message-id") or b"")
    if not ids or not ids[0].isascii() or not ids[0].isprintable():
        return []
    return [b"In-Reply-To: <" + ids[0].encode() + b">", b"References: <" + ids[0].encode() + b">"]


def typed_address(kind: str, address: str, utf8: bool) -> bytes:
    """``type; address``; one that is not ASCII has type utf-8, in its 7-bit form where UTF-8 may not stand (RFC 6533 3)."""
    if kind.lower() == "utf-8":
        address = _EMBEDDED.sub(_embedded_character, address)
    if not address.isascii():
        kind = "utf-8"
        if not utf8:
            address = seven_bit_address(address)
    return kind.encode("ascii") + b"; " + foreign_text(address, utf8)


def seven_bit_address(address: str) -> str:
    """An address as utf-8-addr-xtext (RFC 6533 3); an ASCII one stays."""
    return address if address.isascii() else _UNITEXT.sub(lambda c: f"\\x{{{ord(c[0]):02X}}}", address)


def _embedded_character(match: re.Match[str]) -> str:
    point = int(match[1], 16)
    if point > 0x10FFFF or 0xD800 <= point < 0xE000 or point < 0x20:
        return match[0]
    return chr(point)


def returned_part(header: bytes, original: bytes | None, utf8: bool) -> bytes:
    """The original, or its header. A header in UTF-8 needs the types of RFC 6533, and a 7-bit encoding where the way back
    may not know SMTPUTF8 (4.5)."""
    internationalised = not header.isascii() and _is_utf8(header)
    content = without_bare(header if original is None else original)
    if not content.endswith(b"\r\n"):
        content += b"\r\n"
    encoding = b"7bit" if content.isascii() else b"8bit"
    if internationalised:
        media = b"message/global-headers" if original is None else b"message/global"
        if not utf8:
            encoding, content = b"base64", base64.encodebytes(content).replace(b"\n", b"\r\n")
    elif original is None:
        media = b"text/rfc822-headers"
        if encoding == b"8bit":
            encoding = b"quoted-printable"
            content = binascii.b2a_qp(content, istext=True)
    else:
        media = b"message/rfc822"
    description = b"Undelivered message" if original is not None else b"Header of the message"
    return (
        b"Content-Description: %s\r\nContent-Type: %s\r\nContent-Transfer-Encoding: %s\r\n\r\n"
        % (description, media, encoding)
        + content
    )


def _is_utf8(data: bytes) -> bool:
    try:
        data.decode("utf-8")
    except UnicodeDecodeError:
        return False
    return True
