"""The addresses of this machine, and whether the host name leads to them."""

from __future__ import annotations

from collections.abc import Sequence

from mailnode.checks.outside import host_addresses, is_public, mail_servers, named_address
from mailnode.checks.row import Check, Surroundings, done, failed, to_do
from mailnode.values.item import Item

NAME = "addresses"


async def _look(world: Surroundings) -> Sequence[Item]:
    own = list(await world.network.own_addresses())
    if not own:
        return [failed(NAME, "no interface of this machine has an address", "ip address\nSee that the network is up.")]
    host, leading = world.facts.hostname, await host_addresses(world, world.facts.hostname)
    public = [address for address in own if is_public(address)]
    elsewhere = [address for address in leading if address not in own and address not in world.facts.addresses]
    if public:
        if not elsewhere:
            return [done(NAME, f"this machine has {', '.join(public)}")]
        return [failed(NAME, f"{host} leads to {', '.join(elsewhere)}, which is not here", _records(host, public))]
    if world.facts.addresses:
        seen = f"{', '.join(own)} here; others reach it as {', '.join(world.facts.addresses)}"
        return [done(NAME, f"{seen}, whose ports must be led here")]
    outside = await _seen_from_outside(world)
    if outside and outside in leading:
        return [done(NAME, f"{', '.join(own)} here; others see {outside}, to which {host} leads")]
    known = outside or next(iter(leading), "192.0.2.1")
    seen = f"only private addresses here ({', '.join(own)})" + (f"; others see {outside}" if outside else "")
    mend = f'Have the router lead the ports of mail here, and name the address it has outside: [server] addresses = ["{known}"]'
    return [to_do(NAME, seen, mend)]


async def _seen_from_outside(world: Surroundings) -> str:
    for address in (await mail_servers(world))[:1]:
        told = await world.network.greet(address, world.facts.outward_port, world.facts.hostname)
        return named_address(told.lines)
    return ""


def _records(host: str, addresses: Sequence[str]) -> str:
    lines = [f"{host}. IN {'AAAA' if ':' in one else 'A'} {one}" for one in addresses]
    return "\n".join(["Publish this in place of what is there:", *lines])


CHECKS = (
    Check(
        name=NAME,
        about="The host name leads to this machine, or to what stands before it",
        why="Mail comes to the addresses that DNS has for the host name. Behind a router that translates addresses this machine"
        " does not know them by itself.",
        look=_look,
    ),
)
