"""The other side of :mod:`mailnode.net.batches`: a process that answers batches of calls. It loads nothing it does not
need.

A batch and its answer are a length of four octets and a pickle: a list of octet strings, a list of (good, value or
error as text).
"""

from __future__ import annotations

import importlib
import pickle
import signal
import socket
import struct
import sys
from collections.abc import Callable
from typing import Any

LENGTH = struct.Struct("!I")


def serve(connection: socket.socket, function: Callable[[bytes], Any]) -> None:
    """Answer batches until the other side is gone; what the process does."""
    with connection.makefile("rwb") as stream:
        while len(head := stream.read(LENGTH.size)) == LENGTH.size:
            arguments = pickle.loads(stream.read(LENGTH.unpack(head)[0]))
            data = pickle.dumps([_outcome(function, argument) for argument in arguments], pickle.HIGHEST_PROTOCOL)
            stream.write(LENGTH.pack(len(data)) + data)
            stream.flush()


def _outcome(function: Callable[[bytes], Any], argument: bytes) -> tuple[bool, Any]:
    try:
        return True, function(argument)
    except Exception as error:
        return False, f"{type(error).__name__}: {error}"


def main() -> None:
    """Serve on the socket that is standard input."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # of the terminal: the server's matter
    module, _, name = sys.argv[1].partition(":")
    try:
        serve(socket.socket(fileno=0), getattr(importlib.import_module(module), name))
    except (BrokenPipeError, ConnectionResetError, EOFError, pickle.UnpicklingError):
        pass  # the server is gone


if __name__ == "__main__":
    main()
