"""Parts of messages: tests of them, loops over them, what replaces and encloses them (RFC 5703)."""

import re
from email import message_from_bytes

import pytest

from tests.sieve.support import MESSAGE, PARTS, actions, content, filed, holds, mistakes, run


def test_a_part_is_replaced():
    script = (
        'require ["mime", "foreverypart", "replace"];'
        'foreverypart { if header :mime :contenttype "content-type" "application/pdf" { replace "was here"; } }'
    )
    body = content(script, PARTS).body
    assert b"was here" in body and b"PDF" not in body and b"Hello" in body and b"<p>rich" in body


def test_the_whole_is_replaced():
    edited = content('require "replace"; replace :subject "new" "text";', PARTS)
    assert b"Original-Subject: parts\r\n" in edited.header and b"\r\nSubject: new\r\n" in edited.header
    assert b"multipart" not in edited.header and edited.body == b"text"


LOOP = 'require ["mime", "foreverypart", "replace", "enclose", "fileinto", "variables", "extracttext"];'


def test_a_message_is_enclosed():
    """RFC 5703 6: who it is for and now, but for fields that are named, which are copied."""
    edited = content('require "enclose"; enclose :subject "[spam] é" "look\nout";', MESSAGE)
    names = [line.partition(b":")[0] for line in edited.header.split(b"\r\n")]
    assert names == [b"From", b"Date", b"Subject", b"MIME-Version", b"Content-Type", b"", b""]
    assert b"From: <me@example.com>\r\nDate: Mon, 30 Nov 2026 08:15:30 +0000\r\nSubject: =?utf-8?" in edited.header
    message = message_from_bytes(edited.header + edited.body)
    text, enclosed = message.get_payload()
    assert text.get_payload(decode=True) == b"look\r\nout"
    assert enclosed.get_content_type() == "message/rfc822" and MESSAGE.encode() in edited.body


def test_fields_that_are_named_stand_around_what_is_enclosed():
    script = 'require "enclose"; enclose :headers ["from", "X-Multi", "content-type", "nothing"] "x";'
    header = content(script, MESSAGE.replace("X-Multi", "Content-Type: text/plain\r\nX-Multi", 1)).header
    assert b"From: Bob <bob+work@Example.com>\r\n" in header and b"me@example.com" not in header
    assert b"X-Multi: one\r\nX-Multi: two\r\n" in header and b"\r\nSubject: Hello World\r\n" in header
    assert header.count(b"Content-Type") == 1 and b"text/plain" not in header
    assert "is no name of a header field" in mistakes('require "enclose"; enclose :headers "a b" "x";')[0]


def test_a_message_without_a_recipient_is_enclosed_with_its_author():
    assert b"From: Bob" in content('require "enclose"; enclose "x";', MESSAGE, recipient="").header


def test_what_is_sent_on_is_not_enclosed():
    script = 'require ["editheader", "enclose", "copy"]; addheader "X-A" "b"; redirect :copy "a@b.example";'
    script += 'enclose "x"; addheader "X-B" "c"; enclose "y"; redirect :copy "c@d.example";'
    before, after, kept = actions(script)
    assert after.content == before.content != kept.content
    assert after.content.header.startswith(b"X-A: b\r\n") and kept.content.body.count(b"message/rfc822") == 2


def test_after_an_enclosure_tests_see_what_encloses():
    script = LOOP + 'enclose "x"; foreverypart { if header :mime :subtype "content-type" "rfc822" { fileinto "yes"; } }'
    assert filed(script) == ["yes"]


@pytest.mark.parametrize(
    "inside",
    ['replace "z";', 'extracttext "t";', "foreverypart { discard; }", 'if header :mime :contains "x" "" {}'],
)
def test_a_loop_ends_where_the_message_became_another(inside):
    nested = PARTS.replace("text/html\r\n", "multipart/mixed; boundary=c\r\n\r\n--c\r\n\r\nx\r\n--c--\r\n")
    test = 'header :mime :is "content-type" ""'
    found = run(
        LOOP + f'foreverypart {{ if not {test} {{ if exists :mime "x" {{}} }} else {{ enclose "y"; {inside} }} }}',
        nested,
    )
    assert found.failure is None


def test_what_was_replaced_is_no_longer_gone_through():
    """RFC 5703 5: the loop that runs does not go into parts that are no more, nor into those that are new."""
    nested = (
        "Content-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\nContent-Type: multipart/x; boundary=c\r\n\r\n"
        "--c\r\n\r\none\r\n--c\r\n\r\ntwo\r\n--c--\r\n--b\r\nContent-Type: a/b\r\n\r\nthree\r\n--b--\r\n"
    )
    made = "Content-Type: multipart/y; boundary=d\r\n\r\n--d\r\nContent-Type: c/d\r\n\r\nfour\r\n--d--\r\n"
    script = LOOP + (
        'foreverypart { if header :mime :subtype "content-type" "x" { replace :mime "' + made + '"; }'
        ' if header :mime :matches :contenttype "content-type" "*" { set "seen" "${seen} ${1}"; }'
        ' else { set "seen" "${seen} none"; } }'
        ' foreverypart { if header :mime :contenttype "content-type" "c/d" { fileinto "${seen}"; } }'
    )
    assert filed(script, nested) == [" multipart/mixed multipart/y a/b"]


@pytest.mark.parametrize(
    ("command", "told"),
    [
        ('replace :mime :subject "a" "b";', ":subject and :mime exclude each other"),
        ('replace :mime :from "a@b.example" "b";', ":from and :mime exclude each other"),
        ('replace :from "nobody" "b";', '"nobody" is no address'),
        ('foreverypart :name "a" { break :name "b"; }', 'no loop around this break is named "b"'),
    ],
)
def test_what_is_no_way_to_replace_or_to_break(command, told):
    assert mistakes(LOOP + command)[0].partition(" ")[2] == told


def test_who_a_replaced_message_is_from():
    script = 'require "replace"; replace :from "Jürgen <a@b.example>" "x";'
    header = content(script, "From: =?utf-8?q?=C3=A4?= <c@d.example>\r\nTo: e@f.example\r\n\r\ny").header
    assert b"Original-From: =?utf-8?q?=C3=A4?= <c@d.example>\r\n" in header
    assert re.search(rb"\r\nFrom: =\?utf-8\?\S+ <a@b.example>\r\n", header)
    script = 'require ["replace", "variables"]; set "f" "nobody"; replace :from "${f}" "x";'
    assert "is no address" in run(script).failure.text


def test_what_a_message_was_called_and_from_is_not_taken_out():
    script = 'require ["replace", "editheader"]; replace :subject "new" "x"; deleteheader "original-subject";'
    assert b"Original-Subject: parts\r\n" in content(script, PARTS).header


def test_breaks_with_names():
    script = LOOP + 'foreverypart :name "a" { foreverypart :name "b" { break :name "a"; } fileinto "never"; }'
    assert filed(script, PARTS) == ["(keep)"]
    script = LOOP + 'foreverypart :name "a" { foreverypart :name "a" { break :name "a"; } fileinto "outer"; break; }'
    assert filed(script, PARTS) == ["outer"]


@pytest.mark.parametrize(
    ("test", "expected"),
    [
        ('header :mime :type "subject" ""', True),
        ('header :mime :contenttype "x-a" ""', True),
        ('header :mime :subtype "x-a" "png"', False),
        ('header :mime :param "name" "x-a" "n"', True),
        ('header :mime :anychild :type "content-disposition" "attachment"', True),
        ('header :mime :anychild :subtype "content-disposition" ""', True),
        ('header :mime :anychild :contenttype "content-disposition" "attachment"', True),
        ('header :mime :count "eq" :type ["x-a", "subject"] "0"', True),
        ('header :mime :anychild :count "eq" :type ["content-type", "content-disposition"] "5"', True),
        ('header :mime :anychild :count "eq" :param "filename" "content-disposition" "1"', True),
        ('address :mime :all "content-from" "tim@example.com"', True),
        ('address :mime :domain "content-from" "example.com"', True),
    ],
)
def test_aspects_of_fields(test, expected):
    """RFC 5703 4.1 and 4.2"""
    message = "X-A: image/png; name=n\r\nContent-From: Tim <tim@example.com>\r\n" + PARTS
    assert holds(test, message, require="mime relational comparator-i;ascii-numeric") is expected


def test_text_is_taken_out():
    script = (
        'require ["mime", "foreverypart", "extracttext", "variables", "fileinto"];'
        'foreverypart { if header :mime :subtype "content-type" "plain" { extracttext :first 4 :upper "t"; } } fileinto "${t}";'
    )
    assert filed(script, PARTS) == ["HELL"]


def test_of_html_what_a_person_reads_is_taken_out():
    script = (
        'require ["mime", "foreverypart", "extracttext", "variables", "fileinto"];'
        'foreverypart { if header :mime :subtype "content-type" "html" { extracttext "t"; } } fileinto "${t}";'
    )
    assert filed(script, PARTS) == ["rich text"]


@pytest.mark.parametrize("script", ['extracttext "t";', "break;"])
def test_what_stands_in_a_loop_alone(script):
    assert (
        "should stand in a foreverypart"
        in mistakes(f'require ["foreverypart", "extracttext", "variables"]; {script}')[0]
    )
