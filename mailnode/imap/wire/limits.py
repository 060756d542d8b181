"""What one connection may send (RFC 3501 9 has no limits of its own)."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class ImapLimits:
    """Octets, and counts. ``line`` and ``literals`` bound one command: its text, and its literals together, the message
    of APPEND left out. The text between two messages of APPEND has both anew."""

    line: int = 64 * 1024
    literals: int = 64 * 1024
    line_before_login: int = 8 * 1024
    literals_before_login: int = 8 * 1024
    discard_before_login: int = 1024 * 1024  # a LITERAL+ above it ends the connection
    sasl_line: int = 12288  # RFC 9051 6.2.2
    message: int = 0  # of APPEND; 0: no limit here
    bad_commands: int = 20  # in a row, after which the connection is ended


DEFAULT_LIMITS = ImapLimits()
