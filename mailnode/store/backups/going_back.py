"""Goes back to the databases as they were before they were brought up to date, for the program before. Blocks.

What is in use now is put aside, not removed. Until it has ended no server starts there, and it can be run again.
"""

from __future__ import annotations

import shutil
from contextlib import suppress
from pathlib import Path

import apsw

from mailnode.durable import sync_directory
from mailnode.errors import BackupRefused
from mailnode.store.backups import databases
from mailnode.store.backups.directory import copy_durably, write_durably
from mailnode.store.backups.making import StoredFiles
from mailnode.store.backups.restoring import BEGUN
from mailnode.store.disk.directories import make_directory
from mailnode.store.engines.before_migration import KeptCopies
from mailnode.store.engines.engine import DIRECTORY, Transaction, partition_of
from mailnode.store.engines.file_ages import FileAges
from mailnode.store.engines.migrate import kind_of
from mailnode.store.engines.sqlite_tenancy import Tenancy
from mailnode.store.units import accounts, mailbox_tree, verify

ASIDE = "after-migration"


class GoingBack:
    """Of one data directory that nobody else uses."""

    def __init__(self, store: StoredFiles) -> None:
        """:raises BackupRefused: there is nothing to go back to."""
        self._data = store.data
        self._store = store
        self._copies = KeptCopies(store.data)
        self.files = self._copies.last()
        if not store.has_databases:
            raise BackupRefused("PostgreSQL's own tools go back")
        if not self.files:
            raise BackupRefused("no database was brought up to date, or its copy is gone")

    def run(self) -> tuple[Path, int]:
        """Do it; return where the newer files are, and how many accounts have mailboxes with new UIDVALIDITYs.

        :raises BackupRefused: a copy is damaged, or there is no room. :raises OSError: :raises apsw.Error:"""
        self._require_sound()
        aside = self._begin()
        for name, copy in sorted(self.files.items()):
            path = self._data / f"{name}.db"
            if not (aside / path.name).exists():
                _put_aside(path, aside)
            copy_durably(self._copies.folder / copy, path, self._data / f"{path.name}.copy")
        sync_directory(self._data)
        count = self._begin_again()
        self._copies.forget()
        (self._data / BEGUN).unlink()
        sync_directory(self._data)
        return aside, count

    def _require_sound(self) -> None:
        paths = [self._copies.folder / copy for copy in self.files.values()]
        for path in paths:
            if wrong := databases.faults(path):
                raise BackupRefused(wrong[0])
        needed, free = sum(path.stat().st_size for path in paths), shutil.disk_usage(self._data).free
        if free < needed:
            raise BackupRefused(f"{needed} octets are needed, {free} are free")

    def _begin(self) -> Path:
        """Return where the newer files go: where they went, when it was cut off."""
        with suppress(FileNotFoundError):
            told = (self._data / BEGUN).read_text("ascii", "replace").strip()
            if not told.startswith(ASIDE) or "/" in told:
                raise BackupRefused("a backup is half put back: mailnode restore again")
            return self._data / told
        number = 1
        while (self._data / f"{ASIDE}-{number}").exists():
            number += 1
        aside = self._data / f"{ASIDE}-{number}"
        make_directory(aside)
        write_durably(self._data / BEGUN, aside.name.encode() + b"\n")
        return aside

    def _begin_again(self) -> int:
        """Make these files the ones in use last, and have those that went back give out nothing a second time. What is
        written for that, every schema has."""
        names = sorted(self._store.tenancies(), key=lambda name: name != DIRECTORY)
        tenancies = {name: Tenancy(name, str(self._data / f"{name}.db")) for name in names}
        try:
            for tenancy in tenancies.values():
                tenancy.open()
            ages = FileAges(self._data, names, tenancies, lambda event, **fields: None)
            known = tenancies[DIRECTORY].run(_account_ids)
            count = 0
            for name in self.files:
                if kind_of(name) == "mail":
                    here = [one for one in known if name == self._tenancy_of(one)]
                    count += tenancies[name].run(_renumber, here)
            ages.begin(names, more=1)
            ages.end()
            ages.close()
        finally:
            for tenancy in tenancies.values():
                tenancy.close()
        return count

    def _tenancy_of(self, account_id: str) -> str:
        return f"mail-{partition_of(account_id, self._store.partitions):02d}"


def _put_aside(path: Path, aside: Path) -> None:
    connection = apsw.Connection(str(path))  # the last to close it moves its log into it
    try:
        connection.execute("SELECT 1 FROM sqlite_master LIMIT 1").fetchall()
        connection.wal_checkpoint(mode=apsw.SQLITE_CHECKPOINT_TRUNCATE)
    finally:
        connection.close()
    path.rename(aside / path.name)
    for beside in ("-wal", "-shm"):
        Path(f"{path}{beside}").unlink(missing_ok=True)
    sync_directory(aside)


def _account_ids(tx: Transaction) -> list[str]:
    return [row[0] for row in tx.execute("SELECT id FROM account")]


def _renumber(tx: Transaction, known: list[str]) -> int:
    """See :meth:`mailnode.store.facades.mail_store.MailStore.begin_again`, in one step."""
    for account_id in known:
        accounts.provision(tx, account_id, 0, 0)
    found = verify.account_ids(tx)
    for account_id in found:
        mailbox_tree.begin_again(tx, account_id)
    return len(found)
