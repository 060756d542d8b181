"""Servers and commands as children of a process that has imported mailnode already: see node_zygote.py.

They run the same code with the same arguments, folder, environment and descriptors as an interpreter of their own would. What is
wrapped in another program, or has an environment that an interpreter reads when it starts, gets one: :func:`can_fork`. Whether
everything starts by itself is shown by tests/twistd, and where tests run commands as the documentation has them.
"""

from __future__ import annotations

import io
import json
import os
import select
import signal
import socket
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path

from tests.processes import start

ROOT = Path(__file__).parents[2]
PROGRAM = Path(__file__).with_name("node_zygote.py")
TWISTD = [sys.executable, "-c", "from twisted.scripts.twistd import run; run()"]
MAILNODE = [sys.executable, "-m", "mailnode.ctl.main"]


class Forked:
    """One of them, with what ``Popen`` has."""

    def __init__(self, told: int, stdout: io.BufferedReader | None = None) -> None:
        self._told = os.fdopen(told, "rb", buffering=0)
        self.stdout = stdout
        self.returncode: int | None = None
        self.pid = int(self._told.readline())

    def poll(self) -> int | None:
        """Return the exit status, or None while it runs."""
        if self.returncode is None and select.select([self._told], [], [], 0)[0]:
            self.wait()
        return self.returncode

    def wait(self, timeout: float | None = None) -> int:
        """Wait for the end and return the exit status. :param timeout: seconds."""
        if self.returncode is None:
            if not select.select([self._told], [], [], timeout)[0]:
                raise subprocess.TimeoutExpired(str(self.pid), timeout or 0)
            self.returncode = int(self._told.readline() or -signal.SIGKILL)  # nothing is told when all are killed
            self._told.close()
        return self.returncode

    def send_signal(self, number: int) -> None:
        """Send a signal, unless it has ended."""
        if self.poll() is None:
            os.kill(self.pid, number)

    def kill(self) -> None:
        """Send SIGKILL."""
        self.send_signal(signal.SIGKILL)


class Zygote:
    """The process that forks."""

    def __init__(self) -> None:
        self._orders, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self.environment = {**os.environ, "PYTHONPATH": str(ROOT)}
        with theirs:
            self.process = start(
                [sys.executable, str(PROGRAM), str(theirs.fileno())],
                pass_fds=[theirs.fileno()],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                cwd=ROOT,
                env=self.environment,
            )

    def fork(self, program: str, arguments: Sequence[str], folder: Path, env: Mapping[str, str], *standard: int) -> int:
        """Start a program with three descriptors. Return the one that tells of it."""
        order = {"program": program, "arguments": arguments, "folder": str(folder), "environment": dict(env)}
        ours, told = os.pipe()
        try:
            socket.send_fds(self._orders, [json.dumps(order).encode()], [*standard, told])
        finally:
            os.close(told)
        return ours


_zygotes: list[Zygote] = []


def zygote() -> Zygote:
    """Return the one of this process, started when it is first asked for."""
    if not _zygotes or _zygotes[-1].process.poll() is not None:
        _zygotes.append(Zygote())
    return _zygotes[-1]


def can_fork(command: Sequence[str], env: Mapping[str, str]) -> bool:
    """Return whether a fork does what this command would do: it is one of ours, and no other interpreter is asked for."""

    def read_early(environment: Mapping[str, str]) -> dict[str, str]:
        return {name: value for name, value in environment.items() if name.startswith(("PYTHON", "LD_"))}

    plain = list(command[:3]) in (TWISTD, MAILNODE)
    return plain and read_early(env) == read_early({**os.environ, "PYTHONPATH": str(ROOT)})


def serve(command: Sequence[str], folder: Path, env: Mapping[str, str] | None) -> Forked | subprocess.Popen[bytes]:
    """Start a command with its output, errors too, in a pipe."""
    if not can_fork(command, env or os.environ):
        return start(
            command, cwd=folder, env=env, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT
        )
    shown, output = os.pipe()
    try:
        with open(os.devnull, "rb") as nothing:
            told = zygote().fork("twistd", command[3:], folder, env, nothing.fileno(), output, output)
    finally:
        os.close(output)
    return Forked(told, os.fdopen(shown, "rb"))


def run(
    command: Sequence[str], folder: Path, env: Mapping[str, str], text: str, seconds: float
) -> subprocess.CompletedProcess[str]:
    """Run a command with a text as its input, and wait for its end."""
    if not can_fork(command, env):
        return subprocess.run(
            command, input=text, capture_output=True, text=True, env=env, cwd=folder, timeout=seconds, check=False
        )
    with tempfile.TemporaryFile() as told, tempfile.TemporaryFile() as out, tempfile.TemporaryFile() as err:
        told.write(text.encode())
        told.seek(0)
        standard = (told.fileno(), out.fileno(), err.fileno())
        child = Forked(zygote().fork("mailnode", command[3:], folder, env, *standard))
        try:
            code = child.wait(seconds)
        except subprocess.TimeoutExpired:
            child.kill()
            raise
        out.seek(0)
        err.seek(0)
        return subprocess.CompletedProcess(command, code, out.read().decode(), err.read().decode())
