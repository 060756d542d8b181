"""Whether mail programs find their settings."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

from mailnode.checks.outside import own_page
from mailnode.checks.row import DOCTOR_ONLY, Check, Surroundings, done, failed, skipped
from mailnode.values.item import Item

NAME = "autoconfig"
PATH = "/mail/config-v1.1.xml?emailaddress=postmaster%40{domain}"


async def _look(world: Surroundings) -> Sequence[Item]:
    domains = [
        one.name
        for one in world.facts.domains
        if any(record.name == _host(one.name) and record.type == "CNAME" for record in one.records)
    ]
    if not domains:
        return [skipped(NAME, "no settings are told to programs (docs/clients.rst)")]
    return await asyncio.gather(*(_judge(world, domain) for domain in domains))


def _host(domain: str) -> str:
    return f"autoconfig.{domain}"


async def _judge(world: Surroundings, domain: str) -> Item:
    name, host, path = f"{NAME}:{domain}", _host(domain), PATH.format(domain=domain)
    told = await own_page(world, name, host, path)
    if isinstance(told, Item):
        return told
    if told.status != 200 or world.facts.hostname.encode() not in told.body:
        return failed(name, f"it does not name this server (status {told.status})", f"curl -v 'https://{host}{path}'")
    return done(name, "programs are told this server")


CHECKS = (
    Check(
        name=NAME,
        about="Mail programs are told their settings (autoconfig)",
        why="Without it people type hosts, ports and kinds of TLS by hand, and get them wrong.",
        look=_look,
        occasions=DOCTOR_ONLY,
    ),
)
