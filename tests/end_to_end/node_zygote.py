"""A program that has imported mailnode and forks for every order, so that a server, or a command, starts without the second or two
of processor time that imports take.

Usage: node_zygote.py DESCRIPTOR, of a socket on which orders arrive. One is a JSON object of ``program`` (twistd or mailnode),
``arguments``, ``folder`` to run in and ``environment``; with it come descriptors: standard input, output and error, and a pipe, on
which the process id is told, and the exit status when it has ended, a line each.
"""

from __future__ import annotations

import contextlib
import ctypes
import gc
import importlib
import json
import os
import pkgutil
import signal
import socket
import sys
import time
from collections.abc import Callable
from typing import Any

LARGEST = 1 << 20  # octets of an order
# They import the reactor, whose descriptors children would share.
LEFT_OUT = ("mailnode.server.processes.worker", "mailnode.tap")
_PR_SET_PDEATHSIG = 1


def import_all() -> None:
    """Import what a server, or a command, may need."""
    mailnode = importlib.import_module("mailnode")
    for module in pkgutil.walk_packages(mailnode.__path__, "mailnode."):
        if module.name not in LEFT_OUT:
            importlib.import_module(module.name)
    importlib.import_module("twisted.plugins")
    importlib.import_module("twisted.scripts._twistd_unix")
    assert "twisted.internet.reactor" not in sys.modules


def forked() -> int:
    """Fork a child that is killed when this process ends. Return its process id, or 0 in the child."""
    ours = os.getpid()
    child = os.fork()
    if not child:
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
        if os.getppid() != ours:  # too late for the signal
            os._exit(1)
    return child


def program(order: dict[str, Any], standard: list[int]) -> Callable[[], object]:
    """Return the program of an order, and be what an interpreter is that starts it."""
    for number, descriptor in enumerate(standard):
        os.dup2(descriptor, number)
    os.closerange(3, max(map(int, os.listdir("/proc/self/fd"))) + 1)
    os.chdir(order["folder"])
    os.environ.clear()
    os.environ.update(order["environment"])
    time.tzset()
    sys.path[0] = ""
    sys.argv = [order["program"], *order["arguments"]]
    if order["program"] == "twistd":
        from twisted.scripts.twistd import run as main
    else:
        from mailnode.ctl.main import main
    return main


def watch(order: dict[str, Any], standard: list[int], told: int) -> Callable[[], object] | None:
    """Tell of a child. Return the program that is to run, in the child alone."""
    child = forked()
    if not child:
        return program(order, standard)
    for descriptor in standard:
        os.close(descriptor)
    os.write(told, b"%d\n" % child)
    _, status = os.waitpid(child, 0)
    os.write(told, b"%d\n" % os.waitstatus_to_exitcode(status))
    os._exit(0)


def reap() -> None:
    """Forget children that have ended."""
    with contextlib.suppress(ChildProcessError):
        while os.waitpid(-1, os.WNOHANG)[0]:
            pass


def next_program(orders: socket.socket) -> Callable[[], object] | None:
    """Fork for every order. Return in the children, each with its program, and with None when there are no more."""
    while True:
        message, descriptors, _, _ = socket.recv_fds(orders, LARGEST, 4)
        if not message:
            return None
        if not forked():
            *standard, told = descriptors
            return watch(json.loads(message), standard, told)
        for descriptor in descriptors:
            os.close(descriptor)
        reap()


if __name__ == "__main__":
    import_all()
    gc.freeze()
    found = next_program(socket.socket(fileno=int(sys.argv[1])))
    sys.exit(found() if found else 0)
