"""What is asked of Twisted's reactor and of the transports it makes. The reactor and the transports provide Twisted's own
interfaces, not these: they only say in one word which of them are meant together."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeAlias

from OpenSSL import SSL
from twisted.internet.interfaces import (
    IConsumer,
    IPushProducer,
    IReactorCore,
    IReactorFDSet,
    IReactorFromThreads,
    IReactorProcess,
    IReactorSocket,
    IReactorTCP,
    IReactorUNIX,
    ITLSTransport,
)

from mailnode.interfaces.runtime import IClock


class IServerReactor(
    IClock,
    IReactorCore,
    IReactorFDSet,
    IReactorFromThreads,
    IReactorProcess,
    IReactorSocket,
    IReactorTCP,
    IReactorUNIX,
):
    """The reactor of a server process."""


class IStreamTransport(ITLSTransport, IPushProducer, IConsumer):
    """The transport of one connection, over TCP, a UNIX socket or TLS."""

    def getHandle() -> SSL.Connection:
        """The TLS connection; without TLS the socket."""


StartTls: TypeAlias = Callable[[IStreamTransport], None]  # begins TLS on it
