"""The name and the public addresses of the machine: most of what follows is made of them."""

from __future__ import annotations

import ipaddress

from mailnode.interfaces.dns import DnsQuestion
from mailnode.setup.row import SetupItem, Surrounded
from mailnode.setup.words import ADDRESSES, HOST_NAME
from mailnode.values.item import Item, ItemState

NAME = "name"


def _look(around: Surrounded) -> Item:
    host, addresses = around.answers.known(HOST_NAME), around.answers.known(ADDRESSES)
    if host is None or addresses is None:
        seen = _public_addresses(around)
        suggested = (
            host or _suggested_name(around, seen),
            addresses or " ".join(seen) or "addresses that only you know",
        )
        told = ", ".join(suggested)
        return Item(NAME, ItemState.TO_DO, f"the name and the public addresses are to be settled; suggested: {told}")
    return Item(NAME, ItemState.DONE, f"{host}, {addresses.replace(' ', ', ')}")


def _do(around: Surrounded) -> None:
    seen = _public_addresses(around)
    host = around.answers.of(HOST_NAME, _suggested_name(around, seen))
    if not seen:  # behind NAT: perhaps DNS knows already
        seen = _addresses_of(around, host)
    around.answers.of(ADDRESSES, " ".join(seen))


def _public_addresses(around: Surrounded) -> tuple[str, ...]:
    return tuple(text for text in around.machine.own_addresses() if _is_public(text))


def _is_public(text: str) -> bool:
    return ipaddress.ip_address(text).is_global


def _suggested_name(around: Surrounded, addresses: tuple[str, ...]) -> str:
    """Return the name that the world knows an address by, where it is in the domain; else the usual one there."""
    questions = [DnsQuestion(ipaddress.ip_address(text).reverse_pointer, "PTR") for text in addresses]
    for answer in around.machine.look_up(questions).values():
        for name in answer.values:
            if name.endswith(f".{around.domain}"):
                return name
    return f"mail.{around.domain}"


def _addresses_of(around: Surrounded, host: str) -> tuple[str, ...]:
    answers = around.machine.look_up([DnsQuestion(host, "A"), DnsQuestion(host, "AAAA")])
    return tuple(value for answer in answers.values() for value in answer.values)


ITEM = SetupItem(
    NAME,
    _look,
    _do,
    explained="The name is what the server greets others with, what the MX record leads to and what the certificate is for. "
    "Behind NAT the addresses are those of the router.",
)
