"""Tokens and grammar of a script (RFC 5228 8)."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mailnode.sieve.faults import ScriptRefused
from mailnode.sieve.lexer import tokens
from mailnode.sieve.limits import MAX_NESTING, MAX_NUMBER, MAX_SCRIPT
from mailnode.sieve.parser import parse
from mailnode.sieve.tree import ScriptArgument, ScriptNode
from mailnode.sieve.writer import write
from tests.sieve.support import mistakes


def values(text):
    return [token.value for token in tokens(text)][:-1]


@pytest.mark.parametrize(
    ("written", "found"),
    [
        ('keep "a" :Tag 10', ["keep", "a", "tag", 10]),
        ("1K 2m 3G 007", [1024, 2 << 20, 3 << 30, 7]),
        ('"a\\"b\\\\c\\d"', ['a"b\\cd']),
        ('"line\nnext\r\nlast"', ["line\r\nnext\r\nlast"]),
        ("text:\r\nfirst\r\n..dot\r\n.two\r\n.\r\n;", ["first\r\n.dot\r\n.two\r\n", ";"]),
        ("TEXT: # note\na\n.\n", ["a\r\n"]),
        ("text: \t\n.\n", [""]),
        ("# all of it\nkeep /* over\nlines */ ;", ["keep", ";"]),
        ("[]{}(),;", list("[]{}(),;")),
    ],
)
def test_tokens(written, found):
    assert values(written) == found


def test_the_place_of_a_token():
    places = [(token.line, token.column) for token in tokens('keep;\r\n  if "x\ny" é'[:-2])]
    assert places == [(1, 1), (1, 5), (2, 3), (2, 6), (3, 3)]


@pytest.mark.parametrize(
    ("script", "told"),
    [
        ('keep "', '1:6 this string has no end: " is missing'),
        ("/* x", "1:1 this comment has no end: */ is missing"),
        ("redirect text:\nx\n", "1:10 this text has no end: a line with a dot alone is missing"),
        ("redirect text: x\n.\n;", "1:10 nothing but a comment may stand behind text: in its line"),
        ("if size :over 10X {}", "1:15 this is no number: digits may be followed by K, M or G alone"),
        ("if size :over 9999999999G {}", f"1:15 the number is larger than {MAX_NUMBER}"),
        ("if size :over 1" + "0" * 400 + " {}", f"1:15 the number is larger than {MAX_NUMBER}"),
        ("keep", "1:5 a semicolon or a block should follow keep, not the end of the script"),
        ("keep;\n}", "2:1 a command should stand here, not }"),
        ("if true {\nkeep;", "1:9 this block has no end: } is missing"),
        ('require ["a" "b"];', "1:14 a comma or ] should stand in this list of strings, not a string"),
        ("require [];", "1:10 a string should stand in this list, not ]"),
        ("if anyof (true; false) {}", "1:15 a comma or ) should stand in this list of tests, not ;"),
        ("keep\x01;", "1:5 U+0001 may not stand here"),
        ("keep;\n  @", "2:3 '@' may not stand here"),
        ("keep;\n\0", "2:1 NUL may not stand in a script"),
    ],
)
def test_what_is_no_script(script, told):
    assert mistakes(script) == [told]


def test_broken_utf8_has_its_place():
    assert mistakes('keep;\n# grün \n"'.encode("latin-1")) == ["2:5 what stands here is not UTF-8"]


def test_a_script_that_is_too_long():
    assert mistakes(b"#" * MAX_SCRIPT) == []
    assert mistakes(b"#" * (MAX_SCRIPT + 1)) == [f"1:1 the script is longer than {MAX_SCRIPT} octets"]


def test_a_megabyte_of_commands():
    assert mistakes("keep;" * 200_000) == ["1:100001 the script has more than 20000 commands and tests"]


@pytest.mark.parametrize("opened", ["if true {" * 10_000, "if " + "not " * 10_000, "if " + "anyof (" * 10_000])
def test_ten_thousand_blocks_in_each_other(opened):
    (told,) = mistakes(opened)
    assert f"more than {MAX_NESTING} deep" in told


def test_as_deep_as_may_be():
    blocks = "if true {" * (MAX_NESTING - 1) + "keep;" + "}" * (MAX_NESTING - 1)
    assert mistakes(blocks) == []


IDENTIFIERS = st.from_regex(r"[a-z_][a-z0-9_]{0,8}", fullmatch=True).filter(lambda name: name != "text")
TEXTS = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0\r\n"), max_size=12)
ARGUMENTS = st.one_of(
    st.builds(lambda name: ("tag", name), IDENTIFIERS),
    st.builds(lambda number: ("number", number), st.integers(0, MAX_NUMBER)),
    st.builds(lambda text: ("string", text), TEXTS),
    st.builds(lambda texts: ("strings", tuple(texts)), st.lists(TEXTS, min_size=1, max_size=3)),
)


def nodes(block):
    return st.builds(
        lambda name, arguments, tests, block, listed: ScriptNode(
            name,
            tuple(ScriptArgument(kind, value, 0, 0) for kind, value in arguments),
            tuple(tests) if listed or len(tests) < 2 else tuple(tests[:1]),
            None if block is None else tuple(block),
            0,
            0,
            listed and bool(tests),
        ),
        IDENTIFIERS,
        st.lists(ARGUMENTS, max_size=3),
        st.lists(TESTS, max_size=2),
        block,
        st.booleans(),
    )


TESTS = st.builds(
    lambda name, arguments: ScriptNode(
        name, tuple(ScriptArgument(kind, value, 0, 0) for kind, value in arguments), (), None, 0, 0
    ),
    IDENTIFIERS,
    st.lists(ARGUMENTS, max_size=2),
)
COMMANDS = st.recursive(
    nodes(st.none()), lambda inner: nodes(st.one_of(st.none(), st.lists(inner, max_size=2))), max_leaves=6
)


def without_places(node):
    return ScriptNode(
        node.name,
        tuple(ScriptArgument(one.kind, one.value, 0, 0) for one in node.arguments),
        tuple(map(without_places, node.tests)),
        None if node.block is None else tuple(map(without_places, node.block)),
        0,
        0,
        node.is_list,
    )


@given(st.lists(COMMANDS, max_size=3))
def test_what_is_written_is_read_as_the_same(commands):
    assert [without_places(node) for node in parse(write(commands))] == commands


@given(st.text(max_size=60))
def test_any_text_is_read_or_refused(text):
    try:
        parse(text)
    except ScriptRefused as refused:
        assert refused.mistakes
