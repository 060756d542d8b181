"""A PostgreSQL cluster of our own for the contract tests: made in a temporary directory, reached by a unix socket,
durable settings, stopped at the end."""

from __future__ import annotations

import os
import pwd
import shutil
import signal
import subprocess
import tempfile
import time
from pathlib import Path
from typing import Any

import psycopg

from tests.processes import PATIENCE, start


def binaries() -> Path | None:
    """Return the directory of the newest server installed, or None."""
    found = shutil.which("initdb")
    if found:
        return Path(found).resolve().parent
    versions = sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"), key=lambda path: float(path.parts[-3]))
    return versions[-1].parent if versions else None


class Cluster:
    """One running server. initdb refuses root: root runs it as the user ``postgres``."""

    def __init__(self, programs: Path) -> None:
        self._programs = programs
        self._user: dict[str, Any] = {}
        self.directory = Path(tempfile.mkdtemp(prefix="mailnode-pg-"))
        if os.geteuid() == 0:
            entry = pwd.getpwnam("postgres")
            os.chown(self.directory, entry.pw_uid, entry.pw_gid)
            self._user = {"user": entry.pw_uid, "group": entry.pw_gid, "extra_groups": []}
        self._data = self.directory / "data"
        self._process: subprocess.Popen[bytes] | None = None
        self._templates: dict[str, dict[str, list[tuple[Any, ...]]]] = {}

    @property
    def url(self) -> str:
        return f"host={self.directory} dbname=postgres user=tests"

    def start(self) -> None:
        self._run("initdb", "-D", self._data, "-U", "tests", "-A", "trust", "-E", "UTF8", "--locale=C", "--no-sync")
        try:
            self.launch()
        except BaseException:
            self.stop()  # it may run all the same, only not soon enough
            raise

    def launch(self) -> None:
        """Start it on the data it has, and wait until it serves."""
        settings = ["-c", "listen_addresses=", "-c", f"unix_socket_directories={self.directory}", "-c", "fsync=on"]
        with open(self.directory / "log", "ab") as log:
            self._process = start(
                [str(self._programs / "postgres"), "-D", str(self._data), *settings],
                stdin=subprocess.DEVNULL, stdout=log, stderr=log, cwd=self.directory, **self._user,
            )  # fmt: skip
        deadline = time.monotonic() + PATIENCE
        while not self._serves():
            if self._process.poll() is not None or time.monotonic() > deadline:
                raise RuntimeError(f"postgres failed: {(self.directory / 'log').read_text()}")
            time.sleep(0.02)

    def stop(self) -> None:
        """End it at once, and remove what it kept."""
        if self._process is not None and self._process.poll() is None:
            self._process.send_signal(signal.SIGQUIT)  # an immediate shutdown
            self._process.wait(PATIENCE)
        shutil.rmtree(self.directory)

    def _serves(self) -> bool:
        try:
            psycopg.connect(self.url).close()
        except psycopg.OperationalError:
            return False
        return True

    def _run(self, program: str, *args: object) -> None:
        done = subprocess.run(
            [str(self._programs / program), *map(str, args)],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            cwd=self.directory,
            timeout=60,
            check=False,
            **self._user,
        )
        if done.returncode:
            raise RuntimeError(f"{program} failed: {done.returncode}")

    def empty(self, prefix: str) -> None:
        """Bring the schemas of a prefix back to what their migrations made: faster than making them anew."""
        with psycopg.connect(self.url) as connection:
            rows = connection.execute(
                "SELECT table_schema, table_name FROM information_schema.tables WHERE table_schema LIKE %s",
                (f"{prefix}\\_%",),
            ).fetchall()
            first = prefix not in self._templates
            template = self._templates.setdefault(prefix, {})
            for schema, table in rows:
                name = f"{schema}.{table}"
                if first:
                    template[name] = connection.execute(f"SELECT * FROM {name}").fetchall()
                elif name not in template:
                    connection.execute(f"DROP TABLE {name}")
                else:
                    connection.execute(f"DELETE FROM {name}")
                    for row in template[name]:
                        marks = ", ".join(["%s"] * len(row))
                        connection.execute(f"INSERT INTO {name} VALUES ({marks})", row)
