"""The header of the PROXY protocol, versions 1 and 2 (haproxy's doc/proxy-protocol.txt, sections 2.1 and 2.2); no sockets."""

from __future__ import annotations

import ipaddress
import re
from dataclasses import dataclass

LONGEST_LINE = 107  # octets of version 1, with CRLF
START = b"PROXY "
SIGNATURE = b"\r\n\r\n\0\r\nQUIT\n"
FIXED = 16  # octets of version 2 before the addresses
CHECKSUM = 0x03  # the kind of value that has a checksum of the header, CRC32c

_LINE = re.compile(rb"PROXY (TCP4|TCP6) ([0-9a-fA-F.:]+) ([0-9a-fA-F.:]+) ([0-9]{1,5}) ([0-9]{1,5})\Z")

Place = tuple[str, int]  # IP address in its usual form, and port


class BadHeader(ValueError):
    """What came is not a header of the PROXY protocol."""


@dataclass(frozen=True, slots=True)
class Header:
    """Who connected to the balancer, and where. Both are None where the balancer does not say: it speaks for itself, or
    its client came by a socket without addresses."""

    octets: int  # of the header; what follows is the client's
    source: Place | None = None
    destination: Place | None = None


def read_header(data: bytes) -> Header | None:
    """Return the header at the beginning of what came; None: it goes on. :raises BadHeader:"""
    if data.startswith(SIGNATURE[: len(data)]):
        return _binary(data)
    if data.startswith(START[: len(data)]):
        return _line(data)
    raise BadHeader


def _line(data: bytes) -> Header | None:
    end = data.find(b"\r\n", 0, LONGEST_LINE)
    if end < 0:
        if len(data) >= LONGEST_LINE:
            raise BadHeader
        return None
    line = data[:end]
    if line == b"PROXY UNKNOWN" or line.startswith(b"PROXY UNKNOWN "):  # with or without addresses, which mean nothing
        return Header(end + 2)
    match = _LINE.match(line)
    if match is None:
        raise BadHeader
    version = 4 if match[1] == b"TCP4" else 6
    return Header(
        end + 2,
        (_address(match[2].decode(), version), _port(int(match[4]))),
        (_address(match[3].decode(), version), _port(int(match[5]))),
    )


def _binary(data: bytes) -> Header | None:
    if len(data) < FIXED:
        return None
    command, family = data[12], data[13]
    if command not in (0x20, 0x21):  # version 2; LOCAL, PROXY
        raise BadHeader
    end = FIXED + int.from_bytes(data[14:16], "big")
    if len(data) < end:
        return None
    size = {0x11: 4, 0x21: 16}.get(family)
    if command == 0x20 or size is None:  # what is neither TCP over IPv4 nor over IPv6 has no address of a mail client
        return Header(end)
    if end < FIXED + 2 * size + 4:
        raise BadHeader
    _check_values(data[:end], FIXED + 2 * size + 4)
    source, destination = data[FIXED : FIXED + size], data[FIXED + size : FIXED + 2 * size]
    ports = data[FIXED + 2 * size : FIXED + 2 * size + 4]
    return Header(
        end,
        (str(ipaddress.ip_address(source)), int.from_bytes(ports[:2], "big")),
        (str(ipaddress.ip_address(destination)), int.from_bytes(ports[2:], "big")),
    )


def _check_values(header: bytes, at: int) -> None:
    """Look over what stands behind the addresses (2.2.3). :raises BadHeader: one has no end there, or the checksum is another."""
    while at < len(header):
        first, last = at + 3, at + 3 + int.from_bytes(header[at + 1 : at + 3], "big")
        if last > len(header):
            raise BadHeader
        if header[at] == CHECKSUM:
            said = header[first:last]
            if len(said) != 4 or crc32c(header[:first] + bytes(4) + header[last:]) != int.from_bytes(said, "big"):
                raise BadHeader
        at = last


def _crc32c_table() -> tuple[int, ...]:
    table = []
    for octet in range(256):
        rest = octet
        for _ in range(8):
            rest = rest >> 1 ^ 0x82F63B78 if rest & 1 else rest >> 1
        table.append(rest)
    return tuple(table)


_CRC32C = _crc32c_table()


def crc32c(data: bytes) -> int:
    """Return the checksum of RFC 3720 B.4. A header has about a hundred octets; that is not worth a library."""
    rest = 0xFFFFFFFF
    for octet in data:
        rest = _CRC32C[(rest ^ octet) & 0xFF] ^ rest >> 8
    return rest ^ 0xFFFFFFFF


def _address(text: str, version: int) -> str:
    try:
        address = ipaddress.ip_address(text)
    except ValueError:
        raise BadHeader from None
    if address.version != version:
        raise BadHeader
    return str(address)


def _port(number: int) -> int:
    if number > 65535:
        raise BadHeader
    return number
