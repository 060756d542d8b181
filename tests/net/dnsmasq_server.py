"""A real DNS server for tests: dnsmasq on a free port of 127.0.0.1, answering only from its configuration."""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
import time
import unittest
from pathlib import Path

import dns.exception
import dns.message
import dns.query

from tests.free_ports import free_port
from tests.processes import PATIENCE, end, start

_DNSMASQ = shutil.which("dnsmasq", path=os.environ.get("PATH", "") + ":/usr/sbin:/usr/local/sbin")


class DnsmasqServer:
    """One dnsmasq process. ``lines`` are its options; names nobody configured are refused (no upstream)."""

    def __init__(self, *lines: str) -> None:
        if _DNSMASQ is None:
            if os.environ.get("MAILNODE_TESTS_STRICT") == "1":
                raise AssertionError("dnsmasq is not installed")
            raise unittest.SkipTest("dnsmasq is not installed")
        self._directory = Path(tempfile.mkdtemp(prefix="mailnode-dns-"))
        self.port = free_port()
        self.address = f"127.0.0.1:{self.port}"
        config = self._directory / "dnsmasq.conf"
        fixed = ("no-resolv", "no-hosts", "bind-interfaces", "listen-address=127.0.0.1", "user=", f"port={self.port}")
        config.write_text("\n".join(fixed + lines) + "\n")
        self._log = self._directory / "log"
        with self._log.open("wb") as log:
            self._process = start(
                [_DNSMASQ, "--keep-in-foreground", "--log-facility=-", f"--conf-file={config}"],
                stdout=log,
                stderr=subprocess.STDOUT,
            )
        try:
            self._wait()
        except BaseException:
            self.stop()
            raise

    def stop(self) -> None:
        """End the process and remove its files."""
        self._process.terminate()
        try:
            self._process.wait(10)
        except subprocess.TimeoutExpired:
            end(self._process)
        shutil.rmtree(self._directory, ignore_errors=True)

    def _wait(self) -> None:
        query = dns.message.make_query("ready.example", "A")
        deadline = time.monotonic() + PATIENCE
        while time.monotonic() < deadline:
            if self._process.poll() is not None:
                raise AssertionError(f"dnsmasq ended: {self._log.read_text()}")
            try:
                dns.query.udp(query, "127.0.0.1", timeout=0.1, port=self.port)
            except (dns.exception.DNSException, OSError):
                continue
            return
        raise AssertionError("dnsmasq does not answer")
