"""Certificates from a certification authority by ACME (RFC 8555): what is wanted, and how it stands."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from mailnode.values.dns_update import UpdateServer


@dataclass(frozen=True, slots=True)
class ExternalAccount:
    """What an authority knows a customer by (RFC 8555 7.3.4). ``secret``: the MAC key, in base64url as it gave it."""

    id: str
    secret: str = field(repr=False)


@dataclass(frozen=True, slots=True)
class AcmeSettings:
    """What is wanted, of whom, and how it is proved that the names lead here.

    ``staging`` is tried first; "": none is. ``kinds``: "ecdsa" and "rsa", the first one for who asks for no name. ``challenge``:
    "http-01", "tls-alpn-01" or "dns-01". ``zones``: those that may be changed, by name.
    """

    directory: str
    names: tuple[str, ...]  # lower case, A-labels; the first is the server's
    staging: str = ""
    contact: str = ""  # a mail address
    kinds: tuple[str, ...] = ("ecdsa",)
    challenge: str = "http-01"
    webroot: str = ""  # the directory that another web server shows; "": none does
    profile: str = ""
    account: ExternalAccount | None = None
    authorities: str = ""  # PEM file of who vouches for the directory's own certificate; "": whom browsers trust
    zones: Mapping[str, UpdateServer] = field(default_factory=dict)

    def zone_of(self, name: str) -> tuple[str, UpdateServer] | None:
        """Return the nearest zone around a name that may be changed."""
        around = [zone for zone in self.zones if name == zone or name.endswith(f".{zone}")]
        zone = max(around, key=len, default="")
        return (zone, self.zones[zone]) if zone else None


@dataclass(frozen=True, slots=True)
class CertificateStanding:
    """How one certificate stands. Times are UTC seconds, 0 where there is none."""

    kind: str  # of its key: "ecdsa" or "rsa"
    names: tuple[str, ...]
    not_after: float
    renew_at: float  # when it will be renewed, if all goes well
    why: str  # what says so: "renewal information of the authority", "two thirds of its lifetime" ...
    next_key: str  # the digest of the next key in TLSA records 3 1 1; "": it is not made yet
    key_note: str = ""  # what keeps the next key from being used; "": nothing does


@dataclass(frozen=True, slots=True)
class RenewalStanding:
    """How all of them stand. ``trouble``: why the last try failed, in words; "": it did not."""

    directory: str
    certificates: tuple[CertificateStanding, ...]
    trouble: str = ""
    failures: int = 0  # one after the other
    next_try: float = 0.0  # UTC seconds; 0: as soon as one is due
    under_way: str = ""  # what is being done just now

    @property
    def first_expiry(self) -> float:
        """When the first of them expires; 0: one is not there."""
        return min((one.not_after for one in self.certificates), default=0.0)
