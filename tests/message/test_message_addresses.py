"""Address lists: the examples of RFC 5322 Appendix A, obsolete forms, broken and hostile ones."""

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mailnode.message.addresses import (
    Group,
    Mailbox,
    _Parser,
    display_text,
    mailboxes,
    parse_addresses,
)


def box(local, domain=b"", display=None, route=None):
    return Mailbox(display, route, local, domain)


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        # RFC 5322 A.1
        (b"John Doe <jdoe@machine.example>", [Mailbox(b"John Doe", None, b"jdoe", b"machine.example")]),
        (
            b'"Joe Q. Public" <john.q.public@example.com>',
            [Mailbox(b"Joe Q. Public", None, b"john.q.public", b"example.com")],
        ),
        (
            b"Mary Smith <mary@x.test>, jdoe@example.org, Who? <one@y.test>, "
            b'<boss@nil.test>, "Giant; \\"Big\\" Box" <sysservices@example.net>',
            [
                Mailbox(b"Mary Smith", None, b"mary", b"x.test"),
                Mailbox(None, None, b"jdoe", b"example.org"),
                Mailbox(b"Who?", None, b"one", b"y.test"),
                Mailbox(None, None, b"boss", b"nil.test"),
                Mailbox(b'Giant; "Big" Box', None, b"sysservices", b"example.net"),
            ],
        ),
        (
            b"A Group:Ed Jones <joe@where.test>,joe@where.test,John <jdoe@one.test>;",
            [
                Group(
                    b"A Group",
                    (
                        Mailbox(b"Ed Jones", None, b"joe", b"where.test"),
                        Mailbox(None, None, b"joe", b"where.test"),
                        Mailbox(b"John", None, b"jdoe", b"one.test"),
                    ),
                )
            ],
        ),
        (b"Undisclosed recipients:;", [Group(b"Undisclosed recipients", ())]),
        # A.5
        (
            b"Pete(A nice \\) chap) <pete(his account)@silly.test(his host)>",
            [Mailbox(b"Pete", None, b"pete", b"silly.test")],
        ),
        (
            b"A Group(Some people):Chris Jones <c@(Chris's host.)public.example>,joe@example.org,"
            b"John <jdoe@one.test> (my dear friend); (the end of the group)",
            [
                Group(
                    b"A Group",
                    (
                        Mailbox(b"Chris Jones", None, b"c", b"public.example"),
                        Mailbox(None, None, b"joe", b"example.org"),
                        Mailbox(b"John", None, b"jdoe", b"one.test"),
                    ),
                )
            ],
        ),
        (b"(Empty list)(start)Hidden recipients  :(nobody(that I know))  ;", [Group(b"Hidden recipients", ())]),
        # A.6.1
        (
            b"Joe Q. Public <john.q.public@example.com>",
            [Mailbox(b"Joe Q. Public", None, b"john.q.public", b"example.com")],
        ),
        (
            b"Mary Smith <@node.test:mary@example.net>, , jdoe@test  . example",
            [
                Mailbox(b"Mary Smith", b"@node.test", b"mary", b"example.net"),
                Mailbox(None, None, b"jdoe", b"test.example"),
            ],
        ),
        # others
        (b"", []),
        (b" , ,", []),
        (b"a@b (Old Style)", [Mailbox(b"Old Style", None, b"a", b"b")]),
        (b"<a@b> (Old Style)", [Mailbox(b"Old Style", None, b"a", b"b")]),
        (b'"a b"@c', [Mailbox(None, None, b"a b", b"c")]),
        (b'"a@b"@c', [Mailbox(None, None, b"a@b", b"c")]),
        (b'"a\\"b"@c', [Mailbox(None, None, b'a"b', b"c")]),
        (b'""@c', [Mailbox(None, None, b"", b"c")]),
        (b"first . last @ x . y", [Mailbox(None, None, b"first.last", b"x.y")]),
        (b"a@[192.0.2.1]", [Mailbox(None, None, b"a", b"[192.0.2.1]")]),
        (b"a@[IPv6:::1], b@c", [Mailbox(None, None, b"a", b"[IPv6:::1]"), Mailbox(None, None, b"b", b"c")]),
        (b"<@a,@b:c@d>", [Mailbox(None, b"@a,@b", b"c", b"d")]),
        (b"=?utf-8?q?a?= =?utf-8?q?b?= <a@b>", [Mailbox(b"=?utf-8?q?a?= =?utf-8?q?b?=", None, b"a", b"b")]),
        (b'"=?utf-8?q?a?=" <a@b>', [Mailbox(b"=?utf-8?q?a?=", None, b"a", b"b")]),
        ("Jörg <jörg@exämple>".encode(), [Mailbox("Jörg".encode(), None, "jörg".encode(), "exämple".encode())]),
        # broken ones, read so that no address hides
        (b"postmaster", [Mailbox(None, None, b"postmaster", b"")]),
        (b"a@b c@d", [Mailbox(None, None, b"a", b"b"), Mailbox(None, None, b"c", b"d")]),
        (b"<a@b> <c@d>", [Mailbox(None, None, b"a", b"b"), Mailbox(None, None, b"c", b"d")]),
        (b"<a@b>c@d", [Mailbox(None, None, b"a", b"b"), Mailbox(None, None, b"c", b"d")]),
        (b"<a@b, c@d>", [Mailbox(None, None, b"a", b"b"), Mailbox(None, None, b"c", b"d")]),
        (b"me@here <you@there>", [Mailbox(b"me@here", None, b"you", b"there")]),
        (b"a@b@c", [Mailbox(None, None, b"a@b", b"c")]),
        (b"<a@b", [Mailbox(None, None, b"a", b"b")]),
        (b"a@b>", [Mailbox(None, None, b"a", b"b")]),
        (b'"never closed <a@b>', [Mailbox(None, None, b"never closed <a@b>", b"")]),
        (b"(never closed a@b", []),
        (b"x (never closed", [Mailbox(b"never closed", None, b"x", b"")]),
        (b"G:a@b", [Group(b"G", (Mailbox(None, None, b"a", b"b"),))]),
        (b"a@b;c@d", [Mailbox(None, None, b"a", b"b"), Mailbox(None, None, b"c", b"d")]),
        (b"A:B:a@b;", [Group(b"A", (Mailbox(None, None, b"B:a", b"b"),))]),
        # an encoded word is one word, whatever it is made of
        (b"=?utf-8?q?Doe,_Alice?= <a@b>", [Mailbox(b"=?utf-8?q?Doe,_Alice?=", None, b"a", b"b")]),
        (b"=?utf-8?Q?a;b:c<d>(e)@f?= <a@b>", [Mailbox(b"=?utf-8?Q?a;b:c<d>(e)@f?=", None, b"a", b"b")]),
        (b"x =?a?b?,,==?=<a@b>,c@d", [box(b"a", b"b", b"x =?a?b?,,==?="), box(b"c", b"d")]),
        (b"=?utf-8?q?a, b?= <a@b>", [box(b"=?utf-8?q?a"), box(b"a", b"b", b"b?=")]),
        # words that are no address stay as they are, and none is made of them
        (b"a b c@x", [box(b"a b c", b"x")]),
        (b"Undisclosed recipients", [box(b"Undisclosed recipients")]),
        (b'"a  b" c, d@e', [box(b"a  b c"), box(b"d", b"e")]),
        (b"<a b@c>", [box(b"a b", b"c")]),
        (b"a@b:c", [box(b"a", b"b:c")]),
        (b"<a:b@c>", [box(b"a:b", b"c")]),
        (b"a@b\\", [Mailbox(None, None, b"a", b"b\\")]),
    ],
)
def test_lists(value, expected):
    assert parse_addresses(value) == expected


def test_a_limit_holds_where_one_word_ends_two_addresses():
    read = parse_addresses(b"a@b, c@d e", limit=1)
    assert read == parse_addresses(b"a@b")
    assert len(parse_addresses(b"<a@b <c@d <e@f>", limit=2)) == 2
    assert len(parse_addresses(b"a@b c@d", limit=1)) == 1


def test_limit():
    assert len(parse_addresses(b"a@b," * 50, limit=10)) == 10
    assert len(list(mailboxes(parse_addresses(b"g:" + b"a@b," * 50, limit=10)))) == 10


def test_display_text():
    assert display_text(Mailbox(None, None, "é".encode(), b"b")) == "é@b"
    assert display_text(Mailbox(None, None, b"a", b"")) == "a"


TOKENS = st.lists(
    st.sampled_from(
        [b"<", b">", b"@", b",", b";", b":", b'"', b"(", b")", b"\\", b"[", b"]", b" ", b".", b"a", b"\xff"]
    )
)


@pytest.mark.parametrize("count", [0, 1, *range(498, 503), *range(998, 1003), 50_000])
def test_a_word_of_many_escapes_is_one_word(count):
    last = [Mailbox(None, None, b"c", b"d")]
    for text, local in [
        (b'"a' + b"\\b" * count + b'"', b"a" + b"b" * count),
        (b'"a' + b'b\\"' * count + b'"', b"a" + b'b"' * count),
        (b"a" + b"b\\ " * count, b"a" + b"b\\ " * count),
    ]:
        assert parse_addresses(text + b"@b, c@d") == [Mailbox(None, None, local, b"b"), *last]
    literal = b"[" + b"b\\]" * count + b"]"
    assert parse_addresses(b"a@" + literal + b", c@d") == [Mailbox(None, None, b"a", literal), *last]


@given(TOKENS.map(b"".join))
def test_any_tokens(value):
    for item in parse_addresses(value):
        assert isinstance(item, Mailbox | Group)


@given(st.binary(max_size=100))
def test_any_octets(value):
    parse_addresses(value)


@pytest.mark.parametrize(
    "piece", [b"<", b"(", b"a ", b"a@", b"@a,", b"<@a:", b'"', b'"\\', b"[", b":", b";", b"a:b;", b"(a)", b"\\"]
)
def test_linear(piece):
    def seconds(count):
        value = b"x <" * (piece == b"@a,") + piece * count
        best = 1e9
        for _ in range(3):
            start = time.thread_time()
            parse_addresses(value)
            best = min(best, time.thread_time() - start)
        return best

    assert seconds(64_000) < 16 * 5 * max(seconds(4_000), 0.0005)


@given(
    st.from_regex(
        rb"([aZ9]{1,3}( [aZ9]{1,3}){0,2} ?)?<[aZ9]{1,2}([._+-][aZ9]){0,2}@[aZ9]{1,2}([.-][aZ9]){0,2}>",
        fullmatch=True,
    ),
    st.sampled_from([None, 0, 1, 5]),
)
def test_what_is_read_by_one_match_is_what_the_parser_reads(value, limit):
    assert parse_addresses(value, limit) == _Parser(value, limit).run()
