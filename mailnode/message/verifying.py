"""Whether the signatures of a message hold (DKIM, RFC 6376), and its chain (ARC, RFC 8617).

Written here, as the signer is: dkimpy takes a third of a millisecond for what takes a fifth of that here, reads the header
anew for each signature, and has expressions that take 12 seconds for one line of 64 KiB of spaces. In the tests it says
whether this is right. What a stranger may have verified is bounded, whatever the message has.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Collection, Iterator
from itertools import islice

from mailnode.message import arc, signatures
from mailnode.message.digests import FORMS, BodyDigests, Digests
from mailnode.message.dkim import relaxed
from mailnode.message.headers import Field, scan_fields
from mailnode.message.key_records import NotVerified
from mailnode.message.signatures import DKIM, MESSAGE, SEAL, CoveredFields, Keys, Signature
from mailnode.message.tags import read_tags
from mailnode.values.authentication import AuthenticationResult, ChainVerdict

MAX_SIGNATURES = 8  # of DKIM that are looked at, the topmost
SHOWN_SIGNATURE = 8  # characters by which it is known (RFC 6008 3)
SIGNED_NAMES = frozenset({b"dkim-signature", arc.SIGNATURE})  # of fields with the hash of a body
_COLON = re.compile(rb"[ \t]*:")
# Tags that name a key, each behind a semicolon, as nearly everybody writes them; linear, as no value has a semicolon in it.
_NAMING = re.compile(rb";[ \t\r\n]*([ds])[ \t\r\n]*=[ \t\r\n]*([A-Za-z0-9._-]+)[ \t\r\n]*(?=;|\Z)")
_SHOWN = {"header.i": b"i", "header.s": b"s", "header.a": b"a", "header.b": b"b"}


def body_forms(header: bytes) -> Collection[bytes]:
    """Return the forms of the body that signatures have hashes of.

    :param header: the block with its empty line, as :func:`mailnode.message.headers.repair` leaves it, here and below.
    """
    forms: set[bytes] = set()
    for kind, most in ((DKIM, MAX_SIGNATURES), (MESSAGE, arc.MAX_SETS)):
        for field in _topmost(header, kind, most):
            if len(forms) < len(FORMS) and len(field.raw) <= signatures.MAX_FIELD:
                try:
                    forms.add(signatures.forms_of(read_tags(field.value), kind)[1])
                except (ValueError, NotVerified):
                    pass  # it is not verified either
    return forms


def is_signed(header: bytes) -> bool:
    """Whether there is a field with a signature of DKIM."""
    return any(_beginnings(header.lower(), b"dkim-signature"))


def has_chain(header: bytes) -> bool:
    """Whether there is any field of a chain of ARC."""
    lower = header.lower()
    return b"arc-" in lower and any(any(_beginnings(lower, name)) for name in (arc.SEAL, arc.SIGNATURE, arc.RESULTS))


def _topmost(header: bytes, name: str, most: int) -> list[Field]:
    """Return the topmost fields of a name, without a look at the others."""
    found = []
    for end in islice(_beginnings(header.lower(), name.lower().encode()), most):
        start, written, value_start, end = next(scan_fields(header, end - len(name)))
        found.append(Field(written, header[start:end], start, end, value_start - start))
    return found


def _beginnings(lower: bytes, name: bytes) -> Iterator[int]:
    """Yield where the names of the fields of a name end, from the top. :param lower: the header in lower case, as the name."""
    wanted, at = b"\r\n" + name, 0
    if lower.startswith(name) and _COLON.match(lower, len(name)):
        yield len(name)
    while (at := lower.find(wanted, at)) >= 0:
        at += len(wanted)
        if _COLON.match(lower, at):
            yield at


def needed_keys(header: bytes) -> tuple[str, ...]:
    """Return the names of the records of keys that signatures of DKIM need, as far as that is seen at a glance: some may be
    missing, and some not be needed after all."""
    names: dict[str, None] = {}
    for field in _topmost(header, DKIM, MAX_SIGNATURES):
        if len(field.raw) <= signatures.MAX_FIELD:
            tags = dict(_NAMING.findall(b";" + field.raw[field.value_start :]))
            if len(tags) == 2:
                names[f"{tags[b's'].decode()}._domainkey.{tags[b'd'].decode()}".lower()] = None
    return tuple(names)


def verified(header: bytes, body: bytes, keys: Keys, seconds: float) -> tuple[AuthenticationResult, ...] | None:
    """Return a result for each signature of DKIM, of a message that is in memory; None where others than these keys are needed.
    :param seconds: UTC."""
    found = DkimSignatures(header)
    if not keys.keys() >= set(found.records):
        return None
    digests = Digests(found.body_forms)
    digests.update(body)
    return found.verify(digests.finish(), keys, seconds)


class DkimSignatures:
    """Those of one message, the topmost few. ``records``: the names of the keys that are needed. ``body_forms``: of the body, of
    which there are hashes in those that are worth a look."""

    def __init__(self, header: bytes) -> None:
        self._header = header
        self._fields = _topmost(header, DKIM, MAX_SIGNATURES)
        self._read = [_read(field) for field in self._fields]
        good = [signature for signature in self._read if isinstance(signature, Signature)]
        self.records = tuple(dict.fromkeys([signature.record for signature in good]))
        self.body_forms = frozenset([signature.forms[1] for signature in good])

    def verify(self, body: BodyDigests, keys: Keys, seconds: float) -> tuple[AuthenticationResult, ...]:
        """Return a result for each, "none" without any. :param keys: those of ``records``. :param seconds: UTC."""
        if not self._fields:
            return (AuthenticationResult("dkim", "none"),)
        covered = CoveredFields(self._header)
        return tuple(
            _result(field, signature, covered, body, keys, seconds)
            for field, signature in zip(self._fields, self._read, strict=True)
        )


def _read(field: Field) -> Signature | NotVerified:
    try:
        return signatures.read_signature(field, DKIM)
    except NotVerified as fault:
        return fault


def _result(
    field: Field,
    signature: Signature | NotVerified,
    covered: CoveredFields,
    body: BodyDigests,
    keys: Keys,
    seconds: float,
) -> AuthenticationResult:
    try:
        if isinstance(signature, NotVerified):
            raise signature
        testing = _verify(signature, covered, body, keys, seconds)
    except NotVerified as fault:
        return AuthenticationResult("dkim", fault.result, _about(field), fault.reason)
    return AuthenticationResult("dkim", "pass", _about(field), "the key is being tried out" if testing else "")


def _verify(signature: Signature, covered: CoveredFields, body: BodyDigests, keys: Keys, seconds: float) -> bool:
    """Verify a signature of a message; return whether its key is only tried out. :raises NotVerified:"""
    signatures.check_times(signature.tags, seconds)
    signatures.check_body(signature, body)
    if covered.count(b"from") > signature.names.count(b"from"):
        raise NotVerified("fail", "a From field was added")  # RFC 6376 8.15
    return signatures.verify(signature, covered.digest(signature), keys).testing


def _about(field: Field) -> tuple[tuple[str, str], ...]:
    """Which signature it is (RFC 8601 2.7.1, RFC 6008); of a large one that is not said."""
    if len(field.raw) > signatures.MAX_FIELD:
        return ()
    try:
        tags = read_tags(field.value)
        about = [("header.d", signatures.domain_of(tags))]
    except (ValueError, NotVerified):
        return ()
    for name, tag in _SHOWN.items():
        if value := b"".join(tags.get(tag, b"").split()):
            about.append((name, (value[:SHOWN_SIGNATURE] if tag == b"b" else value).decode("utf-8", "replace")))
    return tuple(about)


class SealedChain:
    """That of one message. ``records``: as in :class:`DkimSignatures`. ``sets``: how many have sealed it."""

    def __init__(self, header: bytes) -> None:
        self._header = header
        self._fault = ""
        self._messages: list[Signature] = []  # the last one first, as seals
        self._seals: list[tuple[Signature, bytes]] = []  # each with the hash of what it signs
        self.sets = 0
        if has_chain(header):
            self._look(arc.read_chain(header))
        records = [signature.record for signature in (*self._messages, *(seal for seal, _ in self._seals))]
        self.records = tuple(dict.fromkeys(records))

    def _look(self, chain: arc.ArcChain) -> None:
        self._fault, self.sets = chain.fault, len(chain.sets)
        if chain.fault:
            return
        below = hashlib.sha256()
        try:
            for number in sorted(chain.sets):
                by_name = {field.name.lower(): field for field in chain.sets[number]}
                seal, message = by_name[arc.SEAL], by_name[arc.SIGNATURE]
                self._messages.insert(0, signatures.read_signature(message, MESSAGE))
                for field in (by_name[arc.RESULTS], message):
                    below.update(_relaxed(field))
                signed = below.copy()
                signed.update(signatures.without_own_value(seal))
                self._seals.insert(0, (signatures.read_signature(seal, SEAL), signed.digest()))
                below.update(_relaxed(seal))
        except NotVerified as fault:
            self._fault, self._messages, self._seals = fault.reason, [], []

    def verify(self, body: BodyDigests, keys: Keys, seconds: float) -> ChainVerdict:
        """Return what it comes to (RFC 8617 5.2). No more is verified than shows that it is broken."""
        if not self.sets and not self._fault:
            return ChainVerdict(AuthenticationResult("arc", "none"))
        if self._fault:
            return _broken(self._fault)
        covered = CoveredFields(self._header)
        try:
            _verify(self._messages[0], covered, body, keys, seconds)
            for seal, digest in self._seals:
                signatures.check_times(seal.tags, seconds)
                signatures.verify(seal, digest, keys)
        except NotVerified as fault:
            return _broken(fault.reason)
        oldest = self._oldest(covered, body, keys, seconds)
        result = AuthenticationResult("arc", "pass", (("header.oldest-pass", str(oldest)),))
        return ChainVerdict(result, tuple(seal.domain for seal, _ in reversed(self._seals)))

    def _oldest(self, covered: CoveredFields, body: BodyDigests, keys: Keys, seconds: float) -> int:
        """Return the instance since which nothing was changed, 0 if nothing was at all (RFC 8617 5.2 5)."""
        for below, message in enumerate(self._messages[1:], 1):
            try:
                _verify(message, covered, body, keys, seconds)
            except NotVerified:
                return self.sets - below + 1
        return 0


def _broken(reason: str) -> ChainVerdict:
    return ChainVerdict(AuthenticationResult("arc", "fail", reason=reason))


def _relaxed(field: Field) -> bytes:
    return relaxed(field.name, field.raw[field.value_start :]) + b"\r\n"
