"""MTA-STS policies of other domains (RFC 8461): the record that says there is one, and the policy itself."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

MAX_AGE = 31_557_600  # seconds, a year: what a policy that asks for more is kept (RFC 8461 3.2)
MAX_PATTERNS = 1000
MODES = ("enforce", "testing", "none")

_ID = re.compile(r"[A-Za-z0-9]{1,32}")
_SECONDS = re.compile(r"[0-9]{1,10}")
_HOST = re.compile(r"(?:\*\.)?[A-Za-z0-9_-]{1,63}(?:\.[A-Za-z0-9_-]{1,63}){0,126}\.?")


@dataclass(frozen=True, slots=True)
class StsPolicy:
    """``mode``: one of ``MODES``. ``mx``: host names in small letters, ``*.example.org`` for one more label. ``max_age``:
    seconds it may be kept."""

    mode: str
    mx: tuple[str, ...]
    max_age: int

    def allows(self, host: str) -> bool:
        """Whether an MX is one of the policy's (RFC 8461 4.1). :param host: an A-label name without trailing dot."""
        name = host.lower()
        _, dot, above = name.partition(".")
        return name in self.mx or (bool(dot) and f"*.{above}" in self.mx)

    @property
    def lines(self) -> tuple[str, ...]:
        """What the policy says, as RFC 8460 4.5 writes it."""
        patterns = (f"mx: {pattern}" for pattern in self.mx)
        return "version: STSv1", f"mode: {self.mode}", *patterns, f"max_age: {self.max_age}"


@dataclass(frozen=True, slots=True)
class KeptStsPolicy:
    """A policy that was fetched, under the ``id`` of its record. ``fetched``: UTC seconds."""

    policy: StsPolicy
    id: str
    fetched: float

    @property
    def expires(self) -> float:
        """UTC seconds until which it counts."""
        return self.fetched + self.policy.max_age


def read_id(records: Sequence[bytes]) -> str:
    """Return the id in the TXT records of ``_mta-sts`` (RFC 8461 3.1); "" where they say that there is no policy."""
    found = [record for record in records if record.startswith(b"v=STSv1")]
    if len(found) != 1:
        return ""
    fields = dict.fromkeys(("v", "id"), "")
    for part in found[0].decode("ascii", "replace").split(";"):
        key, _, value = part.partition("=")
        if key.strip() in fields:
            fields[key.strip()] = value.strip()
    return fields["id"] if fields["v"] == "STSv1" and _ID.fullmatch(fields["id"]) else ""


def read_policy(text: bytes) -> StsPolicy:
    """Read a policy (RFC 8461 3.2). :raises ValueError: it is none, in words."""
    fields: dict[str, str] = {}
    mx: list[str] = []
    for line in text.decode("utf-8", "replace").split("\n"):
        key, colon, value = (part.strip(" \t\r") for part in line.partition(":"))
        if colon and key == "mx":
            mx.append(value)
        elif colon:
            fields.setdefault(key, value)  # of what stands there twice the first counts
    if fields.get("version") != "STSv1":
        raise ValueError("the policy is not of version STSv1")
    if fields.get("mode") not in MODES:
        raise ValueError("the policy has no mode")
    if not _SECONDS.fullmatch(fields.get("max_age", "")):
        raise ValueError("the policy has no max_age")
    if not all(map(_HOST.fullmatch, mx)):
        raise ValueError("the policy names an MX that is none")
    if not mx and fields["mode"] != "none":
        raise ValueError("the policy names no MX")
    if len(mx) > MAX_PATTERNS:
        raise ValueError("the policy names too many MX")
    hosts = dict.fromkeys(host.lower().removesuffix(".") for host in mx)
    return StsPolicy(fields["mode"], tuple(hosts), min(int(fields["max_age"]), MAX_AGE))
