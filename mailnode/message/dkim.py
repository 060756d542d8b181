"""Signatures of messages (DKIM, RFC 6376): relaxed canonicalisation of header and body, rsa-sha256 and ed25519-sha256.

Written here, and not taken from dkimpy: a message is hashed as it streams in, where that library wants all of it in memory and
goes over it in Python's own time, 14 ms for each megabyte; and its RSA takes 6 ms in which no other thread runs, OpenSSL's
half a millisecond in which all others do. dkimpy verifies what is made here in the tests, and so does OpenDKIM.

There is no ``l=``, which lets anybody append to a message, and no ``x=``: mail may wait for days.
"""

from __future__ import annotations

import hashlib
from base64 import b64encode
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import load_pem_private_key

from mailnode.message.headers import scan_fields
from mailnode.values.dkim import ALGORITHMS, DkimKey

# Named once more than they are there, so that nobody adds one: programs show the first, or the last (RFC 6376 8.15).
OVERSIGNED = ("From", "Subject", "Date", "To")
# The same where they are there: a second one would say where an answer goes, or how all that is signed is to be read.
ONE_MORE = ("Sender", "Reply-To", "Cc", "Message-ID", "MIME-Version", "Content-Type", "Content-Transfer-Encoding")
# Signed as they are there (RFC 6376 5.4.1). Not Received and Return-Path, which change on the way, nor what lists rewrite.
SIGNED = (
    *("In-Reply-To", "References", "Content-Disposition", "Content-ID", "Content-Description"),
    *("List-Id", "List-Help", "List-Unsubscribe", "List-Unsubscribe-Post", "List-Subscribe", "List-Post", "List-Owner"),
    *("List-Archive", "Auto-Submitted"),
    *("TLS-Report-Domain", "TLS-Report-Submitter", "TLS-Required"),  # RFC 8460 5.3
)
MAX_SAME = 20  # fields of one name that are signed, the lowest ones
WIDTH = 72  # characters of a line of the field at most, where it can be broken
_STEP = 32 * 1024  # line ends that are hashed at a time


class BodyHash:
    """The hash of a body that comes in pieces, in the relaxed form (RFC 6376 3.4.4): white space at ends of lines and empty
    lines at the end are not looked at, other runs of white space are one space. Or in the simple form (3.4.3), of which
    only empty lines at the end are not looked at. No bare CR or LF may be in it."""

    def __init__(self, *, relaxed: bool = True) -> None:
        self.octets = 0  # of that form; complete with the digest
        self._relaxed = relaxed
        self._hash = hashlib.sha256()
        self._held = b""  # a space and a CR that may be the end of a line
        self._ends = 0  # line ends that may be the end of the body
        self._empty = True

    def update(self, data: bytes) -> None:
        """Take the next octets."""
        text = self._held + data
        if self._relaxed:
            text = _collapsed(text)
        whole = text.removesuffix(b"\r")
        if self._relaxed:
            whole = whole.removesuffix(b" ")
        self._held = text[len(whole) :]
        self._add(whole.replace(b" \r\n", b"\r\n") if self._relaxed else whole)

    def digest(self) -> bytes:
        """Return the hash; call it once, at the end."""
        if not self._empty or not self._relaxed:
            self._put(b"\r\n")
        return self._hash.digest()

    def _put(self, text: bytes) -> None:
        self._hash.update(text)
        self.octets += len(text)

    def _add(self, text: bytes) -> None:
        lines = text.rstrip(b"\r\n")
        if lines:
            while self._ends:
                step = min(self._ends, _STEP)
                self._put(b"\r\n" * step)
                self._ends -= step
            self._put(lines)
            self._empty = False
        self._ends += (len(text) - len(lines)) // 2


def _collapsed(text: bytes) -> bytes:
    """Return a text in which each run of white space is one space. What is long has little of it, or none, as base64."""
    if b"\t" in text:
        text = text.replace(b"\t", b" ")
    while b"  " in text:
        text = text.replace(b"  ", b" ")
    return text


@dataclass(frozen=True, slots=True)
class SigningKey:
    """A key, loaded."""

    domain: str
    selector: str
    private: RSAPrivateKey | Ed25519PrivateKey

    def sign(self, data: bytes) -> bytes:
        """Sign octets (RFC 6376 3.3.1, RFC 8463 3)."""
        if isinstance(self.private, RSAPrivateKey):
            return self.private.sign(data, PKCS1v15(), SHA256())
        return self.private.sign(hashlib.sha256(data).digest())

    @property
    def algorithm(self) -> str:
        """What ``a=`` says."""
        return "rsa-sha256" if isinstance(self.private, RSAPrivateKey) else "ed25519-sha256"


def load(keys: Iterable[DkimKey]) -> tuple[SigningKey, ...]:
    """Load keys, RSA first. :raises ValueError: one of them is none."""
    loaded = []
    for key in sorted(keys, key=lambda key: ALGORITHMS.index(key.algorithm)):
        # Made here: to test once more whether its primes are primes would take 30 ms.
        private = load_pem_private_key(key.private.encode("ascii"), None, unsafe_skip_rsa_key_validation=True)
        if not isinstance(private, RSAPrivateKey | Ed25519PrivateKey):
            raise ValueError(f"{key.selector}: neither an RSA nor an Ed25519 key")
        loaded.append(SigningKey(key.domain, key.selector, private))
    return tuple(loaded)


def signatures(header: bytes, body: bytes, keys: Sequence[SigningKey], seconds: float) -> bytes:
    """Return the DKIM-Signature fields of a message, one a key and in their order: the first is to be on top, so RSA, which
    all verify. For a thread.

    :param header: the block as it is sent, without what goes on top of it later. :param body: the digest of a
        :class:`BodyHash`. :param seconds: UTC.
    """
    names = signed_names(header)
    return b"".join(_signature(header, body, key, names, int(seconds)) for key in keys)


def signed_names(header: bytes, also: Sequence[str] = ()) -> list[str]:
    """Return what ``h=`` names: a field as often as it is to be signed. :param also: fields that are signed as they are there,
    besides those that always are."""
    counts: dict[str, int] = defaultdict(int)
    for _, name, _, _ in scan_fields(header):
        counts[name.decode("ascii").lower()] += 1
    once_more = [*OVERSIGNED, *(name for name in ONE_MORE if counts[name.lower()])]
    names = [name for name in once_more for _ in range(min(counts[name.lower()], MAX_SAME) + 1)]
    return names + [name for name in (*SIGNED, *also) for _ in range(min(counts[name.lower()], MAX_SAME))]


def _signature(header: bytes, body: bytes, key: SigningKey, names: Sequence[str], seconds: int) -> bytes:
    field = signature_field("DKIM-Signature: v=1;", body, key, names, seconds)
    return signed_field(field, key.sign(signed_data(header, names, field)))


def signature_field(begin: str, body: bytes, key: SigningKey, names: Sequence[str], seconds: int) -> bytes:
    """Return a field that signs a message, up to ``b=``. :param begin: its name and first tag, whole."""
    about = f"{begin} a={key.algorithm}; c=relaxed/relaxed; d={key.domain}; s={key.selector}; t={seconds};".split()
    about.append(f"bh={b64encode(body).decode('ascii')};")
    listed = [f"{name}:" for name in names]
    listed[0], listed[-1] = f"h={listed[0]}", f"{names[-1]};"
    return f"{_folded(about, ' ')}\r\n {_folded(listed, '')}\r\n b=".encode("ascii")


def signed_field(field: bytes, signature: bytes) -> bytes:
    """Return a whole field. :param field: up to ``b=``."""
    text = b64encode(signature)
    return field + b"\r\n ".join(text[at : at + WIDTH] for at in range(0, len(text), WIDTH)) + b"\r\n"


def _folded(words: Iterable[str], between: str) -> str:
    """Return words in lines of at most ``WIDTH`` characters, where that can be."""
    lines = [""]
    for word in words:
        if len(lines[-1]) + len(between) + len(word) > WIDTH:
            lines.append("")
        lines[-1] += (between if lines[-1] else "") + word
    return "\r\n ".join(line for line in lines if line)


def signed_data(header: bytes, names: Iterable[str], field: bytes) -> bytes:
    """Return what is signed (RFC 6376 3.7): the fields of these names, of several the lowest first, and the signature's own.

    :param field: the DKIM-Signature field with nothing behind ``b=``, without the end of its line.
    """
    found: dict[bytes, list[bytes]] = defaultdict(list)
    for _, known, start, end in scan_fields(header):
        found[known.lower()].append(relaxed(known, header[start:end]))
    data = []
    for name in names:
        if same := found.get(name.lower().encode("ascii")):
            data += [same.pop(), b"\r\n"]
    own, _, value = field.partition(b":")
    return b"".join([*data, relaxed(own, value)])


def relaxed(name: bytes, value: bytes) -> bytes:
    """Return a field in the relaxed form (RFC 6376 3.4.2), without the end of its line."""
    return name.lower() + b":" + _collapsed(value.replace(b"\r\n", b"")).strip(b" ")
