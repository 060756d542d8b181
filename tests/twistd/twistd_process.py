"""The real ``twistd -n mailnode`` as a process, for tests."""

import json
import os
import signal
import subprocess
import sys
import threading
import time
import urllib.request
from pathlib import Path

from tests.free_ports import free_offset
from tests.processes import PATIENCE, end, start

__all__ = ["PATIENCE", "Server", "command", "environment", "free_offset", "get", "health"]

ROOT = Path(__file__).parents[2]


def environment():
    """Return the environment of a child: this checkout, and no service manager."""
    env = dict(os.environ, PYTHONPATH=str(ROOT))
    env.pop("NOTIFY_SOCKET", None)
    return env


class Server:
    """One running server; a context manager."""

    def __init__(self, folder, *arguments, env=None, options=(), first=""):
        """:param first: statements that its Python runs before it starts."""
        self.lines = []
        self.process = start(
            [
                sys.executable,
                "-c",
                f"{first}\nfrom twisted.scripts.twistd import run; run()",
                "-n",
                "--pidfile=",
                *options,
                "mailnode",
                *map(str, arguments),
            ],
            cwd=folder,
            env={**environment(), **(env or {})},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        self._changed = threading.Condition()
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def _read(self):
        for line in self.process.stdout:
            with self._changed:
                self.lines.append(line.rstrip("\n"))
                self._changed.notify_all()

    def __enter__(self):
        return self

    def __exit__(self, *exc):
        end(self.process)
        self._reader.join(5)
        self.process.stdout.close()

    def wait_line(self, text, count=1):
        """Return the ``count``-th line that holds a text."""
        deadline = time.monotonic() + PATIENCE
        with self._changed:
            while True:
                found = [line for line in self.lines if text in line]
                if len(found) >= count:
                    return found[count - 1]
                if self.process.poll() is not None and not self._reader.is_alive():
                    raise AssertionError(f"ended with {self.process.returncode}:\n" + "\n".join(self.lines))
                if not self._changed.wait(max(0.0, min(0.5, deadline - time.monotonic()))):
                    assert time.monotonic() < deadline, "\n".join(self.lines)

    def ready(self):
        """Wait until it is up; return itself."""
        self.wait_line("server.start")
        return self

    def send(self, number):
        """Send a signal."""
        self.process.send_signal(number)

    def end(self, number=signal.SIGTERM):
        """Send a signal, wait for the end, return the exit code."""
        self.send(number)
        return self.process.wait(PATIENCE)


def command(folder, *arguments, stdin="", data=None):
    """Run the mailnode command; return (code, stdout, stderr)."""
    done = subprocess.run(
        [sys.executable, "-m", "mailnode.ctl.main", *map(str, arguments)],
        cwd=folder,
        env=environment(),
        input=stdin,
        capture_output=True,
        text=True,
        timeout=PATIENCE,
    )
    return done.returncode, done.stdout, done.stderr


def get(port, path):
    """Return (status, body) of an HTTP request to this machine."""
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}{path}", timeout=PATIENCE) as answer:
            return answer.status, answer.read()
    except urllib.error.HTTPError as error:
        with error:
            return error.code, error.read()


def health(port):
    """Return (status, object) of /health."""
    status, body = get(port, "/health")
    return status, json.loads(body)
