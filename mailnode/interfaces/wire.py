"""Between a protocol session and the transport under it. ``net.pump`` provides the channel and drives the session."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from zope.interface import Attribute, Interface

from mailnode.values.client_names import ClientNames


class IChannel(Interface):
    """What a session may do with its connection."""

    session = Attribute("str: the session id of the log")
    peer = Attribute("str: the client's IP address, without port")
    local = Attribute("str: our address and port")
    secure = Attribute("bool: TLS is up")
    tls = Attribute('str: "TLSv1.3 TLS_AES_256_GCM_SHA384", or "" without TLS')
    server_name = Attribute('str: the name the client asked for in its TLS handshake (SNI), lower-case; "" without one')

    def tls_bindings() -> Mapping[str, bytes]:
        """What may bind a login to this TLS connection, by type (``tls-exporter``, ``tls-server-end-point``); none without
        TLS, with a version of it that has no safe one, and behind a balancer."""

    def certificate_names() -> ClientNames:
        """Whom the certificate is for that the client showed, if it is of an authority named for that."""

    closed = Attribute("bool: the connection is lost or being closed; writes are dropped")

    full = Attribute("bool: the transport has yet to take what was written: see :meth:`drain`")

    half_closed = Attribute(
        "bool: the peer will send no more. It may wait for answers, or have gone: that shows when it is told something"
    )

    def write(data: bytes) -> None:
        """Send octets; never blocks. After more than about 64 KiB await :meth:`drain` before the next."""

    async def drain() -> None:
        """Return when the transport takes more; at once when it does. Returns also when the connection is lost."""

    def start_tls() -> None:
        """Begin TLS after what was written; input buffered before it is the connection's to refuse."""

    compressed = Attribute("bool: see :meth:`start_deflate`")

    def start_deflate(rest: bytes, damaged: Callable[[], None]) -> None:
        """Compress all that is written from now on, and inflate all that comes (RFC 4978).

        :param rest: input the connection had already. :param damaged: called, between two events, when what comes cannot be
            inflated.
        """

    def stop_deflate() -> None:
        """End both (RFC 8437 4.1): what was written until now is the last that is compressed, and what comes behind the
        event under way is not."""

    def close() -> None:
        """Close after what was written has gone out."""

    def abort() -> None:
        """Close at once."""

    def set_timeout(seconds: float) -> None:
        """Seconds without input while nothing is being handled, or without a reader while :meth:`drain` waits, after which
        ``session.timed_out()`` is called."""

    def set_deadline(seconds: float | None) -> None:
        """Seconds from now after which ``session.timed_out()`` is called whatever the peer sends, once what is being handled
        is done; None: no longer. It replaces the one the connection began with."""

    def wake() -> None:
        """Ask the connection for events again (a session changed its state outside ``handle``)."""


class IConnection(Interface):
    """A sans-I/O connection: grammar, states and limits of one protocol; no sockets, no clock, no await."""

    def receive_data(data: bytes) -> None:
        """Take input of any length."""

    def receive_eof() -> None:
        """The peer will send no more."""

    def next_event() -> object:
        """Return an event, ``NEED_DATA`` or ``PAUSED`` (values.wire)."""

    def tls_started() -> None:
        """TLS is up: forget everything that came before."""

    buffered = Attribute("int: octets taken and not yet given out as events; bounded by the connection")
    begun = Attribute(
        "int | None: the number of the command of which a part has come and the rest is waited for, another one for each;"
        " None between commands, and where the session itself looks after its client's pace"
    )


class ISession(Interface):
    """The side that thinks: one per connection, given its channel at the start."""

    async def opened() -> None:
        """The connection stands (after the TLS handshake on implicit TLS): greet."""

    async def handle(event: Any) -> None:
        """Handle one event, of the session's own connection; the next comes when this returns. What it raises is logged
        as ``session.error``, then :meth:`failed` is called."""

    def failed() -> None:
        """Unknown trouble: say so in general words (4yz, BYE, -ERR) and close."""

    def timed_out() -> None:
        """The peer was silent too long: say so and close."""

    def draining() -> None:
        """The server shuts down: say 421 or BYE at the next point where the protocol allows it, and close."""

    def lost() -> None:
        """The connection is gone; release what is held. Called exactly once, also after :meth:`failed`.

        A ``handle`` that is under way is cancelled only where its result can no longer be acknowledged: it is left to
        finish; its writes are dropped."""
