"""DNS that is signed and validated, of programs nobody here wrote: knot signs the zones, unbound validates and answers."""

from __future__ import annotations

import contextlib
from pathlib import Path

import dns.exception
import dns.flags
import dns.message
import dns.query
import dns.rdatatype
from servers import Process, program, wait_for

from tests.free_ports import free_port

ADDRESS = "127.0.0.1"
SOA = "@ 60 SOA ns hostmaster 1 3600 600 86400 60\n@ 60 NS ns\nns 60 A 127.0.0.1\n"


class SignedDns:
    """The zone ``test.``, signed, and zones below it that are signed by other keys or not at all. ``port``: unbound's."""

    def __init__(
        self,
        folder: Path,
        records: str,
        *,
        unsigned: dict[str, str] | None = None,
        signed: dict[str, str] | None = None,
    ) -> None:
        """:param records: lines of the zone file of ``test.``. :param unsigned: further zones. :param signed: such as have
        keys of their own, which only a DS record in ``records`` can vouch for."""
        self._folder = folder
        self._knot_port, self.port = free_port(), free_port()
        for name in ("knot", "keys", "run"):
            (folder / name).mkdir(parents=True)
        unsigned, signed = unsigned or {}, {"test": records, **(signed or {})}
        zones = signed | unsigned
        for zone, lines in zones.items():
            (folder / "knot" / zone).write_text(f"$ORIGIN {zone}.\n{SOA}{lines}")
        self._knot = Process([program("knotd"), "-c", str(self._knot_configuration(zones, signed))], cwd=folder)
        self._unbound: Process | None = None
        try:
            anchor = folder / "anchor"
            anchor.write_text(wait_for(self._keys, "a signed zone"))
            for zone in zones:
                wait_for(lambda zone=zone: self._ask(zone, "SOA", self._knot_port).answer, f"the zone {zone}")
            command = [program("unbound"), "-d", "-p", "-c", str(self._unbound_configuration(zones, anchor))]
            self._unbound = Process(command, cwd=folder)
            wait_for(lambda: self._ask("test", "SOA", self.port).flags & dns.flags.AD, "a validated answer")
        except BaseException:
            self.stop()
            raise

    def stop(self) -> None:
        """End both."""
        for process in filter(None, (self._unbound, self._knot)):
            process.stop()

    def _knot_configuration(self, zones: dict[str, str], signed: dict[str, str]) -> Path:
        path = self._folder / "knot.conf"
        path.write_text(
            f"server:\n    listen: {ADDRESS}@{self._knot_port}\n    rundir: {self._folder / 'run'}\n"
            f"database:\n    storage: {self._folder / 'keys'}\n"
            "log:\n  - target: stderr\n    any: info\n"
            "policy:\n  - id: own\n    algorithm: ecdsap256sha256\n"
            "zone:\n"
            + "".join(
                f"  - domain: {zone}.\n    storage: {self._folder / 'knot'}\n    file: {zone}\n"
                + ("    dnssec-signing: on\n    dnssec-policy: own\n" if zone in signed else "")
                for zone in zones
            )
        )
        return path

    def _unbound_configuration(self, zones: dict[str, str], anchor: Path) -> Path:
        path = self._folder / "unbound.conf"
        path.write_text(
            f'server:\n    interface: {ADDRESS}\n    port: {self.port}\n    username: ""\n    chroot: ""\n'
            f'    directory: "{self._folder}"\n    pidfile: ""\n    use-syslog: no\n    logfile: ""\n'
            f'    module-config: "validator iterator"\n    trust-anchor-file: "{anchor}"\n'
            '    do-not-query-localhost: no\n    local-zone: "test." nodefault\n'
            "remote-control:\n    control-enable: no\n"
            + "".join(
                f'stub-zone:\n    name: "{zone}."\n    stub-addr: {ADDRESS}@{self._knot_port}\n' for zone in zones
            )
        )
        return path

    def _keys(self) -> str:
        answer = self._ask("test", "DNSKEY", self._knot_port).answer
        return answer[0].to_text() if answer else ""

    def _ask(self, name: str, kind: str, port: int) -> dns.message.Message:
        query = dns.message.make_query(name + ".", kind)
        query.flags |= dns.flags.AD
        with contextlib.suppress(dns.exception.DNSException, OSError):
            return dns.query.udp(query, ADDRESS, timeout=0.5, port=port)
        return dns.message.make_response(query)
