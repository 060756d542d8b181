"""A PostgreSQL cluster of our own for the contract tests: made in a temporary directory, reached by a unix socket,
durable settings, stopped at the end."""

from __future__ import annotations

import os
import pwd
import shutil
import subprocess
import tempfile
from pathlib import Path
from typing import Any

import psycopg


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
        self._templates: dict[str, dict[str, list[tuple[Any, ...]]]] = {}

    @property
    def url(self) -> str:
        return f"host={self.directory} dbname=postgres user=tests"

    def start(self) -> None:
        self._run("initdb", "-D", self._data, "-U", "tests", "-A", "trust", "-E", "UTF8", "--locale=C", "--no-sync")
        settings = f"-c listen_addresses='' -c unix_socket_directories='{self.directory}' -c fsync=on"
        try:
            self._run("pg_ctl", "start", "-w", "-D", self._data, "-l", self.directory / "log", "-o", settings)
        except BaseException:
            self.stop()  # it may run all the same, only not soon enough
            raise

    def stop(self) -> None:
        if (self._data / "postmaster.pid").exists():
            self._run("pg_ctl", "stop", "-w", "-m", "immediate", "-D", self._data)
        shutil.rmtree(self.directory)

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
            log = self.directory / "log"
            raise RuntimeError(f"{program} failed: {log.read_text() if log.exists() else done.returncode}")

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
