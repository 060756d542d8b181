"""Login names."""

from __future__ import annotations


def login_name(user: bytes) -> str:
    """Return a login name as failures are counted by: text, case-folded, bounded."""
    return user[:320].decode("utf-8", "replace").casefold()
