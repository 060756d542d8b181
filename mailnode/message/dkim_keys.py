"""Makes keys for DKIM: rsa-2048, which everybody verifies, and ed25519 beside it (RFC 8301, RFC 8463)."""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Iterable
from datetime import UTC, datetime

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey, generate_private_key
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, PublicFormat

from mailnode.values.dkim import ALGORITHMS, DkimKey, selectors

RSA_BITS = 2048


def make_pair(domain: str, state: str, seconds: float, taken: Iterable[str] = ()) -> list[DkimKey]:
    """Make a key of each algorithm. For a thread: primes take some 0.1 s, now and then five times that.

    :param domain: A-label key. :param seconds: UTC. :param taken: selectors the domain has.
    """
    named = selectors(taken, datetime.fromtimestamp(seconds, UTC).strftime("%Y%m"))
    made: dict[str, RSAPrivateKey | Ed25519PrivateKey] = {
        "rsa": generate_private_key(65537, RSA_BITS),
        "ed25519": Ed25519PrivateKey.generate(),
    }
    return [
        DkimKey(domain, named[name], name, state, seconds, _public(made[name]), _private(made[name]), changed=seconds)
        for name in ALGORITHMS
    ]


def _public(key: RSAPrivateKey | Ed25519PrivateKey) -> str:
    public = key.public_key()
    if isinstance(key, RSAPrivateKey):
        octets = public.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    else:
        octets = public.public_bytes(Encoding.Raw, PublicFormat.Raw)  # RFC 8463 4.2
    return b64encode(octets).decode("ascii")


def _private(key: RSAPrivateKey | Ed25519PrivateKey) -> str:
    return key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode("ascii")
