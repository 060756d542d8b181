"""Operations on how TLS with the servers of other domains fared."""

from __future__ import annotations

from typing import TypedDict

from mailnode.admin.administration import Administration
from mailnode.admin.finding import about, moment
from mailnode.admin.operations import operation
from mailnode.values.address import domain_key
from mailnode.values.tls_report import Downgrade, Remembered


class TlsServerRecord(TypedDict):
    """How well connections to a server of a domain were encrypted of late; times are UTC, "" for never."""

    domain: str
    host: str
    level: str  # the best there was: verified, encrypted, plain
    last_verified: str  # when its certificate was last as it should be
    last_encrypted: str  # when there was last TLS at all


class TlsDowngradeRecord(TypedDict):
    """The last connection to a server of a domain that was encrypted worse than before; times are UTC."""

    domain: str
    host: str
    address: str
    was: str
    now: str
    since: str  # when it was last as good as that
    at: str
    result: str  # by RFC 8460 4.3; "": no policy asked for more
    reason: str


@operation("tls.servers")
async def tls_servers(admin: Administration, domain: str | None = None) -> list[TlsServerRecord]:
    """How well connections to servers of other domains were encrypted of late."""
    return [_server(one) for one in await admin.tls_results.remembered(_key(domain))]


@operation("tls.downgrades")
async def tls_downgrades(admin: Administration) -> list[TlsDowngradeRecord]:
    """Servers of other domains to which connections were encrypted worse than before, the last of each domain."""
    return [_downgrade(one) for one in await admin.tls_results.downgrades()]


def _key(domain: str | None) -> str:
    if domain is None:
        return ""
    with about(domain):
        return domain_key(domain)


def _server(one: Remembered) -> TlsServerRecord:
    return {
        "domain": one.domain,
        "host": one.host,
        "level": one.level,
        "last_verified": _moment(one.verified),
        "last_encrypted": _moment(one.encrypted),
    }


def _downgrade(one: Downgrade) -> TlsDowngradeRecord:
    return {
        "domain": one.domain,
        "host": one.host,
        "address": one.address,
        "was": one.was,
        "now": one.now,
        "since": moment(one.since),
        "at": moment(one.at),
        "result": one.result,
        "reason": one.reason,
    }


def _moment(seconds: float) -> str:
    return moment(seconds) if seconds else ""
