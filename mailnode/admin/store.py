"""Operations on the files of a store, while no server runs."""

from __future__ import annotations

from mailnode.admin.administration import OlderAccepted, StoppedStore
from mailnode.admin.operations import operation


@operation("store.accept-older", destroys=True)
async def accept_older(store: StoppedStore, files: list[str]) -> OlderAccepted:
    """Go on with files that are older than what was acknowledged."""
    return await store.accept_older(files)
