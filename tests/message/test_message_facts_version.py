"""Whoever changes what the scanner finds raises FACTS_VERSION: else mail that is there already keeps what was found before."""

import hashlib

import pytest

from mailnode.message.scanner import read_facts
from mailnode.values.facts import FACTS_VERSION

MULTIPART = (
    b"Subject: m\r\nContent-Type: multipart/mixed; boundary=B\r\n\r\npreamble\r\n--B\r\n%s\r\n--B--\r\nepilogue\r\n"
)
MESSAGES = {
    "a plain one": b"From: A <a@b.test>\r\nTo: c@d.test, e@f.test\r\nSubject: Re: x\r\nDate: 1 Feb 2023 03:04:05 +0100\r\n"
    b"Message-ID: <1@b.test>\r\nReferences: <0@b.test>\r\n\r\nhello\r\n",
    "a comma in an encoded word": b"From: =?utf-8?q?Doe,_Alice?= <a@b.test>\r\n\r\n",
    "words without an address": b"From: a b c@x.test\r\nTo: Undisclosed:;\r\nCc: (c) x@y.test (d)\r\n\r\n",
    "a literal and odd dots": b"From: x@[127.0.0.1]\r\nTo: a..b@x.test, name.@y.test\r\n\r\n",
    "a misspelt encoding": b"Content-Transfer-Encoding: 8-bit\r\n\r\nx\r\n",
    "an encoding in an encoded word": b"Content-Transfer-Encoding: =?utf-8?Q?8bit?=\r\n\r\nx\r\n",
    "a message in base64": MULTIPART
    % b"Content-Type: message/rfc822\r\nContent-Transfer-Encoding: base64\r\n\r\nU3ViamVjdDogaQ==",
    "a message": MULTIPART % b"Content-Type: message/rfc822\r\n\r\nSubject: in\r\nFrom: i@j.test\r\n\r\nx",
    "message/global": MULTIPART % b"Content-Type: message/global\r\n\r\nSubject: in\r\n\r\nx",
    "message/partial": b'Content-Type: message/partial; id="a"; number=1; total=2\r\n\r\nSubject: in\r\n\r\nx\r\n',
    "a digest": b"Content-Type: multipart/digest; boundary=B\r\n\r\n--B\r\n\r\nSubject: in\r\n\r\nx\r\n--B--\r\n",
    "a file name in pieces": MULTIPART
    % b"Content-Disposition: attachment; filename*0*=utf-8''%c3%bc; filename*1=b.pdf\r\n\r\nx",
    "a closing delimiter that goes on": MULTIPART % b"\r\none\r\n--B--x",
    "no parts": b"Content-Type: multipart/mixed; boundary=B\r\n\r\nno delimiter\r\n",
    "no boundary": b"Content-Type: multipart/mixed\r\n\r\nx\r\n",
    "lone carriage returns": b"Subject: cr\r\nX-A: one\rtwo: injected\r\n\r\nbin\r\r\nary\rx\r\n",
    "no empty line": b"Subject: x\r\nFrom: a@b.test",
    "octets over 127": b"Subject: caf\xc3\xa9 \xff\r\nFrom: \xc3\xbc@b.test\r\n\r\n\xff\r\n",
    "nothing": b"",
}
FOUND = {2: "1fe25ce4f5c72f4c", 3: "eb7b915ec12f69df"}  # digest of all that is found in these, by version


@pytest.fixture(scope="module")
def digest():
    found = hashlib.sha256()
    for content in MESSAGES.values():
        found.update(repr(read_facts(content)[1:]).encode())
    return found.hexdigest()[:16]


def test_what_is_found_is_that_of_this_version(digest):
    assert digest == FOUND.get(FACTS_VERSION), "raise FACTS_VERSION, and write down the digest under its number"


def test_no_version_is_without_a_digest():
    assert max(FOUND) == FACTS_VERSION
