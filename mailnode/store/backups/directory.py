"""The directory that backups are kept in. Each is complete or absent; the files of messages are shared by all.

.. code-block:: text

    DIR/mailnode-backups                 says what this directory is, and is locked by who works on it
    DIR/2026-11-30T09-08-01Z/            one backup: its time in UTC
        manifest.json                    see manifest.py
        directory.db, queue.db, mail-00.db ...
        files                            a line for each file of a message: id, octets, SHA-256, by id
        secret                           the server's own
    DIR/2026-11-30T09-20-00Z.unfinished/ one that was begun
    DIR/blobs/                           as in the data directory

Everything here blocks.
"""

from __future__ import annotations

import fcntl
import hashlib
import os
import re
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path

from mailnode.durable import sync_directory
from mailnode.errors import BackupRefused
from mailnode.store.backups.manifest import Manifest, decoded, encoded
from mailnode.store.disk.directories import make_directory

SIGN = "mailnode-backups"
MANIFEST = "manifest.json"
LIST = "files"
UNFINISHED = ".unfinished"
_NAME = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}-[0-9]{2}-[0-9]{2}Z")
_LINE = re.compile(r"([0-9a-z]{4,40}) ([0-9]{1,15}) ([0-9a-f]{64})\n")
_PIECE = 1024 * 1024  # octets that are read in one go


class BackupDirectory:
    """One directory of backups."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.blobs = path / "blobs"

    def make(self) -> None:
        """Make it, or see that it is one. :raises BackupRefused: it is something else. :raises OSError:"""
        make_directory(self.path)
        if not (self.path / SIGN).exists():
            if any(self.path.iterdir()):
                raise BackupRefused("it is not empty, and no directory of backups")
            write_durably(self.path / SIGN, b"Backups of mailnode; see docs/backup.rst.\n")

    def require(self) -> None:
        """:raises BackupRefused: it is no directory of backups."""
        if not (self.path / SIGN).is_file():
            raise BackupRefused("it is no directory of backups")

    @contextmanager
    def locked(self) -> Iterator[None]:
        """Keep others from working on it. :raises BackupRefused: somebody does. :raises OSError:"""
        descriptor = os.open(self.path / SIGN, os.O_RDONLY | os.O_CLOEXEC)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(descriptor)
            raise BackupRefused("another command works on it") from None
        try:
            yield
        finally:
            os.close(descriptor)

    def names(self) -> list[str]:
        """The complete backups, the oldest first."""
        return sorted(entry.name for entry in self.path.iterdir() if _NAME.fullmatch(entry.name))

    def chosen(self, name: str) -> str:
        """Return the name of a backup, of the latest one for "". :raises BackupRefused: there is none."""
        names = self.names()
        if name and name not in names:
            raise BackupRefused(f"there is no backup {name}")
        if not names:
            raise BackupRefused("there is no complete backup")
        return name or names[-1]

    def manifest(self, name: str) -> Manifest:
        """Read what a backup says of itself. :raises BackupRefused: :raises OSError:"""
        return decoded((self.path / name / MANIFEST).read_bytes())

    def begin(self, taken: float) -> Path:
        """Remove what was begun and not finished, and begin a backup; return where it is written.

        :param taken: UTC seconds. :raises OSError:"""
        for entry in list(self.path.iterdir()):
            if entry.name.endswith(UNFINISHED):
                shutil.rmtree(entry)
        while (self.path / (name := _name(taken))).exists():  # two in one second: the later one has the later name
            taken += 1
        begun = self.path / (name + UNFINISHED)
        begun.mkdir(mode=0o700)
        return begun

    def finish(self, begun: Path, manifest: Manifest) -> str:
        """Make a backup complete, all of whose files are durable; return its name. :raises OSError:"""
        write_durably(begun / MANIFEST, encoded(manifest))
        name = begun.name.removesuffix(UNFINISHED)
        begun.rename(self.path / name)
        sync_directory(self.path)
        return name

    def remove(self, name: str) -> None:
        """Remove a backup, but for the files of messages. :raises OSError:"""
        gone = self.path / (name + UNFINISHED)  # so that half of one is none
        (self.path / name).rename(gone)
        sync_directory(self.path)
        shutil.rmtree(gone)

    def require_list(self, name: str, digest: str) -> None:
        """:param digest: what its manifest says. :raises BackupRefused: the list of files is another. :raises OSError:"""
        if digest_of(self.path / name / LIST)[1] != digest:
            raise BackupRefused("the list of files is damaged")

    def listed(self, name: str) -> Iterator[tuple[str, int, str]]:
        """The files of messages that a backup needs: id, octets and SHA-256, by id. :raises BackupRefused: :raises OSError:"""
        with (self.path / name / LIST).open(encoding="ascii", errors="replace") as lines:
            for line in lines:
                read = _LINE.fullmatch(line)
                if read is None:
                    raise BackupRefused("the list of files is damaged")
                yield read[1], int(read[2]), read[3]


def _name(taken: float) -> str:
    return datetime.fromtimestamp(int(taken), UTC).strftime("%Y-%m-%dT%H-%M-%SZ")


def list_line(blob_id: str, octets: int, digest: str) -> str:
    """Return a line of the list."""
    return f"{blob_id} {octets} {digest}\n"


def digest_of(path: Path) -> tuple[int, str]:
    """Return how long a file is and its SHA-256, in hexadecimal. :raises OSError:"""
    with path.open("rb") as file:
        return os.fstat(file.fileno()).st_size, hashlib.file_digest(file, "sha256").hexdigest()


def copy_durably(source: Path, target: Path, beside: Path) -> tuple[int, str]:
    """Copy a file, readable by its owner alone; return how long it is and its SHA-256. Its name is synced by the caller.

    :param beside: where it is written until it is whole, on the same disk. :raises OSError:"""
    digest, octets = hashlib.sha256(), 0
    beside.unlink(missing_ok=True)
    with source.open("rb") as old, open(os.open(beside, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as new:
        while piece := old.read(_PIECE):
            digest.update(piece)
            octets += len(piece)
            new.write(piece)
        new.flush()
        os.fsync(new.fileno())
    beside.rename(target)
    return octets, digest.hexdigest()


def write_durably(path: Path, octets: bytes) -> None:
    """Write a small file, readable by its owner alone, under a name that outlasts a power cut. :raises OSError:"""
    beside = path.with_name(path.name + ".new")
    beside.unlink(missing_ok=True)
    with open(os.open(beside, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as new:
        new.write(octets)
        new.flush()
        os.fsync(new.fileno())
    beside.rename(path)
    sync_directory(path.parent)
