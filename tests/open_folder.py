"""Folders for tests whose daemons serve as other users."""

from __future__ import annotations

import tempfile
from pathlib import Path


def open_folder(prefix: str) -> tempfile.TemporaryDirectory[str]:
    """Make a temporary folder that every user gets through to.

    Not below pytest's own folder, which each of its sessions closes to others anew: also while those of another one run.
    What daemons that are about to end still write there does not disturb its removal.
    """
    made = tempfile.TemporaryDirectory(prefix=f"mailnode-{prefix}-", ignore_cleanup_errors=True)
    Path(made.name).chmod(0o755)
    return made
