"""Whether the resolver answers, and validates."""

from __future__ import annotations

from collections.abc import Sequence

from mailnode.checks.outside import ROOT
from mailnode.checks.row import Check, Surroundings, done, failed, to_do
from mailnode.values.item import Item

NAME = "resolver"
_UNBOUND = (
    "apt-get install unbound\n"
    'Then let 127.0.0.1 be the only nameserver in /etc/resolv.conf, or say it here: [dns] servers = ["127.0.0.1"]'
)


async def _look(world: Surroundings) -> Sequence[Item]:
    answer = (await world.dns.ask([ROOT]))[ROOT]
    asked = ", ".join(world.facts.resolvers) or "the resolvers of the system"
    if answer.failed or not answer.values:
        return [failed(NAME, f"{asked}: no answer about the root of DNS", _UNBOUND)]
    if not answer.secure:
        return [to_do(NAME, f"{asked}: answers, but does not validate DNSSEC", _UNBOUND)]
    if not world.facts.believed:
        seen = f"{asked}: validates, but is on another machine: what it says may be changed on the way here"
        return [to_do(NAME, seen, f'{_UNBOUND}\nIf the way is safe: [dns] validates = "yes"')]
    return [done(NAME, f"{asked}: validates DNSSEC")]


CHECKS = (
    Check(
        name=NAME,
        about="The resolver answers, and checks DNSSEC signatures",
        why="Without a resolver there is no mail. Without one that validates there is no DANE, and block lists often answer only"
        " a resolver of one's own.",
        look=_look,
    ),
)
