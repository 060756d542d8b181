"""A self-signed certificate for a server that has none yet."""

from __future__ import annotations

import ipaddress
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from mailnode.durable import write_whole

MAX_COMMON_NAME = 64  # characters, RFC 5280 A.1
VALID_DAYS = 825  # the longest that common mail programs accept of any certificate


def write_self_signed(certificate: Path, key: Path, names: Sequence[str], now: float) -> None:
    """Make an ECDSA P-256 key (mode 0600) and a certificate for DNS names and IP addresses.

    :param now: UTC seconds; the certificate is valid from a day before.
    """
    built, secret = make_self_signed(names, now)
    pem = secret.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    write_whole(key, pem, 0o600)
    write_whole(certificate, built.public_bytes(serialization.Encoding.PEM), 0o644)


def make_self_signed(names: Sequence[str], now: float) -> tuple[x509.Certificate, ec.EllipticCurvePrivateKey]:
    """Return the same, and write nothing."""
    secret = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, names[0][:MAX_COMMON_NAME])])
    begin = datetime.fromtimestamp(now, UTC).replace(microsecond=0) - timedelta(days=1)
    built = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(subject)
        .public_key(secret.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(begin)
        .not_valid_after(begin + timedelta(days=VALID_DAYS))
        .add_extension(x509.SubjectAlternativeName([_name(name) for name in names]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]), critical=False)
        .sign(secret, hashes.SHA256())
    )
    return built, secret


def _name(name: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ipaddress.ip_address(name))
    except ValueError:
        return x509.DNSName(name)
