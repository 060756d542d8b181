"""What a client connection tells its caller; :mod:`mailnode.smtp.wire.client` says when, and what to do then."""

from __future__ import annotations

from dataclasses import dataclass

from mailnode.values.smtp_reply import Reply


@dataclass(frozen=True, slots=True)
class Send:
    """Octets to write now."""

    data: bytes


@dataclass(frozen=True, slots=True)
class Greeting:
    """A positive banner."""

    reply: Reply


@dataclass(frozen=True, slots=True)
class Hello:
    """A positive answer to EHLO, LHLO, or HELO after EHLO was refused (``extended`` False)."""

    reply: Reply
    extended: bool


@dataclass(frozen=True, slots=True)
class TlsReady:
    """Begin TLS now."""

    reply: Reply


@dataclass(frozen=True, slots=True)
class TlsRefused:
    """STARTTLS was refused."""

    reply: Reply


@dataclass(frozen=True, slots=True)
class LoggedIn:
    """AUTH succeeded."""

    reply: Reply


@dataclass(frozen=True, slots=True)
class LoginRefused:
    """AUTH failed."""

    reply: Reply


@dataclass(frozen=True, slots=True)
class ContentWanted:
    """The server waits for the content; ``accepted`` are the indexes of the recipients it took."""

    accepted: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Sent:
    """The transaction is over; one reply per recipient, in order. ``ours``: indexes of those that are our own."""

    replies: tuple[Reply, ...]
    ours: tuple[int, ...] = ()


@dataclass(frozen=True, slots=True)
class Reset:
    """RSET was answered."""

    reply: Reply


@dataclass(frozen=True, slots=True)
class Closed:
    """The end, as agreed."""


@dataclass(frozen=True, slots=True)
class Failed:
    """The end, not as agreed. ``scope``: "greeting", "tls" or "lost". ``in_doubt``: the whole message had been sent and
    not been answered, so the server may have it (RFC 1047)."""

    scope: str
    text: str
    reply: Reply | None = None
    in_doubt: bool = False


Event = (
    Send
    | Greeting
    | Hello
    | TlsReady
    | TlsRefused
    | LoggedIn
    | LoginRefused
    | ContentWanted
    | Sent
    | Reset
    | Closed
    | Failed
)
