"""What a client connection tells its caller; :mod:`mailnode.smtp.wire.client` is the connection.

Events, each told once:

=============== ========================================================================================================
``Send``        Write these octets and ask for the next event. The connection goes on by itself where there is nothing
                to decide: HELO after a refused EHLO, the next command of a transaction, the answers of AUTH LOGIN.
``Greeting``    The banner came and is positive: call :meth:`~ClientConnection.hello`.
``Hello``       The server knows us: ``connection.extensions`` stands. Call ``start_tls``, ``authenticate`` or ``send``.
``TlsReady``    STARTTLS was taken and nothing followed it: begin TLS, call ``tls_started`` after the handshake, then
                ``hello`` again.
``TlsRefused``  STARTTLS was refused; the session goes on in the clear if the caller wants that.
``LoggedIn``    AUTH succeeded.
``LoginRefused`` AUTH failed.
``ContentWanted``     The server waits for the content: write what ``data(chunk)`` returns for each chunk, then what
                ``end_data()`` returns.
``Sent``        The transaction is over: one reply per recipient, in order. 2yz: taken. Call ``send``, ``reset``,
                or ``quit``.
``Reset``       The answer to ``reset()``: the connection is alive.
``Closed``      The connection is at its end as agreed, after QUIT.
``Failed``      The connection cannot be used any more; close it. ``scope`` is that of ``interfaces.outbound.TargetFailed``.
=============== ========================================================================================================
"""

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
