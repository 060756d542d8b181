"""A program that keeps what clients were told. It outlives the server, and answers when a line is on the disk.

Usage: recorder.py FILE SOCKET. Lines come over any number of connections; each is answered by one octet once it is synced.
"""

from __future__ import annotations

import os
import selectors
import socket
import sys
from pathlib import Path

_PIECE = 1 << 16  # octets


def main() -> None:
    file = os.open(sys.argv[1], os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    listener = socket.socket(socket.AF_UNIX)
    listener.bind(sys.argv[2] + ".new")
    listener.listen()
    Path(sys.argv[2] + ".new").rename(sys.argv[2])  # whoever sees it can connect
    waiting = selectors.DefaultSelector()
    waiting.register(listener, selectors.EVENT_READ)
    unfinished: dict[socket.socket, bytes] = {}
    while True:
        told: list[tuple[socket.socket, bytes]] = []
        for key, _ in waiting.select():
            if key.fileobj is listener:
                connection, _ = listener.accept()
                waiting.register(connection, selectors.EVENT_READ)
                unfinished[connection] = b""
                continue
            connection = key.fileobj  # type: ignore[assignment]
            if not (data := connection.recv(_PIECE)):
                waiting.unregister(connection)
                connection.close()
                del unfinished[connection]
                continue
            whole, _, unfinished[connection] = (unfinished[connection] + data).rpartition(b"\n")
            if whole:
                told.append((connection, whole + b"\n"))
        if told:
            os.write(file, b"".join(lines for _, lines in told))
            os.fdatasync(file)
        for connection, lines in told:
            connection.sendall(b"." * lines.count(b"\n"))


if __name__ == "__main__":
    main()
