"""Replies of POP3 as octets (RFC 1939 3, RFC 2449 8, RFC 3206)."""

from __future__ import annotations

import base64
from dataclasses import dataclass

MAX_RESPONSE = 512  # octets of a first line with CRLF


@dataclass(frozen=True, slots=True)
class PopReply:
    """A status line. ``code`` is a response code such as ``SYS/TEMP``, without brackets."""

    positive: bool
    text: str
    code: str = ""

    def __bytes__(self) -> bytes:
        line = "+OK" if self.positive else "-ERR"
        if self.code:
            line += f" [{self.code}]"
        if self.text:
            line += f" {self.text}"
        return line.encode("utf-8", "replace").translate(_NO_CONTROLS)[: MAX_RESPONSE - 2] + b"\r\n"


_NO_CONTROLS = bytes.maketrans(bytes([*range(32), 127]), b" " * 33)


def ok(text: str = "") -> PopReply:
    """A positive reply."""
    return PopReply(True, text)


def err(text: str, code: str = "") -> PopReply:
    """A negative reply."""
    return PopReply(False, text, code)


def challenge(data: bytes) -> bytes:
    """A SASL challenge line (RFC 5034 4). "+ " stands also before an empty one."""
    return b"+ " + base64.b64encode(data) + b"\r\n"
