"""Transfer encodings undone piece by piece (for BINARY), against what is made of the whole."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mailnode.message.transfer import decode_transfer
from mailnode.message.transfer_pieces import piece_decoder


def in_pieces(data, encoding, cuts):
    decoder = piece_decoder(encoding)
    out, at = [], 0
    for cut in [*cuts, len(data)]:
        out.append(decoder.decode(data[at : at + cut]))
        at += cut
    return b"".join([*out, decoder.finish()])


CUTS = st.lists(st.integers(1, 5), max_size=20)


@given(
    st.lists(st.sampled_from([b"A", b"b", b"+", b"/", b"=", b"==", b"\r\n", b" ", b"-", b"QUJD"]), max_size=30), CUTS
)
def test_base64(words, cuts):
    data = b"".join(words)
    assert in_pieces(data, "base64", cuts) == decode_transfer(data, "base64")


@given(
    st.lists(
        st.sampled_from([b"=", b"==", b"=\r", b"=\r\n", b"=4", b"=4A", b"\n", b"\r", b" ", b"x", b"\0"]), max_size=30
    ),
    CUTS,
)
def test_quoted_printable(words, cuts):
    data = b"".join(words)
    assert in_pieces(data, "quoted-printable", cuts) == decode_transfer(data, "quoted-printable")


@given(st.binary(max_size=30), CUTS)
def test_none(data, cuts):
    for encoding in ("", "7bit", "8bit", "binary", "8-bit"):
        assert in_pieces(data, encoding, cuts) == data


@pytest.mark.parametrize("encoding", ["base64", "quoted-printable"])
@pytest.mark.parametrize("octets", [b"A" * 64, b"=" * 64, b"=\r" * 32, b" " * 64, b"=4" * 32])
def test_what_is_held_back_does_not_grow(encoding, octets):
    decoder = piece_decoder(encoding)
    for _ in range(100):
        decoder.decode(octets)
    assert sum(len(held) for held in vars(decoder).values()) <= 4


def test_an_unknown_encoding():
    assert piece_decoder("x-uuencode") is None
