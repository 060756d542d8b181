"""Scripts and messages made to cost much, or to be something else: bounded work, the message kept, the reason told."""

import time

import pytest

from mailnode.sieve.actions import KeepMessage
from mailnode.sieve.checker import compile_script
from mailnode.sieve.limits import MAX_NESTING, MAX_SCRIPT, MAX_VARIABLE, ScriptLimits
from mailnode.sieve.questions import IncludedScript
from mailnode.sieve.wildcards import match_wildcards
from tests.sieve.support import MESSAGE, actions, filed, holds, mistakes, run

# Processor seconds, many times what each of these takes: it would be minutes if work grew faster than the text.
MOST = 5.0


def failed(script, message=MESSAGE, **facts):
    """Return why a script fails; the message is kept then, and nothing else is done."""
    began = time.process_time()
    found = run(script, message, **facts)
    assert time.process_time() - began < MOST
    assert found.actions == (KeepMessage(implicit=True),)
    assert found.failure is not None
    return found.failure.text


@pytest.mark.parametrize(
    ("script", "told"),
    [
        ("#" * (MAX_SCRIPT + 1), f"1:1 the script is longer than {MAX_SCRIPT} octets"),
        ("keep;\n" * 20_001, "20001:1 the script has more than 20000 commands and tests"),
        (
            "if true {\n" * 10_000,
            f"{MAX_NESTING + 1}:4 blocks and tests stand in each other more than {MAX_NESTING} deep",
        ),
        (
            "if " + "not\n" * 10_000,
            f"{MAX_NESTING + 1}:1 blocks and tests stand in each other more than {MAX_NESTING} deep",
        ),
        ("keep;\n" + "a" * 1_000_000, "2:1 a name has at most 100 characters"),
        ("keep :" + "a" * 101 + ";", "1:6 a name has at most 100 characters"),
        ("/* " * 100_000, "1:1 this comment has no end: */ is missing"),
        ('keep;\n redirect "' + "x" * 300_000, '2:11 this string has no end: " is missing'),
        (b"keep;\n" + b'# a\r\n redirect "\xff";', "3:12 what stands here is not UTF-8"),
        ("keep;\n\0", "2:1 NUL may not stand in a script"),
        ('require "regex";\nif header :regex "a"\n "(a{1000}){1000}" {}', "3:2 this is no expression: "),
        (
            f'require "regex";\nif header :regex "a" "{"(" * 2000}" {{}}',
            "2:22 the expression is longer than 1024 characters",
        ),
        ('redirect\n "a@b.example\nBcc: x@y.example";', "2:2 "),
        ('redirect\n "@";', '2:2 "@" is no address'),
        ('require "fileinto";\n fileinto "a//b";', '2:11 no mailbox can be named "a//b"'),
        ('require "fileinto";\n fileinto "' + "a" * 300 + '";', "2:11 no mailbox can be named"),
        ('require "include";\n include "../../etc/passwd";', '2:10 no script can be named "../../etc/passwd"'),
        ('require "enotify";\nnotify "mailto:a@b.example%0d%0aBcc:x@y.example";', "2:8 the URI has no address"),
        ('require "enotify";\nnotify "mailto:' + ",".join(["a@b.example"] * 1000) + '";', "2:8 the URI is longer than"),
        ('require "vacation";\nvacation :from "a@b.example\r\nBcc: c@d.example" "x";', "2:16 "),
        ('require "vacation";\nvacation :mime\n"Content-Type: é";', "3:1 no answer can be made of this"),
        ('require "editheader";\naddheader "A: b\r\nC" "x";', "2:11 "),
        ('require "extlists";\nredirect :list "x";', "2:16 a list is named by a URI"),
        ('require "imap4flags";\nkeep :flags 5;', "2:13 "),
        ("keep 99999999999999999999;", "1:6 "),
    ],
    ids=lambda value: repr(value[:40]),
)
def test_what_cannot_be_stored_is_told_with_its_place(script, told):
    began = time.process_time()
    first = mistakes(script)[0]
    assert first.startswith(told)
    assert time.process_time() - began < MOST


@pytest.mark.parametrize(
    ("script", "line"),
    [
        ("\n".join(f'redirect "a{n}@b.example";' for n in range(1000)), 11),
        ('require "fileinto";\n' + "\n".join(f'fileinto "m{n}";' for n in range(1000)), 34),
        ('require "variables";\nset "a" "a\r\nBcc: x@y.example";\nredirect "b@c.example${a}";', 4),
        ('require ["variables", "fileinto"];\nset "a" "/";\nif true {\n fileinto "x/${a}/y";\n}', 4),
        ('require ["variables", "regex"];\nset "a" "(";\nif header :regex "subject" "${a}" {}', 3),
        ('require ["variables", "enotify"];\nset "a" "tel:+1";\n\nnotify "${a}";', 4),
    ],
)
def test_a_script_that_fails_says_where(script, line):
    failure = run(script).failure
    assert failure is not None and failure.line == line


def test_a_variable_that_doubles_itself():
    script = 'require ["variables", "fileinto"]; set "a" "x";' + 'set "a" "${a}${a}";' * 200
    script += 'set :length "n" "${a}"; fileinto "${n}";'
    assert filed(script) == [str(MAX_VARIABLE)]


def test_a_string_made_of_many_variables():
    script = 'require ["variables"]; set "a" "' + "x" * MAX_VARIABLE + '"; set "b" "' + "${a}" * 100 + '";'
    assert failed(script) == "a string becomes longer than 262144 characters"


def test_more_variables_than_there_may_be():
    script = 'require "variables";' + "".join(f'set "v{n}" "x";' for n in range(300))
    assert failed(script) == "the script has more than 256 variables"


def test_a_thousand_redirects():
    assert (
        failed("".join(f'redirect "a{n}@b.example";' for n in range(1000))) == "the script has more than 10 redirects"
    )


def test_a_thousand_mailboxes():
    script = 'require "fileinto";' + "".join(f'fileinto "m{n}";' for n in range(1000))
    assert failed(script) == "the script has more than 32 actions"


@pytest.mark.parametrize("expression", ["(a*)*b", "(a|aa)+$", "(.*)*(.*)*x", "^(([a-z])+.)+[A-Z]([a-z])+$"])
def test_an_expression_made_to_be_slow(expression):
    began = time.process_time()
    assert not holds(f'header :regex "subject" "{expression}"', f"Subject: {'a' * 20_000}!\r\n\r\n", require="regex")
    assert time.process_time() - began < MOST


@pytest.mark.parametrize("pattern", ["*a*a*a*a*a*a*a*b", "*?a?a?a?a?a?a?b*", "*" * 2000 + "b", "?" * 3000 + "*b"])
def test_wildcards_made_to_be_slow(pattern):
    began = time.process_time()
    assert match_wildcards(pattern, "a" * 50_000, lambda text: text) is None
    assert time.process_time() - began < MOST


def test_many_keys_and_many_fields():
    keys = ", ".join(f'"k{n}"' for n in range(2000))
    script = f'if header :contains "x" [{keys}] {{}}'
    assert failed(script, "X: y\r\n" * 2000 + "\r\n").startswith("the script takes more than 200000 steps")


def test_loops_over_many_parts_in_each_other():
    loop = "foreverypart { " * 4 + 'if header :mime :contains "content-type" "x" {}' + " }" * 4
    parts = "--b\r\nContent-Type: multipart/mixed; boundary=c\r\n\r\n--c\r\n\r\nx\r\n--c--\r\n" * 300
    message = f"Content-Type: multipart/mixed; boundary=b\r\n\r\n{parts}--b--\r\n"
    limits = ScriptLimits(steps=1000)
    assert failed(f'require ["foreverypart", "mime"]; {loop}', message, limits=limits).startswith(
        "the script takes more"
    )


def test_more_loops_in_each_other_than_there_may_be():
    script = 'require "foreverypart";' + "foreverypart { " * 5 + "keep;" + " }" * 5
    message = "Content-Type: multipart/mixed; boundary=b\r\n\r\n"
    for letter in "cdefg":
        message += f"--{chr(ord(letter) - 1)}\r\nContent-Type: multipart/mixed; boundary={letter}\r\n\r\n"
    assert failed(script, message) == "more than 4 loops stand in each other"


def test_blocks_of_scripts_in_each_other():
    deep = "if true { " * 30 + 'include "sN";' + " }" * 30
    scripts = {
        IncludedScript("personal", f"s{n}"): compile_script(
            f'require "include"; {deep.replace("N", str(n + 1))}'.encode()
        )
        for n in range(12)
    }
    told = failed(f'require "include"; {deep.replace("N", "0")}', answers=scripts)
    assert told == "more than 100 blocks stand in each other"


def test_thousands_of_branches_in_a_row():
    script = "if false {}" + " elsif false {}" * 9_000 + " else { discard; }"
    assert [type(one).__name__ for one in actions(script)] == ["DiscardMessage"]


@pytest.mark.parametrize("name", ["", "/", "a//b", "a" * 300, "a/" * 40 + "b", "a\u2028b"])
def test_mailboxes_that_cannot_be(name):
    script = f'require ["variables", "fileinto"]; set "m" "{name}"; fileinto "${{m}}";'
    assert failed(script).startswith("no mailbox can be named")


@pytest.mark.parametrize(
    "address", ["", "a", "a@b.example, c@d.example", "a@b.example\r\nBcc: x@y.example", "Team: a@b.example;"]
)
def test_addresses_that_cannot_be(address):
    script = f'require "variables"; set "a" "{address}"; redirect "${{a}}";'
    assert "is no address" in failed(script)


def test_a_header_that_goes_on_into_a_variable_is_no_second_field():
    script = 'require ["variables", "editheader"]; if header :matches "subject" "*" { addheader "X-S" "${1}"; }'
    message = "Subject: a\r\n Bcc: x@y.example\r\n\r\n"
    edited = actions(script, message)[0].content
    assert edited is not None and edited.header.startswith(b"X-S: a Bcc: x@y.example\r\nSubject")


def test_broken_octets_in_a_message():
    message = b"Subject: \xff\xfe =?utf-8?b?/w==?=\r\n\xff: x\r\nFrom: <\xff@\xfe>\r\n\r\n\xff\x00"
    script = 'require ["body", "fileinto", "variables"]; if allof (header :matches "subject" "*", body :contains "",'
    assert filed(script + ' address :contains "from" "") { fileinto "${1}"; }', message)[0].endswith("\ufffd")


def test_questions_are_counted():
    script = 'require "mailbox";' + "".join(f'if mailboxexists "m{n}" {{}}' for n in range(300))
    assert failed(script, limits=ScriptLimits(steps=500)) == "the script takes more than 500 steps"
