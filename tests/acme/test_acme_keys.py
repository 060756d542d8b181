"""Keys, requests and what comes back: whatever else is issued is not taken."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from hashlib import sha256

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import Encoding

from mailnode.acme.keys import (
    ACME_IDENTIFIER,
    checked_chain,
    handshake_proof,
    key_digest,
    new_key,
    read_key,
    read_leaf,
    request,
)
from mailnode.errors import CertificateFailed

NOW = 1.8e9
DAY = 86_400


def issue(
    key: bytes,
    *names: str,
    begin: float = NOW,
    days: float = 6,
    chain: int = 2,
    serial: int = 0x8765_4321,
    issuer: str = "authority",
) -> bytes:
    """A chain as an authority would issue it."""
    authority = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.ORGANIZATION_NAME, issuer)] if issuer else [])
    not_before = datetime.fromtimestamp(begin, UTC)
    leaf = (
        x509.CertificateBuilder()
        .subject_name(x509.Name([]))
        .issuer_name(name)
        .public_key(read_key(key).public_key())
        .serial_number(serial)
        .not_valid_before(not_before)
        .not_valid_after(not_before + timedelta(days=days))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName(name) for name in names]), critical=True)
        .add_extension(
            x509.AuthorityKeyIdentifier(bytes.fromhex("69885b6b87464041e1b37b847ba0ae2cde01c8d4"), None, None), False
        )
        .sign(authority, hashes.SHA256())
    )
    return leaf.public_bytes(Encoding.PEM) * chain


@pytest.mark.parametrize(("kind", "type_"), [("ecdsa", ec.EllipticCurvePrivateKey), ("rsa", rsa.RSAPrivateKey)])
def test_keys_of_both_kinds_and_their_requests(kind, type_):
    pem = new_key(kind)
    assert isinstance(read_key(pem), type_)
    asked = x509.load_der_x509_csr(request(pem, ["mx.example.org", "*.example.org"]))
    names = asked.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    assert names.get_values_for_type(x509.DNSName) == ["mx.example.org", "*.example.org"]
    assert asked.is_signature_valid


def test_a_name_that_is_too_long_to_be_a_common_name():
    long = f"{'x' * 60}.example.org"
    assert x509.load_der_x509_csr(request(new_key("ecdsa"), [long])).subject == x509.Name([])


def test_what_a_leaf_says():
    key = new_key("ecdsa")
    leaf = read_leaf(issue(key, "MX.example.org"))
    assert (leaf.names, leaf.not_before, leaf.not_after) == ({"mx.example.org"}, NOW, NOW + 6 * DAY)
    assert leaf.key_digest == key_digest(key) and not leaf.self_signed
    assert leaf.id == "aYhba4dGQEHhs3uEe6CuLN4ByNQ.AIdlQyE"  # the example of RFC 9773 4.1
    assert read_leaf(issue(key, "mx.example.org", serial=0x7F)).id.endswith(".fw")


@pytest.mark.parametrize("text", [b"", b"x" * 100, b"-----BEGIN CERTIFICATE-----\nMIIB\n-----END CERTIFICATE-----\n"])
def test_what_is_no_certificate(text):
    with pytest.raises(ValueError):
        read_leaf(text)
    with pytest.raises(CertificateFailed, match="no certificate"):
        checked_chain(text, new_key("ecdsa"), ["mx.example.org"], NOW)


def test_only_what_was_ordered_is_taken():
    key, names = new_key("ecdsa"), ["mx.example.org", "imap.example.org"]
    good = issue(key, *names)
    assert checked_chain(b"told before\n" + good, key, names, NOW) == good
    for chain, words in (
        (issue(new_key("ecdsa"), *names), "for another key"),
        (issue(key, names[0]), "without all of the names"),
        (issue(key, *names, chain=11), "a chain of 11"),
        (issue(key, *names, issuer=""), "nobody signed"),
        (issue(key, *names, begin=NOW - 7 * DAY), "expired already"),
        (issue(key, *names, begin=NOW + 2 * DAY), "in the future"),
    ):
        with pytest.raises(CertificateFailed, match=words):
            checked_chain(chain, key, names, NOW)


def test_a_proof_in_a_handshake_says_what_it_must_and_no_more():
    chain, key = handshake_proof("mx.example.org", "token.thumbprint", NOW)
    certificate = x509.load_pem_x509_certificate(chain)
    names = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    proof = certificate.extensions.get_extension_for_oid(ACME_IDENTIFIER)
    assert list(names) == [x509.DNSName("mx.example.org")]
    assert (proof.critical, proof.value.value) == (True, b"\x04\x20" + sha256(b"token.thumbprint").digest())
    assert read_leaf(chain).key_digest == key_digest(key)
    assert certificate.not_valid_before_utc.timestamp() < NOW < certificate.not_valid_after_utc.timestamp()
