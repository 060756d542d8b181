"""Backups of the store a configuration asks for: made beside a server or without one, and put back without one."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from mailnode.admin.administration import BackupRecord, BackupReport, Restored, WentBack
from mailnode.config.schema import Config
from mailnode.errors import BackupRefused
from mailnode.net.hints import LocalHints
from mailnode.net.no_reactor import CallingThread, StandingClock
from mailnode.server.stores import OwnStores, stored_files
from mailnode.store.backups import making
from mailnode.store.backups.directory import BackupDirectory
from mailnode.store.backups.going_back import GoingBack
from mailnode.store.backups.restoring import Restoring
from mailnode.store.disk.data_lock import DataLock
from mailnode.values.queue import EVERY_DESTINATION


class StoreBackups:
    """What operations beside a server work on. Blocks."""

    def __init__(self, config: Config) -> None:
        self._config = config

    async def backup(self, directory: str, keep: int) -> BackupReport:
        """See :class:`mailnode.admin.administration.StoreCopies`."""
        kept = _kept(directory)
        with _in_words():
            made = making.BackupRun(kept, stored_files(self._config)).run(StandingClock().seconds())
            # Of a store in which something is wrong an older backup may have what this one lacks.
            removed = making.prune(kept, keep) if keep and not made.missing and not made.faults else []
        return {
            "backup": made.name,
            "databases": made.databases,
            "unchanged": made.unchanged,
            "files": made.files,
            "new_files": made.new_files,
            "new_octets": made.new_octets,
            "missing": list(made.missing),
            "faults": list(made.faults),
            "removed": removed,
        }

    async def backups(self, directory: str, verify: bool) -> list[BackupRecord]:
        """See :class:`mailnode.admin.administration.StoreCopies`."""
        kept = _kept(directory)
        with _in_words():
            kept.require()
            return [_record(kept, name, verify) for name in kept.names()]


def _record(kept: BackupDirectory, name: str, verify: bool) -> BackupRecord:
    try:
        manifest = kept.manifest(name)
        differences = making.check(kept, name) if verify else []
    except BackupRefused as error:
        return {"backup": name, "databases": 0, "files": 0, "octets": 0, "missing": 0, "faults": [str(error)]}
    return {
        "backup": name,
        "databases": len(manifest.databases),
        "files": manifest.files,
        "octets": manifest.octets + sum(one.octets for one in manifest.databases),
        "missing": len(manifest.missing),
        "faults": [*manifest.faults, *differences],
    }


async def restore(config: Config, directory: str, backup: str, pause_queue: bool) -> Restored:
    """See :class:`mailnode.admin.administration.StoppedStore`."""
    clock = StandingClock()
    lock = DataLock(config.server.data)
    lock.acquire()
    try:
        with _in_words():
            restoring = Restoring(_kept(directory), backup, stored_files(config))
            restoring.run()
    finally:
        lock.release()
    # No server can start between: what was begun and has not ended is refused.
    stores = OwnStores(config, clock, CallingThread(), LocalHints(), None, accept_older=["all"], restoring=True)
    await stores.start()
    try:
        _, accounts = await stores.accept()
        if pause_queue:
            await stores.queue.pause(EVERY_DESTINATION, clock.seconds())
        checked = await stores.check(clock.seconds())
    finally:
        await stores.stop()
    with _in_words():
        restoring.end()
    return {
        "backup": restoring.name,
        "accounts": accounts,
        "files": restoring.manifest.files,
        "faults": list(checked.faults),
    }


async def go_back(config: Config) -> WentBack:
    """See :class:`mailnode.admin.administration.StoppedStore`."""
    lock = DataLock(config.server.data)
    lock.acquire()
    try:
        with _in_words():
            going = GoingBack(stored_files(config))
            aside, accounts = going.run()
    finally:
        lock.release()
    return {"files": [f"{name}.db" for name in sorted(going.files)], "aside": str(aside), "accounts": accounts}


def _kept(directory: str) -> BackupDirectory:
    return BackupDirectory(Path(directory).absolute())


@contextmanager
def _in_words() -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise BackupRefused(f"{error.filename}: {error.strerror}" if error.filename else str(error)) from error
