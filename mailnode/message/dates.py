"""Dates of message headers (RFC 5322 3.3 and 4.3), read leniently and written strictly."""

from __future__ import annotations

import re
from datetime import date
from functools import lru_cache

MAX_DATE = 200  # octets of a Date field that are looked at; a longer one is unreadable

_MONTHS = (b"jan", b"feb", b"mar", b"apr", b"may", b"jun", b"jul", b"aug", b"sep", b"oct", b"nov", b"dec")
_DAYS = (b"Mon", b"Tue", b"Wed", b"Thu", b"Fri", b"Sat", b"Sun")
_EPOCH = date(1970, 1, 1).toordinal()
_FIRST_YEAR, _LAST_YEAR = 1900, 9999  # RFC 5322 3.3; what every database and library can hold

# RFC 5322 4.3: obsolete zones in minutes. Military letters mean nothing reliable and are UTC.
_ZONES = {b"ut": 0, b"gmt": 0, b"utc": 0, b"est": -300, b"edt": -240, b"cst": -360, b"cdt": -300}
_ZONES |= {b"mst": -420, b"mdt": -360, b"pst": -480, b"pdt": -420}

_COMMENT = re.compile(rb"\([^()]*\)")
_DATE = re.compile(
    rb"(?:[a-z]{1,12}\.? ?,? ?)?([0-9]{1,2})[ -]?([a-z]{3})[a-z]{0,9}\.?[ -]?([0-9]{2,4})(?![0-9])(?: (.*))?\Z"
)
_TIME = re.compile(rb"([0-9]{1,2}):([0-9]{2})(?::([0-9]{2}))?(?:\.[0-9]+)?(?: ?(.*))?\Z")
_ZONE = re.compile(rb"([+-])([0-9]{2}):?([0-9]{2})\b")
_ZONE_NAME = re.compile(rb"[a-z]+")


def parse_date(value: bytes) -> tuple[int, int] | None:
    """Return (UTC microseconds, minutes east of UTC as written), or None when there is no readable date.

    A bad zone counts as UTC and a bad time as 00:00:00, as RFC 5256 2.2 wants; second 60 is 59. The year is 1900 to 9999;
    two and three digits are read by RFC 5322 4.3.
    """
    if len(value) > MAX_DATE:
        return None
    text = value
    # Nested ones from the inside out; the text is short.
    while b"(" in text and (shorter := _COMMENT.sub(b" ", text)) != text:
        text = shorter
    found = _DATE.match(b" ".join(text.lower().split()).replace(b" :", b":").replace(b": ", b":"))
    if found is None or found[2] not in _MONTHS:
        return None
    year = _year(found[3])
    try:
        day = date(year, _MONTHS.index(found[2]) + 1, int(found[1])).toordinal() - _EPOCH
    except ValueError:
        return None
    if year < _FIRST_YEAR:
        return None
    seconds, offset = _time(found[4] or b"")
    utc = day * 86400 + seconds - offset * 60
    if not _FIRST_SECOND <= utc <= _LAST_SECOND:
        return None
    return utc * 1_000_000, offset


_FIRST_SECOND = (date(_FIRST_YEAR, 1, 1).toordinal() - _EPOCH) * 86400
_LAST_SECOND = (date(_LAST_YEAR, 12, 31).toordinal() - _EPOCH + 1) * 86400 - 1


def _year(digits: bytes) -> int:
    number = int(digits)
    if len(digits) == 2:
        return number + (2000 if number < 50 else 1900)
    return number + 1900 if len(digits) == 3 else number


def _time(text: bytes) -> tuple[int, int]:
    """Return (seconds of the day, minutes east)."""
    found = _TIME.match(text)
    if found is None:
        return 0, 0
    hour, minute, second = int(found[1]), int(found[2]), int(found[3] or b"0")
    seconds = hour * 3600 + minute * 60 + min(second, 59)
    if hour > 23 or minute > 59 or second > 60:
        seconds = 0
    return seconds, _zone(found[4] or b"")


def _zone(text: bytes) -> int:
    numeric = _ZONE.match(text)
    if numeric is not None:
        hours, minutes = int(numeric[2]), int(numeric[3])
        if hours > 23 or minutes > 59:
            return 0
        return (hours * 60 + minutes) * (-1 if numeric[1] == b"-" else 1)
    named = _ZONE_NAME.match(text)
    return _ZONES.get(named[0], 0) if named else 0


def format_date(seconds: float, offset: int = 0) -> bytes:
    """Return an RFC 5322 3.3 date-time: ``Mon, 23 Nov 2026 02:15:00 +0000``.

    :param seconds: UTC seconds since 1970. :param offset: minutes east of UTC.
    """
    return _format_second(int(seconds // 1), offset)


@lru_cache(maxsize=4)  # several messages come in one second
def _format_second(seconds: int, offset: int) -> bytes:
    total = seconds + offset * 60
    total = min(max(total, _FIRST_SECOND), _LAST_SECOND)
    days, rest = divmod(total, 86400)
    day = date.fromordinal(days + _EPOCH)
    return b"%s, %d %s %04d %02d:%02d:%02d %s%02d%02d" % (
        _DAYS[day.weekday()],
        day.day,
        _MONTHS[day.month - 1].capitalize(),
        day.year,
        rest // 3600,
        rest // 60 % 60,
        rest % 60,
        b"-" if offset < 0 else b"+",
        abs(offset) // 60,
        abs(offset) % 60,
    )
