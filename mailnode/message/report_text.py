"""What strangers write in reports, as it may be kept and shown."""

from __future__ import annotations

import ipaddress

from mailnode.errors import BadAddress
from mailnode.values.address import domain_key

MAX_TEXT = 200  # characters of one text
MAX_COUNT = 10**9  # of one row: what all that are kept add up to is a number of 64 bits
MAX_SECONDS = 2**40


class UnreadableReport(Exception):
    """The text says what is wrong, in words of ours."""


def shown(text: str) -> str:
    """Return a text in one line, printable and short."""
    return "".join(one if one.isprintable() else " " for one in text[:MAX_TEXT]).strip()


def domain_of(text: str) -> str:
    """Return a domain in A-labels. :raises UnreadableReport: it is none."""
    try:
        return domain_key(text.strip().removesuffix("."))
    except BadAddress:
        raise UnreadableReport("it is about no domain") from None


def address_of(text: str) -> str:
    """Return an IP address as it is usually written, "" for what is none."""
    try:
        return str(ipaddress.ip_address(text.strip()))
    except ValueError:
        return ""


def number_of(text: str, most: int = MAX_COUNT) -> int:
    """Return a whole number from 0 on, 0 for what is none."""
    text = text.strip()
    if not (text.isascii() and text.isdigit() and len(text) <= len(str(most))):
        return 0
    return min(int(text), most)
