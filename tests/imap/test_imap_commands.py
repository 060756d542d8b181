"""The table of commands: a file in its folder is all that a command, a capability and an item of STATUS need."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

from mailnode.imap import commands
from mailnode.imap.commands.context import CommandInput, Context
from mailnode.imap.commands.row import SELECTED
from mailnode.imap.commands.table import TABLE

NOUN = """
from dataclasses import dataclass
from typing import ClassVar

from mailnode.imap.answers import Answer
from mailnode.imap.commands.context import CommandInput, Context
from mailnode.imap.commands.row import AFTER_LOGIN, CommandRow, bare
from mailnode.imap.commands.status import StatusItem
from mailnode.imap.wire import responses
from mailnode.imap.wire.command import Command


@dataclass(frozen=True, slots=True)
class Greet(Command):
    verb: ClassVar[str] = "XGREET"


async def greet(context, command):
    context.write(responses.untagged(b"XGREET", b"hello"))
    return Answer("XGREET completed")


ROWS = (CommandRow(name=b"XGREET", states=AFTER_LOGIN, parse=bare(Greet), run=greet, capabilities=("XGREET=1",)),)
STATUS_ITEMS = (StatusItem("XSEEN", lambda counts: counts.messages - counts.unseen),)
"""
DIALOG = """
import sys
from mailnode.imap import commands
commands.__path__.append(sys.argv[1])
from imap_world import World
client = World().connect()
for line in ("a XGREET", "a STATUS INBOX (XSEEN)", "a CAPABILITY", "a LOGOUT"):
    print(*client.ask(line), sep="\\n")
"""


def test_a_file_in_the_folder_is_a_command(tmp_path):
    (tmp_path / "xgreet.py").write_text(NOUN)
    said = subprocess.run(
        [sys.executable, "-c", DIALOG, str(tmp_path)],
        check=True,
        capture_output=True,
        text=True,
        env={"PYTHONPATH": str(Path(__file__).parent)},
    ).stdout.splitlines()
    assert said[:4] == ["* XGREET hello", "a OK XGREET completed", "* STATUS INBOX (XSEEN 0)", "a OK STATUS completed"]
    assert "XGREET=1" in said[4].split()
    assert said[-1] == "a OK LOGOUT completed"


def test_a_command_stands_in_one_file():
    """No file but the noun's own has rows for it, and what reads and answers it stands there."""
    rows = {}
    for path in Path(commands.__path__[0]).glob("*.py"):
        module = sys.modules.get(f"{commands.__name__}.{path.stem}")
        for row in getattr(module, "ROWS", ()):
            assert rows.setdefault(row.name, module) is module
            assert row.run.__module__ == module.__name__
    assert rows.keys() == TABLE.keys()


@pytest.mark.parametrize("row", TABLE.values(), ids=lambda row: row.name.decode())
def test_what_a_row_says_is_of_one_piece(row):
    assert row.name == row.name.upper()
    if row.name != b"ESEARCH":  # what it names as selected it looks for itself
        assert row.expunge or row.sequence_numbers
        assert row.states == SELECTED or not (row.needs_view or row.sequence_numbers)
    assert bool(row.together) == (row.run_together is not None)


def test_all_that_a_command_may_rely_on_is_relied_on_by_one():
    folder = Path(commands.__path__[0])
    # Commands, what they share, and what they leave going on.
    files = [*folder.glob("*.py"), *folder.parent.glob("*.py")]
    text = "".join(path.read_text() for path in files if path.stem not in ("context", "session"))
    for kind, named in ((Context, "context"), (CommandInput, "connection")):
        members = [*kind.__annotations__, *(name for name in vars(kind) if not name.startswith("_"))]
        assert len(members) >= 4
        assert [name for name in members if not re.search(rf"\b_?{named}\.{name}\b", text)] == []
