"""Password hashes and SCRAM verifiers: made here, checked here, never on the reactor's thread.

All argon2id secrets of one account share a salt, so that one derivation tells whether a password is any of
them: a login costs the same whether the account has one secret, five or does not exist.
"""

from __future__ import annotations

import hashlib
import hmac
import secrets
from base64 import b64decode, b64encode
from collections.abc import Iterable
from dataclasses import dataclass

from argon2.low_level import Type, hash_secret

from mailnode.auth.saslprep import saslprep
from mailnode.values.directory import PROTOCOLS, Credential

ARGON2ID = "argon2id"
SCRAM_SHA_1, SCRAM_SHA_256 = "scram-sha-1", "scram-sha-256"
SCRAM_KINDS = {
    "sha256": SCRAM_SHA_256,
    "sha1": SCRAM_SHA_1,
}  # by digest: kinds of credentials, mechanisms in small letters
MEMORY_KIB, TIME_COST, PARALLELISM = 19 * 1024, 2, 1
HASH_OCTETS, SALT_OCTETS = 32, 16
SCRAM_ITERATIONS = 10_000
MAX_PASSWORD_OCTETS = 1024


def password_octets(password: bytes) -> bytes:
    """Return the octets that are hashed: SASLprep of UTF-8, or the input itself where that is not possible."""
    try:
        return saslprep(password.decode("utf-8")).encode("utf-8")
    except ValueError:
        return password


def argon2id(password: bytes, salt: bytes) -> str:
    """Return the PHC string of a password. Blocks for about 20 ms and 19 MiB."""
    return hash_secret(
        password_octets(password), salt, TIME_COST, MEMORY_KIB, PARALLELISM, HASH_OCTETS, Type.ID
    ).decode("ascii")


@dataclass(frozen=True, slots=True)
class ScramVerifier:
    """What a server keeps for SCRAM (RFC 5802 3): neither the password nor what a client proves with."""

    salt: bytes
    iterations: int
    stored_key: bytes
    server_key: bytes

    @classmethod
    def derive(
        cls, password: bytes, salt: bytes, iterations: int = SCRAM_ITERATIONS, digest: str = "sha256"
    ) -> ScramVerifier:
        """Derive from a password. Blocks. :param digest: "sha256" or "sha1"."""
        salted = hashlib.pbkdf2_hmac(digest, password_octets(password), salt, iterations)
        stored = hashlib.new(digest, hmac.digest(salted, b"Client Key", digest)).digest()
        return cls(salt, iterations, stored, hmac.digest(salted, b"Server Key", digest))

    @classmethod
    def decode(cls, secret: str) -> ScramVerifier:
        """Read the stored form. :raises ValueError: it is not one."""
        salt, iterations, stored, server = secret.split(",")
        return cls(b64decode(salt), int(iterations), b64decode(stored), b64decode(server))

    def encode(self) -> str:
        """Return the stored form: base64 salt, iterations, base64 stored key, base64 server key, by commas."""
        octets = (b64encode(field).decode("ascii") for field in (self.salt, self.stored_key, self.server_key))
        salt, stored, server = octets
        return f"{salt},{self.iterations},{stored},{server}"


def make_credentials(
    account_id: str,
    password: str,
    created: float,
    *,
    label: str = "",
    protocols: frozenset[str] = frozenset(PROTOCOLS),
    beside: Iterable[Credential] = (),
    scram: Iterable[str] = ("SCRAM-SHA-256",),
) -> list[Credential]:
    """Return the credentials of one password: an argon2id hash and a verifier for each of SCRAM's mechanisms. Blocks for
    about 30 ms.

    :param beside: the account's other credentials, whose salt is used again.
    :param scram: "SCRAM-SHA-256", "SCRAM-SHA-1": who may get hold of a verifier guesses its password sooner than by the hash.
    :raises ValueError: empty, or over 1024 octets.
    """
    octets = password.encode("utf-8")
    if not octets or len(octets) > MAX_PASSWORD_OCTETS:
        raise ValueError("a password has 1 to 1024 octets")
    salt = next((_salt(other.secret) for other in beside if other.kind == ARGON2ID), None)
    kinds = {ARGON2ID: argon2id(octets, salt or secrets.token_bytes(SALT_OCTETS))}
    for digest, kind in SCRAM_KINDS.items():
        if kind.upper() in scram:
            fresh = secrets.token_bytes(SALT_OCTETS)
            kinds[kind] = ScramVerifier.derive(octets, fresh, digest=digest).encode()
    return [
        Credential(secrets.token_hex(8), account_id, kind, secret, protocols, label, created)
        for kind, secret in kinds.items()
    ]


def matching(password: bytes, credentials: Iterable[Credential], absent_salt: bytes) -> Credential | None:
    """Return the credential a password fits, or None. Blocks: one derivation for each salt, at least one.

    :param absent_salt: used when there is no credential at all, so that unknown users cost the same.
    """
    found = None
    derived: dict[bytes, str] = {}
    for credential in credentials:
        if credential.kind != ARGON2ID:
            continue
        salt = _salt(credential.secret)
        if salt not in derived:
            derived[salt] = argon2id(password, salt)
        if hmac.compare_digest(derived[salt].encode(), credential.secret.encode()):
            found = credential
    if not derived:
        argon2id(password, absent_salt)
    return found


def _salt(secret: str) -> bytes:
    text = secret.split("$")[4]
    return b64decode(text + "=" * (-len(text) % 4))
