"""Marionette, by which a program of Mozilla's is told what to do: over TCP, each packet JSON with its length before it."""

from __future__ import annotations

import json
import socket
from typing import Any

from servers import PATIENCE


class Marionette:
    """A session with a program that was started with ``--marionette``, in its own (privileged) context."""

    def __init__(self, port: int) -> None:
        """:raises OSError: nothing listens there yet."""
        self._socket = socket.create_connection(("127.0.0.1", port), PATIENCE)
        self._file = self._socket.makefile("rb")
        self._number = 0
        self._packet()  # the program's greeting
        self.ask("WebDriver:NewSession")
        self.ask("Marionette:SetContext", value="chrome")
        self.ask("WebDriver:SetTimeouts", script=PATIENCE * 1000)  # milliseconds

    def _packet(self) -> Any:
        length = b""
        while not length.endswith(b":"):
            octet = self._file.read(1)
            if not octet:
                raise ConnectionError("closed")
            length += octet
        return json.loads(self._file.read(int(length[:-1])))

    def ask(self, command: str, **parameters: Any) -> Any:
        """Give a command; return its result. :raises RuntimeError: it failed, with what the program says of it."""
        self._number += 1
        packet = json.dumps([0, self._number, command, parameters]).encode()
        self._socket.sendall(b"%d:%b" % (len(packet), packet))
        _, _, error, result = self._packet()
        if error:
            raise RuntimeError(f"{error['error']}: {error['message']}\n{error['stacktrace']}")
        return result

    def run(self, script: str, *arguments: Any) -> Any:
        """Run the body of an asynchronous function of ``args``; return what it returns."""
        whole = f"const done = arguments[1];\n(async (args) => {{{script}}})(arguments[0]).then(done, "
        whole += "(error) => done({failed: String(error) + (error.stack || '')}));"
        value = self.ask("WebDriver:ExecuteAsyncScript", script=whole, args=[list(arguments)], sandbox="system")[
            "value"
        ]
        if isinstance(value, dict) and "failed" in value:
            raise RuntimeError(value["failed"])
        return value

    def close(self) -> None:
        """Close the connection; the program runs on."""
        self._file.close()
        self._socket.close()
