"""Names: no class name stands for two things."""

import ast
from collections import defaultdict
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
# Classes of these are named by something else: a section of the configuration file, a command as its protocol calls it.
NAMED_ELSEWHERE = (
    "mailnode/config/schema.py",
    "mailnode/config/routes.py",
    "mailnode/config/fields.py",
    "mailnode/imap/commands/",
    "mailnode/smtp/wire/events.py",
)


@pytest.fixture(scope="module")
def trees():
    """What is parsed when the modules of tests are collected is parsed in every process that runs some."""
    paths = sorted((ROOT / "mailnode").rglob("*.py"))
    return {path.relative_to(ROOT).as_posix(): ast.parse(path.read_text()) for path in paths}


def defined_twice(trees):
    """Return the class names that stand in several places, a leading underscore aside, with the places."""
    places = defaultdict(list)
    for path, tree in trees.items():
        for node in ast.walk(tree):
            if isinstance(node, ast.ClassDef) and not path.startswith(NAMED_ELSEWHERE):
                places[node.name.lstrip("_")].append(f"{path}:{node.lineno}")
    return {name: found for name, found in places.items() if len(found) > 1}


def test_no_word_is_the_name_of_several_classes(trees):
    assert defined_twice(trees) == {}


def test_private_classes_and_inner_ones_count():
    trees = {"mailnode/a.py": ast.parse("class Link: pass"), "mailnode/b.py": ast.parse("def f():\n class _Link: pass")}
    assert defined_twice(trees) == {"Link": ["mailnode/a.py:1", "mailnode/b.py:2"]}


# Words that were names here and said nothing of what they named.
EMPTY_WORDS = {"breathe", "chapters", "crew", "crowd", "door", "facts_rows", "feed", "joined", "lane", "office"}
EMPTY_WORDS |= {"placing", "plain", "rest"}
MECHANISM = ("mailnode/auth/sasl.py", "Plain")  # of SASL, by its own name


def names_of(path, tree):
    """Yield the names of a module, its classes, functions, constants, fields and attributes: what somebody looks for."""
    yield Path(path).stem
    for node in ast.walk(tree):
        if isinstance(node, ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
            yield node.name
        if isinstance(node, ast.ClassDef):
            yield from (one.target.id for one in node.body if isinstance(one, ast.AnnAssign))
        elif isinstance(node, ast.Attribute) and isinstance(node.ctx, ast.Store):
            yield node.attr
    for node in tree.body:
        if isinstance(node, ast.Assign):
            yield from (target.id for target in node.targets if isinstance(target, ast.Name))


def test_names_say_what_they_name(trees):
    found = {
        (path, name)
        for path, tree in trees.items()
        for name in names_of(path, tree)
        if name.strip("_").lower().removesuffix("s") in EMPTY_WORDS or name.strip("_").lower() in EMPTY_WORDS
    }
    assert found == {MECHANISM}
