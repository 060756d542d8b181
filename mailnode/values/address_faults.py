"""What is wrong with an address or a domain, in words for whoever wrote it. The words hold nothing of the text itself."""

from __future__ import annotations

import re
from collections.abc import Callable

_Test = Callable[[str], object]

# The first that fits is told.
_LOCAL: tuple[tuple[_Test, str], ...] = (
    (lambda local: not local, "nothing stands before the @"),
    (re.compile(r"[\x00-\x1f\x7f-\x9f\ud800-\udfff]").search, "a control character stands in it"),
    (re.compile(r"<").search, "write it without angle brackets and name"),
    (re.compile(r"\s").search, "a space stands in it"),
    (re.compile(r"@").search, "there is more than one @"),
    (re.compile(r'"').search, "a quotation mark stands neither first nor last before the @, or alone"),
    (re.compile(r"[(),:;>\[\]\\]").search, r"( ) , : ; < > [ ] and \ may stand before the @ in quotation marks only"),
)
_DOMAIN: tuple[tuple[_Test, str], ...] = (
    (lambda domain: not domain, "no domain stands there"),
    (re.compile(r">").search, "write it without angle brackets"),
    (re.compile(r"\s").search, "a space stands in the domain"),
    (re.compile(r"@").search, "a domain has no @"),
    (lambda domain: domain.endswith("."), "the domain ends with a dot"),
    (lambda domain: domain.startswith(".") or ".." in domain, "in the domain nothing stands before or between dots"),
    (lambda domain: len(domain) > 255, "the domain is longer than 255 octets"),
    (lambda domain: max(map(len, domain.split("."))) > 63, "a part of the domain is longer than 63 octets"),
    (lambda domain: re.search(r"(?:^|\.)-|-(?:\.|$)", domain), "a part of the domain begins or ends with a hyphen"),
    (lambda domain: domain.isascii(), "the domain has a character other than letters, digits and hyphens"),
)


def local_fault(local: str) -> str:
    """Return which rule a local part breaks (RFC 5321 4.1.2)."""
    return next((words for test, words in _LOCAL if test(local)), "what stands before the @ is no name of a mailbox")


def domain_fault(domain: str) -> str:
    """Return which rule a domain breaks (RFC 5321 4.1.2)."""
    return next((words for test, words in _DOMAIN if test(domain)), "the domain is none that IDNA 2008 allows")
