"""The chain of those who sent a message on, each of whom seals what the ones before have found (ARC, RFC 8617)."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from mailnode.message.dkim import SigningKey, relaxed, signature_field, signed_data, signed_field, signed_names
from mailnode.message.headers import Field, fields

MAX_SETS = 50  # RFC 8617 4.2.1
RESULTS, SIGNATURE, SEAL = b"arc-authentication-results", b"arc-message-signature", b"arc-seal"
_SET = (RESULTS, SIGNATURE, SEAL)  # in the order in which they are sealed (RFC 8617 5.1.1)
_INSTANCE = re.compile(rb"(?:\A|;)[ \t]*i[ \t]*=[ \t]*([0-9]{1,3})[ \t]*(?:;|\Z)")
_STATUS = re.compile(rb"(?:\A|;)[ \t]*cv[ \t]*=[ \t]*(none|pass|fail)[ \t]*(?:;|\Z)", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class ArcChain:
    """What stands on a message. ``sets``: the fields by instance. ``fault``: what is wrong with the structure, "" nothing.
    ``ended``: the last one who sealed found it broken, and nobody seals it any more (RFC 8617 5.1 2)."""

    sets: Mapping[int, Sequence[Field]]
    fault: str = ""
    ended: bool = False

    @property
    def last(self) -> int:
        """The highest instance, 0 of none."""
        return max(self.sets, default=0)


def read_chain(header: bytes) -> ArcChain:
    """Read the chain of a message, and look at its structure (RFC 8617 5.2 1 to 3); no signature is verified."""
    sets: dict[int, list[Field]] = {}
    faults = []
    for field in fields(header):
        if field.name.lower() in _SET:
            instance = _INSTANCE.search(field.value)
            if instance is None:
                faults.append("a field without instance")
            else:
                sets.setdefault(int(instance[1]), []).append(field)
    seals = {number: _status(found) for number, found in sets.items()}
    last = max(sets, default=0)
    if last > MAX_SETS:
        faults.append("too long")
    elif any(sorted(field.name.lower() for field in found) != sorted(_SET) for found in sets.values()):
        faults.append("a set that is not whole")
    elif sorted(sets) != list(range(1, last + 1)):
        faults.append("a gap")
    elif any(status != (b"none" if number == 1 else b"pass") for number, status in seals.items()):
        faults.append("a seal without a good chain below it")
    return ArcChain(sets, faults[0] if faults else "", seals.get(last) == b"fail")


def seal(header: bytes, body: bytes, key: SigningKey, results: str, status: str, seconds: float) -> bytes:
    """Return the three fields that one who sends a message on puts on top of it (RFC 8617 5.1). For a thread.

    :param header: the block as it is sent, all but these fields. :param body: the digest of a
        :class:`mailnode.message.dkim.BodyHash`. :param key: RSA, which all verify. :param results: what was found out, as
        :func:`mailnode.message.authres.payload` has it. :param status: of the chain in that header: "none", "pass" or "fail".
    :param seconds: UTC.
    """
    chain = read_chain(header)
    instance = chain.last + 1
    found = f"ARC-Authentication-Results: i={instance}; {results}\r\n".encode("ascii")
    names = signed_names(header, ["DKIM-Signature"])  # RFC 8617 4.1.2
    signature = signature_field(f"ARC-Message-Signature: i={instance};", body, key, names, int(seconds))
    signature = signed_field(signature, key.sign(signed_data(header, names, signature)))
    words = f"i={instance}; a={key.algorithm}; cv={status}; d={key.domain}; s={key.selector}; t={int(seconds)};"
    own = f"ARC-Seal: {words}\r\n b=".encode("ascii")
    # RFC 8617 5.1.2: of a broken chain nobody could say in which order it is.
    below = (
        [] if status == "fail" else [field for number in sorted(chain.sets) for field in _in_order(chain.sets[number])]
    )
    sealed = [relaxed(field.name, field.raw[field.value_start :]) for field in below]
    sealed += [
        relaxed(name, field.partition(b":")[2])
        for name, field in ((RESULTS, found), (SIGNATURE, signature), (SEAL, own))
    ]
    return signed_field(own, key.sign(b"\r\n".join(sealed))) + signature + found


def _in_order(found: Sequence[Field]) -> list[Field]:
    return sorted(found, key=lambda field: _SET.index(field.name.lower()))


def _status(found: Sequence[Field]) -> bytes:
    """What the seal of a set says of the chain below it."""
    for field in found:
        if field.name.lower() == SEAL:
            status = _STATUS.search(field.value)
            return status[1].lower() if status is not None else b""
    return b""
