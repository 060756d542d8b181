"""What lists in DNS are, how they are asked about addresses and domains, and what their answers mean (RFC 5782). Pure."""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Iterable
from dataclasses import dataclass

from mailnode.values.networks import ip_address

IPV4, IPV6, HELO, MAIL, FROM = "ipv4", "ipv6", "helo", "mail", "from"
ADDRESSES, DOMAINS = frozenset({IPV4, IPV6}), frozenset({HELO, MAIL, FROM})

MAX_NAME = 253  # octets of a name in DNS
MAX_SAID = 150  # characters of what a list says of itself

# One octet of an answer: a number, a range, "&" and the bits one of which is set, or "*".
_OCTET = re.compile(r"(\*)|&([0-9]{1,3})|([0-9]{1,3})(?:-([0-9]{1,3}))?")
_NO_ANSWERS = ipaddress.IPv4Network("127.255.0.0/16")  # the list says that it does not answer us
_NEVER = ipaddress.IPv4Address(
    "127.0.0.1"
)  # RFC 5782 5: it is not listed; some lists say so that they refuse to answer
_LISTED = ipaddress.IPv4Network("127.0.0.0/8")
_UNLISTED_PLACES = [
    ipaddress.ip_network(text)
    for text in (
        "0.0.0.0/8",
        "10.0.0.0/8",
        "127.0.0.0/8",
        "169.254.0.0/16",
        "172.16.0.0/12",
        "192.168.0.0/16",
        "::/127",
        "fc00::/7",
        "fe80::/10",
    )
]


@dataclass(frozen=True, slots=True)
class OctetPattern:
    """Which numbers from 0 to 255 fit. ``bits``: one of these must be set; 0: the bounds say it."""

    low: int = 0
    high: int = 255
    bits: int = 0

    def fits(self, octet: int) -> bool:
        """Whether a number is one of them."""
        return bool(octet & self.bits) if self.bits else self.low <= octet <= self.high


AnswerPattern = tuple[OctetPattern, ...]


def answer_pattern(text: str) -> AnswerPattern:
    """Return which answers are meant by ``127.0.0.2``, ``127.0.0.4-7``, ``127.0.*.3`` or ``127.0.0.&12``.

    :raises ValueError: none are."""
    parts = text.split(".")
    if len(parts) != 4:
        raise ValueError("an answer has four numbers, such as 127.0.0.2, 127.0.0.4-7, 127.0.*.3 or 127.0.0.&8")
    return tuple(map(_octet, parts))


def _octet(text: str) -> OctetPattern:
    found = _OCTET.fullmatch(text)
    numbers = [int(one) for one in found.groups()[1:] if one is not None] if found is not None else [256]
    if any(one > 255 for one in numbers):
        raise ValueError(f"{text}: no number from 0 to 255, no range, no & and bits, no *")
    assert found is not None
    if found[1] is not None:
        return OctetPattern()
    if found[2] is not None:
        return OctetPattern(bits=numbers[0])
    return OctetPattern(numbers[0], numbers[-1])


@dataclass(frozen=True, slots=True)
class DnsList:
    """One list. ``of``: what it is asked about. ``answers``: how much some answers weigh; where there are any, no other counts.
    ``accepts``: what it lists is let in."""

    zone: str
    score: float
    of: frozenset[str]
    answers: tuple[tuple[AnswerPattern, float], ...] = ()
    accepts: bool = False

    def weight(self, answers: Iterable[str]) -> float | None:
        """Return how much answers weigh, the heaviest of them; None: it does not list what was asked about.

        :raises NotAnswering: it does not tell us."""
        weights = [found for text in answers if (found := self._weight_of(text)) is not None]
        return max(weights, key=abs, default=None)

    def _weight_of(self, text: str) -> float | None:
        address = ipaddress.IPv4Address(text)
        if address == _NEVER or address in _NO_ANSWERS:
            raise NotAnswering(f"it answers {text}, which says that it does not answer us")
        if address not in _LISTED:
            raise NotAnswering(f"it answers {text}, which is no answer of a list: it may have died")
        if not self.answers:
            return self.score
        fitting = [
            weight
            for pattern, weight in self.answers
            if all(one.fits(octet) for one, octet in zip(pattern, address.packed, strict=True))
        ]
        return max(fitting, key=abs, default=None)


class NotAnswering(Exception):
    """A list does not answer as lists do; the text says how."""


def reversed_address(peer: str) -> tuple[str, str] | None:
    """Return "ipv4" or "ipv6", and the labels under which lists have an address (RFC 5782 2.1, 2.4); None: lists have nothing
    to say of it."""
    address = ip_address(peer)
    if address is None or any(address in network for network in _UNLISTED_PLACES):
        return None
    labels = address.reverse_pointer.removesuffix(".in-addr.arpa").removesuffix(".ip6.arpa")
    return IPV4 if address.version == 4 else IPV6, labels


def domain_labels(domain: str) -> str:
    """Return a domain as lists have it (RFC 5782 2.5); "" for what they cannot have: literals, names of one label."""
    name = domain.lower().removesuffix(".")
    if "." not in name or not re.fullmatch(r"[a-z0-9_.-]+", name) or ".." in name or name.startswith("."):
        return ""
    return "" if re.fullmatch(r"[0-9.]+", name) else name


def test_labels(one: DnsList) -> tuple[tuple[str, str], ...]:
    """Return what a list never lists, and what it always does, of each kind it is asked about (RFC 5782 5)."""
    found = []
    if IPV4 in one.of:
        found.append(("1.0.0.127", "2.0.0.127"))
    elif IPV6 in one.of:
        never, always = (_nibbles(ipaddress.IPv6Address(f"::ffff:7f00:{last}")) for last in (1, 2))
        found.append((never, always))
    if one.of & DOMAINS:
        found.append(("invalid", "test"))
    return tuple(found)


def _nibbles(address: ipaddress.IPv6Address) -> str:
    return address.reverse_pointer.removesuffix(".ip6.arpa")


def shown(said: bytes) -> str:
    """Return what a list says of what it lists, as one line of ASCII."""
    text = "".join(chr(octet) if 32 <= octet < 127 else "?" for octet in said[: 4 * MAX_SAID])
    return " ".join(text.split())[:MAX_SAID]
