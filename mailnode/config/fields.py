"""The kinds of values that settings have, each with its check, and what all sections share."""

from __future__ import annotations

import ipaddress
import re
from pathlib import Path
from typing import Annotated
from urllib.parse import urlsplit

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field

from mailnode.config.endpoints import check_endpoint
from mailnode.errors import BadAddress
from mailnode.values import units
from mailnode.values.address import domain_key, looks_like_ip, own_domain_fault, parse_address

Network = ipaddress.IPv4Network | ipaddress.IPv6Network

_URL = re.compile(r"[!-\"$-~]{1,2000}\Z")  # no fragment
_ROUTE_NAME = re.compile(r"[A-Za-z][A-Za-z0-9-]{0,31}\Z")


class Called:
    """How the documentation calls a type whose Python name says little."""

    def __init__(self, name: str) -> None:
        self.name = name


def _path(value: object) -> Path:
    if isinstance(value, Path):
        return value
    if not isinstance(value, str) or not value or "\0" in value:
        raise ValueError("should be a path in quotes")
    return Path(value)


def _network(value: object) -> Network:
    if isinstance(value, ipaddress.IPv4Network | ipaddress.IPv6Network):
        return value
    if not isinstance(value, str):
        raise ValueError("should be a network in quotes, such as 192.0.2.0/24")
    try:
        return ipaddress.ip_network(value)
    except ValueError as error:
        raise ValueError(f"not a network: {error}") from None


def _domain(value: str) -> str:
    try:
        key = domain_key(value)
    except BadAddress:
        raise ValueError("not a domain name") from None
    if looks_like_ip(key):
        raise ValueError("not a domain name, but an IP address")
    return value


def _own_domain(value: str) -> str:
    if fault := own_domain_fault(domain_key(_domain(value))):
        raise ValueError(f"not a domain of its own, but {fault}")
    return value


def _host_name(value: str) -> str:
    if "." not in _domain(value):
        raise ValueError("should be a full host name with a dot, such as mail.example.org")
    return domain_key(value)


def _certificate_name(value: str) -> str:
    """A host name in A-labels; "*." may stand before it."""
    wild = "*." if value.startswith("*.") else ""
    return wild + _host_name(value.removeprefix("*."))


def _host(value: str) -> str:
    try:
        return str(ipaddress.ip_address(value))
    except ValueError:
        return _domain(value)


def _host_or_none(value: str) -> str:
    return value and _host(value)


def _domains_of_route(value: str) -> str:
    if value != "*":
        _domain(value.removeprefix("."))
    return value


def _senders_of_route(value: str) -> str:
    return value if value == "<>" else _accounts_of_route(value)


def _accounts_of_route(value: str) -> str:
    if "@" not in value:
        return _domains_of_route(value)
    try:
        parse_address(value)
    except BadAddress:
        raise ValueError("not an address") from None
    return value


def _expression(value: str) -> str:
    try:
        re.compile(value)
    except re.error as error:
        raise ValueError(f"not a regular expression: {error}") from None
    return value


def _route_name(value: str) -> str:
    if value and not _ROUTE_NAME.match(value):
        raise ValueError("should be up to 32 letters, digits and hyphens, a letter first")
    return value.lower()


def _address(value: str) -> str:
    try:
        return str(ipaddress.ip_address(value))
    except ValueError:
        raise ValueError("not an IP address") from None


def _mailbox_or_none(value: str) -> str:
    if value:
        try:
            written = parse_address(value).domain
        except BadAddress:
            raise ValueError("not a mail address") from None
        _domain(written)
    return value


def _ascii_mailbox(value: str) -> str:
    if not value or not value.isascii():
        raise ValueError("should be a mail address in ASCII")
    return _mailbox_or_none(value)


def _endpoint(value: str) -> str:
    wrong = check_endpoint(value)
    if wrong:
        raise ValueError(wrong)
    return value


def _server_address(value: str, default_port: int = 53) -> str:
    split_address(value, default_port)
    return value


def _server_address_or_none(value: str) -> str:
    return value and _server_address(value, 1080)


def _store_url(value: str) -> str:
    if value == "sqlite:" or value.startswith(("postgresql://", "postgres://")):
        return value
    raise ValueError('should be "sqlite:" or "postgresql://user@host/database"')


def _blob_place(value: str) -> str:
    if not value.startswith("file:") or value == "file:":
        raise ValueError('should be "file:" and a directory, such as "file:blobs"')
    return value


def _https_url(value: str) -> str:
    try:
        parts = urlsplit(value)
        right = parts.scheme == "https" and parts.hostname and parts.port != 0
    except ValueError:
        right = False
    if not right or not _URL.match(value) or "@" in parts.netloc:
        raise ValueError("should be a URL that begins with https://")
    return value


def _https_url_or_none(value: str) -> str:
    return value and _https_url(value)


def split_address(text: str, default_port: int) -> tuple[str, int]:
    """Read ``127.0.0.1``, ``127.0.0.1:5353`` or ``[::1]:5353``. :raises ValueError: anything else."""
    host, port = text, str(default_port)
    if text.startswith("["):
        host, closed, rest = text[1:].partition("]")
        if not closed or (rest and not rest.startswith(":")):
            raise ValueError("should be an IP address, with :port where it is not the usual one")
        port = rest[1:] if rest else port
    elif text.count(":") == 1:
        host, _, port = text.partition(":")
    try:
        address = str(ipaddress.ip_address(host))
    except ValueError:
        raise ValueError("should be an IP address, with :port where it is not the usual one") from None
    if not (port.isascii() and port.isdigit() and len(port) <= 5 and 0 < int(port) < 65536):
        raise ValueError("the port should be a number from 1 to 65535")
    return address, int(port)


FilePath = Annotated[Path, BeforeValidator(_path), Called("path")]
NetworkList = list[Annotated[Network, BeforeValidator(_network), Called("network")]]
DomainName = Annotated[str, AfterValidator(_own_domain), Called("domain name")]
Seconds = Annotated[float, Field(gt=0, le=31_536_000), BeforeValidator(units.seconds), Called("seconds")]
Octets = Annotated[int, Field(ge=1), BeforeValidator(units.octets), Called("octets")]
Count = Annotated[int, Field(ge=1, le=1_000_000)]

HostName = Annotated[str, AfterValidator(_host_name), Called("host name")]
CertificateName = Annotated[str, AfterValidator(_certificate_name), Called("host name")]
IpAddress = Annotated[str, AfterValidator(_address), Called("IP address")]
SocketAddressOrNone = Annotated[str, AfterValidator(_server_address_or_none), Called("address")]
SocketAddress = Annotated[str, AfterValidator(_server_address), Called("address")]
HostOrNone = Annotated[str, AfterValidator(_host_or_none), Called("host")]
Mailbox = Annotated[str, AfterValidator(_ascii_mailbox), Called("address")]
MailboxOrNone = Annotated[str, AfterValidator(_mailbox_or_none), Called("address")]
Expression = Annotated[str, AfterValidator(_expression), Called("regular expression")]
RouteName = Annotated[str, AfterValidator(_route_name), Called("name")]
SenderPattern = Annotated[str, AfterValidator(_senders_of_route), Called("senders")]
AccountPattern = Annotated[str, AfterValidator(_accounts_of_route), Called("accounts")]
DomainPattern = Annotated[str, AfterValidator(_domains_of_route), Called("domains")]
Host = Annotated[str, AfterValidator(_host), Called("host")]
HttpsUrl = Annotated[str, AfterValidator(_https_url), Called("https URL")]
HttpsUrlOrNone = Annotated[str, AfterValidator(_https_url_or_none), Called("https URL")]
StoreUrl = Annotated[str, AfterValidator(_store_url)]
BlobPlace = Annotated[str, AfterValidator(_blob_place)]
Endpoint = Annotated[str, AfterValidator(_endpoint), Called("endpoint")]


class Section(BaseModel):
    """What all sections share: nothing unknown, nothing converted, nothing changed later."""

    model_config = ConfigDict(strict=True, extra="forbid", frozen=True, arbitrary_types_allowed=True)
