"""A program that has imported the server and forks it: ``twistd mailnode`` starts without the seconds that imports take.

Usage: server_zygote.py. A line in: a JSON object of ``arguments`` for twistd, ``folder`` to run in and ``log`` to write to. A line
out: the process id, and when that process has ended, ``ended`` with its status.
"""

from __future__ import annotations

import ctypes
import importlib
import json
import os
import pkgutil
import signal
import sys
from typing import Any

import mailnode

# They import the reactor, whose descriptors children would share.
LEFT_OUT = ("mailnode.server.processes.worker", "mailnode.tap")
_PR_SET_PDEATHSIG = 1


def import_all() -> None:
    """Import what a server may need."""
    for module in pkgutil.walk_packages(mailnode.__path__, "mailnode."):
        if module.name not in LEFT_OUT:
            importlib.import_module(module.name)
    assert "twisted.internet.reactor" not in sys.modules


def serve(order: dict[str, Any]) -> None:
    """Be the server. Never returns."""
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    os.chdir(order["folder"])
    log = os.open(order["log"], os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    nothing = os.open(os.devnull, os.O_RDONLY)
    for old, new in ((nothing, 0), (log, 1), (log, 2)):
        os.dup2(old, new)
    os.close(log)
    os.close(nothing)
    sys.argv = ["twistd", *order["arguments"]]
    from twisted.scripts.twistd import run

    run()
    os._exit(0)


def main() -> None:
    import_all()
    while line := sys.stdin.readline():
        child = os.fork()
        if not child:
            try:
                serve(json.loads(line))
            finally:
                os._exit(70)
        print(child, flush=True)
        _, status = os.waitpid(child, 0)
        print("ended", os.waitstatus_to_exitcode(status), flush=True)


if __name__ == "__main__":
    main()
