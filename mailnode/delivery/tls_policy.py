"""How a connection to another server must be encrypted: the one place that decides.

Today every server of a domain is met with opportunistic STARTTLS. DANE (RFC 7672) and MTA-STS (RFC 8461) will answer
here too, and DANE goes before MTA-STS.
"""

from __future__ import annotations

from dataclasses import dataclass, field

LEVELS = ("none", "opportunistic", "required", "verified", "implicit")  # of interfaces.outbound.Target


@dataclass(frozen=True, slots=True)
class Smarthost:
    """One server that takes all foreign mail. ``host``: a name, or an IP address. ``tls``: one of :data:`LEVELS`.

    :raises ValueError: an unknown level, or a password that would go over an open connection.
    """

    host: str
    port: int = 587
    tls: str = "verified"
    username: str = ""
    password: str = field(default="", repr=False)

    def __post_init__(self) -> None:
        if self.tls not in LEVELS:
            raise ValueError("tls: unknown level")
        if self.username and self.tls in ("none", "opportunistic"):
            raise ValueError("tls: a smarthost with a login needs required, verified or implicit")


class TlsPolicy:
    """Decides by domain and host."""

    async def level(self, domain: str, host: str) -> str:
        """Return the level for a server of a domain (its key) found by MX."""
        return "opportunistic"

    def smarthost_level(self, smarthost: Smarthost) -> str:
        """Return the level for the smarthost: what the configuration says."""
        return smarthost.tls
