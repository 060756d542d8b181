"""What the files of this folder declare: each is found by being there, none is named in a list."""

from __future__ import annotations

from collections.abc import Iterator
from importlib import import_module
from pkgutil import iter_modules

from mailnode.sieve import extensions
from mailnode.sieve.constructs import SieveExtension


def collected() -> Iterator[SieveExtension]:
    """Yield the extensions of ``EXTENSIONS``, file by file in the order of their names."""
    for module in sorted(found.name for found in iter_modules(extensions.__path__, f"{extensions.__name__}.")):
        yield from getattr(import_module(module), "EXTENSIONS", ())
