"""The file that holds the number of the server's process, in place of twistd's own: said in words, never with a traceback."""

from __future__ import annotations

import os
from pathlib import Path

from twisted.logger import Logger

from mailnode.errors import ConfigurationError

MAX_FILE = 64  # octets that are looked at

_log = Logger()


class PidFile:
    """One such file: :meth:`check` while there is a terminal, :meth:`take` by the process that serves, :meth:`remove`."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._taken = False

    def check(self) -> None:
        """Look whether it could be taken. :raises ConfigurationError: a server runs, or it cannot be written."""
        self._free()
        if not os.access(self.path.parent, os.W_OK | os.X_OK):
            missing = not self.path.parent.is_dir()
            raise self._unwritable("No such directory" if missing else "Permission denied")

    def take(self) -> None:
        """Write our number into it. One that a killed server left behind is replaced. :raises ConfigurationError:"""
        self._free()
        try:
            self.path.unlink(missing_ok=True)
            descriptor = os.open(self.path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o644)
            try:
                os.fchmod(descriptor, 0o644)  # anybody may know it
                os.write(descriptor, b"%d\n" % os.getpid())
            finally:
                os.close(descriptor)
        except OSError as error:
            raise self._unwritable(error.strerror) from None
        self._taken = True

    def remove(self) -> None:
        """Remove it, if it is ours. That it cannot be is said, and does no harm: the next start sees that it is stale."""
        if not self._taken:
            return
        self._taken = False
        try:
            self.path.unlink(missing_ok=True)
        except OSError as error:
            _log.warn("the pidfile {path} stays: {error}", path=str(self.path), error=error.strerror)

    def _free(self) -> None:
        try:
            with self.path.open("rb") as file:
                text = file.read(MAX_FILE)
        except FileNotFoundError:
            return
        except OSError as error:
            raise ConfigurationError([f"pidfile: {self.path}: cannot be read: {error.strerror}"]) from None
        number = text.strip()
        if number and not (number.isdigit() and len(number) <= 10):
            raise ConfigurationError([f"pidfile: {self.path}: holds something else than the number of a process"])
        if number and _serves(int(number)):
            raise ConfigurationError(
                [
                    f"pidfile: {self.path}: a server runs as process {int(number)}; a second one needs another --pidfile "
                    "(before the word mailnode), or none: --pidfile="
                ]
            )

    def _unwritable(self, why: str | None) -> ConfigurationError:
        return ConfigurationError(
            [
                f"pidfile: {self.path}: cannot be written: {why}; give another one with --pidfile (before the word "
                "mailnode), or none: --pidfile="
            ]
        )


def _serves(pid: int) -> bool:
    """Whether a process may be a server: it runs, is not this one, and was not started as something else. After a start of
    the machine, or of a container, the number may be anybody's."""
    if pid in (0, os.getpid()):
        return False
    try:
        os.kill(pid, 0)
    except (ProcessLookupError, OverflowError):
        return False
    except PermissionError:
        pass
    try:
        words = Path(f"/proc/{pid}/cmdline").read_bytes()
    except OSError:
        return True
    return b"mailnode" in words
