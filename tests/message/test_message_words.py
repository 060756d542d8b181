"""Encoded words, charsets, transfer encodings."""

import codecs
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mailnode.message import words
from mailnode.message.transfer import decode_transfer
from mailnode.message.words import codec_for, decode_bytes, decode_words, lenient_base64


@pytest.mark.parametrize(
    ("value", "text"),
    [
        # RFC 2047 8
        (b"=?US-ASCII?Q?Keith_Moore?= <moore@cs.utk.edu>", "Keith Moore <moore@cs.utk.edu>"),
        (b"=?ISO-8859-1?Q?Keld_J=F8rn_Simonsen?=", "Keld Jørn Simonsen"),
        (b"=?ISO-8859-1?B?SWYgeW91IGNhbiByZWFkIHRoaXMgeW8=?= =?ISO-8859-2?B?dSB1bmRlcnN0YW5kIHRoZSBleGFtcGxlLg==?=",
         "If you can read this you understand the example."),
        (b"(=?ISO-8859-1?Q?a?=)", "(a)"),
        (b"(=?ISO-8859-1?Q?a?= b)", "(a b)"),
        (b"(=?ISO-8859-1?Q?a?= =?ISO-8859-1?Q?b?=)", "(ab)"),
        (b"(=?ISO-8859-1?Q?a?=  =?ISO-8859-1?Q?b?=)", "(ab)"),
        (b"(=?ISO-8859-1?Q?a_b?=)", "(a b)"),
        (b"(=?ISO-8859-1?Q?a?= =?ISO-8859-2?Q?_b?=)", "(a b)"),
        # others
        (b"plain", "plain"),
        (b"", ""),
        (b"a =?utf-8?q?b?= c", "a b c"),
        (b"=?utf-8?q?a?= x =?utf-8?q?b?=", "a x b"),
        (b"=?utf-8?q?=E2=82?= =?utf-8?q?=AC?=", "€"),  # a character cut in two
        (b"=?utf-8?b?4oI=?= =?utf-8?b?rA==?=", "€"),
        (b"=?utf-8*en?q?a?=", "a"),
        (b"=?utf-8?q?with space?=", "with space"),
        (b"=?utf-8?q??=", ""),
        (b"=?utf-8?q??= =?utf-8?q?b?=", "b"),
        (b"x=?utf-8?q?a?=y", "xay"),
        (b"=?utf-8?x?a?=", "=?utf-8?x?a?="),
        (b"=?utf-8?q?a", "=?utf-8?q?a"),
        (b"=??q?a?=", "=??q?a?="),
        (b"=?utf-8?b?####?=", ""),
        (b"=?utf-8?q?=zz=4?=", "=zz=4"),
        (b"=?no-such?q?=C3=A9?=", "é"),
        (b"=?no-such?q?=E9?=", "é"),
        (b"=?utf-8?q?=FF?=", "\ufffd"),
        (b"=?utf-8?q?a=00b?=", "a\ufffdb"),
        (b"=?utf-16-le?b?AAA=?=", "\ufffd"),
        (b"=?utf-7?q?+2AA-?=", "\ufffd"),  # a lone surrogate
        (b"=?iso-2022-jp?B?GyRCRnxLXBsoQg==?=", "日本"),
        (b"=?gb2312?B?1tDOxA==?=", "中文"),
        (b"=?koi8-r?B?8NLJ18XU?=", "Привет"),
        (b"=?windows-1252?q?=80?=", "€"),
        ("raw é".encode(), "raw é"),
        ("raw é".encode("latin-1"), "raw é"),
        (b"nul \0", "nul \ufffd"),
    ],
)  # fmt: skip
def test_decode_words(value, text):
    assert decode_words(value) == text


# IMAP trap 53: names that are no charsets
@pytest.mark.parametrize(
    "charset",
    ["idna", "zlib", "zlib_codec", "rot13", "rot_13", "unicode_escape", "raw_unicode_escape", "punycode", "bz2", "hex",
     "base64", "uu", "quopri", "undefined", "mbcs", "oem", "charmap", "string_escape", "../etc/passwd", "x" * 10_000, "",
     "utf-8\0", "utf_8_sig"],
)  # fmt: skip
def test_names_that_are_no_charsets_never_reach_a_codec(charset):
    assert codec_for(charset) is None
    assert decode_bytes(b"abc", charset) == "abc"
    assert decode_words(b"=?" + charset.encode() + b"?q?a?=").endswith(("a", "?="))


def test_every_codec_of_the_list_exists_and_decodes_everything():
    octets = bytes(range(256)) * 3
    for name in {codec_for(name) for name in words._CODECS}:
        codecs.lookup(name)
        text = decode_bytes(octets, name)
        assert isinstance(text, str)
        assert "\0" not in text
        text.encode("utf-8")  # no lone surrogates


@pytest.mark.parametrize(
    "name", ["UTF-8", " utf8 ", '"utf-8"', "ISO-8859-1", "Windows-1251", "cp866", "Shift_JIS", "Big5"]
)
def test_names_are_compared_without_case_and_quotes(name):
    assert codec_for(name)


def test_ascii_with_eight_bit_is_taken_for_what_it_is():
    assert decode_bytes("é".encode(), "us-ascii") == "é"
    assert decode_bytes(b"\xe9", "us-ascii") == "é"
    assert decode_bytes(b"\xe9", "") == "é"


# IMAP trap 53: NUL and surrogates in encoded words
@given(st.lists(st.sampled_from([b"=?", b"utf-8", b"?q?", b"?b?", b"?=", b" ", b"=41", b"QQ==", b"\xe9", b"\0", b"*"])))
def test_any_words(pieces):
    text = decode_words(b"".join(pieces))
    text.encode("utf-8")
    assert "\0" not in text


@pytest.mark.parametrize(
    ("data", "decoded"),
    [
        (b"", b""),
        (b"YWJj", b"abc"),
        (b"YW\r\nJj\r\n", b"abc"),
        (b"YWI=", b"ab"),
        (b"YWI", b"ab"),
        (b"YQ", b"a"),
        (b"Y", b""),
        (b"YWJjY", b"abc"),
        (b"!Y-W.J j", b"abc"),
        (b"YQ==\r\nYg==\r\n", b"ab"),
        (b"====", b""),
        (b"YQ==YQ", b"aa"),
    ],
)
def test_lenient_base64(data, decoded):
    assert lenient_base64(data) == decoded


@given(st.binary(max_size=200))
def test_transfer_encodings_never_raise(data):
    for encoding in ("7bit", "8bit", "binary", "", "base64", "quoted-printable"):
        assert isinstance(decode_transfer(data, encoding), bytes)
    assert decode_transfer(data, "x-uuencode") is None


def test_quoted_printable():
    assert decode_transfer(b"a=3Db=\r\nc =E9\r\n=ZZ", "quoted-printable") == b"a=bc \xe9\r\n=ZZ"


@pytest.mark.parametrize(
    "piece", [b"=?", b"=?a?q?", b"=?utf-8?q?a?=", b"=?utf-8?q?a?= ", b"=?a?b?=?=", b"=?a*", b"=?a?b?YQ==?= x "]
)
def test_linear(piece):
    def seconds(count):
        value = piece * count
        best = 1e9
        for _ in range(3):
            start = time.thread_time()
            decode_words(value)
            best = min(best, time.thread_time() - start)
        return best

    assert seconds(64_000) < 16 * 5 * max(seconds(4_000), 0.0005)
