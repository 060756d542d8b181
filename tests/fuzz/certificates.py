"""Certificates and keys that are the same in each run: inputs are made of their octets."""

from __future__ import annotations

from base64 import encodebytes
from collections.abc import Sequence
from datetime import UTC, datetime
from functools import cache

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric.ec import SECP256R1, derive_private_key
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.asymmetric.types import CertificatePublicKeyTypes
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, PublicFormat
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

AUTHORITY = Ed25519PrivateKey.from_private_bytes(b"a" * 32)  # whose signatures are the same each time
KEY = derive_private_key(7**80, SECP256R1())
KEY_DER = KEY.private_bytes(Encoding.DER, PrivateFormat.PKCS8, NoEncryption())
PUBLIC_DER = KEY.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)


@cache
def leaf() -> bytes:
    """Return a certificate of :data:`KEY` in DER, for a host and a user, with the extensions that are looked at."""
    names = [x509.DNSName("mx.x.test"), x509.DNSName("*.y.test"), x509.RFC822Name("a@x.test")]
    extensions: tuple[x509.ExtensionType, ...] = (
        x509.SubjectAlternativeName(names),
        x509.BasicConstraints(ca=False, path_length=None),
        x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH, ExtendedKeyUsageOID.CLIENT_AUTH]),
    )
    return signed(KEY.public_key(), "a@x.test", extensions)


@cache
def authority() -> bytes:
    """Return the certificate of who signed it."""
    return signed(AUTHORITY.public_key(), "Us", (x509.BasicConstraints(ca=True, path_length=1),))


def pem(label: bytes, der: bytes) -> bytes:
    """Return DER as PEM."""
    return b"-----BEGIN %b-----\n%b-----END %b-----\n" % (label, encodebytes(der), label)


def signed(key: CertificatePublicKeyTypes, name: str = "x", extensions: Sequence[x509.ExtensionType] = ()) -> bytes:
    """Return a certificate for a key and a common name in DER."""
    builder = (
        x509.CertificateBuilder()
        .subject_name(_common_name(name))
        .issuer_name(_common_name("Us"))
        .public_key(key)
        .serial_number(77)
        .not_valid_before(datetime(2020, 1, 1, tzinfo=UTC))
        .not_valid_after(datetime(2120, 1, 1, tzinfo=UTC))
    )
    for extension in extensions:
        builder = builder.add_extension(extension, critical=False)
    return builder.sign(AUTHORITY, None).public_bytes(Encoding.DER)


def _common_name(name: str) -> x509.Name:
    organization = x509.NameAttribute(NameOID.ORGANIZATION_NAME, "Us")
    return x509.Name([organization, x509.NameAttribute(NameOID.COMMON_NAME, name)])
