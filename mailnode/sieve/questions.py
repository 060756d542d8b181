"""What a script may need to know of the world: asked while it runs, by what was asked answered at most once."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeAlias

if TYPE_CHECKING:
    from mailnode.sieve.constructs import Script


@dataclass(frozen=True, slots=True)
class MailboxPresent:
    """Whether a message can be filed into a mailbox (RFC 5490 3.1)."""

    name: str


@dataclass(frozen=True, slots=True)
class SpecialUseExists:
    """Whether a mailbox, or any one when the name is "", has a use (RFC 8579 3), such as ``\\Junk``."""

    mailbox: str
    use: str


@dataclass(frozen=True, slots=True)
class MailboxIdExists:
    """Whether there is a mailbox with an id (RFC 9042 6)."""

    id: str


@dataclass(frozen=True, slots=True)
class MetadataValue:
    """The value of an annotation, None where there is none (RFC 5490 3.3). :param mailbox: "" for the server."""

    mailbox: str
    annotation: str


@dataclass(frozen=True, slots=True)
class DuplicateSeen:
    """Whether an id was remembered under a handle and is still (RFC 7352 3)."""

    handle: str
    id: str


@dataclass(frozen=True, slots=True)
class ListKnown:
    """Whether there is a list of this name that tests can ask (RFC 6134 2.7)."""

    list: str


@dataclass(frozen=True, slots=True)
class ListMember:
    """Whether a value stands in a list that is kept outside of scripts (RFC 6134 2); None where there is no such list."""

    list: str
    value: str


@dataclass(frozen=True, slots=True)
class IncludedScript:
    """A compiled script by its name (RFC 6609 3.2), None where there is none. ``location``: personal or global."""

    location: str
    name: str


Question = (
    MailboxPresent
    | SpecialUseExists
    | MailboxIdExists
    | MetadataValue
    | DuplicateSeen
    | ListKnown
    | ListMember
    | IncludedScript
)
SieveAnswer: TypeAlias = "bool | str | Script | None"
