"""A server that gets its certificates from an authority, and what it shows."""

from __future__ import annotations

import json
import socket
import ssl
from pathlib import Path

from acme_servers import Caddy, Pebble
from cryptography import x509
from servers import MailNode

NAME = "mx.a.test"


class Later:
    """Stands for an authority that is started when the ports of the server are known."""

    directory = "https://127.0.0.1:1/later"
    ca = Path("/later/ca.pem")


def server(folder: Path, challenge: str, more: str = "", *, workers: int = 1) -> MailNode:
    """A server that has no certificate and is to ask an authority for one."""
    node = MailNode(folder / "node")
    text = node.config.read_text()
    begin, end = text.index("[tls]"), text.index("[[listener]]")
    acme = (
        f'[acme]\ndirectory = "{Later.directory}"\nterms_agreed = true\nca_file = "{Later.ca}"\n'
        f'challenge = "{challenge}"\n{more}\n'
    )
    text = text[:begin] + acme + text[end:]
    node.config.write_text(text.replace("[server]\n", f"[server]\nworkers = {workers}\n", 1))
    return node


def begin(node: MailNode, authority: Pebble | Caddy, started: list) -> MailNode:
    """Point a server to an authority that is up by now, and start it."""
    started.append(authority)
    text = node.config.read_text().replace(Later.directory, authority.directory)
    node.config.write_text(text.replace(str(Later.ca), str(authority.ca)))
    started.append(node)
    return node.start()


def shown(node: MailNode, port: str = "imaps", name: str = NAME, *, roots: bytes = b"", ciphers: str = ""):
    """Return the certificate that a new session is shown. :param roots: it must lead to one of these, in PEM."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    if roots:
        context.load_verify_locations(cadata=roots.decode())
    else:
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    if ciphers:
        context.maximum_version = ssl.TLSVersion.TLSv1_2
        context.set_ciphers(ciphers)
    address = node.address, node.ports[port]
    with socket.create_connection(address, 20) as plain, context.wrap_socket(plain, server_hostname=name) as secure:
        return x509.load_der_x509_certificate(secure.getpeercert(True))


def report(node: MailNode) -> dict:
    """Return ``mailnode certificate list --json``."""
    return json.loads(node.ctl("certificate", "list", "--json").stdout)
