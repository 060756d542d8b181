"""Answers from a file, what is printed, and the pages about it."""

import re
from pathlib import Path

import pytest

from mailnode.config.commented import commented, literal
from mailnode.config.file import parse
from mailnode.errors import ConfigurationError
from mailnode.setup.answers import read_answers
from mailnode.setup.report import SetupLines, is_well, last_line, spoken_command
from mailnode.setup.row import LookedAt
from mailnode.setup.table import ITEMS, QUESTIONS
from mailnode.values.item import Item, ItemState

PAGE = (Path(__file__).parents[2] / "docs/setup.rst").read_text()


def test_every_item_and_every_question_is_on_the_page():
    for item in ITEMS:
        assert f"``{item.name}``" in PAGE, item.name
        assert isinstance(item, LookedAt) or item.explained
    for question in QUESTIONS:
        assert question.name in PAGE, question.name


def test_the_answers_of_the_page_are_read(tmp_path):
    block = PAGE[PAGE.index("    hostname = ") :].split("\n\n")[0]
    block = re.sub("^    (# )?", "", block, flags=re.MULTILINE)
    path = tmp_path / "answers.toml"
    path.write_text(block)
    assert set(read_answers(path, QUESTIONS)) <= {question.name for question in QUESTIONS}


def test_every_mistake_of_a_file_of_answers_is_said(tmp_path):
    path = tmp_path / "answers.toml"
    path.write_text('host = "x"\nhostname = 1.5\naddresses = [1]\ndirect = true\n')
    with pytest.raises(ConfigurationError) as told:
        read_answers(path, QUESTIONS)
    assert [mistake.split(": ")[1] for mistake in told.value.mistakes] == ["host", "hostname", "addresses"]


def test_it_is_short_whatever_there_is_to_say():
    items = [Item(f"item-{n}", ItemState.FAILED, "wrong " * 100, "do this\n" * 20, "why\n" * 9) for n in range(30)]
    lines = SetupLines([item.name for item in items], explain=False)
    printed = [line for item in items for line in lines.lines(item)] + [last_line(items)]
    assert len(printed) < 60 and all(len(line) <= 160 for line in printed)
    assert sum("FAILED" in line for line in printed) == 30
    lines = SetupLines([item.name for item in items], explain=True)
    assert len([line for item in items for line in lines.lines(item)]) == 30 * 30


@pytest.mark.parametrize(
    ("state", "mend", "said"),
    [
        (ItemState.FAILED, "mailnode queue list", True),
        (ItemState.DONE, "From elsewhere: mailnode import imap", True),
        (ItemState.FAILED, "/opt/mailnode/bin/mailnode reload", False),
        (ItemState.WAITING, "mailnode reload", False),
        (ItemState.FAILED, "", False),
    ],
)
def test_what_mailnode_stands_for_is_said_where_it_was_said(state, mend, said):
    told = spoken_command([Item("x", state, "seen", mend)], ["/opt/mail node/bin/mailnode", "--config", "x"])
    assert told == ("Where it says mailnode, that is: '/opt/mail node/bin/mailnode' --config x" if said else "")


def test_many_checks_that_are_not_well_are_counted():
    checks = [Item(f"reverse-names:192.0.2.{n}", ItemState.FAILED, "no name", "ask") for n in range(200)]
    items = [*checks, *(Item(f"item-{n}", ItemState.FAILED, "wrong", "do\n" * 9) for n in range(20))]
    lines = SetupLines([f"item-{n}" for n in range(20)], explain=False)
    printed = [line for item in items for line in lines.lines(item)] + [last_line(items)]
    assert len(printed) < 60
    told = sum(line.startswith("FAILED   reverse") for line in printed)
    assert told and any(f"{200 - told} more checks are not well" in line for line in printed)
    lines = SetupLines([], explain=True)
    assert sum("reverse-names" in line for item in checks for line in lines.lines(item)) == 200


def test_checks_that_are_well_stand_in_one_line():
    lines = SetupLines(["end"], explain=False)
    items = [Item(name, ItemState.DONE, "well") for name in ("clock", "ports:25", "ports:465")]
    items += [Item("disk", ItemState.FAILED, "full"), Item("end", ItemState.DONE, "here")]
    printed = [line.split(None, 1) for item in items for line in lines.lines(item)]
    assert [(state, text.split()[0]) for state, text in printed] == [
        ("FAILED", "disk"),
        ("done", "checks"),
        ("done", "end"),
    ]
    assert printed[1][1].endswith(" clock, ports")


def test_what_others_say_cannot_steer_a_terminal():
    [line] = SetupLines(["x"], explain=False).lines(Item("x", ItemState.DONE, "a\x1b[2Jb"))
    assert line.endswith("a?[2Jb")


@pytest.mark.parametrize(
    ("states", "well"),
    [
        ([ItemState.DONE, ItemState.SKIPPED], True),
        ([ItemState.DONE, ItemState.WAITING], True),
        ([ItemState.TO_DO], False),
        ([ItemState.FAILED], False),
    ],
)
def test_how_it_stands_as_a_whole(states, well):
    items = [Item("x", state, "seen") for state in states]
    assert is_well(items) is well
    assert ("Mend" in last_line(items)) is not well


@pytest.mark.parametrize("value", ['a "b" \\ \x7f \n é', 5, 0.5, True, ["a", "b"], [300, 600]])
def test_values_are_read_as_they_were_written(tmp_path, value):
    path = tmp_path / "x.toml"
    path.write_text(f"x = {literal(value)}\n")
    assert parse(path) == {"x": value}


def test_a_configuration_with_comments_says_the_help_of_each_key_once(tmp_path):
    table = {
        "server": {"hostname": "mail.example.org", "data": "/data"},
        "listener": [{"protocol": "smtp", "endpoint": "tcp:25"}, {"protocol": "imap", "endpoint": "tcp:143"}],
        "queue": {"smarthost": {"host": "smtp.example.net"}},
    }
    text = commented(table, "About this file.")
    path = tmp_path / "x.toml"
    path.write_text(text)
    assert parse(path) == table
    assert text.count("# What is spoken there.") == 1 and "# partitions = 4" in text
    assert "[queue.smarthost]" in text and max(map(len, text.splitlines())) <= 125
