"""What scripts of the base language do (RFC 5228)."""

import pytest

from mailnode.sieve.actions import DiscardMessage, FileMessage, KeepMessage, RedirectMessage
from mailnode.sieve.limits import ScriptLimits
from tests.sieve.support import actions, filed, holds, run


def test_nothing_said_keeps():
    assert actions("") == (KeepMessage(implicit=True),)


@pytest.mark.parametrize(
    ("script", "found"),
    [
        ("keep;", (KeepMessage(),)),
        ("keep; keep;", (KeepMessage(),)),
        ("discard;", (DiscardMessage(),)),
        ("discard; keep;", (DiscardMessage(), KeepMessage())),
        ('redirect "a@b.example";', (RedirectMessage("a@b.example"),)),
        ('redirect "A Name <a@b.example>";', (RedirectMessage("a@b.example"),)),
        ('redirect "a@b.example"; redirect "a@b.example";', (RedirectMessage("a@b.example"),)),
        ('require "fileinto"; fileinto "a"; fileinto "a";', (FileMessage("a"),)),
        ('require "fileinto"; fileinto "inbox";', (KeepMessage(),)),
        ("stop; discard;", (KeepMessage(implicit=True),)),
        ("if true { stop; } discard;", (KeepMessage(implicit=True),)),
    ],
)
def test_actions(script, found):
    assert actions(script) == found


@pytest.mark.parametrize(
    ("script", "found"),
    [
        ('if true { fileinto "a"; } elsif true { fileinto "b"; } else { fileinto "c"; }', "a"),
        ('if false { fileinto "a"; } elsif true { fileinto "b"; } else { fileinto "c"; }', "b"),
        ('if false { fileinto "a"; } elsif false { fileinto "b"; } else { fileinto "c"; }', "c"),
        ('if false { } elsif false { } elsif true { fileinto "d"; }', "d"),
        ('if true { if false { fileinto "a"; } else { fileinto "b"; } }', "b"),
    ],
)
def test_control(script, found):
    assert filed(f'require "fileinto"; {script}') == [found]


@pytest.mark.parametrize(
    ("test", "expected"),
    [
        ("true", True),
        ("not false", True),
        ("allof (true, true)", True),
        ("allof (true, false)", False),
        ("anyof (false, true)", True),
        ("anyof (false, false)", False),
        ('header "subject" "hello world"', True),
        ('header :comparator "i;octet" "subject" "hello world"', False),
        ('header :contains "subject" ["no", "WORLD"]', True),
        ('header :contains ["x-no", "Subject"] "world"', True),
        ('header :matches "subject" "hello*"', True),
        ('header :matches "subject" "hello"', False),
        ('header :matches "subject" "?ello ?orld"', True),
        ('header :matches "subject" "hello\\\\*"', False),
        ('header :is "x-empty" ""', True),
        ('header :contains "x-missing" ""', False),
        ('header "Subject:" "hello world"', False),
        ('header "sub ject" "hello world"', False),
        ('header "x-multi" "two"', True),
        ('exists ["from", "to"]', True),
        ('exists ["from", "cc"]', False),
        ('address "from" "bob+work@example.com"', True),
        ('address :localpart "from" "bob+work"', True),
        ('address :domain "from" "example.COM"', True),
        ('address :all :contains "from" "Bob <"', False),
        ('address "to" "a@x.example"', True),
        ('address :contains "to" "Team"', False),
        ("size :over 100", True),
        ("size :over 1K", False),
        ("size :under 1K", True),
    ],
)
def test_tests(test, expected):
    assert holds(test) is expected


def test_size_is_neither_over_nor_under_itself():
    message = "A: b\r\n\r\n"
    assert not holds(f"size :over {len(message)}", message)
    assert not holds(f"size :under {len(message)}", message)


# RFC 5228 2.7.2
@pytest.mark.parametrize(
    ("written", "key"),
    [
        ("=?utf-8?q?Gr=C3=BC=C3=9Fe?=", "Grüße"),
        ("=?iso-8859-1?B?R3L83GU=?=", "GrüÜe"),
        ("one\r\n two", "one two"),
        ("=?nothing?q?x?=", "x"),
        ("  around  ", "around"),
    ],
)
def test_header_values_are_unfolded_decoded_and_trimmed(written, key):
    assert holds(f'header :is :comparator "i;octet" "subject" "{key}"', f"Subject: {written}\r\n\r\n")


@pytest.mark.parametrize(
    ("test", "expected"),
    [
        ('envelope "from" "bob@example.com"', True),
        ('envelope :localpart "TO" "me"', True),
        ('envelope :domain ["from", "to"] "example.com"', True),
        ('envelope "to" "bob@example.com"', False),
    ],
)
def test_envelope(test, expected):
    assert holds(test, require="envelope") is expected


@pytest.mark.parametrize("part", [":all", ":localpart", ":domain", ":user", ":detail"])
def test_the_null_reverse_path_is_empty_whatever_part_is_asked_for(part):
    assert holds(f'envelope {part} :is "from" ""', require="envelope subaddress", sender="")


def test_source_routes_are_dropped():
    assert holds('envelope "from" "a@b.example"', require="envelope", sender="@x.example:a@b.example")


@pytest.mark.parametrize(
    ("text", "meant"),
    [
        ("${hex: 24 24}x", "$$x"),
        ("${hex:41 }${HEX:42}", "AB"),
        ("${unicode:000042 e9}", "Bé"),
        ("${hex:c3 a9}", "é"),
        ("${hex:123}", "${hex:123}"),
        ("${hex:}", "${hex:}"),
        ("${unicode:zz}", "${unicode:zz}"),
        ("$${hex:40}", "$@"),
    ],
)
def test_encoded_characters(text, meant):
    assert holds(f'header :is :comparator "i;octet" "s" "{text}"', f"S: {meant}\r\n\r\n", require="encoded-character")


def test_without_being_required_they_are_text():
    assert holds('header "s" "${hex:41}"', "S: ${hex:41}\r\n\r\n")


def test_a_script_that_fails_keeps_the_message_and_does_nothing_else():
    found = run('require ["fileinto", "variables"]; fileinto "a"; set "x" "/"; fileinto "${x}";')
    assert found.actions == (KeepMessage(implicit=True),)
    assert found.failure is not None and found.failure.line == 1
    assert "no mailbox can be named" in found.failure.text


def test_one_too_many_is_a_failure():
    script = "".join(f'redirect "a{n}@b.example";' for n in range(4))
    assert run(script, limits=ScriptLimits(redirects=4)).failure is None
    failure = run(script, limits=ScriptLimits(redirects=3)).failure
    assert failure is not None and failure.text == "the script has more than 3 redirects"


def test_steps_are_counted():
    script = 'if header :contains "subject" "x" { }' * 20
    used = 2 * 20 + 20 + 20
    assert run(script, limits=ScriptLimits(steps=used + 20)).failure is None
    assert run(script, limits=ScriptLimits(steps=40)).failure is not None
