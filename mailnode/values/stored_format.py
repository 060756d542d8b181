"""The form in which something is stored, and the one that this program knows."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class StoredFormat:
    """The schema of one database, by its number, and the newest that this program knows."""

    name: str  # of the database: "mail-00"
    schema: int
    known: int
