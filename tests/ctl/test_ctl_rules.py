"""Rules of accounts: ``mailnode filter list``, ``add``, ``change``, ``remove``, ``move`` and ``vacation``."""

from __future__ import annotations

import json

import pytest
from click.testing import CliRunner

from mailnode.ctl.main import main

ANN = "ann@mailnode.test"


@pytest.fixture
def tool(tmp_path):
    """The command on one data directory: (exit code, standard output, standard error)."""
    data = tmp_path / "data"
    data.mkdir(mode=0o700)

    def run(*arguments, stdin=""):
        done = CliRunner().invoke(main, ["--data", str(data), *arguments], input=stdin)
        assert "Traceback" not in done.output
        return done.exit_code, done.stdout, done.stderr

    assert run("account", "add", ANN, "--password-stdin", stdin="quite a good one\n") == (0, "", "")
    return run


@pytest.fixture
def rules(tool):
    """``filter`` commands about ann, which succeed without a word of warning."""

    def run(command, *arguments):
        code, out, errors = tool("filter", command, ANN, *arguments)
        assert (code, errors) == (0, "")
        return out

    return run


def active(tool):
    return [one["name"] for one in json.loads(tool("sieve", "list", ANN, "--json")[1]) if one["active"]]


def names(rules):
    return [one["name"] for one in json.loads(rules("list", "--json"))["rules"]]


def test_the_first_rule_is_in_use_and_readable(rules, tool):
    assert rules("list") == "no rules\n"
    assert rules("add", "Lists", "--when", "list contains announce", "--folder", "Lists", "--stop") == ""
    assert active(tool) == ["filters"]
    rules(
        "add",
        "Bob",
        "--when",
        "from is bob@x.test",
        "--when",
        "size over 1M",
        "--any",
        "--flag",
        "\\Flagged",
        "--flag",
        "Work",
    )
    rules("add", "Out", "--forward", "a@b.test", "--no-copy", "--position", "1")
    assert [line.split(None, 2)[1:] for line in rules("list").splitlines()[1:]] == [
        ["Out", "always                              forward to a@b.test, keep no copy"],
        ["Lists", "list contains announce              file into Lists, stop"],
        ["Bob", "from is bob@x.test or size over 1M  flag \\Flagged Work"],
    ]
    assert names(rules) == ["Out", "Lists", "Bob"]
    told = json.loads(rules("list", "--json"))
    assert (told["account"], told["script"], told["active"], told["away"]) == (ANN, "filters", True, None)
    assert told["rules"][2] == {
        "name": "Bob",
        "when": ["from is bob@x.test", "size over 1M"],
        "any_of": True,
        "folder": "",
        "flags": ["\\Flagged", "Work"],
        "forward": "",
        "keeps_copy": True,
        "delete": False,
        "stop": False,
    }
    assert "# Rule: Lists\n" in tool("sieve", "show", ANN, "filters")[1]


def test_rules_are_changed_moved_and_removed(rules):
    for name in ("a", "b", "c"):
        rules("add", name, "--stop")
    rules("move", "c", "1")
    assert names(rules) == ["c", "a", "b"]
    rules("move", "c", "99")
    assert names(rules) == ["a", "b", "c"]
    rules("change", "b", "--when", "subject is x", "--delete", "--new-name", "B")
    assert names(rules) == ["a", "B", "c"]
    told = json.loads(rules("list", "--json"))["rules"][1]
    assert (told["when"], told["delete"], told["stop"]) == (["subject is x"], True, False)
    assert json.loads(rules("remove", "a", "--json"))["rules"][0]["name"] == "B"


def test_somebody_is_away(rules, tool):
    rules(
        "vacation",
        "Gone.\nBack soon.",
        "--subject",
        "Away",
        "--days",
        "3",
        "--first",
        "2026-12-20",
        "--last",
        "2027-01-03",
    )
    assert active(tool) == ["filters"]
    assert rules("list").splitlines()[2:] == [
        "away from 2026-12-20 until 2027-01-03, the same person is answered again after 3 days, subject Away:",
        "  Gone.",
        "  Back soon.",
    ]
    assert json.loads(rules("list", "--json"))["away"] == {
        "text": "Gone.\nBack soon.",
        "subject": "Away",
        "days": 3,
        "first": "2026-12-20",
        "last": "2027-01-03",
    }
    rules("vacation", "--off")
    assert rules("list") == "no rules\n"


def test_another_script_stays_active_until_it_is_said(rules, tool):
    tool("sieve", "put", ANN, "main", "--activate", stdin="keep;")
    code, _, errors = tool("filter", "add", ANN, "a", "--stop")
    assert code == 0 and "these rules are not in use: the script main is active" in errors
    assert active(tool) == ["main"]
    assert "not in use: the script main is active" in rules("list")
    rules("add", "b", "--stop", "--activate")
    assert active(tool) == ["filters"]


def test_what_was_switched_off_stays_off(rules, tool):
    rules("add", "a", "--stop")
    tool("sieve", "deactivate", ANN)
    code, _, errors = tool("filter", "add", ANN, "b", "--stop")
    assert code == 0 and "no script is active" in errors and active(tool) == []


def test_what_was_changed_by_hand_is_left_alone(rules, tool):
    rules("add", "a", "--when", "subject is x", "--delete")
    script = (
        tool("sieve", "show", ANN, "filters")[1]
        .replace("    discard;", '    ereject "no";')
        .replace("# Rule", 'require "ereject";\n# Rule')
    )
    assert tool("sieve", "put", ANN, "filters", stdin=script)[0] == 0
    for command in (("list",), ("add", "b", "--stop"), ("remove", "a"), ("vacation", "Gone.")):
        code, _, errors = tool("filter", command[0], ANN, *command[1:])
        assert code == 5 and "changed by hand at line" in errors
    assert tool("sieve", "show", ANN, "filters")[1] == script
    tool("sieve", "deactivate", ANN)
    tool("sieve", "rename", ANN, "filters", "mine")
    rules("add", "b", "--stop")
    assert active(tool) == ["filters"]


@pytest.mark.parametrize(
    ("arguments", "code", "words"),
    [
        (("add", ANN, "a", "--stop"), 2, "two rules have this name"),
        (("add", ANN, "b"), 2, "nothing is done"),
        (("add", ANN, "b", "--when", "x", "--stop"), 2, "a condition is one of"),
        (("add", ANN, "b", "--folder", "a//b"), 2, "not a mailbox name"),
        (("add", ANN, "b", "--forward", "nobody"), 2, "no address"),
        (("change", ANN, "b", "--stop"), 3, "no such rule"),
        (("remove", ANN, "b"), 3, "no such rule"),
        (("move", ANN, "b", "1"), 3, "no such rule"),
        (("vacation", ANN), 2, "say what is answered"),
        (("vacation", ANN, "x", "--off"), 2, "say what is answered"),
        (("vacation", ANN, "x", "--first", "soon"), 2, "a day is written as"),
        (("vacation", ANN, "x", "--first", "2026-01-02", "--last", "2026-01-01"), 2, "behind the last"),
        (("list", "bob@mailnode.test"), 3, "no such account"),
    ],
)
def test_what_cannot_be_done(rules, tool, arguments, code, words):
    rules("add", "a", "--stop")
    ended, _, errors = tool("filter", *arguments)
    assert ended == code and words in errors
    assert names(rules) == ["a"]
