"""A root of DNS of one's own, signed by knot and validated by unbound, whose records a test can change."""

from __future__ import annotations

import signal
from pathlib import Path

import dns.exception
import dns.flags
import dns.message
import dns.query
from servers import Process, program, wait_for

from tests.free_ports import free_port

ADDRESS = "127.0.0.1"
SOA = "@ 1 SOA ns.test. hostmaster.test. 1 3600 600 86400 1\n@ 1 NS ns.test.\nns.test. 1 A 127.0.0.1\n"


class SignedRoot:
    """The zone ``.`` with everything in it. ``port``: unbound's, which says of it that it has validated."""

    def __init__(self, folder: Path, records: str) -> None:
        """:param records: lines of a zone file, with full names."""
        self._folder = folder
        self._knot_port, self.port = free_port(), free_port()
        for name in ("keys", "run"):
            (folder / name).mkdir(parents=True)
        self._zone = folder / "root.zone"
        self._changes = 0
        self._write(records)
        self._unbound: Process | None = None
        self._knot: Process | None = None
        try:
            self.begin()
            anchor = folder / "anchor"
            anchor.write_text(wait_for(self._key, "a signed root"))
            command = [program("unbound"), "-d", "-p", "-c", str(self._unbound_configuration(anchor))]
            self._unbound = Process(command, cwd=folder)
            wait_for(lambda: self._ask("NS", self.port).flags & dns.flags.AD, "a validated answer")
        except BaseException:
            self.stop()
            raise

    def begin(self) -> None:
        """Start the zone's server, once more."""
        self._knot = Process([program("knotd"), "-c", str(self._knot_configuration())], cwd=self._folder)
        wait_for(lambda: self._ask("SOA", self._knot_port).answer, "the root")

    def silence(self) -> None:
        """End the zone's server: who asks has no answer."""
        if self._knot is not None:
            self._knot.stop()

    def forget(self) -> None:
        """Have unbound forget what it knows; whether anybody answers it or not."""
        if self._unbound is not None:
            after = len(self._unbound.lines)
            self._unbound.popen.send_signal(signal.SIGHUP)
            self._unbound.wait_line("start of service", after=after)

    def change(self, records: str) -> None:
        """Serve other records; return when they are served."""
        before = self._serial()
        self._write(records)
        control = [program("knotc"), "-c", str(self._folder / "knot.conf"), "zone-reload", "."]
        done = Process(control, cwd=self._folder)
        done.popen.wait(10)
        done.stop()
        wait_for(lambda: self._serial() not in (before, 0), "the changed root")
        self.forget()

    def stop(self) -> None:
        """End both."""
        for process in filter(None, (self._unbound, self._knot)):
            process.stop()

    def _write(self, records: str) -> None:
        self._changes += 1  # a zone that is as it was keeps its number
        self._zone.write_text(f'$ORIGIN .\n{SOA}changes.test. 1 TXT "{self._changes}"\n{records}')

    def _knot_configuration(self) -> Path:
        path = self._folder / "knot.conf"
        path.write_text(
            f"server:\n    listen: {ADDRESS}@{self._knot_port}\n    rundir: {self._folder / 'run'}\n"
            f"database:\n    storage: {self._folder / 'keys'}\n"
            "log:\n  - target: stderr\n    any: info\n"
            "policy:\n  - id: own\n    algorithm: ecdsap256sha256\n"
            f"zone:\n  - domain: .\n    storage: {self._folder}\n    file: {self._zone.name}\n"
            "    dnssec-signing: on\n    dnssec-policy: own\n    serial-policy: increment\n    zonefile-sync: -1\n"
            "    zonefile-load: difference-no-serial\n    journal-content: all\n"
        )
        return path

    def _unbound_configuration(self, anchor: Path) -> Path:
        path = self._folder / "unbound.conf"
        path.write_text(
            f'server:\n    interface: {ADDRESS}\n    port: {self.port}\n    username: ""\n    chroot: ""\n'
            f'    directory: "{self._folder}"\n    pidfile: ""\n    use-syslog: no\n    logfile: ""\n'
            f'    module-config: "validator iterator"\n    trust-anchor-file: "{anchor}"\n'
            '    do-not-query-localhost: no\n    local-zone: "test." nodefault\n'
            "remote-control:\n    control-enable: no\n"
            f'stub-zone:\n    name: "."\n    stub-addr: {ADDRESS}@{self._knot_port}\n'
        )
        return path

    def _key(self) -> str:
        answer = self._ask("DNSKEY", self._knot_port).answer
        return answer[0].to_text() if answer else ""

    def _serial(self) -> int:
        answer = self._ask("SOA", self._knot_port).answer
        return answer[0][0].serial if answer else 0

    def _ask(self, kind: str, port: int) -> dns.message.Message:
        query = dns.message.make_query(".", kind)
        query.flags |= dns.flags.AD
        try:
            return dns.query.udp(query, ADDRESS, timeout=0.5, port=port)
        except (dns.exception.DNSException, OSError):
            return dns.message.make_response(query)
