"""``Any`` stands where no name would do: in these modules, for these reasons, and nowhere else."""

import ast
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]

ALLOWED = {
    "admin/operations.py": "an operation of whichever parameters and result",
    "config/file.py": "TOML holds values of several types, which nobody has checked yet",
    "config/loader.py": "sections by name, each of a class of its own, or none when it has mistakes",
    "ctl/tree.py": "click hands arguments over by name, each of its own type",
    "ctl/wording.py": "what prints a result is kept beside the operation that gives a result of that type",
    "errors.py": "rows of the store, whose name stands in a room that errors may not see",
    "imap/commands/collected.py": "what stands under a name in several files; the name says of what type",
    "imap/commands/row.py": "a row of whichever command",
    "imap/wire/command.py": "the syntax of whichever command",
    "interfaces/policy.py": "options of a plug-in, which alone knows their types",
    "interfaces/wire.py": "an event of whichever connection: zope's interfaces have no type parameters",
    "net/resolver.py": "dnspython's records have attributes by the type that was asked for",
    "net/pickled.py": "what was pickled, of the type both ends know by the name of the call",
    "smtp/session.py": "a step for each type of event, found by that type",
    "smtp/wire/commands.py": "fields of options, each of the type its parameter reads",
    "store/engines/engine.py": "arguments of whichever unit",
    "store/engines/remote.py": "results of whichever unit, from another process",
    "tap.py": "twistd's options, a dictionary without types",
    "values/events.py": "fields of an event on their way through a dictionary",
    "values/rows.py": "rows of the store: the SELECT says what they hold",
    "web/page.py": "twisted.web's Request, whose methods have no types",
}


def names_any(text):
    """Whether a module names it; in an annotation in quotes too."""
    try:
        tree = ast.parse(text)
    except SyntaxError:  # of a text that is no annotation
        return False
    return any(
        (isinstance(node, ast.Name) and node.id == "Any")
        or (isinstance(node, ast.Attribute) and node.attr == "Any")
        or (isinstance(node, ast.Constant) and "Any" in str(node.value) and names_any(str(node.value)))
        for node in ast.walk(tree)
    )


def test_any_stands_where_no_name_would_do_and_nowhere_else():
    package = ROOT / "mailnode"
    found = {path.relative_to(package).as_posix() for path in package.rglob("*.py") if names_any(path.read_text())}
    assert found - set(ALLOWED) == set(), "give it a name: a class, a Protocol, an interface, object, a type variable"
    assert set(ALLOWED) - found == set(), "these name it no more: take them off the list"


@pytest.mark.parametrize(
    "text", ["x: Any", "import typing\nx: dict[str, typing.Any]", "def f(*a: Any): ...", "T = 'list[Any]'"]
)
def test_every_way_to_name_it_is_seen(text):
    assert names_any(text)


@pytest.mark.parametrize("text", ["x: object", '"""Any of them may fail."""', "anything = 1"])
def test_the_word_alone_is_no_type(text):
    assert not names_any(text)
