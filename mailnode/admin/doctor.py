"""The operation that looks at everything there is to be looked at."""

from __future__ import annotations

from dataclasses import replace
from typing import TypedDict

from mailnode.admin.administration import Administration
from mailnode.admin.operations import operation
from mailnode.checks.facts import DomainFacts, ServerFacts
from mailnode.checks.row import Occasion
from mailnode.checks.table import checks_for
from mailnode.checks.zone import zone
from mailnode.values.dkim import dkim_records
from mailnode.values.item import Item, ItemState

MAX_DOMAINS = 50  # whose records are looked at in one go

WRONG = frozenset({ItemState.FAILED, ItemState.TO_DO})


class ItemRecord(TypedDict):
    """One item."""

    name: str
    state: str  # "done", "to do", "waiting", "failed" or "skipped"
    seen: str
    mend: str  # "": nothing is to be done
    explained: str  # "": nobody asked


class Diagnosis(TypedDict):
    """All of them."""

    ok: bool  # nothing failed, and nothing is to be done
    items: list[ItemRecord]


@operation("doctor", long=True)
async def doctor(admin: Administration, explain: bool = False) -> Diagnosis:
    """Look at the machine, the network, DNS and the store, and say what is to be mended and how."""
    items = await examine(admin)
    return {
        "ok": not any(item.state in WRONG for item in items),
        "items": [
            {
                "name": item.name,
                "state": item.state.value,
                "seen": item.seen,
                "mend": item.mend,
                "explained": item.explained if explain else "",
            }
            for item in items
        ],
    }


async def examine(admin: Administration) -> list[Item]:
    """Return the items of every check that the doctor makes. :raises DomainError: the store cannot be read."""
    facts = await _facts(admin)
    return await admin.examining.look(checks_for(Occasion.DOCTOR), facts)


async def _facts(admin: Administration) -> ServerFacts:
    facts = await admin.examining.facts()
    return replace(facts, domains=tuple(await _domains(admin)))


async def _domains(admin: Administration) -> list[DomainFacts]:
    published = admin.published()
    found = []
    for domain in (await admin.directory.domains())[:MAX_DOMAINS]:
        keys = dkim_records(await admin.directory.dkim_keys(domain.name))
        found.append(DomainFacts(domain.name, tuple(zone(domain.name, published, keys))))
    return found
