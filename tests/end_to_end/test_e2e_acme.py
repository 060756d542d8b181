"""Certificates from authorities that nobody here wrote, got, shown and renewed by a server that runs."""

from __future__ import annotations

import socket
import ssl
from collections.abc import Iterator
from pathlib import Path

import pytest
from acme_servers import Caddy, Pebble
from cryptography import x509
from servers import MailNode

NAME = "mx.a.test"


@pytest.fixture
def started() -> Iterator[list]:
    """What a test starts is ended behind it, the last first."""
    running: list = []
    yield running
    for one in reversed(running):
        one.stop()


def server(
    folder: Path, authority: Pebble | Caddy, challenge: str, *, more: str = "", workers: int = 1, zone: str = ""
) -> MailNode:
    """A server that has no certificate and asks an authority for one."""
    node = MailNode(folder / "node")
    text = node.config.read_text()
    begin, end = text.index("[tls]"), text.index("[[listener]]")
    acme = (
        f'[acme]\ndirectory = "{authority.directory}"\nterms_agreed = true\nca_file = "{authority.ca}"\n'
        f'challenge = "{challenge}"\n{more}\n{zone}'
    )
    text = text[:begin] + acme + text[end:]
    node.config.write_text(text.replace("[server]\n", f"[server]\nworkers = {workers}\n", 1))
    return node


def leaf(
    node: MailNode, port: str = "imaps", name: str = NAME, context: ssl.SSLContext | None = None
) -> x509.Certificate:
    """The certificate that a new session is shown."""
    if context is None:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    address = node.address, node.ports[port]
    with socket.create_connection(address, 20) as plain, context.wrap_socket(plain, server_hostname=name) as secure:
        return x509.load_der_x509_certificate(secure.getpeercert(True))


def trusting(authority: Pebble) -> ssl.SSLContext:
    return ssl.create_default_context(cadata=authority.root().decode())


def test_a_page_of_ours_proves_the_name(tmp_path, started):
    node = server(tmp_path, Never(), "http-01")
    pebble = Pebble(tmp_path / "pebble", http_port=node.ports["http"], bad_nonces=50)
    started.append(pebble)
    node = pointed(node, pebble)
    started.append(node)
    node.start()
    node.wait_event("certificate.issued", names=NAME)
    context = trusting(pebble)
    for port in ("imaps", "submissions", "pop3s"):
        assert leaf(node, port, context=context).issuer != leaf(node, port, context=context).subject
    files = {path.name: path.stat().st_mode & 0o777 for path in (node.data / "acme").iterdir()}
    assert set(files.values()) == {0o600}


class Never:
    """Stands for an authority that is started later, when the ports of the server are known."""

    directory = "https://127.0.0.1:1/dir"
    ca = Path("/nowhere")


def pointed(node: MailNode, authority: Pebble | Caddy) -> MailNode:
    text = node.config.read_text().replace(Never.directory, authority.directory)
    node.config.write_text(text.replace(str(Never.ca), str(authority.ca)))
    return node
