"""What systemd knows of the server."""

from __future__ import annotations

from collections.abc import Sequence

from mailnode.checks.row import Check, Surroundings, done, failed, skipped, to_do
from mailnode.values.item import Item

NAME = "service-unit"


async def _look(world: Surroundings) -> Sequence[Item]:
    unit = world.facts.settings.unit
    state = await world.machine.unit(unit)
    if not state.managed:
        return [skipped(NAME, "this machine was not started by systemd")]
    if not state.load:
        return [skipped(NAME, "systemd does not answer")]
    if state.load == "not-found":
        mend = f"cp etc/mailnode.service /etc/systemd/system/{unit}\nsystemctl daemon-reload\nsystemctl enable --now {unit}"
        return [to_do(NAME, f"there is no {unit}", mend)]
    if state.active == "failed" or (state.active != "active" and state.enabled == "enabled"):
        mend = f"journalctl -u {unit} -n 50\nsystemctl start {unit}"
        return [failed(NAME, f"{unit} is {state.active} ({state.result})", mend)]
    if state.enabled not in ("enabled", "static", "generated"):
        return [to_do(NAME, f"{unit} does not start with the machine ({state.enabled})", f"systemctl enable {unit}")]
    return [done(NAME, f"{unit} is {state.active}, and starts with the machine")]


CHECKS = (
    Check(
        name=NAME,
        about="systemd starts the server with the machine",
        why="Without it there is no mail after the next restart of the machine.",
        look=_look,
    ),
)
