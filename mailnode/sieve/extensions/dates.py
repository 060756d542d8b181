"""Dates of header fields and of now (RFC 5260), and which of several fields is meant."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta, timezone

from mailnode.message.dates import parse_date
from mailnode.message.headers import unfold
from mailnode.sieve.constructs import (
    ArgumentKind,
    Checking,
    ScriptCall,
    SieveArgument,
    SieveExtension,
    SieveTag,
    SieveTest,
)
from mailnode.sieve.extensions.looking import KEYS
from mailnode.sieve.faults import ScriptFailed
from mailnode.sieve.fields import check_last, named_lines
from mailnode.sieve.run import ScriptRun
from mailnode.sieve.zones import check_zone, iso_time, offset_of, wanted_zone

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_JULIAN_START = datetime(1858, 11, 17).toordinal()
_DAYS = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")
_MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")
PART = SieveArgument("part", ArgumentKind.STRING)
ZONE = SieveTag("zone", ArgumentKind.STRING, group="zone")


def _std11(when: datetime) -> str:
    return (
        f"{_DAYS[when.weekday()]}, {when.day:02d} {_MONTHS[when.month - 1]} {when.year:04d} "
        f"{when:%H:%M:%S} {offset_of(when)}"
    )


# RFC 5260 4.2
PARTS: dict[str, Callable[[datetime], str]] = {
    "year": lambda when: f"{when.year:04d}",
    "month": lambda when: f"{when.month:02d}",
    "day": lambda when: f"{when.day:02d}",
    "date": lambda when: f"{when.year:04d}-{when.month:02d}-{when.day:02d}",
    "julian": lambda when: str(when.toordinal() - _JULIAN_START),
    "hour": lambda when: f"{when.hour:02d}",
    "minute": lambda when: f"{when.minute:02d}",
    "second": lambda when: f"{when.second:02d}",
    "time": lambda when: f"{when:%H:%M:%S}",
    "iso8601": iso_time,
    "std11": _std11,
    "zone": offset_of,
    "weekday": lambda when: str(when.isoweekday() % 7),
}


def _shifted(run: ScriptRun, call: ScriptCall, when: datetime) -> datetime:
    if call.has(":originalzone"):
        return when
    zone = wanted_zone(run, call)
    try:
        return when.astimezone(zone)
    except (OverflowError, ValueError):
        return when


def _part(run: ScriptRun, call: ScriptCall, when: datetime) -> str:
    name = run.text(call, "part").lower()
    if name not in PARTS:
        raise ScriptFailed(f'a date has no part "{name[:40]}"')
    return PARTS[name](_shifted(run, call, when))


def _date(run: ScriptRun, call: ScriptCall) -> list[str]:
    lines = named_lines(run, call, [run.text(call, "header")])[:1]
    found = field_date(lines[0].body) if lines else None
    return [_part(run, call, found)] if found is not None else []


def field_date(body: bytes) -> datetime | None:
    """Return the date a field ends with, behind its last semicolon or alone; None where there is none that can be read."""
    value = unfold(body)
    read = parse_date(value) or parse_date(value.rpartition(b";")[2].strip())
    if read is None:
        return None
    microseconds, offset = read
    try:
        when = _EPOCH + timedelta(microseconds=microseconds)
        return when.astimezone(timezone(timedelta(minutes=offset)))
    except (OverflowError, ValueError):
        return None


def _currentdate(run: ScriptRun, call: ScriptCall) -> list[str]:
    return [_part(run, call, _EPOCH + timedelta(seconds=run.facts.now))]


def _check(checking: Checking, call: ScriptCall) -> None:
    check_last(checking, call)
    for name in call.constants("part"):
        if name.lower() not in PARTS:
            checking.refuse(call, "part", f'a date has no part "{name[:40]}"')
    check_zone(checking, call)


EXTENSIONS = (
    SieveExtension(
        "date",
        "RFC 5260 4 and 5",
        "the tests date and currentdate",
        tests=(
            SieveTest(
                "date",
                (SieveArgument("header", ArgumentKind.STRING), PART, KEYS),
                (ZONE, SieveTag("originalzone", group="zone")),
                values=_date,
                check=_check,
            ),
            SieveTest("currentdate", (PART, KEYS), (ZONE,), values=_currentdate, check=_check),
        ),
    ),
    SieveExtension(
        "index",
        "RFC 5260 6",
        ":index and :last of header, address and date: one field of several",
        tags=(
            SieveTag("index", ArgumentKind.NUMBER, on=("header", "address", "date")),
            SieveTag("last", on=("header", "address", "date")),
        ),
    ),
)
