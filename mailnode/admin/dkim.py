"""Operations on the keys that sign the mail of a domain. No private key leaves the store by any of them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypedDict

from mailnode.admin.administration import Administration
from mailnode.admin.finding import find_domain, moment
from mailnode.admin.operations import OperationFailed, Reason, operation
from mailnode.message.dkim_keys import make_pair
from mailnode.values.directory import Domain
from mailnode.values.dkim import DkimKey, DkimSettings


class DkimRecord(TypedDict):
    """A key as lists tell it."""

    selector: str
    algorithm: str
    state: str  # next, active, retired, spent
    created: str
    todo: str  # what is to be done, or waited for; "": nothing
    name: str  # of its TXT record
    text: str


@operation("domain.dkim")
async def domain_dkim(admin: Administration, name: str) -> list[DkimRecord]:
    """The keys that sign a domain's mail, with their DNS records."""
    domain = await find_domain(admin, name)
    settings = admin.dkim_settings()
    return [_record(key, settings) for key in await admin.directory.dkim_keys(domain.name)]


@operation("domain.dkim-rotate", changes=True)
async def domain_dkim_rotate(admin: Administration, name: str) -> list[DkimRecord]:
    """Make the next pair of keys. The first pair of a domain signs at once."""
    domain = await find_domain(admin, name)
    known = await admin.directory.dkim_keys(domain.name)
    waiting = [key.selector for key in known if key.state == "next"]
    if waiting:
        raise OperationFailed(Reason.CONFLICT, f"{name}: {', '.join(waiting)} wait to be activated or removed")
    await make_keys(admin, domain, "next" if any(key.state == "active" for key in known) else "active")
    return await domain_dkim(admin, name)


@operation("domain.dkim-activate", changes=True)
async def domain_dkim_activate(admin: Administration, name: str, selectors: list[str]) -> list[DkimRecord]:
    """Let keys sign, all that wait or those named; what signed with the same algorithm before is retired."""
    domain = await find_domain(admin, name)
    known = await admin.directory.dkim_keys(domain.name)
    chosen = [_named(known, name, selector) for selector in selectors]
    chosen = chosen or [key for key in known if key.state == "next"]
    if not chosen:
        raise OperationFailed(Reason.CONFLICT, f"{name}: no key waits to be activated")
    algorithms = [key.algorithm for key in chosen]
    if len(set(algorithms)) != len(algorithms):
        raise OperationFailed(Reason.CONFLICT, f"{name}: one key of an algorithm signs at a time")
    await activate(admin, domain.name, known, chosen)
    return await domain_dkim(admin, name)


@operation("domain.dkim-retire", changes=True)
async def domain_dkim_retire(admin: Administration, name: str, selector: str) -> list[DkimRecord]:
    """Let a key sign no more."""
    domain = await find_domain(admin, name)
    key = _named(await admin.directory.dkim_keys(domain.name), name, selector)
    await admin.directory.set_dkim_states(domain.name, {key.selector: "retired"}, admin.clock.seconds())
    return await domain_dkim(admin, name)


@operation("domain.dkim-remove", destroys=True)
async def domain_dkim_remove(admin: Administration, name: str, selector: str) -> list[DkimRecord]:
    """Remove a key that does not sign."""
    domain = await find_domain(admin, name)
    key = _named(await admin.directory.dkim_keys(domain.name), name, selector)
    if key.state == "active":
        raise OperationFailed(Reason.CONFLICT, f"{selector}: it signs; activate another key or retire it first")
    await admin.directory.remove_dkim_key(domain.name, key.selector)
    return await domain_dkim(admin, name)


async def activate(
    admin: Administration, domain: str, known: Sequence[DkimKey], chosen: Sequence[DkimKey]
) -> list[str]:
    """Let keys sign, one of an algorithm; return the selectors of those that are retired for it."""
    algorithms = {key.algorithm for key in chosen}
    former = [key.selector for key in known if key.state == "active" and key.algorithm in algorithms]
    states = dict.fromkeys(former, "retired") | {key.selector: "active" for key in chosen}
    await admin.directory.set_dkim_states(domain, states, admin.clock.seconds())
    return former


async def make_keys(admin: Administration, domain: Domain, state: str) -> list[str]:
    """Make a pair of keys for a domain; return their selectors."""
    taken = [key.selector for key in await admin.directory.dkim_keys(domain.name)]
    made = await admin.threads.run("cpu", make_pair, domain.name, state, admin.clock.seconds(), taken)
    await admin.directory.add_dkim_keys(domain.name, made)
    return [key.selector for key in made]


def _named(keys: tuple[DkimKey, ...], name: str, selector: str) -> DkimKey:
    for key in keys:
        if key.selector == selector:
            return key
    raise OperationFailed(Reason.NOT_FOUND, f"{name}: no key has the selector {selector}")


def _todo(key: DkimKey, settings: DkimSettings) -> str:
    if key.state == "next" and not settings.by_dns:
        return "publish its record, then mailnode domain dkim-activate"
    if key.state == "next":
        return (
            f"signs from {moment(key.ready_at)} on" if key.ready_at else "publish its record: it signs when DNS has it"
        )
    if key.state == "retired" and key.changed:
        return f"leave its record in DNS until {moment(key.changed + settings.overlap)}"
    if key.state == "retired":
        return "leave its record in DNS until the mail it signed has arrived"
    return "take its record out of DNS" if key.state == "spent" else ""


def _record(key: DkimKey, settings: DkimSettings) -> DkimRecord:
    name, text = key.record
    return {
        "selector": key.selector,
        "algorithm": key.algorithm,
        "state": key.state,
        "created": moment(key.created),
        "todo": _todo(key, settings),
        "name": name,
        "text": text,
    }
