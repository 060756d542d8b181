"""Makes a backup of a store that is in use, or not.

The databases are looked at in one moment, the queue's first: what goes from there into a mailbox meanwhile is in both, and
is known there when it comes a second time; then the directory, whose accounts all have their mailboxes. The files of
messages come after: each was durable before a row named it, and stays for two days after none does.
"""

from __future__ import annotations

import errno
import heapq
import os
from collections.abc import Callable, Iterator
from contextlib import ExitStack, suppress
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path
from typing import TextIO

from mailnode.durable import sync_directory
from mailnode.store.backups import databases
from mailnode.store.backups.databases import DatabaseSnapshot, opened
from mailnode.store.backups.directory import (
    LIST,
    BackupDirectory,
    copy_durably,
    digest_of,
    list_line,
    write_durably,
)
from mailnode.store.backups.manifest import DatabaseCopy, Manifest
from mailnode.store.blobs.places import FILES, INCOMING, file_of
from mailnode.store.disk.directories import make_directory
from mailnode.store.engines.engine import DIRECTORY, QUEUE, Transaction, mail_tenancy
from mailnode.store.engines.migrate import kind_of
from mailnode.store.engines.sqlite_transaction import SqliteTransaction
from mailnode.store.units import backup_rows, queue_rows

SECRET = "secret"  # the server's own, in the data directory
_NO_LINK = {errno.EXDEV, errno.EPERM, errno.EMLINK, errno.EOPNOTSUPP}
_IDS = 1_000  # that are read in one go

_FILES_OF: dict[str, Callable[[Transaction, str, int], list[str]]] = {
    "mail": backup_rows.files,
    QUEUE: queue_rows.files,
}


@dataclass(slots=True)
class BackupMade:
    """What one run did."""

    name: str = ""
    databases: int = 0
    unchanged: int = 0  # of these, that are as they were in the backup before
    files: int = 0  # of messages
    new_files: int = 0  # of these, that no backup had
    new_octets: int = 0  # of databases and files that were copied
    missing: tuple[str, ...] = ()  # ids of files that rows name and that are not there
    faults: tuple[str, ...] = ()  # what is wrong with databases, a line each


@dataclass(frozen=True, slots=True)
class StoredFiles:
    """Where a store lies."""

    data: Path
    blobs: Path
    partitions: int
    has_databases: bool = True  # False: they are on a server of their own

    def tenancies(self) -> list[str]:
        """The databases, in the order in which they are looked at."""
        return [QUEUE, DIRECTORY, *map(mail_tenancy, range(self.partitions))] if self.has_databases else []


class BackupRun:
    """One run. Blocks, in pieces between which ``pause`` is called."""

    def __init__(self, kept: BackupDirectory, store: StoredFiles, pause: Callable[[], None] = lambda: None) -> None:
        self._kept = kept
        self._store = store
        self._pause = pause
        self._made = BackupMade()

    def run(self, now: float) -> BackupMade:
        """Make one. :param now: UTC seconds. :raises BackupRefused: :raises OSError: nothing complete was made."""
        self._kept.make()
        with self._kept.locked():
            before = next(reversed(self._kept.names()), "")
            known = self._kept.manifest(before) if before else None
            begun = self._kept.begin(now)
            copies = self._copy_databases(begun, before, known)
            octets, list_digest = self._copy_files(begun, before)
            with suppress(FileNotFoundError):
                write_durably(begun / SECRET, (self._store.data / SECRET).read_bytes())
            manifest = Manifest(
                now,
                self._store.partitions,
                copies,
                self._made.files,
                octets,
                list_digest,
                self._made.missing,
                self._made.faults,
            )
            self._made.name = self._kept.finish(begun, manifest)
        return self._made

    # databases

    def _copy_databases(self, begun: Path, before: str, known: Manifest | None) -> tuple[DatabaseCopy, ...]:
        copies, faults = [], []
        with ExitStack() as held:
            snapshots = {}
            for name in self._store.tenancies():
                snapshots[name] = DatabaseSnapshot(self._store.data / f"{name}.db")
                held.callback(snapshots[name].close)
            for name, snapshot in snapshots.items():
                target = begun / f"{name}.db"
                old = known.database(name) if known is not None else None
                if old is not None and _is_the_same(old, snapshot, self._kept.path / before / target.name, target):
                    copies.append(old)
                    self._made.unchanged += 1
                else:
                    snapshot.copy_to(target, self._pause)
                    octets, digest = digest_of(target)
                    copies.append(DatabaseCopy(name, octets, digest, snapshot.mark))
                    self._made.new_octets += octets
                snapshot.close()
                faults += databases.faults(target)
        self._made.databases = len(copies)
        self._made.faults = tuple(faults)
        return tuple(copies)

    # files of messages

    def _copy_files(self, begun: Path, before: str) -> tuple[int, str]:
        """Copy those that no backup has, and write the list of all; return the octets of all, and the list's digest."""
        for directory in (self._kept.blobs / FILES, self._kept.blobs / INCOMING):
            make_directory(directory)
        for left in os.scandir(self._kept.blobs / INCOMING):
            os.unlink(left.path)
        path, touched, octets, missing = begun / LIST, set[Path](), 0, []
        with open(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w", encoding="ascii") as lines:
            with ExitStack() as held:
                earlier = self._kept.listed(before) if before else iter(())
                for blob_id, known in _beside(self._needed(begun, held), earlier):
                    size = self._copy_file(blob_id, known, lines, touched)
                    if size is None:
                        missing.append(blob_id)
                    else:
                        octets += size
                    self._pause()
            lines.flush()
            os.fsync(lines.fileno())
        for directory in sorted(touched):
            sync_directory(directory)
        self._made.missing = tuple(missing)
        return octets, digest_of(path)[1]

    def _needed(self, begun: Path, held: ExitStack) -> Iterator[str]:
        """The ids of all files that rows of the copies name, each once, in order; of all there are where not all rows can be
        read here."""
        if not self._store.has_databases or self._made.faults:
            return _stored_ids(self._store.blobs / FILES)
        found = []
        for name in self._store.tenancies():
            unit = _FILES_OF.get(kind_of(name))
            if unit is not None:
                connection = opened(begun / f"{name}.db")
                held.callback(connection.close)
                found.append(_ids(SqliteTransaction(connection), unit))
        return (blob_id for blob_id, _ in groupby(heapq.merge(*found)))

    def _copy_file(self, blob_id: str, known: tuple[int, str] | None, lines: TextIO, touched: set[Path]) -> int | None:
        """Have one file in the directory of backups, and in the list; return its octets, None where there is none."""
        target = file_of(self._kept.blobs / FILES, blob_id)
        if not target.exists():
            known = self._bring(file_of(self._store.blobs / FILES, blob_id), target, touched)
            if known is None:
                return None
            self._made.new_files += 1
            self._made.new_octets += known[0]
        elif known is None:  # of a run that was cut off, or of an older backup
            known = digest_of(target)
            touched.add(target.parent)
        self._made.files += 1
        lines.write(list_line(blob_id, *known))
        return known[0]

    def _bring(self, source: Path, target: Path, touched: set[Path]) -> tuple[int, str] | None:
        if target.parent not in touched:
            make_directory(target.parent)
            touched.add(target.parent)
        try:
            os.link(source, target)
        except FileNotFoundError:
            return None
        except OSError as error:
            if error.errno not in _NO_LINK:
                raise
            return copy_durably(source, target, self._kept.blobs / INCOMING / target.name)
        return digest_of(target)


def _is_the_same(old: DatabaseCopy, snapshot: DatabaseSnapshot, before: Path, target: Path) -> bool:
    """Whether a database is as it was in the backup before, whose copy has another name now."""
    if not old.mark or old.mark != snapshot.mark:
        return False
    try:
        os.link(before, target)
    except OSError as error:
        if error.errno not in _NO_LINK:
            raise
        return False
    return True


def _ids(tx: SqliteTransaction, unit: Callable[[Transaction, str, int], list[str]]) -> Iterator[str]:
    after = ""
    while some := unit(tx, after, _IDS):
        yield from some
        after = some[-1]


def _stored_ids(files: Path) -> Iterator[str]:
    return iter(sorted(entry.name for entry in files.glob("*/*/*")))


def _beside(
    needed: Iterator[str], earlier: Iterator[tuple[str, int, str]]
) -> Iterator[tuple[str, tuple[int, str] | None]]:
    """Each id that is needed, in order, with what the list of the backup before says of it."""
    last = next(earlier, None)
    for blob_id in needed:
        while last is not None and last[0] < blob_id:
            last = next(earlier, None)
        yield blob_id, last[1:] if last is not None and last[0] == blob_id else None


def prune(kept: BackupDirectory, keep: int) -> list[str]:
    """Remove all backups but the latest ``keep``, and the files that none of these needs; return their names.

    :raises BackupRefused: :raises OSError:"""
    with kept.locked():
        gone = kept.names()[:-keep]
        needed: set[str] = set()
        for name in kept.names()[-keep:] if gone else ():
            kept.require_list(name, kept.manifest(name).list_digest)
            needed.update(blob_id for blob_id, _, _ in kept.listed(name))
        for name in gone:
            kept.remove(name)
        if gone:
            for path in (kept.blobs / FILES).glob("*/*/*"):
                if path.name not in needed:
                    path.unlink()
    return gone


def check(kept: BackupDirectory, name: str) -> list[str]:
    """Hold a backup against its digests; return what is wrong, a line each. :raises BackupRefused: :raises OSError:"""
    manifest = kept.manifest(name)
    found = [f"{one.name}.db" for one in manifest.databases if _differs(kept.path / name / f"{one.name}.db", one)]
    kept.require_list(name, manifest.list_digest)
    for blob_id, octets, digest in kept.listed(name):
        path = file_of(kept.blobs / FILES, blob_id)
        if not path.exists() or digest_of(path) != (octets, digest):
            found.append(blob_id)
    return [f"{one}: not what was written" for one in found]


def _differs(path: Path, one: DatabaseCopy) -> bool:
    return not path.exists() or digest_of(path) != (one.octets, one.digest)
