"""What destroys is done with ``--yes`` or after a terminal's yes, and in no other way."""

import os
import pty
import re
import subprocess
import sys

import click
import pytest
from click.testing import CliRunner

from mailnode.admin.dispatch import OPERATIONS
from mailnode.ctl.main import main
from mailnode.ctl.parts import Destroying, Place

DESTROYING_WORDS = re.compile(r"remove|(?<!un)delete|drop|discard|purge|erase|wipe|expunge|destroy|empty|clear|reset")

COMES_BACK = {"filter.remove"}  # the script as it was before stays as a version


def leaves(group, path=()):
    """Every command of the tree with the words that lead to it."""
    for name, command in group.commands.items():
        if isinstance(command, click.Group):
            yield from leaves(command, (*path, name))
        else:
            yield (*path, name), command


LEAVES = list(leaves(main))


def words(path, command):
    """A command line that the command takes."""
    line = list(path)
    for parameter in command.params:
        if isinstance(parameter, click.Argument):
            line.append(parameter.type.choices[0] if isinstance(parameter.type, click.Choice) else "x@mailnode.test")
    return line


@pytest.fixture
def called(monkeypatch):
    """The names of the commands that would have reached a server."""
    names = []
    monkeypatch.setattr(Place, "call", lambda place, name, /, **arguments: names.append(name) or {})
    monkeypatch.setattr("mailnode.ctl.tree.read_password", lambda *arguments: "a long enough password")
    monkeypatch.setattr("mailnode.ctl.parts.show", lambda *arguments: None)
    return names


def destroys(name):
    return OPERATIONS[name].destroys


@pytest.mark.parametrize(("path", "command"), LEAVES, ids=[" ".join(path) for path, _ in LEAVES])
def test_what_destroys_is_refused_without_a_terminal_and_without_yes(path, command, called):
    destroying = isinstance(command, Destroying)
    for typed in ("", "n\n", "y\n", "yes\n"):
        result = CliRunner().invoke(main, words(path, command), input=typed)
        if destroying:
            assert (result.exit_code, result.stdout, called) == (2, "", [])
            assert "use --yes" in result.stderr
    assert not [name for name in called if destroys(name)], "declared to destroy, yet done without asking"


@pytest.mark.parametrize(
    ("path", "command"),
    [(path, command) for path, command in LEAVES if isinstance(command, Destroying)],
    ids=[" ".join(path) for path, command in LEAVES if isinstance(command, Destroying)],
)
def test_what_destroys_is_done_with_yes(path, command, called):
    assert CliRunner().invoke(main, [*words(path, command), "--yes"]).exit_code == 0
    assert [destroys(name) for name in called] == [True]


def test_what_sounds_like_destroying_is_declared_so():
    assert {
        name for name, entry in OPERATIONS.items() if DESTROYING_WORDS.search(name) and not entry.destroys
    } == COMES_BACK
    assert {
        ".".join(path)
        for path, command in LEAVES
        if DESTROYING_WORDS.search(path[-1]) and not isinstance(command, Destroying)
    } == COMES_BACK
    assert sum(entry.destroys for entry in OPERATIONS.values()) >= 5
    assert all(entry.changes for entry in OPERATIONS.values() if entry.destroys)


def on_a_terminal(data, typed):
    """Remove an account with a terminal as standard input. :return: (exit code, standard error)"""
    ours, theirs = pty.openpty()
    try:
        os.write(ours, typed)
        done = subprocess.run(
            [sys.executable, "-m", "mailnode.ctl.main", "--data", data, "account", "remove", "alice@mailnode.test"],
            stdin=theirs,
            capture_output=True,
            text=True,
            timeout=60,
        )
        return done.returncode, done.stderr
    finally:
        os.close(ours)
        os.close(theirs)


def test_a_terminal_is_asked_and_its_no_is_kept(tmp_path):
    data = tmp_path / "data"
    data.mkdir(mode=0o700)
    new = ["--data", str(data), "account", "add", "alice@mailnode.test", "--password-stdin"]
    assert CliRunner().invoke(main, new, input="a long enough password\n").exit_code == 0
    show = ["--data", str(data), "account", "show", "alice@mailnode.test"]
    for no in (b"n\n", b"\n", b"\x04"):
        code, errors = on_a_terminal(str(data), no)
        assert code == 2 and "Remove alice@mailnode.test and all its mail?" in errors and "--yes" in errors
        assert CliRunner().invoke(main, show).exit_code == 0
    assert on_a_terminal(str(data), b"y\n")[0] == 0
    assert CliRunner().invoke(main, show).exit_code == 3
