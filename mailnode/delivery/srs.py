"""Reverse-paths of mail that is forwarded, rewritten to addresses of ours and back (Sender Rewriting Scheme).

``alice@far.example`` becomes ``SRS0=HASH=TT=far.example=alice@ours.example``, so that SPF of the next server asks our domain;
a bounce to it is sent to Alice. An address that another forwarder has rewritten becomes
``SRS1=HASH=other.example=REST@ours.example``: its bounce goes to that forwarder, ``SRS0REST@other.example``, who knows more.

The hash is an HMAC under a key of this server: without one anybody could have us send mail to anybody. Case is passed over in
it, as some servers change that of a local part. ``TT`` is the day, modulo 1024. Where nobody vouched for the sender, the hash is
another one: the address looks the same, and no bounce goes on from it.
"""

from __future__ import annotations

import hashlib
import hmac
from base64 import b32encode
from collections.abc import Iterable

from mailnode.errors import BadAddress
from mailnode.values.address import Address, parse_address

DAY = 86_400
VALID_DAYS = 21  # days for which a bounce is taken
FORGED = " forged"  # hashed with the kind of an address for a sender that nobody vouches for
HASH_LENGTH = 10  # characters of five bits
_DIGITS = "ABCDEFGHIJKLMNOPQRSTUVWXYZ234567"
_SEPARATORS = ("=", "+", "-")  # that others have after SRS0 and SRS1; ours is the first


class NotOurs(Exception):
    """An address was not made here, or too long ago."""


class NobodyVouches(Exception):
    """An address was made here for a sender that may be forged."""


def is_rewritten(local: str) -> bool:
    """Whether a local part looks like one that is made here."""
    return local[:5].upper() in ("SRS0=", "SRS1=")


def rewrite(sender: Address, domain: str, key: bytes, now: float, *, forged: bool = False) -> Address:
    """Return the address that stands for a sender in a domain of ours.

    :param key: of the hash. :param now: UTC seconds. :param forged: the sender may be: no bounce is to go on to it.
    """
    mark = FORGED if forged else ""
    kind, rest = sender.local[:4].upper(), sender.local[4:]
    if kind in ("SRS0", "SRS1") and rest.startswith(_SEPARATORS):
        first, opaque = sender.domain, rest
        if kind == "SRS1":
            _, _, further = rest[1:].partition("=")
            first, _, opaque = further.partition("=")
        if first and opaque:
            return Address(f"SRS1={_hash(key, f'SRS1{mark}', first, opaque)}={first}={opaque}", domain)
    day = _day(now)
    hashed = _hash(key, f"SRS0{mark}", day, sender.domain, sender.local)
    return Address(f"SRS0={hashed}={day}={sender.domain}={sender.local}", domain)


def restore(local: str, keys: Iterable[bytes], now: float) -> Address:
    """Return the address that a local part stands for. :param keys: of which one made the hash. :raises NotOurs, NobodyVouches:"""
    kind, length = local[:4].upper(), 4 if local[:4].upper() == "SRS0" else 3
    given, *hashed = local[5:].split("=", length - 1)
    if len(hashed) < length - 1:
        raise NotOurs("the hash is wrong")
    known = tuple(keys)
    if not _is_among(given, [_hash(key, kind, *hashed) for key in known]):
        if _is_among(given, [_hash(key, f"{kind}{FORGED}", *hashed) for key in known]):
            raise NobodyVouches
        raise NotOurs("the hash is wrong")
    if kind == "SRS1":
        domain, text = hashed[0], f"SRS0{hashed[1]}"
    else:
        day, domain, text = hashed
        if _age(day, now) > VALID_DAYS:
            raise NotOurs("it is too old")
    try:
        return parse_address(str(Address(text, domain)))
    except BadAddress:
        raise NotOurs("it stands for no address") from None


def _is_among(given: str, made: Iterable[str]) -> bool:
    return any(hmac.compare_digest(given.upper().encode(), one.encode()) for one in made)


def _hash(key: bytes, *parts: str) -> str:
    made = hmac.new(key, "=".join(parts).lower().encode("utf-8", "surrogatepass"), hashlib.sha256).digest()
    return b32encode(made)[:HASH_LENGTH].decode()


def _day(now: float) -> str:
    day = int(now // DAY) % 1024
    return _DIGITS[day // 32] + _DIGITS[day % 32]


def _age(day: str, now: float) -> int:
    """Return how many days ago a day was; one of which the clock knows nothing yet was long ago."""
    high, low = (_DIGITS.find(digit) for digit in day.upper())
    return (int(now // DAY) - (high * 32 + low)) % 1024
