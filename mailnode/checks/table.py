"""The table of checks: the rows of every file of :mod:`mailnode.checks.looks`, found by their being there."""

from __future__ import annotations

from collections.abc import Iterator
from importlib import import_module
from pkgutil import iter_modules

from mailnode.checks import looks
from mailnode.checks.row import Check, Occasion


def collected() -> Iterator[Check]:
    """Yield the rows, file by file in the order of their names."""
    for module in sorted(found.name for found in iter_modules(looks.__path__, f"{looks.__name__}.")):
        yield from getattr(import_module(module), "CHECKS", ())


CHECKS: dict[str, Check] = {check.name: check for check in collected()}


def checks_for(occasion: Occasion) -> list[Check]:
    """Return those that make sense then, by name."""
    return [check for _, check in sorted(CHECKS.items()) if occasion in check.occasions]
