"""Questions that more than one item asks."""

from __future__ import annotations

import ipaddress

from mailnode.errors import BadAddress
from mailnode.setup.answers import Question
from mailnode.values.address import domain_key, looks_like_ip


def _host_name(text: str) -> str:
    try:
        key = domain_key(text.strip().removesuffix("."))
    except BadAddress as error:
        raise ValueError(f"{text}: no host name: {error}") from None
    if "." not in key or looks_like_ip(key):
        raise ValueError(f"{text}: should be a full host name with a dot, such as mail.example.org")
    return key


def _addresses(text: str) -> str:
    found = []
    for word in text.replace(",", " ").split():
        try:
            address = ipaddress.ip_address(word)
        except ValueError:
            raise ValueError(f"{word}: no IP address") from None
        if "%" in word or address.is_unspecified or address.is_multicast or address.is_link_local:
            raise ValueError(f"{word}: no address at which others reach this machine")
        found.append(str(address))
    if not found:
        raise ValueError("at least one IP address is needed")
    return " ".join(dict.fromkeys(found))


def _user_name(text: str) -> str:
    name = text.strip()
    if not name.isascii() or not name.replace("-", "").replace("_", "").isalnum() or not name[0].isalpha():
        raise ValueError(f"{text}: no name of a system user")
    return name


HOST_NAME = Question("hostname", "The full name of this machine, as other servers will see it", _host_name)
ADDRESSES = Question("addresses", "The public IP addresses of this machine, separated by spaces", _addresses)
SYSTEM_USER = Question("user", "The system user that the server runs as", _user_name)
