"""Whether others can fetch our MTA-STS policy."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

from mailnode.checks.outside import own_page
from mailnode.checks.row import DOCTOR_ONLY, Check, Surroundings, done, failed, skipped
from mailnode.checks.zone import policy_host
from mailnode.values.item import Item
from mailnode.values.published import OwnStsPolicy

NAME = "mta-sts-host"
PATH = "/.well-known/mta-sts.txt"  # RFC 8461 3.2


async def _look(world: Surroundings) -> Sequence[Item]:
    published = world.facts.published
    if published is None or published.sts is None:
        return [skipped(NAME, "no policy is published")]
    policy = published.sts
    return await asyncio.gather(*(_judge(world, one.name, policy) for one in world.facts.domains))


async def _judge(world: Surroundings, domain: str, policy: OwnStsPolicy) -> Item:
    name, host = f"{NAME}:{domain}", policy_host(domain)
    told = await own_page(world, name, host, PATH)
    if isinstance(told, Item):
        return told
    look = f"curl -v 'https://{host}{PATH}'"
    if told.status != 200:
        return failed(name, f"it answers with status {told.status}", look)
    if told.body.decode("ascii", "replace").split() != policy.text.split():
        return failed(name, "it shows another policy than the one of now", f"{look}\nExpected:\n{policy.text.strip()}")
    return done(name, f"it shows the policy of now (mode {policy.mode})")


CHECKS = (
    Check(
        name=NAME,
        about="The MTA-STS policy can be fetched",
        why="Servers that know of a policy and cannot fetch it go on with the one they know; when it has run out, forged"
        " DNS answers can lead mail elsewhere again.",
        look=_look,
        occasions=DOCTOR_ONLY,
    ),
)
