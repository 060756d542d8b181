"""Whether the signatures of a message hold (DKIM, RFC 6376), and its chain (ARC, RFC 8617).

dkimpy reads signatures and keys and does the arithmetic. It is given what it does in bounded time, and never a body: its
expressions take 12 seconds for one line of 64 KiB of spaces, its arithmetic takes half a second for a key of two large numbers,
and nothing else runs meanwhile. Keys, and what RFC 8301 has forbidden since, are looked at here. For a thread.
"""

from __future__ import annotations

import logging
import re
from base64 import b64encode
from collections.abc import Mapping, Sequence

import dkim
from dkim.util import InvalidTagValueList, parse_tag_value

from mailnode.errors import BadAddress
from mailnode.message.arc import RESULTS, SIGNATURE, ArcChain, read_chain
from mailnode.message.dkim import BodyHash
from mailnode.message.headers import Field, fields
from mailnode.values.address import domain_key
from mailnode.values.authentication import AuthenticationResult

MAX_SIGNATURES = 8  # of DKIM that are looked at, the topmost
MAX_FIELD = 8 * 1024  # octets of a field with a signature
MAX_WHITE = 100  # octets of white space in one place of it
MAX_COVERED = 200  # fields that one signature covers
MAX_RECORD = 2 * 1024  # octets of a key's record
MIN_KEY, MAX_KEY = 1024, 4096  # bits of RSA (RFC 8301 3.2)
MAX_EXPONENT = 64  # bits
SHOWN_SIGNATURE = 8  # characters by which it is known (RFC 6008 3)
_WHITE = re.compile(rb"[ \t\r\n]{%d}" % MAX_WHITE)
_SIMPLE = re.compile(rb";[ \t\r\n]*c[ \t\r\n]*=[ \t\r\n]*simple")
_SHOWN = {"header.s": b"s", "header.a": b"a", "header.b": b"b"}
_SILENT = logging.Logger("dkim", logging.CRITICAL + 1)

Tags = Mapping[bytes, bytes]
Keys = Mapping[str, bytes | None]  # records by name; None: nobody can say just now


class Digests:
    """The hashes that signatures may have of a body, which comes in pieces."""

    def __init__(self) -> None:
        self._forms = {b"relaxed": BodyHash(), b"simple": BodyHash(relaxed=False)}
        self.digests: dict[bytes, bytes] = {}  # by form, once the body is whole

    def update(self, data: bytes) -> None:
        """Take the next octets."""
        for form in self._forms.values():
            form.update(data)

    def finish(self) -> None:
        """The body is whole."""
        self.digests = {name: form.digest() for name, form in self._forms.items()}

    def octets(self, form: bytes) -> int:
        """How many octets were hashed for a form."""
        return self._forms[form].octets


def key_names(header: bytes) -> tuple[str, ...]:
    """Return the names of the records that are needed to verify a message."""
    chain = read_chain(header)
    wanted = _signatures(header)
    if not chain.fault:
        wanted += _of_chain(chain)
    names = [_key_name(_tags(field)) for field in wanted if _is_bounded(field)]
    return tuple(dict.fromkeys(filter(None, names)))


def verify(header: bytes, body: Digests, keys: Keys) -> tuple[AuthenticationResult, ...]:
    """Return a result for each signature, "none" without any, and the one of the chain.

    :param header: the block with its empty line, as :func:`mailnode.message.headers.repair` leaves it. :param keys: the record
        of each of :func:`key_names`; b"": there is none.
    """
    return (*_verify_signatures(header, body, keys), _verify_chain(header, body, keys))


class _NotVerified(dkim.DKIMException):  # type: ignore[misc]
    """``result``: RFC 8601 2.7.1."""

    def __init__(self, result: str, reason: str) -> None:
        super().__init__(reason)
        self.result = result
        self.reason = reason


class _BoundedVerifier(dkim.DomainSigner):  # type: ignore[misc]
    """Verifies one signature, with the hash of a body that it has never seen, and a record that was asked for before."""

    headers: Sequence[tuple[bytes, bytes]]

    def __init__(self, header: bytes, body: Digests, keys: Keys) -> None:
        super().__init__(header, logger=_SILENT)
        self._digests = body
        self._keys = keys

    def verify_sig(self, sig: Tags, include_headers: list[bytes], sig_header: object, dnsfunc: object) -> bool:
        """Overrides what dkimpy's own classes call for each signature. :raises dkim.DKIMException:"""
        if not sig[b"a"].endswith(b"-sha256"):
            raise _NotVerified("policy", "weak algorithm")
        if len(include_headers) > MAX_COVERED:
            raise _NotVerified("policy", "too many fields")
        if b"bh" in sig:
            if b"from" not in include_headers:
                raise _NotVerified("permerror", "From is not signed")
            self._look_at_body(sig)
        record = self._keys.get(_key_name(sig), b"")
        self.pk, self.keysize, self.ktag, self.seqtlsrpt = _load_key(record)
        if not sig[b"a"].startswith(self.ktag):
            raise _NotVerified("permerror", "key of another kind")
        bodiless = {name: value for name, value in sig.items() if name != b"bh"}
        # dkimpy canonicalises whatever fields there are, once more for each signature.
        covered = set(include_headers)
        whole, self.headers = self.headers, [field for field in self.headers if field[0].lower() in covered]
        try:
            return bool(self.verify_sig_process(bodiless, include_headers, sig_header, dnsfunc))
        finally:
            self.headers = whole

    def _look_at_body(self, sig: Tags) -> None:
        form = sig.get(b"c", b"simple").partition(b"/")[2] or b"simple"
        digest = self._digests.digests.get(form)
        if digest is None:
            raise _NotVerified("neutral", "cannot be read")
        if b"l" in sig and int(sig[b"l"]) != self._digests.octets(form):
            raise _NotVerified("policy", "not all is signed")
        if b"".join(sig[b"bh"].split()) != b64encode(digest):
            raise _NotVerified("fail", "body has changed")


class _SignatureVerifier(_BoundedVerifier, dkim.DKIM):  # type: ignore[misc]
    """Of DKIM."""


class _ChainVerifier(_BoundedVerifier, dkim.ARC):  # type: ignore[misc]
    """Of ARC. dkimpy finds a signature by a space before its instance, where the relaxed form sees nothing."""

    _newest = 0

    def __init__(self, header: bytes, body: Digests, keys: Keys) -> None:
        super().__init__(header, body, keys)
        self.headers = [(name, _with_space(name, value)) for name, value in self.headers]

    def verify_instance(self, fields: object, instance: int, dnsfunc: object = None) -> Mapping[str, object]:
        """Overrides what dkimpy calls for each set, the newest first. :raises dkim.DKIMException: the chain is broken, whatever
        the sets below come to: a stranger may send fifty of them."""
        found: Mapping[str, object] = super().verify_instance(fields, instance, dnsfunc)
        self._newest = self._newest or instance
        if not found["as-valid"] or (instance == self._newest and not found["ams-valid"]):
            raise _NotVerified("fail", "does not verify")
        return found


def _with_space(name: bytes, value: bytes) -> bytes:
    if name.lower() != SIGNATURE or _SIMPLE.search(value) is not None:
        return value
    return b" " + value.lstrip()


def _load_key(record: bytes | None) -> tuple[object, int, bytes, bool]:
    """Return what dkimpy makes of the record of a key. :raises _NotVerified:"""
    if record is None:
        raise _NotVerified("temperror", "no answer from DNS")
    if not record or len(record) > MAX_RECORD:
        raise _NotVerified("permerror", "key is too large" if record else "no key")
    try:
        tags = parse_tag_value(record)
        key, bits, kind, for_reports = dkim.evaluate_pk("", record)
    except Exception:  # it reads what anybody may publish, and names few of the errors that it meets
        raise _NotVerified("permerror", "no key") from None
    if b"sha256" not in tags.get(b"h", b"sha256"):
        raise _NotVerified("permerror", "key is for another algorithm")
    if kind == b"rsa" and bits < MIN_KEY:
        raise _NotVerified("policy", "weak key")
    if kind == b"rsa" and (bits > MAX_KEY or key["publicExponent"].bit_length() > MAX_EXPONENT):
        raise _NotVerified("policy", "key is too large")
    return key, bits, kind, for_reports


def _verify_signatures(header: bytes, body: Digests, keys: Keys) -> Sequence[AuthenticationResult]:
    results = []
    for index, field in enumerate(_signatures(header)):
        result, reason = _verify_signature(header, body, keys, index) if _is_bounded(field) else ("policy", "too large")
        results.append(AuthenticationResult("dkim", result, _about(field), reason))
    return results or [AuthenticationResult("dkim", "none")]


def _verify_signature(header: bytes, body: Digests, keys: Keys, index: int) -> tuple[str, str]:
    try:
        holds = _SignatureVerifier(header, body, keys).verify(index)
    except _NotVerified as error:
        return error.result, error.reason
    except Exception:  # what dkimpy cannot read, and what it does not know that it cannot
        return "neutral", "cannot be read"
    return ("pass", "") if holds else ("fail", "signature does not match")


def _verify_chain(header: bytes, body: Digests, keys: Keys) -> AuthenticationResult:
    chain = read_chain(header)
    if not chain.sets and not chain.fault:
        return AuthenticationResult("arc", "none")
    if chain.fault or not all(map(_is_bounded, _of_chain(chain))):
        return AuthenticationResult("arc", "fail", reason=chain.fault or "too large")
    try:
        status, sets, _ = _ChainVerifier(header, body, keys).verify()
    except Exception:  # as above
        status, sets = dkim.CV_Fail, []
    if status != dkim.CV_Pass:
        return AuthenticationResult("arc", "fail", reason="does not verify")
    broken = [one["instance"] for one in sets if not one["ams-valid"]]
    oldest = str(max(broken, default=-1) + 1)  # RFC 8617 5.2 5
    return AuthenticationResult("arc", "pass", (("header.oldest-pass", oldest),))


def _signatures(header: bytes) -> list[Field]:
    return [field for field in fields(header) if field.is_named(b"DKIM-Signature")][:MAX_SIGNATURES]


def _of_chain(chain: ArcChain) -> list[Field]:
    """Return its fields that have signatures."""
    return [field for found in chain.sets.values() for field in found if not field.is_named(RESULTS)]


def _is_bounded(field: Field) -> bool:
    return len(field.raw) <= MAX_FIELD and _WHITE.search(field.raw) is None


def _tags(field: Field) -> Tags:
    try:
        return parse_tag_value(field.value)  # type: ignore[no-any-return]
    except InvalidTagValueList:
        return {}


def _key_name(tags: Tags) -> str:
    """Return the name of the record with the key of a signature, "" when that is not clear."""
    try:
        return f"{tags[b's'].decode()}._domainkey.{tags[b'd'].decode()}" if tags.get(b"s") and tags.get(b"d") else ""
    except UnicodeDecodeError:
        return ""


def _about(field: Field) -> tuple[tuple[str, str], ...]:
    """Which signature it is (RFC 8601 2.7.1, RFC 6008)."""
    tags = _tags(field)
    try:
        domain = domain_key(tags[b"d"].decode())
    except (KeyError, UnicodeDecodeError, BadAddress):
        return ()
    shown = {name: b"".join(tags.get(tag, b"").split()).decode("ascii", "replace") for name, tag in _SHOWN.items()}
    shown["header.b"] = shown["header.b"][:SHOWN_SIGNATURE]
    return (("header.d", domain), *((name, value) for name, value in shown.items() if value))
