"""Regular expressions: none uses what the ``re`` of CPython 3.11.0 to 3.11.4 matches wrongly."""

import ast
import importlib
import pkgutil
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

import mailnode

ROOT = Path(__file__).parents[2]
FILES = sorted(
    path for room in ("mailnode", "twisted", "tests", "benchmarks", "docs") for path in (ROOT / room).rglob("*.py")
)
CALLS = {"compile", "match", "fullmatch", "search", "findall", "finditer", "split", "sub", "subn"}
WRONG = {re._constants.POSSESSIVE_REPEAT, re._constants.ATOMIC_GROUP}


def operations(tree) -> Iterator[object]:
    """Yield every operation of a parsed expression."""
    for step in tree if isinstance(tree, re._parser.SubPattern | list | tuple) else ():
        if isinstance(step, re._constants._NamedIntConstant):
            yield step
        else:
            yield from operations(step)


def is_wrong(pattern: str | bytes) -> bool:
    return not WRONG.isdisjoint(operations(re._parser.parse(pattern)))


def text(node: ast.AST | None, names: dict[str, ast.AST], depth: int = 0):
    """What an expression of the source is as a pattern; what is known only at run time stands as nothing."""
    match node:
        case ast.Constant(value=str() | bytes()):
            return node.value
        case ast.JoinedStr():
            return "".join(text(part, names, depth) or "" for part in node.values)
        case ast.FormattedValue():
            return text(node.value, names, depth)
        case ast.BinOp(op=ast.Mod()):
            left = text(node.left, names, depth)
            return left.replace(b"%d", b"1") if isinstance(left, bytes) else left and left.replace("%d", "1")
        case ast.BinOp():
            left, right = text(node.left, names, depth), text(node.right, names, depth)
            return left + right if left is not None and right is not None else left if right is None else right
        case ast.Name() if depth < 20:
            return text(names.get(node.id), names, depth + 1)
    return None


def patterns(source: str) -> Iterator[tuple[int, str | bytes]]:
    """Yield (line, pattern) of each call of ``re`` whose pattern stands in the source, joined from its pieces."""
    tree = ast.parse(source)
    names = {
        target.id: step.value
        for step in ast.walk(tree)
        if isinstance(step, ast.Assign)
        for target in step.targets
        if isinstance(target, ast.Name)
    }
    for call in ast.walk(tree):
        if not (isinstance(call, ast.Call) and isinstance(call.func, ast.Attribute) and call.func.attr in CALLS):
            continue
        if isinstance(call.func.value, ast.Name) and call.func.value.id == "re" and call.args:
            found = text(call.args[0], names)
            if found is not None:
                yield call.lineno, found


@pytest.mark.parametrize(
    "source",
    [
        're.compile(r"a*+")',
        're.compile(rb"[a]++b")',
        're.search("(?:a|b)?+", text)',
        're.match(r"x(?:y{1,3}+z)", text)',
        're.compile(rb"(?>a|b)")',
        'PIECE = "[a-z]"\nre.compile(PIECE + "*+" + tail())',
        'PIECE = "[a-z]++"\nre.compile(rf"<{PIECE}>")',
        're.compile(re.escape(needle) + b"(?=x*+)")',
        're.compile(b"a{0,%d}+" % LIMIT)',
    ],
)
def test_what_is_wrong_is_seen_however_it_is_written(source):
    assert [is_wrong(pattern) for _, pattern in patterns(source)] == [True]


def test_what_looks_like_it_in_a_set_or_escaped_is_none():
    assert not is_wrong(r"[*+?+]\++\?+(?=a)(?:b)+")


def test_no_expression_of_the_tree_is_possessive_or_atomic():
    found = [(path, line, pattern) for path in FILES for line, pattern in patterns(path.read_text())]
    assert len(found) > 150
    skipped = ROOT / "tests/house/test_house_patterns.py"
    assert [(str(path), line) for path, line, pattern in found if path != skipped and is_wrong(pattern)] == []


def compiled(value: object, depth: int = 0) -> Iterator[re.Pattern]:
    if isinstance(value, re.Pattern):
        yield value
    elif isinstance(value, dict) and depth < 3:
        yield from compiled(list(value.values()), depth + 1)
    elif isinstance(value, list | tuple) and depth < 3:
        for item in value:
            yield from compiled(item, depth + 1)


def test_no_compiled_expression_of_a_module_is_possessive_or_atomic():
    modules = [importlib.import_module(found.name) for found in pkgutil.walk_packages(mailnode.__path__, "mailnode.")]
    found = [(module.__name__, one) for module in modules for one in compiled(list(vars(module).values()))]
    assert len(found) > 50
    assert [(name, one.pattern) for name, one in found if is_wrong(one.pattern)] == []
