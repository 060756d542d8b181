"""A real DNS server for tests: Knot on a free port of 127.0.0.1 with zones given as text."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import tempfile
import unittest
from pathlib import Path

import dns.exception
import dns.message
import dns.query

_KNOTD = shutil.which("knotd", path=os.environ.get("PATH", "") + ":/usr/sbin:/usr/local/sbin")


class KnotServer:
    """One knotd process. A zone whose text is None is configured without a file: Knot answers SERVFAIL for it."""

    def __init__(self, zones: dict[str, str | None]) -> None:
        if _KNOTD is None:
            if os.environ.get("MAILNODE_TESTS_STRICT") == "1":
                raise AssertionError("knotd is not installed")
            raise unittest.SkipTest("knotd is not installed")
        self._directory = Path(tempfile.mkdtemp(prefix="mailnode-knot-"))
        self.port = _free_port()
        self.address = f"127.0.0.1:{self.port}"
        self._process = subprocess.Popen(
            [_KNOTD, "-c", str(self._configure(zones))], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        )
        self._wait(next(iter(zones)))

    def stop(self) -> None:
        """End the process and remove its files."""
        self._process.terminate()
        try:
            self._process.wait(10)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait(10)
        shutil.rmtree(self._directory, ignore_errors=True)

    def _configure(self, zones: dict[str, str | None]) -> Path:
        root = self._directory
        lines = [
            "server:",
            f"    rundir: {root}",
            f"    listen: 127.0.0.1@{self.port}",
            "    udp-workers: 1",
            "    tcp-workers: 1",
            "    background-workers: 1",
            "database:",
            f"    storage: {root}",
            "zone:",
        ]
        for name, text in zones.items():
            path = root / f"{name}.zone"
            if text is not None:
                soa = f"$ORIGIN {name}.\n$TTL 60\n@ SOA ns.{name}. root.{name}. 1 60 60 600 60\n@ NS ns.{name}.\n"
                path.write_text(soa + text)
            lines += [f"  - domain: {name}", f"    file: {path}", "    journal-content: none"]
        config = root / "knot.conf"
        config.write_text("\n".join(lines) + "\n")
        return config

    def _wait(self, zone: str) -> None:
        query = dns.message.make_query(zone, "SOA")
        for _ in range(100):
            if self._process.poll() is not None:
                raise AssertionError(f"knotd ended with {self._process.returncode}")
            try:
                if dns.query.udp(query, "127.0.0.1", timeout=0.1, port=self.port).rcode() == 0:
                    return
            except (dns.exception.DNSException, OSError):
                continue
        raise AssertionError("knotd does not answer")


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
