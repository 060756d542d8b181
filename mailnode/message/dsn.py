"""Delivery status notifications: what became of a message at some of its recipients (RFC 3464).

Everything that comes from somebody else (addresses, replies, ENVID) is put into one line of harmless characters first, so that
it can never end its field and begin another.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from mailnode.message.compose import foreign_host, foreign_text, message_id_field
from mailnode.message.dates import format_date
from mailnode.message.report_parts import (
    answer_fields,
    explanation_part,
    multipart_report,
    refusal_lines,
    returned_part,
    seven_bit_address,
    typed_address,
)

KINDS = ("failed", "delayed", "delivered", "relayed")  # RFC 3464 2.3.3, less "expanded"
MAX_DIAGNOSTIC = 500  # characters of a remote reply that are passed on

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
    refusal: str = "",
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
    :param refusal: why a recipient's filter refused it, in that one's words and lines (RFC 5429 2.1.2).
    :raises ValueError: unknown kind, no recipient, or no address to send it to.
    """
    if kind not in KINDS or not recipients or not to:
        raise ValueError("a DSN needs a kind, recipients and an address")
    parts = [
        _explanation(reporting_mta, kind, recipients, smtputf8, refusal),
        _status_part(reporting_mta, kind, recipients, arrival_seconds, envid, smtputf8),
        returned_part(original_header, original, smtputf8),
    ]
    header = [
        b"From: Mail Delivery System <" + foreign_text(sender, smtputf8) + b">",
        b"To: <" + foreign_text(to, smtputf8) + b">",
        b"Subject: " + _SUBJECTS[kind].encode(),
        b"Date: " + format_date(date_seconds),
        message_id_field(message_id).removesuffix(b"\r\n"),
        b"Auto-Submitted: auto-replied",
        *answer_fields(original_header),
    ]
    return multipart_report("delivery-status", header, parts, message_id)


def _explanation(host: str, kind: str, recipients: Sequence[DsnRecipient], utf8: bool, refusal: str) -> bytes:
    if refusal:
        lines = refusal_lines(host, refusal)
    else:
        lines = [f"This is the mail server {foreign_host(host).decode()}.", "", *_EXPLANATIONS[kind].split("\r\n")]
    lines.append("")
    for recipient in recipients:
        lines.append(f"  <{_line(recipient.final if utf8 else seven_bit_address(recipient.final), utf8)}>")
        if recipient.diagnostic:
            said = f"{recipient.remote_mta} said: " if recipient.remote_mta else ""
            lines.append(f"    {_line(said + recipient.diagnostic[:MAX_DIAGNOSTIC], utf8)}")
        if kind == "delayed" and recipient.retry_until is not None:
            lines.append(f"    Tried until {format_date(recipient.retry_until).decode()}")
    return explanation_part("\n".join(lines))


def _line(text: str, utf8: bool) -> str:
    return foreign_text(text, utf8).decode()


def _status_part(
    host: str, kind: str, recipients: Sequence[DsnRecipient], arrival: float | None, envid: str, utf8: bool
) -> bytes:
    lines = [b"Original-Envelope-Id: " + foreign_text(envid, utf8)] if envid else []
    lines.append(b"Reporting-MTA: dns; " + foreign_host(host))
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
        fields.append(b"Original-Recipient: " + typed_address(kind_of_address, address, utf8))
    fields.append(b"Final-Recipient: " + typed_address("rfc822", recipient.final, utf8))
    status = recipient.status if _STATUS.match(recipient.status) else _DEFAULT_STATUS[kind]
    fields += [b"Action: " + kind.encode(), b"Status: " + status.encode()]
    if recipient.remote_mta:
        fields.append(b"Remote-MTA: dns; " + foreign_host(recipient.remote_mta))
    if recipient.diagnostic:
        # RFC 3461 9.2: "smtp" is for replies; our own reasons are none.
        source = b"smtp" if recipient.diagnostic[:3].isdigit() else b"x-mailnode"
        fields.append(b"Diagnostic-Code: " + source + b"; " + foreign_text(recipient.diagnostic[:MAX_DIAGNOSTIC], utf8))
    if recipient.last_attempt is not None:
        fields.append(b"Last-Attempt-Date: " + format_date(recipient.last_attempt))
    if recipient.log_id:
        fields.append(b"Final-Log-ID: " + foreign_text(recipient.log_id, utf8))
    if kind == "delayed" and recipient.retry_until is not None:
        fields.append(b"Will-Retry-Until: " + format_date(recipient.retry_until))
    return fields
