"""Whether mail can leave: port 25 of other domains' servers."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

from mailnode.checks.row import Check, Surroundings, done, failed, skipped, to_do
from mailnode.interfaces.dns import DnsQuestion
from mailnode.values.item import Item
from mailnode.values.machine import Dialled

NAME = "port-25-outwards"
HOSTS = 2  # of one domain's mail servers that are tried
ADDRESSES = 2  # of one host and one family

_BLOCKED = (
    "Ask who runs the network to open port 25 outwards (many do when asked).\n"
    "Or send through a server that takes your mail: [queue.smarthost] with its host, port, login and password_file."
)


async def _look(world: Surroundings) -> Sequence[Item]:
    facts = world.facts
    if facts.relays:
        return [skipped(NAME, f"mail leaves through {', '.join(facts.relays)}")]
    hosts = await _hosts(world)
    if not hosts:
        names = ", ".join(facts.settings.mail_servers)
        return [skipped(NAME, f"DNS names no mail server of {names or 'no domain, since none is configured'}")]
    addresses = await _addresses(world, hosts)
    tried = await asyncio.gather(
        *(world.network.greet(address, facts.outward_port, facts.hostname) for address in addresses)
    )
    return [_judge(dict(zip(addresses, tried, strict=True)))]


def _judge(tried: dict[str, Dialled]) -> Item:
    greeted = [address for address, one in tried.items() if one.lines and one.lines[0].startswith("220")]
    families = {":" in address for address in greeted}
    if families == {":" in address for address in tried} and families:
        return done(NAME, f"mail servers answer: {', '.join(greeted)}")
    if families:
        silent, other = ("IPv4", "IPv6") if True in families else ("IPv6", "IPv4")
        seen = f"mail servers answer over {other}, and not over {silent}"
        if silent == "IPv6":
            return done(NAME, seen)
        return to_do(NAME, seen, "Many domains have no IPv6: " + _BLOCKED)
    strangers = [address for address, one in tried.items() if one.opened]
    if strangers:
        said = next(iter(tried[strangers[0]].lines), "nothing")
        return failed(NAME, f"{strangers[0]} refuses us, or another server stands before it: {said}", _BLOCKED)
    reasons = ", ".join(f"{address}: {one.words}" for address, one in tried.items())
    return failed(NAME, f"no mail server can be reached ({reasons})", _BLOCKED)


async def _hosts(world: Surroundings) -> list[str]:
    asked = [DnsQuestion(name, "MX") for name in world.facts.settings.mail_servers]
    answers = await world.dns.ask(asked)
    found: list[str] = []
    for question in asked:
        values = [value.partition(" ") for value in answers[question].values]
        ranked = sorted((int(preference), host) for preference, _, host in values if host != ".")
        found += [host for _, host in ranked[:HOSTS]]
    return found


async def _addresses(world: Surroundings, hosts: Sequence[str]) -> list[str]:
    asked = [DnsQuestion(host, kind) for host in hosts for kind in ("A", "AAAA")]
    answers = await world.dns.ask(asked)
    own = await world.network.own_addresses()
    six = any(":" in one for one in own)
    found = [value for question in asked for value in answers[question].values[:ADDRESSES]]
    return list(dict.fromkeys(one for one in found if six or ":" not in one))


CHECKS = (
    Check(
        name=NAME,
        about="Mail servers of other domains answer on port 25",
        why="Mail to other domains leaves over port 25. Many providers block it until they are asked, so that machines that were"
        " broken into send no spam.",
        look=_look,
    ),
)
