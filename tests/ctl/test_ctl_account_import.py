"""Many accounts out of a file: all that is wrong is told at once, nothing is half done, and a second run adds what is new."""

import json

import pytest
from click.testing import CliRunner

from mailnode.admin.account_file import COLUMNS, MAX_ALIASES, MAX_FIELD, MAX_LINES, read_accounts
from mailnode.ctl.main import main

HASH = "{SSHA512}PXhEWHVgT5ZbPiMeTzw8y/uS8y+WWW69AsZX4t5MlggFlZJ3mO1kvidyURKG0YFQ8Y0/ycg2moBTF0CBXSVvVH9ttrw="
FILE = f"""address,password,hash,quota,quota_messages,role,aliases
anna@mailnode.test,quite a good one,,500M,1000,admin,info@mailnode.test sales@mailnode.test

"bob@mailnode.test",,{HASH},,,,
"""


@pytest.fixture
def tool(tmp_path):
    data = tmp_path / "data"
    data.mkdir(mode=0o700)

    def run(*arguments, stdin=""):
        done = CliRunner().invoke(main, ["--data", str(data), *arguments], input=stdin)
        assert "Traceback" not in done.output
        return done.exit_code, done.stdout, done.stderr

    return run


@pytest.fixture
def take(tool, tmp_path):
    def run(text, *arguments):
        file = tmp_path / "accounts.csv"
        file.write_bytes(text if isinstance(text, bytes) else text.encode())
        return tool("accounts", "import", str(file), *arguments)

    return run


def accounts(tool):
    return [one["address"] for one in json.loads(tool("account", "list", "--json")[1])]


def test_accounts_are_added_with_all_that_is_said_of_them(tool, take):
    code, out, _ = take(FILE, "--dry-run")
    assert (code, out) == (
        0,
        "accounts would be added: 2; there already: 0\naliases would be added: 2; there already: 0\n",
    )
    assert accounts(tool) == []
    assert take(FILE) == (0, "accounts added: 2; there already: 0\naliases added: 2; there already: 0\n", "")
    anna, bob = (json.loads(tool("account", "show", f"{name}@mailnode.test", "--json")[1]) for name in ("anna", "bob"))
    assert (anna["bytes_limit"], anna["messages_limit"], anna["role"]) == (500 * 2**20, 1000, "admin")
    assert (bob["bytes_limit"], bob["messages_limit"], bob["role"]) == (0, 0, "user")
    assert [one["kind"] for one in bob["credentials"]] == ["foreign"]
    assert "argon2id" in [one["kind"] for one in anna["credentials"]]
    assert json.loads(tool("alias", "show", "info@mailnode.test", "--json")[1])["targets"] == ["anna@mailnode.test"]


def test_a_second_run_adds_what_is_new_and_leaves_the_rest(tool, take):
    take(FILE)
    tool("account", "password", "anna@mailnode.test", "--password-stdin", stdin="one that she chose\n")
    before = tool("account", "show", "anna@mailnode.test", "--json")
    more = (
        FILE.replace("sales@mailnode.test", "sales@mailnode.test help@mailnode.test")
        + f"carl@mailnode.test,,{HASH},,,,\n"
    )
    assert take(more)[1] == "accounts added: 1; there already: 2\naliases added: 1; there already: 2\n"
    assert tool("account", "show", "anna@mailnode.test", "--json") == before
    assert take(more.replace("anna@mailnode", "Anna@MAILNODE"))[1].startswith("accounts added: 0; there already: 3\n")


def test_every_mistake_is_told_with_its_line_and_nothing_is_added(tool, take):
    tool("account", "add", "dora@mailnode.test", "--password-stdin", stdin="quite a good one\n")
    tool("alias", "add", "other@mailnode.test", "dora@mailnode.test")
    text = """address;password;hash;quota;aliases
good@mailnode.test;quite a good one;;;
no address;quite a good one;;;
x@elsewhere.test;quite a good one;;;
weak@mailnode.test;password1;;;
both@mailnode.test;quite a good one;{SSHA}x;;
none@mailnode.test;;;;
hash@mailnode.test;;{NONESUCH}secret-one;;
quota@mailnode.test;quite a good one;;much;
good@mailnode.test;quite a good one;;;
few@mailnode.test;quite a good one
alias@mailnode.test;quite a good one;;;other@mailnode.test
other@mailnode.test;quite a good one;;;
"""
    code, out, errors = take(text)
    told = [line.strip() for line in errors.splitlines() if "line " in line]
    words = {
        3: "not an address",
        4: "no such domain",
        5: "at least 10",
        6: "one of both",
        7: "one of both",
        8: "{NONESUCH} is not known",
        9: "quota should be a number",
        10: "stands in line 2 already",
        11: "2 fields, where the first line names 5 columns",
        12: "leads elsewhere",
        13: "is there already",
    }
    lines = {int(line.partition("line ")[2].partition(":")[0]): line for line in told}
    assert code == 2 and out == "" and "nothing was added" in errors
    for number, text in words.items():
        assert text in lines[number], number
    assert set(lines) - {13} == set(words) - {13}
    assert "secret-one" not in errors and "quite a good one" not in errors
    assert accounts(tool) == ["dora@mailnode.test"]


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "line 1: should name the columns"),
        ("\n\n", "line 1: should name the columns"),
        ("name,password\n", "line 1: no such column: 'name'"),
        ("address,address,password\n", "line 1: a column stands there twice"),
        ("address,quota\n", "line 1: should have the columns address, and password or hash"),
        (b"address,password\na@b.test,\xff\n", "line 2: not UTF-8"),
        ('address,password\n"a@b.test,x\n', "line 2: quotation marks"),
        (f"address,password\na@b.test,{'x' * (MAX_FIELD + 1)}\n", f"line 2: a field of more than {MAX_FIELD}"),
        ("address,password,role\na@b.test,x,root\n", "line 2: a@b.test: role should be"),
        ("address,password,quota_messages\na@b.test,x,500M\n", "line 2: a@b.test: quota_messages should be a number"),
        ("address,password,quota\na@b.test,x,-1\n", "line 2: a@b.test: quota should be a number"),
        ("address,password,aliases\na@b.test,x,a@b.test\n", "line 2: a@b.test: stands in line 2 already"),
        (
            f"address,password,aliases\na@b.test,x,{' '.join(f'a{n}@b.test' for n in range(MAX_ALIASES + 1))}\n",
            "more than 50",
        ),
        ("address,password\n" * (MAX_LINES + 1), f"more than {MAX_LINES} lines"),
        (
            f"address,password\na@b.test,{'x' * 200_000}\n",
            "line 2: quotation marks that do not fit, or a field of more than",
        ),
    ],
)
def test_a_file_that_is_wrong_is_said_to_be(text, words):
    wrong = read_accounts(text if isinstance(text, bytes) else text.encode())[1]
    assert any(words in str(one) for one in wrong)


def test_a_file_may_have_a_mark_carriage_returns_and_its_columns_in_any_order():
    text = f'\ufeffHash;ADDRESS\r\n"{HASH}";" a@b.test "\r\n'
    (one,), wrong = read_accounts(text.encode())
    assert not wrong and (str(one.address), one.hash, one.line) == ("a@b.test", HASH, 2)
    assert set(COLUMNS) > {"hash", "address"}


def test_a_line_behind_a_field_of_several_lines_has_its_number():
    wrong = read_accounts(b'address,password\na@b.test,"x\ny"\nwrong,x\n')[1]
    assert [str(one).partition(":")[0] for one in wrong] == ["line 4"]


def test_a_hash_in_place_of_a_password(tool, monkeypatch):
    monkeypatch.setattr("mailnode.ctl.tree.read_password", lambda *arguments: pytest.fail("nobody is asked"))
    assert tool("account", "add", "one@mailnode.test", "--hash", HASH) == (0, "", "")
    assert tool("account", "add", "two@mailnode.test", "--hash", "-", stdin=HASH + "\n") == (0, "", "")
    code, _, errors = tool("account", "add", "x@mailnode.test", "--hash", "{BLF-CRYPT}$2y$31$" + "a" * 53)
    assert code == 2 and "cost of 4 to 12" in errors
    assert accounts(tool) == ["one@mailnode.test", "two@mailnode.test"]
