"""An internet of its own in network namespaces: a root zone of DNS, a resolver that validates, mail servers of others, and a bare
machine that setup works on. Nothing of it is reached from outside, nor reaches anything there."""

from __future__ import annotations

import contextlib
import itertools
import json
import os
import shutil
import signal
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest
import trustme
from servers import PASSWORD, PATIENCE, ROOT, STRICT, Postfix, Process, program, wait_for

VPS, WORLD, PEER, BIG = "198.51.100.7", "198.51.100.53", "198.51.100.25", "198.51.100.26"
POST = "198.51.100.27"
REVERSE = "100.51.198.in-addr.arpa"
KEY = "c2VjcmV0IHNlY3JldCBzZWNyZXQgc2VjcmV0IHNlY3I="
NAMES = itertools.count()
KINDS = ("A", "AAAA", "CAA", "CNAME", "MX", "SRV", "TLSA", "TXT")
ROOT_ZONE = f"""\
$TTL 60
@ SOA ns.root. hostmaster.root. 1 3600 600 86400 60
@ NS ns.root.
ns.root. A {WORLD}
gmail.com. MX 10 mx.big.example.
outlook.com. MX 10 mx.big.example.
mx.big.example. A {BIG}
time.cloudflare.com. A {WORLD}
time.google.com. A {WORLD}
2.0.0.127.zen.spamhaus.org. A 127.0.0.2
2.0.0.127.bl.spamcop.net. A 127.0.0.2
peer.net. MX 10 mx.peer.net.
peer.net. TXT "v=spf1 mx -all"
mx.peer.net. A {PEER}
25.{REVERSE}. PTR mx.peer.net.
post.net. MX 10 mx.post.net.
mx.post.net. A {POST}
27.{REVERSE}. PTR mx.post.net.
{{ptr}}
example.org. NS ns1.example.org.
ns1.example.org. A {WORLD}
"""
EXAMPLE_ZONE = f"""\
$TTL 1
@ SOA ns1 hostmaster 1 3600 600 86400 1
@ NS ns1
ns1 A {WORLD}
{{records}}
"""


def must(*command: object) -> str:
    """Run a program of the system."""
    return subprocess.run(list(map(str, command)), check=True, capture_output=True, text=True, timeout=60).stdout


class Internet:
    """Two namespaces with a wire between them."""

    def __init__(self, folder: Path, *, ptr: bool = True, records: str = "") -> None:
        """:param folder: that every user gets through to. :param records: of example.org from the start on."""
        if os.geteuid() != 0:
            (pytest.fail if STRICT else pytest.skip)("network namespaces are made by root (ip netns)")
        for name in ("ip", "knotd", "unbound"):
            program(name)
        self.folder = folder
        number = f"{os.getpid()}-{next(NAMES)}"
        self.vps, self.world = f"mn-vps-{number}", f"mn-net-{number}"
        self.processes: list[Process | Postfix] = []
        self._ptr, self._records = ptr, records
        try:
            self._wire(number)
            self._dns()
            self._big()
        except BaseException:
            self.stop()
            raise

    def _wire(self, number: str) -> None:
        for name in (self.vps, self.world):
            must("ip", "netns", "add", name)
            must("ip", "-n", name, "link", "set", "lo", "up")
        must("ip", "-n", self.vps, "link", "add", "eth0", "type", "veth", "peer", "name", "eth0", "netns", self.world)
        must("ip", "-n", self.vps, "addr", "add", f"{VPS}/24", "dev", "eth0")
        for address in (WORLD, PEER, BIG, POST):
            must("ip", "-n", self.world, "addr", "add", f"{address}/24", "dev", "eth0")
        for name in (self.vps, self.world):
            must("ip", "-n", name, "link", "set", "eth0", "up")
            must("ip", "-n", name, "route", "add", "default", "via", WORLD if name == self.vps else VPS)
            place = Path("/etc/netns") / name  # ip netns exec shows it as /etc/resolv.conf
            place.mkdir(parents=True)
            (place / "resolv.conf").write_text(
                "nameserver 127.0.0.1\n" if name == self.vps else f"nameserver {WORLD}\n"
            )

    def inside(self, name: str, command: list[object]) -> list[str]:
        """Return a command that runs in a namespace."""
        return ["ip", "netns", "exec", name, *map(str, command)]

    def _start(self, name: str, command: list[object], ready: str = "") -> Process:
        process = Process(self.inside(name, command), cwd=self.folder, env=dict(os.environ, PYTHONPATH=str(ROOT)))
        self.processes.append(process)
        if ready:
            process.wait_ready(ready)
        return process

    def _dns(self) -> None:
        zones = self.folder / "zones"
        zones.mkdir()
        (self.folder / "run").mkdir()
        (self.folder / "keys").mkdir()
        ptr = f"7.{REVERSE}. PTR mail.example.org." if self._ptr else ""
        (zones / "root").write_text(ROOT_ZONE.format(ptr=ptr))
        (zones / "example.org").write_text(EXAMPLE_ZONE.format(records=self._records))
        (self.folder / "knot.conf").write_text(
            textwrap.dedent(f"""\
                server:
                    listen: {WORLD}@53
                    rundir: {self.folder / "run"}
                database:
                    storage: {self.folder / "keys"}
                log:
                  - target: stderr
                    any: info
                key:
                  - id: setup.
                    algorithm: hmac-sha256
                    secret: {KEY}
                acl:
                  - id: setup
                    key: setup.
                    action: update
                  - id: all
                    action: transfer
                policy:
                  - id: own
                    algorithm: ecdsap256sha256
                zone:
                  - domain: .
                    storage: {zones}
                    file: root
                    dnssec-signing: on
                    dnssec-policy: own
                  - domain: example.org.
                    storage: {zones}
                    file: example.org
                    acl: [setup, all]
                    zonefile-sync: -1
                    journal-content: all
                """)
        )
        (self.folder / "zone.key").write_text(f'key "setup." {{ algorithm hmac-sha256; secret "{KEY}"; }};\n')
        self._start(self.world, [program("knotd"), "-c", self.folder / "knot.conf"])
        anchor = wait_for(lambda: self.dig(".", "DNSKEY", f"@{WORLD}"), "a signed root")
        (self.folder / "anchor").write_text("".join(f". 60 IN DNSKEY {line}\n" for line in anchor.splitlines()))
        wait_for(lambda: self.dig("example.org.", "SOA", f"@{WORLD}"), "the zone")
        (self.folder / "unbound.conf").write_text(
            textwrap.dedent(f"""\
                server:
                    interface: 127.0.0.1
                    username: ""
                    chroot: ""
                    directory: "{self.folder}"
                    pidfile: ""
                    use-syslog: no
                    logfile: ""
                    root-hints: "{self.folder / "hints"}"
                    module-config: "validator iterator"
                    trust-anchor-file: "{self.folder / "anchor"}"
                    local-zone: "{REVERSE}." nodefault
                    infra-host-ttl: 1
                    cache-max-ttl: 1
                    cache-max-negative-ttl: 1
                remote-control:
                    control-enable: no
                """)
        )
        (self.folder / "hints").write_text(f". 60 NS ns.root.\nns.root. 60 A {WORLD}\n")
        self._start(self.vps, [program("unbound"), "-d", "-p", "-c", self.folder / "unbound.conf"])
        wait_for(lambda: self.dig("gmail.com.", "MX", "@127.0.0.1", name=self.vps), "the resolver")

    def dig(self, owner: str, kind: str, at: str, name: str = "") -> str:
        """Return what DNS says; "" for nothing."""
        asking = (
            "import sys, dns.message, dns.query\n"
            "query = dns.message.make_query(sys.argv[1], sys.argv[2], want_dnssec=False)\n"
            "answer = dns.query.udp(query, sys.argv[3], timeout=2).answer\n"
            "print('\\n'.join(one.to_text() for rrset in answer for one in rrset))\n"
        )
        command = self.inside(name or self.world, [sys.executable, "-c", asking, owner, kind, at[1:]])
        done = subprocess.run(command, capture_output=True, text=True, timeout=20)
        return done.stdout.strip()

    def update(self, *lines: str) -> None:
        """Change the zone of example.org, as nsupdate reads it."""
        text = "\n".join([f"server {WORLD}", "zone example.org.", *lines, "send", ""])
        command = self.inside(self.world, [program("nsupdate"), "-k", self.folder / "zone.key"])
        subprocess.run(command, input=text, text=True, check=True, capture_output=True, timeout=60)

    def forget(self) -> None:
        """Take out of that zone what stands there beside its servers."""
        names = {".".join(labels) for labels in self._names()}
        self.update(*(f"update delete {name} {kind}" for name in sorted(names) for kind in KINDS))

    def _names(self) -> set[tuple[str, ...]]:
        asking = (
            "import sys, dns.query, dns.zone\n"
            "zone = dns.zone.from_xfr(dns.query.xfr(sys.argv[1], 'example.org'))\n"
            "print('\\n'.join(name.derelativize(zone.origin).to_text() for name in zone.nodes))\n"
        )
        done = must(*self.inside(self.world, [sys.executable, "-c", asking, WORLD]))
        return {tuple(name.split(".")) for name in done.split() if name != "ns1.example.org."}

    def _big(self) -> None:
        """The mail server of two large domains, which greets, and a time server: that is all that is asked of them."""
        greeter = self.folder / "greeter.py"
        greeter.write_text(
            textwrap.dedent(f"""\
                import socketserver
                import struct
                import threading
                import time

                class Clock(socketserver.BaseRequestHandler):
                    def handle(self):
                        asked, link = self.request
                        now = struct.pack(">II", int(time.time()) + 2208988800, int(time.time() % 1 * 2**32))
                        head = bytes([0x24, 1, 0, 0]) + bytes(12)
                        link.sendto(head + now + asked[40:48] + now + now, self.client_address)

                clock = socketserver.ThreadingUDPServer(("{WORLD}", 123), Clock)
                threading.Thread(target=clock.serve_forever, daemon=True).start()

                class Greeter(socketserver.StreamRequestHandler):
                    def handle(self):
                        self.wfile.write(b"220 mx.big.example ESMTP\\r\\n")
                        for line in self.rfile:
                            self.wfile.write(b"221 bye\\r\\n" if line[:4] == b"QUIT" else b"250 mx.big.example\\r\\n")

                socketserver.ThreadingTCPServer.allow_reuse_address = True
                server = socketserver.ThreadingTCPServer(("{BIG}", 25), Greeter)
                print("greets", flush=True)
                server.serve_forever()
                """)
        )
        self._start(self.world, [sys.executable, greeter], "greets")

    def add_peer(self) -> None:
        """Start the mail server of peer.net, which judges what comes, and leads echo@peer.net back to where it came from."""
        folder = self.folder / "peer"
        folder.mkdir()
        config = folder / "mailnode.toml"
        config.write_text(
            textwrap.dedent(f"""\
                [server]
                hostname = "mx.peer.net"
                data = "{folder / "data"}"
                addresses = ["{PEER}"]
                [dns]
                servers = ["{WORLD}"]
                [limits]
                greet_pause = 0
                [[domain]]
                name = "peer.net"
                [[listener]]
                protocol = "smtp"
                endpoint = "tcp:25:interface={PEER}"
                """)
        )
        command = [sys.executable, "-m", "mailnode.ctl.main", "--config", config]
        twistd = [sys.executable, "-c", "from twisted.scripts.twistd import run; run()"]
        self._start(self.world, [*twistd, "-n", "--pidfile=", "mailnode", "--config", config], "server.start")
        env = dict(os.environ, PYTHONPATH=str(ROOT))
        for words, text in (
            (["account", "add", "who@peer.net", "--password-stdin"], PASSWORD + "\n"),
            (["alias", "add", "echo@peer.net", "you@example.org"], ""),
        ):
            subprocess.run(
                [*map(str, command), *words], input=text, check=True, text=True, env=env, capture_output=True
            )

    def add_postfix(self) -> None:
        """Start the mail server of post.net, which nobody here wrote: it takes mail for bounces@post.net, and sends it back."""
        postfix = Postfix("post.net", POST, 25, [])
        (postfix.configuration / "transport").write_text("bounces@post.net error:5.1.1 nobody reads this\n")
        with (postfix.configuration / "main.cf").open("a") as main:
            main.write(
                "inet_interfaces = all\nsmtp_dns_support_level = enabled\nsmtp_host_lookup = dns\n"
                f"smtp_bind_address = {POST}\nsmtpd_reject_unlisted_recipient = no\n"
            )
        self.processes.append(postfix)
        postfix.start(self.inside(self.world, []))

    def add_authority(self) -> tuple[str, Path]:
        """Start pebble, which looks at the names of the machine as this internet has them; return its directory and who vouches
        for its own web server."""
        folder = self.folder / "pebble"
        folder.mkdir()
        authority = trustme.CA()
        authority.cert_pem.write_to_path(str(folder / "ca.pem"))
        issued = authority.issue_cert(WORLD)
        issued.private_key_pem.write_to_path(str(folder / "key.pem"))
        (folder / "cert.pem").write_bytes(b"".join(part.bytes() for part in issued.cert_chain_pems))
        settings = {
            "listenAddress": f"{WORLD}:14000",
            "managementListenAddress": f"{WORLD}:15000",
            "certificate": str(folder / "cert.pem"),
            "privateKey": str(folder / "key.pem"),
            "httpPort": 80,
            "tlsPort": 443,
            "ocspResponderURL": "",
            "externalAccountBindingRequired": False,
        }
        (folder / "pebble.json").write_text(json.dumps({"pebble": settings}))
        command = [program("pebble"), "-config", folder / "pebble.json", "-dnsserver", f"{WORLD}:53"]
        quick = ["env", "PEBBLE_VA_NOSLEEP=1", "PEBBLE_WFE_NONCEREJECT=20"]
        self._start(self.world, [*quick, *command], "ACME directory available")
        return f"https://{WORLD}:14000/dir", folder / "ca.pem"

    def stop(self) -> None:
        """End all of it."""
        for process in reversed(self.processes):
            with contextlib.suppress(AssertionError):
                process.stop()
        for name in (self.vps, self.world):
            subprocess.run(["ip", "netns", "del", name], capture_output=True)
            shutil.rmtree(Path("/etc/netns") / name, ignore_errors=True)
        with contextlib.suppress(OSError):
            Path("/etc/netns").rmdir()


class Machine:
    """A bare machine in it: its places, and what setup is told."""

    def __init__(self, internet: Internet, folder: Path, **answers: str) -> None:
        folder.mkdir()
        self.internet, self.folder = internet, folder
        self.config, self.data = folder / "etc/mailnode.toml", folder / "data"
        self.answers = {
            "hostname": "mail.example.org",
            "addresses": VPS,
            "user": "nobody",
            "password": "make one",
            **answers,
        }

    def command(self, *words: str, address: str = "you@example.org") -> list[str]:
        """Return the command, in the machine's namespace."""
        file = self.folder / "answers.toml"
        file.write_text("".join(f'{name} = "{value}"\n' for name, value in self.answers.items()))
        return self.internet.inside(
            self.internet.vps,
            [*self.mailnode(), "setup", address, "--answers", file, *words],
        )

    def mailnode(self) -> list[str]:
        """Return the mailnode command of this machine."""
        return [str(Path(sys.executable).parent / "mailnode"), "--config", str(self.config), "--data", str(self.data)]

    def setup(self, *words: str, env: dict[str, str] | None = None) -> subprocess.CompletedProcess[str]:
        """Run setup to its end."""
        given = dict(os.environ, **(env or {}))
        return subprocess.run(
            self.command(*words),
            capture_output=True,
            text=True,
            stdin=subprocess.DEVNULL,
            timeout=PATIENCE * 2,
            env=given,
        )

    def items(self, done: subprocess.CompletedProcess[str]) -> dict[str, tuple[str, str]]:
        """Return state and what was seen of each item that was printed."""
        found = {}
        for line in done.stdout.splitlines():
            if line[:1] not in ("", " ") and len(words := line[:8].strip().split()) <= 2:
                name, _, seen = line[9:].partition(" ")
                found[name] = (" ".join(words).lower(), seen.strip())
        return found

    def stop(self) -> None:
        """End the server that setup started."""
        with contextlib.suppress(OSError, ValueError):
            pid = int((self.data / "mailnode.pid").read_text())
            os.kill(pid, signal.SIGTERM)
            wait_for(lambda: not Path(f"/proc/{pid}").exists(), "the end of the server")
