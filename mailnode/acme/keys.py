"""Private keys, requests for certificates, and what comes back: PEM in, PEM out."""

from __future__ import annotations

import base64
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from typing import TypeAlias

from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.asymmetric.types import PublicKeyTypes
from cryptography.x509.oid import NameOID, ObjectIdentifier

from mailnode.errors import CertificateFailed

RSA_BITS = 2048
MAX_COMMON_NAME = 64  # characters, RFC 5280 A.1
MAX_CHAIN = 10  # certificates
ACME_IDENTIFIER = ObjectIdentifier("1.3.6.1.5.5.7.1.31")  # RFC 8737 6.1
CLOCK_DOUBT = 86_400.0  # seconds by which a new certificate may begin after our present

CertificateKey: TypeAlias = ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey


@dataclass(frozen=True, slots=True)
class Leaf:
    """What matters of a certificate. ``id`` is what renewal information goes by (RFC 9773 4.1); "" where it has none."""

    names: frozenset[str]
    not_before: float  # UTC seconds
    not_after: float
    id: str
    key_digest: str
    self_signed: bool

    @property
    def lifetime(self) -> float:
        """Seconds."""
        return self.not_after - self.not_before


def new_key(kind: str) -> bytes:
    """Return a new key in PEM. RSA takes a part of a second: run it in a thread. :param kind: "ecdsa" or "rsa"."""
    key: CertificateKey = (
        rsa.generate_private_key(65537, RSA_BITS) if kind == "rsa" else ec.generate_private_key(ec.SECP256R1())
    )
    return key_pem(key)


def key_pem(key: CertificateKey) -> bytes:
    """Return a key in PEM."""
    return key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )


def read_key(pem: bytes) -> CertificateKey:
    """Return a key of a file of ours. :raises ValueError: it is damaged."""
    try:
        key = serialization.load_pem_private_key(pem, None)
    except (TypeError, UnsupportedAlgorithm) as error:
        raise ValueError(str(error)) from None
    if not isinstance(key, (ec.EllipticCurvePrivateKey, rsa.RSAPrivateKey)):
        raise ValueError("not a key of a kind that is made here")
    return key


def key_digest(pem: bytes) -> str:
    """Return the data of a TLSA record 3 1 1 for a key. :raises ValueError: it is damaged."""
    return _digest(read_key(pem).public_key())


def request(pem: bytes, names: Sequence[str]) -> bytes:
    """Return a request for a certificate (PKCS #10) for these names, in DER."""
    subject = [x509.NameAttribute(NameOID.COMMON_NAME, names[0])] if len(names[0]) <= MAX_COMMON_NAME else []
    alternative = x509.SubjectAlternativeName([x509.DNSName(name) for name in names])
    builder = x509.CertificateSigningRequestBuilder().subject_name(x509.Name(subject))
    signed = builder.add_extension(alternative, critical=False).sign(read_key(pem), hashes.SHA256())
    return signed.public_bytes(serialization.Encoding.DER)


def read_leaf(pem: bytes) -> Leaf:
    """Return what a chain says of its first certificate. :raises ValueError: it cannot be read."""
    chain = x509.load_pem_x509_certificates(pem)
    leaf = chain[0]
    try:
        names = leaf.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
        dns_names = frozenset(name.lower() for name in names.get_values_for_type(x509.DNSName))
        public = leaf.public_key()
    except (x509.ExtensionNotFound, x509.DuplicateExtension, x509.UnsupportedGeneralNameType, UnsupportedAlgorithm):
        raise ValueError("a certificate without names, or of an unknown kind") from None
    return Leaf(
        dns_names,
        leaf.not_valid_before_utc.timestamp(),
        leaf.not_valid_after_utc.timestamp(),
        _id(leaf),
        _digest(public),
        leaf.issuer == leaf.subject,
    )


def checked_chain(pem: bytes, key: bytes, names: Sequence[str], now: float) -> bytes:
    """Return a chain that was issued, as PEM without anything else. :raises CertificateFailed: it is not what was ordered."""
    wrong = "the authority issued something else than was ordered: "
    try:
        chain = x509.load_pem_x509_certificates(pem)
        leaf = read_leaf(pem)
    except ValueError:
        raise CertificateFailed(wrong + "no certificate that can be read") from None
    if len(chain) > MAX_CHAIN:
        raise CertificateFailed(wrong + f"a chain of {len(chain)} certificates")
    if leaf.key_digest != key_digest(key):
        raise CertificateFailed(wrong + "a certificate for another key")
    if not leaf.names.issuperset(names):
        raise CertificateFailed(wrong + "a certificate without all of the names")
    if leaf.self_signed:
        raise CertificateFailed(wrong + "a certificate that nobody signed but its own key")
    if leaf.not_after <= now:
        raise CertificateFailed("the new certificate has expired already: the clock of this machine may be wrong")
    if leaf.not_before > now + CLOCK_DOUBT:
        raise CertificateFailed("the new certificate begins in the future: the clock of this machine may be wrong")
    return b"".join(one.public_bytes(serialization.Encoding.PEM) for one in chain)


def handshake_proof(name: str, authorization: str, now: float) -> tuple[bytes, bytes]:
    """Return what is shown in a handshake (RFC 8737 3): a certificate and its key, in PEM. :param now: UTC seconds."""
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "ACME challenge")])
    begin = datetime.fromtimestamp(now, UTC) - timedelta(days=1)
    octets = sha256(authorization.encode("ascii")).digest()
    built = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(begin)
        .not_valid_after(begin + timedelta(days=8))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName(name)]), critical=False)
        # An OCTET STRING of 32 octets in DER: its tag and its length go before it.
        .add_extension(x509.UnrecognizedExtension(ACME_IDENTIFIER, b"\x04\x20" + octets), critical=True)
        .sign(key, hashes.SHA256())
    )
    return built.public_bytes(serialization.Encoding.PEM), key_pem(key)


def _digest(public: PublicKeyTypes) -> str:
    form = serialization.PublicFormat.SubjectPublicKeyInfo
    return sha256(public.public_bytes(serialization.Encoding.DER, form)).hexdigest()


def _id(leaf: x509.Certificate) -> str:
    try:
        authority = leaf.extensions.get_extension_for_class(x509.AuthorityKeyIdentifier).value.key_identifier
    except (x509.ExtensionNotFound, x509.DuplicateExtension, ValueError):
        return ""
    if not authority:
        return ""
    serial = leaf.serial_number
    # As in DER: with an octet of zeros in front where the first bit would be a sign.
    octets = serial.to_bytes(serial.bit_length() // 8 + 1, "big")
    return f"{_base64url(authority)}.{_base64url(octets)}"


def _base64url(octets: bytes) -> str:
    return base64.urlsafe_b64encode(octets).decode("ascii").rstrip("=")
