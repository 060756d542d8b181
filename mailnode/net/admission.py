"""Takes no more connections than descriptors were set aside for, over several listeners: the store needs the others.

Twisted's own way when there are no descriptors left is to close who knocks, and to be told of the next one at once, for
ever. Here the ports are not read from until some connections have ended: clients wait in the kernel's queue, or are refused by it.
"""

from __future__ import annotations

import socket
import sys
from collections.abc import Callable
from errno import EAGAIN, EMFILE, ENFILE, ENOBUFS, ENOMEM

from twisted.internet.interfaces import IListeningPort
from twisted.logger import Logger

from mailnode.interfaces.reactor import IServerReactor
from mailnode.values.events import emit

SLACK = 16  # one in so many connections must have ended before new ones are taken
PAUSE = 1.0  # seconds until it is tried again when the kernel had no descriptor or no memory
QUIET = 60.0  # seconds in which the log says once that nobody is let in

_SHORTAGES = (EMFILE, ENFILE, ENOBUFS, ENOMEM)

_log = Logger()


class ConnectionAdmission:
    """Counts the connections of some listeners of one process, and closes their doors while there are too many."""

    def __init__(self, reactor: IServerReactor, most: int = sys.maxsize) -> None:
        """:param most: connections at a time; may be set later."""
        self.most = most
        self.standing = 0
        self.full = False
        self._reactor = reactor
        self._listening: list[Callable[[], None]] = []
        self._quiet_until = 0.0
        self._said = False

    def watch(self, port: IListeningPort, follow: Callable[[], None]) -> None:
        """Count who comes by a port, any that has its listening socket as ``socket``.

        :param follow: called when :attr:`full` has changed; while it is, the port need not be read from."""
        listening = getattr(port, "socket", None)
        if listening is not None:
            port.socket = _ListeningSocket(listening, self)  # type: ignore[attr-defined]
            self._listening.append(follow)

    def forget(self, follow: Callable[[], None]) -> None:
        """A port was closed."""
        if follow in self._listening:
            self._listening.remove(follow)

    def enter(self) -> None:
        """One more stands."""
        self.standing += 1
        if self.standing >= self.most:
            self._close("the rest of the descriptors is kept back")

    def leave(self) -> None:
        """One that was counted is gone."""
        self.standing -= 1
        if self.full and self.standing <= self._few:
            self._open()

    def let_go(self) -> None:
        """The same, from any thread."""
        self._reactor.callFromThread(self.leave)

    def short(self, error: OSError) -> None:
        """The kernel could not give a connection."""
        self._close(str(error.strerror))
        self._reactor.callLater(PAUSE, self._try_again)

    @property
    def _few(self) -> int:
        return self.most - max(1, self.most // SLACK)

    def _try_again(self) -> None:
        if self.full and self.standing < self.most:
            self._open()

    def _close(self, reason: str) -> None:
        if self.full:
            return
        self.full = True
        now = self._reactor.seconds()
        if now >= self._quiet_until:
            self._quiet_until = now + QUIET
            self._said = True
            emit(_log, "listener.full", warning=True, connections=self.standing, reason=reason)
        self._tell()

    def _open(self) -> None:
        self.full = False
        if self._said:
            self._said = False
            emit(_log, "listener.room", connections=self.standing)
        self._tell()

    def _tell(self) -> None:
        for follow in list(self._listening):
            follow()


class _ListeningSocket:
    """A listening socket that answers "nobody there" while nobody may come in. One ``doRead`` of a port accepts many."""

    def __init__(self, listening: socket.socket, admission: ConnectionAdmission) -> None:
        self._socket = listening
        self._admission = admission

    def accept(self) -> tuple[socket.socket, object]:
        """Return the next client and its address. :raises BlockingIOError: there is none, or none may come in."""
        if self._admission.full:
            raise BlockingIOError(EAGAIN, "nobody is let in")
        try:
            client, address = self._socket.accept()
        except OSError as error:
            if error.errno not in _SHORTAGES:
                raise
            self._admission.short(error)
            raise BlockingIOError(EAGAIN, "nobody could be let in") from error
        return _CountedSocket(client, self._admission), address

    def shutdown(self, how: int) -> None:
        """Do nothing: Twisted shuts a port down before it closes it, which would end the same port in every process that
        has it, in the midst of an accept there. Each closes it for itself."""

    def __getattr__(self, name: str) -> object:
        return getattr(self._socket, name)


class _CountedSocket(socket.socket):
    """A client's socket, counted until it is closed."""

    _admission: ConnectionAdmission | None = None

    def __init__(self, client: socket.socket, admission: ConnectionAdmission) -> None:
        super().__init__(client.family, client.type, client.proto, fileno=client.detach())
        self._admission = admission
        admission.enter()

    def close(self) -> None:
        """Close it; it counts no more."""
        super().close()
        admission, self._admission = self._admission, None
        if admission is not None:
            admission.leave()

    def __del__(self) -> None:
        # Nobody closed it: an error on the way to its protocol. The collector runs in any thread.
        admission, self._admission = self._admission, None
        self.close()
        if admission is not None:
            admission.let_go()
