"""What is kept of accounts, keys, certificates and orders: files of one directory, each written whole or not at all.

Every call blocks, and runs in a thread. All of it is for the server's user alone.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import asdict, dataclass, field
from hashlib import sha256
from pathlib import Path

from mailnode.acme.keys import key_digest, new_key
from mailnode.durable import write_whole
from mailnode.errors import CertificateFailed

MAX_FILE = 1_048_576  # octets


@dataclass
class PendingOrder:
    """An order that was begun: after a crash it is gone on with."""

    directory: str
    url: str
    key: str  # the digest of the key that it is for


@dataclass
class Suggestion:
    """What the authority suggested for one certificate. Times are UTC seconds."""

    certificate: str  # its id, see :attr:`mailnode.acme.keys.Leaf.id`
    at: float  # chosen in the window; 0: nothing was suggested
    start: float
    end: float
    ask_again: float
    explanation: str = ""


@dataclass
class PinnedKey:
    """What DNS said of the next key's TLSA record. ``since``: UTC seconds when it was first seen; 0: it is not there."""

    digest: str
    since: float = 0.0
    ttl: float = 0.0  # the longest that was seen, in seconds


@dataclass
class RenewalState:
    """All that is remembered beside keys and certificates."""

    failures: int = 0
    next_try: float = 0.0  # UTC seconds
    trouble: str = ""
    rehearsed: str = ""  # what was tried with success at the staging directory
    pending: dict[str, PendingOrder] = field(default_factory=dict)  # by kind of key
    suggestions: dict[str, Suggestion] = field(default_factory=dict)  # by kind of key
    pinned: dict[str, PinnedKey] = field(default_factory=dict)  # by kind of key
    retired: dict[str, float] = field(default_factory=dict)  # digests of keys that are used no more; since when

    def as_json(self) -> bytes:
        """Return it as the file has it."""
        return json.dumps(asdict(self), indent=1).encode()

    @classmethod
    def from_json(cls, octets: bytes) -> RenewalState:
        """Return what a file has; what is not as it should be counts as not there: nothing of it is needed to go on."""
        with suppress(ValueError, TypeError, KeyError, AttributeError, RecursionError):
            fields = json.loads(octets, parse_constant=_not_a_number)
            return cls(
                int(fields["failures"]),
                float(fields["next_try"]),
                str(fields["trouble"]),
                str(fields["rehearsed"]),
                {kind: PendingOrder(*map(str, one.values())) for kind, one in fields["pending"].items()},
                {kind: _suggestion(**one) for kind, one in fields["suggestions"].items()},
                {kind: _pinned(**one) for kind, one in fields["pinned"].items()},
                {str(digest): float(since) for digest, since in fields["retired"].items()},
            )
        return cls()


class AcmeFiles:
    """The directory, which is made when it is first written to."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def certificate(self, kind: str) -> bytes:
        """Return the key and the chain in use, in PEM; b"" while there is none. :raises CertificateFailed: it cannot be read."""
        return self._read(certificate_file(self._folder, kind))

    def install(self, kind: str, key: bytes, chain: bytes) -> None:
        """Put a certificate in the place of the one in use. :raises CertificateFailed: that one stays."""
        self._write(certificate_file(self._folder, kind), key + chain)

    def next_key(self, kind: str, used: str) -> bytes:
        """Return the key that comes next, made anew where there is none that is not used yet.

        :param used: the digest of the key in use. :raises CertificateFailed:"""
        path = self._folder / f"next-{kind}.key"
        pem = self._read(path)
        with suppress(ValueError):
            if pem and key_digest(pem) != used:
                return pem
        pem = new_key(kind)
        self._write(path, pem)
        return pem

    def account_key(self, directory: str) -> tuple[bytes, str]:
        """Return the key for a directory, made when there is none, and the URL of its account, "" before it is registered.

        :raises CertificateFailed:"""
        path = self._account(directory)
        with suppress(ValueError, KeyError, TypeError):
            fields = json.loads(self._read(path) or b"{}")
            key = str(fields["key"]).encode()
            key_digest(key)
            return key, str(fields.get("url", ""))
        key = new_key("ecdsa")
        self.keep_account(directory, key, "")
        return key, ""

    def keep_account(self, directory: str, key: bytes, url: str) -> None:
        """Remember an account. :raises CertificateFailed:"""
        fields: Mapping[str, str] = {"directory": directory, "url": url, "key": key.decode()}
        self._write(self._account(directory), json.dumps(fields, indent=1).encode())

    def state(self) -> RenewalState:
        """Return what is remembered. :raises CertificateFailed:"""
        return RenewalState.from_json(self._read(self._folder / "state.json"))

    def keep_state(self, state: RenewalState) -> None:
        """Remember it. :raises CertificateFailed:"""
        self._write(self._folder / "state.json", state.as_json())

    def _account(self, directory: str) -> Path:
        return self._folder / f"account-{sha256(directory.encode()).hexdigest()[:16]}.json"

    def _read(self, path: Path) -> bytes:
        try:
            with path.open("rb") as file:
                return file.read(MAX_FILE)
        except FileNotFoundError:
            return b""
        except OSError as error:
            raise CertificateFailed(f"{path}: cannot be read: {error.strerror}") from None

    def _write(self, path: Path, octets: bytes) -> None:
        try:
            self._folder.mkdir(mode=0o700, exist_ok=True)
            write_whole(path, octets)
        except OSError as error:
            raise CertificateFailed(f"{path}: cannot be written: {error.strerror}") from None


def _suggestion(
    certificate: str, at: float, start: float, end: float, ask_again: float, explanation: str
) -> Suggestion:
    return Suggestion(str(certificate), float(at), float(start), float(end), float(ask_again), str(explanation))


def _pinned(digest: str, since: float, ttl: float) -> PinnedKey:
    return PinnedKey(str(digest), float(since), float(ttl))


def _not_a_number(text: str) -> float:
    """JSON has no NaN: a time that is none would never come."""
    raise ValueError(text)


def certificate_file(folder: Path, kind: str) -> Path:
    """Return where the certificate of a kind of key is, with its key."""
    return folder / f"{kind}.pem"
