"""What a mail program needs to know, whatever form it asks for it in."""

from __future__ import annotations

from dataclasses import dataclass

from mailnode.values.published import SERVICES, Published

SERVICE_NAMES = {"imap": "IMAP", "pop3": "POP3", "submission": "SMTP"}


@dataclass(frozen=True, slots=True)
class OfferedService:
    """A server that programs connect to. ``implicit``: TLS from the first octet; else STARTTLS, without which none of ours lets
    anybody log in."""

    protocol: str  # "imap", "pop3" or "submission"
    host: str
    port: int
    implicit: bool


@dataclass(frozen=True, slots=True)
class ClientSettings:
    """All of it for one domain. The login name is the whole address, for each service."""

    domain: str  # in A-labels
    services: tuple[OfferedService, ...]  # of a protocol the better one first: TLS from the first octet (RFC 8314 3.2)

    def first(self, protocol: str) -> OfferedService | None:
        """Return the best service of a protocol; None: it is not offered."""
        return next((one for one in self.services if one.protocol == protocol), None)

    def incoming(self) -> tuple[OfferedService, ...]:
        """Return the services by which mail is read, IMAP first."""
        return tuple(one for name in ("imap", "pop3") for one in self.services if one.protocol == name)

    def outgoing(self) -> tuple[OfferedService, ...]:
        """Return those by which it is sent."""
        return tuple(one for one in self.services if one.protocol == "submission")


def settings_of(domain: str, published: Published) -> ClientSettings:
    """Return the settings of a domain, as they follow from the listeners of this server."""
    services = tuple(
        OfferedService(protocol, published.hostname, published.services[label], tls == "implicit")
        for label, (protocol, tls) in SERVICES.items()
        if label in published.services and protocol in SERVICE_NAMES
    )
    return ClientSettings(domain, services)
