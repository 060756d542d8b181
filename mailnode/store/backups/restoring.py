"""Puts a backup into an empty data directory. Everything here blocks.

The file ``restore.unfinished`` stands there from the beginning to the end: no server starts beside it, and the same backup
is gone on with. The files of messages come first and the databases last.
"""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

from mailnode.durable import sync_directory
from mailnode.errors import BackupRefused
from mailnode.store.backups.directory import BackupDirectory, copy_durably, digest_of, write_durably
from mailnode.store.backups.making import SECRET, StoredFiles
from mailnode.store.backups.manifest import Manifest
from mailnode.store.blobs.places import FILES, INCOMING, file_of
from mailnode.store.disk.directories import make_directory
from mailnode.store.engines.commit_counts import FILE

BEGUN = "restore.unfinished"


def is_begun(data: Path) -> bool:
    """Whether a data directory is half of what a backup holds."""
    return (data / BEGUN).exists()


class Restoring:
    """One backup on its way into a data directory that nobody else uses."""

    def __init__(self, kept: BackupDirectory, name: str, store: StoredFiles) -> None:
        """:raises BackupRefused: :raises OSError:"""
        kept.require()
        self._kept = kept
        self._store = store
        self.name = kept.chosen(name)
        self.manifest: Manifest = kept.manifest(self.name)

    def run(self) -> None:
        """Put everything in its place. The last step is :meth:`end`.

        :raises BackupRefused: it does not fit, something is there, or it is not what was written. :raises OSError:"""
        self._require_fit()
        for directory in (self._store.data, self._store.blobs / FILES, self._store.blobs / INCOMING):
            make_directory(directory)
        write_durably(self._store.data / BEGUN, self.name.encode() + b"\n")
        self._bring_files()
        self._bring_databases()

    def end(self) -> None:
        """Let a server start. :raises OSError:"""
        (self._store.data / BEGUN).unlink()
        sync_directory(self._store.data)

    def _require_fit(self) -> None:
        if not self.manifest.databases:
            raise BackupRefused("it has no databases: PostgreSQL's own tools put them back")
        if not self._store.has_databases:
            raise BackupRefused("it is one of SQLite, and store.url says something else")
        if self.manifest.partitions != self._store.partitions:
            raise BackupRefused(f"server.partitions must be {self.manifest.partitions}, as it was")
        if sorted(one.name for one in self.manifest.databases) != sorted(self._store.tenancies()):
            raise BackupRefused("the manifest is damaged: it does not name each database once")
        self._kept.require_list(self.name, self.manifest.list_digest)
        found = next(self._in_the_way(), None)
        if found is not None:
            raise BackupRefused(f"{found} is there: a backup is put back where no store is")
        size = self.manifest.octets + sum(one.octets for one in self.manifest.databases)
        there = next(path for path in (self._store.data, *self._store.data.parents) if path.is_dir())
        free = shutil.disk_usage(there).free
        if free < size and not is_begun(self._store.data):
            raise BackupRefused(f"{size} octets are needed, {free} are free")

    def _in_the_way(self) -> Iterator[Path]:
        """What of another store is there."""
        begun = self._store.data / BEGUN
        if begun.exists():
            if begun.read_text("ascii", "replace").strip() != self.name:
                yield begun
            return
        yield from (self._store.data / f"{name}.db" for name in self._store.tenancies() if self._is_there(name))
        yield from (self._store.blobs / FILES).glob("*/*/*")

    def _is_there(self, name: str) -> bool:
        return (self._store.data / f"{name}.db").exists()

    def _bring_files(self) -> None:
        source, target = self._kept.blobs / FILES, self._store.blobs / FILES
        touched: set[Path] = set()
        for blob_id, octets, digest in self._kept.listed(self.name):
            path = file_of(target, blob_id)
            if path.parent not in touched:
                make_directory(path.parent)
                touched.add(path.parent)
            if path.exists() and digest_of(path) == (octets, digest):
                continue
            try:
                copied = copy_durably(file_of(source, blob_id), path, self._store.blobs / INCOMING / blob_id)
            except FileNotFoundError:
                raise BackupRefused(f"the file {blob_id} is missing") from None
            if copied != (octets, digest):
                path.unlink()
                raise BackupRefused(f"the file {blob_id} is not what was written")
        for directory in sorted(touched):
            sync_directory(directory)

    def _bring_databases(self) -> None:
        data, source = self._store.data, self._kept.path / self.name
        for one in self.manifest.databases:
            path = data / f"{one.name}.db"
            for beside in ("-wal", "-shm"):
                Path(f"{path}{beside}").unlink(missing_ok=True)
            new = data / f"{path.name}.new"
            if copy_durably(source / path.name, new, data / f"{path.name}.copy") != (one.octets, one.digest):
                new.unlink()
                raise BackupRefused(f"{path.name} is not what was written")
            new.rename(path)
        (data / FILE).unlink(missing_ok=True)  # of a run before: it counts what came after these
        with suppress(FileNotFoundError):
            copy_durably(source / SECRET, data / SECRET, data / f"{SECRET}.copy")
        sync_directory(data)
