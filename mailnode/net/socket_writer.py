"""Writing to a socket at once while nothing waits in its transport."""

from __future__ import annotations

from collections.abc import Callable

from twisted.internet.interfaces import ITransport


class SocketWriter:
    """What the socket does not take now is the transport's, and so is an error, which the reactor will meet again.

    It spares the reactor two system calls for beginning and ending to look whether the socket takes more. A transport
    that has no socket (of TLS, of tests) is written to as ever.
    """

    __slots__ = ("_through", "_transport", "_write_some")

    def __init__(self, transport: ITransport, direct: bool = True) -> None:
        """:param direct: False: everything goes to the transport."""
        self._transport = transport
        self._write_some: Callable[[bytes], int | Exception] | None = (
            getattr(transport, "writeSomeData", None) if direct else None
        )
        self._through = self._write_some is not None  # nothing waits in the transport

    def write(self, data: bytes) -> None:
        """Send octets."""
        if self._through:
            assert self._write_some is not None
            sent = self._write_some(data)
            if sent == len(data):
                return
            self._through = False
            if isinstance(sent, int):
                data = data[sent:]
            # So that it tells its producer when it has sent all it has, also when that is little. It is whose method we
            # hold: what stands before it may only pass it on.
            holder: object = getattr(self._write_some, "__self__", self._transport)
            holder.producerPaused = True  # type: ignore[attr-defined]
        self._transport.write(data)

    def emptied(self) -> None:
        """The transport has sent all it had."""
        self._through = self._write_some is not None

    def lost(self) -> None:
        """The socket is not ours any more, or is closed."""
        self._through = False
        self._write_some = None
