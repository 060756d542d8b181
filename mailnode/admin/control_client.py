"""Asks a running server over its control socket. Blocks, and needs no Twisted: a script may call many commands.

:mod:`mailnode.admin.control_socket` is the other end, and tells what goes over it.
"""

from __future__ import annotations

import contextlib
import json
import os
import socket
from collections.abc import Iterator, Mapping
from pathlib import Path

from mailnode.admin.operations import OpenFile, OperationFailed, Reason

SOCKET = "control.sock"
MAX_REQUEST = 256 * 1024  # octets of one line
MAX_ANSWER = 64 * 1024 * 1024
ANSWER_TIMEOUT = 600.0  # seconds a command may take
_SUN_PATH = 100  # octets; sun_path holds 108


@contextlib.contextmanager
def short_path(path: Path) -> Iterator[str]:
    """Yield a path to the same file that fits into a socket address, by way of a descriptor of its directory."""
    if len(os.fsencode(path)) <= _SUN_PATH:
        yield str(path)
        return
    descriptor = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        yield f"/proc/self/fd/{descriptor}/{path.name}"
    finally:
        os.close(descriptor)


def ask(data: Path, name: str, arguments: Mapping[str, object], timeout: float | None = ANSWER_TIMEOUT) -> object:
    """Ask the server that runs on a data directory.

    :param timeout: seconds without an answer after which it counts as gone; None: as long as the connection stands.

    :raises FileNotFoundError: no server listens there.
    :raises OperationFailed: what the server says, or that it does not answer (code 4).
    """
    files = {key: value for key, value in arguments.items() if isinstance(value, OpenFile)}
    plain = {key: value for key, value in arguments.items() if key not in files}
    request = json.dumps({"command": name, "arguments": plain, "files": list(files)}).encode() + b"\n"
    with socket.socket(socket.AF_UNIX) as client:
        client.settimeout(timeout)
        try:
            with short_path(data / SOCKET) as path:
                client.connect(path)
        except (FileNotFoundError, ConnectionRefusedError):
            raise FileNotFoundError(data / SOCKET) from None
        except PermissionError:
            raise OperationFailed(
                Reason.UNREACHABLE, f"{data}: only the owner of the data directory may do this"
            ) from None
        except OSError as error:
            raise OperationFailed(Reason.UNREACHABLE, f"{data / SOCKET}: {error.strerror}") from None
        if len(request) > MAX_REQUEST:
            raise OperationFailed(Reason.WRONG_VALUE, "that is more than a running server is told")
        try:
            sent = socket.send_fds(client, [request], list(files.values())) if files else 0
            client.sendall(request[sent:])
            answer = json.loads(_read_line(client))
            if not isinstance(answer, dict):
                raise ValueError
        except (OSError, ValueError, RecursionError):
            raise OperationFailed(Reason.UNREACHABLE, "the server does not answer") from None
    if "result" in answer:
        return answer["result"]
    reason = next((reason for reason in Reason if reason == answer.get("code")), Reason.FAILED)
    raise OperationFailed(reason, str(answer.get("error", "refused")))


def _read_line(client: socket.socket) -> bytes:
    data = bytearray()
    while not data.endswith(b"\n"):
        piece = client.recv(65536)
        if not piece or len(data) > MAX_ANSWER:
            raise ConnectionResetError
        data += piece
    return bytes(data)
