"""A real authoritative name server for tests: knot on a free port of 127.0.0.1, which takes signed updates."""

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
import dns.tsig
import dns.tsigkeyring
import dns.update

from tests.free_ports import free_port
from tests.processes import PATIENCE, end, start

_KNOTD = shutil.which("knotd", path=os.environ.get("PATH", "") + ":/usr/sbin:/usr/local/sbin")

KEY = "update.example"
SECRET = "c2VjcmV0IG9mIHRoZSB0ZXN0cywgMzIgb2N0ZXRzIGFsbA=="


class KnotServer:
    """One knotd process with one zone. The key may change TXT, TLSA and A records, and no others."""

    def __init__(self, zone: str, records: str = "", algorithm: str = "hmac-sha256") -> None:
        """:param records: lines of the zone file, beside SOA and NS."""
        if _KNOTD is None:
            if os.environ.get("MAILNODE_TESTS_STRICT") == "1":
                raise AssertionError("knotd is not installed")
            raise unittest.SkipTest("knotd is not installed")
        self.zone, self.port = zone, free_port()
        self._directory = folder = Path(tempfile.mkdtemp(prefix="mailnode-knot-"))
        (folder / "db").mkdir()
        (folder / "zone").write_text(
            f"$ORIGIN {zone}.\n$TTL 60\n@ SOA ns hostmaster 1 3600 600 86400 60\n@ NS ns\nns A 127.0.0.1\n{records}"
        )
        (folder / "knot.conf").write_text(
            f"server:\n    listen: 127.0.0.1@{self.port}\n    rundir: {folder}\n"
            f"database:\n    storage: {folder / 'db'}\nlog:\n  - target: stderr\n    any: info\n"
            f"key:\n  - id: {KEY}\n    algorithm: {algorithm}\n    secret: {SECRET}\n"
            f"acl:\n  - id: updates\n    key: {KEY}\n    action: update\n    update-type: [TXT, TLSA, A]\n"
            f"  - id: looks\n    key: {KEY}\n    action: transfer\n"
            f"zone:\n  - domain: {zone}.\n    storage: {folder}\n    file: zone\n    acl: [updates, looks]\n"
            "    zonefile-load: difference-no-serial\n    journal-content: all\n    zonefile-sync: -1\n"
        )
        with (folder / "log").open("wb") as log:
            self._process = start([_KNOTD, "-c", str(folder / "knot.conf")], stdout=log, stderr=subprocess.STDOUT)
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

    def records(self, name: str, kind: str) -> list[str]:
        """Return what the server answers, sorted."""
        response = self._ask(name, kind)
        return sorted(data.to_text() for rrset in response.answer for data in rrset)

    def add(self, name: str, kind: str, value: str) -> None:
        """Add a record, as somebody else would."""
        update = dns.update.UpdateMessage(self.zone + ".")
        update.use_tsig(dns.tsigkeyring.from_text({KEY: SECRET}), algorithm=dns.tsig.HMAC_SHA256)
        update.add(name + ".", 60, kind, value)
        assert dns.query.tcp(update, "127.0.0.1", timeout=5, port=self.port).rcode() == 0

    def _ask(self, name: str, kind: str) -> dns.message.Message:
        return dns.query.tcp(dns.message.make_query(name + ".", kind), "127.0.0.1", timeout=5, port=self.port)

    def _wait(self) -> None:
        deadline = time.monotonic() + PATIENCE
        while time.monotonic() < deadline:
            try:
                if self._ask(self.zone, "SOA").answer:
                    return
            except (OSError, EOFError, dns.exception.DNSException):
                pass
            if self._process.poll() is not None:
                break
            time.sleep(0.02)
        raise AssertionError("knotd did not start: " + (self._directory / "log").read_text())
