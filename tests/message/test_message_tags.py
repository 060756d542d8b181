"""Lists of tags and values."""

import time

import pytest

from mailnode.message.tags import read_list, read_tags


@pytest.mark.parametrize(
    ("text", "found"),
    [
        (b"a=1; b = two words ;c=", {b"a": b"1", b"b": b"two words", b"c": b""}),
        (b" a=1 ; ", {b"a": b"1"}),
        (b"a_1==;B=x=y", {b"a_1": b"=", b"B": b"x=y"}),
        (b"a=\r\n 1\r\n\t;\r\n b=2", {b"a": b"1", b"b": b"2"}),
        (b"", {}),
        (b" ", {}),
    ],
)
def test_what_is_one(text, found):
    assert read_tags(text) == found


@pytest.mark.parametrize(
    "text", [b"a", b";", b"a=1;;b=2", b"a=1;a=2", b"x a=1", b"=1", b"1a=1", b"a=1; b", b"a-b=1", b"a=1;\0b=2", b"a b=1"]
)
def test_what_is_none(text):
    with pytest.raises(ValueError, match="no list"):
        read_tags(text)


@pytest.mark.parametrize("piece", [b" ", b";", b"a=", b"; ", b"a;", b"a =;", b"\r\n "])
def test_it_is_quick(piece):
    text = piece * (100_000 // len(piece))
    began = time.perf_counter()
    try:
        read_tags(text)
    except ValueError:
        pass
    assert time.perf_counter() - began < 0.5


def test_a_list():
    assert read_list(b" from : To:\r\n subject") == (b"from", b"To", b"subject")
