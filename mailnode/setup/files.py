"""Files as setup writes them: whole or not at all, with a copy beside whatever was there before."""

from __future__ import annotations

import hashlib
import os
import shutil
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from pathlib import Path

from mailnode.durable import sync_directory, write_whole

DIGEST_OF_NONE = ""
MAX_COPIES = 100  # of one file within a second


@dataclass(frozen=True, slots=True)
class Owner:
    """Whose a file is."""

    uid: int
    gid: int


def digest(path: Path) -> str:
    """Return SHA-256 of a file in hexadecimal; ``DIGEST_OF_NONE`` where there is none. :raises OSError:"""
    try:
        return hashlib.sha256(path.read_bytes()).hexdigest()
    except FileNotFoundError:
        return DIGEST_OF_NONE


def holds(path: Path, text: str) -> bool:
    """Whether a file has this text and no other, in UTF-8, whatever the language of the machine. :raises OSError:"""
    try:
        return path.read_bytes() == text.encode()
    except FileNotFoundError:
        return False


def write(path: Path, content: bytes, mode: int, owner: Owner | None = None) -> str:
    """Write a file whole or not at all, see :func:`write_whole`; return its SHA-256 in hexadecimal.

    :param owner: None: as the system makes it. :raises OSError:
    """
    if owner is None:
        write_whole(path, content, mode)
    else:
        write_whole(path, content, mode, partial(os.fchown, uid=owner.uid, gid=owner.gid))
    return hashlib.sha256(content).hexdigest()


def copy_beside(path: Path, now: float) -> Path:
    """Copy a file to one beside it whose name has the date, with its mode and owner. :param now: UTC seconds.
    :raises OSError: there is no copy."""
    stamp = datetime.fromtimestamp(now, UTC).strftime("%Y-%m-%dT%H%M%SZ")
    names = [f"{path.name}.{stamp}", *(f"{path.name}.{stamp}-{number}" for number in range(2, MAX_COPIES))]
    copy = next(path.with_name(name) for name in names if not path.with_name(name).exists())
    was = path.stat()
    write(copy, path.read_bytes(), was.st_mode & 0o7777, Owner(was.st_uid, was.st_gid))
    shutil.copystat(path, copy)
    return copy


def make_directory(path: Path, mode: int, owner: Owner | None = None) -> None:
    """Make a directory, and those above it for everybody to pass, where they are not there. Its mode and owner become these.
    :raises OSError:"""
    path.parent.mkdir(mode=0o755, parents=True, exist_ok=True)
    with suppress(FileExistsError):
        path.mkdir(mode=0o700)
    if owner is not None:
        os.chown(path, owner.uid, owner.gid)
    path.chmod(mode)
    sync_directory(path.parent)
