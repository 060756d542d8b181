"""Scripts one behind the other: of the server, the domain, the account."""

import pytest

from mailnode.sieve.actions import FileMessage, KeepMessage, RedirectMessage
from mailnode.sieve.checker import compile_script
from mailnode.sieve.facts import EnvelopeFacts, SieveFacts
from mailnode.sieve.faults import ScriptRefused
from mailnode.sieve.interpreter import outcome
from mailnode.sieve.sequence import ScriptToRun, edited, run_sequence

MESSAGE = b"From: a@b.example\r\nSubject: old\r\n\r\nbody\r\n"


def run(*sources, flags=()):
    scripts = []
    for number, source in enumerate(sources):
        try:
            compiled = compile_script(source.encode())
        except ScriptRefused as refused:
            compiled = refused
        scripts.append(ScriptToRun(f"s{number}", f"d{number}", compiled))
    facts = SieveFacts(MESSAGE, EnvelopeFacts("a@b.example", "me@here.example"), 0.0, flags=flags)
    return outcome(run_sequence(scripts, facts), lambda question: None)


@pytest.mark.parametrize(
    ("first", "ran"),
    [
        ("", ("s0", "s1")),
        ("keep;", ("s0", "s1")),
        ("stop;", ("s0", "s1")),
        ("discard;", ("s0",)),
        ('require "fileinto"; fileinto "A";', ("s0",)),
        ('require ["fileinto", "copy"]; fileinto :copy "A";', ("s0", "s1")),
        ('redirect "x@y.example";', ("s0",)),
        ('require "reject"; reject "no";', ("s0",)),
    ],
)
def test_the_next_script_runs_while_a_keep_stands(first, ran):
    assert run(first, "keep;").ran == ran


def test_no_scripts_keep_the_message():
    found = run()
    assert found.actions == (KeepMessage(implicit=True),)
    assert found.ran == ()


def test_of_all_keeps_the_last_holds_and_what_else_was_said_is_done():
    found = run(
        'require ["imap4flags", "copy"]; redirect :copy "x@y.example"; keep :flags "\\\\Flagged";',
        'require "fileinto"; fileinto "A";',
    )
    assert found.actions == (RedirectMessage("x@y.example"), FileMessage("A", ("\\Flagged",)))
    kept = run('require "imap4flags"; keep :flags "\\\\Flagged";', "")
    assert kept.actions == (KeepMessage(("\\Flagged",), implicit=True),), "flags go on to the next script"


def test_a_script_sees_the_message_as_the_one_before_left_it():
    first = 'require ["editheader"]; deleteheader "Subject"; addheader "Subject" "new";'
    found = run(first, 'require "fileinto"; if header "subject" "new" { fileinto "A"; }')
    [filed] = found.actions
    assert filed.mailbox == "A"
    assert edited(MESSAGE, filed.content) == b"Subject: new\r\nFrom: a@b.example\r\n\r\nbody\r\n"


def test_what_two_scripts_changed_is_a_change_of_what_came():
    replaced = 'require ["replace", "mime"]; replace "other";'
    found = run(replaced, 'require "editheader"; addheader "X-Two" "2";')
    [kept] = found.actions
    made = edited(MESSAGE, kept.content)
    assert made.startswith(b"X-Two: 2\r\n")
    assert b"\r\n\r\nother" in made, "the second script touched the header alone"


@pytest.mark.parametrize("broken", ["nonsense", 'require "ihave"; error "oh";'])
def test_a_script_that_fails_ends_all_and_the_message_is_kept(broken):
    before = 'require "copy"; redirect :copy "x@y.example";'
    found = run(before, broken, "discard;")
    assert found.actions == (RedirectMessage("x@y.example"), KeepMessage(implicit=True))
    assert (found.failed.name, found.failed.digest) == ("s1", "d1")
    assert found.failed.failure.line == 1


def test_what_a_script_logs_is_told_of_all_of_them():
    say = 'require "vnd.dovecot.debug"; debug_log "{}";'
    assert run(say.format("one"), say.format("two")).logged == ("one", "two")
