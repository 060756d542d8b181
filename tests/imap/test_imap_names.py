"""Modified UTF-7, patterns, and which names LIST and LSUB return (LIST-EXTENDED: RFC 5258)."""

import re
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mailnode.imap.commands import list as list_command
from mailnode.imap.commands import lsub as lsub_command
from mailnode.imap.commands.list import List, ListRow, list_response, only_name
from mailnode.imap.commands.lsub import Lsub
from mailnode.imap.wire.names import Patterns
from mailnode.message.modified_utf7 import decode_name, encode_name
from mailnode.net.no_reactor import run_now
from mailnode.values.mailbox import MailboxInfo


async def no_pause():
    pass


def list_matches(command, mailboxes, subscriptions):
    return run_now(list_command.list_matches(command, mailboxes, subscriptions, no_pause))


def lsub_matches(command, subscriptions):
    return run_now(lsub_command.lsub_matches(command, subscriptions, no_pause))


# IMAP trap 39: what is not exactly that
@pytest.mark.parametrize(
    ("name", "wire"),
    [
        ("INBOX", b"INBOX"),
        ("", b""),
        ("a&b", b"a&-b"),
        ("&", b"&-"),
        ("Entwürfe", b"Entw&APw-rfe"),
        ("~peter/mail/台北/日本語", b"~peter/mail/&U,BTFw-/&ZeVnLIqe-"),
        ("台北日本語", b"&U,BTF2XlZyyKng-"),
        ("☺!", b"&Jjo-!"),
        ("ä&ö", b"&AOQ-&-&APY-"),
        ("\U0001f600", b"&2D3eAA-"),
        ("a\U0001f600b", b"a&2D3eAA-b"),
        ("ÿ" * 3, b"&AP8A,wD,-"),
    ],
)
def test_modified_utf7(name, wire):
    assert encode_name(name) == wire
    assert decode_name(wire) == name


@pytest.mark.parametrize(
    "wire",
    [
        b"&",
        b"&AOQ",
        b"a&AOQ",
        b"&Jjo!",  # no shift back
        b"&U,BTFw-&ZeVnLIqe-",  # superfluous shift
        b"&AGE-",  # shifted ASCII
        b"&AOQAYQ-",
        b"&ACY-",  # a shifted "&"
        b"&2D0-",  # half a surrogate pair
        b"&3gDYPQ-",  # the wrong way round
        b"&AA-",  # half a character
        b"&A-",
        b"&AOR-",  # stray bits
        b"&AO/-",  # "/" is "," here
        b"&AOQ=-",
        b"&AO Q-",
        b"\xc3\xa4",
        b"a\x00",
        b"a\x7f",
        b"a\t",
        b"&AOQ-\xff",
    ],
)
def test_not_modified_utf7(wire):
    assert decode_name(wire) is None


@given(st.text(max_size=40))
def test_names_round_trip(name):
    assert decode_name(encode_name(name)) == name
    assert re.fullmatch(rb"[\x20-\x7e]*", encode_name(name))


# IMAP trap 39: composed, INBOX, the separator at the end
@given(st.text(alphabet="&-,/+aAOQ=\u00e4", max_size=12).map(lambda s: s.encode("latin-1")))
def test_each_name_has_one_form(wire):
    name = decode_name(wire)
    if name is not None:
        assert encode_name(name) == wire


# --- patterns


@pytest.mark.parametrize(
    ("pattern", "yes", "no"),
    [
        ("*", ["a", "a/b", "INBOX"], []),
        ("%", ["a", "INBOX"], ["a/b"]),
        ("a", ["a"], ["A", "ab", "a/b"]),
        ("a/%", ["a/b"], ["a", "a/b/c"]),
        ("a/*", ["a/b", "a/b/c"], ["a"]),
        ("a%", ["a", "ab"], ["a/b"]),
        ("a*", ["a", "ab", "a/b"], ["ba"]),
        ("%/%", ["a/b"], ["a", "a/b/c"]),
        ("*/b", ["a/b", "a/c/b"], ["b", "a/b/c"]),
        ("*%*b", ["b", "ab", "a/b"], ["a"]),
        ("%b*", ["b", "ab/c"], ["a/b"]),
        ("a*c%e", ["ace", "a/c/c1e", "acde"], ["ac/e"]),
        ("inbox", ["INBOX"], ["inbox2", "INBOX/a"]),
        ("iNb*", ["INBOX", "INBOX/a"], ["inboxes"]),
        ("inbox/A", ["INBOX/A"], ["INBOX/a"]),
        ("in%", ["INBOX", "inboxes"], ["INBOX/a"]),
        ("x/inbox", ["x/inbox"], ["x/INBOX"]),
        ("", [], ["a"]),
        ("a\u0308*", ["äb"], ["ab"]),
        (']\\"', [']\\"'], []),
    ],
)
def test_patterns(pattern, yes, no):
    compiled = Patterns("", [pattern])
    assert [name for name in yes if not compiled.match(name)] == []
    assert [name for name in no if compiled.match(name)] == []


def test_a_reference_stands_before_the_pattern():
    assert Patterns("a/", ["%"]).match("a/b")
    assert not Patterns("a/", ["%"]).match("b")
    assert Patterns("inb", ["ox"]).match("INBOX")


names = st.text(alphabet="abAIX/ä", min_size=1, max_size=8)
patterns = st.text(alphabet="abI/%*ä", max_size=8)


@given(st.lists(patterns, max_size=4), names)
def test_patterns_against_a_regular_expression(written, name):
    def expression(pattern):
        return "".join(".*" if c == "*" else "[^/]*" if c == "%" else re.escape(c) for c in pattern)

    expected = any(re.fullmatch(expression(pattern), name, re.DOTALL) for pattern in written)
    assert Patterns("", written).match(name) == expected


# IMAP trap 51: wildcards in a row
def test_wildcards_cost_no_more_than_plain_text():
    name = "a" * 250
    for pattern in ("*%" * 5000 + "x", "*a" * 120 + "x", "%a" * 120 + "x", "a" * 60_000):
        began = time.process_time()
        compiled = Patterns("", [pattern] * 64)
        assert not any(compiled.match(name) for _ in range(200))
        assert time.process_time() - began < 1.0


# IMAP trap 51: ten thousand mailboxes
def test_ten_thousand_mailboxes():
    mailboxes = [MailboxInfo(n, f"Folder {n % 100}/Sub {n}", 1) for n in range(10_000)]
    command = List(b"t", "", ("*", "%/%", "x*y%z"))
    began = time.process_time()
    assert len(list_matches(command, mailboxes, [m.name for m in mailboxes])) == 10_000
    assert time.process_time() - began < 2.0


# --- LIST


def boxes(*names, **changes):
    return [MailboxInfo(n, name, 1, **changes.get(name, {})) for n, name in enumerate(names, 1)]


def lines(command, mailboxes, subscriptions=()):
    return [list_response(row).decode().strip() for row in list_matches(command, mailboxes, subscriptions)]


def listing(*patterns, reference="", selection="", returns="", extended=None):
    chosen = frozenset(selection.split())
    extended = bool(chosen or returns or len(patterns) > 1) if extended is None else extended
    return List(b"t", reference, patterns, chosen, frozenset(returns.split()), (), extended)


# IMAP trap 40: the separator
def test_the_separator():
    assert lines(listing(""), boxes("INBOX")) == ['* LIST (\\Noselect) "/" ""']
    assert lines(listing("", reference="a/b"), boxes("INBOX")) == ['* LIST (\\Noselect) "/" ""']
    assert lines(listing("", extended=True), boxes("INBOX")) == []


def test_children_and_special_use():
    mailboxes = boxes("a", "a/b", "Sent", "INBOX", Sent={"special_use": "\\Sent"}, a={"selectable": False})
    assert lines(listing("*"), mailboxes) == [
        '* LIST (\\HasNoChildren) "/" INBOX',
        '* LIST (\\HasNoChildren \\Sent) "/" Sent',
        '* LIST (\\Noselect \\HasChildren) "/" a',
        '* LIST (\\HasNoChildren) "/" a/b',
    ]
    assert lines(listing("*", selection="SPECIAL-USE"), mailboxes) == ['* LIST (\\HasNoChildren \\Sent) "/" Sent']


# IMAP trap 40: both at once
def test_special_use_and_subscribed():
    mailboxes = boxes("Sent", "Junk", "x", Sent={"special_use": "\\Sent"}, Junk={"special_use": "\\Junk"})
    command = listing("*", selection="SUBSCRIBED SPECIAL-USE")
    assert lines(command, mailboxes, ["Junk", "x", "gone"]) == ['* LIST (\\Subscribed \\HasNoChildren \\Junk) "/" Junk']


# IMAP trap 40: names of every kind
def test_names_that_need_quoting():
    mailboxes = boxes("a b", 'q"\\', "s]", "w*%", "~t", "ü&")
    assert lines(listing("*"), mailboxes) == [
        '* LIST (\\HasNoChildren) "/" "a b"',
        '* LIST (\\HasNoChildren) "/" "q\\"\\\\"',
        '* LIST (\\HasNoChildren) "/" "s]"',
        '* LIST (\\HasNoChildren) "/" "w*%"',
        '* LIST (\\HasNoChildren) "/" ~t',
        '* LIST (\\HasNoChildren) "/" &APw-&-',
    ]


# IMAP trap 40: parents that are not there
def test_missing_parents_show_with_a_trailing_percent():
    """RFC 3501 6.3.8 and RFC 5258 5, example 11."""
    mailboxes = boxes("music/rock", "music/jazz/live")
    assert lines(listing("%"), mailboxes) == ['* LIST (\\NonExistent \\Noselect \\HasChildren) "/" music']
    assert lines(listing("%", extended=True), mailboxes) == ['* LIST (\\NonExistent \\HasChildren) "/" music']
    assert [row.name for row in list_matches(listing("*"), mailboxes, [])] == ["music/jazz/live", "music/rock"]
    assert [row.name for row in list_matches(listing("music/%"), mailboxes, [])] == ["music/jazz", "music/rock"]


def test_subscribed_names_that_do_not_exist():
    """RFC 5258 5, examples 5 and 6."""
    mailboxes = boxes("Fruit", "Fruit/Banana", "Tofu")
    subscribed = ["Fruit/Banana", "Fruit/Peach"]
    assert lines(listing("*", selection="REMOTE SUBSCRIBED"), mailboxes, subscribed) == [
        '* LIST (\\Subscribed \\HasNoChildren) "/" Fruit/Banana',
        '* LIST (\\NonExistent \\Subscribed \\HasNoChildren) "/" Fruit/Peach',
    ]
    assert lines(listing("*", returns="SUBSCRIBED"), mailboxes, subscribed) == [
        '* LIST (\\HasChildren) "/" Fruit',
        '* LIST (\\Subscribed \\HasNoChildren) "/" Fruit/Banana',
        '* LIST (\\HasNoChildren) "/" Tofu',
    ]


# IMAP trap 40: RECURSIVEMATCH and CHILDINFO
def test_recursivematch():
    """RFC 5258 5, example 8."""
    mailboxes = boxes("INBOX", "Foo", "Foo/Bar", "Foo/Baz", "Moo")
    plain = listing("%", selection="SUBSCRIBED")
    recursive = listing("%", selection="SUBSCRIBED RECURSIVEMATCH")
    assert lines(plain, mailboxes, ["Foo/Baz"]) == []
    assert lines(recursive, mailboxes, ["Foo/Baz"]) == ['* LIST (\\HasChildren) "/" Foo ("CHILDINFO" ("SUBSCRIBED"))']
    assert lines(recursive, mailboxes, ["Foo", "Foo/Baz"]) == [
        '* LIST (\\Subscribed \\HasChildren) "/" Foo ("CHILDINFO" ("SUBSCRIBED"))'
    ]
    assert lines(recursive, boxes("INBOX", "Moo"), ["Foo/Baz"]) == [
        '* LIST (\\NonExistent \\HasNoChildren) "/" Foo ("CHILDINFO" ("SUBSCRIBED"))'
    ]
    assert lines(recursive, mailboxes, []) == []
    assert lines(recursive, mailboxes, ["Foo", "Moo"]) == [
        '* LIST (\\Subscribed \\HasChildren) "/" Foo',
        '* LIST (\\Subscribed \\HasNoChildren) "/" Moo',
    ]


def test_recursivematch_leaves_out_what_is_redundant():
    """RFC 5258 5, example 9."""
    mailboxes = boxes(
        "foo2",
        "foo2/bar1",
        "foo2/bar2",
        "baz2",
        "baz2/bar2",
        "baz2/bar22",
        "baz2/bar222",
        "eps2",
        "eps2/mamba",
        "qux2/bar2",
    )
    subscribed = ["foo2/bar1", "foo2/bar2", "baz2/bar2", "baz2/bar22", "baz2/bar222", "eps2", "eps2/mamba", "qux2/bar2"]
    rows = list_matches(listing("*2", selection="RECURSIVEMATCH SUBSCRIBED"), mailboxes, subscribed)
    assert {(row.name, "\\Subscribed" in row.attributes, bool(row.childinfo)) for row in rows} == {
        ("foo2", False, True),
        ("foo2/bar2", True, False),
        ("baz2/bar2", True, False),
        ("baz2/bar22", True, False),
        ("baz2/bar222", True, False),
        ("eps2", True, True),
        ("qux2/bar2", True, False),
    }


def test_childinfo_does_not_imply_children():
    """RFC 5258 5, example 10."""
    command = listing("foo", selection="SUBSCRIBED RECURSIVEMATCH", returns="CHILDREN")
    assert lines(command, boxes("foo"), ["foo/bar"]) == [
        '* LIST (\\HasNoChildren) "/" foo ("CHILDINFO" ("SUBSCRIBED"))'
    ]


def test_each_name_once_for_several_patterns():
    rows = list_matches(listing("a", "a*", "%"), boxes("a", "ab"), [])
    assert [row.name for row in rows] == ["a", "ab"]


def test_rows_carry_their_mailbox():
    mailboxes = boxes("a")
    (row,) = list_matches(listing("*"), mailboxes, [])
    assert row.mailbox is mailboxes[0]


def test_a_list_with_nothing_to_match():
    assert list_matches(List(b"t", "", ()), boxes("INBOX"), []) == []


def test_oldname():
    row = ListRow("new", (), old_name="öld")
    assert list_response(row) == b'* LIST () "/" new ("OLDNAME" (&APY-ld))\r\n'


# --- LSUB


# IMAP trap 40: LSUB
@pytest.mark.parametrize(
    ("pattern", "expected"),
    [
        ("*", [("a/b/c", ()), ("x", ())]),
        ("%", [("a", ("\\Noselect",)), ("x", ())]),
        ("a/%", [("a/b", ("\\Noselect",))]),
        ("a/b/%", [("a/b/c", ())]),
        ("a/b", []),
        ("y", []),
    ],
)
def test_lsub(pattern, expected):
    rows = lsub_matches(Lsub(b"t", "", (pattern,)), ["x", "a/b/c"])
    assert [(row.name, row.attributes) for row in rows] == expected


def test_lsub_of_inbox_comes_first():
    rows = lsub_matches(Lsub(b"t", "", ("*",)), ["Drafts", "INBOX"])
    assert [list_response(row, b"LSUB") for row in rows] == [b'* LSUB () "/" INBOX\r\n', b'* LSUB () "/" Drafts\r\n']


@pytest.mark.parametrize(
    ("reference", "patterns", "options", "name"),
    [
        ("", ("music",), {}, "music"),
        ("music/", ("rock",), {}, "music/rock"),
        ("", ("inbox",), {}, "INBOX"),
        ("", ("mus%",), {}, None),
        ("*", ("c",), {}, None),
        ("", ("a", "b"), {}, None),
        ("", ("",), {}, None),
        ("", ("a//b",), {}, None),
        ("", ("a",), {"selection": frozenset({"SUBSCRIBED"})}, None),
    ],
)
def test_the_only_name_a_list_can_show(reference, patterns, options, name):
    assert only_name(List("", reference, patterns, **options)) == name


@pytest.mark.parametrize("pattern", ["music", "music/jazz", "INBOX", "inbox", "nowhere", "top"])
def test_one_name_is_shown_alike_from_all_mailboxes_and_from_a_few(pattern):
    everything = boxes("INBOX", "INBOX/x", "music", "music/jazz", "music/rock", "top")
    command = listing(pattern)
    name = only_name(command)
    few = [one for one in everything if one.name == name]
    few += [one for one in everything if few and one.name.startswith(f"{name}/")][:1]
    assert list_matches(command, few, []) == list_matches(command, everything, [])
