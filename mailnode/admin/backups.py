"""Operations on backups of the store."""

from __future__ import annotations

from mailnode.admin.administration import BackupRecord, BackupReport, Restored, StoppedStore, StoreCopies
from mailnode.admin.operations import Count, operation

ALL = Count(0)


@operation("backup.make")
async def backup_make(store: StoreCopies, directory: str, keep: Count = ALL) -> BackupReport:
    """Copy the store into a directory of backups, while the server runs or not."""
    return await store.backup(directory, keep)


@operation("backup.list")
async def backup_list(store: StoreCopies, directory: str, verify: bool = False) -> list[BackupRecord]:
    """The backups in a directory, the oldest first."""
    return await store.backups(directory, verify)


@operation("backup.restore", changes=True)
async def backup_restore(store: StoppedStore, directory: str, backup: str = "", pause_queue: bool = False) -> Restored:
    """Put a backup where no store is, while no server runs."""
    return await store.restore(directory, backup, pause_queue)
