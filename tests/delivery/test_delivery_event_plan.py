"""What a script of a mailbox comes to for a message that is there already (RFC 6785 3)."""

import pytest

from mailnode.delivery.event_plan import FlagDifference, difference, event_plan
from mailnode.sieve.actions import EditedContent, FileMessage
from mailnode.sieve.checker import compile_script
from mailnode.sieve.facts import EnvelopeFacts, SieveFacts
from mailnode.sieve.interpreter import outcome, run_script
from mailnode.values.flags import ANSWERED, FLAGGED, SEEN

MESSAGE = b"From: a@b.example\r\nSubject: s\r\n\r\nbody\r\n"
ALL = 'require ["copy", "fileinto", "imap4flags", "editheader", "enotify", "imapsieve", "environment", "envelope"];'


def planned(script, flags=(), **facts):
    seen = SieveFacts(
        MESSAGE, EnvelopeFacts("me@here.example", "me@here.example"), 0.0, flags=flags, is_delivery=False, **facts
    )
    found = outcome(run_script(compile_script((ALL + script).encode()), seen), lambda question: None)
    assert found.failure is None, found.failure
    return event_plan(found.actions, flags)


@pytest.mark.parametrize(
    ("script", "kept", "files", "sends"),
    [
        ("keep;", True, 0, 0),
        ("", True, 0, 0),
        ("discard;", False, 0, 0),
        ("discard; keep;", True, 0, 0),
        ('fileinto "A";', False, 1, 0),
        ('fileinto :copy "A"; fileinto :copy "B";', True, 2, 0),
        ('fileinto "A"; keep;', True, 1, 0),
        ('redirect "a@b.example";', False, 0, 1),
        ('redirect :copy "a@b.example";', True, 0, 1),
        ('notify "mailto:a@b.example";', True, 0, 1),
    ],
)
def test_what_becomes_of_the_message(script, kept, files, sends):
    plan = planned(script)
    assert (plan.kept, len(plan.files), len(plan.sends)) == (kept, files, sends)
    assert plan.flags == FlagDifference()


def test_flags_that_a_script_changes_are_changed_as_by_a_client():
    plan = planned(r'addflag ["\\Flagged", "Work"]; removeflag "\\seen";', ("\\Seen", "\\Answered"))
    assert plan.kept
    assert plan.flags == FlagDifference(FLAGGED, ("Work",), SEEN, ())


def test_a_keep_with_flags_of_its_own_has_those():
    assert planned(r'keep :flags "\\Answered";', ("\\Seen", "old")).flags == FlagDifference(
        ANSWERED, (), SEEN, ("old",)
    )


def test_flags_of_what_is_thrown_away_stay():
    assert planned(r'addflag "\\Flagged"; discard;').flags == FlagDifference()


def test_what_is_filed_has_the_flags_of_the_message():
    assert planned(r'addflag "\\Flagged"; fileinto "A";', ("\\Seen",)).files == (
        FileMessage("A", ("\\Seen", "\\Flagged")),
    )


def test_edits_are_for_copies_alone():
    plan = planned('addheader "X-A" "1"; fileinto :copy "A";')
    assert isinstance(plan.files[0].content, EditedContent)
    assert plan.kept
    assert plan.flags == FlagDifference()


def test_case_makes_no_difference_of_flags():
    assert difference(("\\Seen", "Work"), ("\\SEEN", "work")) == FlagDifference()


def test_an_envelope_that_is_asked_for_fails():
    script = compile_script((ALL + 'if envelope "from" "x" { discard; }').encode())
    facts = SieveFacts(MESSAGE, EnvelopeFacts("a@b.example", "me@here.example"), 0.0, is_delivery=False)
    found = outcome(run_script(script, facts), lambda question: None)
    assert found.failure is not None
    assert event_plan(found.actions, ()).kept
