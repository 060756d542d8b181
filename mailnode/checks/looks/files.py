"""Who serves, and who may read what is not for everybody."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

from mailnode.checks.row import Check, Surroundings, done, failed, skipped, to_do
from mailnode.values.item import Item

NAME, USER = "files", "system-user"
OTHERS, ALL_OTHERS = 0o007, 0o077  # permission bits


async def _files(world: Surroundings) -> Sequence[Item]:
    facts = world.facts
    if not facts.data:
        return [skipped(NAME, "no data directory is known")]
    wrong: list[tuple[str, str]] = []
    data = await world.machine.look_at(facts.data)
    if data.kind != "directory":
        return [to_do(NAME, f"{facts.data} is not there yet", "The first start makes it; its parent must let it.")]
    if data.mode & ALL_OTHERS:
        wrong.append((f"others may look into {data.path} (mode {data.mode:04o})", f"chmod 700 {data.path}"))
    number, name = await world.machine.user()
    if facts.running and number not in (0, data.uid):
        wrong.append((f"{data.path} belongs to {data.owner}, and {name} serves", f"chown -R {name}: {data.path}"))
    for secret in await asyncio.gather(*map(world.machine.look_at, facts.secret_files)):
        if secret.kind and secret.mode & OTHERS:
            wrong.append((f"everybody may read {secret.path} (mode {secret.mode:04o})", f"chmod o= {secret.path}"))
    if wrong:
        return [failed(NAME, "; ".join(seen for seen, _ in wrong), "\n".join(mend for _, mend in wrong))]
    return [done(NAME, f"{data.path} and {len(facts.secret_files)} secret files are for {data.owner} alone")]


async def _user(world: Surroundings) -> Sequence[Item]:
    if not world.facts.running:
        return [skipped(USER, "no server runs")]
    number, name = await world.machine.user()
    if number == 0:
        mend = "adduser --system --group mailnode\nThen User=mailnode in the unit, as etc/mailnode.service has it."
        return [to_do(USER, "the server runs as root", mend)]
    return [done(USER, f"the server runs as {name}")]


CHECKS = (
    Check(
        name=NAME,
        about="Mail, keys and passwords are readable by the server alone",
        why="Whoever reads the data directory reads all mail; whoever reads a key can pass for this server.",
        look=_files,
    ),
    Check(
        name=USER,
        about="The server has a user of its own",
        why="A mistake in a program that talks to strangers does less harm when the program may do less.",
        look=_user,
    ),
)
