"""What a configuration and its certificates say that is to be published."""

from __future__ import annotations

import ipaddress
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

from mailnode.config.endpoints import reached_locally, tcp_interface, tcp_port
from mailnode.config.schema import Config, Listener, MtaSts
from mailnode.errors import ConfigurationError
from mailnode.interfaces.runtime import IClock
from mailnode.net.tls import BrokenPair, CertificateStore, Pair, pair_for, pairs_beside, read_key_digest
from mailnode.server.issued import issued_files
from mailnode.server.reloading import certificate_files
from mailnode.values.published import SERVICES, OwnStsPolicy, Published

HTTPS = 443
USUAL_PORTS = {
    "submissions": 465,
    "submission": 587,
    "imaps": 993,
    "imap": 143,
    "pop3s": 995,
    "pop3": 110,
    "sieve": 4190,
}


def published(config: Config, pairs: Sequence[Pair], coming: Sequence[str] = ()) -> Published:
    """Return it. :param pairs: the certificates in use. :param coming: digests of keys that will be in use next."""
    hops = [hop.host for _, hop in config.queue.next_hops() if hop.host]
    shown = pair_for(pairs, config.server.hostname)
    return Published(
        config.server.hostname,
        public_addresses(config),
        _services(config),
        tuple(dict.fromkeys([*_digests(pairs, shown), *coming])),
        tuple(name for pair in pairs for name in pair.names),
        own_policy(config) if _policy_is_served(config) else None,
        config.published.dmarc,
        config.published.reports_to,
        {name: pair.issuer for pair in reversed(pairs) for name in pair.names},
        _clients_port(config),
        tuple(dict.fromkeys(hops)),
    )


def _digests(pairs: Sequence[Pair], shown: int) -> list[str]:
    """Return those of the keys that other servers may be shown."""
    return [pair.key_digest for pair in (pairs[shown], *pairs_beside(pairs, shown))] if pairs else []


def stored_pairs(config: Config, clock: IClock) -> Sequence[Pair]:
    """Return the certificates in the files, where no server runs; none when they cannot be read."""
    certificates = CertificateStore(certificate_files(config), clock, issued_files(config))
    with suppress(ConfigurationError):
        certificates.load()
    return certificates.pairs


def file_key_digest(key: Path) -> str:
    """Return the digest for a key that is not in use yet. :raises ConfigurationError: the file cannot be read."""
    try:
        return read_key_digest(key)
    except BrokenPair as error:
        raise ConfigurationError([error.text]) from None


def own_policy(config: Config) -> OwnStsPolicy:
    """Return the MTA-STS policy of the domains here."""
    section = config.mta_sts or MtaSts.model_validate({})
    return OwnStsPolicy(section.mode, int(section.max_age), config.server.hostname)


def public_addresses(config: Config) -> tuple[str, ...]:
    """Return the addresses at which others reach this server, where they are known: those the configuration says, and those of
    listeners for mail that are not of a private network."""
    found = dict.fromkeys(config.server.addresses)
    for listener in config.listener:
        interface = tcp_interface(listener.endpoint) if listener.protocol == "smtp" else ""
        if interface and _is_global(interface):
            found[str(ipaddress.ip_address(interface))] = None
    return tuple(found)


def _is_global(text: str) -> bool:
    try:
        return ipaddress.ip_address(text).is_global
    except ValueError:
        return False


def _services(config: Config) -> dict[str, int]:
    """Return the port of each service that programs elsewhere reach."""
    found = {}
    for label, kind in SERVICES.items():
        for listener in config.listener:
            if (listener.protocol, listener.tls) == kind and not reached_locally(listener.endpoint):
                found[label] = tcp_port(listener.endpoint) or USUAL_PORTS[label]
                break
    return found


def _clients_port(config: Config) -> int:
    """Return the port at which programs find their settings by https; 0: they do not."""
    if config.published.clients == "no":
        return 0
    for listener in config.listener:
        if listener.protocol == "http" and listener.tls == "implicit" and "clients" in listener.pages:
            return tcp_port(listener.endpoint) or HTTPS
    return HTTPS if config.published.clients == "yes" else 0


def _policy_is_served(config: Config) -> bool:
    """Whether others can fetch the policy: from a listener here, or, where ``[mta_sts]`` stands in the file, in some way that
    its writer knows of."""
    return config.mta_sts is not None or any(map(_shows_policy, config.listener))


def _shows_policy(listener: Listener) -> bool:
    return listener.protocol == "http" and listener.tls == "implicit" and "mta-sts" in listener.pages
