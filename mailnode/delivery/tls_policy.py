"""How a connection to another server must be encrypted: the one place that decides.

Today every server of a domain is met with opportunistic STARTTLS. DANE (RFC 7672) and MTA-STS (RFC 8461) will answer
here too, and DANE goes before MTA-STS.
"""

from __future__ import annotations

LEVELS = ("none", "opportunistic", "required", "verified", "implicit")  # of interfaces.outbound.Target


class TlsPolicy:
    """Decides by domain and host. A next hop that an administrator chose has the level chosen with it."""

    async def level(self, domain: str, host: str) -> str:
        """Return the level for a server of a domain (its key) found by MX."""
        return "opportunistic"
