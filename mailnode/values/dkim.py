"""Keys that sign mail (DKIM, RFC 6376), and the records by which others verify with them."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

ALGORITHMS = ("rsa", "ed25519")  # as k= of a record says it (RFC 6376 3.6.1, RFC 8463); in the order of signatures
# next: made, its record is to be published. active: it signs. retired: signs no more, but mail it signed is on its way.
STATES = ("next", "active", "retired")


@dataclass(frozen=True, slots=True)
class DkimKey:
    """One key of a domain. The record of each stands in DNS as long as the key is kept, whatever its state."""

    domain: str  # A-label key
    selector: str
    algorithm: str  # one of ALGORITHMS
    state: str  # one of STATES
    created: float  # UTC seconds
    public: str  # as p= of the record has it
    private: str = field(repr=False)  # PKCS #8, PEM

    @property
    def record(self) -> tuple[str, str]:
        """The name of its TXT record, in A-labels without trailing dot, and the text (RFC 6376 3.6)."""
        return f"{self.selector}._domainkey.{self.domain}", f"v=DKIM1; k={self.algorithm}; p={self.public}"


def dkim_records(keys: Iterable[DkimKey]) -> list[tuple[str, str]]:
    """Return the names and texts of the TXT records to publish for these keys."""
    return [key.record for key in keys]


def selectors(taken: Iterable[str], month: str) -> dict[str, str]:
    """Return a selector for a new key of each algorithm: ``m202611r`` and ``m202611e``, later pairs of a month
    ``m202611r2`` ...

    :param taken: those there are. :param month: six digits.
    """
    known, number = set(taken), 1
    while True:
        end = str(number) if number > 1 else ""
        found = {algorithm: f"m{month}{algorithm[0]}{end}" for algorithm in ALGORITHMS}
        if known.isdisjoint(found.values()):
            return found
        number += 1
