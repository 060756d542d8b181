"""What this server writes into mail itself: trace fields, missing fields, and delivery status notifications.

Everything that comes from somebody else (HELO name, addresses, replies, ENVID) is put into one line of harmless
characters first, so that it can never end its field and begin another.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

from mailnode.message.dates import format_date
from mailnode.message.headers import first, one_line
from mailnode.message.lineends import without_bare
from mailnode.message.sortkeys import message_ids
from mailnode.values.address import Address
from mailnode.values.envelope import CLIENT_NAME, Envelope
from mailnode.values.networks import ip_address

KINDS = ("failed", "delayed", "delivered", "relayed")  # RFC 3464 2.3.3, less "expanded"
MAX_DIAGNOSTIC = 500  # characters of a remote reply that are passed on

_NOT_HOST = re.compile(rb"[^A-Za-z0-9.:\[\]_-]")
_NOT_ATOM = re.compile(rb"[^A-Za-z0-9-]")
_NOT_COMMENT = re.compile(rb"[^A-Za-z0-9 ._-]")
_UNITEXT = re.compile("[^!-*,-<>-\\[\\]-~]")  # RFC 6533 3: what is not a QCHAR
_EMBEDDED = re.compile(r"\\x\{([0-9A-F]{2,6})\}")
_ADDRESS_TYPE = re.compile(r"[A-Za-z0-9-]{1,64}\Z")
_STATUS = re.compile(r"[245]\.(?:0|[1-9][0-9]{0,2})\.(?:0|[1-9][0-9]{0,2})\Z")

_SUBJECTS = {
    "failed": "Your message could not be delivered",
    "delayed": "Your message is delayed",
    "delivered": "Your message was delivered",
    "relayed": "Your message was passed on",
}
_EXPLANATIONS = {
    "failed": "Your message could not be delivered to the recipients below. No further attempt will be made.",
    "delayed": "Your message could not be delivered to the recipients below so far.\r\n"
    "This is only a warning: the server goes on trying, and you need not send the message again.",
    "delivered": "Your message was delivered to the recipients below.",
    "relayed": "Your message was handed to the next mail server for the recipients below. That server does not\r\n"
    "report deliveries, so this is the last notice about them.",
}
_DEFAULT_STATUS = {"failed": "5.0.0", "delayed": "4.0.0", "delivered": "2.0.0", "relayed": "2.0.0"}


def received(envelope: Envelope, by: str, clauses: Sequence[str] = ()) -> bytes:
    """Return the Received field of a message we took (RFC 5321 4.4), CRLF included.

    ``by`` is our host name; ``clauses`` are further ones of extensions, in ASCII. "for" is written only when there is one
    recipient, so that nobody learns of the others.
    """
    origin = envelope.origin
    name = envelope.tags.get(CLIENT_NAME, "")
    lines = [_from_clause(origin.helo, origin.peer, name), _by_clause(by, origin.protocol, origin.tls)]
    unique = envelope.id.encode("ascii", "replace")
    identifier = b"id " + (unique if unique.isalnum() else _NOT_ATOM.sub(b"", unique) or b"none")
    if len(envelope.recipients) == 1:
        identifier += _for_clause(str(envelope.recipients[0].address), envelope.options.smtputf8)
    for clause in clauses:
        identifier += b" " + clause.encode("ascii")
    lines += [identifier + b";", format_date(envelope.received_at)]
    return b"\r\n\t".join(lines) + b"\r\n"


@lru_cache(maxsize=128)  # a client sends several messages
def _from_clause(helo: str, peer: str, name: str) -> bytes:
    literal = _address_literal(peer)
    if literal and name:  # RFC 5321 4.4, TCP-info
        literal = _host(name) + b" " + literal
    return b"Received: from " + _host(helo) + (b" (" + literal + b")" if literal else b"")


@lru_cache(maxsize=512)
def _for_clause(recipient: str, utf8: bool) -> bytes:
    return b" for <" + _text(recipient, utf8) + b">"


@lru_cache(maxsize=128)
def _by_clause(by: str, protocol: str, tls: str) -> bytes:
    keyword = _NOT_ATOM.sub(b"", protocol.encode("ascii", "replace")) or b"SMTP"
    cipher = b" ".join(_NOT_COMMENT.sub(b"?", tls.encode("ascii", "replace")).split())
    return b"by " + _host(by) + b" with " + keyword + (b" (" + cipher + b")" if cipher else b"")


def _address_literal(peer: str) -> bytes:
    address = ip_address(peer)
    if address is None:
        return b""
    return f"[IPv6:{address}]".encode() if address.version == 6 else f"[{address}]".encode()


def _host(name: str) -> bytes:
    return _NOT_HOST.sub(b"?", name.encode("ascii", "replace"))[:255] or b"unknown"


def _text(text: str, utf8: bool) -> bytes:
    """One line; without ``utf8`` what is not ASCII becomes ``?``."""
    return one_line(text.encode("utf-8", "replace") if utf8 else text.encode("ascii", "replace"))


@lru_cache(maxsize=512)  # correspondents come again
def return_path(reverse_path: Address | None) -> bytes:
    """Return the Return-Path field of a final delivery (RFC 5321 4.4), CRLF included."""
    return b"Return-Path: <" + _text(str(reverse_path) if reverse_path else "", True) + b">\r\n"


@lru_cache(maxsize=512)
def delivered_to(recipient: str) -> bytes:
    """Return a Delivered-To field, CRLF included: the address a copy came in for; also how loops are found."""
    return b"Delivered-To: " + _text(recipient, True) + b"\r\n"


def delivery_prefix(reverse_path: Address | None, recipient: str) -> bytes:
    """Return what stands before the content of one recipient's copy."""
    return return_path(reverse_path) + delivered_to(recipient)


def date_field(seconds: float) -> bytes:
    """Return a Date field, CRLF included."""
    return b"Date: " + format_date(seconds) + b"\r\n"


def message_id(unique: str, host: str) -> str:
    """Return ``<unique@host>``."""
    left = _NOT_ATOM.sub(b"", unique.encode("ascii", "replace")) or b"unknown"
    return f"<{left.decode()}@{_host(host).decode()}>"


def message_id_field(identifier: str) -> bytes:
    """Return a Message-ID field, CRLF included; brackets are added when they are missing and never doubled."""
    inner = _text(identifier, False).strip(b"<> ")
    return b"Message-ID: <" + inner + b">\r\n"


@dataclass(frozen=True, slots=True)
class DsnRecipient:
    """One recipient of a DSN (RFC 3464 2.3). ``original`` is the decoded ORCPT ``type;address`` or "". ``remote_mta``
    is set only when ``diagnostic`` is that server's reply. Times are UTC seconds or None."""

    final: str  # the address as the envelope has it
    status: str  # RFC 3463; a broken one is replaced by x.0.0
    original: str = ""
    remote_mta: str = ""
    diagnostic: str = ""
    last_attempt: float | None = None
    retry_until: float | None = None  # of a delayed one
    log_id: str = ""


def dsn(
    *,
    reporting_mta: str,
    kind: str,
    to: str,
    sender: str,
    message_id: str,
    date_seconds: float,
    arrival_seconds: float | None,
    recipients: Sequence[DsnRecipient],
    original_header: bytes,
    original: bytes | None,
    envid: str,
    smtputf8: bool,
) -> bytes:
    """Return a delivery status notification as a whole message (RFC 3464, RFC 6522, RFC 6533), CRLF line ends.

    It goes out with the null reverse-path. When it is not ASCII throughout (``not result.isascii()``) it needs BODY=8BITMIME.

    :param reporting_mta: our host name.
    :param kind: one of :data:`KINDS`, for all its recipients.
    :param to: the reverse-path of the original. :param sender: our From address, ``MAILER-DAEMON@host``.
    :param message_id: with or without brackets. :param arrival_seconds: when we took the original.
    :param original_header: header block of the original. :param original: the whole of it, or None to return the header
        only (RET=HDRS, or too large).
    :param envid: decoded ENVID or "". :param smtputf8: whether the DSN may be sent with SMTPUTF8: then addresses stand
        in UTF-8 (RFC 6533), else they are written in its 7-bit form.
    :raises ValueError: unknown kind, no recipient, or no address to send it to.
    """
    if kind not in KINDS or not recipients or not to:
        raise ValueError("a DSN needs a kind, recipients and an address")
    parts = [
        _explanation(reporting_mta, kind, recipients, smtputf8),
        _status_part(reporting_mta, kind, recipients, arrival_seconds, envid, smtputf8),
        _returned_part(original_header, original, smtputf8),
    ]
    header = [
        b"From: Mail Delivery System <" + _text(sender, smtputf8) + b">",
        b"To: <" + _text(to, smtputf8) + b">",
        b"Subject: " + _SUBJECTS[kind].encode(),
        b"Date: " + format_date(date_seconds),
        message_id_field(message_id).removesuffix(b"\r\n"),
        b"Auto-Submitted: auto-replied",
        *_answer_fields(original_header),
    ]
    return _report(header, parts, _boundary(message_id, parts))


def _report(header: Sequence[bytes], parts: Sequence[bytes], boundary: bytes) -> bytes:
    """Return a multipart/report (RFC 6522 3) of these parts."""
    lines = [
        *header,
        b"MIME-Version: 1.0",
        b'Content-Type: multipart/report; report-type=delivery-status;\r\n\tboundary="' + boundary + b'"',
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


def _answer_fields(original_header: bytes) -> list[bytes]:
    """RFC 3834 3.1.6: show which message this is about, if its id is a clean one."""
    ids = message_ids(first(original_header, b"message-id") or b"")
    if not ids or not ids[0].isascii() or not ids[0].isprintable():
        return []
    return [b"In-Reply-To: <" + ids[0].encode() + b">", b"References: <" + ids[0].encode() + b">"]


def _explanation(host: str, kind: str, recipients: Sequence[DsnRecipient], utf8: bool) -> bytes:
    lines = [f"This is the mail server {_host(host).decode()}.", "", *_EXPLANATIONS[kind].split("\r\n"), ""]
    for recipient in recipients:
        lines.append(f"  <{recipient.final if utf8 else _seven_bit(recipient.final)}>")
        if recipient.diagnostic:
            said = f"{recipient.remote_mta} said: " if recipient.remote_mta else ""
            lines.append(f"    {said}{recipient.diagnostic[:MAX_DIAGNOSTIC]}")
        if kind == "delayed" and recipient.retry_until is not None:
            lines.append(f"    Tried until {format_date(recipient.retry_until).decode()}")
    text = b"\r\n".join(_indented(line, utf8) for line in lines)
    charset, encoding = (b"utf-8", b"8bit") if not text.isascii() else (b"us-ascii", b"7bit")
    return (
        b"Content-Description: Notification\r\nContent-Type: text/plain; charset=%s\r\n"
        b"Content-Transfer-Encoding: %s\r\n\r\n%s\r\n" % (charset, encoding, text)
    )


def _indented(line: str, utf8: bool) -> bytes:
    return b" " * (len(line) - len(line.lstrip(" "))) + _text(line, utf8)


def _status_part(
    host: str, kind: str, recipients: Sequence[DsnRecipient], arrival: float | None, envid: str, utf8: bool
) -> bytes:
    lines = [b"Original-Envelope-Id: " + _text(envid, utf8)] if envid else []
    lines.append(b"Reporting-MTA: dns; " + _host(host))
    if arrival is not None:
        lines.append(b"Arrival-Date: " + format_date(arrival))
    for recipient in recipients:
        lines += [b"", *_recipient_fields(kind, recipient, utf8)]
    text = b"\r\n".join(lines) + b"\r\n"
    media = b"message/delivery-status" if text.isascii() else b"message/global-delivery-status"
    encoding = b"" if text.isascii() else b"Content-Transfer-Encoding: 8bit\r\n"
    return b"Content-Description: Delivery report\r\nContent-Type: " + media + b"\r\n" + encoding + b"\r\n" + text


def _recipient_fields(kind: str, recipient: DsnRecipient, utf8: bool) -> list[bytes]:
    fields = []
    kind_of_address, semicolon, address = recipient.original.partition(";")
    if semicolon and _ADDRESS_TYPE.match(kind_of_address):
        fields.append(b"Original-Recipient: " + _typed_address(kind_of_address, address, utf8))
    fields.append(b"Final-Recipient: " + _typed_address("rfc822", recipient.final, utf8))
    status = recipient.status if _STATUS.match(recipient.status) else _DEFAULT_STATUS[kind]
    fields += [b"Action: " + kind.encode(), b"Status: " + status.encode()]
    if recipient.remote_mta:
        fields.append(b"Remote-MTA: dns; " + _host(recipient.remote_mta))
    if recipient.diagnostic:
        # RFC 3461 9.2: "smtp" is for replies; our own reasons are none.
        source = b"smtp" if recipient.diagnostic[:3].isdigit() else b"x-mailnode"
        fields.append(b"Diagnostic-Code: " + source + b"; " + _text(recipient.diagnostic[:MAX_DIAGNOSTIC], utf8))
    if recipient.last_attempt is not None:
        fields.append(b"Last-Attempt-Date: " + format_date(recipient.last_attempt))
    if recipient.log_id:
        fields.append(b"Final-Log-ID: " + _text(recipient.log_id, utf8))
    if kind == "delayed" and recipient.retry_until is not None:
        fields.append(b"Will-Retry-Until: " + format_date(recipient.retry_until))
    return fields


def _typed_address(kind: str, address: str, utf8: bool) -> bytes:
    """``type; address``; one that is not ASCII has type utf-8, in its 7-bit form where UTF-8 may not stand (RFC 6533 3)."""
    if kind.lower() == "utf-8":
        address = _EMBEDDED.sub(_embedded_character, address)
    if not address.isascii():
        kind = "utf-8"
        if not utf8:
            address = _seven_bit(address)
    return kind.encode("ascii") + b"; " + _text(address, utf8)


def _seven_bit(address: str) -> str:
    """An address as utf-8-addr-xtext (RFC 6533 3); an ASCII one stays."""
    return address if address.isascii() else _UNITEXT.sub(lambda c: f"\\x{{{ord(c[0]):02X}}}", address)


def _embedded_character(match: re.Match[str]) -> str:
    point = int(match[1], 16)
    if point > 0x10FFFF or 0xD800 <= point < 0xE000 or point < 0x20:
        return match[0]
    return chr(point)


def _returned_part(header: bytes, original: bytes | None, utf8: bool) -> bytes:
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
