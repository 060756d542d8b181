"""Texts of a message by zone. Whoever changes what is found raises TEXT_VERSION: else what was indexed before lacks it."""

import hashlib

from mailnode.message.headers import header_end
from mailnode.message.pieces import searched_pieces
from mailnode.message.scanner import scan_entity
from mailnode.message.search_text import field_texts, fold, zone_texts
from mailnode.values.search import BODY, HEADER, SHOWN, TEXT_VERSION

MESSAGE = (
    b"Received: by x.test; Wed, 1 Feb 2023 03:04:05 +0100\r\nFrom: =?utf-8?q?J=C3=B6rg?= (his name) <j@a.test>\r\n"
    b"Subject: =?utf-8?q?Stra=C3=9Fe?=\r\nContent-Type: multipart/mixed; boundary=B\r\n\r\npreamble\r\n--B\r\n"
    b"Content-Type: text/html; charset=utf-8\r\nX-Part: yes\r\n\r\n<p>Hello <b>w</b>orld &amp; <a href='http://l.test/q'>x</a>\r\n--B\r\n"
    b"Content-Disposition: attachment; filename=report.pdf\r\n\r\nZm9v\r\n--B\r\nContent-Type: message/rfc822\r\n\r\n"
    b"Subject: inner\r\n\r\ninner text\r\n--B--\r\nepilogue\r\n"
)


def zones(data):
    parts = scan_entity(data).parts()
    pieces = [(piece.part, data[piece.start : piece.end], piece.in_body) for piece in searched_pieces(parts)]
    return zone_texts(data[: header_end(data)], pieces)


def test_each_text_is_in_its_zone():
    found = zones(MESSAGE)
    shown, header, body = ("\n".join(found[zone]) for zone in (SHOWN, HEADER, BODY))
    assert "strasse" in shown and fold("jörg (his name) <j@a.test>") in shown and "received" not in shown
    assert "received: by x.test" in header and "x-part: yes" in header and "report.pdf" in header
    assert "hello world & x" in body and "http://l.test/q" in body and "epilogue" in body and "preamble" in body
    assert "subject: inner" in body and "inner text" in body and "subject: inner" not in header


def test_addresses_stand_there_as_they_are_shown_too():
    assert field_texts("from", [b" a . b @ c.test (x)"]) == ["a . b @ c.test (x)", "a.b@c.test"]
    assert field_texts("x-from", [b" a . b @ c.test (x)"]) == ["a . b @ c.test (x)"]


# Digest of all that is found in the message above, by version.
FOUND = {1: "e028e23783055281", 2: "f091060576deffa7", 3: "f091060576deffa7"}


def test_what_is_found_has_a_version():
    assert hashlib.sha256(repr(zones(MESSAGE)).encode()).hexdigest()[:16] == FOUND[TEXT_VERSION]
