"""Operations on what DNS says of a domain."""

from __future__ import annotations

import re
from dataclasses import replace
from typing import TypedDict

from mailnode.admin.administration import Administration
from mailnode.admin.finding import find_domain
from mailnode.admin.operations import OperationFailed, Reason, operation
from mailnode.checks.zone import notes, zone
from mailnode.checks.zone_check import RecordCheck, check, names_of_addresses, questions
from mailnode.values.dkim import dkim_records
from mailnode.values.published import DnsRecord, Published

_DIGEST = re.compile(r"[0-9a-f]{64}\Z")


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
async def domain_records(admin: Administration, name: str, next_digest: str = "") -> ZoneRecords:
    """The records to publish for a domain."""
    published = admin.published()
    if next_digest:
        if not _DIGEST.match(next_digest):
            raise OperationFailed(Reason.WRONG_VALUE, f"{next_digest}: not a SHA-256 digest in hexadecimal")
        digests = dict.fromkeys([*published.key_digests, next_digest])
        published = replace(published, key_digests=tuple(digests))
    domain, records = await _zone(admin, name, published)
    return {
        "domain": domain,
        "records": [{"name": one.name, "type": one.type, "value": one.value, "why": one.why} for one in records],
        "notes": notes(domain, published, records),
    }


@operation("domain.check")
async def domain_check(admin: Administration, name: str) -> ZoneCheck:
    """Compare the records of a domain with what DNS says."""
    published = admin.published()
    domain, records = await _zone(admin, name, published)
    answers = dict(await admin.dns.ask(questions(published, records)))
    answers |= await admin.dns.ask(set(names_of_addresses(published, answers).values()) - answers.keys())
    checked = check(published, records, answers)
    return {
        "domain": domain,
        "ok": all(one["verdict"] in ("right", "hint") for one in checked),
        "records": checked,
        "notes": notes(domain, published, records),
    }


async def _zone(admin: Administration, name: str, published: Published) -> tuple[str, list[DnsRecord]]:
    """Return a domain in A-labels, and its records."""
    domain = (await find_domain(admin, name)).name
    return domain, zone(domain, published, dkim_records(await admin.directory.dkim_keys(domain)))
