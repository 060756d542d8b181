"""Names: no class name stands for two things."""

import ast
from collections import defaultdict
from pathlib import Path

ROOT = Path(__file__).parents[2]
TREES = {
    path.relative_to(ROOT).as_posix(): ast.parse(path.read_text()) for path in sorted((ROOT / "mailnode").rglob("*.py"))
}
# Classes of these are named by something else: a section of the configuration file, a command as its protocol calls it.
NAMED_ELSEWHERE = ("mailnode/config/schema.py", "mailnode/imap/commands/", "mailnode/smtp/wire/events.py")


def defined_twice(trees):
    """Return the class names that stand in several places, a leading underscore aside, with the places."""
    places = defaultdict(list)
    for path, tree in trees.items():
        for node in ast.walk(tree):
            if isinstance(node, ast.ClassDef) and not path.startswith(NAMED_ELSEWHERE):
                places[node.name.lstrip("_")].append(f"{path}:{node.lineno}")
    return {name: found for name, found in places.items() if len(found) > 1}


def test_no_word_is_the_name_of_several_classes():
    assert defined_twice(TREES) == {}


def test_private_classes_and_inner_ones_count():
    trees = {"mailnode/a.py": ast.parse("class Link: pass"), "mailnode/b.py": ast.parse("def f():\n class _Link: pass")}
    assert defined_twice(trees) == {"Link": ["mailnode/a.py:1", "mailnode/b.py:2"]}
