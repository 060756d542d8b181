"""Keys that sign mail (DKIM, RFC 6376), and the records by which others verify with them."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

ALGORITHMS = ("rsa", "ed25519")  # as k= of a record says it (RFC 6376 3.6.1, RFC 8463); in the order of signatures
# next: made, its record is to be published. active: it signs. retired: signs no more, but mail it signed is on its way.
# spent: nothing that it signed is on its way, its record can be taken out of DNS.
STATES = ("next", "active", "retired", "spent")


@dataclass(frozen=True, slots=True)
class DkimSettings:
    """What is done with keys without a person. Times are seconds."""

    enabled: bool = True
    by_dns: bool = True  # whether a key signs when DNS has its record
    overlap: float = 7 * 86_400.0  # for which the record of a retired key is needed
    rotate_after: float = 0.0  # the age at which keys are replaced; 0.0: never


@dataclass(frozen=True, slots=True)
class DkimKey:
    """One key of a domain. Times are UTC seconds."""

    domain: str  # A-label key
    selector: str
    algorithm: str  # one of ALGORITHMS
    state: str  # one of STATES
    created: float
    public: str  # as p= of the record has it
    private: str = field(repr=False)  # PKCS #8, PEM
    changed: float = 0.0  # when its state was set; 0.0: not known
    ready_at: float = 0.0  # when nobody remembers any more that DNS lacked its record; 0.0: DNS was not seen to have it

    @property
    def record(self) -> tuple[str, str]:
        """The name of its TXT record, in A-labels without trailing dot, and the text (RFC 6376 3.6)."""
        return f"{self.selector}._domainkey.{self.domain}", f"v=DKIM1; k={self.algorithm}; p={self.public}"


def dkim_records(keys: Iterable[DkimKey]) -> list[tuple[str, str]]:
    """Return the names and texts of the TXT records to publish for these keys: all but the spent."""
    return [key.record for key in keys if key.state != "spent"]


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
