"""Operations on what DNS says of a domain."""

from __future__ import annotations

from typing import TypedDict

from mailnode.admin.administration import Administration
from mailnode.admin.finding import find_domain
from mailnode.admin.operations import operation
from mailnode.admin.zone import notes, zone
from mailnode.admin.zone_check import RecordCheck, check, names_of_addresses, questions
from mailnode.values.dkim import dkim_records
from mailnode.values.published import DnsRecord, Published


class ZoneEntry(TypedDict):
    """A record to publish."""

    name: str
    type: str
    value: str
    why: str


class ZoneRecords(TypedDict):
    """The records of a domain."""

    domain: str
    records: list[ZoneEntry]
    notes: list[str]


class ZoneCheck(TypedDict):
    """The same beside what DNS says."""

    domain: str
    ok: bool  # nothing is missing, differs or could not be asked
    records: list[RecordCheck]
    notes: list[str]


@operation("domain.records")
async def domain_records(admin: Administration, name: str) -> ZoneRecords:
    """The records to publish for a domain."""
    domain = (await find_domain(admin, name)).name
    published = admin.published()
    return {
        "domain": domain,
        "records": [
            {"name": one.name, "type": one.type, "value": one.value, "why": one.why}
            for one in await _zone(admin, domain, published)
        ],
        "notes": notes(domain, published),
    }


@operation("domain.check")
async def domain_check(admin: Administration, name: str) -> ZoneCheck:
    """Compare the records of a domain with what DNS says."""
    domain = (await find_domain(admin, name)).name
    published = admin.published()
    records = await _zone(admin, domain, published)
    answers = dict(await admin.dns.ask(questions(published, records)))
    answers |= await admin.dns.ask(names_of_addresses(published, answers).values())
    checked = check(published, records, answers)
    return {
        "domain": domain,
        "ok": all(one["verdict"] in ("right", "hint") for one in checked),
        "records": checked,
        "notes": notes(domain, published),
    }


async def _zone(admin: Administration, domain: str, published: Published) -> list[DnsRecord]:
    return zone(domain, published, dkim_records(await admin.directory.dkim_keys(domain)))
