"""Test data of other projects, taken from their source distributions: fetched once by pip, and kept in a cache folder."""

from __future__ import annotations

import hashlib
import os
import subprocess
import sys
import tarfile
import tempfile
from pathlib import Path


def read_member(release: str, digest: str, path: str) -> bytes:
    """Return a file of a source distribution.

    :param release: "name-version". :param digest: SHA-256 of the archive. :param path: below its top folder.
    :raises Exception: it cannot be had.
    """
    base = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    folder = Path(base) / "mailnode-tests"
    archive = folder / f"{release}.tar.gz"
    if not archive.exists():
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=folder) as fresh:
            name, _, version = release.partition("-")
            command = [sys.executable, "-m", "pip", "download", "-q", "--no-deps", "--no-binary", ":all:", "-d", fresh]
            subprocess.run([*command, f"{name}=={version}"], check=True, capture_output=True, timeout=300)
            (Path(fresh) / archive.name).replace(archive)
    assert hashlib.sha256(archive.read_bytes()).hexdigest() == digest, f"{archive} is another one"
    with tarfile.open(archive) as whole:
        return whole.extractfile(f"{release}/{path}").read()
