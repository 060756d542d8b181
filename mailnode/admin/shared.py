"""Operations on accounts that belong to nobody: their mailboxes are there to be shared."""

from __future__ import annotations

from mailnode.admin.accounts import (
    ANY_NUMBER,
    ANY_SIZE,
    AccountRecord,
    account_record,
    check_quota,
    free_address,
    make_account,
)
from mailnode.admin.administration import Administration
from mailnode.admin.operations import Count, Octets, operation
from mailnode.values.directory import SHARED
from mailnode.values.ids import new_id


@operation("shared.add", changes=True)
async def shared_add(
    admin: Administration, address: str, quota_bytes: Octets = ANY_SIZE, quota_messages: Count = ANY_NUMBER
) -> AccountRecord:
    """Make an account that nobody logs in to: its mail is read by those who get rights to its mailboxes."""
    check_quota(quota_bytes, quota_messages)
    written = await free_address(admin, address)
    now = admin.clock.seconds()
    return account_record(await make_account(admin, new_id(now), written, now, quota_bytes, quota_messages, SHARED))


@operation("shared.list")
async def shared_list(admin: Administration) -> list[AccountRecord]:
    """The accounts that belong to nobody."""
    return [account_record(account) for account in await admin.directory.accounts() if account.role == SHARED]
