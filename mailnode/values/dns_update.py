"""Changes of a zone (RFC 2136), and who takes them."""

from __future__ import annotations

from dataclasses import dataclass, field

from mailnode.values.published import DnsRecord


@dataclass(frozen=True, slots=True)
class TsigKey:
    """A secret shared with a name server (RFC 8945), as its own configuration has it."""

    name: str
    secret: str = field(repr=False)  # in Base64
    algorithm: str = "hmac-sha256"


@dataclass(frozen=True, slots=True)
class UpdateServer:
    """The primary name server of a zone. ``host`` is a name or an IP address. Without a key it goes by our address alone."""

    host: str
    key: TsigKey | None
    port: int = 53


@dataclass(frozen=True, slots=True)
class ZoneChange:
    """What one update changes, all of it or nothing. Names of records are full, as :class:`DnsRecord` has them.

    ``replace`` puts records in the place of all of their name and type; ``add`` and ``remove`` leave others of the same name
    and type alone. To remove what is not there is no mistake.
    """

    zone: str
    add: tuple[DnsRecord, ...] = ()
    remove: tuple[DnsRecord, ...] = ()
    replace: tuple[DnsRecord, ...] = ()
    ttl: int = 300  # seconds
