"""Whether mail can leave: port 25 of other domains' servers."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

from mailnode.checks.outside import mail_servers, shown
from mailnode.checks.row import Check, Surroundings, done, failed, skipped, to_do
from mailnode.values.item import Item
from mailnode.values.machine import Dialled

NAME = "port-25-outwards"

_BLOCKED = (
    "Ask who runs the network to open port 25 outwards (many do when asked).\n"
    "Or send through a server that takes your mail: [queue.smarthost] with its host, port, login and password_file."
)


async def _look(world: Surroundings) -> Sequence[Item]:
    facts = world.facts
    if facts.relays:
        return [skipped(NAME, f"mail leaves through {', '.join(facts.relays)}")]
    addresses = await mail_servers(world)
    if not addresses:
        names = ", ".join(facts.settings.mail_servers)
        return [skipped(NAME, f"DNS names no mail server of {names or 'no domain, since none is configured'}")]
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
        return failed(NAME, f"{strangers[0]} refuses us, or another server stands before it: {shown(said)}", _BLOCKED)
    reasons = ", ".join(f"{address}: {one.words}" for address, one in tried.items())
    return failed(NAME, f"no mail server can be reached ({reasons})", _BLOCKED)


CHECKS = (
    Check(
        name=NAME,
        about="Mail servers of other domains answer on port 25",
        why="Mail to other domains leaves over port 25. Many providers block it until they are asked, so that machines that were"
        " broken into send no spam.",
        look=_look,
    ),
)
