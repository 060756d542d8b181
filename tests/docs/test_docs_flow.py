"""Every file and function that docs/flow.rst and docs/adding.rst name is there."""

import importlib
import inspect
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
FLOW, ADDING = ((ROOT / f"docs/{page}.rst").read_text() for page in ("flow", "adding"))
FILE = r"``(mailnode/[a-z0-9_/]+\.py)``"
NAME = r"``([A-Za-z_]\w*(?:\.[A-Za-z_]\w*)*)\(\)``"


def named(page):
    """Yield (module, name) for each name with ``()`` and the file named last before it."""
    module = ""
    for match in re.finditer(f"{FILE}|{NAME}", page):
        if match[1]:
            module = match[1].removesuffix(".py").replace("/", ".")
        else:
            yield module, match[2]


@pytest.mark.parametrize(("module", "name"), sorted({*named(FLOW), *named(ADDING)}))
def test_every_function_is_there(module, name):
    found = importlib.import_module(module)
    for part in name.split("."):
        found = getattr(found, part)
    assert callable(found)
    assert inspect.getmodule(found).__name__ == module, f"{name} is at home in {inspect.getmodule(found).__name__}"


def test_every_way_is_told():
    titles = re.findall(r"^(.+)\n-+$", FLOW, re.MULTILINE)
    assert titles[1:] == [
        "From outside to a mailbox",
        "From a user to another server",
        "An IMAP FETCH",
        "A notification",
        "A bounce",
    ]
    assert len(list(named(FLOW))) > 60


def test_every_kind_of_addition_is_told():
    titles = re.findall(r"^(.+)\n-+$", ADDING, re.MULTILINE)
    assert titles == [
        "An IMAP command",
        "An SMTP extension",
        "A policy",
        "An administrative operation",
        "A check",
        "A setting",
    ]


def test_every_file_that_is_not_ours_to_run_is_there():
    for name in re.findall(r"(?<![\w/`])(?:docs|tests|mailnode)/[\w/.-]*\w", ADDING):
        assert (ROOT / name).exists(), name
