"""What several checks ask about the world outside."""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Sequence

from mailnode.checks.row import Surroundings, failed, skipped
from mailnode.interfaces.dns import DnsQuestion
from mailnode.values.item import Item
from mailnode.values.machine import Fetched

HOSTS = 2  # of one domain's mail servers that are tried
ADDRESSES = 2  # of one host and one family
ROOT = DnsQuestion("", "NS")  # signed since 2010, and every resolver knows it
SILENT = "DNS gives no answer"
MAX_SHOWN = 300  # characters of what others said

# Not ipaddress's is_private: what is set aside for documentation is taken for public, as everything there is seen in examples.
_PRIVATE = [
    ipaddress.ip_network(text)
    for text in ("10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "100.64.0.0/10", "169.254.0.0/16", "127.0.0.0/8")
]
_PRIVATE += [ipaddress.ip_network(text) for text in ("fc00::/7", "fe80::/10", "::1/128")]
_LITERAL = re.compile(r"\[(?:IPv6:)?([0-9A-Fa-f:.]{2,45})\]")


def is_public(address: str) -> bool:
    """Whether others can reach an address, as far as its number says."""
    found = ipaddress.ip_address(address)
    return not any(found in network for network in _PRIVATE if network.version == found.version)


async def host_addresses(world: Surroundings, host: str) -> list[str]:
    """Return what DNS says a host's addresses are."""
    asked = [DnsQuestion(host, kind) for kind in ("A", "AAAA")]
    answers = await world.dns.ask(asked)
    return [value for question in asked for value in answers[question].values]


async def is_without_dns(world: Surroundings) -> bool:
    """Whether nobody answers at all, not even about the root: then nothing is known, and one item says so for all."""
    return (await world.dns.ask([ROOT]))[ROOT].failed


async def unanswered(world: Surroundings, name: str, seen: str, mend: str) -> Item:
    """Return the item of something that DNS gave no answer about: wrong, unless it gives none about anything."""
    if await is_without_dns(world):
        return skipped(name, "DNS gives no answer about anything: see what is said of the resolver")
    return failed(name, seen, mend)


def one_of_each_family(addresses: Sequence[str]) -> list[str]:
    """Return the first IPv4 and the first IPv6 address there is."""
    return list({":" in address: address for address in reversed(addresses)}.values())


async def own_page(world: Surroundings, name: str, host: str, path: str) -> Fetched | Item:
    """Fetch a page of ours as others do, over IPv4 or IPv6; return what came, or an item that says why nothing did.

    :param name: of that item."""
    asked = [DnsQuestion(host, kind) for kind in ("A", "AAAA")]
    answers = await world.dns.ask(asked)
    known = one_of_each_family([value for question in asked for value in answers[question].values])
    if not known and any(one.failed for one in answers.values()):
        return await unanswered(world, name, f"{SILENT} about {host}", "Look at the name servers of the zone.")
    if not known:
        return failed(name, f"{host} has no address", f"{host}. IN CNAME {world.facts.hostname}.")
    for address in known:
        told = await world.network.fetch(address, host, path)
        if not told.trouble:
            return told
    wanted = (
        f"The certificate must be for {host}, from an authority that programs trust: [acme] names, or [[tls.name]]."
    )
    return failed(name, f"{address}: {told.trouble}", f"curl -v 'https://{host}{path}'\n{wanted}")


async def public_addresses(world: Surroundings) -> list[str]:
    """Return the addresses at which others reach this machine: those the configuration names, else those of the interfaces, else
    those that DNS says."""
    if world.facts.addresses:
        return list(world.facts.addresses)
    own = [address for address in await world.network.own_addresses() if is_public(address)]
    return own or await host_addresses(world, world.facts.hostname)


async def mail_servers(world: Surroundings) -> list[str]:
    """Return addresses of the mail servers that are greeted, in families that this machine has."""
    asked = [DnsQuestion(name, "MX") for name in world.facts.settings.mail_servers]
    answers = await world.dns.ask(asked)
    hosts: list[str] = []
    for question in asked:
        values = [value.partition(" ") for value in answers[question].values]
        ranked = sorted((int(preference), host) for preference, _, host in values if host != ".")
        hosts += [host for _, host in ranked[:HOSTS]]
    questions = [DnsQuestion(host, kind) for host in hosts for kind in ("A", "AAAA")]
    answers = await world.dns.ask(questions)
    six = any(":" in one for one in await world.network.own_addresses())
    found = [value for question in questions for value in answers[question].values[:ADDRESSES]]
    return list(dict.fromkeys(one for one in found if six or ":" not in one))


def named_address(lines: Sequence[str]) -> str:
    """Return the address that a mail server says we come from, as many do in their answer to EHLO; "": it says none."""
    for text in _LITERAL.findall(" ".join(lines[1:])):
        try:
            return str(ipaddress.ip_address(text))
        except ValueError:
            continue
    return ""


def shown(text: str) -> str:
    """Return what somebody else said, short enough to be shown."""
    return text if len(text) <= MAX_SHOWN else text[:MAX_SHOWN] + " ..."
