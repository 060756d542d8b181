"""Dot-stuffing, wherever the content is cut."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mailnode.values.dots import OCTETS_A_DOT, DotStuffer, line_dot

CONTENTS = [
    b"",
    b".",
    b"..",
    b".x\r\n",
    b"a\r\n.b\r\n..\r\n.\r\n",
    b"a",
    b"a\r\n",
    b"\r\n.",
    b".\r\n.\r\n",
    b"a\r",
    b"\n.\r\n",
]


@pytest.mark.parametrize("content", CONTENTS)
def test_stuffing_is_the_same_however_the_pieces_are_cut(content):
    def stuff(pieces):
        stuffer = DotStuffer()
        return b"".join(stuffer.stuff(piece) for piece in pieces) + stuffer.finish()

    whole = stuff([content])
    assert stuff([bytes((octet,)) for octet in content]) == whole
    for cut in range(len(content)):
        assert stuff([content[:cut], b"", content[cut:]]) == whole
    assert whole.endswith(b"\r\n.\r\n") or whole == b".\r\n"
    lines = whole.removesuffix(b".\r\n").split(b"\r\n")
    assert b"." not in lines
    unstuffed = b"\r\n".join(line.removeprefix(b".") for line in lines)
    assert unstuffed == (content if content.endswith(b"\r\n") or not content else content + b"\r\n")


def reference_stuffing(content: bytes) -> bytes:
    lines = content.split(b"\r\n")
    ends = content.endswith(b"\r\n") or not content
    stuffed = b"\r\n".join(b"." + line if line.startswith(b".") else line for line in lines)
    return stuffed + (b".\r\n" if ends else b"\r\n.\r\n")


# SMTP trap 4: lines of dots, going out
@given(st.lists(st.sampled_from([b".", b"..", b"\r\n", b"\r", b"\n", b"x", b".x", b"\r\n."])), st.data())
def test_dot_stuffing_at_every_cut(pieces: list[bytes], data: st.DataObject) -> None:
    content = b"".join(pieces)
    cuts = sorted(data.draw(st.lists(st.integers(0, len(content)), max_size=6)))
    stuffer = DotStuffer()
    out = b"".join(stuffer.stuff(content[a:b]) for a, b in zip([0, *cuts], [*cuts, len(content)], strict=True))
    assert out + stuffer.finish() == reference_stuffing(content)


# SMTP trap 4: at the edges of chunks, going out
@pytest.mark.parametrize("edge", [16383, 16384, 65535, 65536])
def test_dot_at_a_chunk_edge(edge: int) -> None:
    content = b"x" * (edge - 3) + b"\r\n.y\r\n.\r\nend"
    for cut in range(edge - 4, edge + 6):
        stuffer = DotStuffer()
        out = stuffer.stuff(content[:cut]) + stuffer.stuff(content[cut:]) + stuffer.finish()
        assert out == reference_stuffing(content)


@given(
    st.lists(st.sampled_from([b".", b"\r\n", b"\r", b"\n", b"x", b"a." * OCTETS_A_DOT, b"x" * OCTETS_A_DOT, b"\r\n."]))
)
def test_the_first_dot_of_a_line_is_found_among_any_number_of_others(pieces: list[bytes]) -> None:
    content = b"".join(pieces)
    at = content.find(b"\r\n.")
    assert line_dot(content) == line_dot(bytearray(content)) == (at + 2 if at >= 0 else -1)
