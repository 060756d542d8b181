"""docs/managesieve.rst lists the commands, capabilities and response codes of ManageSieve, and the tests that hold each."""

import ast
import re
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]
sys.path.append(str(ROOT / "tests/managesieve"))

from managesieve_support import Wire  # noqa: E402

from mailnode.managesieve.wire.grammar import COMMANDS  # noqa: E402

PAGE = (ROOT / "docs/managesieve.rst").read_text()


def rows(title):
    section = re.search(rf"^{title}\n-+\n(.*?)(?=^\S[^\n]*\n---|\Z)", PAGE, re.MULTILINE | re.DOTALL)[1]
    entries = [re.split(r"\n     - ", entry.strip()) for entry in section.split("\n   * - ")[1:]]
    return {cells[0]: cells[1:] for cells in entries[1:]}


def tried(words):
    for name, cells in words.items():
        (file,) = re.findall(r"``(tests/.+?)``", cells[-1])
        assert name in (ROOT / file).read_text(), f"{name}: {file}"


def test_commands():
    listed = rows("Commands")
    assert set(listed) == {name.decode() for name in COMMANDS}
    tried(listed)
    for name, (specified, done, _) in listed.items():
        (file,) = re.findall(r"``(mailnode/.+?)``", done)
        assert f'"{name}": ' in (ROOT / file).read_text(), f"{name}: {file}"
        assert re.fullmatch(r"RFC 5804 2\.\d+(\.1)?", specified), name


def test_capabilities():
    listed = rows("Capabilities")
    wire = Wire(tls="starttls")
    wire.login()
    said = wire.greeting + wire.send(b"CAPABILITY\r\n")
    assert set(listed) == {line.split('"')[1] for line in said.decode().splitlines() if line.startswith('"')}
    tried(listed)


def codes(path):
    """The codes of all replies that are made in a module."""
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Call) and getattr(node.func, "id", "") in ("ok", "no", "bye", "BadManageCommand"):
            yield from (one.value for one in node.args[1:2] if isinstance(one, ast.Constant))


def test_response_codes():
    listed = rows("Response codes")
    said = {code for path in (ROOT / "mailnode/managesieve").rglob("*.py") for code in codes(path)} - {""}
    assert set(listed) == said | {"QUOTA/MAXSCRIPTS"}  # which the store says
    tests = "".join(path.read_text() for path in (ROOT / "tests/managesieve").glob("test_*.py"))
    assert [code for code in listed if code not in tests] == []
