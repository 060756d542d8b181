"""The scanner: parts and offsets, boundaries, limits, hostile input, linear work."""

import time

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from imap_grammar import check_facts

from mailnode.message import scanner
from mailnode.message.scanner import scan
from mailnode.message.sortkeys import own_message_id
from mailnode.values.facts import decode_parts, encode_parts


def crlf(text):
    return text.replace("\n", "\r\n").encode()


def outline(data):
    """(section, kind, header, body) of each part."""
    facts = scan(data)
    check_facts(facts, data)
    return [
        (part.section, part.kind, data[part.header_start : part.body_start], data[part.body_start : part.end])
        for part in facts.parts
    ]


def mixed(boundary, *parts, closing=True, header=b""):
    lines = [header + b'Content-Type: multipart/mixed; boundary="' + boundary + b'"\r\n\r\n']
    for part in parts:
        lines.append(b"--" + boundary + b"\r\n" + part + b"\r\n")
    if closing:
        lines.append(b"--" + boundary + b"--\r\n")
    return b"".join(lines)


def test_plain_message():
    data = crlf("Subject: x\n\nline one\nline two\n")
    assert outline(data) == [("", "leaf", b"Subject: x\r\n\r\n", b"line one\r\nline two\r\n")]
    part = scan(data).parts[0]
    assert (part.lines, part.content_type, part.encoding, part.charset) == (2, "text/plain", "7bit", "")


@pytest.mark.parametrize(
    ("data", "header", "body"),
    [
        (b"", b"", b""),
        (b"\r\n", b"\r\n", b""),
        (b"\r\nbody", b"\r\n", b"body"),
        (b"A: b\r\n\r\n", b"A: b\r\n\r\n", b""),
        (b"A: b\r\n", b"A: b\r\n", b""),
        (b"A: b", b"A: b", b""),
        (b"A: b\r\n\r\n\r\n\r\nx", b"A: b\r\n\r\n", b"\r\n\r\nx"),
        (b"no colon here\r\nA: b\r\n\r\nx", b"no colon here\r\nA: b\r\n\r\n", b"x"),
    ],
)
def test_where_the_header_ends(data, header, body):
    assert outline(data) == [("", "leaf", header, body)]


def test_multipart_with_preamble_and_epilogue():
    data = crlf(
        "Content-Type: multipart/mixed; boundary=b\n\npreamble\n--b\n\none\n"
        "--b\nContent-Type: text/html\n\n<p>\n\n--b--\nepilogue\n"
    )
    root, one, two = outline(data)
    assert one == ("1", "leaf", b"\r\n", b"one")
    assert two == ("2", "leaf", b"Content-Type: text/html\r\n\r\n", b"<p>\r\n")
    assert root[3].startswith(b"preamble") and root[3].endswith(b"epilogue\r\n")


def test_parts_of_every_awkward_shape():
    # empty part, part without header, header without body, white space behind a boundary, no preamble
    data = crlf("Content-Type: multipart/mixed; boundary=b\n\n--b\n--b\n\n--b\nA: b\n--b  \t\nA: b\n\n--b\n\nlast")
    assert outline(data)[1:] == [
        ("1", "leaf", b"", b""),
        ("2", "leaf", b"", b""),
        ("3", "leaf", b"A: b", b""),
        ("4", "leaf", b"A: b\r\n", b""),
        ("5", "leaf", b"\r\n", b"last"),
    ]


def test_nested_multipart_and_message_numbering():
    inner = mixed(b"i", b"\r\nalpha", b"\r\nbeta", header=b"Subject: inside\r\n")
    alone = b"Subject: alone\r\n\r\ntext"
    data = mixed(
        b"o",
        mixed(b"n", b"\r\nx", b"\r\ny"),
        b"Content-Type: message/rfc822\r\n\r\n" + inner,
        b"Content-Type: message/rfc822\r\n\r\n" + alone,
        b"Content-Type: message/rfc822\r\n\r\nContent-Type: message/rfc822\r\n\r\n" + alone,
    )
    found = {section: (kind, body) for section, kind, _, body in outline(data)}
    kinds = {section: kind for section, (kind, _) in found.items()}
    assert kinds == {
        "": "multipart",
        "1": "multipart",
        "1.1": "leaf",
        "1.2": "leaf",
        "2": "message",
        "2.TEXT": "multipart",
        "2.1": "leaf",
        "2.2": "leaf",
        "3": "message",
        "3.1": "leaf",
        "4": "message",
        "4.1": "message",
        "4.1.1": "leaf",
    }
    assert found["2"][1] == inner
    assert found["2.2"][1] == b"beta"
    assert found["3.1"][1] == b"text"
    assert found["4.1.1"][1] == b"text"


def test_whole_message_that_is_a_message():
    data = b"Content-Type: message/rfc822\r\n\r\nSubject: in\r\n\r\nbody"
    assert [part[:2] for part in outline(data)] == [("", "message"), ("1.1", "leaf")]
    data = b"Content-Type: message/rfc822\r\n\r\n" + mixed(b"i", b"\r\nx")
    assert [part[:2] for part in outline(data)] == [("", "message"), ("1.TEXT", "multipart"), ("1.1", "leaf")]


def test_the_inner_message_comes_right_after_its_part():
    data = mixed(b"o", b"Content-Type: message/rfc822\r\n\r\n" + mixed(b"i", b"\r\nx"))
    parts = scan(data).parts
    at = next(index for index, part in enumerate(parts) if part.kind == "message")
    assert parts[at + 1].header_start == parts[at].body_start
    assert parts[at + 1].end == parts[at].end


def test_digest_parts_are_messages_unless_they_say_otherwise():
    data = crlf(
        "Content-Type: multipart/digest; boundary=b\n\n--b\n\nSubject: one\n\nfirst\n--b\nContent-Type: text/plain\n\nx\n--b--\n"
    )
    assert [part[:2] for part in outline(data)] == [("", "multipart"), ("1", "message"), ("1.1", "leaf"), ("2", "leaf")]


@pytest.mark.parametrize(("outer", "inner"), [(b"b", b"bb"), (b"b", b"b-1"), (b"abc", b"abc--x"), (b"x", b"x y")])
def test_a_boundary_that_begins_another_one(outer, inner):
    data = mixed(outer, mixed(inner, b"\r\none", b"\r\ntwo"), b"\r\nthree")
    assert [(section, body) for section, kind, _, body in outline(data) if kind == "leaf"] == [
        ("1.1", b"one"),
        ("1.2", b"two"),
        ("2", b"three"),
    ]
    # and the other way round: the outer one is the longer
    data = mixed(inner, mixed(outer, b"\r\none"), b"\r\nthree")
    assert [(section, body) for section, kind, _, body in outline(data) if kind == "leaf"] == [
        ("1.1", b"one"),
        ("2", b"three"),
    ]


def test_what_is_not_a_delimiter():
    data = mixed(b"b", b"\r\n --b\r\nx--b\r\n--bx\r\n--b-\r\n--b -- \r\n\n--b\r\n--B")
    (_, leaf) = outline(data)
    assert leaf[3].endswith(b"--B")


def test_the_outer_boundary_ends_an_inner_part_that_was_never_closed():
    data = mixed(b"o", mixed(b"i", b"\r\none", closing=False).removesuffix(b"\r\n"), b"\r\ntwo")
    assert [(section, body) for section, kind, _, body in outline(data) if kind == "leaf"] == [
        ("1.1", b"one"),
        ("2", b"two"),
    ]


# IMAP trap 33: multiparts without parts
@pytest.mark.parametrize(
    "field",
    [
        "multipart/mixed",
        "multipart/mixed; boundary=",
        'multipart/mixed; boundary=""',
        "multipart/alternative; boundary=never",
    ],
)
def test_multipart_without_parts_stays_grammatical(field):
    data = crlf(f"Content-Type: {field}\n\nsome text\n")
    root, only = outline(data)
    assert root[1] == "multipart"
    assert only == ("1", "leaf", b"", b"some text\r\n")
    facts = scan(data)
    assert facts.body.startswith(b'(("text" "plain" ("charset" "us-ascii") NIL NIL "7bit" 11 1) "')


def test_unquoted_and_odd_boundaries():
    for field in ("boundary=b; x", "BOUNDARY = b", '; ;boundary="b"', "charset=x;boundary=b charset=y", "boundary*0=b"):
        data = crlf(f"Content-Type: multipart/mixed; {field}\n\n--b\n\none\n--b--\n")
        assert outline(data)[1][3] == b"one", field


@pytest.mark.parametrize("encoding", [b"base64", b"Quoted-Printable", b"quoted printable"])
def test_a_message_in_an_encoding_is_told_as_a_file(encoding):
    data = (
        b"Content-Type: message/rfc822; name=a.eml\r\nContent-Transfer-Encoding: " + encoding + b"\r\n\r\nU3ViamVj\r\n"
    )
    assert [part[:2] for part in outline(data)] == [("", "leaf")]
    assert scan(data).body.startswith(b'("application" "octet-stream" ("name" "a.eml") NIL NIL')
    assert scan(data).parts[0].content_type == "message/rfc822"


@pytest.mark.parametrize("encoding", [b"7bit", b"8-bit", b"binary", b"x-unknown"])
def test_a_message_in_no_encoding_is_told_as_a_message(encoding):
    data = b"Content-Type: message/rfc822\r\nContent-Transfer-Encoding: " + encoding + b"\r\n\r\nSubject: x\r\n\r\n"
    assert [part[:2] for part in outline(data)] == [("", "message"), ("1.1", "leaf")]


@pytest.mark.parametrize("line", [b"--B--x", b"--B-- x", b"--B----", b"--B--\tx\ty"])
def test_a_closing_delimiter_closes_whatever_follows_it_on_its_line(line):
    data = mixed(b"B", b"\r\none").replace(b"\r\n--B--", b"\r\n" + line + b"\r\nepilogue")
    assert [part[3] for part in outline(data)][1:] == [b"one"]


def test_lines_that_begin_like_closing_delimiters_of_parts_inside_cost_linear_work():
    inside = b"".join(b"\r\n--B--%d" % number for number in range(20_000))
    data = b"Content-Type: multipart/mixed; boundary=B\r\n\r\n" + inside + inside + b"\r\n--B\r\n\r\none\r\n--B--\r\n"
    assert [part[3] for part in outline(data)][1:] == [data[data.index(b"\r\n\r\n") + 4 :]]


def test_kept_fields_tell_whether_an_empty_line_ends_the_header():
    assert scan(b"To: a\r\nX: b\r\n\r\n").fields == scan(b"To: a\r\nX: b\r\n\r\nbody\r\n").fields == b"To: a\r\n"
    assert scan(b"To: a\r\nX: b\r\n").fields == scan(b"To: a").fields == b"To: a"


# SMTP trap 32: parts in parts
def test_depth_limit_leaves_an_opaque_leaf():
    data = b"\r\nend"
    for level in range(150):
        data = mixed(b"b%d" % level, data)
    facts = scan(data)
    check_facts(facts, data)
    assert len(facts.parts) == scanner.MAX_DEPTH + 1
    assert facts.parts[-1].content_type == "application/octet-stream"
    assert facts.parts[-1].kind == "leaf"


# SMTP trap 32: messages in messages, thousands
def test_message_depth_limit():
    data = b"Content-Type: message/rfc822\r\n\r\n" * 5000 + b"Subject: x\r\n\r\nbody"
    facts = scan(data)
    check_facts(facts, data)
    assert len(facts.parts) == scanner.MAX_DEPTH + 1
    assert facts.parts[-1].content_type == "application/octet-stream"


# SMTP trap 32: parts beside parts
def test_parts_limit_leaves_an_opaque_rest():
    data = mixed(b"b", *([b"\r\nx"] * 10_000))
    facts = scan(data)
    check_facts(facts, data)
    assert len(facts.parts) == scanner.MAX_PARTS + 1
    assert facts.parts[-1].content_type == "application/octet-stream"
    assert facts.parts[-1].end == len(data)
    assert facts.parts[-2].end - facts.parts[-2].body_start == 1


def test_parts_limit_deep_inside():
    inner = mixed(b"i", *([b"\r\nx"] * 2000))
    data = mixed(b"o", inner, b"\r\nafter", b"\r\nlast")
    facts = scan(data)
    check_facts(facts, data)
    assert len(facts.parts) <= scanner.MAX_PARTS + scanner.MAX_DEPTH


def test_header_block_limit():
    data = b"Subject: x\r\n" + b"X-Filler: " + b"y" * scanner.MAX_HEADER + b"\r\n\r\nbody"
    facts = scan(data)
    check_facts(facts, data)
    assert facts.header_size == len(b"Subject: x\r\n")
    assert facts.sort.subject == "x"
    one_line = b"X: " + b"y" * (2 * scanner.MAX_HEADER)
    assert scan(one_line).header_size == scanner.MAX_HEADER


def test_multipart_behind_a_header_over_the_limit_is_opaque():
    data = (
        b"Content-Type: multipart/mixed; boundary=b\r\nX: "
        + b"y" * scanner.MAX_HEADER
        + b"\r\n\r\n--b\r\n\r\nx\r\n--b--\r\n"
    )
    facts = scan(data)
    check_facts(facts, data)
    assert [part.content_type for part in facts.parts] == ["application/octet-stream"]


def test_many_large_headers_are_read_only_to_a_total(monkeypatch):
    monkeypatch.setattr(scanner, "MAX_HEADERS", 1000)
    part = b"Content-Type: text/html\r\nX: " + b"y" * 300 + b"\r\n\r\nbody"
    data = mixed(b"b", *([part] * 10))
    facts = scan(data)
    check_facts(facts, data)
    types = [part.content_type for part in facts.parts]
    assert types[1] == "text/html"
    assert types[-1] == "text/plain"


def test_work_limit_ends_in_an_opaque_leaf(monkeypatch):
    monkeypatch.setattr(scanner, "PASSES", 3)
    monkeypatch.setattr(scanner, "SMALL", 0)
    data = b"\r\n" + b"x" * 10_000
    for level in range(20):
        data = mixed(b"b%d" % level, data)
    facts = scan(data)
    check_facts(facts, data)
    assert len(facts.parts) < 6
    assert facts.parts[-1].content_type == "application/octet-stream"


def test_what_is_kept_of_a_part():
    data = crlf(
        'Content-Type: Text/HTML; Charset="UTF-8"\nContent-Transfer-Encoding: Quoted-Printable (really)\n'
        "Content-Disposition: ATTACHMENT; filename*=utf-8''%e2%82%ac%20rates.html\n\nx\n"
    )
    part = scan(data).parts[0]
    assert (part.content_type, part.charset, part.encoding) == ("text/html", "utf-8", "quoted-printable")
    assert (part.disposition, part.filename) == ("attachment", "€ rates.html")
    data = crlf('Content-Type: application/pdf; name="=?utf-8?q?=E2=82=AC.pdf?="\n\nx\n')
    assert scan(data).parts[0].filename == "€.pdf"
    assert scan(crlf("Content-Disposition: inline; filename=a(1) b.pdf\n\n")).parts[0].filename == "a(1) b.pdf"


def test_filename_is_bounded_and_printable():
    data = b"Content-Disposition: attachment; filename*=utf-8''" + b"%00%0d%0a%e2%80%ae" + b"x" * 1000 + b"\r\n\r\n"
    name = scan(data).parts[0].filename
    assert len(name) <= 255
    assert name.isprintable()


@pytest.mark.parametrize("field", ["", "text", "/", "text/", "x y/z", "\x01/\x02", "text/plain\x00", "a" * 200 + "/b"])
def test_unreadable_content_type_is_text(field):
    part = scan(f"Content-Type: {field}\r\n\r\nx".encode()).parts[0]
    assert part.content_type == "text/plain"


def test_kept_fields():
    data = crlf("Received: x\nFrom: a@b\nSubject: one\n two\nX-Other: y\nSUBJECT : three\n\nbody")
    assert scan(data).fields == crlf("From: a@b\nSubject: one\n two\nSUBJECT : three\n")
    assert scan(b"From: a@b").fields == b"From: a@b"


def test_parts_survive_encoding():
    parts = scan(mixed(b"b", b"Content-Type: message/rfc822\r\n\r\nA: b\r\n\r\nc", b"\r\nx")).parts
    assert decode_parts(encode_parts(parts)) == parts


# Hostile input

PIECES = st.sampled_from(
    [
        b"\r\n",
        b"\r\n\r\n",
        b"--b",
        b"--bb",
        b"--b--",
        b"Content-Type: multipart/mixed; boundary=b",
        b"Content-Type: multipart/mixed; boundary=bb",
        b'Content-Type: multipart/digest; boundary="b"',
        b"Content-Type: message/rfc822",
        b"Content-Disposition: attachment; filename*0*=x''%41; filename*1=",
        b'From: a:b,<@c:d@e>,"x',
        b"Subject: =?utf-8?q?=00?= =?utf-7?b?2AA=?=",
        b"Date: Fri, 31 Feb 99999 25:61:61 +9999",
        b"References: <a><b",
        b" ",
        b"\t",
        b":",
        b"\0",
        b"\xff",
        b"\r",
        b"\n",
        b"(",
        b'"',
        b"x",
    ]
)


@settings(max_examples=400)
@given(st.lists(PIECES, max_size=60).map(b"".join))
@example(b"Content-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\n--b\r\n\r\n--b--")
def test_no_message_of_mime_debris_raises_and_parts_tile(data):
    check_facts(scan(data), data)


@settings(max_examples=200)
@given(st.binary(max_size=400))
def test_no_octets_raise(data):
    check_facts(scan(data), data)


LEAVES = st.binary(max_size=20).filter(lambda octets: b"--" not in octets)
TREES = st.recursive(LEAVES, lambda inner: st.lists(inner, max_size=4), max_leaves=12)


@settings(max_examples=100)
@given(TREES)
def test_what_is_built_is_found(tree):
    count = 0

    def build(node):
        nonlocal count
        if isinstance(node, bytes):
            return b"\r\n" + node
        count += 1
        return mixed(b"bound%dary" % count, *[build(child) for child in node])

    def leaves(node):
        return [node] if isinstance(node, bytes) else [leaf for child in node for leaf in leaves(child)]

    def empty(node):
        return not isinstance(node, bytes) and (not node or any(empty(child) for child in node))

    data = build(tree)
    found = [body for _, kind, _, body in outline(data) if kind == "leaf"]
    if not empty(tree):
        assert found == leaves(tree)


def seconds(function, *arguments):
    best = 1e9
    for _ in range(3):
        start = time.thread_time()
        function(*arguments)
        best = min(best, time.thread_time() - start)
    return best


# SMTP trap 32: a boundary at every line
@pytest.mark.parametrize(
    "hostile",
    [
        lambda n: mixed(b"b", b"\r\n" + b"\r\n--bx" * n),
        lambda n: mixed(b"b", b"\r\n" + b"\r\n--" * n),
        lambda n: b"a:\r\n" * n + b"\r\n",
        lambda n: b" \r\n" * n + b"\r\n",
        lambda n: b"A:\r\n" + b" \r\n" * n + b"\r\n",
        lambda n: b"From: " + b"<" * n + b"\r\n\r\n",
        lambda n: b"From: " + b"(" * n + b"\r\n\r\n",
        lambda n: b"From: " + b"a@" * n + b"\r\n\r\n",
        lambda n: b"From: " + b"a " * n + b"\r\n\r\n",
        lambda n: b"From: " + b"<@a," * n + b"\r\n\r\n",
        lambda n: b"From: " + b"\\" * n + b"\r\n\r\n",
        lambda n: b'From: "' + b'\\"' * n + b"\r\n\r\n",
        lambda n: b"Subject: " + b"=?utf-8?q?a?= " * n + b"\r\n\r\n",
        lambda n: b"Subject: " + b"=?a?q?" * n + b"\r\n\r\n",
        lambda n: b"Subject: " + b"[a]" * n + b"\r\n\r\n",
        lambda n: b"Date: " + b" " * n + b"x\r\n\r\n",
        lambda n: b"References: " + b"<" * n + b"\r\n\r\n",
        lambda n: b"References: " + b"<a> " * n + b"\r\n\r\n",
        lambda n: b"Content-Type: text/plain" + b";a=" * n + b"\r\n\r\n",
        lambda n: b"Content-Type: text/plain" + b"; x" * n + b"\r\n\r\n",
        lambda n: b"Content-Type: text/plain; a=" + b"%" * n + b"\r\n\r\n",
        lambda n: b"Content-Type: text/plain " + b"(" * n + b"\r\n\r\n",
        lambda n: b"Content-Type: text/plain; " + b"a" * n + b"\r\n\r\n",
        lambda n: b"Content-Language: " + b"," * n + b"\r\n\r\n",
        lambda n: b"Content-Disposition: a; " + b"x*0*=a;" * n + b"\r\n\r\n",
    ],
)
def test_work_grows_with_the_size_alone(hostile):
    small, large = hostile(5_000), hostile(80_000)  # 16 times the size; quadratic work would be 256 times as long
    assert seconds(scan, large) < 16 * 5 * max(seconds(scan, small), 0.0005)


def test_five_megabytes_without_work_per_line():
    body = (b"A" * 76 + b"\r\n") * 64_000
    data = mixed(b"b", b"\r\nhi", b"Content-Transfer-Encoding: base64\r\n\r\n" + body)
    assert seconds(scan, data) < 50 * seconds(data.count, b"\r\n--x")


@given(
    st.lists(st.sampled_from([b"-", b"--", b"b", b"\r\n", b"\r\n--b"]), max_size=30),
    st.integers(0, 20),
    st.integers(0, 60),
    st.integers(0, 5),
)
def test_a_delimiter_is_found_where_bytes_find_finds_it(tokens, position, end, looked_at):
    data, needle = b"".join(tokens), b"\r\n--b"
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(scanner, "HYPHENS", looked_at)
        assert scanner._find_delimiter(data, needle, position, end) == data.find(needle, position, end)


@given(
    st.lists(
        st.sampled_from(
            [b"Message-ID: <a@b>", b"message-id : x <c> <d>", b"Subject: <e>", b"Message-Id:\r\n\t<\xff>", b"x"]
        ),
        max_size=4,
    )
)
def test_the_message_id_of_a_header_alone_is_that_of_the_facts(lines):
    header = b"\r\n".join([*lines, b"", b""])
    assert own_message_id(header) == scan(header + b"Message-ID: <body>\r\n\r\n").sort.message_id
