"""Filter scripts of accounts: ``mailnode sieve list``, ``put``, ``show`` and what else is done with them."""

from __future__ import annotations

import json

import pytest
from click.testing import CliRunner

from mailnode.ctl.main import main
from mailnode.ctl.script_words import source_text

ANN = "ann@mailnode.test"
KEEP, DISCARD = "keep;\r\n", "discard;\r\n"


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
def sieve(tool):
    """The same, below ``sieve``, which succeeds."""

    def run(command, *arguments, stdin=""):
        code, out, errors = tool("sieve", command, ANN, *arguments, stdin=stdin)
        assert (code, errors) == (0, "")
        return out

    return run


def told(out):
    """The rows of a table, without the time."""
    return [line.split()[:-1] for line in out.splitlines()[1:]]


def test_a_script_is_attached_to_mailboxes(tool, sieve):
    assert sieve("attached") == "none\n"
    sieve("put", "report", stdin=KEEP)
    assert sieve("attach", "report", "--mailbox", "Junk") == ""
    sieve("attach", "report")
    sieve("attach", "", "--mailbox", "Trash")
    attached = [("", "report"), ("Junk", "report"), ("Trash", "")]
    told = json.loads(sieve("attached", "--json"))
    assert sorted((one["mailbox"], one["script"]) for one in told) == attached
    assert "(all others)" in sieve("attached")
    sieve("detach")
    assert [one["mailbox"] for one in json.loads(sieve("detach", "--mailbox", "Trash", "--json"))] == ["Junk"]
    code, _, errors = tool("sieve", "attach", ANN, "other")
    assert code and "other" in errors
    code, _, errors = tool("sieve", "attach", ANN, "report", "--mailbox", "Nowhere")
    assert code and "Nowhere: no such mailbox" in errors


def test_a_script_is_put_shown_and_changed(sieve, tmp_path):
    assert sieve("list") == "no scripts\n"
    assert sieve("put", "main", stdin=KEEP) == ""
    assert told(sieve("list")) == [["main", "no", "7", "1"]]
    (tmp_path / "file").write_bytes(DISCARD.encode())
    put = json.loads(sieve("put", "main", str(tmp_path / "file"), "--activate", "--json"))
    assert (put["name"], put["active"], put["size"], put["version"]) == ("main", True, 10, 2)
    assert told(sieve("list")) == [["main", "yes", "10", "2"]]
    assert sieve("show", "main") == "discard;\n"
    assert sieve("show", "main", "--version", "1") == "keep;\n"
    assert [line.split()[:2] for line in sieve("versions", "main").splitlines()[1:]] == [["2", "10"], ["1", "7"]]
    shown = json.loads(sieve("show", "main", "--json"))
    assert (shown["account"], shown["name"], shown["source"]) == (ANN, "main", DISCARD)
    assert [one["active"] for one in json.loads(sieve("list", "--json"))] == [True]


def test_one_is_active(sieve, tool):
    for name in ("a", "b"):
        sieve("put", name, stdin=KEEP)
    assert sieve("activate", "a") == ""
    assert [row[:2] for row in told(sieve("list"))] == [["a", "yes"], ["b", "no"]]
    assert sieve("activate", "b") == ""
    assert [row[:2] for row in told(sieve("list"))] == [["a", "no"], ["b", "yes"]]
    assert sieve("rename", "b", "c") == ""
    assert [row[:2] for row in told(sieve("list"))] == [["a", "no"], ["c", "yes"]]
    code, _, errors = tool("sieve", "delete", ANN, "c", "--yes")
    assert code == 5 and "deactivate" in errors
    assert [one["active"] for one in json.loads(sieve("deactivate", "--json"))] == [False, False]
    assert json.loads(sieve("delete", "c", "--yes", "--json")) == {"deleted": "c"}
    assert tool("sieve", "delete", ANN, "a")[0] == 2  # nobody said yes
    assert [row[0] for row in told(sieve("list"))] == ["a"]


def test_a_script_with_mistakes_is_not_stored(sieve, tool):
    code, out, errors = tool("sieve", "put", ANN, "main", stdin='keep;\nfileinto "x";\n  frobnicate;')
    assert (code, out) == (2, "")
    assert errors.splitlines()[1:] == [
        'line 2, column 1: fileinto needs require "fileinto"',
        "line 3, column 3: frobnicate is no command",
    ]
    code, _, errors = tool("sieve", "put", ANN, "main", stdin="#" * (1024 * 1024 + 1))
    assert code == 2 and "longer than 1048576 octets" in errors
    assert sieve("list") == "no scripts\n"


@pytest.mark.parametrize(
    ("arguments", "code", "words"),
    [
        (("show", ANN, "none"), 3, "no such script"),
        (("show", ANN, "a", "--version", "7"), 3, "no such script"),
        (("activate", ANN, "none"), 3, "no such script"),
        (("activate", ANN, ""), 2, "deactivate"),
        (("rename", ANN, "a", "b"), 5, "exists already"),
        (("rename", ANN, "a", "x\ty"), 2, "not a name of a script"),
        (("put", ANN, ""), 2, "not a name of a script"),
        (("list", "bob@mailnode.test"), 3, "no such account"),
        (("put", "bob@mailnode.test", "a"), 3, "no such account"),
    ],
)
def test_what_cannot_be_done(sieve, tool, arguments, code, words):
    for name in ("a", "b"):
        sieve("put", name, stdin=KEEP)
    ended, _, errors = tool("sieve", *arguments)
    assert ended == code and words in errors


def test_an_account_may_keep_so_many(tmp_path):
    config = tmp_path / "mailnode.toml"
    config.write_text(
        f'[server]\nhostname = "mx.mailnode.test"\ndata = "{tmp_path / "data"}"\n'
        '[[listener]]\nprotocol = "smtp"\nendpoint = "tcp:2525:interface=127.0.0.1"\n'
        '[[domain]]\nname = "mailnode.test"\n[sieve]\nscripts = 1\n'
    )
    (tmp_path / "data").mkdir(mode=0o700)

    def run(*arguments, stdin=""):
        return CliRunner().invoke(main, ["--config", str(config), *arguments], input=stdin)

    assert run("account", "add", ANN, "--password-stdin", stdin="quite a good one\n").exit_code == 0
    assert run("sieve", "put", ANN, "a", stdin=KEEP).exit_code == 0
    done = run("sieve", "put", ANN, "b", stdin=KEEP)
    assert done.exit_code == 1 and "at most 1 scripts" in done.stderr


def test_what_a_script_says_steers_no_terminal_and_a_file_gets_it_as_it_is(sieve):
    source = "# \x1b]0;x\x07 \u202e a\u00a0b\n\tkeep;"
    sieve("put", "main", stdin=source)
    assert sieve("show", "main") == source + "\n"
    assert source_text(source, is_for_terminal=True) == "# \ufffd]0;x\ufffd \ufffd a\ufffdb\n\tkeep;"
