"""Message disposition notifications (RFC 8098), of the one kind that a server sends by itself: a recipient's filter refused a
message (RFC 5429 2.2.1)."""

from __future__ import annotations

import re

from mailnode.message.compose import date_field, foreign_host, foreign_text, message_id_field
from mailnode.message.headers import first
from mailnode.message.report_parts import (
    answer_fields,
    explanation_part,
    multipart_report,
    refusal_lines,
    returned_part,
    typed_address,
)
from mailnode.message.words import decode_words
from mailnode.message.written_text import address_field, text_field
from mailnode.values.address import Address

_TYPED = re.compile(rb"([A-Za-z0-9-]{1,64}) *;(.{1,900})\Z", re.DOTALL)  # RFC 8098 3.1.2


def refusal_mdn(
    *,
    to: Address,
    recipient: Address,
    reason: str,
    hostname: str,
    message_id: str,
    seconds: float,
    original_header: bytes,
    original: bytes | None,
) -> bytes:
    """Return the notification as a whole message, CRLF line ends. It goes out with the null reverse-path (RFC 8098 3).

    :param to: the reverse-path of the original. :param recipient: whose filter it was. :param reason: in its words and lines.
    :param seconds: UTC, for its Date field. :param original: the whole message, None to return its header alone.
    """
    subject = decode_words(first(original_header, b"subject") or b"")
    lines = [
        address_field("From", [("", recipient)]),
        address_field("To", [("", to)]),
        text_field("Subject", f"Your message was refused: {subject}" if subject else "Your message was refused"),
        date_field(seconds),
        message_id_field(message_id),
        b"Auto-Submitted: auto-replied\r\n",  # RFC 3834 5
    ]
    header = [line.removesuffix(b"\r\n") for line in lines] + answer_fields(original_header)
    utf8 = not (to.is_ascii and recipient.is_ascii)
    parts = [
        explanation_part("\n".join(refusal_lines(hostname, reason))),
        _disposition_part(recipient, hostname, original_header, utf8),
        returned_part(original_header, original, utf8),
    ]
    return multipart_report("disposition-notification", header, parts, message_id)


def _disposition_part(recipient: Address, hostname: str, original_header: bytes, utf8: bool) -> bytes:
    """RFC 8098 3.1 and 3.2. The original recipient is told only where the message has it (3.2.3)."""
    lines = [b"Reporting-UA: " + foreign_host(hostname) + b"; mailnode"]
    original = _TYPED.match(first(original_header, b"original-recipient") or b"")
    if original:
        written = foreign_text(original[2].decode("utf-8", "replace"), True).decode()
        lines.append(b"Original-Recipient: " + typed_address(original[1].decode(), written, utf8))
    lines.append(b"Final-Recipient: " + typed_address("rfc822", str(recipient), utf8))
    lines += [field.replace(b"In-Reply-To", b"Original-Message-ID") for field in answer_fields(original_header)[:1]]
    lines.append(b"Disposition: automatic-action/MDN-sent-automatically; deleted")
    text = b"\r\n".join(lines) + b"\r\n"
    media = b"disposition-notification" if text.isascii() else b"global-disposition-notification"  # RFC 6533 6
    encoding = b"" if text.isascii() else b"Content-Transfer-Encoding: 8bit\r\n"
    return b"Content-Description: Disposition\r\nContent-Type: message/" + media + b"\r\n" + encoding + b"\r\n" + text
