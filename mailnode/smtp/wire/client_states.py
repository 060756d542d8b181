"""Where a connection to a server stands, and how long the server may take there."""

from __future__ import annotations

import enum

# Seconds a sender waits, RFC 5321 4.5.3.2.
TIMEOUTS = {
    "greeting": 300.0,
    "hello": 300.0,
    "helo": 300.0,
    "tls": 120.0,
    "auth": 300.0,
    "mail": 300.0,
    "rcpt": 300.0,
    "data": 120.0,
    "content": 180.0,
    "end": 600.0,
    "nothing": 600.0,
    "rset": 120.0,
    "quit": 10.0,
    "reset": 120.0,
}

# What a failure while waiting for an answer is a failure of; "lost" where none stands here.
SCOPES = {"greeting": "greeting", "hello": "greeting", "helo": "greeting", "tls": "tls"}


class ClientState(enum.Enum):
    """Where the connection stands; see the drawing in :mod:`mailnode.smtp.wire.client`."""

    GREETING = enum.auto()
    GREETED = enum.auto()
    HELLO = enum.auto()
    READY = enum.auto()
    TLS = enum.auto()
    AUTH = enum.auto()
    ENVELOPE = enum.auto()
    CONTENT = enum.auto()
    ENDING = enum.auto()
    QUITTING = enum.auto()
    CLOSED = enum.auto()
