"""Ports for the servers that tests start. Runs side by side, of one user, are given different ones."""

from __future__ import annotations

import contextlib
import fcntl
import itertools
import os
import socket
import tempfile
from pathlib import Path

# All below what the kernel gives to outgoing connections: a server that is stopped and started finds its port as it left it.
FIRST, SHARE, SHARES = 18_000, 250, 56
OFFSETS, OFFSET_SHARE, OFFSET_SHARES = (
    3_000,
    1_000,
    12,
)  # of the demonstration, whose ports lie closer together than that
DEMONSTRATION = (2525, 2587, 2465, 2143, 2993, 2110, 2995, 2190, 2080)

_held: dict[str, tuple[int, int]] = {}  # kind -> (share, descriptor of its lock)
_numbers = itertools.count(os.getpid() * 101)


def _share(kind: str, count: int) -> int:
    """Return the number of a share that is this process' alone until it ends."""
    if kind not in _held:
        folder = Path(tempfile.gettempdir()) / f"mailnode-test-ports-{os.getuid()}"
        folder.mkdir(mode=0o700, exist_ok=True)
        for turn in range(count):
            share = (os.getpid() + turn) % count
            descriptor = os.open(folder / f"{kind}-{share}", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                os.close(descriptor)
                continue
            _held[kind] = share, descriptor
            break
        else:
            raise AssertionError(f"more than {count} processes run tests")
    return _held[kind][0]


def free_port(address: str = "127.0.0.1") -> int:
    """Return a port that is free now, TCP and UDP, and that nobody else is given soon."""
    first = FIRST + _share("ports", SHARES) * SHARE
    for _ in range(SHARE):
        port = first + next(_numbers) % SHARE
        with socket.socket() as tcp, socket.socket(type=socket.SOCK_DGRAM) as udp, contextlib.suppress(OSError):
            tcp.bind((address, port))
            udp.bind((address, port))
            return port
    raise AssertionError("no free port")


def free_offset() -> int:
    """Return an offset at which all ports of the demonstration are free now."""
    first = OFFSETS + _share("offsets", OFFSET_SHARES) * OFFSET_SHARE
    width = OFFSET_SHARE - (max(DEMONSTRATION) - min(DEMONSTRATION))
    for _ in range(width):
        offset = first + next(_numbers) % width
        with contextlib.ExitStack() as taken, contextlib.suppress(OSError):
            for port in DEMONSTRATION:
                taken.enter_context(socket.create_server(("127.0.0.1", port + offset)))
            return offset
    raise AssertionError("no free ports")
