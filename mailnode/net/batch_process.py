"""The other side of :mod:`mailnode.net.batches`: a process that answers batches of calls. It loads nothing it does not
need.

A batch and its answer are a frame with a pickle in it: a list of the arguments of each call, a list of (good, values or
error as text).
"""

from __future__ import annotations

import importlib
import pickle
import signal
import socket
import sys
from collections.abc import Callable, Sequence
from typing import Literal, TypeAlias

from mailnode.net.frames import FrameReader, frame

# The functions' values, or why there are none.
Outcome: TypeAlias = tuple[Literal[True], tuple[object, ...]] | tuple[Literal[False], str]

_PIECE = 64 * 1024  # octets read at a time; room for more would be mapped anew for each


def serve(connection: socket.socket, *functions: Callable[..., object]) -> None:
    """Answer batches until the other side is gone; what the process does."""
    reader = FrameReader()
    while data := connection.recv(_PIECE):
        for batch in reader.receive(data):
            outcomes = [_outcome(functions, arguments) for arguments in pickle.loads(batch)]
            connection.sendall(frame(pickle.dumps(outcomes, pickle.HIGHEST_PROTOCOL)))


def _outcome(functions: Sequence[Callable[..., object]], arguments: Sequence[object]) -> Outcome:
    try:
        return True, tuple([function(*arguments) for function in functions])
    except Exception as error:
        return False, f"{type(error).__name__}: {error}"


def _named(name: str) -> Callable[..., object]:
    module, _, function = name.partition(":")
    named: Callable[..., object] = getattr(importlib.import_module(module), function)
    return named


def main() -> None:
    """Serve on the socket that is standard input."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # of the terminal: the server's matter
    try:
        serve(socket.socket(fileno=0), *map(_named, sys.argv[1:]))
    except (BrokenPipeError, ConnectionResetError):
        pass  # the server is gone


if __name__ == "__main__":
    main()
