"""TLS of every port, looked at as a scanner looks at it: by ``openssl s_client``."""

from __future__ import annotations

import re
import subprocess

import pytest
from servers import MailNode

STARTTLS = {"smtp": "smtp", "submission": "smtp", "imap": "imap", "pop3": "pop3", "sieve": "sieve"}
PORTS = (*STARTTLS, "submissions", "imaps", "pop3s", "https")
# What NIST SP 800-52r2, RFC 9325 4.1 or both forbid, by OpenSSL's names of it; each offered alone.
WEAK = ("aNULL", "eNULL", "RC4", "3DES", "kRSA", "PSK", "SRP", "MD5", "SEED", "IDEA", "CAMELLIA")


class Served(MailNode):
    """Every protocol that speaks TLS, the web too."""

    LISTENERS = (*MailNode.LISTENERS, ("https", "http", "implicit"))


@pytest.fixture(scope="module")
def node(tmp_path_factory):
    node = Served(tmp_path_factory.mktemp("tls")).start()
    yield node
    node.stop()


def look(node, port: str, *options: str, said: str = "") -> str:
    """Return what s_client prints of a connection that sends ``said`` and ends."""
    command = ["openssl", "s_client", "-connect", f"127.0.0.1:{node.ports[port]}", "-CAfile", str(node.ca), *options]
    if port in STARTTLS:
        command += ["-starttls", STARTTLS[port]]
    done = subprocess.run(command, input=said, capture_output=True, text=True, timeout=30, errors="replace")
    return done.stdout + done.stderr


def is_served(printed: str) -> bool:
    return re.search(r"Cipher is (?!\(NONE\))", printed) is not None


@pytest.mark.parametrize("port", PORTS)
@pytest.mark.parametrize(
    ("version", "served"), [("-tls1", False), ("-tls1_1", False), ("-tls1_2", True), ("-tls1_3", True)]
)
def test_tls_1_2_and_1_3_are_spoken_and_no_other(node, port, version, served):
    """RFC 8996, RFC 8314 3."""
    printed = look(node, port, version, "-cipher", "ALL:@SECLEVEL=0", "-verify_return_error")
    assert is_served(printed) == served, printed
    assert not served or "Verify return code: 0 (ok)" in printed


@pytest.mark.parametrize("port", PORTS)
def test_no_weak_suite_is_agreed_to(node, port):
    taken = [suite for suite in WEAK if is_served(look(node, port, "-tls1_2", "-cipher", f"{suite}:@SECLEVEL=0"))]
    assert taken == []


@pytest.mark.parametrize("port", PORTS)
def test_the_server_chooses_forward_secrecy_and_authenticated_encryption(node, port):
    """Whatever a client of TLS 1.2 would like best (RFC 9325 4.2)."""
    printed = look(node, port, "-tls1_2", "-cipher", "AES256-SHA:AES128-SHA:ECDHE+AES:ECDHE+AESGCM:@SECLEVEL=0")
    cipher = re.search(r"Cipher is (\S+)", printed)[1]
    assert cipher.startswith("ECDHE-") and "GCM" in cipher
    assert "Compression: NONE" in printed


@pytest.mark.parametrize("port", PORTS)
def test_a_client_cannot_renegotiate(node, port):
    """One that does so without end costs the server a handshake each (RFC 9325 3.5)."""
    printed = look(node, port, "-tls1_2", said="R\n")
    assert "RENEGOTIATING" in printed
    assert "Secure Renegotiation IS supported" in printed
    assert re.search(r"no renegotiation|alert handshake failure", printed), printed


@pytest.mark.parametrize("version", ["-tls1_2", "-tls1_3"])
@pytest.mark.parametrize("port", ["imaps", "smtp"])
def test_a_session_is_resumed_at_no_service(node, tmp_path, port, version):
    """A session of one port that another took would carry over what the first one had proved (ALPACA)."""
    kept = tmp_path / "session"
    look(node, port, version, "-sess_out", str(kept), said="NOOP\n")
    for other in PORTS:
        resumed = kept.exists() and "Reused, " in look(node, other, version, "-sess_in", str(kept))
        assert not resumed, other
