"""Pickles from other processes of ours, read with an eye on names.

Both ends are the same program, and nobody else holds the pair of sockets between them. Reading still takes no name but those of
our values and errors: should a process that reads what strangers wrote be made to say what they want, this one does
not call ``os.system`` for it.
"""

from __future__ import annotations

import importlib
import io
import pickle
from types import FunctionType
from typing import Any, TypeAlias

_BUILT_IN = {
    "builtins": {"set", "frozenset", "bytearray", "complex", "range", "slice"},
    "collections": {"Counter", "OrderedDict", "deque", "defaultdict"},
    "datetime": {"date", "datetime", "time", "timedelta", "timezone"},
    "array": {"array", "_array_reconstructor"},
    "ipaddress": {"IPv4Address", "IPv6Address", "IPv4Network", "IPv6Network"},
    "pathlib": {"Path", "PosixPath"},
    "pathlib._local": {"PosixPath"},  # as CPython 3.13 calls it
}

Pickled: TypeAlias = Any  # what was pickled, of the type that both ends know


class NotAllowed(pickle.UnpicklingError):
    """Data that names something it may not."""


def dumps(value: object) -> bytes:
    """Return plain data as octets. :raises Exception: whatever pickle finds wrong with it."""
    return pickle.dumps(value, 5)


class Names:
    """The names that may be in pickles from somewhere: plain data, and what is defined in some modules."""

    def __init__(self, *modules: str) -> None:
        """:param modules: each a module, or with a dot at its end all below it."""
        self._modules = modules
        self._found: dict[tuple[str, str], type | FunctionType] = {}

    def loads(self, data: bytes) -> Pickled:
        """Return what :func:`dumps` was given. :raises NotAllowed: it names something else. :raises Exception: not ours."""
        return _Reader(self, data).load()

    def find(self, module: str, name: str) -> type | FunctionType:
        """Return a class or function; modules that only import it do not count. :raises NotAllowed:"""
        key = (module, name)
        found = self._found.get(key)
        if found is None:
            found = self._found[key] = self._look_up(module, name)
        return found

    def _look_up(self, module: str, name: str) -> type | FunctionType:
        if module in _BUILT_IN:
            if name in _BUILT_IN[module]:
                built_in: type = getattr(importlib.import_module(module), name)
                return built_in
        elif self._may_define(module):
            found = getattr(importlib.import_module(module), name, None)
            if isinstance(found, type | FunctionType) and found.__module__ == module and found.__qualname__ == name:
                return found
        raise NotAllowed(f"{module}.{name}")

    def _may_define(self, module: str) -> bool:
        return any(module == one or (one.endswith(".") and module.startswith(one)) for one in self._modules)


class _Reader(pickle.Unpickler):
    def __init__(self, names: Names, data: bytes) -> None:
        super().__init__(io.BytesIO(data))
        self._names = names

    def find_class(self, module: str, name: str) -> type | FunctionType:
        """Return what a pickle names, if it may."""
        return self._names.find(module, name)
