"""What setup remembers from one run to the next: what was answered, but no secret, and which files are as it wrote them."""

from __future__ import annotations

import fcntl
import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from mailnode.setup.files import digest, make_directory, write
from mailnode.setup.trouble import SetupTrouble

MAX_REMEMBERED = 1_048_576  # octets

Remembered = dict[str, dict[str, str]]


class Progress:
    """A small file beside the configuration, mode 0600, written whole after each step."""

    def __init__(self, path: Path, *, keeps: bool = True) -> None:
        """:param keeps: False: nothing is written. :raises SetupTrouble: it is there and cannot be read."""
        self._path = path
        self._keeps = keeps
        self._known = _read(path)

    def value(self, kind: str, name: str) -> str:
        """Return what is remembered; "": nothing."""
        return self._known.get(kind, {}).get(name, "")

    def names(self, kind: str) -> tuple[str, ...]:
        """Return what something of a kind is remembered of."""
        return tuple(self._known.get(kind, {}))

    def remember(self, kind: str, name: str, value: str) -> None:
        """Remember it, on disk. :raises OSError:"""
        if self.value(kind, name) == value:
            return
        self._known.setdefault(kind, {})[name] = value
        if self._keeps:
            text = json.dumps(self._known, indent=1, sort_keys=True, ensure_ascii=False)
            write(self._path, text.encode() + b"\n", 0o600)

    def is_ours(self, path: Path) -> bool:
        """Whether a file is as setup wrote it last. :raises OSError:"""
        return self.value("written", str(path)) == digest(path)


def _read(path: Path) -> Remembered:
    try:
        with path.open("rb") as file:
            found = json.loads(file.read(MAX_REMEMBERED))
    except FileNotFoundError:
        return {}
    except (OSError, ValueError, RecursionError) as error:
        raise SetupTrouble(
            f"{path} cannot be read ({error}): it has what earlier runs of setup were answered",
            f"Move it away and run setup again:\nmv {path} {path}.broken",
        ) from None
    if not isinstance(found, dict):
        return {}
    return {
        kind: {name: value for name, value in values.items() if isinstance(value, str)}
        for kind, values in found.items()
        if isinstance(values, dict)
    }


@contextmanager
def alone(path: Path) -> Iterator[None]:
    """Hold the lock that keeps a second setup away. It ends with the process, however that ends.

    :raises SetupTrouble: another one runs. :raises OSError: the file cannot be made.
    """
    make_parent(path)
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            other = os.read(descriptor, 20).decode("ascii", "replace").strip()
            raise SetupTrouble(
                f"another setup is at work here, as process {other or 'unknown'}", "Wait for its end, or end it."
            ) from None
        os.ftruncate(descriptor, 0)
        os.write(descriptor, f"{os.getpid()}\n".encode())
        yield
    finally:
        os.close(descriptor)


def make_parent(path: Path) -> None:
    """Make the directory of a file where it is not there; one that is there stays as it is. :raises OSError:"""
    if not path.parent.is_dir():
        make_directory(path.parent, 0o755)
