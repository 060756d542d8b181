"""ENVELOPE, BODY and BODYSTRUCTURE: the grammar of RFC 3501 9 and what clients stumble over."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from imap_grammar import check_body, check_envelope, read

from mailnode.message.render import nstring, string
from mailnode.message.scanner import scan


def crlf(text):
    return text.replace("\n", "\r\n").encode()


def envelope(header):
    octets = header if isinstance(header, bytes) else crlf(header)
    return read(scan(octets + b"\r\n").envelope)


def body(text):
    octets = text if isinstance(text, bytes) else crlf(text)
    facts = scan(octets)
    check_body(read(facts.bodystructure), True)
    check_body(read(facts.body), False)
    return facts.body


def structure(text):
    octets = text if isinstance(text, bytes) else crlf(text)
    body(octets)
    return scan(octets).bodystructure


def test_the_envelope_of_rfc_3501_section_8():
    header = (
        "Date: Wed, 17 Jul 1996 02:23:25 -0700 (PDT)\nFrom: Terry Gray <gray@cac.washington.edu>\n"
        "Subject: IMAP4rev1 WG mtg summary and minutes\nTo: imap@cac.washington.edu\n"
        "cc: minutes@CNRI.Reston.VA.US, John Klensin <KLENSIN@MIT.EDU>\n"
        "Message-Id: <B27397-0100000@cac.washington.edu>\n"
    )
    assert scan(crlf(header)).envelope == (
        b'("Wed, 17 Jul 1996 02:23:25 -0700 (PDT)" "IMAP4rev1 WG mtg summary and minutes" '
        b'(("Terry Gray" NIL "gray" "cac.washington.edu")) (("Terry Gray" NIL "gray" "cac.washington.edu")) '
        b'(("Terry Gray" NIL "gray" "cac.washington.edu")) ((NIL NIL "imap" "cac.washington.edu")) '
        b'((NIL NIL "minutes" "CNRI.Reston.VA.US")("John Klensin" NIL "KLENSIN" "MIT.EDU")) NIL NIL '
        b'"<B27397-0100000@cac.washington.edu>")'
    )


def test_empty_message_is_all_nil():
    assert scan(b"").envelope == b"(NIL NIL NIL NIL NIL NIL NIL NIL NIL NIL)"


# IMAP trap 35: Sender and Reply-To
def test_sender_and_reply_to_are_copied_from_from():
    author = [[None, None, b"a", b"b"]]
    found = envelope("From: a@b\n")
    assert found[2] == found[3] == found[4] == author
    found = envelope("From: a@b\nSender: s@t\nReply-To: \n")
    assert found[3] == [[None, None, b"s", b"t"]]
    assert found[4] == author
    found = envelope("Sender: s@t\nReply-To: r@q\n")
    assert found[2] is None
    assert found[3] == [[None, None, b"s", b"t"]]
    assert found[4] == [[None, None, b"r", b"q"]]


# IMAP trap 35: empty lists
def test_empty_lists_are_nil_and_empty_texts_are_strings():
    found = envelope("To:\nCc: \nBcc: ,,\nSubject:\nDate: \n")
    assert found == [b"", b"", None, None, None, None, None, None, None, None]


# IMAP trap 35: groups
def test_groups():
    found = envelope("To: A Group:Ed <joe@where.test>,joe@where.test;, undisclosed-recipients:;, x@y\n")
    assert found[5] == [
        [None, None, b"A Group", None],
        [b"Ed", None, b"joe", b"where.test"],
        [None, None, b"joe", b"where.test"],
        [None, None, None, None],
        [None, None, b"undisclosed-recipients", None],
        [None, None, None, None],
        [None, None, b"x", b"y"],
    ]


def test_missing_domain_and_local_part_are_not_taken_for_group_marks():
    found = envelope("To: postmaster, <>, Name <>, <@>\n")
    assert found[5] == [
        [None, None, b"postmaster", b""],
        [None, None, b"", b""],
        [b"Name", None, b"", b""],
        [None, None, b"", b""],
    ]


def test_source_route():
    assert envelope("To: <@a,@b:c@d>\n")[5] == [[None, b"@a,@b", b"c", b"d"]]


# IMAP trap 35: encoded words
def test_encoded_words_stay_raw():
    found = envelope("Subject: =?utf-8?q?=C3=A9?=\nFrom: =?utf-8?q?J=C3=B6rg?= <j@x>\n")
    assert found[1] == b"=?utf-8?q?=C3=A9?="
    assert found[2] == [[b"=?utf-8?q?J=C3=B6rg?=", None, b"j", b"x"]]


# IMAP trap 35: folds
def test_folds_tabs_and_controls_become_spaces():
    assert envelope(b"Subject: one\r\n two\r\n\tthree\tfour\r\n  \r\n five\r\n")[1] == b"one two three four   five"
    assert envelope(b"Subject: a\rb\nc\0d\r\n")[1] == b"a b c d"
    assert envelope(b'From: "a\r\n b" <x@y>\r\n')[2] == [[b"a b", None, b"x", b"y"]]


# IMAP trap 36: within ENVELOPE
def test_eight_bit_goes_out_as_a_literal_and_nul_never():
    assert scan("Subject: é\r\n\r\n".encode()).envelope.startswith(b"(NIL {2}\r\n\xc3\xa9 NIL")
    assert string(b"a\0b\xff") == b"{4}\r\na b\xff"
    assert string(b"a\r\nb") == b"{4}\r\na\r\nb"
    assert string(b"\n") == b"{1}\r\n\n"
    assert string(b'a"b\\c') == b'"a\\"b\\\\c"'
    assert string(b"") == b'""'
    assert string(b"x" * 1024) == b'"' + b"x" * 1024 + b'"'
    assert string(b"x" * 1025) == b"{1025}\r\n" + b"x" * 1025
    assert nstring(None) == b"NIL"
    assert nstring(b"NIL") == b'"NIL"'


@given(st.binary(max_size=40))
def test_any_string_can_be_read_again(value):
    assert read(string(value)) == value.replace(b"\0", b" ")


def test_first_of_repeated_texts_and_all_of_repeated_addresses():
    found = envelope("Subject: one\nSubject: two\nTo: a@b\nTo: c@d\n")
    assert found[1] == b"one"
    assert found[5] == [[None, None, b"a", b"b"], [None, None, b"c", b"d"]]


def test_a_field_of_a_million_addresses_is_cut():
    found = envelope(b"To: " + b"a," * 200_000 + b"\r\n")
    assert len(found[5]) == 10_000
    check_envelope(found)


# BODY and BODYSTRUCTURE


def test_the_bodies_of_rfc_3501_section_7():
    text = "Content-Type: TEXT/PLAIN; CHARSET=US-ASCII\n\n" + "x\n" * 48
    assert body(text) == b'("text" "plain" ("charset" "US-ASCII") NIL NIL "7bit" 144 48)'
    text = crlf(
        "Content-Type: multipart/mixed; boundary=b\n\n--b\nContent-Type: text/plain; charset=us-ascii\n\none\n\n"
        "--b\nContent-Type: text/plain; charset=us-ascii; name=cc.diff\n"
        "Content-ID: <960723163407.20117h@cac.washington.edu>\nContent-Description: Compiler diff\n"
        "Content-Transfer-Encoding: BASE64\n\nAAAA\n\n--b--\n"
    )
    assert body(text) == (
        b'(("text" "plain" ("charset" "us-ascii") NIL NIL "7bit" 5 1)'
        b'("text" "plain" ("charset" "us-ascii" "name" "cc.diff") "<960723163407.20117h@cac.washington.edu>" '
        b'"Compiler diff" "base64" 6 1) "mixed")'
    )


def test_defaults():
    assert body("\nx\n") == b'("text" "plain" ("charset" "us-ascii") NIL NIL "7bit" 3 1)'
    assert body("Content-Type: text/html\n\n") == b'("text" "html" ("charset" "us-ascii") NIL NIL "7bit" 0 0)'
    assert body("Content-Type: text/html; format=flowed\n\n") == (
        b'("text" "html" ("charset" "us-ascii" "format" "flowed") NIL NIL "7bit" 0 0)'
    )
    assert body("Content-Type: image/png\n\n") == b'("image" "png" NIL NIL NIL "7bit" 0)'
    assert body("Content-Type: nonsense\n\n") == b'("text" "plain" ("charset" "us-ascii") NIL NIL "7bit" 0 0)'


# IMAP trap 34: an encoding always
@pytest.mark.parametrize("field", ["", " ", ";", "(comment)", '""'])
def test_encoding_is_never_nil_nor_empty(field):
    assert b'"7bit" 0 0' in body(f"Content-Transfer-Encoding: {field}\n\n")


# IMAP trap 34: parameters have values
@pytest.mark.parametrize(
    ("field", "expected"),
    [
        ("text/plain; charset", b'("charset" "us-ascii")'),
        ("text/plain; charset=", b'("charset" "")'),
        ("text/plain; boundary; charset=x", b'("charset" "x")'),
        ("image/png; name", b"NIL"),
        ("image/png; =x", b"NIL"),
        ("image/png;;; ;", b"NIL"),
        ('image/png; name="a\\"b"', b'("name" "a\\"b")'),
        ('image/png; name="a', b'("name" "a")'),
        ("image/png; name=a; NAME=b", b'("name" "a")'),
        ("image/png; name*0=a; name*1=b", b'("name" "ab")'),
        ("image/png; name*1*=%20b; name*0*=utf-8''a", b'("name*" "utf-8\'\'a%20b")'),
        ("image/png; name=é", '("name" {2}\r\né)'.encode()),
    ],
)
def test_parameters_always_have_values(field, expected):
    kind = field.partition("/")[0].encode()
    assert body(f"Content-Type: {field}\n\n").split(b" ", 2)[2].startswith(expected), kind


# IMAP trap 33: message/rfc822
def test_message_part_carries_envelope_body_and_lines():
    text = "Content-Type: message/rfc822\n\nSubject: in\nFrom: a@b\n\none\ntwo\n"
    assert body(text) == (
        b'("message" "rfc822" NIL NIL NIL "7bit" 36 (NIL "in" ((NIL NIL "a" "b")) ((NIL NIL "a" "b")) '
        b'((NIL NIL "a" "b")) NIL NIL NIL NIL NIL) ("text" "plain" ("charset" "us-ascii") NIL NIL "7bit" 10 2) 5)'
    )
    assert body("Content-Type: message/global\n\nSubject: x\n") == b'("message" "global" NIL NIL NIL "7bit" 12)'
    # Other message types are plain leaves (RFC 3501 9 body-type-basic).
    assert body("Content-Type: message/delivery-status\n\nx: y\n") == (
        b'("message" "delivery-status" NIL NIL NIL "7bit" 6)'
    )


# IMAP trap 34: extension data
def test_extension_data_stands_in_bodystructure_only():
    text = crlf(
        "Content-Type: text/plain; charset=x\nContent-MD5: Q2hlY2s=\nContent-Language: en, de\n"
        'Content-Disposition: Attachment; filename="a b"; size=3\nContent-Location: http://x/\n\n'
    )
    assert structure(text) == (
        b'("text" "plain" ("charset" "x") NIL NIL "7bit" 0 0 "Q2hlY2s=" '
        b'("attachment" ("filename" "a b" "size" "3")) ("en" "de") "http://x/")'
    )
    assert body(text) == b'("text" "plain" ("charset" "x") NIL NIL "7bit" 0 0)'
    text = crlf(
        "Content-Type: multipart/alternative; boundary=b\nContent-Disposition: inline\nContent-Language: en\n\n--b\n"
    )
    assert structure(text) == (
        b'(("text" "plain" ("charset" "us-ascii") NIL NIL "7bit" 0 0 NIL NIL NIL NIL) "alternative" '
        b'("boundary" "b") ("inline" NIL) "en" NIL)'
    )


def test_sizes_are_those_of_the_encoded_body():
    text = b"Content-Transfer-Encoding: base64\r\n\r\nAAAA\r\nBBBB\r\n"
    assert body(text).endswith(b'"base64" 12 2)')
