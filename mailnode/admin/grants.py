"""Operations on who may send as an address that is not theirs alone."""

from __future__ import annotations

from typing import TypedDict

from mailnode.admin.administration import Administration
from mailnode.admin.finding import about, find_account
from mailnode.admin.operations import OperationFailed, Reason, operation
from mailnode.errors import NoSuchAccount


class GrantRecord(TypedDict):
    """An account may send as an address that is not its own."""

    address: str  # "@" and a domain: any of it
    account: str


class GrantRevoked(TypedDict):
    """What was taken back."""

    revoked: str


@operation("grant.add", changes=True)
async def grant_add(admin: Administration, account: str, address: str) -> GrantRecord:
    """Let an account send as an address: an alias, another account's, or "@domain"."""
    found = await find_account(admin, account)
    try:
        with about(address):
            await admin.directory.add_grant(found.id, address)
    except NoSuchAccount:
        raise OperationFailed(Reason.NOT_FOUND, f"{address}: no such address or alias") from None
    return {"account": found.address, "address": address}


@operation("grant.list")
async def grant_list(admin: Administration, account: str | None = None) -> list[GrantRecord]:
    """All grants, or those of an account."""
    found = await find_account(admin, account) if account is not None else None
    grants = await admin.directory.grants(found.id if found is not None else None)
    return [{"address": grant.address, "account": grant.account} for grant in grants]


@operation("grant.revoke", changes=True)
async def grant_revoke(admin: Administration, account: str, address: str) -> GrantRevoked:
    """Take a grant back."""
    found = await find_account(admin, account)
    try:
        with about(address):
            await admin.directory.remove_grant(found.id, address)
    except NoSuchAccount:
        raise OperationFailed(Reason.NOT_FOUND, f"{address}: not granted to {found.address}") from None
    return {"revoked": address}
