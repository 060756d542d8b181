"""Lists that are kept outside of scripts (RFC 6134)."""

import pytest

from mailnode.sieve.actions import RedirectMessage
from mailnode.sieve.questions import ListKnown, ListMember
from tests.sieve.support import filed, holds, mistakes, run

WORDS = "tag:example.com,2011:words"
BOOK = "urn:ietf:params:sieve:addrbook:default"


@pytest.mark.parametrize(
    ("test", "question"),
    [
        (f'header :list "subject" "{WORDS}"', ListMember(WORDS, "Hello World")),
        (f'string :list "  x " "{WORDS}"', ListMember(WORDS, "x")),
        (f'envelope :list :localpart "from" "{WORDS}"', ListMember(WORDS, "bob")),
        (f'address :list :domain "from" "{WORDS}"', ListMember(WORDS, "Example.com")),
        (f'currentdate :list "date" "{WORDS}"', ListMember(WORDS, "2026-11-30")),
        ('envelope :list "from" ":addrbook:default"', ListMember(BOOK, "bob@example.com")),
        ('envelope :list "from" ":ADDRBOOK:DEFAULT"', ListMember(BOOK, "bob@example.com")),
        ('envelope :list "from" ":AddrBook:%44%65%66ault"', ListMember(BOOK, "bob@example.com")),
        (f'envelope :list "from" "{BOOK}"', ListMember(BOOK, "bob@example.com")),
        (
            'envelope :list "from" ":addrbook:Friends"',
            ListMember("urn:ietf:params:sieve:addrbook:Friends", "bob@example.com"),
        ),
        (f'valid_ext_list "{WORDS}"', ListKnown(WORDS)),
    ],
)
def test_questions_about_lists(test, question):
    require = "extlists envelope date variables"
    assert holds(test, require=require, answers={question: True})
    assert not holds(test, require=require, answers={question: False})


def test_what_stood_in_a_list_is_known_afterwards():
    script = (
        f'require ["extlists", "variables", "fileinto"]; if header :list "subject" "{WORDS}" {{ fileinto "${{0}}"; }}'
    )
    assert filed(script, answers={ListMember(WORDS, "Hello World"): True}) == ["Hello World"]


def test_a_list_that_is_not_there_fails_the_script():
    """RFC 6134 2.2: but for the address book, which may be empty (2.5)."""
    failure = run(f'require "extlists"; if header :list "subject" "{WORDS}" {{ discard; }}').failure
    assert failure is not None and failure.text == f'there is no list "{WORDS}"'
    assert not holds('header :list "subject" ":addrbook:default"', require="extlists")


def test_lists_that_can_be_asked():
    assert holds('valid_ext_list ":addrbook:default"', require="extlists")
    assert not holds(f'valid_ext_list [":addrbook:default", "{WORDS}"]', require="extlists")
    assert not holds('valid_ext_list "friends"', require="extlists")


def test_redirect_to_a_list():
    script = f'require "extlists"; redirect :list "{WORDS}";'
    assert run(script, answers={ListKnown(WORDS): True}).actions == (RedirectMessage(WORDS, from_list=True),)
    failure = run(script).failure
    assert failure is not None and failure.text == f'there is no list "{WORDS}"'


@pytest.mark.parametrize(
    ("command", "told"),
    [
        (
            'if header :list "subject" "friends" {}',
            'a list is named by a URI, such as ":addrbook:default", not by "friends"',
        ),
        ('redirect :list "a b";', 'a list is named by a URI, such as ":addrbook:default", not by "a b"'),
        ('if header :list :comparator "i;octet" "subject" "a:b" {}', "no comparator goes with :list"),
        ('if header :comparator "i;ascii-casemap" :list "subject" "a:b" {}', "no comparator goes with :list"),
    ],
)
def test_what_is_wrong_with_a_list(command, told):
    assert [text.partition(" ")[2] for text in mistakes(f'require "extlists"; {command}')] == [told]


def test_a_name_that_comes_of_a_variable_is_looked_at_when_it_is_known():
    script = 'require ["extlists", "variables"]; set "l" "friends"; if header :list "subject" "${l}" {}'
    assert "is named by a URI" in run(script).failure.text
