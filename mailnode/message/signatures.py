"""One signature of a message as its field has it, read and found fit to be verified: of DKIM (RFC 6376 3.5), or of ARC, which
has the same but for a few tags (RFC 8617 4.1)."""

from __future__ import annotations

import hashlib
import re
from base64 import b64decode
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from mailnode.errors import BadAddress
from mailnode.message.digests import FORMS, RELAXED, SIMPLE, BodyDigests
from mailnode.message.dkim import relaxed
from mailnode.message.headers import Field
from mailnode.message.key_records import NotVerified, PublicKey, read_key
from mailnode.message.places import places
from mailnode.message.tags import read_list, read_tags
from mailnode.values.address import domain_key

MAX_FIELD = 8 * 1024  # octets of a field with a signature
MAX_COVERED = 200  # fields that one signature covers
MAX_RECORDS = 3  # of one name that are tried
SKEW = 3600.0  # seconds that clocks may be apart
DKIM, MESSAGE, SEAL = "DKIM-Signature", "ARC-Message-Signature", "ARC-Seal"
_REQUIRED = {DKIM: (b"v", b"bh", b"h"), MESSAGE: (b"i", b"bh", b"h"), SEAL: (b"i", b"cv")}
_ALGORITHMS = {b"rsa-sha256": b"rsa", b"ed25519-sha256": b"ed25519"}
_NUMBER = re.compile(rb"[0-9]{1,20}")
# The value of "b=", white space around it too. After a semicolon there is one way to go on alone: it takes linear time.
_OWN_VALUE = re.compile(rb"((?:\A|;)[ \t\r\n]*b[ \t\r\n]*=)[^;]*")

Records = Sequence[bytes] | None  # of one name; None: nobody can say just now
Keys = Mapping[str, Records]


@dataclass(frozen=True, slots=True)
class Signature:
    """``forms``: of canonicalisation, of header and body. ``names``: of the fields it covers, lower case. ``domain``: whose it is,
    A-labels. ``identity``: the same or a subdomain. ``record``: the name of its key's record."""

    field: Field
    tags: Mapping[bytes, bytes]
    kind: bytes
    forms: tuple[bytes, bytes]
    names: tuple[bytes, ...]
    domain: str
    identity: str
    record: str


class CoveredFields:
    """The fields of a header block by name, and their relaxed forms, each made once."""

    def __init__(self, header: bytes) -> None:
        self._header = header
        self._places = places(header)
        self._relaxed: dict[int, bytes] = {}

    def count(self, name: bytes) -> int:
        """How many there are of a name, in lower case."""
        return len(self._places.get(name, ()))

    def digest(self, signature: Signature) -> bytes:
        """Return the hash of what a signature signs (RFC 6376 3.7): of several fields of a name the lowest first."""
        form = signature.forms[0]
        hashed, left = hashlib.sha256(), dict[bytes, int]()
        for name in signature.names:
            of_name = self._places.get(name, ())
            index = left.get(name, len(of_name)) - 1
            if index >= 0:
                left[name] = index
                hashed.update(self._form(form, name, *of_name[index]))
        hashed.update(without_own_value(signature.field, form))
        return hashed.digest()

    def _form(self, form: bytes, name: bytes, start: int, value_start: int, end: int) -> bytes:
        if form == SIMPLE:
            return self._header[start:end]
        found = self._relaxed.get(start)
        if found is None:
            found = self._relaxed[start] = relaxed(name, self._header[value_start:end]) + b"\r\n"
        return found


def without_own_value(field: Field, form: bytes = RELAXED) -> bytes:
    """Return a signature's own field as it signs it, without the end of its line."""
    value = _OWN_VALUE.sub(rb"\1", field.raw[field.value_start :], count=1).removesuffix(b"\r\n")
    return relaxed(field.name, value) if form == RELAXED else field.raw[: field.value_start] + value


def read_signature(field: Field, kind: str) -> Signature:
    """Read a signature. :param kind: DKIM, MESSAGE or SEAL. :raises NotVerified: it cannot be verified, or is not worth it."""
    if len(field.raw) > MAX_FIELD:
        raise NotVerified("policy", "too large")
    try:
        tags = read_tags(field.value)
    except ValueError:
        raise _unreadable() from None
    if any(tag not in tags for tag in (*_REQUIRED[kind], b"a", b"b", b"d", b"s")) or tags.get(b"v", b"1") != b"1":
        raise _unreadable()
    if tags[b"a"] not in _ALGORITHMS:
        raise NotVerified("policy", "weak algorithm") if tags[b"a"] == b"rsa-sha1" else _unreadable()
    if b"dns/txt" not in read_list(tags.get(b"q", b"dns/txt")):
        raise _unreadable()
    domain = domain_of(tags)
    identity = _identity(tags, domain) if kind == DKIM else domain
    names, forms = _names(tags, kind), forms_of(tags, kind)
    return Signature(field, tags, _ALGORITHMS[tags[b"a"]], forms, names, domain, identity, _record(tags, domain))


def _unreadable() -> NotVerified:
    return NotVerified("neutral", "cannot be read")


def forms_of(tags: Mapping[bytes, bytes], kind: str = DKIM) -> tuple[bytes, bytes]:
    """Return the forms of header and body (RFC 6376 3.5 c=); those of ARC are relaxed where it does not say.
    :raises NotVerified: unknown ones."""
    header, _, body = tags.get(b"c", b"simple" if kind == DKIM else b"relaxed/relaxed").partition(b"/")
    forms = header, body or SIMPLE
    if kind != SEAL and not set(forms) <= set(FORMS):
        raise _unreadable()
    return forms


def domain_of(tags: Mapping[bytes, bytes]) -> str:
    """Return whose a signature is, in A-labels (RFC 8616 5). :raises NotVerified: it is no domain."""
    try:
        domain = domain_key(tags[b"d"].decode())
    except (KeyError, UnicodeDecodeError, BadAddress):
        raise NotVerified("neutral", "not a domain") from None
    if domain.startswith("[") or "." not in domain:
        raise NotVerified("neutral", "not a domain")
    return domain


def _record(tags: Mapping[bytes, bytes], domain: str) -> str:
    try:
        return f"{domain_key(tags[b's'].decode())}._domainkey.{domain}"
    except (UnicodeDecodeError, BadAddress):
        raise NotVerified("neutral", "not a selector") from None


def _names(tags: Mapping[bytes, bytes], kind: str) -> tuple[bytes, ...]:
    """Return what a signature covers. :raises NotVerified:"""
    if kind == SEAL:
        if b"h" in tags:  # RFC 8617 4.1.3
            raise _unreadable()
        return ()
    names = read_list(tags[b"h"].lower())
    if len(names) > MAX_COVERED:
        raise NotVerified("policy", "too many fields")
    if b"from" not in names:
        raise NotVerified("permerror", "From is not signed")
    if kind == MESSAGE and b"arc-seal" in names:  # RFC 8617 4.1.2
        raise _unreadable()
    return names


def _identity(tags: Mapping[bytes, bytes], domain: str) -> str:
    """Return the domain of who signs: ``i=``, or ``d=`` without it. :raises NotVerified:"""
    if b"i" not in tags:
        return domain
    _, at, written = tags[b"i"].rpartition(b"@")
    try:
        identity = domain_key(written.decode() if at else "")
    except (UnicodeDecodeError, BadAddress):
        raise NotVerified("neutral", "not an identity") from None
    if identity != domain and not identity.endswith("." + domain):
        raise NotVerified("permerror", "identity of another domain")
    return identity


def check_times(tags: Mapping[bytes, bytes], seconds: float) -> None:
    """Look at when it was signed and until when it is good (RFC 6376 3.5 t= and x=). :raises NotVerified:"""
    times = {tag: tags[tag] for tag in (b"t", b"x") if tag in tags}
    if not all(map(_NUMBER.fullmatch, times.values())):
        raise _unreadable()
    signed, until = int(times.get(b"t", b"0")), int(times.get(b"x", b"0"))
    if b"x" in times and until < signed:
        raise _unreadable()
    if b"x" in times and until < seconds - SKEW:
        raise NotVerified("policy", "expired")
    if signed > seconds + SKEW:
        raise NotVerified("policy", "from the future")


def check_body(signature: Signature, body: BodyDigests) -> None:
    """Compare the hash of the body. :raises NotVerified:"""
    tags, found = signature.tags, body.get(signature.forms[1])
    if found is None:
        raise _unreadable()
    if b"l" in tags and not (_NUMBER.fullmatch(tags[b"l"]) and int(tags[b"l"]) == found.octets):
        raise NotVerified("policy", "not all is signed")  # RFC 6376 8.2: whoever likes may have added something
    if _decoded(tags[b"bh"]) != found.digest:
        raise NotVerified("fail", "body has changed")


def verify(signature: Signature, digest: bytes, keys: Keys) -> PublicKey:
    """Return the key by which a signature holds. :param digest: of what is signed. :raises NotVerified: there is none."""
    records = keys.get(signature.record, ())
    if records is None:
        raise NotVerified("temperror", "no answer from DNS")
    value, fault = _decoded(signature.tags[b"b"]), NotVerified("permerror", "no key")
    # Of several records RFC 6376 3.6.2.2 says nothing: any of them will do, so that their order, which changes, does not matter.
    for record in sorted(records)[:MAX_RECORDS] if len(records) > 1 else records:
        try:
            return _verified(signature, value, digest, read_key(record))
        except NotVerified as error:
            fault = error
    raise fault


def _verified(signature: Signature, value: bytes, digest: bytes, key: PublicKey) -> PublicKey:
    if key.kind != signature.kind:
        raise NotVerified("permerror", "key of another kind")
    if key.strict and signature.identity != signature.domain:
        raise NotVerified("permerror", "identity of a subdomain")
    if not key.verifies(value, digest):
        raise NotVerified("neutral" if key.testing else "fail", "signature does not match")
    return key


def _decoded(text: bytes) -> bytes:
    """Return what is written as base64, with white space in it. :raises NotVerified:"""
    try:
        return b64decode(b"".join(text.split()), validate=True)
    except ValueError:
        raise _unreadable() from None
