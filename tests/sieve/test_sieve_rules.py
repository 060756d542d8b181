"""Rules as data and the script that they are: what a person wrote is never taken for a rule, and Debian's interpreter does what
ours does."""

from __future__ import annotations

import random
import tempfile
from dataclasses import replace
from datetime import date
from pathlib import Path

import pytest

from mailnode.sieve.rules import (
    AwayNotice,
    ChangedByHand,
    MailRule,
    MailRules,
    RuleCondition,
    RulesRefused,
    about_header,
    read_condition,
    read_rules,
    write_rules,
)
from tests.sieve.differential import differences, ours
from tests.sieve.oracle import PROGRAM, Oracle
from tests.sieve.support import STRICT, actions

ALL = MailRules(
    (
        MailRule("Lists", (RuleCondition("list", "announce.example.org"),), folder="Lists/Announce", stop=True),
        MailRule(
            'Bob, "the builder" \\o/',
            (RuleCondition("from", "bob@example.com", exact=True), RuleCondition("to", "me@example.com", exact=True)),
            any_of=True,
            flags=("\\Flagged", "Work"),
        ),
        MailRule(
            "Large", (RuleCondition("over", octets=1 << 20), RuleCondition("under", octets=99)), forward="a@b.example"
        ),
        MailRule("Spam", (about_header("X-Spam-Flag", "YES", True),), delete=True),
        MailRule("Out", forward="c@d.example", keeps_copy=False),
    ),
    AwayNotice("I am away.\n\n.\nBack soon, \u00e4.", "Away", 3, date(2026, 12, 20), date(2027, 1, 3)),
)
SCRIPT = """\
# Filters, made by "mailnode filter". What stands here otherwise than it writes it is left alone.
require ["copy", "date", "fileinto", "imap4flags", "mailbox", "relational", "vacation"];

# Away
if allof (
    currentdate :value "ge" "date" "2026-12-20",
    currentdate :value "le" "date" "2027-01-03"
) {
    vacation :days 3 :subject "Away" "I am away.

.
Back soon, \u00e4.";
}

# Rule: Lists
if header :contains "list-id" "announce.example.org" {
    fileinto :create "Lists/Announce";
    stop;
}

# Rule: Bob, "the builder" \\o/
if anyof (
    address :is "from" "bob@example.com",
    address :is ["to", "cc"] "me@example.com"
) {
    addflag ["\\\\Flagged", "Work"];
}

# Rule: Large
if allof (
    size :over 1M,
    size :under 99
) {
    redirect :copy "a@b.example";
}

# Rule: Spam
if header :is "x-spam-flag" "YES" {
    discard;
}

# Rule: Out
if true {
    redirect "c@d.example";
}
"""


def test_the_script_is_for_people():
    assert write_rules(ALL).decode() == SCRIPT.replace("\n", "\r\n")
    assert read_rules(SCRIPT.encode()) == ALL, "an editor may have left line feeds alone"


def test_no_rules_are_a_script_too():
    assert read_rules(write_rules(MailRules())) == MailRules()


# made of seeds

TEXTS = [
    "a",
    "Hello World",
    'say "x"',
    "back\\slash\\",
    "\u00e4\u00f6 \u65e5\u672c",
    "${x} ${unicode:40}",
    "# Rule: x",
    "*/ ?",
    " x ",
    "text:",
]
FOLDERS = ["Work", "Lists/A b", "\u65e5\u672c", 'a"b', "INBOX", "&-x"]


def _condition(rng):
    what = rng.choice(("from", "to", "subject", "list", "header", "over", "under"))
    if what in ("over", "under"):
        return RuleCondition(what, octets=rng.choice((1, 999, 1 << 10, 3 << 20, 5 << 30, 123_456_789)))
    if what == "header":
        return about_header(
            rng.choice(("X-A", "from", "to", "cc", "subject", "list-id", "Date")), rng.choice(TEXTS), rng.random() < 0.5
        )
    return RuleCondition(what, rng.choice(TEXTS), rng.random() < 0.5)


def _rule(rng, number):
    conditions = tuple(_condition(rng) for _ in range(rng.randrange(4)))
    rule = MailRule(
        f"{number}{rng.choice(TEXTS)}".strip(),
        conditions,
        len(conditions) > 1 and rng.random() < 0.5,
        stop=rng.random() < 0.3,
    )
    done = rng.randrange(4)
    if done == 0:
        return replace(rule, delete=True)
    if done == 1:
        return replace(rule, forward="far@example.net", keeps_copy=False)
    return replace(
        rule,
        folder=rng.choice(FOLDERS),
        flags=rng.choice(((), ("\\Seen",), ("\\Flagged", "$Work"), ("a",))),
        forward=rng.choice(("", "far@example.net", "o'x+y@example.org")),
    )


def made(seed):
    """Rules of a seed."""
    rng = random.Random(seed)
    rules = tuple(_rule(rng, number) for number in range(rng.randrange(6)))
    away = None
    if rng.random() < 0.5:
        first, last = (rng.choice((None, date(2026, 11, day))) for day in (rng.randrange(1, 15), rng.randrange(15, 31)))
        text = "\n".join(rng.choice((*TEXTS, "", ".", "..", "\tx")) for _ in range(rng.randrange(1, 5))) + "x"
        away = AwayNotice(text, rng.choice(("", *TEXTS)), rng.randrange(1, 366), first, last)
    return MailRules(rules, away)


@pytest.mark.parametrize("start", range(0, 400, 100))
def test_rules_are_read_as_they_were_written(start):
    for seed in range(start, start + 100):
        rules = made(seed)
        assert read_rules(write_rules(rules)) == rules, seed
        conditions = [one for rule in rules.rules for one in rule.conditions]
        assert [read_condition(one.words()) for one in conditions] == conditions, seed


@pytest.mark.parametrize("start", range(0, 40, 10))
def test_a_line_that_is_changed_is_named_or_is_what_rules_say(start):
    """Whatever a person does to a script: what is read is written again as it stands, or refused, by the line at the latest."""
    refused = 0
    for seed in range(start, start + 10):
        rng = random.Random(seed)
        lines = write_rules(made(seed)).decode().split("\r\n")
        for number in range(len(lines)):
            changed = list(lines)
            changed[number : number + 1] = rng.choice(
                (
                    [],
                    [lines[number]] * 2,
                    [lines[number], "# mine"],
                    [lines[number] + " "],
                    ["keep;"],
                    [lines[number].replace("contains", "is")],
                )
            )
            source = "\r\n".join(changed).encode()
            try:
                assert write_rules(read_rules(source)) == source, (seed, number)
            except ChangedByHand as error:
                refused += 1
                assert 1 <= error.line <= len(changed), (seed, number)
    assert refused


@pytest.mark.parametrize(
    ("before", "after", "line"),
    [
        ("    stop;\n}\n\n# Rule: Bob", "    stop;\n    keep;\n}\n\n# Rule: Bob", "    keep;"),
        ("# Rule: Lists\n", "# My own words\n", "if header :contains"),
        ("size :under 99", "not size :under 99", "    not size"),
        ("size :over 1M", "size :over 1024K", "    size :over"),
        ("    discard;\n", "    discard; # spam\n", "    discard;"),
        ("if true {", 'if header :contains "x" ["a", "b"] {', 'if header :contains "x" ['),
        ("# Rule: Out\n", "keep;\n\n# Rule: Out\n", "keep;"),
        ("# Away\n", "# Away.\n", "if allof ("),
        (":days 3", ':days 3 :handle "x"', "    vacation"),
        ("# Rule: Spam", "# Rule: Lists", 'if header :is "x-spam'),
        ('"x-spam-flag"', '"X-Spam-Flag"', 'if header :is "X-Spam'),
        ("Back soon", "\x08Back soon", "if allof ("),
        ("if true {", "if true", "}"),
        ('"relational", ', "", "require"),
    ],
)
def test_what_a_person_wrote_is_not_a_rule(before, after, line):
    assert SCRIPT.count(before) == 1
    changed = SCRIPT.replace(before, after)
    with pytest.raises(ChangedByHand) as refused:
        read_rules(changed.encode())
    assert changed.split("\n")[refused.value.line - 1].startswith(line)


def test_a_value_that_a_person_changed_is_the_rule_s():
    rules = read_rules(SCRIPT.replace("announce.example.org", "other.example").encode())
    assert rules.rules[0].conditions == (RuleCondition("list", "other.example"),)


# what cannot be said


@pytest.mark.parametrize(
    ("rule", "words"),
    [
        (MailRule("x"), "nothing is done"),
        (MailRule("", stop=True), "a name"),
        (MailRule("a\nb", stop=True), "a name"),
        (MailRule("x", (RuleCondition("from", "a\r\nb"),), stop=True), "a line"),
        (MailRule("x", (RuleCondition("from", ""),), stop=True), "a line"),
        (MailRule("x", (RuleCondition("from", "a"),), any_of=True, stop=True), "two conditions"),
        (MailRule("x", (RuleCondition("bcc", "a"),), stop=True), "no condition"),
        (MailRule("x", (RuleCondition("header", "a", name="a b"),), stop=True), "header field"),
        (MailRule("x", (RuleCondition("header", "a", name="subject"),), stop=True), "of its own"),
        (MailRule("x", (RuleCondition("over", octets=0),), stop=True), "a number of octets"),
        (MailRule("x", (RuleCondition("over", "a", octets=1),), stop=True), "a number of octets"),
        (MailRule("x", folder="a//b"), "no mailbox"),
        (MailRule("x", folder="a\n"), "no mailbox"),
        (MailRule("x", flags=("\\Recent",)), "no flags"),
        (MailRule("x", flags=("a b",)), "no flags"),
        (MailRule("x", forward="nobody"), "no address"),
        (MailRule("x", forward="a@b.example\r\nBcc: x@y.example"), "one address"),
        (MailRule("x", delete=True, folder="a"), "deleted"),
        (MailRule("x", folder="a", keeps_copy=False), "without a copy"),
        (MailRule("x", (RuleCondition("from", "a"),) * 51, stop=True), "at most 50"),
    ],
)
def test_rules_that_cannot_be(rule, words):
    with pytest.raises(RulesRefused, match=words):
        write_rules(MailRules((rule,)))


@pytest.mark.parametrize(
    ("rules", "words"),
    [
        (MailRules((MailRule("x", stop=True),) * 2), "two rules"),
        (MailRules(tuple(MailRule(str(number), stop=True) for number in range(501))), "more than 500"),
        (MailRules((), AwayNotice(" \n")), "an answer"),
        (MailRules((), AwayNotice("a\0b")), "an answer"),
        (MailRules((), AwayNotice("a", "b\nc")), "a subject"),
        (MailRules((), AwayNotice("a", days=0)), "365 days"),
        (MailRules((), AwayNotice("a", first=date(2026, 1, 2), last=date(2026, 1, 1))), "behind the last"),
    ],
)
def test_what_else_cannot_be(rules, words):
    with pytest.raises(RulesRefused, match=words):
        write_rules(rules)


# conditions in words


@pytest.mark.parametrize(
    ("words", "condition"),
    [
        ("from contains bob is here", RuleCondition("from", "bob is here")),
        ("to is me@example.com", RuleCondition("to", "me@example.com", True)),
        ("header X-A is b", RuleCondition("header", "b", True, "x-a")),
        ("header Subject contains b", RuleCondition("subject", "b")),
        ("header From is b", RuleCondition("header", "b", True, "from")),
        ("size over 2MB", RuleCondition("over", octets=2 << 20)),
        ("size under 100", RuleCondition("under", octets=100)),
    ],
)
def test_a_condition_in_words(words, condition):
    assert read_condition(words) == condition
    assert read_condition(condition.words()) == condition


@pytest.mark.parametrize(
    "words", ["", "from bob", "size over", "size over 1X", "bcc is a", "header is a", "size over \u0663"]
)
def test_words_that_are_no_condition(words):
    with pytest.raises(RulesRefused):
        read_condition(words)


# what the script does

MESSAGE = (
    "From: Bob <bob@example.com>\r\nTo: me@example.com\r\nSubject: Hello World\r\nList-Id: News <announce.example.org>\r\n"
    "X-Spam-Flag: no\r\n\r\nbody text\r\n"
)


def done(*rules, away=None, message=MESSAGE):
    """What our interpreter says that is to be done."""
    script = write_rules(MailRules(rules, away)).decode()
    return [
        (
            type(one).__name__,
            getattr(one, "mailbox", None) or getattr(one, "address", None) or None,
            getattr(one, "flags", ()),
        )
        for one in actions(script, message)
    ]


@pytest.mark.parametrize(
    ("condition", "holds"),
    [
        ("from contains BOB", True),
        ("from is bob@example.com", True),
        ("from is Bob", False),
        ("to contains me@", True),
        ("subject is hello world", True),
        ("subject is hello", False),
        ("list contains announce.example.org", True),
        ("header x-spam-flag is yes", False),
        ("size under 1K", True),
        ("size over 1K", False),
    ],
)
def test_conditions_hold(condition, holds):
    filed = done(MailRule("x", (read_condition(condition),), folder="There"))
    assert filed == ([("FileMessage", "There", ())] if holds else [("KeepMessage", None, ())])


def test_all_or_any_of_them():
    conditions = (read_condition("subject contains hello"), read_condition("subject contains goodbye"))
    rule = MailRule("x", conditions, folder="There")
    assert done(rule) == [("KeepMessage", None, ())]
    assert done(replace(rule, any_of=True)) == [("FileMessage", "There", ())]


def test_what_is_done():
    flagged = MailRule("a", flags=("\\Flagged",))
    assert done(flagged) == [("KeepMessage", None, ("\\Flagged",))]
    assert done(flagged, MailRule("b", folder="B")) == [("FileMessage", "B", ("\\Flagged",))]
    assert done(MailRule("a", folder="A", stop=True), MailRule("b", folder="B")) == [("FileMessage", "A", ())]
    assert [one[0] for one in done(MailRule("a", forward="a@b.example"))] == ["RedirectMessage", "KeepMessage"]
    assert [one[0] for one in done(MailRule("a", forward="a@b.example", keeps_copy=False))] == ["RedirectMessage"]
    assert [one[0] for one in done(MailRule("a", delete=True))] == ["DiscardMessage"]


@pytest.mark.parametrize(
    ("first", "last", "answers"),
    [
        (None, None, True),
        (date(2026, 11, 30), date(2026, 11, 30), True),
        (date(2026, 12, 1), None, False),
        (None, date(2026, 11, 29), False),
        (date(2026, 11, 1), None, True),
    ],
)
def test_somebody_is_away_from_day_to_day(first, last, answers):
    """It is the 30th of November 2026."""
    message = MESSAGE.replace("List-Id", "X-List")
    names = [one[0] for one in done(away=AwayNotice("Gone.", first=first, last=last), message=message)]
    assert names == (["VacationReply"] if answers else []) + ["KeepMessage"]


@pytest.fixture(scope="module")
def oracle():
    """In a folder of its own that another user may look into, which none of pytest's stays."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        folder.chmod(0o755)
        yield Oracle(folder)


@pytest.mark.skipif(PROGRAM is None and not STRICT, reason="no sieve-test (dovecot-sieve)")
def test_the_other_interpreter_does_the_same(oracle):
    """Scripts of seeds in Debian's, without the days, of which it knows today alone."""
    did = set()
    for seed in range(30):
        rules = made(seed)
        if rules.away is not None:
            rules = replace(rules, away=replace(rules.away, first=None, last=None))
        script, message = write_rules(rules), MESSAGE.encode()
        theirs = oracle.run(script, message)
        assert differences(ours(script, message), theirs) == ([], []), (seed, script.decode())
        did.update(one.split()[0] for one in theirs)
    assert {"file", "implicit", "redirect", "discard"} <= did
