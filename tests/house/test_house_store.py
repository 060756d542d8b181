"""Inside the store the folders stand on one another, one way."""

import ast
from pathlib import Path

import pytest

STORE = Path(__file__).parents[2] / "mailnode" / "store"
# folder -> what of the store it may see, besides itself
MAY_SEE = {
    "disk": (),
    "engines": ("disk",),
    "blobs": ("disk",),
    "units": ("engines.engine", "blobs.codec"),
    "facades": ("engines.engine", "engines.remote", "units"),
}


def seen(path):
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("mailnode.store"):
            for alias in node.names:
                yield f"{node.module}.{alias.name}".removeprefix("mailnode.store.")


def test_every_module_of_the_store_is_in_a_folder():
    assert [path.name for path in STORE.glob("*.py")] == ["__init__.py"]
    assert {path.name for path in STORE.iterdir() if (path / "__init__.py").exists()} == set(MAY_SEE)


@pytest.mark.parametrize(
    "path", [pytest.param(p, id=f"{p.parent.name}/{p.name}") for p in sorted(STORE.glob("*/*.py"))]
)
def test_folders_see_what_they_stand_on(path):
    for name in seen(path):
        allowed = (path.parent.name, *MAY_SEE[path.parent.name])
        assert any(name == one or name.startswith(f"{one}.") for one in allowed), f"{path.name} must not import {name}"
