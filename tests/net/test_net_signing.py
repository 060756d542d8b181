"""What is signed is what was given, by the certificate for the name, with its chain."""

import subprocess

import pytest
import trustme
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from mailnode.net.signing import signed
from mailnode.net.tls import Pair, read_pair

CONTENT = b"one\ntwo\r\nthree"


@pytest.mark.parametrize("kind", list(trustme.KeyType))
def test_openssl_finds_it_signed_and_as_it_was(tmp_path, kind):
    authority = trustme.CA(key_type=kind)
    below = authority.create_child_ca(kind)
    pairs = []
    for name in ("other.test", "mx.a.test"):
        issued = below.issue_cert(name, key_type=kind)
        (tmp_path / "cert.pem").write_bytes(b"".join(part.bytes() for part in issued.cert_chain_pems))
        issued.private_key_pem.write_to_path(str(tmp_path / "key.pem"))
        pairs.append(read_pair(tmp_path / "cert.pem", tmp_path / "key.pem"))
    authority.cert_pem.write_to_path(str(tmp_path / "ca.pem"))
    (tmp_path / "signed").write_bytes(signed(CONTENT, pairs, "mx.a.test"))
    verify = ["openssl", "cms", "-verify", "-inform", "DER", "-in", "signed", "-CAfile", "ca.pem", "-purpose", "any"]
    done = subprocess.run([*verify, "-binary", "-signer", "signer"], cwd=tmp_path, capture_output=True, timeout=60)
    assert (done.returncode, done.stdout) == (0, CONTENT), done.stderr
    signer = subprocess.run(
        ["openssl", "x509", "-in", "signer", "-noout", "-ext", "subjectAltName"], cwd=tmp_path, capture_output=True
    )
    assert b"mx.a.test" in signer.stdout


def test_what_cannot_be_signed_is_as_it_was():
    assert signed(CONTENT, [], "mx.a.test") == CONTENT
    assert signed(CONTENT, [Pair((), Ed25519PrivateKey.generate(), ())], "mx.a.test") == CONTENT
