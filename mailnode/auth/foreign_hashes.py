"""Hashes of passwords that another server made (Dovecot and those it has learnt from): read, bounded, and looked at.

They are kept as they are until their owner logs in for the first time; then a hash of ours takes their place. A scheme stands in
front of a hash in braces, as Dovecot has it. What a look at one costs is bounded when it is given, not when somebody logs in.
"""

from __future__ import annotations

import hashlib
import hmac
import re
import secrets
from base64 import b64decode
from collections.abc import Callable
from dataclasses import dataclass
from importlib.util import find_spec

from argon2 import PasswordHasher, extract_parameters
from argon2.exceptions import InvalidHashError, VerificationError

from mailnode.auth.passwords import MAX_PASSWORD_OCTETS, SCRAM_KINDS, ScramVerifier
from mailnode.values.directory import PROTOCOLS, Credential

FOREIGN = "foreign"  # the kind of such credentials
MAX_HASH = 1_000  # characters
# What a look may cost: with each of these it is about half a second of one core.
BCRYPT_COST = 12
CRYPT_ROUNDS = 200_000
CRYPT_OCTETS = 128  # of a password: the work grows with it
PBKDF2_ROUNDS = 1_000_000
ARGON2_MEMORY = 262_144  # KiB
ARGON2_WORK = 393_216  # KiB, times passes
MAX_LANES = 8  # of argon2, each a thread
SCRAM_LEAST = 4_096  # iterations that RFC 7677 4 asks for: with fewer, SCRAM itself is not offered

_SCHEME = re.compile(r"\{([A-Za-z0-9-]{1,32})(\.(?:B64|BASE64|HEX))?\}", re.IGNORECASE)
_BCRYPT = re.compile(r"\$2[abxy]\$([0-9]{2})\$[./A-Za-z0-9]{53}\Z")
_CRYPT = re.compile(r"\$([56])\$(?:rounds=([1-9][0-9]{0,8})\$)?[./A-Za-z0-9]{1,16}\$[./A-Za-z0-9]{43,86}\Z")
_PBKDF2 = re.compile(r"\$1\$([!-#%-~]{1,64})\$([1-9][0-9]{0,8})\$([0-9a-f]{40})\Z")
_SCRAM = re.compile(r"[1-9][0-9]{0,7},[A-Za-z0-9+/=]{1,128},[A-Za-z0-9+/=]{28,44},[A-Za-z0-9+/=]{28,44}\Z")
_BCRYPT_OCTETS = 72  # of a password that bcrypt looks at, there as here

Check = Callable[[bytes], bool]


@dataclass(frozen=True, slots=True)
class ForeignHash:
    """A hash that can be looked at. ``fits``: whether it is of these octets; blocks, and is for a thread."""

    scheme: str
    fits: Check


def read_foreign_hash(text: str) -> ForeignHash:
    """Read a hash with its scheme. :raises ValueError: why it is not taken, in words that do not repeat it."""
    found = _SCHEME.match(text)
    if found is None or len(text) > MAX_HASH or not text.isascii():
        raise ValueError("a hash begins with its scheme, such as {SHA512-CRYPT}")
    scheme, encoding, rest = found[1].upper(), (found[2] or "").upper(), text[found.end() :]
    if scheme == "CRYPT":
        scheme = next((name for mark, name in _CRYPT_MARKS.items() if rest.startswith(mark)), scheme)
    read = _SCHEMES.get(scheme)
    if read is None:
        raise ValueError(f"{{{scheme}}} is not known: there are {', '.join(sorted(_SCHEMES))}")
    if encoding and scheme not in _DIGESTS:
        raise ValueError(f"{{{scheme}}} has no other encoding")
    return ForeignHash(scheme, read(scheme, f"{encoding}:{rest}" if scheme in _DIGESTS else rest))


def adopt_hash(account_id: str, text: str, created: float, *, label: str = "") -> list[Credential]:
    """Return the credentials of another server's hash: one for passwords, and of a SCRAM verifier that mechanism too.

    :raises ValueError: why it is not taken.
    """
    scheme = read_foreign_hash(text).scheme
    kinds = {FOREIGN: text}
    for kind in SCRAM_KINDS.values():
        if kind.upper() == scheme:
            iterations, salt, stored, server = text[text.index("}") + 1 :].split(",")
            if int(iterations) >= SCRAM_LEAST:
                kinds[kind] = f"{salt},{iterations},{stored},{server}"
    return [
        Credential(secrets.token_hex(8), account_id, kind, secret, frozenset(PROTOCOLS), label, created)
        for kind, secret in kinds.items()
    ]


def fits(secret: str, password: bytes) -> bool:
    """Whether a hash that was taken is of a password. Blocks. What can no longer be read fits nothing."""
    if len(password) > MAX_PASSWORD_OCTETS:
        return False
    try:
        return read_foreign_hash(secret).fits(password)
    except ValueError:
        return False


# The schemes: each returns what looks at a password, or raises ValueError.


def _bcrypt(scheme: str, text: str) -> Check:
    found = _BCRYPT.match(text)
    if found is None:
        raise ValueError(_malformed(scheme))
    if not 4 <= int(found[1]) <= BCRYPT_COST:
        raise ValueError(f"{{{scheme}}} has a cost of 4 to {BCRYPT_COST} here, not {int(found[1])}")
    _need(scheme, "bcrypt")
    text = f"$2b{text[3:]}" if text[2] in "xy" else text

    def check(password: bytes) -> bool:
        import bcrypt

        return b"\0" not in password and bcrypt.checkpw(password[:_BCRYPT_OCTETS], text.encode("ascii"))

    return check


def _sha_crypt(scheme: str, text: str) -> Check:
    found = _CRYPT.match(text)
    if found is None or found[1] != ("6" if scheme == "SHA512-CRYPT" else "5"):
        raise ValueError(_malformed(scheme))
    if int(found[2] or 5000) > CRYPT_ROUNDS:
        raise ValueError(f"{{{scheme}}} has {CRYPT_ROUNDS} rounds at most here")
    _need(scheme, "passlib")

    def check(password: bytes) -> bool:
        from passlib.hash import sha256_crypt, sha512_crypt

        handler = sha512_crypt if scheme == "SHA512-CRYPT" else sha256_crypt
        return len(password) <= CRYPT_OCTETS and b"\0" not in password and bool(handler.verify(password, text))

    return check


def _argon2(scheme: str, text: str) -> Check:
    try:
        parameters = extract_parameters(text)
    except (InvalidHashError, ValueError):
        raise ValueError(_malformed(scheme)) from None
    if parameters.type.name != scheme.removeprefix("ARGON2"):
        raise ValueError(_malformed(scheme))
    memory, passes, lanes = parameters.memory_cost, parameters.time_cost, parameters.parallelism
    if passes < 1 or lanes < 1 or memory < 8 * lanes:  # nothing fits such a hash
        raise ValueError(_malformed(scheme))
    if memory > ARGON2_MEMORY or memory * passes > ARGON2_WORK or lanes > MAX_LANES:
        raise ValueError(f"{{{scheme}}} wants more memory, passes or lanes than are taken here")

    def check(password: bytes) -> bool:
        try:
            return PasswordHasher().verify(text, password)
        except (VerificationError, InvalidHashError):
            return False

    return check


def _pbkdf2(scheme: str, text: str) -> Check:
    found = _PBKDF2.match(text)
    if found is None:
        raise ValueError(_malformed(scheme))
    salt, rounds, digest = found[1].encode("ascii"), int(found[2]), bytes.fromhex(found[3])
    if rounds > PBKDF2_ROUNDS:
        raise ValueError(f"{{{scheme}}} has {PBKDF2_ROUNDS} rounds at most here")
    return lambda password: hmac.compare_digest(hashlib.pbkdf2_hmac("sha1", password, salt, rounds), digest)


def _scram(scheme: str, text: str) -> Check:
    if not _SCRAM.match(text):
        raise ValueError(_malformed(scheme))
    iterations, salt, stored, server = text.split(",")
    digest = next(name for name, kind in SCRAM_KINDS.items() if kind.upper() == scheme)
    try:
        verifier = ScramVerifier.decode(f"{salt},{iterations},{stored},{server}")
    except ValueError:
        raise ValueError(_malformed(scheme)) from None
    if {len(verifier.stored_key), len(verifier.server_key)} != {hashlib.new(digest).digest_size}:
        raise ValueError(_malformed(scheme))
    if verifier.iterations > PBKDF2_ROUNDS:
        raise ValueError(f"{{{scheme}}} has {PBKDF2_ROUNDS} iterations at most here")

    def check(password: bytes) -> bool:
        derived = ScramVerifier.derive(password, verifier.salt, verifier.iterations, digest)
        return hmac.compare_digest(derived.stored_key, verifier.stored_key)

    return check


def _digest(scheme: str, told: str) -> Check:
    """SSHA512 and its like: the digest of password and salt, and the salt behind it."""
    encoding, _, text = told.partition(":")
    name, salted = _DIGESTS[scheme]
    try:
        octets = bytes.fromhex(text) if encoding == ".HEX" else b64decode(text, validate=True)
    except ValueError:
        raise ValueError(_malformed(scheme)) from None
    size = hashlib.new(name).digest_size
    digest, salt = octets[:size], octets[size:]
    if len(digest) != size or bool(salt) != salted:
        raise ValueError(_malformed(scheme))
    return lambda password: hmac.compare_digest(hashlib.new(name, password + salt).digest(), digest)


_CRYPT_MARKS = {"$2": "BLF-CRYPT", "$5$": "SHA256-CRYPT", "$6$": "SHA512-CRYPT"}
_DIGESTS = {
    "SHA": ("sha1", False),
    "SHA1": ("sha1", False),
    "SHA256": ("sha256", False),
    "SHA512": ("sha512", False),
    "SSHA": ("sha1", True),
    "SSHA256": ("sha256", True),
    "SSHA512": ("sha512", True),
}
_SCHEMES: dict[str, Callable[[str, str], Check]] = {
    "ARGON2I": _argon2,
    "ARGON2ID": _argon2,
    "BLF-CRYPT": _bcrypt,
    "PBKDF2": _pbkdf2,
    "SCRAM-SHA-1": _scram,
    "SCRAM-SHA-256": _scram,
    "SHA256-CRYPT": _sha_crypt,
    "SHA512-CRYPT": _sha_crypt,
    **dict.fromkeys(_DIGESTS, _digest),
}


def _malformed(scheme: str) -> str:
    return f"what stands behind {{{scheme}}} is no such hash"


def _need(scheme: str, module: str) -> None:
    if find_spec(module) is None:
        raise ValueError(f"{{{scheme}}} needs mailnode[hashes]")
