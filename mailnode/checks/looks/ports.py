"""The ports of the listeners."""

from __future__ import annotations

from collections.abc import Sequence

from mailnode.checks.facts import ServedPort
from mailnode.checks.row import Check, Surroundings, done, failed, skipped
from mailnode.values.item import Item
from mailnode.values.machine import Dialled

NAME = "ports"
NEEDS_ROOT = "this needs the rights of root"


async def _look(world: Surroundings) -> Sequence[Item]:
    ports = list({(port.number, port.address): port for port in world.facts.ports}.values())
    if not ports:
        return [skipped(NAME, "no listener has a TCP port that is known here")]
    judge = _open if world.facts.running else _free
    return [await judge(world, port) for port in ports]


async def _open(world: Surroundings, port: ServedPort) -> Item:
    name, told = _name(port), await world.network.dial(_reached_at(port), port.number)
    if told.opened:
        return done(name, f"{port.protocol} takes connections, seen from this machine")
    return failed(name, f"{port.protocol}: {told.words}, seen from this machine", "mailnode status\nThe log says why.")


async def _free(world: Surroundings, port: ServedPort) -> Item:
    name, told = _name(port), await world.network.can_listen(port.address, port.number)
    if told.opened:
        return done(name, f"free for {port.protocol}")
    return _not_free(name, port, told)


def _not_free(name: str, port: ServedPort, told: Dialled) -> Item:
    if told.words == NEEDS_ROOT:
        return skipped(name, "only root can see whether it is free")
    mend = f"See who it is, and end it or give it another port: ss -ltnp 'sport = :{port.number}'"
    return failed(name, f"not free for {port.protocol}: {told.words}", mend)


def _name(port: ServedPort) -> str:
    return f"{NAME}:{port.number}"


def _reached_at(port: ServedPort) -> str:
    return {"": "127.0.0.1", "0.0.0.0": "127.0.0.1", "::": "::1"}.get(port.address, port.address)


CHECKS = (
    Check(
        name=NAME,
        about="The ports of the listeners take connections, or are free while no server runs",
        why="Whether a firewall lets others reach them cannot be seen from here: try from elsewhere when they are open and mail"
        " does not come.",
        look=_look,
    ),
)
