"""Who sent a message, as several policies ask it."""

from __future__ import annotations

from mailnode.errors import BadAddress
from mailnode.values.address import Address
from mailnode.values.policy import Findings


def verified_domain(found: Findings) -> str:
    """Return the domain of the reverse-path for which SPF has passed, lower case; "" for none."""
    for one in found.results:
        if one.method == "spf" and one.result == "pass":
            named = dict(one.properties).get("smtp.mailfrom", "")
            if named:
                return named.rpartition("@")[2].lower()
    return ""


def address_key(address: Address | None) -> str:
    """Return an address as it is compared, as written where its domain is none; "<>" for the null sender."""
    if address is None:
        return "<>"
    try:
        return address.key
    except BadAddress:
        return str(address)


def sender_domain(address: Address | None) -> str:
    """The same for its domain."""
    return address_key(address).rpartition("@")[2]
