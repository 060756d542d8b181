"""The PROXY header: both versions, whatever pieces it comes in, and what is none."""

import socket
import struct

import pytest

from mailnode.net.proxy_header import FIXED, LONGEST_LINE, SIGNATURE, BadHeader, Header, crc32c, read_header


def binary(command=0x21, family=0x11, body=b""):
    return SIGNATURE + bytes([command, family]) + struct.pack("!H", len(body)) + body


V4 = socket.inet_aton("192.0.2.7") + socket.inet_aton("192.0.2.1") + struct.pack("!HH", 999, 25)
V6 = socket.inet_pton(socket.AF_INET6, "2001:db8::7") * 2 + struct.pack("!HH", 999, 25)


def summed(before, after=b""):
    """With a checksum."""
    header = binary(body=before + b"\x03\0\x04" + bytes(4) + after)
    at = FIXED + len(before) + 3
    return header[:at] + struct.pack("!I", crc32c(header)) + header[at + 4 :]


GOOD = {
    b"PROXY TCP4 192.0.2.7 192.0.2.1 999 25\r\n": (("192.0.2.7", 999), ("192.0.2.1", 25)),
    b"PROXY TCP6 2001:DB8:0::7 2001:db8::1 0 65535\r\n": (("2001:db8::7", 0), ("2001:db8::1", 65535)),
    b"PROXY UNKNOWN\r\n": (None, None),
    b"PROXY UNKNOWN ffff::1 ffff::2 65535 65535\r\n": (None, None),
    binary(body=V4): (("192.0.2.7", 999), ("192.0.2.1", 25)),
    binary(body=V4 + b"\x05\0\x04abcd"): (("192.0.2.7", 999), ("192.0.2.1", 25)),
    summed(V4 + b"\x01\0\x02h2", b"\x04\0\x03\0\0\0"): (("192.0.2.7", 999), ("192.0.2.1", 25)),
    binary(family=0x21, body=V6): (("2001:db8::7", 999), ("2001:db8::7", 25)),
    binary(0x20, 0): (None, None),
    binary(0x20, 0x11, V4): (None, None),
    binary(family=0, body=b"xyz"): (None, None),
    binary(family=0x31, body=bytes(216)): (None, None),
}


@pytest.mark.parametrize("octets", GOOD)
def test_a_header_is_read_whole_in_pieces_and_with_what_follows(octets):
    source, destination = GOOD[octets]
    header = Header(len(octets), source, destination)
    assert read_header(octets) == header
    assert read_header(octets + b"EHLO x\r\n") == header
    for cut in range(len(octets)):
        assert read_header(octets[:cut]) is None, cut


@pytest.mark.parametrize(
    "octets",
    [
        b"EHLO x\r\n",
        b"PROXYTCP4",
        b"PROXY\r\n",
        b"PROXY TCP4\r\n",
        b"PROXY TCP5 192.0.2.7 192.0.2.1 999 25\r\n",
        b"PROXY UNKNOWNS\r\n",
        b"PROXY TCP4 192.0.2.7 192.0.2.1 999\r\n",
        b"PROXY TCP4 192.0.2.7 192.0.2.1 999 25 1\r\n",
        b"PROXY TCP4 192.0.2.7  192.0.2.1 999 25\r\n",
        b"PROXY TCP4 192.0.2.777 192.0.2.1 999 25\r\n",
        b"PROXY TCP4 2001:db8::7 2001:db8::1 999 25\r\n",
        b"PROXY TCP6 192.0.2.7 192.0.2.1 999 25\r\n",
        b"PROXY TCP4 192.0.2.7 192.0.2.1 65536 25\r\n",
        b"PROXY TCP4 192.0.2.7 192.0.2.1 -1 25\r\n",
        b"PROXY TCP4 mx.a.test 192.0.2.1 999 25\r\n",
        b"PROXY UNKNOWN " + b"x" * LONGEST_LINE,
        binary(0x11, 0x11, V4),
        binary(0x22, 0x11, V4),
        binary(body=V4[:-1]),
        binary(family=0x21, body=V4),
        binary(body=V4 + b"\x03\0\x04abcd"),
        binary(body=V4 + b"\x03\0\x02ab"),
        binary(body=V4 + b"\x05\0\x05abcd"),
        binary(body=V4 + b"\x05\0"),
        summed(V4).replace(b"\xc0\0\x02\x07", b"\xc0\0\x02\x08"),
        SIGNATURE[:4] + b"x" * FIXED,
    ],
)
def test_what_is_no_header(octets):
    with pytest.raises(BadHeader):
        read_header(octets)


def test_the_checksum_is_that_of_the_standard():
    # RFC 3720 B.4
    assert crc32c(bytes(32)) == 0x8A9136AA
    assert crc32c(b"\xff" * 32) == 0x62A8AB43
    assert crc32c(bytes(range(32))) == 0x46DD794E
    assert crc32c(b"") == 0
