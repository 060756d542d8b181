"""Bounding guesses, over all protocols and processes alike.

A guess is counted before it is looked at, and taken back when it was right: however many connections guess side by side,
no more are looked at than the limits say. Each count has a limit and a half-life, so that after a burst of ``tries``
some more come with time: ``a_day`` in the first 24 hours.

Where an account was logged in to from a network well lately (a good place) only what happens to this account at this place
counts for it: strangers far away lock nobody out, and the mistakes of a whole office hold up none of those who work there.
The same wrong password again is no further guess and counts once.
"""

from __future__ import annotations

import hmac
import ipaddress
import math
from collections.abc import Callable
from dataclasses import dataclass

from mailnode.interfaces.ephemeral import IEphemeral
from mailnode.values.networks import Networks, ip_address, within

DAY = 86_400.0  # seconds


@dataclass(frozen=True, slots=True)
class Limit:
    """``tries`` wrong guesses at once; half of those counted are forgotten in ``half_life`` seconds."""

    tries: int
    half_life: float

    @property
    def a_day(self) -> int:
        """The most wrong guesses in a day that begins without any: a burst, then one whenever there is room again."""
        room_after = self.half_life * math.log2(self.tries / (self.tries - 1))
        return self.tries + int(DAY / room_after)


PAIR = Limit(10, 3600.0)  # of one login name from one address
PLACE = Limit(20, 3600.0)  # of one login name from one network
ADDRESS = Limit(30, 7200.0)  # of all names from one address, those at a good place not counted
NETWORK = Limit(100, 7200.0)  # the same from one network
ACCOUNT = Limit(100, 43_200.0)  # of one login name from everywhere, its good places not counted
TRUSTED_SHARE = ACCOUNT.tries // 2  # what guesses from trusted networks may use up of it, at most
GOOD_HALF_LIFE = 14 * DAY  # a place is good for so long after the last login
FAILURE_DELAY = 1.0  # seconds every failure is answered late
TRUSTED_DELAY = 5.0  # the same in a trusted network, once PAIR would be over; right passwords never wait

_NO_LIMIT = math.inf
_UNKNOWN = "scram:"  # in the keys of guesses that cannot be told from each other

_Count = tuple[str, float, float]  # key, limit, half-life


def address(peer: str) -> str:
    """Return what counts as one address: an IPv4 address, or the IPv6 /64, all of which one machine may use."""
    found = ip_address(peer)
    return network(peer) if isinstance(found, ipaddress.IPv6Address) else str(found or peer)


def network(peer: str) -> str:
    """Return the /24 or /64 a peer is in; the peer itself when it is no IP address (a UNIX socket)."""
    found = ip_address(peer)
    if found is None:
        return peer
    return str(ipaddress.ip_network((found, 24 if found.version == 4 else 64), strict=False))


@dataclass(frozen=True, slots=True)
class CountedTry:
    """One try that may be looked at, already counted. ``delay``: how late its failure is answered, in seconds."""

    counts: tuple[_Count, ...]
    guess: str
    delay: float = FAILURE_DELAY


class Throttle:
    """Says which tries are looked at, and knows where each login is at home."""

    def __init__(self, counters: IEphemeral, secret: bytes, trusted: Callable[[], Networks] = tuple) -> None:
        """:param secret: digests of guesses are made with a key derived from it; they stay in memory.
        :param trusted: returns the networks that are not slowed down."""
        self._counters = counters
        self._key = hmac.digest(secret, b"digests of guesses", "sha256")
        self._trusted = trusted

    def trusts(self, peer: str) -> bool:
        """Whether a peer is in a network that has a brake of its own, such as a webmail's."""
        return within(peer, self._trusted())

    async def admit(self, login: str, peer: str, guess: bytes | None, now: float) -> CountedTry | None:
        """Count a try and return it, or None: it must not be looked at now.

        :param guess: the password, of which a keyed digest is remembered; None: unknown (SCRAM), each try is another.
        """
        once = self._digest(login, guess) if guess is not None else ""
        if self.trusts(peer):
            return await self._admit_trusted(login, peer, once, now)
        here, net = address(peer), network(peer)
        # SCRAM shows no password, so that a phone with last year's counts each time: its owner's other programs, most of
        # which send theirs, must not pay for it.
        kind = "" if guess is not None else _UNKNOWN
        counts: list[_Count] = [
            _count(f"pair:{kind}{here}:{login}", PAIR),
            _count(f"place:{kind}{net}:{login}", PLACE),
        ]
        if await self._counters.get(f"good:{net}:{login}", now, GOOD_HALF_LIFE) < 0.5:
            counts += [
                _count(f"address:{here}", ADDRESS),
                _count(f"network:{net}", NETWORK),
                _count(f"account:{login}", ACCOUNT),
            ]
        taken = await self._counters.take(counts, once, now)
        if taken == "refused":
            return None
        return CountedTry(tuple(counts) if taken == "counted" else (), once)

    async def _admit_trusted(self, login: str, peer: str, once: str, now: float) -> CountedTry:
        tally: _Count = (f"trusted:{network(peer)}:{login}", _NO_LIMIT, PAIR.half_life)
        share: _Count = (f"account:{login}", TRUSTED_SHARE, ACCOUNT.half_life)
        counts: list[_Count] = []
        if await self._counters.take([tally], once, now) == "counted":
            counts.append(tally)
            if await self._counters.take([share], "", now) == "counted":
                counts.append(share)
        many = await self._counters.get(tally[0], now, PAIR.half_life) > PAIR.tries
        return CountedTry(tuple(counts), once, TRUSTED_DELAY if many else FAILURE_DELAY)

    async def take_back(self, attempt: CountedTry, now: float) -> None:
        """The try was no wrong guess."""
        await self._counters.give_back(list(attempt.counts), attempt.guess, now)

    async def succeeded(self, login: str, peer: str, now: float) -> None:
        """Forgive this login at this address, and remember the place as good."""
        for kind in ("", _UNKNOWN):
            await self._counters.clear(f"pair:{kind}{address(peer)}:{login}")
        good = f"good:{network(peer)}:{login}"
        await self._counters.add(good, 1.0 - await self._counters.get(good, now, GOOD_HALF_LIFE), now, GOOD_HALF_LIFE)

    def _digest(self, login: str, guess: bytes) -> str:
        name = login.encode("utf-8", "surrogatepass")
        return hmac.digest(self._key, len(name).to_bytes(4, "big") + name + guess, "sha256")[:16].hex()


def _count(key: str, limit: Limit) -> _Count:
    return key, limit.tries, limit.half_life
