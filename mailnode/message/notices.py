"""Plain messages that this server writes to people who look after it."""

from __future__ import annotations

from collections.abc import Sequence

from mailnode.message.compose import date_field, message_id_field
from mailnode.message.headers import one_line


def notice(sender: str, to: str, subject: str, lines: Sequence[str], message_id: str, seconds: float) -> bytes:
    """Return a message of one text, CRLF line ends. It goes out with the null reverse-path (RFC 3834 4: nobody answers it).

    :param sender: and ``to``, ``subject``: ASCII. :param seconds: UTC, for its Date field.
    """
    text = b"\r\n".join(one_line(line.encode("utf-8", "replace")) for line in lines) + b"\r\n"
    encoding = b"us-ascii", b"7bit"
    if not text.isascii():
        encoding = b"utf-8", b"8bit"
    return (
        b"From: Mail Delivery System <" + one_line(sender.encode("ascii", "replace")) + b">\r\n"
        b"To: <" + one_line(to.encode("ascii", "replace")) + b">\r\n"
        b"Subject: "
        + one_line(subject.encode("ascii", "replace"))
        + b"\r\n"
        + date_field(seconds)
        + message_id_field(message_id)
        + b"Auto-Submitted: auto-generated\r\nMIME-Version: 1.0\r\n"
        b"Content-Type: text/plain; charset=%s\r\nContent-Transfer-Encoding: %s\r\n\r\n%s" % (*encoding, text)
    )
