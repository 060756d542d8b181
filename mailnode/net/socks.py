"""Connections through a SOCKS5 server (RFC 1928), with a login by name and password (RFC 1929) or without.

:class:`SocksDialog` is what is said, octets in and out; :class:`SocksFront` says it at the start of a connection, and
hands the connection over when the server has connected us.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Generator

from twisted.internet.defer import Deferred
from twisted.internet.protocol import Protocol, connectionDone
from twisted.python.failure import Failure

from mailnode.interfaces.outbound import Proxy
from mailnode.interfaces.reactor import IStreamTransport

VERSION, LOGIN_VERSION = 5, 1
NO_LOGIN, BY_PASSWORD = 0, 2
CONNECT, IPV4, NAME, IPV6 = 1, 1, 3, 4
ADDRESS_OCTETS = {IPV4: 4, IPV6: 16}
REPLIES = {
    1: "the proxy failed",
    2: "the proxy does not allow this connection",
    3: "the network cannot be reached from the proxy",
    4: "the host cannot be reached from the proxy",
    5: "connection refused, says the proxy",
    6: "connection timed out, says the proxy",
    7: "the proxy cannot connect",
    8: "the proxy does not know this kind of address",
}


class SocksRefused(Exception):
    """The proxy did not connect us, or is none. The text says why."""


class SocksDialog:
    """One dialog, from the client's side: what is left over after it, ``left``, is the other server's."""

    def __init__(self, proxy: Proxy, address: str, port: int) -> None:
        """:param address, port: where the proxy is to connect to, an IP address."""
        self._proxy = proxy
        self._address = ipaddress.ip_address(address)
        self._port = port
        self._steps = self._say()
        self._need = 0
        self._output = b""
        self.left = b""
        self.done = False
        self._go_on(None)

    def receive(self, data: bytes) -> None:
        """Take octets of any number. :raises SocksRefused:"""
        self.left += data
        while not self.done and len(self.left) >= self._need:
            taken, self.left = self.left[: self._need], self.left[self._need :]
            self._go_on(taken)

    def to_send(self) -> bytes:
        """Return what is to be sent now."""
        output, self._output = self._output, b""
        return output

    def _go_on(self, taken: bytes | None) -> None:
        try:
            self._need = next(self._steps) if taken is None else self._steps.send(taken)
        except StopIteration:
            self.done = True

    def _say(self) -> Generator[int, bytes, None]:
        """Yield how many octets are waited for; be sent them."""
        method = BY_PASSWORD if self._proxy.username else NO_LOGIN
        self._output += bytes([VERSION, 1, method])
        version, chosen = yield 2
        if version != VERSION:
            raise SocksRefused("the proxy speaks no SOCKS5")
        if chosen != method:
            raise SocksRefused("the proxy wants another login")
        if method == BY_PASSWORD:
            yield from self._log_in()
        packed = self._address.packed
        kind = IPV4 if len(packed) == ADDRESS_OCTETS[IPV4] else IPV6
        self._output += bytes([VERSION, CONNECT, 0, kind]) + packed + self._port.to_bytes(2, "big")
        version, reply, _, kind = yield 4
        if version != VERSION:
            raise SocksRefused("the proxy speaks no SOCKS5")
        if reply:
            raise SocksRefused(REPLIES.get(reply, "the proxy failed"))
        if kind not in ADDRESS_OCTETS and kind != NAME:
            raise SocksRefused("the proxy speaks no SOCKS5")
        length = (yield 1)[0] if kind == NAME else ADDRESS_OCTETS[kind]
        yield length + 2  # the address that it connected from, and the port

    def _log_in(self) -> Generator[int, bytes, None]:
        name, password = self._proxy.username.encode(), self._proxy.password.encode()
        self._output += bytes([LOGIN_VERSION, len(name)]) + name + bytes([len(password)]) + password
        _, status = yield 2
        if status:
            raise SocksRefused("the proxy refused our login")


class SocksFront(Protocol):
    """A connection to a proxy. ``ready`` fires when it leads to the other server, or fails with what came in between;
    :meth:`hand_over` then gives it to who speaks to that server."""

    def __init__(self, dialog: SocksDialog) -> None:
        self._dialog = dialog
        self.ready: Deferred[None] = Deferred()

    def connectionMade(self) -> None:
        """Begin."""
        self._transport().write(self._dialog.to_send())

    def dataReceived(self, data: bytes) -> None:
        """Go on."""
        if self.ready.called:
            return
        try:
            self._dialog.receive(data)
        except SocksRefused as refused:
            self.ready.errback(refused)
            return
        self._transport().write(self._dialog.to_send())
        if self._dialog.done:
            self.ready.callback(None)

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        """The proxy gave up."""
        if not self.ready.called:
            self.ready.errback(SocksRefused("the proxy closed the connection"))

    def hand_over(self, protocol: Protocol) -> None:
        """Let another protocol have the connection, and what came for it already."""
        transport = self._transport()
        transport.protocol = protocol  # type: ignore[attr-defined]
        protocol.makeConnection(transport)  # type: ignore[no-untyped-call]
        if self._dialog.left:
            protocol.dataReceived(self._dialog.left)

    def abort(self) -> None:
        """Close at once."""
        self._transport().abortConnection()

    def _transport(self) -> IStreamTransport:
        return self.transport  # type: ignore[return-value]
