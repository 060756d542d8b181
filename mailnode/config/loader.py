"""Reads a configuration: every mistake at once, each with its key.

Sections, and the entries of lists, are checked one by one, so that a mistake in one of them does not hide those between
the others.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeAlias, TypeVar

from pydantic import TypeAdapter, ValidationError

from mailnode.config.acme import Acme, acme_mistakes
from mailnode.config.doctor import Doctor
from mailnode.config.endpoints import overlapping, reached_locally
from mailnode.config.fields import Section
from mailnode.config.file import ConfigTable, parse, parse_octets
from mailnode.config.imap import Imap
from mailnode.config.logins import Auth, oauth_mistakes
from mailnode.config.route_mistakes import route_mistakes
from mailnode.config.schema import (
    WITH_LOGIN,
    Config,
    Dkim,
    DmarcReports,
    Dns,
    DomainEntry,
    Judgement,
    Limits,
    Listener,
    MtaSts,
    PolicyEntry,
    Published,
    Queue,
    Search,
    Server,
    Store,
    Submission,
    Tls,
    TlsName,
    TlsReports,
    policies,
)
from mailnode.config.sieve import Sieve
from mailnode.errors import ConfigurationError
from mailnode.values.address import domain_key
from mailnode.values.mistakes import place, words


@dataclass(frozen=True, slots=True)
class Checks:
    """Looks at what a configuration points at; given by those who know. Each returns mistakes.

    ``pair``: a certificate and its key, as (certificate or key, what is wrong) pairs. ``policies``: the entries of
    ``[[policy]]``. ``checkers``: the strings of ``[auth] checkers``. ``authorities``: the file ``[auth] client_ca``.
    """

    pair: Callable[[Path, Path], list[tuple[str, str]]] = lambda certificate, key: []
    policies: Callable[[Sequence[tuple[str, PolicyEntry]]], list[str]] = lambda entries: []
    checkers: Callable[[Sequence[str]], list[str]] = lambda texts: []
    authorities: Callable[[Path], list[str]] = lambda path: []


NO_CHECKS = Checks()

_SINGLE: dict[str, type[Section]] = {
    "server": Server,
    "store": Store,
    "search": Search,
    "tls": Tls,
    "acme": Acme,
    "dns": Dns,
    "queue": Queue,
    "limits": Limits,
    "submission": Submission,
    "imap": Imap,
    "auth": Auth,
    "dkim": Dkim,
    "mta_sts": MtaSts,
    "published": Published,
    "tls_reports": TlsReports,
    "dmarc_reports": DmarcReports,
    "judgement": Judgement,
    "doctor": Doctor,
    "sieve": Sieve,
}
_LISTS: dict[str, type[Section]] = {"listener": Listener, "domain": DomainEntry, "policy": PolicyEntry}


S = TypeVar("S", bound=Section)
# Sections by name: each of the class above, or a list of them; None where it has mistakes.
Sections: TypeAlias = dict[str, Any]


@dataclass
class _Reading:
    """What could be read of a file so far."""

    sections: Sections = field(default_factory=dict)
    mistakes: list[str] = field(default_factory=list)


def load(path: Path, data: Path | None = None, checks: Checks = NO_CHECKS, text: bytes | None = None) -> Config:
    """Read and check a configuration file. Relative paths are taken from the directory of the file.

    :param data: replaces ``[server] data``. :param text: in place of what stands in the file.
    :raises ConfigurationError: every mistake that was found.
    """
    table = parse(path) if text is None else parse_octets(text, path)
    return read(table, path.absolute().parent, data, checks)


def read(table: ConfigTable, base: Path, data: Path | None = None, checks: Checks = NO_CHECKS) -> Config:
    """Check a parsed configuration; see :func:`load`. ``base`` is where relative paths start."""
    reading = _Reading()
    _read_sections(table, reading)
    sections = _absolute(reading.sections, base)
    if data is not None and sections.get("server") is not None:
        sections["server"] = sections["server"].model_copy(update={"data": data.absolute()})
    reading.mistakes += _cross_mistakes(sections, checks)
    if reading.mistakes:
        raise ConfigurationError(reading.mistakes)
    return Config(**sections)


def _read_sections(table: ConfigTable, reading: _Reading) -> None:
    for name in table:
        if name not in _SINGLE and name not in _LISTS:
            reading.mistakes.append(f"{name}: unknown section")
    for name, section in _SINGLE.items():
        if name in table or name == "server":
            reading.sections[name] = _validate(section, table.get(name, {}), name, reading.mistakes)
    for name, section in _LISTS.items():
        entries = table.get(name, [])
        if isinstance(entries, dict):
            reading.mistakes.append(f"{name}: should stand under [[{name}]], with two brackets")
            continue
        if not isinstance(entries, list):
            reading.mistakes.append(f"{name}: should be entries under [[{name}]]")
            continue
        reading.sections[name] = [
            _validate(section, entry, f"{name}[{index}]", reading.mistakes) for index, entry in enumerate(entries)
        ]
    if table.get("listener", []) == []:
        reading.mistakes.append("listener: at least one [[listener]] is needed")


def _validate(section: type[S], value: object, key: str, mistakes: list[str]) -> S | None:
    try:
        return TypeAdapter(section).validate_python(value)
    except ValidationError as error:
        for one in error.errors(include_url=False):
            mistakes.append(f"{place(key, one['loc'])}: {words(one['type'], one['msg'], one['input'])}")
        return None


def _absolute(sections: Sections, base: Path) -> Sections:
    """Return the sections with paths that do not depend on the current directory."""

    def at(section: S, *names: str) -> S:
        return section.model_copy(
            update={n: base / getattr(section, n) for n in names if getattr(section, n) is not None}
        )

    def all_at(section: S, *names: str) -> S:
        return section.model_copy(update={n: [base / path for path in getattr(section, n)] for n in names})

    changed = dict(sections)
    if changed.get("server") is not None:
        changed["server"] = at(changed["server"], "data")
    if changed.get("tls") is not None:
        tls = at(changed["tls"], "certificate", "key")
        changed["tls"] = tls.model_copy(update={"name": [at(name, "certificate", "key") for name in tls.name]})
    if changed.get("auth") is not None:
        oauth = changed["auth"].oauth and at(changed["auth"].oauth, "keys_file", "client_secret_file")
        changed["auth"] = at(changed["auth"], "client_ca").model_copy(update={"oauth": oauth})
    if changed.get("acme") is not None:
        acme = at(changed["acme"], "webroot", "eab_key_file", "ca_file")
        changed["acme"] = acme.model_copy(update={"zone": [at(zone, "key_file") for zone in acme.zone]})
    if changed.get("sieve") is not None:
        changed["sieve"] = all_at(at(changed["sieve"], "global_scripts"), "before", "after")
    changed["domain"] = [
        all_at(entry, "sieve_before", "sieve_after") for entry in changed.get("domain", []) if entry is not None
    ]
    queue = changed.get("queue")
    if queue is not None:
        smarthost = queue.smarthost and at(queue.smarthost, "password_file", "proxy_password_file")
        routes = [at(route, "password_file", "proxy_password_file", "socket") for route in queue.route]
        changed["queue"] = queue.model_copy(update={"smarthost": smarthost, "route": routes})
    return changed


# Mistakes that only show between keys, or in what they point at.


def _cross_mistakes(sections: Sections, checks: Checks) -> list[str]:
    listeners: list[Listener | None] = sections.get("listener", [])
    mistakes: list[str] = []
    for index, listener in enumerate(listeners):
        if listener is not None:
            mistakes += [f"listener[{index}].{key}: {what}" for key, what in _listener_mistakes(listener)]
    mistakes += _overlap_mistakes(listeners)
    mistakes += _tls_mistakes(listeners, sections, checks)
    mistakes += _domain_mistakes(sections.get("domain", []))
    acme, server = sections.get("acme"), sections.get("server")
    if acme is not None and server is not None:
        mistakes += acme_mistakes(acme, server.hostname)
    queue: Queue | None = sections.get("queue")
    if queue is not None:
        mistakes += route_mistakes(queue.next_hops())
    reports: TlsReports | None = sections.get("tls_reports")
    if reports is not None and not _same_domain(reports.sender, reports.contact or reports.sender):
        mistakes.append("tls_reports.contact: should be in the domain of sender (RFC 8460 5.3)")
    entries: list[PolicyEntry | None] = sections.get("policy", [])
    known = [entry for entry in entries if entry is not None]
    judgement: Judgement | None = sections.get("judgement", Judgement.model_validate({}))
    if len(known) == len(entries) and judgement is not None:  # else the numbers of the entries would be wrong
        mistakes += checks.policies(policies(judgement, known))
    auth: Auth | None = sections.get("auth")
    if auth is not None:
        mistakes += checks.checkers(auth.checkers)
        if auth.client_ca is not None:
            mistakes += [f"auth.client_ca: {what}" for what in checks.authorities(auth.client_ca)]
        if auth.oauth is not None:
            mistakes += oauth_mistakes(auth.oauth)
    return mistakes


def _same_domain(one: str, other: str) -> bool:
    return one.rpartition("@")[2].lower() == other.rpartition("@")[2].lower()


def _listener_mistakes(listener: Listener) -> list[tuple[str, str]]:
    mistakes = []
    if listener.protocol == "http" and listener.tls == "starttls":
        mistakes.append(("tls", "http has no STARTTLS"))
    for key, protocols in (
        ("relay_from", ("smtp",)),
        ("xclient_from", ("smtp", "submission", "lmtp")),
        ("no_policy_for", ("smtp", "lmtp")),
        ("strict_sync", ("smtp",)),
        ("plain_login", WITH_LOGIN),
        ("pages", ("http",)),
    ):
        if key in listener.model_fields_set and getattr(listener, key) and listener.protocol not in protocols:
            mistakes.append((key, f"only for protocol {' or '.join(protocols)}, not {listener.protocol}"))
    behind_balancer = listener.endpoint.startswith("haproxy:")
    if behind_balancer and not listener.proxy_from and not listener.endpoint.startswith("haproxy:unix:"):
        mistakes.append(
            ("proxy_from", 'needed with "haproxy:": the networks the balancer connects from, such as ["127.0.0.1"]')
        )
    if listener.proxy_from and not behind_balancer:
        mistakes.append(("proxy_from", 'only with an endpoint that begins with "haproxy:"'))
    if listener.plain_login and not reached_locally(listener.endpoint):
        mistakes.append(("plain_login", "only where endpoint has interface= a loopback address, or is a Unix socket"))
    return mistakes


def _overlap_mistakes(listeners: Sequence[Listener | None]) -> list[str]:
    mistakes = []
    for index, listener in enumerate(listeners):
        for earlier in range(index):
            other = listeners[earlier]
            if listener is not None and other is not None and overlapping(listener.endpoint, other.endpoint):
                mistakes.append(f"listener[{index}].endpoint: the same port as listener[{earlier}]")
                break
    return mistakes


def _tls_mistakes(listeners: Sequence[Listener | None], sections: Sections, checks: Checks) -> list[str]:
    wanted = [f"listener[{i}]" for i, one in enumerate(listeners) if one is not None and one.tls != "none"]
    if "tls" not in sections:
        if "acme" in sections:
            return []
        return [f"tls.certificate: is required, because {wanted[0]} has TLS"] if wanted else []
    tls: Tls | None = sections["tls"]
    if tls is None:
        return []
    pairs: list[tuple[str, Tls | TlsName]] = [("tls", tls)]
    pairs += [(f"tls.name[{index}]", name) for index, name in enumerate(tls.name)]
    return [f"{key}.{part}: {what}" for key, pair in pairs for part, what in checks.pair(pair.certificate, pair.key)]


def _domain_mistakes(domains: Sequence[DomainEntry | None]) -> list[str]:
    seen: dict[str, int] = {}
    mistakes = []
    for index, domain in enumerate(domains):
        if domain is None:
            continue
        first = seen.setdefault(domain_key(domain.name), index)
        if first != index:
            mistakes.append(f"domain[{index}].name: the same domain as domain[{first}]")
    return mistakes
