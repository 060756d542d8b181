"""The names of our addresses."""

from __future__ import annotations

import ipaddress
from collections.abc import Sequence

from mailnode.checks.outside import SILENT, host_addresses, public_addresses, shown, unanswered
from mailnode.checks.row import Check, Surroundings, done, failed, skipped, to_do
from mailnode.interfaces.dns import DnsQuestion
from mailnode.values.item import Item

NAME = "reverse-names"
MAX_ADDRESSES = 16
MAX_NAMES = 5  # of one address that are looked up


async def _look(world: Surroundings) -> Sequence[Item]:
    addresses = (await public_addresses(world))[:MAX_ADDRESSES]
    if not addresses:
        return [skipped(NAME, "no public address of this machine is known")]
    return [await _judge(world, address) for address in addresses]


async def _judge(world: Surroundings, address: str) -> Item:
    name, host = f"{NAME}:{address}", world.facts.hostname
    question = DnsQuestion(ipaddress.ip_address(address).reverse_pointer, "PTR")
    answer = (await world.dns.ask([question]))[question]
    ask = f"Whoever gave you {address} sets its name, often on a page of theirs: ask for {host}."
    if answer.failed:
        return await unanswered(world, name, f"{SILENT} about its name", f"If it stays so: {ask}")
    if not answer.values:
        return failed(name, "it has no name", ask)
    names = answer.values[:MAX_NAMES]
    said = shown(", ".join(names))
    back = [one for one in names if address in await host_addresses(world, one)]
    if not back:
        kind = "AAAA" if ":" in address else "A"
        mend = f"Publish it: {host}. IN {kind} {address}" if host in names else ask
        return failed(name, f"its name is {said}, which does not lead back to it", mend)
    if host not in back:
        return to_do(name, f"its name is {said} and not {host}", ask)
    return done(name, f"its name is {host}, which leads back to it")


CHECKS = (
    Check(
        name=NAME,
        about="Each address has the host name as its name, and that leads back",
        why="Many servers refuse mail from an address that has no name, or whose name does not lead back to it: machines that send"
        " spam seldom have one.",
        look=_look,
    ),
)
