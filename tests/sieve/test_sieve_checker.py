"""Which commands, tests and arguments there are, and what a script must require (RFC 5228 2.10.5 and 3.2)."""

import pytest

from mailnode.sieve.checker import compile_script, offered
from mailnode.sieve.faults import ScriptRefused
from tests.sieve.support import mistakes


@pytest.mark.parametrize(
    ("script", "told"),
    [
        ('require "nothing";', '1:9 there is no extension "nothing"'),
        ('keep; require "fileinto";', "1:7 require should stand before all other commands"),
        ('if true { require "fileinto"; }', "1:11 require should stand before all other commands"),
        ("require 1;", "1:1 require takes the name of an extension, or a list of names"),
        ('fileinto "x";', '1:1 fileinto needs require "fileinto"'),
        ('redirect :copy "a@b.example";', '1:10 :copy needs require "copy"'),
        ('if header :value "gt" "a" "b" { keep; }', '1:11 :value needs require "relational"'),
        ('if header :comparator "i;ascii-numeric" "a" "1" { keep; }',
         '1:23 the comparator "i;ascii-numeric" needs require "comparator-i;ascii-numeric"'),
        ('if header :comparator "i;x" "a" "1" { keep; }', '1:23 there is no comparator "i;x"'),
        ('require "comparator-i;ascii-numeric"; if header :contains :comparator "i;ascii-numeric" "a" "1" { keep; }',
         "1:49 i;ascii-numeric knows no substrings, which :contains needs"),
        ("frobnicate;", "1:1 frobnicate is no command"),
        ("if frobnicate { keep; }", "1:4 frobnicate is no test"),
        ("if keep { keep; }", "1:4 keep is a command, no test"),
        ("true;", "1:1 true is a test, no command"),
        ("keep 1;", "1:6 keep takes no further argument"),
        ("keep :x;", "1:6 keep takes no :x"),
        ("redirect;", "1:1 redirect lacks an argument: address, a string"),
        ("redirect 5;", "1:10 address of redirect should be a string"),
        ('redirect ["a@b.example"];', "1:10 address of redirect should be a string"),
        ('if header :is :contains "a" "b" { keep; }', "1:15 :is and :contains exclude each other"),
        ('if header "a" :is "b" { keep; }', "1:15 :is should stand before the other arguments of header"),
        ("if size :over :under 5 { keep; }", "1:15 :over and :under exclude each other"),
        ("if size 5 { keep; }", "1:9 size lacks :over or :under"),
        ("if not true, false { keep; }", "1:12 a semicolon or a block should follow if, not ,"),
        ("if allof true { keep; }", "1:4 a list of tests in ( ) should follow allof"),
        ("if (true) { keep; }", "1:1 one test should follow if"),
        ("if true;", "1:1 a block in { } should follow if"),
        ("keep {}", "1:1 keep takes no block"),
        ("keep; else { keep; }", "1:7 else should follow an if or an elsif"),
        ("if true {} else {} elsif true {}", "1:20 elsif should follow an if or an elsif"),
        ('redirect "not an address";', '1:10 "not an address" is no address: there is no @'),
        ('redirect "a@b.example, c@d.example";', '1:10 "a@b.example, c@d.example" is no address: it is not one address'),
        ('redirect "a@b.example\r\nBcc: x@y.example";',
         '1:10 "a@b.example\r\nBcc: x@y.example" is no address: a control character stands in it'),
        ('require "fileinto"; fileinto "a//b";', '1:30 no mailbox can be named "a//b": empty level or too deep'),
        ('if address "subject" "a" { keep; }',
         '1:12 "subject" is no header field with addresses that this test knows'),
        ('require "envelope"; if envelope "cc" "a" { keep; }', '1:33 the envelope has no part "cc"'),
        ('require "variables"; set "1a" "x";', '1:26 "1a" is no name of a variable'),
        ('require "variables"; set "a" "${no.such}";', "1:30 there is no namespace no of variables"),
        ('require "variables"; set :lower :upper "a" "";', "1:33 :lower and :upper exclude each other"),
        ('require "relational"; if header :value "xx" "a" "b" { keep; }',
         '1:40 "xx" is no relation of :value: eq, ge, gt, le, lt, ne'),
        ('require "encoded-character"; redirect "${unicode:D800}";', "1:39 U+D800 is no character"),
        ('require "date"; if currentdate "century" "20" { keep; }', '1:32 a date has no part "century"'),
        ('require "date"; if currentdate :zone "CET" "year" "20" { keep; }',
         '1:38 "CET" is no time zone such as "+0100"'),
        ('require "index"; if header :last "a" "b" { keep; }', "1:28 :last needs :index"),
        ('require "editheader"; addheader "a b" "c";', '1:33 "a b" is no name of a header field'),
        ('require ["vacation", "fcc"]; vacation :fcc "a" :flags "x" "gone";',
         '1:48 :flags needs require "imap4flags"'),
        ('require ["vacation", "mailbox"]; vacation :create "gone";', "1:43 :create of vacation needs :fcc"),
        ('require ["vacation", "fcc"]; vacation :fcc "a//b" "gone";',
         '1:44 no mailbox can be named "a//b": empty level or too deep'),
        ('require "vacation"; vacation :from "x" "gone";', '1:36 "x" is no address'),
        ('require "imap4flags"; addflag "name" "x";', '1:31 the name of a variable needs require "variables"'),
    ],
)  # fmt: skip
def test_what_is_wrong_is_told_with_its_place(script, told):
    assert mistakes(script) == [told]


def test_all_that_is_wrong_is_told_in_order():
    assert [one.partition(" ")[0] for one in mistakes("keep :x;\nif nothing { keep 2; }\nstop 1;")] == [
        "1:6",
        "2:4",
        "2:19",
        "3:6",
    ]


def test_no_more_mistakes_than_a_person_reads():
    assert len(mistakes("keep 1;" * 500)) == 20


def test_what_is_not_offered_is_not_known():
    with pytest.raises(ScriptRefused, match='there is no extension "copy"'):
        compile_script(b'require "copy";', withheld=["copy"])
    assert "copy" in offered() and "copy" not in offered(["copy"])


def test_an_extension_brings_what_it_implies():
    assert mistakes('require "vacation-seconds"; vacation :seconds 5 "gone";') == []


def test_a_script_is_known_by_its_digest():
    first, same, other = (compile_script(text) for text in (b"keep;", b"keep;", b"keep ;"))
    assert first.digest == same.digest != other.digest


def test_a_mark_at_the_start_and_either_line_end_is_no_difference():
    assert mistakes(b"\xef\xbb\xbfkeep;\r\n") == mistakes(b"keep;\n") == []
