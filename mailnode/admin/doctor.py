"""The operation that looks at everything there is to be looked at."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import TypedDict

from mailnode.admin.administration import Administration, Examining
from mailnode.admin.operations import operation
from mailnode.checks.facts import DomainFacts, ServerFacts, StoreFacts
from mailnode.checks.row import Occasion
from mailnode.checks.table import checks_for
from mailnode.checks.zone import zone
from mailnode.errors import DomainError
from mailnode.values.acme import RenewalStanding
from mailnode.values.dkim import dkim_records
from mailnode.values.item import Item, ItemState

MAX_DOMAINS = 50  # whose records are looked at in one go
STORE_WITHIN = 6.0  # seconds that the store is waited for
TALLY_AGE = 60.0  # seconds that the count of what waits in the queue may be old

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
    return _diagnosis(await examine(admin), explain)


async def examine_alone(examining: Examining, trouble: str, explain: bool) -> Diagnosis:
    """Do it where there is no store to ask. :param trouble: why."""
    facts = replace(await examining.facts(), store_trouble=trouble, formats=await examining.formats())
    return _diagnosis(await examining.look(checks_for(Occasion.DOCTOR), facts), explain)


def _diagnosis(items: Sequence[Item], explain: bool) -> Diagnosis:
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
    """Return the items of every check that the doctor makes. :raises mailnode.errors.Busy: the server ends."""
    facts = await _facts(admin)
    return await admin.examining.look(checks_for(Occasion.DOCTOR), facts)


async def _facts(admin: Administration) -> ServerFacts:
    """Return all that is known. What the store does not tell must hide nothing else."""
    facts = replace(await admin.examining.facts(), published=admin.published(), renewal=_renewal(admin))
    try:
        return await admin.examining.within(STORE_WITHIN, _with_store(admin, facts))
    except TimeoutError:
        return replace(facts, store_trouble=f"the store does not answer within {STORE_WITHIN:.0f} s")
    except DomainError as error:
        return replace(facts, store_trouble=f"the store does not answer ({type(error).__name__})")


async def _with_store(admin: Administration, facts: ServerFacts) -> ServerFacts:
    formats = await admin.examining.formats()
    return replace(facts, domains=tuple(await _domains(admin)), store=await _store(admin), formats=formats)


def _renewal(admin: Administration) -> RenewalStanding | None:
    renewal = admin.server.renewal() if admin.server is not None else None
    return renewal.standing() if renewal is not None else None


async def _domains(admin: Administration) -> list[DomainFacts]:
    published = admin.published()
    found = []
    for domain in (await admin.directory.domains())[:MAX_DOMAINS]:
        keys = dkim_records(await admin.directory.dkim_keys(domain.name))
        found.append(DomainFacts(domain.name, tuple(zone(domain.name, published, keys))))
    return found


async def _store(admin: Administration) -> StoreFacts:
    now = admin.clock.seconds()
    tally = await admin.queue.tally(now, TALLY_AGE)
    facts = StoreFacts(tally.recipients, tally.oldest)
    refused = await admin.examining.refused_logins()
    if refused is not None:
        facts = replace(facts, failed_logins=refused[0], failed_since=refused[1])
    if admin.server is None:
        return facts
    told = await admin.server.status()
    since = now - told["index_behind"] if told["unindexed"] else None
    return replace(
        facts,
        queue_paused=tuple(told["paused"]),
        unindexed=told["unindexed"],
        index_since=since,
        damage=tuple(told["damage"]),
    )
