"""``mailnode sieve check`` and ``mailnode sieve test``: scripts in files, without configuration, store or server."""

import json

import pytest
from click.testing import CliRunner

from mailnode.ctl.main import main

MESSAGE = b"Return-Path: <bob@example.com>\nDelivered-To: me@example.com\nTo: me@example.com\nSubject: Hello\n\nbody\n"
SCRIPT = (
    'require ["fileinto", "editheader", "vacation"];\nif header :contains "subject" "hell" {\n  addheader "X-A" "b";\n'
)
SCRIPT += '  fileinto "found";\n}\nvacation "gone";\n'


@pytest.fixture
def sieve(tmp_path):
    """Run a command on a script and a message; returns what click saw."""
    (tmp_path / "message").write_bytes(MESSAGE)

    def call(command, script, *options):
        (tmp_path / "script").write_text(script)
        files = [str(tmp_path / "script")] + ([str(tmp_path / "message")] if command == "test" else [])
        return CliRunner().invoke(main, ["sieve", command, *files, *options])

    return call


def test_a_script_without_mistakes(sieve):
    done = sieve("check", SCRIPT)
    assert done.exit_code == 0 and done.stdout.endswith("script: no mistakes\n")


def test_mistakes_have_their_places(sieve):
    done = sieve("check", 'keep;\nfileinto "x";\n  frobnicate;')
    assert done.exit_code == 2
    assert [line.rpartition("script:")[2] for line in done.stdout.splitlines()] == [
        '2:1: fileinto needs require "fileinto"',
        "3:3: frobnicate is no command",
    ]


def test_mistakes_as_json(sieve):
    done = sieve("check", "keep", "--json")
    assert done.exit_code == 2
    text = "a semicolon or a block should follow keep, not the end of the script"
    assert json.loads(done.stdout) == [{"line": 1, "column": 5, "text": text}]


def test_a_trial_is_told_step_by_step(sieve):
    lines = sieve("test", SCRIPT, "--headers").stdout.splitlines()
    assert lines[0] == "from <bob@example.com> to <me@example.com>"
    assert "    2  header: 'Hello' :contains 'hell'" in lines
    assert "    2  header: true" in lines
    assert '  filed into "found"' in lines
    assert "  answered to bob@example.com, at most once in 604800 seconds: Auto: Hello" in lines
    assert lines[lines.index("X-A: b") + 1] == "Return-Path: <bob@example.com>"


def test_the_envelope_may_be_given(sieve):
    script = 'require ["envelope", "fileinto"]; if envelope "from" "" { fileinto "none"; }'
    assert 'filed into "none"' in sieve("test", script, "--from", "").stdout
    assert (
        "from <a@b.example> to <c@d.example>"
        in sieve("test", script, "--from", "a@b.example", "--to", "c@d.example").stdout
    )


def test_a_trial_as_json(sieve):
    told = json.loads(sieve("test", SCRIPT, "--json").stdout)
    assert [action["action"] for action in told["actions"]] == ["fileinto", "vacation"]
    assert told["actions"][0]["edited"] is True
    assert told["steps"][0] == {"line": 2, "text": "header: 'Hello' :contains 'hell'"}


def test_a_script_that_fails_ends_with_one(sieve):
    done = sieve("test", 'require "ihave"; error "not today";')
    assert done.exit_code == 1
    assert "The script fails: line 1: the script says: not today" in done.stdout
    assert "kept, because nothing else was said" in done.stdout


def test_a_script_with_mistakes_ends_with_two(sieve):
    done = sieve("test", "frobnicate;")
    assert done.exit_code == 2 and done.stderr.endswith("1:1: frobnicate is no command\n") and not done.stdout


def test_a_file_that_is_not_there(tmp_path):
    done = CliRunner().invoke(main, ["sieve", "check", str(tmp_path / "none")])
    assert done.exit_code == 2 and "does not exist" in done.stderr


def test_mailboxes_that_are_given_are_there(sieve):
    script = 'require ["mailbox", "fileinto"]; if mailboxexists ["INBOX", "Work/Lists"] { fileinto "Work/Lists"; }'
    assert 'filed into "Work/Lists"' not in sieve("test", script).stdout
    assert 'filed into "Work/Lists"' not in sieve("test", script, "--mailbox", "Work").stdout
    assert 'filed into "Work/Lists"' in sieve("test", script, "--mailbox", "x", "--mailbox", "Work/Lists").stdout
    done = sieve("test", script, "--mailbox", "a//b")
    assert done.exit_code == 2 and "--mailbox" in done.stderr


def test_scripts_that_are_included_are_found(sieve, tmp_path):
    for folder, name, source in (
        ("own", "spam.sieve", 'require "fileinto"; fileinto "own";'),
        ("all", "spam", 'require "fileinto"; fileinto "all";'),
        ("own", "bad", "keep;\n  frobnicate;"),
    ):
        (tmp_path / folder).mkdir(exist_ok=True)
        (tmp_path / folder / name).write_text(source)
    folders = ("--scripts", str(tmp_path / "own"), "--global", str(tmp_path / "all"))
    told = sieve("test", 'require "include"; include "spam"; include :global "spam";', *folders).stdout
    assert 'filed into "own"' in told and 'filed into "all"' in told
    steps = [line.split("  ")[-1] for line in told.split("\n\n")[1].splitlines()]
    assert steps[:3] == ['include "spam"', 'file into "own"', 'end of "spam"']
    done = sieve("test", 'require "include"; include "bad";', *folders)
    assert done.exit_code == 1
    assert 'the included script "bad" cannot be run: line 2, column 3: frobnicate is no command' in done.stdout
    for options in (folders, ()):
        for name in ("none", "ü" * 128):
            done = sieve("test", f'require "include"; include "{name}";', *options)
            assert f'there is no script "{name}" to include' in done.stdout
