"""Messages that tell by their names what they must hold."""

from __future__ import annotations

import hashlib

LINE = 66  # octets of a line of the body


def name(who: str, number: int, lines: int) -> str:
    """Return the name of a message of so many lines."""
    return f"{who}-{number}-{lines}"


def body(message: str) -> bytes:
    """Return what stands behind its header."""
    lines = int(message.rpartition("-")[2])
    key = message.encode()
    parts = [b"%s\r\n" % hashlib.sha256(b"%s %d" % (key, number)).hexdigest().encode() for number in range(lines)]
    return b"".join(parts) + b"end of %s\r\n" % key


def content(message: str) -> bytes:
    """Return it whole, lines ended by CRLF."""
    header = f"From: ann@a.test\r\nTo: all@a.test\r\nSubject: {message}\r\n"
    return f"{header}Message-ID: <{message}@a.test>\r\nDate: Mon, 2 Nov 2026 10:00:00 +0000\r\n\r\n".encode() + body(
        message
    )


def is_whole(message: str, octets: bytes) -> bool:
    """Whether octets are a message of that name, but for header fields put before it."""
    return octets.endswith(content(message))
