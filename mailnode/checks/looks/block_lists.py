"""Whether lists of bad addresses have ours."""

from __future__ import annotations

import ipaddress
from collections.abc import Mapping, Sequence

from mailnode.checks.outside import is_public, public_addresses, shown
from mailnode.checks.row import Check, Surroundings, done, failed, skipped
from mailnode.interfaces.dns import DnsAnswer, DnsQuestion
from mailnode.values.item import Item

NAME = "block-lists"
MAX_ADDRESSES = 8
# RFC 5782 5: what every list must have, and what none may have.
LISTED, UNLISTED = "127.0.0.2", "127.0.0.1"
LISTED_SIX, UNLISTED_SIX = "::ffff:127.0.0.2", "::ffff:127.0.0.1"
_VALUES = ipaddress.ip_network("127.0.0.0/8")
_REFUSALS = ipaddress.ip_network("127.255.255.0/24")  # what lists say to resolvers that they do not serve
_PAGES = {
    "zen.spamhaus.org": "https://check.spamhaus.org/",
    "bl.spamcop.net": "https://www.spamcop.net/bl.shtml",
    "b.barracudacentral.org": "https://www.barracudacentral.org/lookups",
}


async def _look(world: Surroundings) -> Sequence[Item]:
    addresses = [one for one in await public_addresses(world) if is_public(one)][:MAX_ADDRESSES]
    lists = world.facts.settings.block_lists
    if not addresses or not lists:
        why = "no list is to be asked" if addresses else "no public address of this machine is known"
        return [skipped(NAME, why)]
    asked = {
        (zone, address): DnsQuestion(_name(address, zone), "A")
        for zone in lists
        for address in (*addresses, LISTED, UNLISTED, LISTED_SIX, UNLISTED_SIX)
    }
    answers = await world.dns.ask(set(asked.values()))
    told = {key: answers[question] for key, question in asked.items()}
    return [await _judge(world, zone, addresses, told) for zone in lists]


def _name(address: str, zone: str) -> str:
    reverse = ipaddress.ip_address(address).reverse_pointer
    return f"{reverse.removesuffix('.in-addr.arpa').removesuffix('.ip6.arpa')}.{zone}"


async def _judge(
    world: Surroundings, zone: str, addresses: Sequence[str], told: Mapping[tuple[str, str], DnsAnswer]
) -> Item:
    name = f"{NAME}:{zone}"
    known: list[str] = []
    unknown: list[str] = []
    for address in addresses:
        points = (LISTED_SIX, UNLISTED_SIX) if ":" in address else (LISTED, UNLISTED)
        works = _is_listed(told[zone, points[0]]) and not _is_listed(told[zone, points[1]])
        (known if works and not told[zone, address].failed else unknown).append(address)
    listed = [address for address in known if _is_listed(told[zone, address])]
    if listed:
        reason = await _reason(world, zone, listed[0])
        seen = f"it has {', '.join(listed)}" + (f": {shown(reason)}" if reason else "")
        page = _PAGES.get(zone, f"the page of {zone}")
        return failed(name, seen, f"See why, end what causes it, and ask for removal: {page}")
    if not known:
        refused = any(map(_is_refusal, (told[zone, LISTED], *(told[zone, one] for one in addresses))))
        seen = "it does not answer this resolver, as lists do with those that many people use" if refused else ""
        return skipped(
            name, seen or "it does not answer as a list does", "Ask through a resolver of your own: unbound."
        )
    rest = f"; about {', '.join(unknown)} it says nothing" if unknown else ""
    return done(name, f"it does not have {', '.join(known)}{rest}")


def _is_listed(answer: DnsAnswer) -> bool:
    values = [ipaddress.ip_address(value) for value in answer.values]
    return any(value in _VALUES and value not in _REFUSALS for value in values)


def _is_refusal(answer: DnsAnswer) -> bool:
    return any(ipaddress.ip_address(value) in _REFUSALS for value in answer.values)


async def _reason(world: Surroundings, zone: str, address: str) -> str:
    question = DnsQuestion(_name(address, zone), "TXT")
    return next(iter((await world.dns.ask([question]))[question].values), "")


CHECKS = (
    Check(
        name=NAME,
        about="Lists of addresses that send spam do not have ours",
        why="Many servers refuse mail from addresses that a list has. A list that does not answer as it must (RFC 5782 5) is not"
        " known to have or not to have anything: many answer no resolver that is used by many.",
        look=_look,
    ),
)
