"""The suite of RFC 7208, as pyspf's source distribution has it: cases, and the DNS of each of its scenarios."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cache

import yaml

from tests.source_distribution import read_member

RELEASE = "pyspf-2.0.14"
DIGEST = "57a7ef01bda090173aafb6af0106251686ed73f03db4e911fcd34c57fc347186"
TIMEOUT = "timeout"


@dataclass(frozen=True, slots=True)
class Case:
    """``results``: that are right. ``explanation``: what a domain has its refused senders told, None: it does not matter."""

    name: str
    scenario: str
    host: str
    helo: str
    sender: str
    results: tuple[str, ...]
    explanation: str | None


@dataclass(slots=True)
class Scenario:
    """A part of the suite with DNS of its own: name -> records as (type, value), among them ``TIMEOUT`` for a type or for all."""

    name: str
    zone: dict[str, list[tuple[str, object]]]
    cases: list[Case] = field(default_factory=list)

    def look(self, name: str, kind: str):
        """Return what DNS has: (canonical name, records), ``TIMEOUT``, or None for no such name."""
        name = name.lower().removesuffix(".")
        for _ in range(10):
            if name not in self.zone:
                return TIMEOUT if name.startswith("error.") else None
            records = self.zone[name]
            found = [value for type_, value in records if type_ == kind]
            if TIMEOUT in found:
                return TIMEOUT
            if found:
                return name, found
            if any(type_ == TIMEOUT for type_, _ in records):
                return TIMEOUT
            alias = next((value for type_, value in records if type_ == "CNAME"), None)
            if alias is None:
                return name, []
            name = str(alias).lower().removesuffix(".")
        return TIMEOUT  # aliases in a circle: no server answers that


@cache
def scenarios() -> list[Scenario]:
    """Return the whole suite. :raises Exception: it cannot be had."""
    return [_scenario(part) for part in yaml.safe_load_all(_suite())]


def cases() -> list[tuple[Scenario, Case]]:
    """Return each case with its scenario."""
    return [(scenario, case) for scenario in scenarios() for case in scenario.cases]


def _suite() -> str:
    return read_member(RELEASE, DIGEST, "test/rfc7208-tests.yml").decode()


def _scenario(part: dict) -> Scenario:
    name = part["description"]
    scenario = Scenario(name, {host.lower(): _records(records) for host, records in part["zonedata"].items()})
    for case, data in part["tests"].items():
        results = data["result"] if isinstance(data["result"], list) else [data["result"]]
        scenario.cases.append(
            Case(
                case,
                name,
                data["host"],
                data["helo"],
                data["mailfrom"],
                tuple(results),
                data.get("explanation"),
            )
        )
    return scenario


def _records(records: list) -> list[tuple[str, object]]:
    """A policy written as type SPF is one of type TXT, where the suite does not tell them apart."""
    found: list[tuple[str, object]] = []
    apart = any(isinstance(one, dict) and "TXT" in one for one in records)
    for one in records:
        if one == "TIMEOUT":
            found.append((TIMEOUT, TIMEOUT))
            continue
        for kind, value in one.items():
            if kind in ("TXT", "SPF"):
                if (kind == "SPF" and apart) or value == "NONE":
                    continue
                kind = "TXT"
                if value != "TIMEOUT":
                    texts = [value] if isinstance(value, str) else value
                    value = tuple(text.encode() for text in texts)
            found.append((kind, TIMEOUT if value == "TIMEOUT" else value))
    return found
