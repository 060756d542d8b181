"""message/global as IMAP4rev2 has it (RFC 9051 7.5.2 and 9, RFC 6532 3.7): a message with a structure of its own."""

import pytest

from mailnode.message.scanner import MAX_DEPTH, scan, with_global_messages
from mailnode.values.facts import decode_parts

INNER = "Subject: für dich\r\nFrom: jürgen@bücher.test\r\n\r\neins\r\nzwei".encode()


def mixed(*parts: bytes, boundary: bytes = b"b") -> bytes:
    inside = b"".join(b"--%b\r\n%b\r\n" % (boundary, part) for part in parts)
    head = b"Subject: out\r\nContent-Type: multipart/mixed; boundary=" + boundary
    return head + b"\r\n\r\n" + inside + b"--" + boundary + b"--\r\n"


def of_type(kind: bytes, content: bytes, more: bytes = b"") -> bytes:
    return b"Content-Type: " + kind + b"\r\n" + more + b"\r\n" + content


def test_it_has_envelope_body_and_lines():
    found = with_global_messages(mixed(of_type(b"text/plain", b"x"), of_type(b"MESSAGE/Global", INNER)))
    envelope = "(NIL {9}\r\nfür dich " + 3 * "((NIL NIL {7}\r\njürgen {12}\r\nbücher.test)) " + "NIL NIL NIL NIL NIL)"
    text = '("text" "plain" ("charset" "us-ascii") NIL NIL "7bit" 10 1'
    short = f'("message" "global" NIL NIL NIL "7bit" {len(INNER)} {envelope} {text}) 4)'
    assert short.encode() in found["body"]
    long = f'{envelope} {text} NIL NIL NIL NIL) 4 NIL NIL NIL NIL) "mixed"'
    assert long.encode() in found["bodystructure"]


def test_its_parts_are_numbered_as_those_of_any_message():
    """RFC 9051 6.4.5.1."""
    inside = mixed(of_type(b"text/html", b"1"), of_type(b"message/global", INNER), boundary=b"inside")
    message = mixed(of_type(b"message/global", inside), of_type(b"text/plain", b"end"))
    parts = decode_parts(with_global_messages(message)["parts"])
    assert [(part.section, part.kind) for part in parts] == [
        ("", "multipart"),
        ("1", "message"),
        ("1.TEXT", "multipart"),
        ("1.1", "leaf"),
        ("1.2", "message"),
        ("1.2.1", "leaf"),
        ("2", "leaf"),
    ]
    assert message[parts[4].body_start : parts[4].end] == INNER


def test_all_else_is_as_it_was():
    message = mixed(of_type(b"message/rfc822", b"Subject: a\r\n\r\nb"), of_type(b"message/global-headers", b"A: b\r\n"))
    facts, found = scan(message), with_global_messages(message)
    assert (found["body"], found["bodystructure"]) == (facts.body, facts.bodystructure)
    assert decode_parts(found["parts"]) == facts.parts


@pytest.mark.parametrize("encoding", [b"base64", b"quoted-printable"])
def test_one_in_an_encoding_is_a_file(encoding):
    """RFC 6532 3.7 allows that; RFC 9051 9 has no form for a message without its structure."""
    message = mixed(
        of_type(b"message/global", b"U3ViamVjdDogYQ0KDQpi", b"Content-Transfer-Encoding: " + encoding + b"\r\n")
    )
    found = with_global_messages(message)
    assert found["body"].startswith(b'(("application" "octet-stream" NIL NIL NIL "%b" 20)' % encoding)
    assert b"global" not in found["bodystructure"]
    assert b'"message" "global"' in scan(message).body


def test_one_within_too_many_others_is_opaque():
    message = INNER
    for _ in range(MAX_DEPTH + 2):
        message = of_type(b"message/global", message)
    parts = decode_parts(with_global_messages(message)["parts"])
    assert len(parts) == MAX_DEPTH + 1 and parts[-1].content_type == "application/octet-stream"
