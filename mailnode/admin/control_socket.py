"""The control socket: a UNIX socket in the data directory that only its owner can reach.

One line of JSON asks, one line of JSON answers:
``{"command": "domain.add", "arguments": {"name": "example.org"}}`` and ``{"result": ...}`` or
``{"code": 3, "error": "..."}``. Files that a command reads are handed over as open descriptors beside the line (SCM_RIGHTS), and
``"files": ["content"]`` names the arguments that they are, in their order: so the server needs no right to their names.
"""

from __future__ import annotations

import contextlib
import json
import os
import socket
import struct
from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path

from twisted.internet.defer import Deferred, maybeDeferred
from twisted.internet.error import CannotListenError
from twisted.internet.interfaces import IFileDescriptorReceiver, IListeningPort
from twisted.internet.protocol import Factory, Protocol, connectionDone
from twisted.logger import Logger
from twisted.python.failure import Failure
from zope.interface import implementer

from mailnode.admin.administration import Administration
from mailnode.admin.control_client import MAX_ANSWER, MAX_REQUEST, SOCKET, short_path
from mailnode.admin.dispatch import OPERATIONS, run
from mailnode.admin.operations import OpenFile, OperationFailed, Reason
from mailnode.interfaces.reactor import IServerReactor, IStreamTransport
from mailnode.interfaces.runtime import IDelayed
from mailnode.values.events import emit

IDLE = 60.0  # seconds a connection may stand without asking
MAX_CONNECTIONS = 16
MAX_FILES = 4  # of one request

_log = Logger()


class ControlPort:
    """The socket of a running server."""

    def __init__(self, reactor: IServerReactor, data: Path, factory: ControlFactory) -> None:
        self._reactor = reactor
        self._path = data / SOCKET
        self._factory = factory
        self._names = contextlib.ExitStack()
        self._port: IListeningPort | None = None

    def open(self) -> None:
        """Listen, for the owner alone. The data directory must be locked by us. :raises OSError:"""
        self._path.unlink(missing_ok=True)  # of a server that was killed: the lock says that it is gone
        old = os.umask(0o177)
        try:
            name = self._names.enter_context(short_path(self._path))
            self._port = self._reactor.listenUNIX(name, self._factory, backlog=MAX_CONNECTIONS, mode=0o600)  # type: ignore[arg-type]
        except CannotListenError as error:
            raise OSError(getattr(error.socketError, "errno", 0), str(error.socketError), str(self._path)) from None
        finally:
            os.umask(old)

    async def close(self) -> None:
        """Take no more commands and remove the socket."""
        if self._port is not None:
            # Its name may be gone, with the data directory, or stay: nothing can be written there, and the next start removes it.
            with contextlib.suppress(OSError):
                await maybeDeferred(self._port.stopListening)
        self._names.close()


@implementer(IFileDescriptorReceiver)
class ControlProtocol(Protocol):
    """One client of the control socket: asks are answered one after the other."""

    factory: ControlFactory

    def __init__(self) -> None:
        self._line = bytearray()  # that has not come to its end
        self._busy = False
        self._timer: IDelayed | None = None
        self._files: list[OpenFile] = []  # of the request that comes

    def connectionMade(self) -> None:
        """Take a few clients at a time."""
        self.factory.open += 1
        if self.factory.open > MAX_CONNECTIONS:
            self._transport().abortConnection()
            return
        self._wait()

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        """Forget it."""
        self.factory.open -= 1
        self._stop_timer()
        _close(self._files)

    def fileDescriptorReceived(self, descriptor: int) -> None:
        """Keep a file for the request that comes with it."""
        self._files.append(OpenFile(descriptor))
        if len(self._files) > MAX_FILES:
            self._transport().abortConnection()

    def dataReceived(self, data: bytes) -> None:
        """Answer each line that comes to its end. What came before is not looked at again, however small the pieces are."""
        *ends, rest = data.split(b"\n")
        for end in ends:
            self._line += end
            if len(self._line) > MAX_REQUEST:
                break
            line, self._line = bytes(self._line), bytearray()
            self._take(line)
        else:
            self._line += rest
        if len(self._line) > MAX_REQUEST:
            self._transport().abortConnection()

    def _take(self, line: bytes) -> None:
        """Answer one request; a second one before the answer ends the connection."""
        self._stop_timer()
        if self._busy:
            self._transport().abortConnection()
            return
        self._busy = True
        files, self._files = self._files, []
        Deferred.fromCoroutine(self._answer(line, files)).addCallbacks(self._send, self._broken)

    async def _answer(self, line: bytes, files: list[OpenFile]) -> dict[str, object]:
        try:
            return await self.factory.answer(line, self._who(), files)
        finally:
            _close(files)

    def _send(self, answer: dict[str, object]) -> None:
        self._busy = False
        data = json.dumps(answer).encode()
        if len(data) > MAX_ANSWER:
            data = json.dumps({"code": Reason.FAILED, "error": "the answer is too long"}).encode()
        self._transport().write(data + b"\n")
        if not self._transport().disconnected:  # type: ignore[attr-defined]
            self._wait()

    def _broken(self, failure: Failure) -> None:
        _log.failure("a command failed", failure)
        self._send({"code": Reason.FAILED, "error": "the command failed; see the log of the server"})

    def _wait(self) -> None:
        self._timer = self.factory.admin.clock.callLater(IDLE, self._transport().abortConnection)

    def _stop_timer(self) -> None:
        if self._timer is not None and self._timer.active():
            self._timer.cancel()
        self._timer = None

    def _transport(self) -> IStreamTransport:
        return self.transport  # type: ignore[return-value]

    def _who(self) -> str:
        handle = self._transport().getHandle() if hasattr(self._transport(), "getHandle") else None
        if not isinstance(handle, socket.socket):
            return "unknown"
        peer = handle.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, struct.calcsize("3i"))
        return f"uid {struct.unpack('3i', peer)[1]}"


class ControlFactory(Factory[ControlProtocol]):
    """Answers commands on a running server."""

    protocol = ControlProtocol
    noisy = False

    def __init__(self, admin: Administration, changed: Callable[[], Awaitable[None]] | None = None) -> None:
        """:param changed: awaited after a command that changes something, before it is answered."""
        self.admin = admin
        self.open = 0
        self._changed = changed

    async def answer(self, line: bytes, who: str, files: Sequence[OpenFile] = ()) -> dict[str, object]:
        """Run what a line asks for. :param files: that came with it."""
        try:
            request = json.loads(line)
            name, arguments = request["command"], request["arguments"]
            if not isinstance(name, str) or not isinstance(arguments, dict):
                raise TypeError
            arguments |= zip(request.get("files", ()), files, strict=True)
        except (ValueError, KeyError, TypeError, RecursionError):
            return {"code": Reason.FAILED, "error": "not a request"}
        try:
            result = await run(self.admin, name, arguments)
        except OperationFailed as failed:
            return {"code": failed.reason, "error": failed.text}
        operation = OPERATIONS[name]
        if operation.changes:
            emit(_log, "admin.command", command=name, subject=operation.subject(arguments), who=who)
            if self._changed is not None:
                await self._changed()
        return {"result": result}


def _close(files: list[OpenFile]) -> None:
    while files:
        os.close(files.pop())
