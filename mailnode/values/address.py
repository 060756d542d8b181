"""Mail addresses: how they were written, and the key by which this server finds them.

An address keeps its written form, because a relay must not change it (RFC 5321 2.4). Its key is for
look-ups on this server only: domain as lower-case A-label, local part NFC and case-folded.

Addresses of others may be longer, and have dots at odd places, than the standard's minimums ask: list servers, forwards
and some providers make them so, and their mail is real. What is made here keeps the usual bounds, see :func:`check_own`.
"""

from __future__ import annotations

import ipaddress
import re
import unicodedata
from dataclasses import dataclass, field
from functools import lru_cache

import idna

from mailnode.errors import BadAddress
from mailnode.values.address_faults import domain_fault, local_fault

MAX_PATH = 900  # octets of any address; RFC 5321 4.5.3.1 has minimums, and a field with it still fits in a line of 998
MAX_DOMAIN = 255  # octets, RFC 5321 4.5.3.1.2
MAX_LOCAL_PART = 64  # octets, of an address made here; RFC 5321 4.5.3.1.1
MAX_ADDRESS = 254  # octets, of an address made here; RFC 5321 4.5.3.1.3 less the brackets

_ATEXT = r"[A-Za-z0-9!#$%&'*+\-/=?^_`{|}~\u0080-\U0010ffff]"
_DOT_STRING = re.compile(rf"{_ATEXT}+(?:\.{_ATEXT}+)*\Z")
_ODD_DOTS = re.compile(rf"(?:{_ATEXT}|\.)+\Z")  # a dot first, last, or beside another
_QUOTED_STRING = re.compile(r'"((?:[^"\\]|\\.)+)"\Z', re.DOTALL)
_ASCII_LABEL = re.compile(r"[a-z0-9_](?:[a-z0-9_-]{0,61}[a-z0-9_])?\Z")


def looks_like_ip(key: str) -> bool:
    """Whether a domain's key is an address literal, or an IP address in the form of a domain: no top-level domain is a
    number."""
    return key.startswith("[") or key.rpartition(".")[2].isdigit()


def own_domain_fault(key: str) -> str:
    """Return why a domain, given its key, cannot be one that mail is received for; "" for nothing."""
    if looks_like_ip(key):
        return "an IP address"
    if key == "localhost" or key.endswith(".localhost"):  # RFC 6761 6.3
        return "what every machine calls itself"
    return ""


@lru_cache(maxsize=1024)  # a recipient's domain is asked for several times, and the same ones come again
def domain_key(domain: str) -> str:
    """Return the domain as lower-case A-labels, or the canonical address literal.

    :raises BadAddress: not a domain name (IDNA 2008) nor an address literal (RFC 5321 4.1.3).
    """
    if domain.startswith("["):
        return _literal_key(domain)
    if not domain or len(domain) > MAX_DOMAIN or domain.endswith("."):
        raise BadAddress(domain_fault(domain))
    try:
        if domain.isascii():
            key = domain.lower()
            if "xn--" in key:
                idna.decode(key)
        else:
            key = idna.encode(unicodedata.normalize("NFC", domain), uts46=True).decode("ascii")
    except (idna.IDNAError, UnicodeError):
        raise BadAddress(domain_fault(domain)) from None
    if len(key) > MAX_DOMAIN or not all(_ASCII_LABEL.match(label) for label in key.split(".")):
        raise BadAddress(domain_fault(domain))
    return key


def _literal_key(literal: str) -> str:
    inner = literal[1:-1]
    try:
        if not literal.endswith("]") or "%" in inner:  # a zone id is for one host alone, and may hold anything
            raise ValueError
        if inner[:5].lower() == "ipv6:":
            address = ipaddress.IPv6Address(inner[5:])
            return f"[{address.ipv4_mapped}]" if address.ipv4_mapped else f"[IPv6:{address}]"
        return f"[{ipaddress.IPv4Address(inner)}]"
    except ValueError:
        raise BadAddress("not an address literal") from None


def local_key(local: str) -> str:
    """Return the local part as this server compares it: NFC and case-folded."""
    return unicodedata.normalize("NFC", unicodedata.normalize("NFC", local).casefold())


@dataclass(frozen=True, slots=True)
class Address:
    """One mailbox address. ``local`` is unquoted; ``domain`` as written, ``""`` only for a bare ``postmaster``.

    ``quoted``: a local part with dots at odd places came in quotes. It is the same mailbox, but goes on as it came.
    """

    local: str
    domain: str
    quoted: bool = field(default=False, compare=False, repr=False)

    def __str__(self) -> str:
        return _written(self.local, self.domain, self.quoted)

    @property
    def is_ascii(self) -> bool:
        """Whether the address can be sent without SMTPUTF8 (RFC 6531 3.2)."""
        return self.local.isascii() and self.domain.isascii()

    @property
    def domain_key(self) -> str:
        """The domain as lower-case A-label; see :func:`domain_key`."""
        return domain_key(self.domain)

    @property
    def key(self) -> str:
        """``local@domain`` as this server looks it up, detail not cut. :raises BadAddress: bad domain."""
        return f"{local_key(self.local)}@{domain_key(self.domain)}"

    def base(self, separator: str = "+") -> Address:
        """Return the address without its detail (RFC 5233): ``a+b@d`` becomes ``a@d``; ``+b@d`` stays."""
        at = self.local.find(separator) if separator else -1
        return Address(self.local[:at], self.domain) if at > 0 else self

    def detail(self, separator: str = "+") -> str | None:
        """Return what follows the separator in the local part, or None."""
        at = self.local.find(separator) if separator else -1
        return self.local[at + len(separator) :] if at > 0 else None


@lru_cache(maxsize=1024)
def _written(local: str, domain: str, quoted: bool) -> str:
    bare = _DOT_STRING.match(local) or (not quoted and _ODD_DOTS.match(local))
    local = local if bare else quote_local(local)
    return f"{local}@{domain}" if domain else local


def quote_local(local: str) -> str:
    """Return the local part as an RFC 5321 Quoted-string."""
    return '"' + local.replace("\\", "\\\\").replace('"', '\\"') + '"'


def parse_address(text: str) -> Address:
    """Read ``local@domain`` as a person writes it in a command or a configuration file, or as an envelope has it.

    :raises BadAddress: anything else, one of over 900 octets included.
    """
    local, at, domain = text.rpartition("@")
    if not at:
        raise BadAddress("there is no @")
    quoted = _QUOTED_STRING.match(local)
    if quoted is not None:
        local = re.sub(r"\\(.)", r"\1", quoted[1], flags=re.DOTALL)
    elif not _ODD_DOTS.match(local):
        raise BadAddress(local_fault(local))
    check_local(local)
    if len(text.encode("utf-8", "replace")) > MAX_PATH:
        raise BadAddress(f"it is longer than {MAX_PATH} octets")
    domain_key(domain)
    return Address(local, domain, quoted is not None)


def check_local(local: str) -> None:
    """Check an unquoted local part. :raises BadAddress: empty, not Unicode, or with control characters."""
    try:
        local.encode("utf-8")
    except UnicodeEncodeError:
        raise BadAddress(local_fault(local)) from None
    if not local or any(c < " " or "\x7f" <= c < "\xa0" for c in local):
        raise BadAddress(local_fault(local))


def check_own(address: Address) -> None:
    """Check an address that is to be made here. :raises BadAddress: what some other servers would not send mail to: a
    local part of over 64 octets or with a dot first, last or beside another, or over 254 octets in all."""
    if len(address.local.encode()) > MAX_LOCAL_PART:
        raise BadAddress(f"more than {MAX_LOCAL_PART} octets stand before the @")
    if len(str(address).encode()) > MAX_ADDRESS:
        raise BadAddress(f"it is longer than {MAX_ADDRESS} octets")
    if _ODD_DOTS.match(address.local) and not _DOT_STRING.match(address.local):
        raise BadAddress("a dot stands first, last or beside another")
