"""The hook of docs/certificates.rst: what certbot renewed is served, and only the server's group can read the key."""

from __future__ import annotations

import grp
import os
import socket
import ssl
import stat
import subprocess
import sys

import pytest
import trustme
from servers import ROOT, MailNode

HOOK = ROOT / "etc/certbot-deploy-hook"


@pytest.fixture
def renewed(tmp_path):
    """A folder as certbot keeps it, and what a renewal puts into it."""
    lineage = tmp_path / "live"
    lineage.mkdir(mode=0o700)
    authority = trustme.CA()

    def renew():
        made = authority.issue_cert("mx.a.test")
        made.private_key_pem.write_to_path(str(lineage / "privkey.pem"))
        (lineage / "privkey.pem").chmod(0o600)
        (lineage / "fullchain.pem").write_bytes(b"".join(part.bytes() for part in made.cert_chain_pems))
        return ssl.PEM_cert_to_DER_cert(made.cert_chain_pems[0].bytes().decode())

    return lineage, renew


def served(node):
    context = ssl.create_default_context()
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    with (
        socket.create_connection(("127.0.0.1", node.ports["imaps"]), 30) as plain,
        context.wrap_socket(plain, server_hostname="mx.a.test") as secure,
    ):
        return secure.getpeercert(binary_form=True)


def test_a_renewed_certificate_is_served_and_its_key_is_the_groups_alone(tmp_path, renewed):
    lineage, renew = renewed
    node = MailNode(tmp_path / "node")
    folder = tmp_path / "tls"
    text = node.config.read_text()
    for old, new in (("cert.pem", "fullchain.pem"), ("key.pem", "privkey.pem")):
        text = text.replace(str(node.folder / old), str(folder / new))
    node.config.write_text(text)
    tool = f"{sys.executable} -m mailnode.ctl.main --config {node.config} reload"
    group = grp.getgrgid(os.getgid()).gr_name

    def hook():
        done = subprocess.run(
            ["sh", str(HOOK)],
            env=dict(
                os.environ,
                PYTHONPATH=str(ROOT),
                RENEWED_LINEAGE=str(lineage),
                MAILNODE_TLS=str(folder),
                MAILNODE_GROUP=group,
                MAILNODE_RELOAD=tool,
            ),
            capture_output=True,
            text=True,
            timeout=60,
        )
        assert done.returncode == 0, done.stderr
        return done.stderr

    first = renew()
    assert "did not take the certificate over" in hook()  # it does not run yet
    assert stat.S_IMODE(folder.stat().st_mode) == 0o750
    assert {path.name: stat.S_IMODE(path.stat().st_mode) for path in folder.iterdir()} == {
        "fullchain.pem": 0o640,
        "privkey.pem": 0o640,
    }
    node.start()
    try:
        assert served(node) == first
        second = renew()
        assert hook() == ""
        assert served(node) == second
    finally:
        node.stop()
