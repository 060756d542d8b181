"""Operations on the store and its files."""

from __future__ import annotations

from typing import TypedDict

from mailnode.admin.administration import Administration, OlderAccepted, StoppedStore
from mailnode.admin.operations import operation


class StoreVerified(TypedDict):
    """What came of comparing the store with itself."""

    ok: bool  # there are no faults
    accounts: int
    files: int  # of messages
    loose: int  # files that nothing needs any more; the sweep removes them
    faults: list[str]


@operation("store.verify")
async def store_verify(admin: Administration) -> StoreVerified:
    """Compare the store with itself, while the server runs or not. Changes nothing."""
    checked = await admin.check_store(admin.clock.seconds())
    return {
        "ok": not checked.faults,
        "accounts": checked.accounts,
        "files": checked.files,
        "loose": checked.loose,
        "faults": list(checked.faults),
    }


@operation("store.accept-older", destroys=True)
async def accept_older(store: StoppedStore, files: list[str]) -> OlderAccepted:
    """Go on with files that are older than what was acknowledged."""
    return await store.accept_older(files)
