"""Inside the store the folders stand on one another, one way."""

import ast
import importlib
import inspect
from pathlib import Path

import pytest

from mailnode.store.engines.engine import OF_ACCOUNTS
from mailnode.store.units import arrivals

STORE = Path(__file__).parents[2] / "mailnode" / "store"
# folder -> what of the store it may see, besides itself
MAY_SEE = {
    "disk": (),
    "engines": ("disk",),
    "blobs": ("disk",),
    "search": (),
    "units": ("engines.engine", "blobs.codec", "search"),
    "backups": ("disk", "engines", "blobs", "units"),
    "facades": ("engines.engine", "engines.remote", "search", "units"),
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


UNITS = STORE / "units"
# Units that change an account and do not say that they belong to it, and why
SERIALIZABLE = {
    **dict.fromkeys(("newer_facts.keep", "repair.facts"), "removes a blob, which may be another account's too"),
    "undelete.undelete": "places what a sweep, which is no unit of an account, may remove at that moment",
}


class Calls:
    """Which functions of the store's units each of them calls."""

    def __init__(self):
        self.of = {}
        for path in UNITS.glob("*.py"):
            self._read(path.stem, ast.parse(path.read_text()))

    def _read(self, module, tree):
        names = {}
        for node in tree.body:
            if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("mailnode.store.units"):
                above = node.module.removeprefix("mailnode.store.units").lstrip(".")
                names.update({alias.name: f"{above}.{alias.name}".lstrip(".") for alias in node.names})
        functions = [node for node in tree.body if isinstance(node, ast.FunctionDef)]
        names.update({node.name: f"{module}.{node.name}" for node in functions})
        for function in functions:
            called = [node.func for node in ast.walk(function) if isinstance(node, ast.Call)]
            self.of[f"{module}.{function.name}"] = {
                names.get(one.id, one.id)
                if isinstance(one, ast.Name)
                else f"{names.get(getattr(one.value, 'id', ''), '')}.{one.attr}"
                for one in called
                if isinstance(one, ast.Name | ast.Attribute)
            }

    def reaching(self, *names):
        """Return the names of those that call these, or call who does."""
        found = set(names)
        while more := {one for one, called in self.of.items() if called & found} - found:
            found |= more
        return found - set(names)


def test_units_that_change_an_account_say_that_they_belong_to_it():
    """A unit that an engine does not know of runs SERIALIZABLE there, and on a busy account is run again until it is refused."""
    changing = Calls().reaching("accounts.touch", "copies._hold")
    assert {"arrivals.append", "shared_tree.create", "kept_mailboxes.place", "copies.begin"} <= changing
    missing = set()
    for name in changing:
        module, _, function = name.partition(".")
        unit = getattr(importlib.import_module(f"mailnode.store.units.{module}"), function)
        arguments = list(inspect.signature(unit).parameters)[:2]
        if not function.startswith("_") and arguments == ["tx", "account_id"] and unit not in OF_ACCOUNTS:
            missing.add(name)
    assert missing == set(SERIALIZABLE)
    assert arrivals.deliver in OF_ACCOUNTS


def test_units_that_belong_to_accounts_remove_no_blob():
    removing = Calls().reaching("sweeping.release_blob")
    assert {"sweeping.expired", "sweeping.remove_some", "newer_facts.keep"} <= removing
    assert not {f"{unit.__module__.rpartition('.')[2]}.{unit.__name__}" for unit in OF_ACCOUNTS} & removing
