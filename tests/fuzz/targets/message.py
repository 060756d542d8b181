"""Messages as strangers write them: their parts, fields and texts."""

from __future__ import annotations

import re

from imap_grammar import check_facts

from mailnode.errors import BadAddress
from mailnode.imap.messages.judging import judge_wholes
from mailnode.imap.messages.search_keys import InText
from mailnode.message import headers
from mailnode.message.addresses import MAX_ADDRESSES, display_text, mailboxes, parse_addresses
from mailnode.message.authors import UnclearAuthor, answering, authors
from mailnode.message.authres import payload, read_results, said_by
from mailnode.message.binary_mime import are_lines, to_lines
from mailnode.message.dates import format_date, parse_date
from mailnode.message.fuzzy import LookedInto, words_of
from mailnode.message.lineends import LineEnds, to_crlf
from mailnode.message.listed import notices_owed
from mailnode.message.parameters import decode_parameter, parse_disposition, parse_media_type
from mailnode.message.pieces import searched_pieces
from mailnode.message.places import field_at, places
from mailnode.message.reports import envelope_ids, failures, locate
from mailnode.message.scanner import kept_fields, scan, with_global_messages
from mailnode.message.search_text import fold, zone_texts
from mailnode.message.senders import sender_of
from mailnode.message.seven_bit import to_seven_bit
from mailnode.message.sortkeys import message_ids, own_message_id
from mailnode.message.subject import base_subject
from mailnode.message.text import header_text, html_text
from mailnode.message.tokens import words_in
from mailnode.message.transfer import decode_transfer
from mailnode.message.transfer_pieces import piece_decoder
from mailnode.message.vouched_sender import may_be_forged
from mailnode.message.vouching import TRUSTED, trusted_sealer, vouched
from mailnode.message.words import clean, codec_for, decode_bytes, decode_words
from mailnode.smtp.trace import without_forged
from mailnode.store.search.terms import patterns_of, terms_of
from mailnode.values.address import parse_address
from mailnode.values.authentication import AuthenticationResult
from mailnode.values.facts import decode_parts, encode_parts
from tests.fuzz.target import Target, each, pieces, variant

ENCODINGS = ("base64", "quoted-printable", "7bit", "x-uuencode", "binary")
CHARSETS = (
    "utf-8",
    "iso-2022-jp",
    "utf-7",
    "gb18030",
    "shift_jis",
    "x-unknown",
    "utf-16",
    "hz",
    "big5",
    "punycode",
    "idna",
    "rot13",
)


def message(data: bytes) -> None:
    """Scan a message; all that is told of it fits it, in what IMAP can say."""
    data = to_crlf(data)
    facts = scan(data)
    check_facts(facts, data)
    assert decode_parts(encode_parts(facts.parts)) == facts.parts
    decode_parts(with_global_messages(data)["parts"])
    kept_fields(data[: facts.header_size])
    words_in(data, facts.header_size, facts.parts)
    found = locate(encode_parts(facts.parts))
    if found is not None:
        (status, octets), (original, more) = found
        failures(data[status : status + octets])
        envelope_ids(data[original : original + more])


def texts(data: bytes) -> None:
    """Decode all texts of a message, and look for one: what the index says cannot be in it is not."""
    bits, data = variant(data)
    data = to_crlf(data)
    facts = scan(data)
    header = data[: facts.header_size]
    pieces_of = [(one.part, data[one.start : one.end], one.in_body) for one in searched_pieces(facts.parts)]
    zones = zone_texts(header, pieces_of)
    everything = "\n".join(text for zone in zones for text in zone)
    at = len(everything) * bits // 256
    needle = everything[at : at + 8]
    terms = b"\n" + b"\n".join(terms_of(everything)) + b"\n"
    assert all(pattern.octets in terms for pattern in patterns_of(needle))
    key = InText(needle)
    assert len(judge_wholes([key], [(0, header, encode_parts(facts.parts), data)])) == 1
    text = LookedInto(everything)
    assert all(0 <= text.nearness(word) <= 100 for word in words_of(needle) or ("x",))


def header(data: bytes) -> None:
    """Read and edit a header block: what stands on top stays on top, what is taken out is out."""
    block = headers.repair(data)
    block = block[: headers.header_end(block)]
    assert (b"\r\n" + block).endswith(b"\r\n\r\n")
    fields = list(headers.fields(block))
    assert all(block[field.start : field.end] == field.raw for field in fields)
    names = headers.field_names(block)
    assert len(names) == len(fields)
    assert b"subject" not in [name.lower() for name in headers.field_names(headers.remove(block, [b"subject"]))]
    on_top = headers.insert_on_top(block, [b"X-A: b\r\n"])
    assert headers.first(on_top, b"x-a") is not None
    for name, found in places(block).items():
        assert [field_at(block, name, place).name.lower() for place in found] == [name] * len(found)
    without = without_forged(block, frozenset(name.lower() for name in names), "mx.us.test")
    assert said_by("mx.us.test", without) == []
    header_text(block)
    own_message_id(block)
    notices_owed([name.lower() for name in names], block, parse_address("owner@x.test"))
    sender_of("mx.us.test", block)
    assert b"\r\n" not in headers.unfold(data) and b"\n" not in headers.one_line(data)


def addresses(data: bytes) -> None:
    """Read a list of addresses."""
    items = parse_addresses(data)
    limited = parse_addresses(data, 3)
    assert len(list(mailboxes(limited))) <= 3
    assert (
        sum(len(box.local) + len(box.domain) + len(box.display or b"") for box in mailboxes(items))
        <= 2 * len(data) + 10
    )
    for box in mailboxes(items):
        display_text(box)
    assert len(parse_addresses(data, MAX_ADDRESSES)) <= 2 * MAX_ADDRESSES


def strict_authors(data: bytes) -> None:
    """Read strictly who answers for a message."""
    block = headers.repair(b"From: " + data)
    for found in answering(block):
        assert found is not None
    for address in authors(block):
        written = str(address)  # its domain may be none: then nobody may send as it
        assert parse_address(written).key == address.key


def date(data: bytes) -> None:
    """Read a date; written by us it is the same one."""
    found = parse_date(data)
    if found is not None:
        microseconds, offset = found
        again = parse_date(format_date(microseconds / 1_000_000, offset))
        assert again == found or abs(offset) >= 24 * 60


def encoded_words(data: bytes) -> None:
    """Decode encoded words: what comes out is text of about the same size."""
    text = decode_words(data)
    assert len(text) <= 4 * len(data) + 10
    text.encode("utf-8")
    assert len(base_subject(text)[0]) <= len(text)
    assert len(message_ids(data)) <= len(data)


def charset(data: bytes) -> None:
    """Decode octets from any character set."""
    bits, octets = variant(data)
    name, _, rest = octets.partition(b"\n")
    for chosen in (CHARSETS[bits % len(CHARSETS)], name.decode("latin-1")[:100]):
        codec_for(chosen)
        text = decode_bytes(rest, chosen)
        clean(text).encode("utf-8")
        fold(text)


def parameters(data: bytes) -> None:
    """Read Content-Type and Content-Disposition."""
    media, disposition = parse_media_type(data), parse_disposition(data)
    for found in (media.parameters if media else (), disposition[1] if disposition else ()):
        assert len(found) <= 200
        for name, _ in found:
            decode_parameter(found, name.removesuffix(b"*")).encode("utf-8")


def html(data: bytes) -> None:
    """Strip HTML: no more text comes out than went in, character references aside."""
    markup = data.decode("utf-8", "replace")
    targets: list[str] = []
    text = html_text(markup, targets)
    assert len(text) + sum(map(len, targets)) <= 3 * len(markup) + 10


def transfer(data: bytes) -> None:
    """Undo a transfer encoding, whole and in pieces: both come to the same."""
    bits, body = variant(data)
    encoding = ENCODINGS[bits % len(ENCODINGS)]
    whole, decoder = decode_transfer(body, encoding), piece_decoder(encoding)
    assert (whole is None) == (decoder is None)
    if decoder is not None:
        assert b"".join([*map(decoder.decode, pieces(body)), decoder.finish()]) == whole


def made_anew(data: bytes) -> None:
    """Say a message in lines, and in ASCII, for who takes nothing else."""
    said = to_lines(data)
    if said is not None:
        assert are_lines(said) and said.endswith(b"\r\n")
        in_ascii = to_seven_bit(said)
        assert in_ascii is None or in_ascii.isascii()
        check_facts(scan(said), said)
    ends = LineEnds()
    converted = b"".join([*map(ends.convert, pieces(data)), ends.finish()])
    assert converted == to_crlf(data if data.endswith(b"\n") or not data else data.removesuffix(b"\r") + b"\r\n")


def results(data: bytes) -> None:
    """Read what others found out about a message, and write their words as a reason and as a property of ours."""
    found = read_results(data)
    ours = [AuthenticationResult("spf", "fail", (("smtp.mailfrom", one.result),), one.reason) for one in found]
    assert re.fullmatch(r"mx\.us\.test;(?: none|(?:\r\n [ -~]+;?)*)", payload("mx.us.test", ours))
    trusted_sealer(found)
    may_be_forged(parse_address("a@x.test"), found)
    passed = AuthenticationResult("arc", "pass", ((TRUSTED, "x.test"),))
    vouched(headers.repair(b"ARC-Authentication-Results: i=1; " + data), [passed])


def notice(data: bytes) -> None:
    """Read what a notice of another server says."""
    for found in failures(data):
        assert found.status.startswith("5.") and len(found.reply) <= 500
    assert all(len(one) == 20 for one in envelope_ids(data))


MIXED = b"""Received: from a by b id 0123456789abcdefghij; Mon, 1 Jan 2024 00:00:00 +0000\r
From: "A \\"q\\"" <a@x.test>, G: b@y.test, c@z.test;\r
To: =?utf-8?q?=C3=A4?= <d@x.test> (comment)\r
Subject: Re: [list] =?iso-8859-1?B?5Pb8?=\r
Date: Mon, 1 Jan 2024 00:00:00 +0100 (CET)\r
Message-ID: <1@x.test>\r
References: <0@x> <00@x>\r
MIME-Version: 1.0\r
Content-Type: multipart/mixed; boundary="b 1"; charset*0*=utf-8''%41; charset*1=b\r
\r
preamble\r
--b 1\r
Content-Type: multipart/alternative; boundary=c\r
\r
--c\r
Content-Type: text/plain; charset=iso-2022-jp; format=flowed\r
Content-Transfer-Encoding: quoted-printable\r
\r
=1B$B$3=1B(B =\r
> quoted\r
-- \r
signed\r
--c\r
Content-Type: text/html\r
Content-Transfer-Encoding: base64\r
\r
PGEgaHJlZj0ieCI+YSZhbXA7PC9hPjxzY3JpcHQ+eDwvc2NyaXB0Pg==\r
--c--\r
--b 1\r
Content-Type: message/rfc822\r
Content-Disposition: attachment; filename="a b.eml"; size=3\r
\r
Subject: inner\r
\r
body\r
--b 1--\r
epilogue\r
"""
REPORT = b"""Subject: failed\r
Content-Type: multipart/report; report-type=delivery-status; boundary=r\r
\r
--r\r
\r
it failed\r
--r\r
Content-Type: message/delivery-status\r
\r
Reporting-MTA: dns; x\r
\r
Final-Recipient: rfc822; a@x.test\r
Action: failed\r
Status: 5.0.0\r
Diagnostic-Code: smtp; 550 5.1.1 nobody\r
\r
--r\r
Content-Type: text/rfc822-headers\r
\r
Received: from a by b id 0123456789abcdefghij; x\r
\r
--r--\r
"""
STATUS = REPORT.partition(b"delivery-status\r\n\r\n")[2].partition(b"--r")[0]
WORDS = (
    *each(
        b"""
\r\n
\r\n\r\n
\r\n--b 1\r\n
\r\n--b 1--
\r\n--c\r\n
Content-Type: multipart/mixed; boundary=c\r\n\r\n
Content-Type: message/rfc822\r\n\r\n
Content-Type: message/global\r\n
Content-Type: multipart/digest; boundary="b 1"\r\n
Content-Transfer-Encoding: base64\r\n
Content-Transfer-Encoding: quoted-printable\r\n
; charset=utf-7
; name*0*=''%ff
=?utf-8?q?
=?utf-8?b?4pyT?=
?=
Subject:\x20
From:\x20
<a@x.test>
=E2=82
&#x41;
"""
    ),
    *(
        b"\r",
        b"\n",
        b"\0",
        b"(",
        b")",
        b'"',
        b"\\",
        b";",
        b"=",
        b"\xff",
        b"\xc3\xa9",
        b"\x1b$B",
        b"boundary=",
        b" ",
        b"\t",
    ),
)

TARGETS = (
    Target("message", message, (MIXED, REPORT, b"", b"a: b", b"\r\n\r\n", b"Subject: x\n\nbare\n"), words=WORDS),
    Target("message_texts", texts, (b"\0" + MIXED, b"\x80" + REPORT, b"\xff" + MIXED), words=WORDS),
    Target(
        "header",
        header,
        (
            MIXED[:600],
            b"From x\r\na: b\r\n",
            b"Authentication-Results: mx.us.test; spf=pass\r\nA: b\r\n\r\n",
            b"List-Id: <x>\r\nTo: owner@x.test\r\n\r\n",
        ),
        words=(
            *WORDS,
            b"Authentication-Results: ",
            b"mx.us.test",
            b"Precedence: bulk\r\n",
            b"X-Mailnode-Reason: x\r\n",
            b"From ",
        ),
    ),
    Target(
        "addresses",
        addresses,
        (
            b'"A" <a@x>, b@y (c), G: d@z;',
            b"<@r1,@r2:u@h>",
            b"a@b <c@d>",
            b"=?utf-8?q?x?= <a@[1.2.3.4]>",
            b'"a\\"b"@c . d',
            b"undisclosed-recipients:;",
        ),
        words=tuple(bytes([octet]) for octet in b'<>@,:;()"\\[] \t.a') + (b"=?utf-8?q?,?=", b"<@a:", b"\0"),
    ),
    Target(
        "authors",
        strict_authors,
        (
            b"a@x.test\r\n\r\n",
            b'"A" <a@x.test>, B <b@y.test>\r\nSender: c@x.test\r\n\r\n',
            b"a@x.test\r\nResent-From: r@x.test\r\n\r\n",
            b"G: a@x;\r\n\r\n",
        ),
        errors=(UnclearAuthor, BadAddress),
        words=(*WORDS, b"Resent-Sender: ", b"Sender: ", b"Resent-Date: x\r\n", b"@"),
    ),
    Target(
        "date",
        date,
        (
            b"Mon, 1 Jan 2024 00:00:00 +0100 (CET)",
            b"31 Dec 99 23:59:60 EST",
            b"1-Feb-2000 1:2 PM",
            b"1 jan 1900 (a(b)c) 00:00:00 -2359",
        ),
        words=(b"(", b")", b":", b"+", b"-", b"GMT", b"Feb", b"29", b"9999", b"1900", b"60", b"."),
    ),
    Target(
        "encoded_words",
        encoded_words,
        (b"=?utf-8?q?a_=C3=A4?= =?iso-8859-1?B?5A==?= x", b"Re: [a] Re[2]: (fwd) x (fwd)", b"<1@x> <2@y>"),
        words=WORDS,
    ),
    Target(
        "charset",
        charset,
        tuple(bytes([n]) + b"utf-8\n\x1b$B$3\x1b(B \xe4\xf6 +AGE- ~{<:~}" for n in range(len(CHARSETS))),
        words=WORDS,
    ),
    Target(
        "parameters",
        parameters,
        (
            b"text/plain; charset=\"utf-8\"; name*0*=utf-8''%c3; name*1*=%a4; name*2=x",
            b"attachment; filename=a (c).txt; ; x",
            b"a/b;n*=x'y'z",
        ),
        words=(b";", b"=", b'"', b"*0*=", b"*1=", b"*=", b"%c3", b"''", b"(", b")", b"\\", b"x=y;", b"name"),
    ),
    Target(
        "html",
        html,
        (
            b"<html><body><a href=\"http://x\">a&amp;b</a><!-- c --><style>d</style><img alt='e' src=f></body>",
            b"<script>x</script>a&#65;&nosuch;<",
        ),
        words=each(b"<\n>\n<!--\n-->\n<script\n</script>\n<a href=\n href=\"\n alt='\n\"\n'\n&#\n&lt;\n/\n=\n "),
    ),
    Target(
        "transfer",
        transfer,
        tuple(bytes([n]) + b"aGVsbG8=\r\nd29ybGQ=\r\n=C3=A4=\r\nx=3D\r\n" for n in range(5)),
        words=(b"=", b"==", b"=\r\n", b"=4", b"\r", b"\n", b"A", b" \r\n"),
    ),
    Target(
        "made_anew",
        made_anew,
        (MIXED, MIXED.replace(b"body", b"b\xc3\xa4\0\nx" + b"y" * 1200), b"a: b\n\nc\n"),
        words=WORDS,
    ),
    Target(
        "results",
        results,
        (
            b'mx.x.test 1; spf=pass smtp.mailfrom=a@x; dkim=fail (bad) header.d=x.test reason="no; key"',
            b"i=1; x; arc=pass header.oldest-pass=0",
        ),
        words=(b";", b"=", b'"', b"\\", b"(", b")", b"spf=", b"header.", b"/1", b" ", b"reason=", b"arc=pass", b"\xff"),
    ),
    Target(
        "notice",
        notice,
        (STATUS, STATUS * 2),
        words=(*WORDS, b"Status: 5.1.1\r\n", b"Action: failed\r\n", b"5.0.0", b"smtp; 550 5.7.1 "),
    ),
)
