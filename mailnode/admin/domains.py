"""Operations on domains."""

from __future__ import annotations

import re
from typing import TypedDict

from mailnode.admin.administration import Administration
from mailnode.admin.dangling import LeavesDangling, Removed, left_by, told
from mailnode.admin.dkim import make_keys
from mailnode.admin.finding import about, find_domain
from mailnode.admin.operations import OperationFailed, Reason, operation
from mailnode.values.address import Address, parse_address
from mailnode.values.directory import Domain

# Signs that stand in local parts without quotes. A letter would make details of most people's names.
_SEPARATOR = re.compile(r"[!#$%&'*+\-./=?^_`{|}~]*\Z")


class DomainRecord(TypedDict):
    """A domain as lists tell it."""

    name: str  # as written
    key: str
    alias_of: str
    catch_all: str
    separator: str
    fixed: bool  # the configuration file names it


class DomainDetails(DomainRecord):
    """A domain with what stands in it."""

    accounts: list[str]
    aliases: list[str]
    postmaster: list[str]  # whom mail for postmaster and MAILER-DAEMON of it reaches


class DomainChanged(DomainRecord, LeavesDangling):
    """A domain after a change."""


@operation("domain.add", changes=True)
async def domain_add(admin: Administration, name: str, alias_of: str = "") -> DomainRecord:
    """Add a domain, or another name for one, with keys that sign its mail."""
    if alias_of:
        with about(alias_of):
            await find_domain(admin, alias_of)
    domain = await admin.directory.add_domain(name, alias_of)
    await make_keys(admin, domain, "active")
    return _domain(domain)


@operation("domain.list")
async def domain_list(admin: Administration) -> list[DomainRecord]:
    """All domains."""
    return [_domain(domain) for domain in await admin.directory.domains()]


@operation("domain.show")
async def domain_show(admin: Administration, name: str) -> DomainDetails:
    """One domain with what stands in it."""
    domain = await find_domain(admin, name)
    accounts = await admin.directory.accounts(domain.name)
    aliases = await admin.directory.aliases(domain.name)
    return {
        **_domain(domain),
        "accounts": [account.address for account in accounts],
        "aliases": [alias.address for alias in aliases],
        "postmaster": await _postmaster(admin, domain),
    }


@operation("domain.change", changes=True)
async def domain_change(
    admin: Administration, name: str, catch_all: str | None = None, separator: str | None = None
) -> DomainChanged:
    """Change the catch-all address (empty: none) or the separator."""
    domain = await find_domain(admin, name)
    if catch_all is None and separator is None:
        raise OperationFailed(Reason.WRONG_VALUE, f"{name}: nothing to change: give --catch-all or --separator")
    if domain.alias_of and (catch_all or separator is not None):  # what an earlier version let in can be taken back
        raise OperationFailed(
            Reason.CONFLICT,
            f"{name}: is an alias of {domain.alias_of}: that domain's catch-all and separator are in force",
        )
    if catch_all:
        with about(catch_all):
            parse_address(catch_all)
    if separator and not _SEPARATOR.match(separator):
        raise OperationFailed(
            Reason.WRONG_VALUE, f"{name}: a separator is a sign such as + or -, no letter, digit, space or @"
        )

    left = await left_by(admin, lambda: admin.directory.update_domain(name, catch_all=catch_all, separator=separator))
    return {**_domain(await find_domain(admin, domain.name)), "dangling": left}


@operation("domain.remove", destroys=True)
async def domain_remove(admin: Administration, name: str) -> Removed:
    """Remove an empty domain that the configuration does not name."""
    domain = await find_domain(admin, name)
    if domain.fixed:
        raise OperationFailed(Reason.CONFLICT, f"{name}: the configuration file names it; remove it there")
    # From now on these are addresses of a domain that is somebody else's, or nobody's.
    left = [
        (alias.address, target)
        for alias in await admin.directory.aliases()
        for target in alias.targets
        if parse_address(target).domain_key == domain.name
    ]
    await admin.directory.remove_domain(name)
    return {"removed": domain.name, "dangling": told(left)}


async def _postmaster(admin: Administration, domain: Domain) -> list[str]:
    """Return whom mail for ``postmaster`` and ``MAILER-DAEMON`` of a domain reaches; empty: it is put off."""
    resolved = await admin.directory.resolve(Address("postmaster", domain.name))
    found = [(await admin.directory.account(account_id)).address for account_id, _ in resolved.local]
    return found + list(resolved.remote)


def _domain(domain: Domain) -> DomainRecord:
    return {
        "name": domain.written,
        "key": domain.name,
        "alias_of": domain.alias_of,
        "catch_all": domain.catch_all,
        "separator": domain.separator,
        "fixed": domain.fixed,
    }
