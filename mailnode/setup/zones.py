"""Which zone a name stands in, and what each of its own servers says: they have no old answers, and none of "there is no such
name" that would be remembered for an hour."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from mailnode.checks import zone_check, zone_rules
from mailnode.interfaces.dns import DnsAnswer, DnsQuestion
from mailnode.interfaces.setup import SetupMachine
from mailnode.setup.trouble import SetupTrouble
from mailnode.values.item import ItemState
from mailnode.values.published import DnsRecord, Published

MAX_SERVERS = 8  # of one zone that are asked


@dataclass(frozen=True, slots=True)
class ServedZone:
    """A zone, and the addresses of its servers."""

    name: str
    servers: tuple[str, ...]

    def has(self, name: str) -> bool:
        """Whether a name is in it."""
        return name == self.name or name.endswith(f".{self.name}")


def zone_of(machine: SetupMachine, name: str) -> ServedZone:
    """Find the zone of a name. :raises SetupTrouble: DNS does not know it, or its servers have no address."""
    labels = name.split(".")
    above = [".".join(labels[at:]) for at in range(len(labels) - 1)]  # no top-level domain is anybody's zone here
    answers = machine.look_up([DnsQuestion(one, "NS") for one in above])
    for one in above:
        hosts = answers[DnsQuestion(one, "NS")].values
        if hosts:
            return ServedZone(one, _addresses(machine, hosts))
    if any(answer.failed for answer in answers.values()):
        raise SetupTrouble(f"the resolver does not say who serves {name}", "Run setup again later.", ItemState.WAITING)
    raise SetupTrouble(
        f"no name servers of {name} are known to DNS",
        "Register the domain, and name the servers of its zone there; then run setup again.",
        ItemState.TO_DO,
    )


def _addresses(machine: SetupMachine, hosts: Sequence[str]) -> tuple[str, ...]:
    asked = [DnsQuestion(host, kind) for host in hosts[:MAX_SERVERS] for kind in ("A", "AAAA")]
    answers = machine.look_up(asked)
    usable = [own for own in ("A", "AAAA") if own == "A" or any(":" in one for one in machine.own_addresses())]
    found = [value for one in asked if one.type in usable for value in answers[one].values]
    if not found:
        named = ", ".join(hosts[:MAX_SERVERS])
        raise SetupTrouble(f"the name servers {named} have no address", "Mend the delegation of the zone.")
    return tuple(dict.fromkeys(found))[:MAX_SERVERS]


def verdicts(
    machine: SetupMachine, zone: ServedZone, published: Published, records: Sequence[DnsRecord]
) -> list[zone_check.RecordCheck]:
    """Return what came of each name and type, the worst that any of the servers says.

    :param records: of this zone.
    """
    worst: dict[tuple[str, str, str], zone_check.RecordCheck] = {}
    questions = zone_check.questions(published, records)
    inside = [one for one in questions if zone.has(one.name)]
    for server in zone.servers:
        known: Mapping[DnsQuestion, DnsAnswer] = machine.look_up_at(server, inside)
        answers = {one: DnsAnswer() for one in questions} | dict(known)
        for judged in [*zone_check.check(published, records, answers), *_issuance(records, answers)]:
            key = (judged["name"], judged["type"], judged["why"])
            if key not in worst or _RANKS[judged["verdict"]] > _RANKS[worst[key]["verdict"]]:
                worst[key] = judged
    wanted = {(one.name, one.type) for one in records}
    return [judged for judged in worst.values() if (judged["name"], judged["type"]) in wanted]


def _issuance(
    records: Sequence[DnsRecord], answers: Mapping[DnsQuestion, DnsAnswer]
) -> Iterator[zone_check.RecordCheck]:
    """Yield what came of CAA records, which stand beside those of other authorities: a name without any is one to publish."""
    for one in records:
        if one.type == "CAA":
            answer = answers[DnsQuestion(one.name, "CAA")]
            verdict: zone_rules.Verdict = "failed" if answer.failed else "missing" if not answer.values else "right"
            yield {
                "name": one.name,
                "type": "CAA",
                "verdict": verdict,
                "wanted": [one.value],
                "found": list(answer.values),
                "advice": "",
                "why": one.why,
            }


_RANKS = {"right": 0, "hint": 1, "failed": 2, "missing": 3, "differs": 4}
