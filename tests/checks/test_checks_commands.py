"""Commands that checks tell people to use are there."""

import ast
from pathlib import Path

import click
import pytest

from mailnode.ctl.main import main

ROOT = Path(__file__).parents[2] / "mailnode/checks"


def told():
    """Yield each line of a text of the checks that is a command of ours."""
    for path in sorted(ROOT.rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Constant) and isinstance(node.value, str):
                for line in node.value.splitlines():
                    _, mark, rest = line.partition("mailnode ")
                    if mark and (line.startswith("mailnode ") or ": mailnode " in line):
                        yield path.name, rest.split(",")[0].split("{")[0].split()


COMMANDS = list(told())


@pytest.mark.parametrize(("file", "words"), COMMANDS, ids=[f"{file}-{'-'.join(words)}" for file, words in COMMANDS])
def test_the_command_is_there(file, words):
    command = main
    left = list(words)
    while left and isinstance(command, click.Group):
        command = command.commands[left.pop(0)]
    assert not isinstance(command, click.Group)
    options = {option for parameter in command.params for option in parameter.opts}
    assert {one for one in left if one.startswith("--")} <= options


def test_some_are_found():
    assert {"doctor", "reload", "backup", "queue"} <= {words[0] for _, words in COMMANDS}
