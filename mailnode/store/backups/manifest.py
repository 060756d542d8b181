"""What a backup says of itself: the last that is written of it, and what it is held against when it is put back."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass

from mailnode.errors import BackupRefused

FORMAT = 1


@dataclass(frozen=True, slots=True)
class DatabaseCopy:
    """The copy of one database."""

    name: str  # of its tenancy
    octets: int
    digest: str  # SHA-256 of the file, in hexadecimal
    mark: str  # its generation and the number of its commits: another copy with the same one is the same; "": not known


@dataclass(frozen=True, slots=True)
class Manifest:
    """One backup."""

    taken: float  # UTC seconds: when the databases were looked at
    partitions: int
    databases: tuple[DatabaseCopy, ...]  # none on PostgreSQL, whose own tools copy them
    files: int  # of messages, each a line of the list
    octets: int  # of all of these
    list_digest: str  # SHA-256 of the list
    missing: tuple[str, ...]  # files that rows name and that were not there
    faults: tuple[str, ...]  # what SQLite says is wrong with a database, a line each

    def database(self, name: str) -> DatabaseCopy | None:
        """The copy of a tenancy."""
        return next((one for one in self.databases if one.name == name), None)


def encoded(manifest: Manifest) -> bytes:
    """Return a manifest as a file says it."""
    return json.dumps({"format": FORMAT, **asdict(manifest)}, indent=1).encode() + b"\n"


def decoded(text: bytes) -> Manifest:
    """Undo :func:`encoded`. :raises BackupRefused: it is none, or of a later version."""
    try:
        told = json.loads(text)
        if told.pop("format") != FORMAT:
            raise BackupRefused("this backup was made by a newer version")
        databases = tuple(DatabaseCopy(**one) for one in told.pop("databases"))
        missing, faults = tuple(told.pop("missing")), tuple(told.pop("faults"))
        made = Manifest(databases=databases, missing=missing, faults=faults, **told)
    except (ValueError, TypeError, KeyError, AttributeError, RecursionError) as error:
        raise BackupRefused("the manifest is damaged") from error
    if not _is_sound(made):
        raise BackupRefused("the manifest is damaged")
    return made


def _is_sound(manifest: Manifest) -> bool:
    numbers = manifest.partitions, manifest.files, manifest.octets, *[one.octets for one in manifest.databases]
    return all(type(number) is int and number >= 0 for number in numbers) and all(
        type(one.name) is str and one.name.replace("-", "").isalnum() for one in manifest.databases
    )
