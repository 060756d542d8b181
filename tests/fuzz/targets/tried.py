"""What other hosts answer to the doctor's checks: SMTP, HTTPS and the time."""

from __future__ import annotations

import asyncio
import contextlib
import ssl
import struct
from typing import Any, cast
from unittest.mock import patch

import h11

from mailnode.net import trying
from tests.fuzz.certificates import authority
from tests.fuzz.target import Target, variant

STAMP = 0x0102030405060708
TIME = struct.pack("!BBbb11I", 0x24, 2, 0, 0, *[0] * 5, 0x01020304, 0x05060708, *[0x01020305, 0, 0x01020305, 1])


class _Writer:
    """Takes what is written."""

    def write(self, data: bytes) -> None:
        """Nobody reads it."""

    def close(self) -> None:
        """There is nothing to close."""


async def _read(bits: int, data: bytes) -> None:
    reader = asyncio.StreamReader(limit=trying.MAX_LINE)
    reader.feed_data(data)
    reader.feed_eof()
    if bits % 4 == 0:
        said = await trying._reply(reader)
        assert 0 < len(said) <= trying.MAX_LINES
        assert all(line.isascii() and line.isprintable() and len(line) <= trying.MAX_LINE for line in said)
        return

    async def connected(*_: object, **__: object) -> trying.Streams:
        return reader, cast(Any, _Writer())

    with patch.object(asyncio, "open_connection", connected):
        fetched = await trying._get("192.0.2.1", "x.test", "/", 443, cast(ssl.SSLContext, None))
    assert len(fetched.body) <= trying.MAX_BODY and 100 <= fetched.status <= 999


def tried(data: bytes) -> None:
    """Answer a check: lines of SMTP, an HTTPS response, a certificate, or the time."""
    bits, answer = variant(data)
    if bits % 4 == 2:
        with contextlib.suppress(ValueError):
            trying._read_offset(answer, STAMP, 1.0, 2.0)
        return
    if bits % 4 == 3:
        trying._read_certificate(answer)
        return
    asyncio.run(_read(bits, answer))


TARGETS = [
    Target(
        "tried",
        tried,
        (
            b"\x00220 mx.x.test ESMTP\r\n",
            b"\x00250-mx.x.test\r\n250-SIZE 1000\r\n250 STARTTLS\r\n",
            b"\x00554 go away",
            b"\x00" + b"250-more\r\n" * 50,
            b"\x01HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: 3\r\n\r\nyes",
            b"\x01HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nyes\r\n0\r\n\r\n",
            b"\x01HTTP/1.1 404 Not Found\r\nConnection: close\r\n\r\nnothing",
            b"\x01HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\n\r\n",
            b"\x02" + TIME,
            b"\x03" + authority(),
        ),
        errors=(ValueError, EOFError, h11.RemoteProtocolError),
        words=(b"250-", b"220 ", b"\r\n", b"HTTP/1.1 ", b"Content-Length: ", b"Transfer-Encoding: chunked"),
    )
]
