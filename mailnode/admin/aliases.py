"""Operations on aliases: addresses that stand for others."""

from __future__ import annotations

from typing import Literal, TypedDict

from mailnode.admin.administration import Administration
from mailnode.admin.dangling import LeavesDangling, Removed, dangling_of, left_by
from mailnode.admin.finding import find_alias, find_domain
from mailnode.admin.operations import OperationFailed, Reason, operation
from mailnode.errors import BadAddress, NoSuchAccount
from mailnode.values.address import parse_address
from mailnode.values.directory import Alias


class AliasRecord(TypedDict):
    """An alias."""

    address: str
    targets: list[str]
    detail: str  # what becomes of +detail: cut, keep, refuse
    owner: str  # who has the bounces of what goes to other servers; "": the sender


class AliasChanged(AliasRecord, LeavesDangling):
    """An alias after a change."""


@operation("alias.add", changes=True)
async def alias_add(
    admin: Administration,
    address: str,
    targets: list[str],
    replace: bool = False,
    detail: Literal["cut", "keep", "refuse"] = "cut",
    owner: str | None = None,
) -> AliasChanged:
    """Let an address stand for others."""
    for target in (*targets, *([owner] if owner else [])):
        try:
            parse_address(target)
        except BadAddress as error:
            raise OperationFailed(Reason.WRONG_VALUE, f"{target}: not an address ({error})") from None
    alias = Alias(
        str(parse_address(address)), tuple(targets), detail=detail, owner=str(parse_address(owner)) if owner else ""
    )
    try:
        await admin.directory.set_alias(alias, replace)
    except BadAddress as error:  # an address, but none that an alias may have or lead to
        raise OperationFailed(Reason.WRONG_VALUE, f"{address}: {error}") from None
    return {**_alias(alias), "dangling": await dangling_of(admin, parse_address(address))}


@operation("alias.list")
async def alias_list(admin: Administration, domain: str | None = None) -> list[AliasRecord]:
    """All aliases, or those of a domain."""
    if domain is not None:
        await find_domain(admin, domain)
    return [_alias(alias) for alias in await admin.directory.aliases(domain)]


@operation("alias.show")
async def alias_show(admin: Administration, address: str) -> AliasRecord:
    """One alias."""
    alias = await find_alias(admin, parse_address(address))
    if alias is None:
        raise OperationFailed(Reason.NOT_FOUND, f"{address}: no such alias")
    return _alias(alias)


@operation("alias.remove", destroys=True)
async def alias_remove(admin: Administration, address: str) -> Removed:
    """Remove an alias."""
    wanted = parse_address(address)
    try:
        left = await left_by(admin, lambda: admin.directory.remove_alias(wanted))
    except NoSuchAccount:
        raise OperationFailed(Reason.NOT_FOUND, f"{address}: no such alias") from None
    return {"removed": address, "dangling": left}


def _alias(alias: Alias) -> AliasRecord:
    return {"address": alias.address, "targets": list(alias.targets), "detail": alias.detail, "owner": alias.owner}
