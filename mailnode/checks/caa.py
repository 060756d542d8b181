"""Which authority may issue certificates for a name (CAA, RFC 8659): what is to be published, and what comes of what DNS says."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence

from mailnode.checks.zone_rules import RIGHT, Compared, Judged
from mailnode.interfaces.dns import DnsAnswer, DnsQuestion
from mailnode.values.published import Published

# What an authority is called in CAA records, by the organization that its certificates name as issuer: those that say so
# without doubt. The first name is the one to publish.
AUTHORITIES: Mapping[str, tuple[str, ...]] = {
    "Let's Encrypt": ("letsencrypt.org",),
    "Google Trust Services": ("pki.goog",),
    "Google Trust Services LLC": ("pki.goog",),
    "Amazon": ("amazon.com", "amazontrust.com", "awstrust.com", "amazonaws.com"),
}
_LABEL = re.compile(r"[a-z0-9-]+\Z")
_KNOWN = ("issue", "issuewild", "iodef", "issuemail", "contactemail", "contactphone")


def certified(host: str, published: Published) -> tuple[str, str] | None:
    """Return the name in a certificate here that a host is covered by, and its issuer's organization; None: there is none."""
    for name in (host, "*." + host.partition(".")[2]):
        if published.issuers.get(name):
            return name, published.issuers[name]
    return None


def climb(host: str) -> list[DnsQuestion]:
    """Return what is asked about a host: it, and what is above it (RFC 8659 3)."""
    labels = host.split(".")
    return [DnsQuestion(".".join(labels[at:]), "CAA") for at in range(len(labels))]


def relevant(host: str, answers: Mapping[DnsQuestion, DnsAnswer]) -> DnsAnswer:
    """Return the records that count for a host: the nearest there are. A failure below them counts as one of all."""
    for question in climb(host):
        answer = answers[question]
        if answer.failed or answer.values:
            return answer
    return DnsAnswer()


def allowing(tag: str, organization: str) -> str:
    """Return the value of a record by which a known organization may issue. :param tag: "issue" or "issuewild"."""
    return f'0 {tag} "{AUTHORITIES[organization][0]}"'


def judge(name: str, organization: str, one: Compared) -> Judged:
    """Return whether the issuer of a certificate may issue the next one. :param name: in it; may begin with "*."."""
    authorities = AUTHORITIES.get(organization)
    found = _named(one.found)
    # RFC 8659 4.3: for a wildcard the one counts where it is there, else the other.
    tag = "issuewild" if name.startswith("*.") and ("issuewild" in found or "issue" not in found) else "issue"
    named = found.get(tag)
    if named is None:
        if authorities is None:
            return RIGHT
        return "hint", f"Any authority may issue: publish {allowing(tag, organization)} beside those of others you use."
    if authorities is None:
        return "hint", f"They must allow {organization}: ask it what it is called in CAA records."
    if named.isdisjoint(authorities):
        return (
            "differs",
            f"{organization} may not issue the next certificate: publish {allowing(tag, organization)} too.",
        )
    return RIGHT


def _named(values: Sequence[str]) -> dict[str, set[str]]:
    """Return the authorities that records name, by tag; a tag that is not there restricts nothing (RFC 8659 4.2, 4.3)."""
    found: dict[str, set[str]] = {}
    for text in values:
        flags, tag, value = (*text.split(" ", 2), "", "")[:3]
        if tag not in _KNOWN and flags.isdigit() and int(flags) & 128:
            return {"issue": set(), "issuewild": set()}  # RFC 8659 4.1: what is critical and not understood forbids
        found.setdefault(tag, set()).add(_authority(value.strip('"').lower()))
    return found


def _authority(value: str) -> str:
    """Return whom a value names; "", which is nobody, also when it is none (RFC 8659 4.2)."""
    name = value.partition(";")[0].strip(" \t")
    return name if all(_LABEL.match(label) for label in name.split(".")) else ""
