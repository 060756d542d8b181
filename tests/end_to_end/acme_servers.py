"""Certification authorities as programs nobody here wrote: pebble with its DNS, and Caddy's own."""

from __future__ import annotations

import contextlib
import json
import os
import sys
import urllib.request
from pathlib import Path
from ssl import create_default_context

import trustme
from servers import Process, program, wait_for

from tests.free_ports import free_port

ADDRESS = "127.0.0.1"


class Pebble:
    """pebble, which asks its own DNS: every name leads to 127.0.0.1, but for what a test says otherwise."""

    def __init__(
        self,
        folder: Path,
        *,
        http_port: int = 0,
        tls_port: int = 0,
        dns_port: int = 0,
        bad_nonces: int = 5,
        accounts: dict[str, str] | None = None,
        reuse: int = 0,
        sleep: int = 0,
    ) -> None:
        """:param http_port: where it looks for pages, ``tls_port``: for handshakes. :param dns_port: of another DNS server than
        its own. :param bad_nonces: of a hundred that it does not take. :param accounts: keys of external ones, by id.
        :param sleep: seconds it takes for a proof, at most."""
        folder.mkdir(parents=True)
        self.folder = folder
        authority = trustme.CA()
        self.ca = folder / "ca.pem"
        authority.cert_pem.write_to_path(str(self.ca))
        issued = authority.issue_cert(ADDRESS, "localhost")
        issued.private_key_pem.write_to_path(str(folder / "key.pem"))
        for index, part in enumerate(issued.cert_chain_pems):
            part.write_to_path(str(folder / "cert.pem"), append=index > 0)
        self.port, self.management, self.dns_management = free_port(), free_port(), free_port()
        self.dns_port = dns_port or free_port()
        settings = {
            "listenAddress": f"{ADDRESS}:{self.port}",
            "managementListenAddress": f"{ADDRESS}:{self.management}",
            "certificate": str(folder / "cert.pem"),
            "privateKey": str(folder / "key.pem"),
            "httpPort": http_port,
            "tlsPort": tls_port,
            "ocspResponderURL": "",
            "externalAccountBindingRequired": accounts is not None,
        }
        if accounts is not None:
            settings["externalAccountMACKeys"] = accounts
        (folder / "pebble.json").write_text(json.dumps({"pebble": settings}))
        self._env = dict(
            os.environ,
            **({"PEBBLE_VA_SLEEPTIME": str(sleep)} if sleep else {"PEBBLE_VA_NOSLEEP": "1"}),
            PEBBLE_WFE_NONCEREJECT=str(bad_nonces),
            PEBBLE_AUTHZREUSE=str(reuse),
        )
        self._dns: Process | None = None
        self._process: Process | None = None
        if not dns_port:
            command = [program("pebble-challtestsrv"), "-dns01", f"{ADDRESS}:{self.dns_port}", "-defaultIPv6", ""]
            command += [
                "-management",
                f"{ADDRESS}:{self.dns_management}",
                "-http01",
                "",
                "-https01",
                "",
                "-tlsalpn01",
                "",
            ]
            self._dns = Process(command, cwd=folder)
        self.start()

    @property
    def directory(self) -> str:
        """Its URL."""
        return f"https://{ADDRESS}:{self.port}/dir"

    def start(self) -> None:
        """Start it, without anything that it knew before."""
        command = [
            program("pebble"),
            "-config",
            str(self.folder / "pebble.json"),
            "-dnsserver",
            f"{ADDRESS}:{self.dns_port}",
        ]
        self._process = Process(command, cwd=self.folder, env=self._env)
        wait_for(self._answers, "pebble")

    def stop_authority(self) -> None:
        """End it alone."""
        if self._process is not None:
            self._process.stop()
            self._process = None

    def stop(self) -> None:
        """End all."""
        self.stop_authority()
        if self._dns is not None:
            self._dns.stop()

    @property
    def lines(self) -> list[str]:
        """What it has said."""
        assert self._process is not None
        self._process.catch_up()
        return self._process.lines

    def root(self) -> bytes:
        """The certificate that what it issues leads to, in PEM."""
        url = f"https://{ADDRESS}:{self.management}/roots/0"
        with urllib.request.urlopen(url, context=create_default_context(cafile=str(self.ca)), timeout=10) as answer:
            return answer.read()

    def _answers(self) -> bool:
        context = create_default_context(cafile=str(self.ca))
        with contextlib.suppress(OSError), urllib.request.urlopen(self.directory, context=context, timeout=5) as answer:
            return answer.status == 200
        return False


class Caddy:
    """Caddy with an authority of its own, whose certificates last as long as a test says. It would look for pages and handshakes at
    ports 80 and 443 alone: it is shown records in DNS."""

    def __init__(self, folder: Path, dns_port: int, lifetime: str) -> None:
        folder.mkdir(parents=True)
        self.port = free_port()
        self.folder = folder
        binary = Path(sys.executable).parent / "caddy"
        (folder / "Caddyfile").write_text(
            "{\n\tadmin off\n\tauto_https disable_redirects\n\tskip_install_trust\n"
            f"\tstorage file_system {folder / 'data'}\n"
            "\tpki {\n\t\tca local {\n\t\t\tintermediate_lifetime 3600h\n\t\t}\n\t}\n}\n"
            f"https://localhost:{self.port} {{\n\ttls internal\n\tacme_server {{\n\t\tca local\n\t\tlifetime {lifetime}\n"
            f"\t\tchallenges dns-01\n\t\tresolvers {ADDRESS}:{dns_port}\n\t}}\n}}\n"
        )
        env = dict(os.environ, HOME=str(folder), XDG_DATA_HOME=str(folder / "data"), XDG_CONFIG_HOME=str(folder))
        self._process = Process([str(binary), "run", "--config", str(folder / "Caddyfile")], cwd=folder, env=env)
        self.ca = folder / "data" / "pki" / "authorities" / "local" / "root.crt"
        wait_for(self._answers, "caddy")

    @property
    def directory(self) -> str:
        """Its URL."""
        return f"https://localhost:{self.port}/acme/local/directory"

    def stop(self) -> None:
        """End it."""
        self._process.stop()

    def _answers(self) -> bool:
        if not self.ca.exists():
            return False
        with contextlib.suppress(OSError):
            context = create_default_context(cafile=str(self.ca))
            with urllib.request.urlopen(self.directory, context=context, timeout=5) as answer:
                return answer.status == 200
        return False
