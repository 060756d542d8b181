"""Operations on what DNS says of a domain."""

from __future__ import annotations

from typing import TypedDict

from mailnode.admin.administration import Administration
from mailnode.admin.finding import find_domain
from mailnode.admin.operations import operation
from mailnode.admin.zone import notes, zone


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


@operation("domain.records")
async def domain_records(admin: Administration, name: str) -> ZoneRecords:
    """The records to publish for a domain."""
    domain = (await find_domain(admin, name)).name
    published = admin.published()
    return {
        "domain": domain,
        "records": [
            {"name": one.name, "type": one.type, "value": one.value, "why": one.why} for one in zone(domain, published)
        ],
        "notes": notes(domain, published),
    }
