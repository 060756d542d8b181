"""Operations on the store and its files."""

from __future__ import annotations

from typing import TypedDict

from mailnode.admin.administration import (
    Administration,
    FilesReopened,
    OlderAccepted,
    RunningServer,
    StoppedStore,
    StoreFiles,
    WentBack,
)
from mailnode.admin.finding import about, find_account
from mailnode.admin.operations import operation


class StoreVerified(TypedDict):
    """What came of comparing the store with itself."""

    ok: bool  # there are no faults, or none are left
    accounts: int
    files: int  # of messages
    messages: int  # whose content was read
    loose: int  # files that nothing needs any more; the sweep removes them
    faults: list[str]
    mended: list[str]
    set_aside: list[str]  # messages that cannot be read, found now or earlier


@operation("store.verify", changes=True, long=True)
async def store_verify(admin: Administration, contents: bool = False, repair: bool = False) -> StoreVerified:
    """Compare the store with itself, while the server runs or not."""
    checked = await admin.check_store(admin.clock.seconds(), contents, repair)
    return {
        "ok": not checked.faults,
        "accounts": checked.accounts,
        "files": checked.files,
        "messages": checked.messages,
        "loose": checked.loose,
        "faults": list(checked.faults),
        "mended": list(checked.mended),
        "set_aside": list(checked.set_aside),
    }


class DamageAcknowledged(TypedDict):
    """What is told no more."""

    acknowledged: int  # messages that are set aside, and things that were found damaged


@operation("store.acknowledge", changes=True)
async def store_acknowledge(admin: Administration) -> DamageAcknowledged:
    """Have ``/health`` and ``mailnode status`` tell no more of what is known by now to be damaged."""
    return {"acknowledged": await admin.acknowledge_damage()}


@operation("store.accept-older", destroys=True, long=True)
async def accept_older(store: StoreFiles, files: list[str]) -> OlderAccepted:
    """Go on with files that are older than what was acknowledged."""
    return await store.accept_older(files)


@operation("store.reopen", changes=True)
async def reopen(server: RunningServer, files: list[str]) -> FilesReopened:
    """Serve mail partitions again whose latest files were put back."""
    return await server.reopen(files)


@operation("store.go-back", destroys=True)
async def go_back(store: StoppedStore) -> WentBack:
    """Go back to the databases as they were before an upgrade changed them."""
    return await store.go_back()


class StoreReindexed(TypedDict):
    """Accounts whose messages are indexed anew."""

    accounts: list[str]


@operation("store.reindex", changes=True)
async def store_reindex(admin: Administration, accounts: list[str]) -> StoreReindexed:
    """Make the search index of accounts anew, or of all of them. Until it is made their searches read messages."""
    if accounts == ["all"]:
        found = await admin.directory.accounts()
    else:
        found = []
        for address in accounts:
            with about(address):
                found.append(await find_account(admin, address))
    for account in found:
        await admin.index.forget(account.id)
        admin.hints.publish(account.id, 0)
    return {"accounts": [account.address for account in found]}
