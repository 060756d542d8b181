"""The other side of :mod:`mailnode.net.processes`: a process that runs what it is asked to. It loads nothing it does not need.

A call is a frame with a pickle of the function and its arguments; its answer one of (good, value or error). An error of ours
travels as it is, any other as its text.
"""

from __future__ import annotations

import os
import pickle
import signal
import socket
import sys
import threading
from collections.abc import Callable
from queue import SimpleQueue
from typing import Literal, TypeAlias

from mailnode.net.frames import FrameReader, frame

Outcome: TypeAlias = tuple[Literal[True], object] | tuple[Literal[False], Exception | str]

_PIECE = 256 * 1024  # octets read at a time


def loaded(function: Callable[..., object]) -> None:
    """Have the module of a function that is to run here: whoever was sent it has loaded that."""


def main() -> None:
    """Answer on the socket that is standard input. The argument: by how much other processes are preferred."""
    os.nice(int(sys.argv[1]))
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # of the terminal: the server's matter
    connection = socket.socket(fileno=0)
    calls: SimpleQueue[bytes] = SimpleQueue()
    threading.Thread(target=_receive, args=(connection, calls), daemon=True).start()
    while True:
        connection.sendall(_answer(calls.get()))


def _receive(connection: socket.socket, calls: SimpleQueue[bytes]) -> None:
    """Take calls, and end with the server, in the middle of work too."""
    reader = FrameReader()
    try:
        while data := connection.recv(_PIECE):
            for call in reader.receive(data):
                calls.put(call)
    finally:
        os._exit(0)


def _answer(call: bytes) -> bytes:
    try:
        function, arguments = pickle.loads(call)
        return frame(pickle.dumps((True, function(*arguments)), pickle.HIGHEST_PROTOCOL))
    except Exception as error:
        kind = type(error)
        told = error if kind.__module__.startswith("mailnode.") else f"{kind.__name__}: {error}"
        return frame(pickle.dumps((False, told), pickle.HIGHEST_PROTOCOL))


if __name__ == "__main__":
    main()
