"""Dates: RFC 5322 3.3, its obsolete forms, RFC 5256 2.2 on bad ones, and nonsense."""

import time
from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mailnode.message.dates import format_date, parse_date


def micros(*parts, offset=0):
    moment = datetime(*parts, tzinfo=timezone(timedelta(minutes=offset)))
    return int(moment.timestamp()) * 1_000_000, offset


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (b"Fri, 21 Nov 1997 09:55:06 -0600", micros(1997, 11, 21, 9, 55, 6, offset=-360)),
        (b"Tue, 1 Jul 2003 10:52:37 +0200", micros(2003, 7, 1, 10, 52, 37, offset=120)),
        (b"Thu, 13 Feb 1969 23:32:54 -0330", micros(1969, 2, 13, 23, 32, 54, offset=-210)),
        (b"Thu,\r\n      13\r\n        Feb\r\n          1969\r\n      23:32\r\n               -0330 (Newfoundland Time)",
         micros(1969, 2, 13, 23, 32, offset=-210)),
        (b"21 Nov 97 09:55:06 GMT", micros(1997, 11, 21, 9, 55, 6)),
        (b"Fri, 21 Nov 1997 09(comment):   55  :  06 -0600", micros(1997, 11, 21, 9, 55, 6, offset=-360)),
        (b"1 Jan 49 00:00 UT", micros(2049, 1, 1)),
        (b"1 Jan 50 00:00 UT", micros(1950, 1, 1)),
        (b"1 Jan 103 00:00 UT", micros(2003, 1, 1)),
        (b"1 Jan 2020 00:00:00 EST", micros(2020, 1, 1, offset=-300)),
        (b"1 Jan 2020 00:00:00 pdt", micros(2020, 1, 1, offset=-420)),
        (b"1 Jan 2020 00:00:00 Z", micros(2020, 1, 1)),
        (b"1 Jan 2020 00:00:00 A", micros(2020, 1, 1)),  # military zones tell nothing
        (b"1 Jan 2020 00:00:00 CEST", micros(2020, 1, 1)),
        (b"1 Jan 2020 00:00:00 -0000", micros(2020, 1, 1)),
        (b"1 Jan 2020 00:00:00 +05:30", micros(2020, 1, 1, offset=330)),
        (b"1 Jan 2020 00:00:00+0530", micros(2020, 1, 1, offset=330)),
        (b"1 Jan 2020 00:00:00", micros(2020, 1, 1)),
        (b"1 Jan 2020 00:00:00.123 +0100", micros(2020, 1, 1, offset=60)),
        (b"Wed, 01 January 2020 10:00:00 +0000", micros(2020, 1, 1, 10)),
        (b"Wed 1-Jan-2020 10:00:00 +0000", micros(2020, 1, 1, 10)),
        (b"29 Feb 2020 00:00:00 +0000", micros(2020, 2, 29)),
        # RFC 5256 2.2: a bad zone is UTC, a bad time is midnight
        (b"1 Jan 2020 10:00:00 +9999", micros(2020, 1, 1, 10)),
        (b"1 Jan 2020 10:00:00 +2400", micros(2020, 1, 1, 10)),
        (b"1 Jan 2020 25:00:00 +0000", micros(2020, 1, 1)),
        (b"1 Jan 2020 10:60:00 +0000", micros(2020, 1, 1)),
        (b"1 Jan 2020 10:00:61 +0000", micros(2020, 1, 1)),
        (b"1 Jan 2020 noon", micros(2020, 1, 1)),
        (b"1 Jan 2020", micros(2020, 1, 1)),
        (b"31 Dec 2016 23:59:60 +0000", micros(2016, 12, 31, 23, 59, 59)),
        (b"1 Jan 1900 00:00:00 +0000", micros(1900, 1, 1)),
        (b"31 Dec 9999 23:59:59 +0000", micros(9999, 12, 31, 23, 59, 59)),
    ],
)  # fmt: skip
def test_readable(value, expected):
    assert parse_date(value) == expected


@pytest.mark.parametrize(
    "value",
    [
        b"",
        b"yesterday",
        b"Mon, 1 Jan 0000 00:00:00 +0000",
        b"1 Jan 1899 00:00:00 +0000",
        b"1 Jan 99999 00:00:00 +0000",
        b"1 Jan 2 00:00:00 +0000",
        b"31 Dec 9999 23:59:59 -2359",
        b"1 Jan 1900 00:00:00 +2359",
        b"30 Feb 2020 00:00:00 +0000",
        b"29 Feb 2019 00:00:00 +0000",
        b"0 Jan 2020 00:00:00 +0000",
        b"32 Jan 2020 00:00:00 +0000",
        b"1 Foo 2020 00:00:00 +0000",
        b"-1 Jan 2020 00:00:00 +0000",
        b"1_0 Jan 2020 00:00:00 +0000",
        "١ Jan 2020 00:00:00 +0000".encode(),
        b"1 Jan " + b"9" * 5000 + b" 00:00:00 +0000",
        b"1 Jan 2020 00:00:00 +0000" + b" " * 200,
        b"(" * 150,
    ],
)
def test_unreadable(value):
    assert parse_date(value) is None


@given(st.binary(max_size=200))
def test_any_octets(value):
    parse_date(value)


def test_nonsense_takes_no_time():
    start = time.thread_time()
    for piece in (b" ", b":", b"( ", b"(", b"1 ", b"Mon, ", b"\t", b"()"):
        parse_date(piece * 500_000)
        parse_date((piece * 200)[:200])
    assert time.thread_time() - start < 0.1


@pytest.mark.parametrize(
    ("seconds", "offset", "text"),
    [
        (0, 0, b"Thu, 1 Jan 1970 00:00:00 +0000"),
        (1795399200.9, 0, b"Mon, 23 Nov 2026 02:00:00 +0000"),
        (1795399200, -210, b"Sun, 22 Nov 2026 22:30:00 -0330"),
        (-1, 60, b"Thu, 1 Jan 1970 00:59:59 +0100"),
        (1e18, 0, b"Fri, 31 Dec 9999 23:59:59 +0000"),
        (-1e18, 0, b"Mon, 1 Jan 1900 00:00:00 +0000"),
    ],
)
def test_format(seconds, offset, text):
    assert format_date(seconds, offset) == text


@given(st.integers(-2_000_000_000, 200_000_000_000), st.integers(-1439, 1439))
def test_what_is_written_is_read(seconds, offset):
    text = format_date(seconds, offset)
    assert parse_date(text) == (seconds * 1_000_000, offset)
    moment = datetime.fromtimestamp(seconds, UTC)
    assert (
        format_date(seconds)
        == moment.strftime("%a, ").encode() + b"%d" % moment.day + moment.strftime(" %b %Y %H:%M:%S +0000").encode()
    )
