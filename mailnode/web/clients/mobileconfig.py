"""Settings as a profile that iPhones, iPads and Macs install ("Mail" payload, com.apple.mail.managed)."""

from __future__ import annotations

import plistlib
from uuid import NAMESPACE_URL, uuid5

from mailnode.values.address import Address
from mailnode.web.clients.settings import ClientSettings, OfferedService

CONTENT_TYPE = b"application/x-apple-aspen-config"

_KINDS = {"imap": "EmailTypeIMAP", "pop3": "EmailTypePOP"}


def can_be_told(settings: ClientSettings) -> bool:
    """Whether there is a profile: for mail that is both read and sent."""
    return bool(settings.incoming() and settings.outgoing())


def mobileconfig(settings: ClientSettings, address: Address, password: str = "") -> bytes:
    """Return a profile, not signed yet.

    Its identifiers follow from the address: who installs it again replaces what was there.

    :param settings: that :func:`can_be_told`. :param password: also of a program; "": the device asks for it.
    """
    incoming, outgoing = settings.incoming()[0], settings.outgoing()[0]
    name = f"{settings.domain}.mail"
    account: dict[str, object] = {
        **_payload("com.apple.mail.managed", f"{name}.account", f"Mail of {settings.domain}", address),
        "EmailAccountDescription": str(address),
        "EmailAccountType": _KINDS[incoming.protocol],
        "EmailAddress": str(address),
        **_server("Incoming", incoming, address, password),
        **_server("Outgoing", outgoing, address, password),
        "OutgoingPasswordSameAsIncomingPassword": True,
    }
    profile: dict[str, object] = {
        **_payload("Configuration", name, f"Mail of {settings.domain}", address),
        "PayloadDescription": f"Reads and sends mail of {address}.",
        "PayloadOrganization": settings.domain,
        "PayloadRemovalDisallowed": False,
        "PayloadContent": [account],
    }
    return plistlib.dumps(profile)


def _payload(kind: str, name: str, shown: str, address: Address) -> dict[str, object]:
    return {
        "PayloadType": kind,
        "PayloadVersion": 1,
        "PayloadIdentifier": name,
        "PayloadUUID": str(uuid5(NAMESPACE_URL, f"mailto:{address.key}#{kind}")).upper(),
        "PayloadDisplayName": shown,
    }


def _server(side: str, service: OfferedService, address: Address, password: str) -> dict[str, object]:
    told: dict[str, object] = {
        f"{side}MailServerAuthentication": "EmailAuthPassword",
        f"{side}MailServerHostName": service.host,
        f"{side}MailServerPortNumber": service.port,
        f"{side}MailServerUseSSL": True,  # the device finds out whether by STARTTLS
        f"{side}MailServerUsername": str(address),
    }
    return told | ({f"{side}Password": password} if password else {})
