"""The lock on the data directory: one server process at a time."""

from __future__ import annotations

import contextlib
import errno
import fcntl
import os
from pathlib import Path

from mailnode.errors import ConfigurationError, DirectoryLocked
from mailnode.store.disk.directories import make_directory

LOCK_FILE = "mailnode.lock"
_NO_LOCKS = {errno.ENOLCK, errno.EOPNOTSUPP, errno.ENOSYS, errno.EINVAL}


class DataLock:
    """Held from :meth:`acquire` to :meth:`release`; the kernel releases it when the process dies."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self._descriptor: int | None = None

    def acquire(self) -> None:
        """Make the directory if need be and lock it.

        :raises ConfigurationError: not writable, no locks on this file system, or another server holds it.
        """
        descriptor = self._open()
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            self._probe_record_locks()
        except OSError as error:
            os.close(descriptor)
            raise self._refusal(error) from error
        with contextlib.suppress(OSError):  # a full disk; it is for people only
            os.ftruncate(descriptor, 0)
            os.pwrite(descriptor, b"%d\n" % os.getpid(), 0)
        self._descriptor = descriptor

    def release(self) -> None:
        """Give the directory free; no error if it is not held."""
        if self._descriptor is not None:
            os.close(self._descriptor)
            self._descriptor = None

    def _open(self) -> int:
        try:
            make_directory(self._directory)
            return os.open(self._directory / LOCK_FILE, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        except OSError as error:
            raise self._refusal(error) from error

    def _probe_record_locks(self) -> None:
        """Try the kind of lock SQLite uses, on a file of its own: a network file system may have one kind and not the other."""
        probe = self._directory / (LOCK_FILE + ".probe")
        try:
            descriptor = os.open(probe, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        except OSError as error:
            if error.errno == errno.ENOSPC:
                return  # it was tried when there was room
            raise
        try:
            fcntl.lockf(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        finally:
            os.close(descriptor)
            os.unlink(probe)

    def _refusal(self, error: OSError) -> ConfigurationError:
        if error.errno in (errno.EAGAIN, errno.EACCES) and isinstance(error, BlockingIOError):
            words = "another server is running on this data directory, or starts or stops"
            return DirectoryLocked([f"server.data: {self._directory}: {words}"])
        if error.errno in _NO_LOCKS:
            what = "the file system has no locks, a store cannot be kept there"
        else:
            what = f"cannot be written: {error.strerror}"
        return ConfigurationError([f"server.data: {self._directory}: {what}"])
