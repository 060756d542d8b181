"""The records of our domains beside what DNS says, one kind of them at a time, as items."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence

from mailnode.checks.facts import DomainFacts
from mailnode.checks.outside import is_without_dns, shown
from mailnode.checks.row import Surroundings, done, failed, skipped
from mailnode.checks.zone_check import RecordCheck, check, names_of_addresses, questions
from mailnode.interfaces.dns import DnsAnswer, DnsQuestion
from mailnode.values.item import Item
from mailnode.values.published import DnsRecord, Published

Kind = Callable[[DnsRecord], bool]
_ORDER = ("failed", "missing", "differs", "hint", "right")


def record_look(name: str, is_of_kind: Kind) -> Callable[[Surroundings], Awaitable[Sequence[Item]]]:
    """Return what looks at the records of a kind: an item for each domain that should have some."""

    async def look(world: Surroundings) -> Sequence[Item]:
        published, domains = world.facts.published, world.facts.domains
        if published is None or not domains:
            return [skipped(name, "there is no domain here")]
        wanted = {one.name: _of_kind(one, is_of_kind) for one in domains}
        asked = {question for records in wanted.values() for question in questions(published, records)}
        answers = await world.dns.ask(asked)
        if any(answer.failed for answer in answers.values()) and await is_without_dns(world):
            return [skipped(name, "DNS gives no answer about anything: see what is said of the resolver")]
        found = [
            _item(f"{name}:{domain}", _judged(published, records, answers))
            for domain, records in wanted.items()
            if records
        ]
        return found or [skipped(name, "nothing of the kind is to be published")]

    return look


def tagged(tag: str) -> Kind:
    """Return what tells TXT records by what they begin with."""
    return lambda record: record.type == "TXT" and record.value.lower().startswith(tag)


def of_type(kind: str) -> Kind:
    """Return what tells records by their type."""
    return lambda record: record.type == kind


def _of_kind(domain: DomainFacts, is_of_kind: Kind) -> list[DnsRecord]:
    return [record for record in domain.records if is_of_kind(record)]


def _judged(
    published: Published, records: Sequence[DnsRecord], answers: Mapping[DnsQuestion, DnsAnswer]
) -> list[RecordCheck]:
    """Return what came of the records themselves; addresses and their names are looked at by other checks."""
    known = dict(answers)
    for question in names_of_addresses(published, answers).values():
        known.setdefault(question, DnsAnswer())
    names = {(record.name, record.type) for record in records}
    of_names = any(record.type == "CAA" for record in records)  # those are judged by the names they count for
    judged = check(published, records, known)
    return [one for one in judged if (of_names if one["type"] == "CAA" else (one["name"], one["type"]) in names)]


def _item(name: str, judged: Sequence[RecordCheck]) -> Item:
    worst = min((one["verdict"] for one in judged), key=_ORDER.index, default="right")
    if worst == "right":
        return done(
            name, shown("; ".join(value for one in judged for value in one["found"])) or "nothing stands in the way"
        )
    if worst == "hint":
        hints = [one for one in judged if one["verdict"] == worst]
        advices = dict.fromkeys(one["advice"] for one in hints)
        return done(name, f"right, but {', '.join(one['name'] for one in hints)}: {' '.join(advices).rstrip('.')}")
    wrong = [one for one in judged if one["verdict"] not in ("right", "hint")]
    seen = "; ".join(_seen(one) for one in wrong)
    return failed(name, seen, "\n".join(line for one in wrong for line in _mend(one)))


def _seen(one: RecordCheck) -> str:
    where = f"{one['name']} {one['type']}"
    if one["verdict"] == "failed":
        return f"{where}: DNS gives no answer"
    return f"{where} is missing" if one["verdict"] == "missing" else f"{where} is {shown(' and '.join(one['found']))}"


def _mend(one: RecordCheck) -> list[str]:
    lines = [] if one["verdict"] == "missing" and one["wanted"] else [one["advice"]]
    if one["verdict"] == "failed":
        return lines
    return lines + [f"{one['name']}. IN {one['type']} {_written(one['type'], value)}" for value in one["wanted"]]


def _written(kind: str, value: str) -> str:
    """Return a value as a zone file has it. A long text is to be cut there into strings of 255 octets (RFC 1035 3.3.14)."""
    if kind == "TXT":
        return " ".join(f'"{value[at : at + 255]}"' for at in range(0, len(value), 255))
    return f"{value}." if kind in ("MX", "CNAME", "SRV") and not value.endswith(".") else value
