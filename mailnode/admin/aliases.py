"""Commands about aliases: addresses that stand for others."""

from __future__ import annotations

from typing import Any

from mailnode.admin.administration import Administration
from mailnode.admin.dangling import dangling_of, with_dangling
from mailnode.admin.finding import find_domain
from mailnode.admin.operations import NOT_FOUND, USAGE, CommandFailed, command
from mailnode.errors import BadAddress, NoSuchAccount
from mailnode.values.address import parse_address
from mailnode.values.directory import Alias


@command("alias.add", changes=True)
async def alias_add(
    admin: Administration, address: str, targets: list[str], replace: bool = False, detail: str = "cut"
) -> Any:
    """Let an address stand for others."""
    for target in targets:
        try:
            parse_address(target)
        except BadAddress as error:
            raise CommandFailed(USAGE, f"{target}: not an address ({error})") from None
    alias = Alias(str(parse_address(address)), tuple(targets), detail=detail)
    await admin.directory.set_alias(alias, replace)
    return _alias(alias) | await dangling_of(admin, parse_address(address))


@command("alias.list")
async def alias_list(admin: Administration, domain: str | None = None) -> Any:
    """All aliases, or those of a domain."""
    if domain is not None:
        await find_domain(admin, domain)
    return [_alias(alias) for alias in await admin.directory.aliases(domain)]


@command("alias.show")
async def alias_show(admin: Administration, address: str) -> Any:
    """One alias."""
    wanted = parse_address(address)
    for alias in await admin.directory.aliases(wanted.domain):
        if parse_address(alias.address).key == wanted.key:
            return _alias(alias)
    raise CommandFailed(NOT_FOUND, f"{address}: no such alias")


@command("alias.remove", destroys=True)
async def alias_remove(admin: Administration, address: str) -> Any:
    """Remove an alias."""
    wanted = parse_address(address)

    async def remove() -> dict[str, Any]:
        await admin.directory.remove_alias(wanted)
        return {"removed": address}

    try:
        return await with_dangling(admin, remove)
    except NoSuchAccount:
        raise CommandFailed(NOT_FOUND, f"{address}: no such alias") from None


def _alias(alias: Alias) -> dict[str, Any]:
    return {"address": alias.address, "targets": list(alias.targets), "detail": alias.detail}
