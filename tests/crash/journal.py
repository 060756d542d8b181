"""What was asked of the server and what it acknowledged, in the order of time, kept by a process of its own."""

from __future__ import annotations

import json
import os
import socket
import sys
import threading
import time
from pathlib import Path
from typing import Any

from tests.crash.expected import Expected
from tests.end_to_end.servers import wait_for
from tests.processes import end, start

Entry = dict[str, Any]
HERE = Path(__file__).parent


class Journal:
    """The record of one run. Each thread has a connection of its own to the process that keeps it."""

    def __init__(self, folder: Path) -> None:
        self.path = folder / "journal"
        self._address = str(folder / "journal.socket")
        self._process = start([sys.executable, str(HERE / "recorder.py"), str(self.path), self._address])
        self._local = threading.local()
        self._lock = threading.Lock()
        self._changed = threading.Condition(self._lock)
        self.acknowledged = 0
        self._read_to = 0
        wait_for(lambda: os.path.exists(self._address) or self._process.poll() is not None, "the recorder")
        assert self._process.poll() is None, "no recorder"

    def begun(self, kind: str, **what: Any) -> Entry:
        """Record that something is about to be asked; return what :meth:`done` is given."""
        entry = {"kind": kind, **what}
        self._record({**entry, "phase": "begun"})
        return entry

    def done(self, entry: Entry, **more: Any) -> None:
        """Record that it was acknowledged. Returns when that is on the disk."""
        self._record({**entry, **more, "phase": "done"})
        with self._changed:
            self.acknowledged += 1
            self._changed.notify_all()

    def wait(self, count: int, seconds: float) -> None:
        """Wait until so many were acknowledged, at most so long."""
        with self._changed:
            self._changed.wait_for(lambda: self.acknowledged >= count, seconds)

    def _record(self, entry: Entry) -> None:
        if getattr(self._local, "connection", None) is None:
            self._local.connection = socket.socket(socket.AF_UNIX)
            self._local.connection.connect(self._address)
        line = json.dumps({"at": time.time(), **entry}) + "\n"
        self._local.connection.sendall(line.encode())
        if self._local.connection.recv(1) != b".":
            raise AssertionError("the recorder is gone")

    def feed(self, expected: Expected) -> None:
        """Tell what was recorded since the last call."""
        with self._lock, self.path.open("rb") as journal:
            journal.seek(self._read_to)
            new = journal.read()  # at once: a line that is being written must not be read as two
            whole = new[: new.rfind(b"\n") + 1]
            self._read_to += len(whole)
            expected.take(map(json.loads, whole.splitlines()))

    def hang_up(self) -> None:
        """Close this thread's connection."""
        if getattr(self._local, "connection", None) is not None:
            self._local.connection.close()
            self._local.connection = None

    def close(self) -> None:
        """End the process."""
        self.hang_up()
        end(self._process)
