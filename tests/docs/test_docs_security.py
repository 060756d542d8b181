"""Every test that docs/security.rst names is there, and every threat names one."""

import ast
import re
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs/security.rst").read_text()
THREATS, _, DEPENDENCIES = PAGE.partition("\nDependencies\n---")
ROWS = re.findall(r"^   \* - (?!threat$)(.+)\n     - (.+)\n(     - \| ``tests/.+``)$", THREATS, re.MULTILINE)
NAMED = re.findall(r"``(tests/\S+?)::(\S+)``", PAGE)


@cache
def defined_in(text: str) -> frozenset[str]:
    """Return the tests of a module as pytest says them behind the name of the file."""
    found = set()
    for node in ast.parse(text).body:
        if isinstance(node, ast.ClassDef):
            found |= {f"{node.name}::{name}" for name in _functions(node.body)}
    return frozenset(found | _functions(ast.parse(text).body))


def _functions(body: list[ast.stmt]) -> set[str]:
    kinds = (ast.FunctionDef, ast.AsyncFunctionDef)
    return {node.name for node in body if isinstance(node, kinds) and node.name.startswith("test")}


@pytest.mark.parametrize(("file", "name"), NAMED, ids=[name for _, name in NAMED])
def test_every_test_that_is_named_is_there(file, name):
    assert name in defined_in((ROOT / file).read_text())


def test_every_threat_has_what_stands_against_it_and_a_test():
    threats = re.findall(r"^   \* - (?!threat$)(.+)$", THREATS, re.MULTILINE)
    assert [threat for threat, *_ in ROWS] == threats
    assert len(threats) > 30


def test_every_dependency_is_told_with_its_bound():
    """What runs with the server, that is: tests and development bring more."""
    setup = (ROOT / "setup.cfg").read_text()
    needed = re.search(r"^install_requires =\n((?: +.+\n)+)", setup, re.MULTILINE)[1]
    extras = [
        re.search(rf"^{extra} =\n((?: +.+\n)+)", setup, re.MULTILINE)[1]
        for extra in ("postgres", "hashes", "oauth", "acme")
    ]
    lines = map(str.strip, "".join([needed, *extras]).splitlines())
    rows = re.findall(r"^   \* - (``.+>=.+``)$", DEPENDENCIES, re.MULTILINE)
    told = [one for row in rows for one in row.strip("`").split("``, ``")]
    assert told == [line for line in lines if not line.startswith("#")]


def test_what_is_found():
    text = "def test_a(): pass\nasync def test_b(): pass\ndef help(): pass\nclass C:\n    def test_d(self): pass\n"
    assert defined_in(text) == {"test_a", "test_b", "C::test_d"}
