"""What the files of this folder declare: each is found by being there, none is named in a list."""

from __future__ import annotations

from collections.abc import Iterator
from importlib import import_module
from pkgutil import iter_modules
from typing import Any

from mailnode.imap import commands


def collected(name: str) -> Iterator[Any]:
    """Yield what stands in the files under a name (``ROWS``, ``STATUS_ITEMS``), file by file in the order of their names.
    The name says of what type it is."""
    for module in sorted(found.name for found in iter_modules(commands.__path__, f"{commands.__name__}.")):
        yield from getattr(import_module(module), name, ())
