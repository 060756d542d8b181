"""The keys that signatures are verified with, as DNS has them (RFC 6376 3.6, RFC 8463 4), and what RFC 8301 has forbidden since."""

from __future__ import annotations

from base64 import b64decode
from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache

from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey
from cryptography.hazmat.primitives.asymmetric.utils import Prehashed
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import load_der_public_key

from mailnode.message.tags import read_list, read_tags

MAX_RECORD = 2 * 1024  # octets
MIN_KEY, MAX_KEY = 1024, 4096  # bits of RSA (RFC 8301 3.2)
MAX_EXPONENT = 64  # bits; OpenSSL takes no more for large keys
KEPT = 2000  # records whose keys are kept read
_PADDING, _HASHED = PKCS1v15(), Prehashed(SHA256())


class NotVerified(Exception):
    """``result``: of RFC 8601 2.7.1. ``reason``: for people."""

    def __init__(self, result: str, reason: str) -> None:
        super().__init__(reason)
        self.result = result
        self.reason = reason


@dataclass(frozen=True, slots=True)
class PublicKey:
    """``kind``: "rsa" or "ed25519". ``testing``: its owner only tries it out. ``strict``: the identity of a signature may be
    of no subdomain (RFC 6376 3.6.1)."""

    kind: bytes
    verifies: Callable[[bytes, bytes], bool]  # a signature, given the SHA-256 of what is signed
    testing: bool = False
    strict: bool = False


def read_key(record: bytes) -> PublicKey:
    """Return the key of a record. :raises NotVerified: it has none that may be used."""
    found = _read(record)
    if isinstance(found, PublicKey):
        return found
    raise NotVerified(*found)


@lru_cache(maxsize=KEPT)
def _read(record: bytes) -> PublicKey | tuple[str, str]:
    if len(record) > MAX_RECORD:
        return "permerror", "key is too large"
    try:
        return _key(record)
    except NotVerified as fault:
        return fault.result, fault.reason
    except (ValueError, UnsupportedAlgorithm):  # binascii.Error too
        return "permerror", "no key"


def _key(record: bytes) -> PublicKey:
    tags = read_tags(record)
    if tags.get(b"v", b"DKIM1") != b"DKIM1" or (b"v" in tags and next(iter(tags)) != b"v") or b"p" not in tags:
        raise NotVerified("permerror", "no key")
    if not tags[b"p"]:
        raise NotVerified("permerror", "key was revoked")
    if b"sha256" not in read_list(tags.get(b"h", b"sha256")):
        raise NotVerified("permerror", "key is for another algorithm")
    if not {b"*", b"email"} & set(read_list(tags.get(b"s", b"*"))):
        raise NotVerified("permerror", "key is not for mail")
    kind, flags = tags.get(b"k", b"rsa"), read_list(tags.get(b"t", b""))
    data = b64decode(b"".join(tags[b"p"].split()), validate=True)
    if kind == b"rsa":
        verifies = _rsa(data)
    elif kind == b"ed25519":
        verifies = _ed25519(data)
    else:
        raise NotVerified("permerror", "key of an unknown kind")
    return PublicKey(kind, verifies, b"y" in flags, b"s" in flags)


def _rsa(data: bytes) -> Callable[[bytes, bytes], bool]:
    key = load_der_public_key(data)  # of SubjectPublicKeyInfo, as all publish it, and RSAPublicKey, as the RFC had it
    if not isinstance(key, RSAPublicKey):
        raise NotVerified("permerror", "key of another kind")
    if key.key_size < MIN_KEY:
        raise NotVerified("policy", "weak key")
    if key.key_size > MAX_KEY or key.public_numbers().e.bit_length() > MAX_EXPONENT:
        raise NotVerified("policy", "key is too large")

    def verifies(signature: bytes, digest: bytes) -> bool:
        try:
            key.verify(signature, digest, _PADDING, _HASHED)
        except InvalidSignature:
            return False
        return True

    return verifies


def _ed25519(data: bytes) -> Callable[[bytes, bytes], bool]:
    key = Ed25519PublicKey.from_public_bytes(data)

    def verifies(signature: bytes, digest: bytes) -> bool:
        try:
            key.verify(signature, digest)
        except InvalidSignature:
            return False
        return True

    return verifies
