"""One process is the case without further ones, not another server."""

import ast
from pathlib import Path

SERVER = Path(__file__).parents[2] / "mailnode" / "server"


def decides(node):
    return isinstance(node, (ast.If, ast.IfExp, ast.While)) and any(
        isinstance(part, ast.Attribute) and part.attr == "workers" for part in ast.walk(node.test)
    )


def test_nothing_is_another_thing_for_how_many_processes_there_are():
    found = {path.name for path in SERVER.rglob("*.py") if any(map(decides, ast.walk(ast.parse(path.read_text()))))}
    assert found == {"runtime.py"}, "there it is how many of them the processors have room for"
