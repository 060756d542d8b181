"""What balancers, proxies, DNS and the other end of a compressed connection say."""

from __future__ import annotations

import zlib
from typing import Any

import dns.rdata
import dns.rdataclass
import dns.rdatatype
import dns.wire
from twisted.internet.task import Clock

from mailnode.delivery.dane import usable
from mailnode.interfaces.outbound import Proxy, TlsaRecord
from mailnode.net.deflate import PIECE, Inflating
from mailnode.net.dns_tlsa import LenientTlsa
from mailnode.net.proxy_header import CHECKSUM, SIGNATURE, BadHeader, crc32c, read_header
from mailnode.net.socks import SocksDialog, SocksRefused
from mailnode.pop3.wire.connection import Pop3Connection
from mailnode.pop3.wire.responses import ok
from mailnode.values.wire import NEED_DATA, PAUSED
from tests.fuzz.target import Target, pieces, variant

ADDRESSES = bytes((192, 0, 2, 1, 192, 0, 2, 2, 4, 0, 0, 25))


def _second(command: int, family: int, rest: bytes) -> bytes:
    return SIGNATURE + bytes((command, family)) + len(rest).to_bytes(2, "big") + rest


def _checked() -> bytes:
    empty = _second(0x21, 0x11, ADDRESSES + bytes((CHECKSUM, 0, 4, 0, 0, 0, 0)))
    return empty[:-4] + crc32c(empty).to_bytes(4, "big")


def proxy_header(data: bytes) -> None:
    """Read a header of the PROXY protocol: what it is does not depend on what follows, or on how much has come."""
    header = read_header(data)
    if header is not None:
        assert header.octets <= len(data)
        assert read_header(data[: header.octets]) == header
        assert all(read_header(data[:end]) is None for end in range(min(header.octets, 200)))


def socks(data: bytes) -> None:
    """Speak with a SOCKS5 server."""
    bits, answers = variant(data)
    dialog = SocksDialog(Proxy("127.0.0.1", 1080, "u" if bits & 1 else "", "p"), "::1" if bits & 2 else "192.0.2.1", 25)
    came = 0
    for piece in pieces(answers):
        dialog.receive(piece)
        came += len(piece)
        assert len(dialog.to_send()) < 600
        assert len(dialog.left) < 600 or dialog.done
    assert len(dialog.left) <= came


class _Counting(Pop3Connection):
    largest = 0

    def receive_data(self, data: bytes) -> None:
        self.largest = max(self.largest, len(data))
        super().receive_data(data)


def inflating(data: bytes) -> None:
    """Inflate what a client sends: a piece at a time, whatever it stands for."""
    bits, stream = variant(data)
    if bits & 1:
        packed = zlib.compressobj(wbits=-15)
        stream = packed.compress(stream) + packed.flush(zlib.Z_SYNC_FLUSH)
    clock, below, damaged = Clock(), _Counting(), []
    above = Inflating(below, clock, lambda: None, lambda: damaged.append(True))
    for piece in [stream] if bits & 2 else pieces(stream):
        above.receive_data(piece)
        for _ in range(50):
            while (event := above.next_event()) not in (NEED_DATA, PAUSED):
                if damaged:
                    return
                below.answer(ok())
                assert event is not None
            if damaged or not above.resting:
                break
            clock.advance(0.1)
    assert below.largest <= PIECE


def _tlsa(data: bytes) -> TlsaRecord:
    parser = dns.wire.Parser(data)
    read: Any = LenientTlsa.from_wire_parser(dns.rdataclass.IN, dns.rdatatype.TLSA, parser)
    return TlsaRecord(read.usage, read.selector, read.mtype, read.cert)


def tlsa(data: bytes) -> None:
    """Read TLSA records of any length, and look which of them can be used."""
    records = [_tlsa(one) for one in data.split(b"|")[:60]]
    kept = usable(records)
    assert set(kept) <= set(records)
    assert kept == usable(records[::-1])


TARGETS = (
    Target(
        "proxy_header",
        proxy_header,
        (
            b"PROXY TCP4 192.0.2.1 192.0.2.2 1024 25\r\nEHLO x\r\n",
            b"PROXY TCP6 2001:db8::1 ::1 1024 25\r\n",
            b"PROXY UNKNOWN\r\n",
            _second(0x21, 0x11, ADDRESSES) + b"EHLO",
            _second(0x21, 0x21, bytes(36)),
            _second(0x20, 0, b""),
            _checked(),
        ),
        errors=(BadHeader,),
        words=(
            b"PROXY ",
            b"TCP4 ",
            b"TCP6 ",
            b"UNKNOWN",
            b"::",
            b"\r\n",
            bytes((CHECKSUM, 0, 4)),
            b"\x21\x11",
            b"\x00\x0c",
        ),
    ),
    Target(
        "socks",
        socks,
        (
            b"\0\5\0\5\0\0\1abcdef220 x",
            b"\1\5\2\1\0\5\0\0\3\4nameab220",
            b"\2\5\0\5\0\0\4" + bytes(18) + b"2",
            b"\0\5\xff",
        ),
        errors=(SocksRefused,),
        words=(b"\5\0", b"\1\0", b"\3\xff", b"\5\1"),
    ),
    Target(
        "inflating",
        inflating,
        (
            b"\1USER a\r\nQUIT\r\n",
            b"\3" + b"USER a\r\n" * 400,
            b"\0" + zlib.compress(b"x" * 40_000, wbits=-15),
            b"\2" + zlib.compress(b"\r\n" * 3000, wbits=-15),
        ),
        words=(b"\0\0\xff\xff", b"\3\0", b"\r\n"),
        swells=True,
    ),
    Target(
        "tlsa",
        tlsa,
        (
            b"\3\1\1" + bytes(32) + b"|\3\1\2" + bytes(64) + b"|\2\0\1" + bytes(32) + b"|\3\0\0" + bytes(20),
            b"\3\1|\3||",
        ),
        words=(b"|", b"\3\1\1" + bytes(32), b"\2\1\2" + bytes(64), b"\3\0\0\x30\x82"),
    ),
)
