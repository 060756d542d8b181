"""The name of this machine."""

from __future__ import annotations

from collections.abc import Sequence

from mailnode.checks.outside import SILENT, unanswered
from mailnode.checks.row import Check, Surroundings, done, failed
from mailnode.interfaces.dns import DnsQuestion
from mailnode.values.item import Item

NAME = "host-name"
_NOT_PUBLIC = ("localhost", "localdomain", "local", "lan", "internal", "home", "example", "invalid")


async def _look(world: Surroundings) -> Sequence[Item]:
    host = world.facts.hostname.rstrip(".").lower()
    name = f"Give it a full name below a domain of yours: [server] hostname, such as mail.{host or 'example'}.org."
    if "." not in host:
        return [failed(NAME, f"{host or 'nothing'} is no full name", name)]
    if host.rpartition(".")[2] in _NOT_PUBLIC:
        return [failed(NAME, f"{host} is a name that other servers cannot look up", name)]
    answers = await world.dns.ask([DnsQuestion(host, kind) for kind in ("A", "AAAA")])
    found = [value for answer in answers.values() for value in answer.values]
    if found:
        return [done(NAME, f"{host} leads to {', '.join(sorted(found))}")]
    if any(answer.failed for answer in answers.values()):
        return [await unanswered(world, NAME, f"{SILENT} about {host}", "Look at the name servers of its zone.")]
    records = [f"{host}. IN {'AAAA' if ':' in one else 'A'} {one}" for one in world.facts.addresses]
    mend = "\n".join(records) or f"Publish an A record of {host}, and an AAAA record where there is IPv6."
    return [failed(NAME, f"there is no address record of {host}", mend)]


CHECKS = (
    Check(
        name=NAME,
        about="The host name is a full one, and DNS has addresses for it",
        why="Other servers are greeted with this name, and many refuse mail when it does not lead back here.",
        look=_look,
    ),
)
