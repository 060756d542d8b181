"""A program for the kill test: for every line on standard input it forks a child that opens the store and delivers until
it is killed, telling a socket what was acknowledged. Forking is quicker than importing everything fifty times.

Usage: kill_zygote.py STORE BLOBS SOCKET. Lines in: a prefix for the names of that round's messages. Lines out: ``dead``.
"""

from __future__ import annotations

import os
import socket
import sys
from pathlib import Path
from typing import Any

from fault_store import ACCOUNTS, Loop, Store

AT_ONCE = 4


def deliver_until_killed(directory: Path, blobs: Path, address: str, prefix: str) -> None:
    """Never returns. Each line to the socket is a name, acknowledged before it is written."""
    parent = socket.socket(socket.AF_UNIX)
    parent.connect(address)
    parent.sendall(b"%d\n" % os.getpid())
    loop = Loop()
    store = Store(directory, blobs, loop=loop)
    under_way: dict[str, list[Any]] = {}
    number = 0
    while True:
        while len(under_way) < AT_ONCE:
            name = f"{prefix}-{number}"
            under_way[name] = loop.begin(one_step(store, name, number))
            number += 1
        loop.wait_any(*under_way.values())
        for name in [name for name, outcome in under_way.items() if outcome]:
            outcome = under_way.pop(name)[0]
            if isinstance(outcome, BaseException):
                raise outcome
            parent.sendall(b"%s\n" % name.encode())


async def one_step(store: Store, name: str, number: int) -> Any:
    """To one account, to both, a large message, or into the queue: the name's ending says which."""
    if number % 4 == 3:
        return await store.enqueue(name)
    accounts = ACCOUNTS if number % 4 == 1 else ACCOUNTS[number % 2 : number % 2 + 1]
    return await store.deliver(name, accounts, 40_000 if number % 4 == 2 else 300)


def main() -> None:
    directory, blobs, address = Path(sys.argv[1]), Path(sys.argv[2]), sys.argv[3]
    for line in sys.stdin:
        child = os.fork()
        if not child:
            try:
                deliver_until_killed(directory, blobs, address, line.strip())
            finally:
                os._exit(1)
        _, status = os.waitpid(child, 0)
        print("dead" if os.WIFSIGNALED(status) else "failed", flush=True)


if __name__ == "__main__":
    main()
