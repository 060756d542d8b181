"""Ports for the servers that tests start."""

from __future__ import annotations

import contextlib
import itertools
import os
import socket

# Below what the kernel gives to outgoing connections: a server that is stopped and started finds its port as it left it.
FIRST, LAST = 18_000, 32_000
SHARE = 800  # ports of one of the processes among which the tests are distributed
SHARES = (LAST - FIRST) // SHARE

_share = int(os.environ.get("PYTEST_XDIST_WORKER", "gw0").removeprefix("gw")) % SHARES
_numbers = itertools.count(os.getpid() * 101)  # two runs side by side begin far from each other


def free_port(address: str = "127.0.0.1") -> int:
    """Return a port that is free now, TCP and UDP, and that nobody else is given soon."""
    while True:
        port = FIRST + _share * SHARE + next(_numbers) % SHARE
        with socket.socket() as tcp, socket.socket(type=socket.SOCK_DGRAM) as udp, contextlib.suppress(OSError):
            tcp.bind((address, port))
            udp.bind((address, port))
            return port
