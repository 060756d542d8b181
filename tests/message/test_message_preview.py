"""PREVIEW (RFC 8970): the first words of a message."""

import base64

import pytest

from mailnode.message.preview import LENGTH
from mailnode.message.scanner import scan


def words(body, content_type="text/plain; charset=utf-8", more=""):
    text = body if isinstance(body, bytes) else body.replace("\n", "\r\n").encode()
    return scan(f"Content-Type: {content_type}\r\n{more}\r\n".encode() + text).preview.decode()


def test_words_in_one_line():
    assert words("Dear Bob,\n\n  how are\tyou?\n") == "Dear Bob, how are you?"


@pytest.mark.parametrize("word", ["wörter ", "語 ", "语", "😀"])
def test_two_hundred_characters_and_no_half_one(word):
    shown = words(word * 3000)
    assert shown == (word * 3000)[:LENGTH].rstrip()


def test_a_charset_that_nobody_names_is_not_mistaken_because_the_text_was_cut():
    assert words("x" + "é è " * 600, "text/plain").startswith("xé è é è")


def test_quotations_and_signatures_are_not_the_writers_words():
    assert words("> you said\n> this\nYes.\n-- \nBob\nTel. 1\n") == "Yes."
    assert words("> only\n> this\n") == "> only > this"


def test_rulers_are_not_words():
    assert words("======\nNews ----- of the day\n******\n") == "News of the day"


def test_html_shows_what_a_reader_sees():
    style = "<style>p { color: red }</style>" * 200
    page = f"<html><head><title>t</title>{style}</head><BODY><p>Hello&nbsp;<b>Bob</b></p>\u200c\u200b <i>!</i></BODY></html>"
    assert words(page, "text/html; charset=utf-8") == "Hello Bob !"


def test_the_first_part_with_text_counts():
    body = (
        "--x\nContent-Type: image/png\n\nPNG\n--x\nContent-Type: text/plain\nContent-Disposition: attachment\n\nfile\n"
    )
    body += "--x\nContent-Type: text/plain\n\n  \n--x\nContent-Type: text/html\n\n<p>shown\n--x--\n"
    assert words(body, "multipart/mixed; boundary=x") == "shown"


def test_of_a_message_within_a_message_its_text():
    assert words("Subject: inner\n\ninner words\n", "message/rfc822") == "inner words"


@pytest.mark.parametrize(
    ("encoding", "body"),
    [
        ("base64", base64.encodebytes("Grüße aus Köln. ".encode() * 200).replace(b"\n", b"\r\n")),
        ("quoted-printable", b"Gr=C3=BC=C3=9Fe aus K=C3=B6ln. " * 200),
        ("8bit", "Grüße aus Köln. ".encode() * 200),
    ],
)
def test_encodings_are_undone(encoding, body):
    assert (
        words(body, more=f"Content-Transfer-Encoding: {encoding}\r\n") == ("Grüße aus Köln. " * 200)[:LENGTH].rstrip()
    )


@pytest.mark.parametrize("content_type", ["image/png", "multipart/encrypted; boundary=x", "application/pdf"])
def test_no_text_no_preview(content_type):
    assert words("--x\nContent-Type: application/octet-stream\n\nxx\n--x--\n", content_type) == ""


def test_neither_nul_nor_a_lone_surrogate_passes():
    assert words(b"a\0b", "text/plain") == "a\ufffdb"
    assert words("ab".encode("utf-16-le") + b"\x00\xd8", "text/plain; charset=utf-16-le").startswith("ab")
