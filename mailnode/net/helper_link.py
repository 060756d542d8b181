"""A process that helps this one, seen from here: frames go to it, pickled answers come back."""

from __future__ import annotations

import contextlib
import os
import socket
import sys
from collections.abc import Callable

from twisted.internet.error import ProcessExitedAlready
from twisted.internet.interfaces import IProcessTransport
from twisted.internet.protocol import Factory, ProcessProtocol, Protocol, connectionDone
from twisted.logger import Logger
from twisted.python.failure import Failure

from mailnode.interfaces.reactor import IServerReactor, IStreamTransport
from mailnode.net.frames import FrameReader
from mailnode.net.pickled import Names, Pickled

_log = Logger()


class HelperLink(Protocol):
    """Our end of the pair of sockets. It is all that the process lives by: it ends with us, however we go."""

    def __init__(self, names: Names, answered: Callable[[Pickled], None], lost: Callable[[HelperLink], None]) -> None:
        """:param names: that may stand in an answer. :param lost: called once, whoever ended it."""
        self._names = names
        self._answered = answered
        self._lost = lost
        self._reader = FrameReader()
        self.process: IProcessTransport  # given by who starts it

    def send(self, octets: bytes) -> None:
        """Send a frame."""
        self._transport().write(octets)

    def end(self) -> None:
        """End the process, whatever it is working on."""
        self._transport().abortConnection()
        with contextlib.suppress(ProcessExitedAlready):
            self.process.signalProcess("KILL")

    def dataReceived(self, data: bytes) -> None:
        """Take answers. A process that says what it may not is ended."""
        try:
            for payload in self._reader.receive(data):
                self._answered(self._names.loads(payload))
        except Exception:
            _log.failure("what a helping process said cannot be read")
            self.end()

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        """The process ended."""
        self._lost(self)

    def _transport(self) -> IStreamTransport:
        return self.transport  # type: ignore[return-value]


def start_helper(reactor: IServerReactor, link: HelperLink, module: str, *arguments: str) -> HelperLink:
    """Start the process of a link, which is returned. :param module: run as a program, with these arguments; its standard input
    is the other end.

    :raises OSError: there is no process, or no descriptor for one.
    """
    ours, its = socket.socketpair()
    with ours, its:
        ours.setblocking(False)
        environment = {**os.environ, "PYTHONPATH": os.pathsep.join(path for path in sys.path if path)}
        command = [sys.executable, "-m", module, *arguments]
        descriptors = {0: its.fileno(), 1: 2, 2: 2}
        link.process = reactor.spawnProcess(
            ProcessProtocol(), sys.executable, command, environment, childFDs=descriptors
        )
        reactor.adoptStreamConnection(ours.fileno(), socket.AF_UNIX, Factory.forProtocol(lambda: link))  # type: ignore[arg-type]
    return link
