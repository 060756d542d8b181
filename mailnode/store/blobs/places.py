"""Where the files of blobs lie below their directory: in that of a server, and in that of backups."""

from __future__ import annotations

from pathlib import Path

FILES, INCOMING = "files", "incoming"


def file_of(files: Path, blob_id: str) -> Path:
    """Where a whole file lies. The last characters of an id are random: the directories fill evenly."""
    return files / blob_id[-1] / blob_id[-2] / blob_id
