"""Operations on domains."""

from __future__ import annotations

import re
from typing import Any

from mailnode.admin.administration import Administration
from mailnode.admin.dangling import told, with_dangling
from mailnode.admin.finding import find_domain
from mailnode.admin.operations import CONFLICT, USAGE, CommandFailed, command
from mailnode.values.address import Address, parse_address
from mailnode.values.directory import Domain

# Signs that stand in local parts without quotes. A letter would make details of most people's names.
_SEPARATOR = re.compile(r"[!#$%&'*+\-./=?^_`{|}~]*\Z")


@command("domain.add", changes=True)
async def domain_add(admin: Administration, name: str, alias_of: str = "") -> Any:
    """Add a domain, or another name for one."""
    return _domain(await admin.directory.add_domain(name, alias_of))


@command("domain.list")
async def domain_list(admin: Administration) -> Any:
    """All domains."""
    return [_domain(domain) for domain in await admin.directory.domains()]


@command("domain.show")
async def domain_show(admin: Administration, name: str) -> Any:
    """One domain with what stands in it."""
    domain = await find_domain(admin, name)
    accounts = await admin.directory.accounts(domain.name)
    aliases = await admin.directory.aliases(domain.name)
    shown = _domain(domain)
    shown["accounts"] = [account.address for account in accounts]
    shown["aliases"] = [alias.address for alias in aliases]
    shown["postmaster"] = await _postmaster(admin, domain)
    return shown


@command("domain.change", changes=True)
async def domain_change(
    admin: Administration, name: str, catch_all: str | None = None, separator: str | None = None
) -> Any:
    """Change the catch-all address (empty: none) or the separator."""
    await find_domain(admin, name)
    if catch_all:
        parse_address(catch_all)
    if separator and not _SEPARATOR.match(separator):
        raise CommandFailed(USAGE, f"{name}: a separator is a sign such as + or -, no letter, digit, space or @")

    async def change() -> dict[str, Any]:
        return _domain(await admin.directory.update_domain(name, catch_all=catch_all, separator=separator))

    return await with_dangling(admin, change)


@command("domain.remove", destroys=True)
async def domain_remove(admin: Administration, name: str) -> Any:
    """Remove an empty domain that the configuration does not name."""
    domain = await find_domain(admin, name)
    if domain.fixed:
        raise CommandFailed(CONFLICT, f"{name}: the configuration file names it; remove it there")
    # From now on these are addresses of a domain that is somebody else's, or nobody's.
    left = [
        (alias.address, target)
        for alias in await admin.directory.aliases()
        for target in alias.targets
        if parse_address(target).domain_key == domain.name
    ]
    await admin.directory.remove_domain(name)
    return {"removed": domain.name} | told(left)


async def _postmaster(admin: Administration, domain: Domain) -> list[str]:
    """Return whom mail for ``postmaster`` and ``MAILER-DAEMON`` of a domain reaches; empty: it is put off."""
    resolved = await admin.directory.resolve(Address("postmaster", domain.name))
    found = [(await admin.directory.account(account_id)).address for account_id, _ in resolved.local]
    return found + list(resolved.remote)


def _domain(domain: Domain) -> dict[str, Any]:
    return {
        "name": domain.written,
        "key": domain.name,
        "alias_of": domain.alias_of,
        "catch_all": domain.catch_all,
        "separator": domain.separator,
        "fixed": domain.fixed,
    }
