"""What domains publish about mail that says it is from them, and what came of asking for it (RFC 9989)."""

from __future__ import annotations

from dataclasses import dataclass

NONE, QUARANTINE, REJECT = "none", "quarantine", "reject"
POLICIES = (NONE, QUARANTINE, REJECT)  # the mildest first


@dataclass(frozen=True, slots=True)
class DmarcRecord:
    """A DMARC Policy Record (RFC 9989 4.7). ``sp``, ``np``: "" where they do not stand there. ``psd``: "y", "n" or "u". ``rua``:
    the URIs in it that can be read. ``applies``: False where nothing follows from it, for want of a policy that can be read
    and of anybody to be told (4.10.1). ``faults``: what of it was passed over, in words, ASCII."""

    p: str = NONE
    sp: str = ""
    np: str = ""
    psd: str = "u"
    testing: bool = False
    strict_dkim: bool = False
    strict_spf: bool = False
    fo: str = "0"
    rua: tuple[str, ...] = ()
    applies: bool = True
    faults: tuple[str, ...] = ()

    def below(self, exists: bool) -> str:
        """Return the policy for names below the one that has the record. :param exists: whether such a name does."""
        return (self.sp if exists else self.np or self.sp) or self.p

    def applied(self, policy: str) -> str:
        """Return what becomes of a policy of this record while its owner only tests it."""
        return POLICIES[max(0, POLICIES.index(policy) - 1)] if self.testing else policy


@dataclass(frozen=True, slots=True)
class FoundRecord:
    """A record and the domain that has it, in lower-case A-labels."""

    domain: str
    record: DmarcRecord


@dataclass(frozen=True, slots=True)
class Walked:
    """What a DNS Tree Walk from a domain found (RFC 9989 4.10), the longest name first. ``several``: where there is more than
    one record, so that none counts."""

    start: str
    found: tuple[FoundRecord, ...] = ()
    several: tuple[str, ...] = ()

    @property
    def organization(self) -> str:
        """The Organizational Domain of where it began (RFC 9989 4.10.2)."""
        for one in self.found:
            if one.record.psd == "n":
                return one.domain
            if one.record.psd == "y" and one.domain != self.start:
                return ".".join(self.start.split(".")[-len(one.domain.split(".")) - 1 :])
        return self.found[-1].domain if self.found else self.start

    @property
    def policy(self) -> FoundRecord | None:
        """The record for mail from where it began (RFC 9989 4.10.1): its own, that of its organization, or of what that is
        registered under."""
        organization = self.organization
        for domain in (self.start, organization):
            for one in self.found:
                if one.domain == domain:
                    return one
        return next((one for one in self.found if one.record.psd == "y"), None)


@dataclass(frozen=True, slots=True)
class Identifier:
    """A domain that was asked whether a message is its: ``kind`` "spf" (of the reverse-path) or "dkim" (of a signature, with its
    ``selector``), in lower-case A-labels. ``result``: by RFC 8601 2.7."""

    kind: str
    domain: str
    result: str
    selector: str = ""
