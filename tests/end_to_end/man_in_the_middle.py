"""Somebody between a client and a server, whose certificate the client takes for the server's, and who alters what is said."""

from __future__ import annotations

import contextlib
import select
import socket
import ssl
import threading
from collections.abc import Callable

import trustme


class ManInTheMiddle:
    """Takes connections to one port of a server, each with TLS of its own on both sides."""

    def __init__(self, port: int, implicit: bool, alter: Callable[[bytes], bytes]) -> None:
        """:param port: the server's. :param implicit: whether TLS comes first; else STARTTLS or STLS is waited for.
        :param alter: what the client hears for what the server said, an answer at a time."""
        self._shown = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        trustme.CA().issue_cert("localhost").configure_cert(self._shown)
        self._outward = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        self._outward.check_hostname = False
        self._outward.verify_mode = ssl.CERT_NONE
        self._server, self._implicit = port, implicit
        self._alter = alter
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = self._listener.getsockname()[1]
        threading.Thread(target=self._serve, daemon=True).start()

    def _serve(self) -> None:
        with contextlib.suppress(OSError):  # closed
            while True:
                client, (address, _) = self._listener.accept()
                server = socket.create_connection(("127.0.0.1", self._server), 60, (address, 0))
                threading.Thread(target=self._relay, args=(client, server), daemon=True).start()

    def _relay(self, client: socket.socket, server: socket.socket) -> None:
        """The client says one thing and waits for the answer, so that no more than one is on its way."""
        with contextlib.suppress(OSError), contextlib.ExitStack() as ends:
            begins, asked = self._implicit, b""
            while True:
                if begins:
                    client, server = self._secured(client, server)
                    ends.callback(client.close)
                    ends.callback(server.close)
                ready, _, _ = select.select([client, server], [], [], 60)
                said = ready[0].recv(65536) if ready else b""
                if not said:
                    return
                if ready[0] is client:
                    server.sendall(said)
                    asked, begins = said, False
                else:
                    client.sendall(self._alter(said))
                    begins, asked = asked.endswith((b"STARTTLS\r\n", b"STLS\r\n")), b""

    def _secured(self, client: socket.socket, server: socket.socket) -> tuple[ssl.SSLSocket, ssl.SSLSocket]:
        return self._shown.wrap_socket(client, server_side=True), self._outward.wrap_socket(server)

    def close(self) -> None:
        """Take no more."""
        self._listener.close()
