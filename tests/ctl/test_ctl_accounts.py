"""What is said before a password is asked, of weak ones, and of aliases that lead nowhere."""

import json

import pytest
from click.testing import CliRunner

from mailnode.ctl.main import main

GOOD = "quite a good one\n"


@pytest.fixture
def tool(tmp_path):
    """The command on one data directory: (exit code, standard output, standard error)."""
    data = tmp_path / "data"
    data.mkdir(mode=0o700)

    def run(*arguments, stdin=""):
        done = CliRunner().invoke(main, ["--data", str(data), *arguments], input=stdin)
        assert "Traceback" not in done.output
        return done.exit_code, done.stdout, done.stderr

    return run


@pytest.fixture
def alice(tool):
    assert tool("account", "add", "alice@mailnode.test", "--password-stdin", stdin=GOOD) == (0, "", "")
    return "alice@mailnode.test"


@pytest.mark.parametrize(
    ("arguments", "code", "words"),
    [
        (("add", "bob smith@mailnode.test"), 2, "a space stands in it"),
        (("add", "bob@mailnode..test"), 2, "between dots"),
        (("add", "bob@elsewhere.test"), 3, "no such domain"),
        (("add", "bob..x@mailnode.test"), 2, "a dot"),
        (("add", "bob+x@mailnode.test"), 2, "has no detail"),
        (("add", "alice@mailnode.test"), 5, "exists already"),
        (("password", "nobody@mailnode.test"), 3, "no such account"),
        (("password", "bob smith@mailnode.test"), 2, "a space stands in it"),
    ],
)
def test_an_address_is_checked_before_a_password_is_asked(tool, alice, monkeypatch, arguments, code, words):
    asked = []
    monkeypatch.setattr("mailnode.ctl.tree.read_password", lambda *arguments: asked.append(arguments) or GOOD)
    ended, _, errors = tool("account", *arguments)
    assert (ended, asked) == (code, []) and words in errors
    assert arguments[1].rpartition("@")[2] in errors


def test_weak_passwords_are_refused_in_words(tool, alice):
    for command in (("add", "bob@mailnode.test"), ("password", alice)):
        for password, words in (("short", "at least 10"), ("password1234", "commonest"), (alice, "own name")):
            code, _, errors = tool("account", *command, "--password-stdin", stdin=password + "\n")
            assert code == 2 and words in errors and command[1] in errors
            assert password == alice or password not in errors
    assert tool("account", "show", "bob@mailnode.test")[0] == 3


def test_how_strong_a_password_must_be_is_a_setting(tmp_path):
    config = tmp_path / "mailnode.toml"
    config.write_text(
        f'[server]\nhostname = "mx.a.test"\ndata = "{tmp_path / "data"}"\n'
        '[[listener]]\nprotocol = "smtp"\nendpoint = "tcp:2525:interface=127.0.0.1"\n'
        '[[domain]]\nname = "a.test"\n[auth]\npassword_min_length = 6\npassword_refuse_common = false\n'
    )
    (tmp_path / "data").mkdir(mode=0o700)
    add = ["--config", str(config), "account", "add", "bob@a.test", "--password-stdin"]
    assert "at least 6" in CliRunner().invoke(main, add, input="short\n").stderr
    assert CliRunner().invoke(main, add, input="secret\n").exit_code == 0


def test_an_alias_that_leads_nowhere_is_said_when_it_is_made(tool, alice):
    code, _, errors = tool("alias", "add", "info@mailnode.test", alice, "nobody@mailnode.test", "x@elsewhere.test")
    assert code == 0
    assert errors == (
        "mailnode: warning: mail for info@mailnode.test goes to nobody@mailnode.test, which does not exist here\n"
    )
    code, out, errors = tool("alias", "add", "info@mailnode.test", "nobody@mailnode.test", "--replace", "--json")
    assert (code, errors) == (0, "")
    assert json.loads(out)["dangling"] == [{"address": "info@mailnode.test", "target": "nobody@mailnode.test"}]
    assert tool("alias", "add", "sales@mailnode.test", f"{alice[:5]}+sales@MAILNODE.test") == (0, "", "")
    code, _, errors = tool("alias", "add", "x@mailnode.test", "bob smith@mailnode.test")
    assert code == 2 and "bob smith@mailnode.test" in errors and "a space" in errors


def test_what_leaves_an_alias_without_a_target_says_so(tool, alice):
    tool("account", "add", "bob@mailnode.test", "--password-stdin", stdin=GOOD)
    tool("account", "add-address", "bob@mailnode.test", "b@mailnode.test")
    for address, target in (
        ("one@mailnode.test", "bob@mailnode.test"),
        ("two@mailnode.test", "one@mailnode.test"),
        ("further@mailnode.test", "b@mailnode.test"),
    ):
        assert tool("alias", "add", address, target) == (0, "", "")
    code, _, errors = tool("account", "remove-address", "b@mailnode.test", "--yes")
    assert code == 0 and "further@mailnode.test goes to b@mailnode.test" in errors and "one@" not in errors
    code, out, _ = tool("account", "remove", "bob@mailnode.test", "--yes", "--json")
    assert json.loads(out) == {
        "removed": "bob@mailnode.test",
        "dangling": [
            {"address": "one@mailnode.test", "target": "bob@mailnode.test"},
            {"address": "two@mailnode.test", "target": "one@mailnode.test"},
        ],
    }
    code, _, errors = tool("alias", "remove", "one@mailnode.test", "--yes")
    assert (code, errors) == (0, "")  # two@ led nowhere before
    tool("alias", "add", "three@mailnode.test", alice)
    tool("alias", "add", "four@mailnode.test", "three@mailnode.test")
    assert "four@mailnode.test goes to three@" in tool("alias", "remove", "three@mailnode.test", "--yes")[2]


def test_a_domain_s_end_and_a_catch_all_may_leave_some_too(tool, alice):
    tool("domain", "add", "old.test", "--alias-of", "mailnode.test")
    assert tool("alias", "add", "info@mailnode.test", "alice@old.test") == (0, "", "")
    code, out, _ = tool("domain", "remove", "old.test", "--yes", "--json")
    assert json.loads(out) == {
        "removed": "old.test",
        "dangling": [{"address": "info@mailnode.test", "target": "alice@old.test"}],
    }
    code, _, errors = tool("domain", "change", "mailnode.test", "--catch-all", "nobody@mailnode.test")
    assert code == 0 and "*@mailnode.test goes to nobody@mailnode.test" in errors
    assert tool("domain", "change", "mailnode.test", "--catch-all", alice) == (0, "", "")


def test_recipients_are_suppressed_listed_and_lifted(tool, alice):
    assert tool("suppression", "list", alice) == (0, "", "")
    code, out, _ = tool("suppression", "add", alice, "Bob@B.test", "--lasting", "2h", "--json")
    assert code == 0 and json.loads(out)["recipient"] == "bob@b.test" and json.loads(out)["bounces"] == 0
    code, out, _ = tool("suppression", "list", alice, "--json")
    assert [one["refused_until"] for one in json.loads(out)] != [""]
    assert "bob@b.test" in tool("suppression", "list", alice)[1]
    assert tool("suppression", "add", alice, "bob@b.test", "--lasting", "9999d")[0] == 2
    assert tool("suppression", "lift", alice, "bob@B.test")[0] == 0
    code, _, errors = tool("suppression", "lift", alice, "bob@b.test")
    assert code == 3 and "not suppressed" in errors
    assert tool("suppression", "list", "nobody@mailnode.test")[0] == 3


def test_an_account_gets_limits_of_its_own_and_gives_them_back(tool, alice):
    _, out, _ = tool("account", "sending", alice, "--json")
    shown = json.loads(out)
    assert (shown["recipients_per_hour"], shown["own_limits"], shown["recipients_within_hour"]) == (300, [], 0)
    tool("account", "limits", alice, "--recipients-per-hour", "5000")
    shown = json.loads(tool("account", "limits", alice, "--messages-per-hour", "0", "--json")[1])
    assert shown["recipients_per_hour"] == 5000
    assert shown["own_limits"] == ["recipients_per_hour", "messages_per_hour"]
    assert "messages per hour          none" in tool("account", "sending", alice)[1]
    assert tool("account", "limits", alice, "--recipients-per-hour", "9999999")[0] == 2
    assert json.loads(tool("account", "limits", alice, "--usual", "--json")[1])["own_limits"] == []
    assert tool("account", "limits", "nobody@mailnode.test", "--usual")[0] == 3
