"""Times as scripts have them: in a zone (RFC 5260 4.1), and as ISO 8601 writes them."""

from __future__ import annotations

import re
from datetime import datetime, timedelta, timezone, tzinfo

from mailnode.sieve.constructs import Checking, ScriptCall
from mailnode.sieve.faults import ScriptFailed
from mailnode.sieve.run import ScriptRun

_ZONE = re.compile(r"([+-])([0-9]{2})([0-9]{2})\Z")


def offset_of(when: datetime) -> str:
    """Return how far the clock of a time is from UTC, as ``+0100``."""
    minutes = int((when.utcoffset() or timedelta()).total_seconds() // 60)
    return f"{'-' if minutes < 0 else '+'}{abs(minutes) // 60:02d}{abs(minutes) % 60:02d}"


def iso_time(when: datetime) -> str:
    """Return a time as RFC 3339 5.6 has it, in its own zone; UTC is ``Z``."""
    zone = offset_of(when)
    return f"{when:%Y-%m-%dT%H:%M:%S}" + ("Z" if zone == "+0000" else f"{zone[:3]}:{zone[3:]}")


def zone_of(text: str) -> tzinfo | None:
    """Read a time-zone (RFC 5260 4.1, RFC 6009 5); None for anything else."""
    found = _ZONE.match(text)
    if found is None or int(found[3]) > 59 or int(found[2]) > 23:
        return None
    minutes = int(found[2]) * 60 + int(found[3])
    return timezone(timedelta(minutes=-minutes if found[1] == "-" else minutes))


def wanted_zone(run: ScriptRun, call: ScriptCall) -> tzinfo:
    """Return the zone that ``:zone`` names, the local one without it. :raises ScriptFailed: it names none."""
    if not call.has(":zone"):
        return run.facts.zone
    written = run.text(call, ":zone")
    zone = zone_of(written)
    if zone is None:
        raise ScriptFailed(f'"{written[:40]}" is no time zone such as "+0100"')
    return zone


def check_zone(checking: Checking, call: ScriptCall) -> None:
    """Note a zone that is none, where it is known already."""
    for zone in call.constants(":zone"):
        if zone_of(zone) is None:
            checking.refuse(call, ":zone", f'"{zone[:40]}" is no time zone such as "+0100"')
