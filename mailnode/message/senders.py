"""Who a message is from as far as somebody vouches for it: what its reader's good or bad experience is remembered of."""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Sequence

from mailnode.message.authres import read_results, said_by
from mailnode.message.headers import first
from mailnode.values.authentication import AuthenticationResult

MAX_DOMAIN = 253  # characters
# Of what vouches most to what does least: method, and the property that names whom for (RFC 8601 2.7).
_VOUCHING = (("dmarc", "header.from"), ("dkim", "header.d"), ("spf", "smtp.mailfrom"))
_NETWORKS = {4: 24, 6: 48}  # bits of an address that one sender is known by
# RFC 5321 4.4, as this server writes it: who it came from, and how.
_CAME = re.compile(rb"from [^ ]* \(\[(?:IPv6:)?([0-9A-Fa-f.:]{2,45})\)? {0,9}\]?\)? {0,9}by [^ ]* with ([A-Z0-9]+)")


def sender(results: Sequence[AuthenticationResult], peer: str) -> str:
    """Return a domain that was authenticated, in lower case; else the network of the client; "" where that says nothing.

    :param peer: IP address of the client, "" unknown.
    """
    for method, named in _VOUCHING:
        for result in results:
            if result.method == method and result.result == "pass":
                domain = dict(result.properties).get(named, "").rpartition("@")[2].strip(". ").lower()
                if "." in domain and len(domain) <= MAX_DOMAIN and domain.isascii():
                    return domain
    return network(peer)


def network(peer: str) -> str:
    """Return the network of a client's address; "" of one that is no address of the internet."""
    try:
        address = ipaddress.ip_address(peer)
    except ValueError:
        return ""
    if not address.is_global:
        return ""
    return str(ipaddress.ip_network((address, _NETWORKS[address.version]), strict=False))


def sender_of(hostname: str, header: bytes) -> str:
    """Return the same of a message that this server took, by what it wrote on top of it; "" of what its users sent.

    :param hostname: this server's. :param header: the fields of the copy, those on top included.
    """
    received = _CAME.match(first(header, b"received") or b"")
    if received is None or received[2].endswith(b"A"):
        return ""
    results = [
        result
        for said in said_by(hostname, header)
        for result in read_results(f"{hostname}; {said}".encode("ascii", "replace"))
    ]
    return sender(results, received[1].decode("ascii"))
